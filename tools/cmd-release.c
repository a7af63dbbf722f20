/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm release NAME: give back a lease that a process owns by name.
 */
#include "cmd.h"

int cmd_release(struct rtkvm *rt, const struct cmd_options *global, int argc, char **argv)
{
	struct cmd_options opt = *global;
	struct rtkvm_report *report;
	int ret;

	if (argc > 2 && !cmd_no_arguments(&opt, argc - 1, argv + 1))
		return CMD_ERROR;
	if (argc < 2 || argv[1][0] == '-')
		return cmd_usage("release takes the name of a lease");
	ret = rtkvm_lease_end(rt, argv[1], &report);
	return cmd_report(&opt, "release", ret, report, "nothing to give back");
}
