/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzzer of the host probe's parsers. The first byte chooses one, the rest is
 * its text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/kvm.h"
#include "host/parse.h"
#include "host/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void row(unsigned int cpu, unsigned int available, void *arg)
{
	(void)arg;
	if (cpu >= RTKVM_MAX_CPUS || available > 256)
		abort();
}

/* What fits is terminated, and without quotes. */
static void cmdline(const char *text)
{
	char value[64];
	int ret = host_cmdline_get(text, "isolcpus", value, sizeof(value));

	if (strlen(value) >= sizeof(value) || (ret > 0 && strchr(value, '"')) || (ret <= 0 && value[0]))
		abort();
	(void)host_cmdline_get(text, "a-b", value, 1);
}

static void isolcpus(const char *text)
{
	struct rtkvm_cpus cpus;
	unsigned int flags;

	if (host_isolcpus_parse(text, &flags, &cpus) == 0 && !flags)
		abort();
}

static void small(const char *text)
{
	unsigned int major, minor, areas;
	struct rtkvm_cpus cpus;
	uint64_t value;
	char word[16];

	if (host_bracketed(text, word, sizeof(word)) && (!word[0] || strchr(word, ']')))
		abort();
	(void)host_limit_get(text, "Max locked memory", &value);
	(void)host_key_get(text, "VmLck", word, sizeof(word));
	(void)host_key_number(text, "VmLck", &value);
	if (host_release_parse(text, &major, &minor) && major > 1000)
		abort();
	(void)host_has_word(text, "tsc");
	(void)host_swaps_parse(text, &areas);
	(void)host_shell_get(text, "IRQBALANCE_BANNED_CPUS", word, sizeof(word));
	(void)host_hex_parse(text, &value);
	if (host_is_word(text) && strpbrk(text, " \n\t/"))
		abort();
	if (host_banned_parse(text, &cpus) && !strstr(text, "BANNED "))
		abort();
	(void)host_vm_is_vcpu(text);
}

static void facts(char *text)
{
	struct host_vm vm = { .facts = text };
	char value[HOST_VM_FACT];

	if (host_vm_facts_valid(text) && host_vm_fact(&vm, "block.cow", value) &&
	    strlen(value) >= sizeof(value))
		abort();
}

/* Arguments end with a NUL each; another ends them. */
static void arguments(const uint8_t *data, size_t size)
{
	struct host_vm vm = { .args = calloc(1, size + 2) };
	bool present = true;

	if (vm.args && size)
		memcpy(vm.args, data, size);
	for (unsigned int i = 0; vm.args && present && i < 300; i++) {
		const char *value = host_vm_option(&vm, "drive", i, &present);

		if (value && (value < vm.args || value > vm.args + size))
			abort();
	}
	free(vm.args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_kvm *kvm;
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 7) {
	case 0:
		cmdline(text);
		break;
	case 1:
		isolcpus(text);
		break;
	case 2:
		small(text);
		break;
	case 3:
		(void)host_vectors_parse(text, row, NULL);
		break;
	case 4:
		kvm = calloc(1, sizeof(*kvm));
		if (kvm)
			(void)host_kvm_parse(text, kvm);
		free(kvm);
		break;
	case 5:
		facts(text);
		break;
	default:
		arguments(data + 1, size - 1);
		break;
	}
	free(text);
	return 0;
}
