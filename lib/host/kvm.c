/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What /dev/kvm says: asks an empty VM, which is ended at once. In a made-up
 * tree it is a text.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "caps.h"
#include "kvm.h"
#include "parse.h"
#include "read.h"

int host_kvm_parse(const char *text, struct host_kvm *kvm)
{
	while (*text) {
		char line[64];
		size_t len = strcspn(text, "\n");
		long long cap, value;
		unsigned int pv;
		char end;

		if (len >= sizeof(line))
			return -EILSEQ;
		memcpy(line, text, len);
		line[len] = '\0';
		text += len + (text[len] == '\n');
		if (!len)
			continue;
		if (sscanf(line, "pv %8x%c", &pv, &end) == 1) {
			kvm->has_pv = true;
			kvm->pv_eax = pv;
		} else if (sscanf(line, "%18lld %18lld%c", &cap, &value, &end) == 2 &&
			   kvm->count < sizeof(kvm->cap) / sizeof(kvm->cap[0])) {
			kvm->cap[kvm->count].cap = cap;
			kvm->cap[kvm->count++].value = value;
		} else {
			return -EILSEQ;
		}
	}
	return 0;
}

static void read_pv(struct host_kvm *kvm, int fd)
{
	const unsigned int room = 256;
	struct kvm_cpuid2 *table = calloc(1, sizeof(*table) + room * sizeof(table->entries[0]));

	if (!table)
		return;
	table->nent = room;
	if (ioctl(fd, KVM_GET_SUPPORTED_CPUID, table) == 0)
		for (unsigned int i = 0; i < table->nent && i < room; i++)
			if (table->entries[i].function == 0x40000001) {
				kvm->has_pv = true;
				kvm->pv_eax = table->entries[i].eax;
			}
	free(table);
}

static int failed(struct host_kvm *kvm, const char *step)
{
	snprintf(kvm->step, sizeof(kvm->step), "%s", step);
	return -errno;
}

static int ask(struct host_facts *facts, struct host_kvm *kvm)
{
	int fd = rtkvm_open_quiet(facts->rt, "/dev/kvm", O_RDWR), vm, ret;

	snprintf(kvm->step, sizeof(kvm->step), "/dev/kvm");
	if (fd < 0)
		return fd;
	vm = ioctl(fd, KVM_CREATE_VM, 0);
	if (vm < 0) {
		ret = failed(kvm, "KVM_CREATE_VM");
		close(fd);
		return ret;
	}
	for (const struct host_cap_rule *rule = host_cap_rules; rule->name; rule++) {
		kvm->cap[kvm->count].cap = rule->cap;
		kvm->cap[kvm->count++].value = ioctl(vm, KVM_CHECK_EXTENSION, (unsigned long)rule->cap);
	}
	read_pv(kvm, fd);
	close(vm);
	close(fd);
	return 0;
}

const struct host_kvm *host_kvm(struct host_facts *facts)
{
	char text[4096];

	if (facts->kvm)
		return facts->kvm;
	facts->kvm = calloc(1, sizeof(*facts->kvm));
	if (!facts->kvm)
		return NULL;
	if (!facts->rt->made_up) {
		facts->kvm->err = ask(facts, facts->kvm);
		return facts->kvm;
	}
	snprintf(facts->kvm->step, sizeof(facts->kvm->step), "/dev/kvm");
	facts->kvm->err = host_text(facts, "/dev/kvm", text, sizeof(text));
	if (facts->kvm->err == 0)
		facts->kvm->err = host_kvm_parse(text, facts->kvm);
	return facts->kvm;
}

void host_kvm_free(struct host_kvm *kvm)
{
	free(kvm);
}

int64_t host_kvm_cap(const struct host_kvm *kvm, int64_t cap)
{
	for (unsigned int i = 0; i < kvm->count; i++)
		if (kvm->cap[i].cap == cap)
			return kvm->cap[i].value;
	return -ENODATA;
}
