/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inner side of a thread plan, as the files of this folder see it.
 */
#ifndef RTKVM_PLAN_INNER_H
#define RTKVM_PLAN_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include <rtkvm/plan.h>

#include "core/core.h"
#include "core/cpulist.h"
#include "core/reports.h"
#include "spec.h"
#include "threads.h"

/* Longest pattern of a rule, with its terminator. */
#define PLAN_PATTERN_MAX 64

struct plan_rule {
	struct plan_rule *next; /* the one added before */
	int role;
	char pattern[PLAN_PATTERN_MAX];
};

/* What was done to the process's memory; see memory.c. */
struct plan_memory {
	bool locked;         /* by this plan */
	bool future_before;  /* the process had locked future mappings itself */
	long locked_before;  /* kB that it had locked itself */
};

struct rtkvm_plan {
	struct rtkvm *rt;
	struct plan_spec spec;
	struct rtkvm_cpus *cpus[RTKVM_ROLE_COUNT]; /* NULL: do not care */
	struct plan_rule *rules;                   /* the last one added first */
	unsigned int allowed;                      /* guards that are overridden */

	/* process that the rest is about; -1 while a forked child takes over */
	_Atomic pid_t pid;
	pthread_mutex_t lock;
	atomic_bool realtime;
	struct plan_threads threads;
	struct plan_memory memory;
};

/*
 * Lock the plan. In a child made by fork(2) the first call takes over: the
 * parent's threads are forgotten, not undone, and nothing is real-time.
 * Any thread of any priority may wait for it: it inherits priorities.
 */
void plan_lock(struct rtkvm_plan *plan);
void plan_unlock(struct rtkvm_plan *plan);

/* Role of a thread by its name: the plan's rules, the built-in ones, helper. */
int plan_role_by_name(const struct rtkvm_plan *plan, const char *comm);

/* Built-in and own rules share this. */
bool plan_role_known(int role);

/*
 * place.c: bring a thread to its role. Returns 1 if something was changed, 0
 * if nothing was to be done or it is left alone, -ESRCH (no error recorded) if
 * it ended, or another -errno with the error recorded and the thread as it
 * was. With a lease its changes are journaled.
 */
int plan_place(struct rtkvm_plan *plan, struct plan_thread *thread, struct rtkvm_lease *lease);

/*
 * Give a thread back what it had. 0, 1 if someone else changed it since (it
 * has an item in the report), or -errno (likewise). An ended thread is fine.
 */
int plan_unplace(struct rtkvm_plan *plan, struct plan_thread *thread,
		 struct rtkvm_report *report);

/* Room for "thread 4194304 (name)". */
#define PLAN_THREAD_TEXT (RTKVM_COMM_MAX + 24)
const char *plan_thread_print(const struct plan_thread *thread, char text[PLAN_THREAD_TEXT]);

/* memory.c: lock and unlock, each with its item in the report. 0 or -errno. */
int plan_memory_lock(struct rtkvm_plan *plan, struct rtkvm_report *report);
int plan_memory_unlock(struct rtkvm_plan *plan, struct rtkvm_report *report);

/* guard.c: a vCPU thread whose guest runs where it does. */
bool plan_spins(const struct plan_thread *thread);

/* guard.c: an item per guard; -EPERM, with the error recorded, if one refuses. */
int plan_guards(struct rtkvm_plan *plan, unsigned int vcpus, struct rtkvm_report *report);

/* enter.c: does the guest of that vCPU thread run on a dedicated CPU? An unknown one: nothing. */
void plan_set_dedicated(struct rtkvm_plan *plan, pid_t tid, bool dedicated);

/* realtime.c: rtkvm_plan_undo() with the lock held. */
int plan_undo(struct rtkvm_plan *plan, struct rtkvm_report *report);

#endif
