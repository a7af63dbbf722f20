/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The calling thread enters and leaves a role.
 */
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "plan.h"

/*
 * The calling thread's entry; a new one if it has none. What it has now is
 * what the plan starts from, whoever set it. NULL without memory.
 */
static struct plan_thread *own_entry(struct rtkvm_plan *plan)
{
	struct plan_thread *t = plan_threads_find(&plan->threads, gettid());
	uint64_t start = 0;

	rtkvm_task_start(getpid(), gettid(), &start); /* stays 0 in a jail without /proc */
	if (t && start && t->start && t->start != start) {
		plan_threads_remove(&plan->threads, t); /* an ended thread had that number */
		t = NULL;
	}
	if (!t) {
		plan_threads_forget(&plan->threads);
		t = plan_threads_add(&plan->threads, getpid(), gettid(), start);
	}
	if (!t)
		return NULL;
	plan_sched_get(0, t->sched_set ? &t->now : &t->before);
	if (t->cpus)
		plan_cpus_get(0, &t->cpus->now);
	t->alone = false;
	return t;
}

int rtkvm_thread_enter(struct rtkvm_plan *plan, int role)
{
	struct plan_thread *t;
	int ret = 0;

	if (!plan)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_thread_enter", NULL, "plan is NULL");
	if (!plan_role_known(role))
		return rtkvm_fail(plan->rt, EINVAL, "rtkvm_thread_enter", "use one of RTKVM_ROLE_*",
				  "unknown role %d", role);
	plan_lock(plan);
	t = own_entry(plan);
	if (!t) {
		ret = rtkvm_fail(plan->rt, ENOMEM, NULL, NULL, "no memory to enter a role");
	} else {
		prctl(PR_GET_NAME, t->comm);
		t->role = role;
		t->entered = true;
		if (plan->realtime)
			ret = plan_place(plan, t, NULL);
	}
	plan_unlock(plan);
	return ret < 0 ? ret : 0;
}

int rtkvm_thread_leave(struct rtkvm_plan *plan)
{
	struct plan_thread *t;
	int ret = 0;

	if (!plan)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_thread_leave", NULL, "plan is NULL");
	plan_lock(plan);
	t = plan_threads_find(&plan->threads, gettid());
	if (!t || !t->entered) {
		ret = rtkvm_fail(plan->rt, ENOENT, "rtkvm_thread_leave",
				 "call rtkvm_thread_enter() first",
				 "thread %d did not enter a role", gettid());
	} else {
		ret = plan_unplace(plan, t, NULL);
		if (ret < 0)
			ret = rtkvm_fail(plan->rt, EIO, "rtkvm_thread_leave",
					 "give the process CAP_SYS_NICE",
					 "thread %d cannot be given back what it had", gettid());
		plan_threads_remove(&plan->threads, t);
	}
	plan_unlock(plan);
	return ret < 0 ? ret : 0;
}

void plan_set_dedicated(struct rtkvm_plan *plan, pid_t tid, bool dedicated)
{
	struct plan_thread *t;

	plan_lock(plan);
	t = plan_threads_find(&plan->threads, tid);
	if (t)
		t->dedicated = dedicated;
	plan_unlock(plan);
}
