/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy, priority and CPUs of one thread, straight from and to the kernel.
 * No errors recorded, no bookkeeping: that is place.c.
 */
#ifndef RTKVM_PLAN_SCHED_H
#define RTKVM_PLAN_SCHED_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/cpulist.h"

struct plan_sched {
	int policy;   /* the kernel's number, SCHED_DEADLINE and others as well */
	int priority; /* 1 to 99 for SCHED_FIFO and SCHED_RR, else 0 */
	bool reset;   /* SCHED_RESET_ON_FORK */
};

/* Room for "SCHED_DEADLINE 99". */
#define PLAN_SCHED_TEXT 32

/* 0 or -errno; tid 0 is the calling thread. */
int plan_sched_get(pid_t tid, struct plan_sched *sched);
int plan_sched_set(pid_t tid, const struct plan_sched *sched);

/* Comparable over policies: 0 not real-time, 1 to 99, 100 SCHED_DEADLINE. */
int plan_sched_level(const struct plan_sched *sched);

/* Same policy and priority. SCHED_RESET_ON_FORK is not looked at. */
bool plan_sched_same(const struct plan_sched *a, const struct plan_sched *b);

const char *plan_sched_print(const struct plan_sched *sched, char text[PLAN_SCHED_TEXT]);

/* 0 or -errno. */
int plan_cpus_get(pid_t tid, struct rtkvm_cpus *cpus);
int plan_cpus_set(pid_t tid, const struct rtkvm_cpus *cpus);

/*
 * Give a thread back the CPUs that it had. Since Linux 6.2 the kernel keeps
 * what was last asked for: where "all CPUs" comes to the same as before it is
 * asked for, so that the thread follows its cpuset again.
 */
int plan_cpus_restore(pid_t tid, const struct rtkvm_cpus *before);

#endif
