/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU lists and masks: what can be read is printed, and read again as the
 * same set, in both spellings.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpulist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A set of many single CPUs does not fit as a list; that is refused, not cut. */
static void round_trip(const struct rtkvm_cpus *cpus)
{
	char text[RTKVM_CPULIST_TEXT];
	struct rtkvm_cpus again;

	if (rtkvm_cpus_print_list(cpus, text, sizeof(text)) >= 0 &&
	    (rtkvm_cpus_parse_list(text, &again, NULL) || !rtkvm_cpus_equal(cpus, &again)))
		abort();
	if (rtkvm_cpus_print_mask(cpus, text, sizeof(text)) < 0 ||
	    rtkvm_cpus_parse_mask(text, &again, NULL) || !rtkvm_cpus_equal(cpus, &again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct rtkvm_cpus cpus;
	size_t position;

	memcpy(text, data, size);
	text[size] = '\0';
	if (rtkvm_cpus_parse_list(text, &cpus, &position) == 0)
		round_trip(&cpus);
	else if (position > strlen(text))
		abort();
	if (rtkvm_cpus_parse_mask(text, &cpus, &position) == 0)
		round_trip(&cpus);
	else if (position > strlen(text))
		abort();
	free(text);
	return 0;
}
