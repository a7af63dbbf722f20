/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Single knobs of the host and of each leased CPU: where new interrupts and
 * unbound kernel work go, timers, statistics, C-states and frequency.
 *
 * timer_migration: since Linux 6.9 a busy CPU expires the timers of idle ones
 * of its group, so a CPU that runs a guest would do the work of others; with
 * 0 each CPU keeps its own. stat_interval: the statistics of each CPU are
 * folded by a kernel worker on that CPU. The lockup detectors have a timer on
 * each of their CPUs and stop it for a moment every few seconds.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpu_priv.h"

/* A set of CPUs: take the leased ones out. */
static void take(struct rtkvm_cpu_lease *l, struct cpu_batch *batch, enum cpu_sort sort, int knob)
{
	char now[RTKVM_VALUE_MAX], to[RTKVM_VALUE_MAX];
	struct rtkvm_cpus is, rest;
	bool taken;

	if (rtkvm_knob_read(l->rt, knob, 0, now) < 0 || !rtkvm_knob_cpus(knob, now, &is) ||
	    !cpu_reduce(l, &is, &rest, false, &taken) || !rtkvm_knob_print_cpus(knob, &rest, to))
		return;
	cpu_batch_knob(batch, sort, knob, 0, now, to, taken);
}

/* A value, where there is such a knob. */
static void set(struct rtkvm_cpu_lease *l, struct cpu_batch *batch, enum cpu_sort sort, int knob,
		unsigned int index, const char *to)
{
	char now[RTKVM_VALUE_MAX];

	if (rtkvm_knob_read(l->rt, knob, index, now) == 0)
		cpu_batch_knob(batch, sort, knob, index, now, to, false);
}

static void find_of_cpu(struct rtkvm_cpu_lease *l, struct cpu_batch *batch, unsigned int cpu)
{
	char now[RTKVM_VALUE_MAX];

	if (!(l->flags & RTKVM_CPU_ALLOW_CSTATES)) {
		if (rtkvm_knob_read(l->rt, RTKVM_KNOB_CPU_LATENCY, cpu, now) == -ENOENT)
			cpu_note(l, "cstates", false,
				 "not held: this kernel has no pm_qos_resume_latency_us of its CPUs "
				 "(CONFIG_PM); boot with idle=poll or keep /dev/cpu_dma_latency "
				 "open at 0 if it has C-states");
		set(l, batch, CPU_CSTATES, RTKVM_KNOB_CPU_LATENCY, cpu, "n/a");
		set(l, batch, CPU_FREQUENCY, RTKVM_KNOB_CPU_GOVERNOR, cpu, "performance");
		set(l, batch, CPU_FREQUENCY, RTKVM_KNOB_CPU_EPP, cpu, "performance");
	}
	if (l->flags & RTKVM_CPU_NO_FAIR_SERVER)
		set(l, batch, CPU_FAIR_SERVER, RTKVM_KNOB_FAIR_SERVER, cpu, "0");
}

int cpu_find_masks(struct rtkvm_cpu_lease *l, struct cpu_batch *batch)
{
	take(l, batch, CPU_IRQ_DEFAULT, RTKVM_KNOB_IRQ_DEFAULT_AFFINITY);
	take(l, batch, CPU_WORKQUEUES, RTKVM_KNOB_WORKQUEUE_CPUMASK);
	take(l, batch, CPU_WATCHDOG, RTKVM_KNOB_WATCHDOG_CPUMASK);
	return 0;
}

int cpu_find_knobs(struct rtkvm_cpu_lease *l, struct cpu_batch *batch)
{
	set(l, batch, CPU_TIMERS, RTKVM_KNOB_TIMER_MIGRATION, 0, "0");
	set(l, batch, CPU_STATISTICS, RTKVM_KNOB_STAT_INTERVAL, 0, "3600");
	for (int cpu = -1; (cpu = rtkvm_cpus_next(&l->cpus, (unsigned int)cpu + 1)) >= 0;)
		find_of_cpu(l, batch, (unsigned int)cpu);
	return 0;
}
