/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tasks as /proc shows them: name, start time (which with the number is a
 * thread's identity), parent, flags, policy and priority, from one read of
 * "stat" (proc_pid_stat(5)).
 */
#ifndef RTKVM_TASK_H
#define RTKVM_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core.h"

/* Kernel threads have names of up to 63 characters, others of up to 15. */
#define RTKVM_COMM_MAX 64

/* A stat line: 52 numbers and a name. */
#define RTKVM_STAT_TEXT 2048

struct rtkvm_task {
	pid_t tid;
	pid_t ppid;
	uint64_t start; /* clock ticks since boot, never 0 */
	uint64_t cpu;   /* clock ticks that it ran */
	int policy;
	int priority;   /* real-time priority, 0 for none */
	bool kthread;
	char comm[RTKVM_COMM_MAX];
};

/* Take a stat line apart. 0 or -EILSEQ. */
int rtkvm_task_parse(const char *text, struct rtkvm_task *task);

/* Thread tid of process tgid, below the context's root. 0 or -errno, quiet. */
int rtkvm_task_read(struct rtkvm *rt, pid_t tgid, pid_t tid, struct rtkvm_task *task);

/*
 * Start time of a thread of this machine, never of a made-up tree. 0 or
 * -errno (-ESRCH: gone; others where /proc cannot be read).
 */
int rtkvm_task_start(pid_t tgid, pid_t tid, uint64_t *start);

#endif
