/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Real-time from now, and back: all threads of the plan together.
 *
 * vCPUs are raised last and lowered first: one that spins must not get in
 * between and hold off the thread that does it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plan.h"

static const int raise_order[RTKVM_ROLE_COUNT] = { RTKVM_ROLE_MAIN, RTKVM_ROLE_IO, RTKVM_ROLE_AIO,
						   RTKVM_ROLE_HELPER, RTKVM_ROLE_VCPU };

/* What became of the threads of a role. */
struct tally {
	unsigned int threads;
	unsigned int alone;
	unsigned int cpus_short;
};

static int raise_role(struct rtkvm_plan *plan, int role, struct tally *tally)
{
	struct plan_thread *t = plan_threads_next(&plan->threads, NULL), *next;

	for (; t; t = next) {
		int ret;

		next = plan_threads_next(&plan->threads, t);
		if (t->role != role)
			continue;
		ret = plan_place(plan, t, NULL);
		if (ret == -ESRCH) {
			plan_threads_remove(&plan->threads, t);
			continue;
		}
		if (ret < 0)
			return ret;
		tally->threads++;
		tally->alone += t->alone;
		tally->cpus_short += t->cpus_short;
	}
	return 0;
}

static void item_raised(struct rtkvm_plan *plan, int role, const struct tally *tally,
			struct rtkvm_report *report)
{
	struct plan_sched_want want = plan_spec_role(&plan->spec, role);
	struct plan_sched sched = { want.policy, want.priority, true };
	char feature[32], text[PLAN_SCHED_TEXT], alone[64] = "", cpus[64] = "";

	if (!tally->threads)
		return;
	if (tally->alone)
		snprintf(alone, sizeof(alone), ", %u changed by someone else and left alone",
			 tally->alone);
	if (tally->cpus_short)
		snprintf(cpus, sizeof(cpus), ", %u without some CPUs of the role (cpuset)",
			 tally->cpus_short);
	snprintf(feature, sizeof(feature), "role-%s", plan_role_name(role));
	rtkvm_report_add(report, feature,
			 tally->alone == tally->threads ? RTKVM_STATE_OFF : RTKVM_STATE_VERIFIED,
			 tally->alone || tally->cpus_short, "%u of %u threads at %s%s%s, read back",
			 tally->threads - tally->alone, tally->threads,
			 plan_sched_print(&sched, text), cpus, alone);
}

static int raise_all(struct rtkvm_plan *plan, struct rtkvm_report *report)
{
	for (int i = 0; i < RTKVM_ROLE_COUNT; i++) {
		struct tally tally = { 0, 0, 0 };
		int ret = raise_role(plan, raise_order[i], &tally);

		if (ret < 0) {
			rtkvm_report_add(report, "threads", RTKVM_STATE_OFF, true, "%s",
					 rtkvm_last_error());
			return ret;
		}
		item_raised(plan, raise_order[i], &tally, report);
	}
	return 0;
}

/* Lower all threads; those that the watch found are forgotten. Counts what is left alone. */
static int lower_all(struct rtkvm_plan *plan, struct rtkvm_report *report)
{
	int result = 0;

	for (int i = RTKVM_ROLE_COUNT - 1; i >= 0; i--) {
		struct plan_thread *t = plan_threads_next(&plan->threads, NULL), *next;
		unsigned int done = 0, left = 0;
		char feature[32];

		for (; t; t = next) {
			bool was_set = t->sched_set || t->cpus;
			int ret;

			next = plan_threads_next(&plan->threads, t);
			if (t->role != raise_order[i])
				continue;
			ret = plan_unplace(plan, t, report);
			if (ret < 0)
				result = -EIO;
			done += was_set && ret == 0;
			left += ret != 0;
			if (!t->entered && ret >= 0)
				plan_threads_remove(&plan->threads, t);
		}
		if (!done && !left)
			continue;
		snprintf(feature, sizeof(feature), "role-%s", plan_role_name(raise_order[i]));
		rtkvm_report_add(report, feature, RTKVM_STATE_VERIFIED, false,
				 "%u threads given back what they had, %u left alone", done, left);
	}
	return result;
}

int plan_undo(struct rtkvm_plan *plan, struct rtkvm_report *report)
{
	int ret;

	atomic_store(&plan->realtime, false);
	ret = lower_all(plan, report);
	if (plan_memory_unlock(plan, report) < 0)
		ret = -EIO;
	return ret;
}

static int go_realtime(struct rtkvm_plan *plan, struct rtkvm_report *report)
{
	int ret;

	if (plan->realtime)
		return rtkvm_fail(plan->rt, EALREADY, "rtkvm_plan_go_realtime",
				  "call rtkvm_plan_undo() first", "the plan is real-time already");
	plan_threads_prune(&plan->threads);
	ret = plan_guards(plan, 0, report);
	if (ret < 0)
		return ret;
	ret = plan_memory_lock(plan, report);
	if (ret < 0)
		return ret;
	ret = raise_all(plan, report);
	if (ret == 0)
		atomic_store(&plan->realtime, true);
	return ret;
}

/* Hand the report over without losing the error of the call it is about. */
static int finish(struct rtkvm_report *report, struct rtkvm_report **out, int ret)
{
	struct rtkvm_error error;
	int made;

	rtkvm_error_save(&error);
	made = rtkvm_report_finish(report, out);
	if (ret == 0)
		return made;
	rtkvm_error_restore(&error);
	return ret;
}

int rtkvm_plan_go_realtime(struct rtkvm_plan *plan, struct rtkvm_report **out)
{
	struct rtkvm_report *report;
	struct rtkvm_error error;
	bool undo;
	int ret;

	if (out)
		*out = NULL;
	if (!plan)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_plan_go_realtime", NULL, "plan is NULL");
	report = out ? rtkvm_report_new() : NULL;
	plan_lock(plan);
	ret = go_realtime(plan, report);
	undo = ret < 0 && ret != -EALREADY;
	if (out)
		ret = finish(report, out, ret);
	if (undo || (ret < 0 && ret != -EALREADY)) {
		rtkvm_error_save(&error);
		plan_undo(plan, NULL);
		rtkvm_error_restore(&error);
	}
	plan_unlock(plan);
	return ret;
}

int rtkvm_plan_undo(struct rtkvm_plan *plan, struct rtkvm_report **out)
{
	struct rtkvm_report *report;
	int ret;

	if (out)
		*out = NULL;
	if (!plan)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_plan_undo", NULL, "plan is NULL");
	report = out ? rtkvm_report_new() : NULL;
	plan_lock(plan);
	ret = plan_undo(plan, report);
	plan_unlock(plan);
	if (ret < 0)
		ret = rtkvm_fail(plan->rt, EIO, "rtkvm_plan_undo", "see the report",
				 "something could not be given back");
	return out ? finish(report, out, ret) : ret;
}
