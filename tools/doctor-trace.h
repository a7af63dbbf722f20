/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's timerlat tracer (Documentation/trace/timerlat-tracer.rst) by
 * plain files of tracefs, and what it says taken apart.
 */
#ifndef RTKVM_DOCTOR_TRACE_H
#define RTKVM_DOCTOR_TRACE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rtkvm/rtkvm.h>

#define TRACE_CPUS 256
#define TRACE_NAMES 64
#define TRACE_STEP 256

/* Who interfered with a CPU, and how long in all. */
struct trace_noise {
	char name[64]; /* "irq local_timer:236", "thread migration/0:54", "softirq TIMER", "nmi" */
	unsigned int cpu, count;
	uint64_t total_ns, max_ns;
};

struct trace_result {
	uint64_t irq_ns[TRACE_CPUS], thread_ns[TRACE_CPUS]; /* the longest */
	unsigned int samples[TRACE_CPUS];
	struct trace_noise noise[TRACE_NAMES];
	unsigned int noises, lost;
};

/* One line of a trace; false: neither a sample nor a noise. */
bool trace_line(const char *line, struct trace_result *r);

/*
 * Run it for some seconds on these CPUs, or until *stop is not 0. What it
 * changes of the host is a lease's: it is given back before this returns, or
 * by rtkvm restore. 0; -ENOSYS: there is no such tracer here; another negative
 * errno, with what in step.
 */
int trace_run(struct rtkvm *rt, int seconds, const char *cpus, const volatile sig_atomic_t *stop,
	      struct trace_result *r, char step[TRACE_STEP]);

#endif
