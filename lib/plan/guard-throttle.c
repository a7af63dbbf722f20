/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guard: RT throttling, and the fair server that took its place in Linux
 * 6.12 (kernel/sched/deadline.c). Both take the CPU from a real-time thread
 * that does not sleep.
 */
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "guard.h"

#define PROC_SCHED "/proc/sys/kernel/sched_rt_"
#define FAIR_SERVER "/sys/kernel/debug/sched/fair_server"

/* The fair server came with 6.12. */
static bool has_fair_server(struct rtkvm *rt)
{
	unsigned int major = 0, minor = 0;
	char release[256];

	if (rtkvm_file_read_quiet(rt, "/proc/sys/kernel/osrelease", release, sizeof(release)) < 0)
		return true; /* rather ask for nothing than miss it */
	if (sscanf(release, "%5u.%5u", &major, &minor) != 2)
		return true;
	return major > 6 || (major == 6 && minor >= 12);
}

static bool read_number(struct rtkvm *rt, const char *path, int64_t *value)
{
	char text[64];

	return rtkvm_file_read_quiet(rt, path, text, sizeof(text)) > 0 &&
	       rtkvm_parse_i64(text, INT64_MIN, INT64_MAX, value);
}

static int ask_fair_server(const struct plan_facts *facts, struct plan_finding *found)
{
	char path[RTKVM_PATH_MAX];
	int64_t runtime;
	int cpu = -1;

	while ((cpu = rtkvm_cpus_next(&facts->cpus, (unsigned int)(cpu + 1))) >= 0) {
		snprintf(path, sizeof(path), FAIR_SERVER "/cpu%d/runtime", cpu);
		if (!read_number(facts->plan->rt, path, &runtime)) {
			snprintf(found->reason, sizeof(found->reason),
				 "no RT throttling, but the fair server of CPU %d cannot be read "
				 "(" FAIR_SERVER "; mount debugfs and be root): it takes 50 of 1000 ms "
				 "unless somebody set it to 0", cpu);
			return PLAN_GUARD_UNKNOWN;
		}
		if (runtime == 0)
			continue;
		snprintf(found->where, sizeof(found->where), "%.250s", path);
		snprintf(found->reason, sizeof(found->reason),
			 "the fair server of CPU %d takes up to %lld ns per period from a real-time "
			 "thread that does not sleep", cpu, (long long)runtime);
		snprintf(found->remedy, sizeof(found->remedy),
			 "let the guest sleep, or echo 0 > %.120s (EBUSY from Linux 6.12 in a cpuset "
			 "partition: then only with kernel.sched_rt_runtime_us=-1)", path);
		return PLAN_GUARD_OBJECTS;
	}
	snprintf(found->reason, sizeof(found->reason),
		 "no RT throttling, and the fair server is off on those CPUs");
	return PLAN_GUARD_FINE;
}

int plan_guard_throttle(const struct plan_facts *facts, struct plan_finding *found)
{
	struct rtkvm *rt = facts->plan->rt;
	int64_t runtime, period;

	if (plan_guard_none_spins(facts, found))
		return PLAN_GUARD_FINE;
	if (facts->vcpu.policy == RTKVM_POLICY_TS) {
		snprintf(found->reason, sizeof(found->reason), "vCPU threads are not real-time");
		return PLAN_GUARD_FINE;
	}
	if (!read_number(rt, PROC_SCHED "runtime_us", &runtime) ||
	    !read_number(rt, PROC_SCHED "period_us", &period)) {
		snprintf(found->reason, sizeof(found->reason),
			 "cannot read " PROC_SCHED "runtime_us and _period_us");
		return PLAN_GUARD_UNKNOWN;
	}
	if (runtime >= 0 && runtime < period) {
		snprintf(found->where, sizeof(found->where), PROC_SCHED "runtime_us");
		snprintf(found->reason, sizeof(found->reason),
			 "real-time threads get %lld of %lld us per CPU: one that does not sleep is "
			 "stopped for %lld us", (long long)runtime, (long long)period,
			 (long long)(period - runtime));
		snprintf(found->remedy, sizeof(found->remedy),
			 "let the guest sleep; sysctl kernel.sched_rt_runtime_us=-1 lifts it for the "
			 "whole host, which a spinning thread can then hang");
		return PLAN_GUARD_OBJECTS;
	}
	if (has_fair_server(rt) && facts->cpus_known)
		return ask_fair_server(facts, found);
	snprintf(found->reason, sizeof(found->reason), "no RT throttling%s",
		 has_fair_server(rt) ? "; which CPUs' fair server matters is not known" : "");
	return has_fair_server(rt) ? PLAN_GUARD_UNKNOWN : PLAN_GUARD_FINE;
}
