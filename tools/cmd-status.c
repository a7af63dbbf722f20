/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm status: what is leased now.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd.h"

int cmd_status(struct rtkvm *rt, const struct cmd_options *global, int argc, char **argv)
{
	struct cmd_options opt = *global;
	struct rtkvm_report *report;
	int ret;

	if (!cmd_no_arguments(&opt, argc, argv))
		return CMD_ERROR;
	ret = rtkvm_status(rt, &report);
	if (geteuid() != 0 && !opt.json)
		fprintf(stderr, "rtkvm: not root: shows %s; leases of root and of other users are "
				"shown to them alone\n", rtkvm_state_dir(rt));
	return cmd_report(&opt, "status", ret, report, "nothing is leased");
}
