/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One thread to its role and back. What someone else changed since the plan
 * last looked is left alone, in both directions; each such thread is told of
 * once. The caller has the plan's lock.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"
#include "plan.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

const char *plan_thread_print(const struct plan_thread *t, char text[PLAN_THREAD_TEXT])
{
	snprintf(text, PLAN_THREAD_TEXT, "thread %d%s%s%s", t->tid, t->comm[0] ? " (" : "",
		 t->comm, t->comm[0] ? ")" : "");
	return text;
}

static void leave_alone(struct rtkvm_plan *plan, struct plan_thread *t, const char *why)
{
	char name[PLAN_THREAD_TEXT];

	t->alone = true;
	rtkvm_log(plan->rt, RTKVM_LOG_WARNING, "%s, role %s, is left alone: %s",
		  plan_thread_print(t, name), plan_role_name(t->role), why);
}

/* Did anybody change policy or priority since the plan set or saw them? */
static bool sched_changed(struct rtkvm_plan *plan, struct plan_thread *t,
			  const struct plan_sched *cur)
{
	const struct plan_sched *expected = t->sched_set ? &t->now : &t->before;
	char is[PLAN_SCHED_TEXT], was[PLAN_SCHED_TEXT], why[160];

	if (plan_sched_same(cur, expected) && cur->policy != SCHED_DEADLINE)
		return false;
	if (cur->policy == SCHED_DEADLINE)
		snprintf(why, sizeof(why), "it runs as SCHED_DEADLINE");
	else
		snprintf(why, sizeof(why), "someone else made it %s, it was %s",
			 plan_sched_print(cur, is), plan_sched_print(expected, was));
	leave_alone(plan, t, why);
	return true;
}

static int fail_sched(struct rtkvm_plan *plan, const struct plan_thread *t, int err,
		      const struct plan_sched *want)
{
	struct plan_finding found = { .remedy = "" };
	char name[PLAN_THREAD_TEXT], text[PLAN_SCHED_TEXT];

	plan_thread_print(t, name);
	plan_sched_print(want, text);
	if (err != EPERM)
		return rtkvm_fail(plan->rt, err, name, NULL, "cannot make it %s: %s", text,
				  strerror(err));
	if (plan_guard_may_raise(plan, want->priority, t, &found))
		snprintf(found.remedy, sizeof(found.remedy),
			 "look for a seccomp filter, or a cpu cgroup without real-time runtime "
			 "(CONFIG_RT_GROUP_SCHED)");
	return rtkvm_fail(plan->rt, EPERM, found.where[0] ? found.where : name, found.remedy,
			  "%s may not be made %s%s%s", name, text, found.reason[0] ? ": " : "",
			  found.reason);
}

static bool sched_as_wanted(const struct plan_sched *cur, const struct plan_sched *want)
{
	/* SCHED_BATCH and SCHED_IDLE are not above SCHED_OTHER */
	if (!plan_sched_level(want))
		return !plan_sched_level(cur);
	return plan_sched_same(cur, want) && cur->reset;
}

static int place_sched(struct rtkvm_plan *plan, struct plan_thread *t, struct rtkvm_lease *lease,
		       const struct plan_sched *cur)
{
	struct plan_sched_want role = plan_spec_role(&plan->spec, t->role);
	struct plan_sched want = { role.policy, role.priority, role.policy != RTKVM_POLICY_TS };
	struct plan_sched got;
	int ret;

	if (sched_as_wanted(cur, &want))
		return 0;
	if (lease) {
		ret = rtkvm_lease_set_thread_sched(lease, t->tid, want.policy, want.priority);
		if (ret < 0)
			return ret;
	} else {
		ret = plan_sched_set(t->tid, &want);
		if (ret < 0)
			return ret == -ESRCH ? ret : fail_sched(plan, t, -ret, &want);
	}
	/* the number may have gone to another thread in between: it gets its own back */
	if (t->tid != gettid() && !plan_thread_alive(t)) {
		if (!lease)
			plan_sched_set(t->tid, cur);
		return -ESRCH;
	}
	if (!t->sched_set)
		t->before = *cur;
	t->sched_set = true;
	t->now = want;
	ret = plan_sched_get(t->tid, &got);
	if (ret < 0)
		return ret;
	t->now = got;
	if (!sched_as_wanted(&got, &want))
		return fail_sched(plan, t, EIO, &want);
	return 1;
}

