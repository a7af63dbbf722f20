/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm plan STRING [--vcpus N] [--cpus LIST]: read an option string, say what
 * each role runs as, and what the guards of this host say of it. Raises
 * nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"

struct arguments {
	const char *text;
	const char *cpus; /* of the vCPUs; NULL: those of this process */
	unsigned int vcpus;
};

static const char *policy_name(int policy)
{
	return policy == RTKVM_POLICY_FF ? "SCHED_FIFO" :
	       policy == RTKVM_POLICY_RR ? "SCHED_RR" :
					   "SCHED_OTHER";
}

static bool number(const char *text, unsigned int *value)
{
	unsigned long v;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || v > 8192)
		return false;
	*value = (unsigned int)v;
	return true;
}

static int read_arguments(struct arguments *a, struct cmd_options *opt, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			opt->json = true;
		else if (!strcmp(argv[i], "--vcpus") && i + 1 < argc && number(argv[i + 1], &a->vcpus))
			i++;
		else if (!strcmp(argv[i], "--vcpus"))
			return cmd_usage("--vcpus takes a number from 0 to 8192");
		else if (!strcmp(argv[i], "--cpus") && i + 1 < argc)
			a->cpus = argv[++i];
		else if (argv[i][0] == '-' || a->text)
			return cmd_usage("plan does not know \"%s\"", argv[i]);
		else
			a->text = argv[i];
	}
	return a->text ? CMD_OK : cmd_usage("plan takes a plan, e.g. maxprio=80,policy=ff");
}

static int print_roles(const struct rtkvm_plan *plan)
{
	static const char *const names[RTKVM_ROLE_COUNT] = { "main", "io", "vcpu", "aio",
							     "helper" };
	char text[128];

	rtkvm_plan_print(plan, text, sizeof(text));
	printf("%s\n", text);
	for (int role = 0; role < RTKVM_ROLE_COUNT; role++) {
		struct rtkvm_role_sched sched = { .size = sizeof(sched) };

		if (rtkvm_plan_get_role(plan, role, &sched) < 0)
			return -1;
		printf("  %-8s %-11s", names[role], policy_name(sched.policy));
		if (sched.priority)
			printf(" %d", sched.priority);
		printf("\n");
	}
	printf("  %-8s %s\n\n", "pvsched", rtkvm_plan_get_pvsched(plan) ? "on" : "off");
	return 0;
}

int cmd_plan(struct rtkvm *rt, const struct cmd_options *global, int argc, char **argv)
{
	struct cmd_options opt = *global;
	struct arguments a = { NULL, NULL, 0 };
	struct rtkvm_report *report = NULL;
	struct rtkvm_plan *plan;
	int status = read_arguments(&a, &opt, argc, argv), ret;

	if (status != CMD_OK)
		return status;
	if (rtkvm_plan_parse(rt, a.text, &plan) < 0)
		return cmd_fail();
	if ((a.cpus && rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_VCPU, a.cpus) < 0) ||
	    (!opt.json && print_roles(plan) < 0)) {
		rtkvm_plan_free(plan);
		return cmd_fail();
	}
	/* what a guard warns of does not keep a VMM from starting */
	opt.warnings_pass = true;
	ret = rtkvm_plan_check(plan, a.vcpus, &report);
	status = cmd_report(&opt, "plan", ret, report, "no guard has anything to say");
	rtkvm_plan_free(plan);
	return status;
}
