/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of the priorities of the kernel's own threads on real-time CPUs.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "read.h"

/* What is asked of threads called PREFIX + CPU. */
struct kthread_rule {
	const char *prefix;
	int priority;	    /* real-time priority, at least */
	bool any_cpu;	    /* its number is no CPU */
	const char *absent; /* there is none */
};

static void check_priority(struct host_facts *facts, const struct host_check *check,
			   struct host_finding *f)
{
	const struct kthread_rule *rule = check->arg;
	const struct host_task *first = NULL;
	const struct host_tasks *tasks;
	unsigned int seen = 0, low = 0;
	size_t len = strlen(rule->prefix);
	int ret;

	if (facts->preempt_rt < 0) {
		host_unreadable(facts, f, "/proc/version", facts->preempt_rt);
		return;
	}
	if (!facts->preempt_rt) {
		host_say(f, HOST_NA, "not PREEMPT_RT: this work is done above all threads");
		return;
	}
	if (!rule->any_cpu && !host_need_realtime(facts, f))
		return;
	ret = host_kthreads(facts, &tasks);
	if (ret < 0) {
		host_say(f, HOST_UNKNOWN, "the kernel's threads are not in /proc: %s",
			 ret == -ENOENT ? "hidden (a PID namespace, or hidepid)" : strerror(-ret));
		return;
	}
	for (size_t i = 0; i < tasks->count; i++) {
		const struct host_task *t = &tasks->task[i];
		int64_t number;

		if (strncmp(t->comm, rule->prefix, len) ||
		    (!rule->any_cpu && (!rtkvm_parse_i64(t->comm + len, 0, RTKVM_MAX_CPUS - 1, &number) ||
					!rtkvm_cpus_has(&facts->realtime.set, (unsigned int)number))))
			continue;
		seen++;
		if ((t->policy == SCHED_FIFO || t->policy == SCHED_RR) && t->priority >= rule->priority)
			continue;
		if (!low++)
			first = t;
	}
	if (!seen) {
		host_say(f, HOST_NA, "%s", rule->absent);
	} else if (!low) {
		host_say(f, HOST_OK, "%u threads at SCHED_FIFO %d or above", seen, rule->priority);
	} else {
		host_say(f, HOST_WARN, "%s (pid %d) has real-time priority %d, and %u more below %d",
			 first->comm, first->tid, first->priority, low - 1, rule->priority);
		host_remedy(f, RTKVM_REMEDY_COMMAND,
			    "for p in $(grep -l '^Name:[[:space:]]*%s' /proc/[0-9]*/status); do "
			    "p=${p%%/status}; chrt -f -p %d ${p##*/}; done", rule->prefix, rule->priority);
	}
}

static const struct kthread_rule ksoftirqd = { "ksoftirqd/", 2, false, "no ksoftirqd there" };
static const struct kthread_rule ktimers = { "ktimers/", 2, false, "no ktimers thread in this kernel" };
static const struct kthread_rule rcuc = { "rcuc/", 4, false, "callbacks of RCU are offloaded" };
static const struct kthread_rule rcub = { "rcub/", 4, true, "the kernel does not boost RCU" };
static const struct kthread_rule irq_threads = { "irq/", 1, true, "no threaded interrupt" };

const struct host_check host_checks_kthreads[] = {
	{ "sched-ksoftirqd", "sched", "softirq threads above ordinary ones", check_priority,
	  "On PREEMPT_RT softirqs of a CPU run in its ksoftirqd: without a priority, anything keeps "
	  "them waiting, and who waits for them.",
	  "tuned, profile realtime-virtual-host; kernel/softirq.c", &ksoftirqd },
	{ "sched-ktimers", "sched", "timer threads above ordinary ones", check_priority,
	  "On PREEMPT_RT timers expire in ktimers threads; a timer that waits for an ordinary thread "
	  "is late by its time slice.",
	  "tuned, profile realtime-virtual-host (pull request 464: as ksoftirqd); kernel/softirq.c",
	  &ktimers },
	{ "sched-rcuc", "sched", "RCU threads above ordinary ones", check_priority,
	  "Callbacks that do not run let grace periods and memory pile up until all CPUs are "
	  "interrupted.",
	  "Documentation/admin-guide/kernel-per-CPU-kthreads.rst, rcuc", &rcuc },
	{ "sched-rcub", "sched", "RCU boosting above ordinary threads", check_priority,
	  "The boost threads lift readers that were preempted; they must be above who preempts them.",
	  "kernel/rcu/tree_plugin.h, rcu_spawn_one_boost_kthread()", &rcub },
	{ "irq-threads", "irq", "threaded interrupts are real-time", check_priority,
	  "An interrupt thread that lost its priority waits for all ordinary threads of its CPU.",
	  "Documentation/core-api/genericirq.rst; kernel/irq/manage.c, irq_thread()", &irq_threads },
	{ .id = NULL },
};
