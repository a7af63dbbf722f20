/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guards about the vCPUs and the plan itself: too many for their CPUs, and a
 * top priority that the kernel needs for itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"

static const char *list_of(const struct rtkvm_cpus *cpus, char *text, size_t size)
{
	if (rtkvm_cpus_print_list(cpus, text, size) < 0)
		snprintf(text, size, "of a long list");
	return text[0] ? text : "none";
}

/* A CPU of its own for each thread, if there is a way: Kuhn's matching. */
struct matching {
	const struct rtkvm_cpus *sets; /* one per thread */
	int *thread_on;                /* per CPU, -1: free */
	struct rtkvm_cpus tried;
};

static bool find_cpu(struct matching *m, int thread)
{
	int cpu = -1;

	while ((cpu = rtkvm_cpus_next(&m->sets[thread], (unsigned int)(cpu + 1))) >= 0) {
		if (rtkvm_cpus_has(&m->tried, (unsigned int)cpu))
			continue;
		rtkvm_cpus_add(&m->tried, (unsigned int)cpu);
		if (m->thread_on[cpu] < 0 || find_cpu(m, m->thread_on[cpu])) {
			m->thread_on[cpu] = thread;
			return true;
		}
	}
	return false;
}

static bool all_match(const struct rtkvm_cpus *sets, unsigned int count)
{
	struct matching m = { .sets = sets };
	bool fits = true;

	m.thread_on = malloc(RTKVM_MAX_CPUS * sizeof(*m.thread_on));
	if (!m.thread_on)
		return true;
	for (unsigned int i = 0; i < RTKVM_MAX_CPUS; i++)
		m.thread_on[i] = -1;
	for (unsigned int i = 0; fits && i < count; i++) {
		rtkvm_cpus_clear(&m.tried);
		fits = find_cpu(&m, (int)i);
	}
	free(m.thread_on);
	return fits;
}

/* vCPU threads that the VMM pinned itself: is there a CPU for each? */
static bool pinned_fit(const struct plan_facts *facts)
{
	const struct rtkvm_plan *plan = facts->plan;
	const struct plan_thread *t = NULL;
	struct rtkvm_cpus *sets;
	unsigned int n = 0;
	bool fits;

	if (facts->other)
		return all_match(facts->other->sets, facts->other->count);
	if (plan->cpus[RTKVM_ROLE_VCPU] || plan->rt->made_up || !facts->vcpus)
		return true;
	sets = malloc(facts->vcpus * sizeof(*sets));
	if (!sets)
		return true;
	while ((t = plan_threads_next(&plan->threads, t)))
		if (plan_spins(t) && n < facts->vcpus &&
		    plan_cpus_get(t->tid, &sets[n]) == 0)
			n++;
	while (n < facts->vcpus)
		sets[n++] = facts->process;
	fits = all_match(sets, n);
	free(sets);
	return fits;
}

bool plan_guard_none_spins(const struct plan_facts *facts, struct plan_finding *found)
{
	if (facts->vcpus || !facts->dedicated)
		return false;
	snprintf(found->reason, sizeof(found->reason),
		 "guests run on dedicated CPUs (%u), and their vCPU threads sleep meanwhile",
		 facts->dedicated);
	return true;
}

int plan_guard_overcommit(const struct plan_facts *facts, struct plan_finding *found)
{
	unsigned int count = rtkvm_cpus_count(&facts->cpus);
	struct rtkvm_cpus left = facts->process;
	char list[RTKVM_CPULIST_TEXT];

	if (plan_guard_none_spins(facts, found))
		return PLAN_GUARD_FINE;
	if (facts->vcpu.policy == RTKVM_POLICY_TS || !facts->vcpus) {
		snprintf(found->reason, sizeof(found->reason), "%s",
			 facts->vcpus ? "vCPU threads are not real-time" : "no vCPU thread yet");
		return PLAN_GUARD_FINE;
	}
	if (!facts->cpus_known) {
		snprintf(found->reason, sizeof(found->reason),
			 "cannot read the CPUs of the process in /proc/self/status");
		return PLAN_GUARD_UNKNOWN;
	}
	list_of(&facts->cpus, list, sizeof(list));
	for (unsigned int i = 0; i < RTKVM_CPULIST_WORDS; i++)
		left.bits[i] &= ~facts->cpus.bits[i];
	if (facts->vcpus <= count && pinned_fit(facts)) {
		snprintf(found->reason, sizeof(found->reason),
			 "%u vCPU threads on CPUs %.100s%s", facts->vcpus, list,
			 facts->vcpus == count && !rtkvm_cpus_count(&left) ?
				 "; the process has no other CPU, so its SCHED_OTHER threads run "
				 "only while a vCPU sleeps" :
				 "");
		return PLAN_GUARD_FINE;
	}
	snprintf(found->reason, sizeof(found->reason),
		 "%u vCPU threads have only CPUs %.100s%s: one that spins keeps another from "
		 "running for ever",
		 facts->vcpus, list,
		 facts->vcpus <= count ? ", and are pinned so that some share one" : "");
	snprintf(found->remedy, sizeof(found->remedy),
		 "give role vcpu a CPU per thread (rtkvm_plan_set_role_cpus()), or make fewer vCPUs");
	return PLAN_GUARD_OBJECTS;
}

int plan_guard_top(const struct plan_facts *facts, struct plan_finding *found)
{
	for (int role = 0; role < RTKVM_ROLE_COUNT; role++) {
		struct plan_sched_want want = plan_spec_role(&facts->plan->spec, role);

		if (want.priority < 99)
			continue;
		snprintf(found->reason, sizeof(found->reason),
			 "role %s runs at 99, level with the kernel's migration and watchdog threads",
			 plan_role_name(role));
		snprintf(found->remedy, sizeof(found->remedy), "take maxprio=98 or less");
		return PLAN_GUARD_OBJECTS;
	}
	snprintf(found->reason, sizeof(found->reason), "all roles run below 99");
	return PLAN_GUARD_FINE;
}
