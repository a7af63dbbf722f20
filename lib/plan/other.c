/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Real-time for another process, which did not ask for it: the guards look at that
 * process, and its threads are placed by a dispatch.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"
#include "watch.h"

/* Its vCPU threads, and where each may run. */
static int take_vcpus(struct rtkvm_watch *watch, struct plan_other *other)
{
	const struct plan_look *look = &watch->look;
	int ret = plan_look_take(watch->plan->rt, watch->pid, &watch->look);

	if (ret == 0) {
		other->sets = calloc(look->own + 1, sizeof(*other->sets));
		ret = other->sets ? 0 : -ENOMEM;
	}
	if (ret < 0)
		return rtkvm_fail(watch->plan->rt, -ret, "/proc", rtkvm_remedy_for(-ret),
				  "cannot look at the threads of process %d: %s", watch->pid,
				  strerror(-ret));
	for (size_t i = 0; i < look->own; i++) {
		const struct rtkvm_task *task = &look->tasks[i];
		int role = plan_watch_assigned(watch, task);

		if (role < 0)
			role = plan_role_by_name(watch->plan, task->comm);
		if (role == RTKVM_ROLE_VCPU && !watch->plan->rt->made_up &&
		    plan_cpus_get(task->tid, &other->sets[other->count]) == 0)
			other->count++;
	}
	return 0;
}

static int ask_guards(struct rtkvm_watch *watch, struct rtkvm_report *report)
{
	struct plan_other other = { .pid = watch->pid };
	struct rtkvm_plan *plan = watch->plan;
	int ret;

	plan_lock(plan);
	if (plan->realtime)
		ret = rtkvm_fail(plan->rt, EALREADY, "rtkvm_watch_go_realtime",
				 "call rtkvm_plan_undo() first", "the plan is real-time already");
	else
		ret = take_vcpus(watch, &other);
	if (ret == 0)
		ret = plan_guards_of(plan, &other, other.count, report);
	if (ret == 0)
		atomic_store(&plan->realtime, true);
	plan_unlock(plan);
	free(other.sets);
	return ret;
}

static int go_realtime(struct rtkvm_watch *watch, struct rtkvm_report *report)
{
	unsigned int placed;
	int ret = ask_guards(watch, report);

	if (ret < 0)
		return ret;
	ret = rtkvm_watch_dispatch(watch, &placed);
	if (ret < 0)
		atomic_store(&watch->plan->realtime, false);
	rtkvm_report_add(report, "threads", ret < 0 ? RTKVM_STATE_OFF : RTKVM_STATE_VERIFIED, ret < 0,
			 ret < 0 ? "%u of process %d placed: %s" : "%u of process %d placed, read back%s",
			 placed, watch->pid, ret < 0 ? rtkvm_last_error() : "");
	return ret;
}

int rtkvm_watch_go_realtime(struct rtkvm_watch *watch, struct rtkvm_report **out)
{
	struct rtkvm_report *report;
	struct rtkvm_error error;
	int ret, made = 0;

	if (out)
		*out = NULL;
	if (!watch || watch->pid == watch->owner)
		return rtkvm_fail(watch ? watch->plan->rt : NULL, EINVAL, "rtkvm_watch_go_realtime",
				  "call rtkvm_plan_go_realtime()", watch ? "it is the own process" :
									   "watch is NULL");
	report = out ? rtkvm_report_new() : NULL;
	ret = go_realtime(watch, report);
	rtkvm_error_save(&error);
	if (out)
		made = rtkvm_report_finish(report, out);
	if (ret < 0)
		rtkvm_error_restore(&error);
	return ret < 0 ? ret : made;
}
