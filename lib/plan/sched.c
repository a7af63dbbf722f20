/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The scheduler's system calls, by number: what a C library makes of them
 * (musl refuses sched_setscheduler()) must not matter.
 *
 * Parameters are read with sched_getattr(2), one call for all of them, and
 * written with sched_setscheduler(2): of the two writers only that one keeps
 * nice value and slice of a thread that becomes SCHED_OTHER again.
 */
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sched.h"
#include "sync/self.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif
#define FLAG_RESET_ON_FORK 1 /* of sched_attr; SCHED_RESET_ON_FORK goes into a policy */

/* struct sched_attr of Linux 3.14; the C library's may clash with the kernel's. */
struct attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

int plan_sched_get(pid_t tid, struct plan_sched *sched)
{
	struct attr attr = { .size = sizeof(attr) };

	if (syscall(SYS_sched_getattr, tid, &attr, sizeof(attr), 0) < 0)
		return -errno;
	sched->policy = (int)attr.policy;
	sched->priority = (int)attr.priority;
	sched->reset = attr.flags & FLAG_RESET_ON_FORK;
	return 0;
}

int plan_sched_set(pid_t tid, const struct plan_sched *sched)
{
	struct sched_param param = { .sched_priority = sched->priority };
	int policy = sched->policy | (sched->reset ? SCHED_RESET_ON_FORK : 0);

	int ret = syscall(SYS_sched_setscheduler, tid, policy, &param) < 0 ? -errno : 0;

	/* ceilings of mutexes know priorities by heart */
	sync_priorities_changed();
	return ret;
}

int plan_sched_level(const struct plan_sched *sched)
{
	if (sched->policy == SCHED_DEADLINE)
		return 100;
	return sched->policy == SCHED_FIFO || sched->policy == SCHED_RR ? sched->priority : 0;
}

bool plan_sched_same(const struct plan_sched *a, const struct plan_sched *b)
{
	return a->policy == b->policy && a->priority == b->priority;
}

const char *plan_sched_print(const struct plan_sched *sched, char text[PLAN_SCHED_TEXT])
{
	static const char *const names[] = { "SCHED_OTHER", "SCHED_FIFO",     "SCHED_RR",
					     "SCHED_BATCH", NULL,	      "SCHED_IDLE",
					     "SCHED_DEADLINE", "SCHED_EXT" };
	unsigned int policy = (unsigned int)sched->policy;

	if (policy >= sizeof(names) / sizeof(names[0]) || !names[policy])
		snprintf(text, PLAN_SCHED_TEXT, "policy %d", sched->policy);
	else if (sched->priority)
		snprintf(text, PLAN_SCHED_TEXT, "%s %d", names[policy], sched->priority);
	else
		snprintf(text, PLAN_SCHED_TEXT, "%s", names[policy]);
	return text;
}

int plan_cpus_get(pid_t tid, struct rtkvm_cpus *cpus)
{
	rtkvm_cpus_clear(cpus);
	return syscall(SYS_sched_getaffinity, tid, sizeof(cpus->bits), cpus->bits) < 0 ? -errno :
											 0;
}

int plan_cpus_set(pid_t tid, const struct rtkvm_cpus *cpus)
{
	return syscall(SYS_sched_setaffinity, tid, sizeof(cpus->bits), cpus->bits) < 0 ? -errno :
											 0;
}

int plan_cpus_restore(pid_t tid, const struct rtkvm_cpus *before)
{
	struct rtkvm_cpus cpus;

	/* a wider set never moves a thread, so there is no detour over other CPUs */
	memset(&cpus, 0xff, sizeof(cpus));
	if (plan_cpus_set(tid, &cpus) == 0 && plan_cpus_get(tid, &cpus) == 0 &&
	    rtkvm_cpus_equal(&cpus, before))
		return 0;
	return plan_cpus_set(tid, before);
}
