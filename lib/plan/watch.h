/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inner side of a watch: the object, and the looks at /proc that it takes.
 */
#ifndef RTKVM_PLAN_WATCH_H
#define RTKVM_PLAN_WATCH_H

#include "guard.h"
#include "plan.h"

/* Tasks found by one look, in the order in which they were found. */
struct plan_look {
	struct plan_task *tasks;
	size_t count;
	size_t room;
	size_t own; /* the first so many are the process's, the rest the kernel's */
};

/* Kernel threads that are known, so that only new ones are read. */
struct plan_known {
	struct plan_known_kthread {
		pid_t pid;
		pid_t owner; /* thread or process in whose name it was made; 0: none */
	} *kthreads;
	size_t count;
	unsigned int looks; /* since all were read */
};

struct rtkvm_watch {
	struct rtkvm_plan *plan;
	struct rtkvm_lease *lease;
	pid_t owner;    /* process that made the watch */
	pid_t pid;      /* process that is watched */
	uint64_t start; /* its start time; 0: not known */
	int epoll_fd;
	int timer_fd;
	int pid_fd; /* -1: the own process, or no pidfd_open(2) */
	unsigned int interval_ms;
	unsigned int looks;
	struct plan_known known;
	struct plan_threads foreign; /* threads of another process */
};

/* Let the descriptor become readable after so many ms, if that is sooner. */
void plan_watch_hurry(struct rtkvm_watch *watch, unsigned int ms);

/*
 * All threads of the process that exist when this is called, and the kernel
 * threads made in its name. 0, or -ESRCH when the process is gone, -EACCES,
 * -ENOMEM; quiet.
 */
int plan_look_take(struct rtkvm *rt, pid_t pid, struct plan_known *known, struct plan_look *look);
void plan_look_free(struct plan_look *look);
void plan_known_free(struct plan_known *known);

/*
 * Is this name the one that a thread got from its maker, rather than its own?
 * So it is taken for, while an older thread of the process has it as well,
 * for the first PLAN_SETTLE_MS, and on until the thread slept once (then it
 * is past its start), but for no longer than PLAN_SETTLED_MS.
 */
#define PLAN_SETTLE_MS 20
#define PLAN_SETTLED_MS 1000
bool plan_look_borrowed(struct rtkvm *rt, pid_t pid, const struct plan_look *look,
			const struct plan_task *task);

#endif