static int fail_cpus(struct rtkvm_plan *plan, const struct plan_thread *t, int err,
		     const struct rtkvm_cpus *want)
{
	char name[PLAN_THREAD_TEXT], text[RTKVM_CPULIST_TEXT];

	if (rtkvm_cpus_print_list(want, text, sizeof(text)) < 0)
		snprintf(text, sizeof(text), "of its role");
	return rtkvm_fail(plan->rt, err, plan_thread_print(t, name),
			  err == EINVAL ? "let the thread's cpuset have a CPU of the role" :
					  rtkvm_remedy_for(err),
			  "cannot put it on CPUs %.100s of role %s: %s", text,
			  plan_role_name(t->role), strerror(err));
}

static int set_cpus(struct rtkvm_plan *plan, struct plan_thread *t, struct rtkvm_lease *lease,
		    const struct rtkvm_cpus *want)
{
	char text[RTKVM_CPULIST_TEXT];
	int ret;

	if (!lease) {
		ret = plan_cpus_set(t->tid, want);
		return ret < 0 && ret != -ESRCH ? fail_cpus(plan, t, -ret, want) : ret;
	}
	ret = rtkvm_cpus_print_list(want, text, sizeof(text));
	return ret < 0 ? fail_cpus(plan, t, -ret, want) :
			 rtkvm_lease_set_thread_cpus(lease, t->tid, text);
}

/* CPUs of the role, or back to those before when the role has none. */
static int place_cpus(struct rtkvm_plan *plan, struct plan_thread *t, struct rtkvm_lease *lease,
		      const struct rtkvm_cpus *cur)
{
	const struct rtkvm_cpus *want = plan->cpus[t->role];
	struct plan_thread_cpus *cpus = t->cpus;
	int ret;

	if (cpus && cpus->role == t->role)
		return 0;
	if (!want)
		want = cpus ? &cpus->before : NULL;
	if (!want || rtkvm_cpus_equal(cur, want))
		return 0;
	if (!cpus) {
		cpus = malloc(sizeof(*cpus));
		if (!cpus)
			return rtkvm_fail(plan->rt, ENOMEM, NULL, NULL, "no memory for a CPU set");
		cpus->before = *cur;
	}
	ret = set_cpus(plan, t, lease, want);
	if (ret == 0)
		ret = plan_cpus_get(t->tid, &cpus->now);
	if (ret < 0) {
		if (!t->cpus)
			free(cpus);
		return ret;
	}
	cpus->role = t->role;
	t->cpus = cpus;
	t->cpus_short = !rtkvm_cpus_equal(&cpus->now, want);
	return 1;
}

/* As before the call of plan_place() that failed; cpus is NULL if it did not move it. */
static void back_out(struct plan_thread *t, const struct plan_thread *earlier,
		     const struct rtkvm_cpus *cpus, const struct plan_sched *sched)
{
	if (t->sched_set != earlier->sched_set || !plan_sched_same(&t->now, &earlier->now))
		plan_sched_set(t->tid, sched);
	t->sched_set = earlier->sched_set;
	t->now = earlier->now;
	t->before = earlier->before;
	if (!cpus)
		return;
	plan_cpus_restore(t->tid, cpus);
	if (earlier->cpus) {
		t->cpus->now = *cpus;
		t->cpus->role = -1; /* not those of its role: to be placed again */
	} else {
		free(t->cpus);
		t->cpus = NULL;
	}
}

