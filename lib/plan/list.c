/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads of a plan, one after the other, as the kernel shows them now.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "plan.h"

#define THREAD_INFO_MIN sizeof(struct rtkvm_thread_info)

/* The threads in the order of their numbers: a walk survives those that come and go. */
static struct plan_thread *next_alive(struct rtkvm_plan *plan, pid_t after)
{
	struct plan_thread *best = NULL, *t = plan_threads_next(&plan->threads, NULL), *next;

	for (; t; t = next) {
		next = plan_threads_next(&plan->threads, t);
		if (t->tid > after && (!best || t->tid < best->tid) && plan_thread_alive(t))
			best = t;
	}
	return best;
}

static void describe(const struct rtkvm_plan *plan, const struct plan_thread *t,
		     struct rtkvm_thread_info *info)
{
	struct plan_sched_want want = plan_spec_role(&plan->spec, t->role);
	struct plan_sched now = { .policy = -1 };

	plan_sched_get(t->tid, &now);
	info->tid = t->tid;
	info->role = t->role;
	info->policy = now.policy;
	info->priority = now.priority;
	info->as_planned = plan->realtime && now.policy == want.policy &&
			   now.priority == want.priority;
	memcpy(info->name, t->comm, strnlen(t->comm, sizeof(info->name) - 1));
}

int rtkvm_plan_next_thread(struct rtkvm_plan *plan, pid_t after, struct rtkvm_thread_info *info)
{
	struct rtkvm_thread_info out = { .size = sizeof(out) };
	struct plan_thread *t;

	if (!plan || !info || after < 0)
		return rtkvm_fail(plan ? plan->rt : NULL, EINVAL, "rtkvm_plan_next_thread", NULL,
				  "plan or info is NULL, or after is negative");
	plan_lock(plan);
	t = next_alive(plan, after);
	if (t)
		describe(plan, t, &out);
	plan_unlock(plan);
	if (!t)
		return -ENOENT;
	return rtkvm_struct_give(plan->rt, info, &out, sizeof(out), THREAD_INFO_MIN,
				 "rtkvm_thread_info");
}
