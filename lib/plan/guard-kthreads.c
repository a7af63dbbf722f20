/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guard: PREEMPT_RT with timer, softirq or RCU threads at or below the vCPUs
 * of their CPU. There timers, softirqs and RCU callbacks run in threads; a
 * vCPU that spins while it waits for one of them, as a booting guest does,
 * never gets it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/kthreads.h"
#include "guard.h"

enum { STOCK, PREEMPT_RT, UNREADABLE };

static int kernel_kind(struct rtkvm *rt)
{
	char text[1024];

	if (rtkvm_file_read_quiet(rt, "/sys/kernel/realtime", text, sizeof(text)) > 0 &&
	    !strcmp(text, "1"))
		return PREEMPT_RT;
	if (rtkvm_file_read_quiet(rt, "/proc/version", text, sizeof(text)) < 0)
		return UNREADABLE;
	return strstr(text, "PREEMPT_RT") ? PREEMPT_RT : STOCK;
}

/* CPU of a per-CPU thread that the vCPUs depend on; -1: another thread. */
static int cpu_of(const char *comm)
{
	static const char *const names[] = { "ktimers/", "ksoftirqd/", "rcuc/", "ktimersoftd/" };
	int64_t cpu;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);

		if (!strncmp(comm, names[i], len) &&
		    rtkvm_parse_i64(comm + len, 0, RTKVM_MAX_CPUS - 1, &cpu))
			return (int)cpu;
	}
	return -1;
}

static int ask_threads(const struct plan_facts *facts, const struct rtkvm_kthread_list *list,
		       struct plan_finding *found)
{
	unsigned int low = 0, seen = 0;
	struct rtkvm_task task;

	for (size_t i = 0; i < list->count; i++) {
		pid_t pid = list->pids[i];
		int cpu;

		if (rtkvm_task_read(facts->plan->rt, pid, pid, &task) < 0 || !task.kthread)
			continue;
		cpu = cpu_of(task.comm);
		if (cpu < 0 || !rtkvm_cpus_has(&facts->cpus, (unsigned int)cpu))
			continue;
		seen++;
		if (task.priority > facts->vcpu.priority || low++)
			continue;
		snprintf(found->reason, sizeof(found->reason),
			 "PREEMPT_RT, and %s (pid %d) has real-time priority %d, not above %d of the "
			 "vCPUs on its CPU: a guest that spins would livelock",
			 task.comm, task.tid, task.priority, facts->vcpu.priority);
		snprintf(found->remedy, sizeof(found->remedy), "chrt -f -p %d %d",
			 facts->vcpu.priority + 1, task.tid);
	}
	if (low > 1) {
		size_t len = strlen(found->remedy);

		snprintf(found->remedy + len, sizeof(found->remedy) - len,
			 ", and likewise for %u more (ktimers, ksoftirqd, rcuc)", low - 1);
	}
	if (low)
		return PLAN_GUARD_OBJECTS;
	snprintf(found->reason, sizeof(found->reason),
		 seen ? "PREEMPT_RT, and all %u timer, softirq and RCU threads of those CPUs are "
			"above the vCPUs" :
			"PREEMPT_RT, and its timer and softirq threads cannot be seen (%u)",
		 seen);
	return seen ? PLAN_GUARD_FINE : PLAN_GUARD_UNKNOWN;
}

int plan_guard_kthreads(const struct plan_facts *facts, struct plan_finding *found)
{
	struct rtkvm_kthread_list list = { .count = 0 };
	int kind = kernel_kind(facts->plan->rt), verdict = PLAN_GUARD_UNKNOWN;

	if (plan_guard_none_spins(facts, found))
		return PLAN_GUARD_FINE;
	if (facts->vcpu.policy == RTKVM_POLICY_TS || kind != PREEMPT_RT) {
		snprintf(found->reason, sizeof(found->reason), "%s",
			 facts->vcpu.policy == RTKVM_POLICY_TS ? "vCPU threads are not real-time" :
			 kind == STOCK ? "not PREEMPT_RT: timers and softirqs run above all threads" :
					 "cannot read /proc/version");
		return facts->vcpu.policy == RTKVM_POLICY_TS || kind == STOCK ? PLAN_GUARD_FINE :
										PLAN_GUARD_UNKNOWN;
	}
	if (facts->cpus_known && rtkvm_kthreads_list(facts->plan->rt, &list) == 0)
		verdict = ask_threads(facts, &list, found);
	else
		snprintf(found->reason, sizeof(found->reason),
			 "PREEMPT_RT, and the kernel's threads cannot be listed in /proc");
	rtkvm_kthreads_free(&list);
	return verdict;
}
