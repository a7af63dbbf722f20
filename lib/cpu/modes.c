/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taking CPUs further away than by moving things: into a cpuset of their own,
 * or offline.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu_priv.h"

static bool has_word(const char *text, const char *word)
{
	char padded[1100], find[40];

	snprintf(padded, sizeof(padded), " %.1000s ", text);
	snprintf(find, sizeof(find), " %s ", word);
	return strstr(padded, find) != NULL;
}

bool cpu_mode_has_partition(struct rtkvm *rt, bool *v1)
{
	char base[RTKVM_PATH_MAX / 2], path[RTKVM_PATH_MAX], text[1024];

	*v1 = false;
	if (rtkvm_cgroup_mount(rt, 2, base) == 0) {
		snprintf(path, sizeof(path), "%s/cgroup.controllers", base);
		if (rtkvm_file_read_quiet(rt, path, text, sizeof(text)) >= 0 &&
		    has_word(text, "cpuset"))
			return true;
	}
	*v1 = rtkvm_cgroup_mount(rt, 1, base) == 0;
	return *v1;
}

/* The memory nodes of the root: a cpuset without any cannot be used. */
static int root_nodes(struct rtkvm *rt, bool v1, char *out, size_t size)
{
	char base[RTKVM_PATH_MAX / 2], path[RTKVM_PATH_MAX];
	ssize_t len;

	rtkvm_cgroup_mount(rt, v1 ? 1 : 2, base);
	snprintf(path, sizeof(path), "%s/%s", base,
		 v1 ? "cpuset.mems" : "cpuset.mems.effective");
	len = rtkvm_file_read_quiet(rt, path, out, size);
	return len > 0 ? 0 : len < 0 ? (int)len : -ENODATA;
}

/* One try; the errno and what the kernel shows instead. */
static int try(struct rtkvm_cpu_lease *l, const char *kind, const char *nodes, char shown[96])
{
	struct rtkvm_batch_item item = { .change.kind = RTKVM_CHANGE_PARTITION };
	struct rtkvm_change *c = &item.change;
	char cpus[RTKVM_VALUE_MAX / 2], text[RTKVM_VALUE_MAX];
	int ret;

	if (rtkvm_cpus_print_list(&l->cpus, cpus, sizeof(cpus)) <= 0)
		return -EINVAL;
	snprintf(text, sizeof(text), "%s:%s:%s", kind, cpus, nodes);
	c->start = l->id;
	c->before = strdup("-");
	c->after = strdup(text);
	if (!c->before || !c->after) {
		rtkvm_change_clear(c);
		return -ENOMEM;
	}
	ret = rtkvm_lease_apply(l->lease, &item, 1);
	memcpy(shown, item.now, sizeof(item.now));
	if (ret == 0)
		ret = item.result;
	if (ret == 0)
		snprintf(l->partition, sizeof(l->partition), "%s", kind);
	return ret;
}

/* Linux 6.12 makes no partition of such CPUs (cpuset.c: prstate_housekeeping_conflict()). */
static bool isolated_by_boot(struct rtkvm_cpu_lease *l)
{
	struct rtkvm_cpus isolated;

	return cpu_topology_list(l->rt, "/sys/devices/system/cpu/isolated", &isolated) == 0 &&
	       rtkvm_cpus_subset(&l->cpus, &isolated);
}

static int make_partition(struct rtkvm_cpu_lease *l, bool v1)
{
	char nodes[RTKVM_VALUE_MAX / 4], shown[96] = "", now[RTKVM_VALUE_MAX];
	int ret = root_nodes(l->rt, v1, nodes, sizeof(nodes));

	if (ret < 0)
		return rtkvm_fail(l->rt, -ret, "cpuset", NULL, "cannot read the root's nodes");
	if (v1)
		ret = try(l, "v1", nodes, shown);
	else {
		if (rtkvm_knob_read(l->rt, RTKVM_KNOB_CGROUP_CPUSET, 0, now) == 0) {
			ret = rtkvm_lease_set_knob(l->lease, RTKVM_KNOB_CGROUP_CPUSET, 0, "1");
			if (ret < 0)
				return ret;
		}
		ret = try(l, "isolated", nodes, shown);
		if (ret == -EIO)
			ret = try(l, "root", nodes, shown);
	}
	if (ret < 0)
		return rtkvm_fail(l->rt, -ret, v1 ? "cpuset (cgroup v1)" : "cpuset.cpus.partition",
				  isolated_by_boot(l) ?
				  "the boot isolates these CPUs (isolcpus): use RTKVM_CPU_BEST" :
				  "see that no other cgroup has these CPUs exclusively; or use "
				  "RTKVM_CPU_AFFINITY",
				  "no partition: %s%s%s", strerror(-ret),
				  *shown ? ", the kernel shows " : "", shown);
	return 0;
}

