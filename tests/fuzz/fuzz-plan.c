/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzzer of the thread plan's option string: what is accepted prints, reads
 * again as the same plan and prints the same; what is refused names a position
 * in the text.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(const char *text)
{
	unsigned long position;

	if (sscanf(rtkvm_last_error_what(), "position %lu: ", &position) != 1 || position < 1 ||
	    position > strlen(text) + 1)
		abort();
}

static void check_roles(const struct plan_spec *spec)
{
	struct plan_sched_want main = plan_spec_role(spec, RTKVM_ROLE_MAIN);

	for (int role = 0; role < RTKVM_ROLE_COUNT; role++) {
		struct plan_sched_want want = plan_spec_role(spec, role);

		if (want.policy == RTKVM_POLICY_TS ? want.priority != 0 :
		    want.priority < 1 || want.priority > 99 ||
		    want.priority > spec->value[PLAN_MAXPRIO])
			abort();
		if (main.policy != RTKVM_POLICY_TS && want.priority > main.priority)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), once[128], twice[128];
	struct plan_spec spec, again;
	int len;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (plan_spec_parse(NULL, text, &spec) < 0) {
		check_refusal(text);
		free(text);
		return 0;
	}
	check_roles(&spec);
	len = plan_spec_print(&spec, once, sizeof(once));
	if (len <= 0 || (size_t)len >= sizeof(once) || strlen(once) != (size_t)len)
		abort();
	if (plan_spec_parse(NULL, once, &again) < 0 || memcmp(&spec, &again, sizeof(spec)))
		abort();
	plan_spec_print(&again, twice, sizeof(twice));
	if (strcmp(once, twice))
		abort();
	free(text);
	return 0;
}
