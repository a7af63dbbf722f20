/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm plan STRING: read an option string and say what each role runs as.
 */
#include <stdio.h>

#include "cmd.h"

static const char *const role_names[RTKVM_ROLE_COUNT] = { "main", "io", "vcpu", "aio", "helper" };

static const char *policy_name(int policy)
{
	return policy == RTKVM_POLICY_FF ? "ff" : policy == RTKVM_POLICY_RR ? "rr" : "ts";
}

int cmd_plan(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv)
{
	struct rtkvm_plan *plan;
	char text[256];

	(void)opt;
	if (argc != 2)
		return cmd_usage("plan takes one argument, e.g. maxprio=80,policy=ff");
	if (rtkvm_plan_parse(rt, argv[1], &plan) < 0)
		return cmd_fail();
	rtkvm_plan_print(plan, text, sizeof(text));
	printf("%s\n", text);
	for (int role = 0; role < RTKVM_ROLE_COUNT; role++) {
		struct rtkvm_role_sched sched = { .size = sizeof(sched) };

		if (rtkvm_plan_get_role(plan, role, &sched) < 0) {
			rtkvm_plan_free(plan);
			return cmd_fail();
		}
		printf("  %-6s  %s %d\n", role_names[role], policy_name(sched.policy),
		       sched.priority);
	}
	printf("  pvsched %s\n", rtkvm_plan_get_pvsched(plan) ? "on" : "off");
	rtkvm_plan_free(plan);
	return CMD_OK;
}
