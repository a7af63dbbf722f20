/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guard: may this process raise its threads and lock its memory? Rules of
 * sched_setscheduler(2), mlockall(2), and of CONFIG_RT_GROUP_SCHED: a thread
 * in a v1 cpu cgroup without real-time runtime gets EPERM, root's as well.
 */
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cgroup.h"
#include "core/file.h"
#include "guard.h"

#define CGROUP_TEXT 16384

/* sched_setscheduler() and mlock() ask for it in the initial user namespace. */
static bool has_capability(struct rtkvm *rt, unsigned int cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	unsigned long long inner, outer, count;
	char map[4096];

	if (syscall(SYS_capget, &head, data) < 0 || !(data[cap / 32].effective >> (cap % 32) & 1))
		return false;
	if (rtkvm_file_read_quiet(rt, "/proc/self/uid_map", map, sizeof(map)) <= 0)
		return true;
	return sscanf(map, "%llu %llu %llu", &inner, &outer, &count) != 3 ||
	       (inner == 0 && outer == 0 && count == UINT_MAX);
}

/* Is there real-time runtime for the tasks of this /proc/.../cgroup file? */
static bool cgroup_may(struct rtkvm *rt, const char *cgroup_file, struct plan_finding *found)
{
	char *cgroup = malloc(2 * CGROUP_TEXT), *mounts = cgroup ? cgroup + CGROUP_TEXT : NULL;
	char path[RTKVM_PATH_MAX], text[64];
	bool may = true;

	if (!cgroup)
		return true;
	if (rtkvm_file_read_quiet(rt, cgroup_file, cgroup, CGROUP_TEXT) > 0 &&
	    rtkvm_file_read_quiet(rt, "/proc/self/mountinfo", mounts, CGROUP_TEXT) > 0 &&
	    rtkvm_cgroup_rt_file(cgroup, mounts, path, sizeof(path)) &&
	    rtkvm_file_read_quiet(rt, path, text, sizeof(text)) > 0 && !strcmp(text, "0")) {
		may = false;
		snprintf(found->where, sizeof(found->where), "%.255s", path);
		snprintf(found->reason, sizeof(found->reason),
			 "the cpu cgroup has no real-time runtime (%.300s is 0)", path);
		snprintf(found->remedy, sizeof(found->remedy),
			 "give it some, e.g. echo 900000 > %.120s (its parents need as much), or move "
			 "the process to another cpu cgroup", path);
	}
	free(cgroup);
	return may;
}

static bool cgroups_may(struct rtkvm_plan *plan, const struct plan_thread *thread,
			struct plan_finding *found)
{
	const struct plan_thread *t = NULL;
	char file[64];

	if (thread) {
		snprintf(file, sizeof(file), "/proc/%d/task/%d/cgroup", thread->tgid, thread->tid);
		return cgroup_may(plan->rt, file, found);
	}
	if (!cgroup_may(plan->rt, "/proc/self/cgroup", found))
		return false;
	while ((t = plan_threads_next(&plan->threads, t)))
		if (!plan->rt->made_up && !cgroups_may(plan, t, found))
			return false;
	return true;
}

bool plan_guard_may_raise(struct rtkvm_plan *plan, int priority, const struct plan_thread *thread,
			  struct plan_finding *found)
{
	struct rlimit limit = { 0, 0 };

	getrlimit(RLIMIT_RTPRIO, &limit);
	if (!has_capability(plan->rt, CAP_SYS_NICE) && limit.rlim_cur < (rlim_t)priority) {
		snprintf(found->reason, sizeof(found->reason),
			 "priority %d needs CAP_SYS_NICE or an RLIMIT_RTPRIO of %d, which is %llu",
			 priority, priority, (unsigned long long)limit.rlim_cur);
		snprintf(found->remedy, sizeof(found->remedy),
			 "give the process CAP_SYS_NICE, or rtprio %d in limits.conf "
			 "(LimitRTPRIO=%d of systemd)", priority, priority);
		return false;
	}
	return cgroups_may(plan, thread, found);
}

