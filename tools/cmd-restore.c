/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm restore: undo what owners that died left.
 */
#include <stdio.h>
#include <unistd.h>

#include "cmd.h"

int cmd_restore(struct rtkvm *rt, const struct cmd_options *global, int argc, char **argv)
{
	struct cmd_options opt = *global;
	struct rtkvm_report *report;
	int ret;

	if (!cmd_no_arguments(&opt, argc, argv))
		return CMD_ERROR;
	ret = rtkvm_restore(rt, &report);
	if (geteuid() != 0 && !opt.json)
		fprintf(stderr, "rtkvm: not root: restores what is in %s; root's leases take root\n",
			rtkvm_state_dir(rt));
	return cmd_report(&opt, "restore", ret, report, "nothing to restore");
}
