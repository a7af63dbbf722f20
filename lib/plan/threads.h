/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of threads that a plan or a watch knows: who they are, their
 * role, what they had and what they were given.
 */
#ifndef RTKVM_PLAN_THREADS_H
#define RTKVM_PLAN_THREADS_H

#include <rtkvm/plan.h>

#include "sched.h"
#include "core/task.h"

#define PLAN_BUCKETS 256

/* CPUs of a thread that were changed. */
struct plan_thread_cpus {
	int role; /* whose CPUs it was given */
	struct rtkvm_cpus before;
	struct rtkvm_cpus now; /* as read back */
};

struct plan_thread {
	struct plan_thread *next; /* of its bucket */
	pid_t tgid;               /* a kernel thread's own number */
	pid_t tid;
	uint64_t start; /* 0: not known (no /proc) */
	char comm[RTKVM_COMM_MAX];
	int role;
	bool kthread;
	bool entered;    /* by rtkvm_thread_enter(): keeps its role */
	bool alone;      /* changed by someone else or refused: left alone, said once */
	bool sched_set;  /* now is ours, before is to be given back */
	bool dedicated;  /* of a vCPU whose guest runs on a CPU of its own: it sleeps meanwhile */
	bool cpus_short; /* the kernel kept CPUs of the role out */
	unsigned int seen; /* number of the last look that found it */
	struct plan_sched before; /* since it entered, or was found */
	struct plan_sched now;
	struct plan_thread_cpus *cpus; /* NULL: not changed */
};

struct plan_threads {
	struct plan_thread *bucket[PLAN_BUCKETS];
	unsigned int count;
	unsigned int forget_at; /* so many are too many: plan_threads_forget() */
};

struct plan_thread *plan_threads_find(const struct plan_threads *threads, pid_t tid);

/* NULL without memory. */
struct plan_thread *plan_threads_add(struct plan_threads *threads, pid_t tgid, pid_t tid,
				     uint64_t start);
void plan_threads_remove(struct plan_threads *threads, struct plan_thread *thread);

/* The next of all threads; NULL for the first. The one given may not have been removed. */
struct plan_thread *plan_threads_next(const struct plan_threads *threads,
				      const struct plan_thread *thread);

/* Remove all. */
void plan_threads_clear(struct plan_threads *threads);

/* Is it still the thread that was added? */
bool plan_thread_alive(const struct plan_thread *thread);

/* Forget threads that ended. */
void plan_threads_prune(struct plan_threads *threads);

/*
 * The same, now and then: before a thread is added, so that a VMM whose threads come
 * and go for days without leaving does not fill the table.
 */
void plan_threads_forget(struct plan_threads *threads);

#endif
