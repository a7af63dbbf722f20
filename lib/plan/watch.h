/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inner side of a watch: the object, and the looks at /proc that it takes.
 */
#ifndef RTKVM_PLAN_WATCH_H
#define RTKVM_PLAN_WATCH_H

#include "core/kthreads.h"
#include "devices.h"
#include "plan.h"

/* Set of thread numbers, open addressing; 0 is no number. */
struct plan_tid_set {
	pid_t *slot;
	size_t size; /* power of two */
	size_t count;
};

/*
 * Tasks found by one look, in the order in which they were found. Zero at
 * first; its buffers are kept from one look to the next: to map memory while
 * other threads of the process do may take long.
 */
struct plan_look {
	struct rtkvm_task *tasks;
	size_t count;
	size_t room;
	size_t own; /* the first so many are the process's, the rest the kernel's */
	struct plan_devices devices; /* of the VM, too */
	struct plan_tid_set seen;
	struct rtkvm_kthread_list kthreads;
	/* kernel threads that are known, so that only new ones are read */
	struct plan_known {
		pid_t pid;
		pid_t owner; /* thread or process in whose name it was made; 0: none */
		bool device; /* it is some device's */
	} *known, *known_next;
	size_t known_count;
	size_t known_room;
	unsigned int known_looks; /* since all were read */
};

/* What a caller knows of a thread: wins over names. */
struct plan_assigned {
	pid_t tid;
	uint64_t start;
	int role;
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
	struct plan_look look;
	struct plan_threads foreign; /* threads of another process */
	struct plan_assigned *assigned;
	size_t assigned_count;
	size_t assigned_room;
};

/* The role that the caller gave this thread; -1: none. */
int plan_watch_assigned(const struct rtkvm_watch *watch, const struct rtkvm_task *task);

/* Let the descriptor become readable after so many ms, if that is sooner. */
void plan_watch_hurry(struct rtkvm_watch *watch, unsigned int ms);

/*
 * All threads of the process that exist when this is called, and the kernel
 * threads made in its name or for its devices. 0, or -ESRCH when the process is gone, -EACCES,
 * -ENOMEM; quiet.
 */
int plan_look_take(struct rtkvm *rt, pid_t pid, struct plan_look *look);
void plan_look_free(struct plan_look *look);

/*
 * Is this name the one that a thread got from its maker, rather than its own?
 * It is taken for that while an older thread of the process has it too, for
 * PLAN_SETTLE_MS, and on until the thread is seen past its start: asleep in a
 * system call, or with PLAN_SETTLED_MS of CPU time behind it.
 */
#define PLAN_SETTLE_MS 20
#define PLAN_SETTLED_MS 50
bool plan_look_borrowed(struct rtkvm *rt, pid_t pid, const struct plan_look *look,
			const struct rtkvm_task *task);

#endif