static bool may_lock(struct rtkvm_plan *plan, struct plan_finding *found)
{
	struct rlimit limit = { 0, 0 };
	char status[8192], text[32];
	unsigned long long size;

	if (has_capability(plan->rt, CAP_IPC_LOCK))
		return true;
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY)
		return true;
	if (rtkvm_file_read_quiet(plan->rt, "/proc/self/status", status, sizeof(status)) < 0 ||
	    !plan_status_value(status, "VmSize", text, sizeof(text)) ||
	    sscanf(text, "%18llu kB", &size) != 1)
		return true;
	if (limit.rlim_cur / 1024 >= size)
		return true;
	snprintf(found->reason, sizeof(found->reason),
		 "locking the %llu kB of this process needs CAP_IPC_LOCK or an RLIMIT_MEMLOCK of "
		 "that, which is %llu kB", size, (unsigned long long)limit.rlim_cur / 1024);
	snprintf(found->remedy, sizeof(found->remedy),
		 "give the process CAP_IPC_LOCK, or memlock unlimited in limits.conf "
		 "(LimitMEMLOCK=infinity of systemd)");
	return false;
}

/* The soft limit of another process; false: cannot be read. */
static bool limit_of(struct rtkvm *rt, pid_t pid, unsigned long long *priority)
{
	static const char key[] = "Max realtime priority";
	char path[64], text[4096], *line;

	snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	if (rtkvm_file_read_quiet(rt, path, text, sizeof(text)) < 0)
		return false;
	line = strstr(text, key);
	if (!line)
		return false;
	*priority = ULLONG_MAX;
	line += strlen(key);
	line += strspn(line, " ");
	return !strncmp(line, "unlimited", 9) || sscanf(line, "%18llu", priority) == 1;
}

/* Of another's threads the kernel asks for its user and its limit, not for ours. */
static int ask_other(const struct plan_facts *facts, int top, struct plan_finding *found)
{
	struct rtkvm *rt = facts->plan->rt;
	pid_t pid = facts->other->pid;
	unsigned long long limit;
	char file[64];

	snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	if (!cgroup_may(rt, file, found))
		return PLAN_GUARD_OBJECTS;
	if (has_capability(rt, CAP_SYS_NICE)) {
		snprintf(found->reason, sizeof(found->reason),
			 "may run threads of process %d at priority %d", pid, top);
		return PLAN_GUARD_FINE;
	}
	if (!limit_of(rt, pid, &limit)) {
		snprintf(found->reason, sizeof(found->reason), "cannot read /proc/%d/limits", pid);
		return PLAN_GUARD_UNKNOWN;
	}
	if (limit >= (unsigned long long)top) {
		snprintf(found->reason, sizeof(found->reason),
			 "the RLIMIT_RTPRIO of process %d allows priority %d to its user", pid, top);
		return PLAN_GUARD_FINE;
	}
	snprintf(found->reason, sizeof(found->reason),
		 "priority %d needs CAP_SYS_NICE, or an RLIMIT_RTPRIO of %d of process %d, which is "
		 "%llu", top, top, pid, limit);
	snprintf(found->remedy, sizeof(found->remedy),
		 "run this as root, or start that process with rtprio %d in limits.conf "
		 "(LimitRTPRIO=%d of systemd), or: prlimit --rtprio=%d --pid %d, as root", top, top,
		 top, pid);
	return PLAN_GUARD_OBJECTS;
}

int plan_guard_privilege(const struct plan_facts *facts, struct plan_finding *found)
{
	struct rtkvm_plan *plan = facts->plan;
	int top = 0;

	for (int role = 0; role < RTKVM_ROLE_COUNT; role++) {
		int priority = plan_spec_role(&plan->spec, role).priority;

		if (priority > top)
			top = priority;
	}
	if (top && facts->other)
		return ask_other(facts, top, found);
	if (top && (!plan_guard_may_raise(plan, top, NULL, found) || !may_lock(plan, found)))
		return PLAN_GUARD_OBJECTS;
	if (top)
		snprintf(found->reason, sizeof(found->reason),
			 "may run threads at priority %d and lock its memory", top);
	else
		snprintf(found->reason, sizeof(found->reason), "a plan without real-time needs none");
	return PLAN_GUARD_FINE;
}
