/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a host is, as text, without librtkvm: scheduling of every thread, all
 * masks, CPUs, sysctls and cpusets. For the lease tests in an emulated host.
 */
#include <ctype.h>
#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease-host.h"

static void add(struct snapshot *s, const char *key, const char *value)
{
	if (s->count == s->room) {
		s->room = s->room ? 2 * s->room : 512;
		s->lines = realloc(s->lines, s->room * sizeof(*s->lines));
	}
	snprintf(s->lines[s->count].key, sizeof(s->lines[0].key), "%s", key);
	snprintf(s->lines[s->count++].value, sizeof(s->lines[0].value), "%s", value);
}

static void add_files(struct snapshot *s, const char *pattern)
{
	char text[4096];
	glob_t found;

	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			if (read_text(found.gl_pathv[i], text, sizeof(text)) >= 0)
				add(s, found.gl_pathv[i], text);
	globfree(&found);
}

/* Policy, priority and nice value from stat, CPUs from status, cgroups. */
static void add_thread(struct snapshot *s, const char *dir)
{
	char path[320], stat[2048], status[8192], group[1024], key[400], value[1400], comm[64];
	unsigned long long start;
	int nice, priority, policy;
	const char *cpus, *p;

	snprintf(path, sizeof(path), "%s/stat", dir);
	if (read_text(path, stat, sizeof(stat)) < 0)
		return;
	snprintf(path, sizeof(path), "%s/status", dir);
	if (read_text(path, status, sizeof(status)) < 0)
		return;
	snprintf(path, sizeof(path), "%s/cgroup", dir);
	if (read_text(path, group, sizeof(group)) < 0)
		return;
	p = strrchr(stat, ')');
	cpus = strstr(status, "Cpus_allowed_list:");
	if (!p || !cpus ||
	    sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %d %*d "
		   "%*d %llu %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %*d "
		   "%d %d", &nice, &start, &priority, &policy) != 4)
		return;
	snprintf(comm, sizeof(comm), "%.*s", (int)(p - strchr(stat, '(') + 1), strchr(stat, '('));
	/*
	 * The thread of an interrupt runs where the interrupt goes: to one CPU of its affinity
	 * (which is looked at), that the kernel chose and does not give up as long as it may stay.
	 */
	if (!strncmp(comm, "(irq/", 5))
		cpus = "Cpus_allowed_list:\tits own\n";
	snprintf(key, sizeof(key), "%s:%llu", dir, start);
	snprintf(value, sizeof(value), "%s policy %d priority %d nice %d cpus %.*s groups %s",
		 strncmp(comm, "(kworker/", 9) ? comm : "(kworker)", policy, priority, nice,
		 (int)strcspn(cpus + 19, "\n"), cpus + 19, group);
	add(s, key, value);
}

void snapshot_take(struct snapshot *s)
{
	glob_t found;

	memset(s, 0, sizeof(*s));
	if (glob("/proc/[0-9]*/task/[0-9]*", 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			add_thread(s, found.gl_pathv[i]);
	globfree(&found);
	add_files(s, "/proc/irq/*/smp_affinity_list");
	add_files(s, "/proc/irq/default_smp_affinity");
	add_files(s, "/sys/devices/virtual/workqueue/cpumask");
	add_files(s, "/sys/devices/virtual/workqueue/*/cpumask");
	add_files(s, "/sys/class/net/*/queues/*/?ps_cpus");
	add_files(s, "/proc/sys/net/core/rps_default_mask");
	add_files(s, "/proc/sys/kernel/timer_migration");
	add_files(s, "/proc/sys/kernel/sched_rt_*");
	add_files(s, "/proc/sys/kernel/watchdog_cpumask");
	add_files(s, "/proc/sys/vm/stat_interval");
	add_files(s, "/sys/devices/system/cpu/online");
	add_files(s, "/sys/devices/system/cpu/isolated");
	add_files(s, "/sys/devices/system/cpu/cpu*/power/pm_qos_resume_latency_us");
	add_files(s, "/sys/kernel/debug/sched/fair_server/cpu*/runtime");
	add_files(s, "/sys/kernel/mm/ksm/run");
	add_files(s, "/sys/fs/cgroup/cgroup.subtree_control");
	add_files(s, "/sys/fs/cgroup/cpuset.*");
	add_files(s, "/sys/fs/cgroup/*/cpuset.*");
	add_files(s, "/run/rtkvm/leased/*");
}

static const struct line *find(const struct snapshot *s, const char *key)
{
	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->lines[i].key, key))
			return &s->lines[i];
	return NULL;
}

/* Threads come and go by themselves; what is in one only is counted if it is a file. */
unsigned int snapshot_differences(const struct snapshot *a, const struct snapshot *b, bool print)
{
	unsigned int n = 0;

	for (size_t i = 0; i < a->count + b->count; i++) {
		bool first = i < a->count;
		const struct line *l = first ? &a->lines[i] : &b->lines[i - a->count];
		const struct line *other = find(first ? b : a, l->key);

		if (other ? !first || !strcmp(l->value, other->value) :
			    !strncmp(l->key, "/proc/", 6) && isdigit((unsigned char)l->key[6]))
			continue;
		n++;
		if (print)
			printf("# %s: \"%s\" then \"%s\"\n", l->key, first ? l->value : "",
			       first ? (other ? other->value : "") : l->value);
	}
	return n;
}

void snapshot_free(struct snapshot *s)
{
	free(s->lines);
	memset(s, 0, sizeof(*s));
}
