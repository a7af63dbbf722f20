/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One dispatch of a watch: look at the process, bring each thread to its
 * role. The lock is taken per thread, so that a thread that enters a role
 * meanwhile does not wait for the whole look.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "watch.h"

struct dispatch {
	struct rtkvm_watch *watch;
	struct plan_threads *threads; /* the plan's, or the watch's for another process */
	unsigned int placed;
	bool hurry;                   /* a thread has not its own name yet */
	int error;                    /* of the first thread that failed */
	struct rtkvm_error text;
};

static struct plan_sched as_seen(const struct rtkvm_task *task)
{
	struct plan_sched sched = { task->policy, task->priority, false };

	return sched;
}

/* The entry of a thread that was seen before, if it is still the same one. */
static struct plan_thread *entry_of(struct dispatch *d, const struct rtkvm_task *task)
{
	struct plan_thread *t = plan_threads_find(d->threads, task->tid);

	if (t && t->start && t->start != task->start) {
		plan_threads_remove(d->threads, t);
		t = NULL;
	}
	return t;
}

/* An entry for a thread that has to be placed now; NULL: not to be. */
static struct plan_thread *new_entry(struct dispatch *d, const struct rtkvm_task *task, int role)
{
	struct rtkvm_plan *plan = d->watch->plan;
	struct plan_sched_want want = plan_spec_role(&plan->spec, role);
	struct plan_sched cur = as_seen(task);
	struct plan_thread *t;

	if (!plan->cpus[role] && !want.priority && !plan_sched_level(&cur))
		return NULL;
	/* numbers of a made-up tree must not hit threads of this machine */
	t = plan_threads_add(d->threads, task->kthread ? task->tid : d->watch->pid, task->tid,
			     task->start);
	if (!t)
		return NULL;
	t->kthread = task->kthread;
	if ((plan->rt->made_up && !plan_thread_alive(t)) ||
	    plan_sched_get(t->tid, &t->before) < 0) {
		plan_threads_remove(d->threads, t);
		return NULL;
	}
	return t;
}

/*
 * Is it too early to raise a thread by this name? It may be its maker's still,
 * and it may have changed since it was read: a thread that sleeps now has its
 * own name now.
 */
static bool too_early(struct dispatch *d, const struct rtkvm_task *task, int role)
{
	const struct rtkvm_watch *watch = d->watch;
	struct rtkvm *rt = watch->plan->rt;
	struct plan_sched cur = as_seen(task);
	struct rtkvm_task again;

	if (task->kthread ||
	    plan_spec_role(&watch->plan->spec, role).priority <= plan_sched_level(&cur))
		return false;
	if (!plan_look_borrowed(rt, watch->pid, &watch->look, task) &&
	    rtkvm_task_read(rt, watch->pid, task->tid, &again) == 0 &&
	    again.start == task->start && !strcmp(again.comm, task->comm))
		return false;
	d->hurry = true;
	return true;
}

static void note_error(struct dispatch *d, int error)
{
	if (d->error)
		return;
	d->error = error;
	rtkvm_error_save(&d->text);
}

static void log_placed(struct dispatch *d, const struct plan_thread *t, bool lowered)
{
	char name[PLAN_THREAD_TEXT], was[PLAN_SCHED_TEXT], is[PLAN_SCHED_TEXT];

	plan_thread_print(t, name);
	rtkvm_log(d->watch->plan->rt, lowered ? RTKVM_LOG_INFO : RTKVM_LOG_DEBUG,
		  "%s, role %s, was %s, is %s", name, plan_role_name(t->role),
		  plan_sched_print(&t->before, was),
		  plan_sched_print(t->sched_set ? &t->now : &t->before, is));
}