/* A thread of a cgroup below the root cannot enter a threaded child of the root. */
static bool may_enter(struct rtkvm *rt, char group[256])
{
	char text[4096], *line;

	group[0] = '\0';
	if (rt->made_up || rtkvm_file_read_quiet(rt, "/proc/self/cgroup", text, sizeof(text)) < 0)
		return true;
	line = strstr(text, "0::");
	if (!line)
		return true;
	snprintf(group, 256, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
	return !strcmp(group, "/");
}

/* In a pid namespace they are not seen, and what the kernel does to them could not be undone. */
static bool sees_kernel_threads(struct rtkvm *rt)
{
	char text[64];

	return rt->made_up || (rtkvm_file_read_quiet(rt, "/proc/2/comm", text, sizeof(text)) > 0 &&
			       !strcmp(text, "kthreadd"));
}

static int partition(struct rtkvm_cpu_lease *l, bool best)
{
	char group[256];
	bool v1;
	int ret;

	if (!sees_kernel_threads(l->rt)) {
		cpu_note(l, "pid namespace", true, "threads outside of it are not seen, and stay: "
			 "lease in the host's pid namespace");
		if (!best)
			return rtkvm_fail(l->rt, EPERM, "pid namespace",
					  "lease in the host's, or use RTKVM_CPU_AFFINITY",
					  "a partition moves kernel threads, which are not seen here");
		cpu_note(l, "partition", false, "would move kernel threads, which are not seen in "
			 "this pid namespace: affinity only");
		return 0;
	}
	if (!cpu_mode_has_partition(l->rt, &v1)) {
		if (!best)
			return rtkvm_fail(l->rt, EOPNOTSUPP, "cgroup", "mount cgroup2 with the "
					  "cpuset controller, or use RTKVM_CPU_AFFINITY",
					  "no cpuset controller here");
		cpu_note(l, "partition", false, "no cpuset controller here: affinity only");
		return 0;
	}
	if (geteuid() != 0 && !l->rt->made_up) {
		if (!best)
			return rtkvm_fail(l->rt, EPERM, "cgroup", "run as root",
					  "a partition takes root");
		cpu_note(l, "partition", false, "takes root: affinity only");
		return 0;
	}
	if (best && !v1 && !may_enter(l->rt, group)) {
		cpu_note(l, "partition", false,
			 "this process is in the cgroup %.200s, from which no thread may enter a "
			 "partition of the root: affinity only", group);
		return 0;
	}
	ret = make_partition(l, v1);
	if (ret == 0)
		l->mode = RTKVM_CPU_PARTITION;
	else if (best && isolated_by_boot(l)) {
		cpu_note(l, "partition", false, "not needed: the boot isolates these CPUs (isolcpus), "
			 "and the kernel then makes no partition of them: affinity only");
		ret = 0;
	} else if (best) {
		cpu_note(l, "partition", false, "%.400s: affinity only", rtkvm_last_error_what());
		ret = 0;
	}
	return ret;
}

static int offline(struct rtkvm_cpu_lease *l)
{
	int ret = 0;

	for (int cpu = -1; (cpu = rtkvm_cpus_next(&l->cpus, (unsigned int)cpu + 1)) >= 0 &&
			   ret == 0;)
		ret = rtkvm_lease_set_knob(l->lease, RTKVM_KNOB_CPU_ONLINE, (unsigned int)cpu, "0");
	if (ret == 0)
		l->mode = RTKVM_CPU_OFFLINE;
	return ret;
}

bool cpu_mode_any_offline(const struct rtkvm_cpu_lease *l)
{
	return l->mode == RTKVM_CPU_OFFLINE && !rtkvm_cpus_subset(&l->cpus, &l->back);
}

int cpu_mode_bring_online(struct rtkvm_cpu_lease *l, unsigned int cpu)
{
	struct rtkvm_journal *j = &l->lease->store.journal;

	for (size_t i = j->count; i-- > 0;) {
		struct rtkvm_change *c = &j->changes[i];
		bool dedicated;

		if (c->undone || c->kind != RTKVM_CHANGE_KNOB ||
		    c->knob != RTKVM_KNOB_CPU_ONLINE || c->index != cpu)
			continue;
		if (rtkvm_lease_roll_back(l->lease, c) == 0)
			break;
		dedicated = rtkvm_cpu_dedicated(l->rt, cpu);
		return rtkvm_fail(l->rt, dedicated ? EBUSY : EIO, "cpu-online",
				  dedicated ? "end the vCPU that runs there" :
					      "see what the kernel says (dmesg)",
				  "CPU %u does not come online", cpu);
	}
	rtkvm_cpus_add(&l->back, cpu);
	return 0;
}

int cpu_mode_enter(struct rtkvm_cpu_lease *l, int wanted)
{
	l->mode = RTKVM_CPU_AFFINITY;
	if (wanted == RTKVM_CPU_OFFLINE)
		return offline(l);
	return wanted == RTKVM_CPU_AFFINITY ? 0 : partition(l, wanted == RTKVM_CPU_BEST);
}
