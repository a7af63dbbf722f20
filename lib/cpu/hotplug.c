/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A CPU taken offline and online again loses the kernel's timers that are not
 * bound to it. One that is started again by its own handler stays on its CPU for
 * ever otherwise (kernel/time/timer.c: get_timer_this_cpu_base()).
 */
#include <errno.h>
#include <string.h>

#include "cpu_priv.h"

/* Journaled as the offline mode is: who dies in between leaves what restore undoes. */
static int cycle(struct rtkvm_cpu_lease *l, unsigned int cpu)
{
	struct rtkvm_journal *j = &l->lease->store.journal;
	int ret = rtkvm_lease_set_knob(l->lease, RTKVM_KNOB_CPU_ONLINE, cpu, "0");

	if (ret == 0)
		ret = rtkvm_lease_roll_back(l->lease, &j->changes[j->count - 1]);
	return ret;
}

int cpu_hotplug_cycle(struct rtkvm_cpu_lease *l)
{
	bool v1;
	int cpu = -1;

	if (!(l->flags & RTKVM_CPU_HOTPLUG)) {
		cpu_note(l, "kernel timers", false, "those that start again and again on these CPUs "
			 "stay: lease with RTKVM_CPU_HOTPLUG (rtkvm dedicate --hotplug)");
		return 0;
	}
	if (cpu_mode_has_partition(l->rt, &v1) && v1) {
		cpu_note(l, "kernel timers", false, "stay: with cgroup v1 a CPU that goes offline "
			 "leaves all cpusets for good");
		return 0;
	}
	while ((cpu = rtkvm_cpus_next(&l->cpus, (unsigned int)cpu + 1)) >= 0) {
		int ret = cycle(l, (unsigned int)cpu);

		if (ret == 0)
			continue;
		cpu_note(l, "kernel timers", true, "stay on CPU %d, which cannot go offline and come "
			 "back: %s", cpu, strerror(-ret));
	}
	return 0;
}