static void dispatch_task(struct dispatch *d, const struct rtkvm_task *task)
{
	struct rtkvm_plan *plan = d->watch->plan;
	struct plan_thread *t = entry_of(d, task);
	int known, role, ret;

	if (t)
		t->seen = d->watch->looks;
	known = t && t->entered ? t->role : plan_watch_assigned(d->watch, task);
	role = known >= 0 ? known : plan_role_by_name(plan, task->comm);
	if (known < 0 && too_early(d, task, role))
		return;
	if (!t)
		t = new_entry(d, task, role);
	if (!t)
		return;
	t->seen = d->watch->looks;
	t->role = role;
	memcpy(t->comm, task->comm, sizeof(t->comm));
	ret = plan_place(plan, t, d->watch->lease);
	if (ret == -ESRCH) {
		plan_threads_remove(d->threads, t);
		return;
	}
	if (ret < 0) {
		t->alone = true; /* said once; not tried for ever */
		note_error(d, ret);
	} else if (ret > 0) {
		d->placed++;
		log_placed(d, t, t->sched_set &&
					  plan_sched_level(&t->before) > plan_sched_level(&t->now));
	}
	if (!t->entered && !t->sched_set && !t->cpus && !t->alone)
		plan_threads_remove(d->threads, t);
}

static void forget_ended(struct dispatch *d)
{
	struct plan_thread *t = plan_threads_next(d->threads, NULL), *next;

	for (; t; t = next) {
		next = plan_threads_next(d->threads, t);
		if (t->seen != d->watch->looks && !plan_thread_alive(t))
			plan_threads_remove(d->threads, t);
	}
}

static int dispatch_all(struct dispatch *d)
{
	struct rtkvm_watch *watch = d->watch;
	const struct plan_look *look = &watch->look;
	int ret = plan_look_take(watch->plan->rt, watch->pid, &watch->look);

	if (ret < 0)
		return rtkvm_fail(watch->plan->rt, -ret, "/proc", rtkvm_remedy_for(-ret),
				  "cannot look at the threads of process %d: %s", watch->pid,
				  strerror(-ret));
	watch->looks++;
	for (size_t i = 0; i < look->count; i++) {
		plan_lock(watch->plan);
		if (watch->plan->realtime)
			dispatch_task(d, &look->tasks[i]);
		plan_unlock(watch->plan);
	}
	plan_lock(watch->plan);
	forget_ended(d);
	plan_unlock(watch->plan);
	if (d->hurry)
		plan_watch_hurry(watch, PLAN_SETTLE_MS);
	if (d->error)
		rtkvm_error_restore(&d->text);
	return d->error;
}

static bool gone(const struct rtkvm_watch *watch)
{
	struct pollfd ended = { .fd = watch->pid_fd, .events = POLLIN };
	uint64_t start;

	if (watch->pid == watch->owner)
		return getpid() != watch->owner;
	if (watch->pid_fd >= 0 && poll(&ended, 1, 0) > 0)
		return true;
	if (!watch->start)
		return false;
	return rtkvm_task_start(watch->pid, watch->pid, &start) < 0 || start != watch->start;
}

int rtkvm_watch_dispatch(struct rtkvm_watch *watch, unsigned int *placed)
{
	struct dispatch d = { .watch = watch };
	uint64_t ticks;
	int ret = 0;

	if (placed)
		*placed = 0;
	if (!watch)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_watch_dispatch", NULL, "watch is NULL");
	if (read(watch->timer_fd, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		return rtkvm_fail(watch->plan->rt, EIO, "timerfd", NULL, "cannot read it: %s",
				  strerror(errno));
	if (gone(watch))
		return rtkvm_fail(watch->plan->rt, ESRCH, "rtkvm_watch_dispatch", NULL,
				  "process %d is gone%s", watch->pid,
				  watch->pid == watch->owner ? " (this is a forked child of it)" : "");
	d.threads = watch->pid == watch->owner ? &watch->plan->threads : &watch->foreign;
	if (rtkvm_plan_is_realtime(watch->plan))
		ret = dispatch_all(&d);
	if (placed)
		*placed = d.placed;
	return ret;
}
