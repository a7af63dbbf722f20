/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads of another process: whatever the plan changes there outlives this
 * one, so it goes through a lease.
 */
#include <errno.h>

#include "plan.h"

static int not_yet(struct rtkvm_plan *plan)
{
	return rtkvm_fail(plan->rt, ENOSYS, "lease", NULL,
			  "this build cannot change threads of another process");
}

int plan_foreign_sched(struct rtkvm_plan *plan, struct rtkvm_lease *lease, pid_t tid,
		       const struct plan_sched_want *want)
{
	(void)lease;
	(void)tid;
	(void)want;
	return not_yet(plan);
}

int plan_foreign_cpus(struct rtkvm_plan *plan, struct rtkvm_lease *lease, pid_t tid,
		      const char *cpus)
{
	(void)lease;
	(void)tid;
	(void)cpus;
	return not_yet(plan);
}
