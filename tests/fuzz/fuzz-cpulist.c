/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzzer of the CPU list and mask parsers: what they accept must survive
 * printing and reading again, what they refuse must name a place in the input.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpulist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int parse_fn(const char *text, struct rtkvm_cpus *cpus, size_t *position);
typedef int print_fn(const struct rtkvm_cpus *cpus, char *buf, size_t size);

static void round_trip(const char *text, parse_fn *parse, print_fn *print)
{
	char buf[RTKVM_CPULIST_TEXT];
	struct rtkvm_cpus cpus, again;
	size_t at = 0;

	if (parse(text, &cpus, &at) < 0) {
		if (at > strlen(text))
			abort();
		return;
	}
	/* a list of thousands of single CPUs may be longer than any kernel prints */
	if (print(&cpus, buf, sizeof(buf)) < 0)
		return;
	if (parse(buf, &again, NULL) < 0 || !rtkvm_cpus_equal(&cpus, &again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	round_trip(text, rtkvm_cpus_parse_list, rtkvm_cpus_print_list);
	round_trip(text, rtkvm_cpus_parse_mask, rtkvm_cpus_print_mask);
	free(text);
	return 0;
}