int plan_place(struct rtkvm_plan *plan, struct plan_thread *t, struct rtkvm_lease *lease)
{
	struct plan_thread earlier = *t;
	struct rtkvm_cpus cpus;
	struct plan_sched sched;
	int ret, moved;

	if (t->alone)
		return 0;
	ret = plan_sched_get(t->tid, &sched);
	if (ret == 0)
		ret = plan_cpus_get(t->tid, &cpus);
	if (ret < 0)
		return ret;
	if (sched_changed(plan, t, &sched))
		return 0;
	if (t->cpus && !rtkvm_cpus_equal(&cpus, &t->cpus->now)) {
		leave_alone(plan, t, "someone else changed its CPUs");
		return 0;
	}
	/* its CPUs first: raised on another one it would disturb that */
	moved = place_cpus(plan, t, lease, &cpus);
	if (moved < 0)
		return moved;
	ret = place_sched(plan, t, lease, &sched);
	if (ret < 0 && !lease)
		back_out(t, &earlier, moved ? &cpus : NULL, &sched);
	return ret < 0 ? ret : ret || moved;
}

static void item_problem(struct rtkvm_report *report, const struct plan_thread *t,
			 const char *text)
{
	char feature[32], name[PLAN_THREAD_TEXT];

	snprintf(feature, sizeof(feature), "thread-%d", t->tid);
	rtkvm_report_add(report, feature, RTKVM_STATE_OFF, true, "%s, role %s: %s",
			 plan_thread_print(t, name), plan_role_name(t->role), text);
}

static int unplace_sched(struct rtkvm_plan *plan, struct plan_thread *t,
			 struct rtkvm_report *report)
{
	char is[PLAN_SCHED_TEXT], was[PLAN_SCHED_TEXT], text[256];
	struct plan_sched cur, back = t->before;
	int ret = plan_sched_get(t->tid, &cur);

	if (ret < 0)
		return ret;
	if (!plan_sched_same(&cur, &t->now)) {
		snprintf(text, sizeof(text), "left at %s, which someone else set; it was %s",
			 plan_sched_print(&cur, is), plan_sched_print(&t->before, was));
		item_problem(report, t, text);
		return 1;
	}
	ret = plan_sched_set(t->tid, &back);
	if (ret == -EPERM && !back.reset) {
		/* the flag may be set by all, and taken off with CAP_SYS_NICE only */
		back.reset = true;
		ret = plan_sched_set(t->tid, &back);
		if (ret == 0)
			rtkvm_log(plan->rt, RTKVM_LOG_INFO,
				  "thread %d keeps SCHED_RESET_ON_FORK: no CAP_SYS_NICE", t->tid);
	}
	if (ret < 0 && ret != -ESRCH) {
		snprintf(text, sizeof(text), "cannot be given %s back: %s",
			 plan_sched_print(&t->before, was), strerror(-ret));
		item_problem(report, t, text);
	}
	return ret;
}

static int unplace_cpus(struct plan_thread *t, struct rtkvm_report *report)
{
	struct rtkvm_cpus cur;
	char text[256];
	int ret = plan_cpus_get(t->tid, &cur);

	if (ret < 0)
		return ret;
	if (!rtkvm_cpus_equal(&cur, &t->cpus->now)) {
		item_problem(report, t, "left on its CPUs, which someone else changed");
		return 1;
	}
	ret = plan_cpus_restore(t->tid, &t->cpus->before);
	if (ret < 0 && ret != -ESRCH) {
		snprintf(text, sizeof(text), "cannot be given its CPUs back: %s", strerror(-ret));
		item_problem(report, t, text);
	}
	return ret;
}

int plan_unplace(struct rtkvm_plan *plan, struct plan_thread *t, struct rtkvm_report *report)
{
	int sched = 0, cpus = 0;

	if (!plan_thread_alive(t)) {
		t->sched_set = false;
	} else {
		if (t->sched_set)
			sched = unplace_sched(plan, t, report);
		if (t->cpus)
			cpus = unplace_cpus(t, report);
	}
	/* what failed stays noted for another try */
	if (sched >= 0 || sched == -ESRCH)
		t->sched_set = false;
	if (cpus >= 0 || cpus == -ESRCH) {
		free(t->cpus);
		t->cpus = NULL;
		t->cpus_short = false;
	}
	t->alone = false;
	if ((sched < 0 && sched != -ESRCH) || (cpus < 0 && cpus != -ESRCH))
		return -EIO;
	return sched == 1 || cpus == 1;
}
