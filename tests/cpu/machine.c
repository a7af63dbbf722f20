/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See machine.h. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine.h"

static void put(const struct machine *m, const char *text, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void put(const struct machine *m, const char *text, const char *fmt, ...)
{
	char path[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	test_write(m->root, path, text);
}

static void make_cpus(const struct machine *m)
{
	unsigned int half = m->cpus / 2, quarter = m->cpus / 4;
	char text[64];

	snprintf(text, sizeof(text), "0-%u\n", m->cpus - 1);
	put(m, text, "sys/devices/system/cpu/online");
	put(m, "\n", "sys/devices/system/cpu/isolated");
	put(m, "0-1\n", "sys/devices/system/node/online");
	for (unsigned int node = 0; node < 2; node++) {
		snprintf(text, sizeof(text), "%u-%u\n", node * half, node * half + half - 1);
		put(m, text, "sys/devices/system/node/node%u/cpulist", node);
	}
	for (unsigned int cpu = 0; cpu < m->cpus; cpu++) {
		snprintf(text, sizeof(text), "%u-%u\n", cpu & ~1U, cpu | 1);
		put(m, text, "sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
		snprintf(text, sizeof(text), "%u-%u\n", cpu / quarter * quarter,
			 cpu / quarter * quarter + quarter - 1);
		put(m, text, "sys/devices/system/cpu/cpu%u/cache/index3/shared_cpu_list", cpu);
		put(m, "1\n", "sys/devices/system/cpu/cpu%u/online", cpu);
		put(m, "0\n", "sys/devices/system/cpu/cpu%u/power/pm_qos_resume_latency_us", cpu);
		put(m, "powersave\n", "sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor",
		    cpu);
	}
}

static void make_interrupts(const struct machine *m)
{
	struct rtkvm_cpus all;
	char list[64], mask[4096];

	rtkvm_cpus_clear(&all);
	for (unsigned int cpu = 0; cpu < m->cpus; cpu++)
		rtkvm_cpus_add(&all, cpu);
	rtkvm_cpus_print_mask(&all, mask, sizeof(mask));
	snprintf(list, sizeof(list), "0-%u\n", m->cpus - 1);
	for (unsigned int irq = 0; irq < m->irqs; irq++)
		put(m, list, "proc/irq/%u/smp_affinity_list", irq);
	put(m, mask, "proc/irq/default_smp_affinity");
	put(m, mask, "sys/devices/virtual/workqueue/cpumask");
	put(m, list, "proc/sys/kernel/watchdog_cpumask");
	put(m, "7\n", "sys/class/net/eth0/ifindex");
	for (unsigned int q = 0; q < m->queues; q++) {
		put(m, mask, "sys/class/net/eth0/queues/rx-%u/rps_cpus", q);
		put(m, mask, "sys/class/net/eth0/queues/tx-%u/xps_cpus", q);
	}
}

static void make_cgroups(const struct machine *m, int cgroup)
{
	if (cgroup == CGROUP_V2) {
		put(m, "25 30 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		    "proc/self/mountinfo");
		put(m, "cpuset cpu memory\n", "sys/fs/cgroup/cgroup.controllers");
		put(m, "cpu\n", "sys/fs/cgroup/cgroup.subtree_control");
		put(m, "0-1\n", "sys/fs/cgroup/cpuset.mems.effective");
	} else if (cgroup == CGROUP_V1) {
		put(m, "25 30 0:22 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		       "26 30 0:23 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n",
		    "proc/self/mountinfo");
		put(m, "cpu memory\n", "sys/fs/cgroup/unified/cgroup.controllers");
		put(m, "0-1\n", "sys/fs/cgroup/cpuset/cpuset.mems");
	} else {
		put(m, "25 30 0:22 / /sys rw - sysfs sysfs rw\n", "proc/self/mountinfo");
	}
}

struct rtkvm *machine_context(const struct machine *m)
{
	struct rtkvm_options opt;
	char dir[4300];
	struct rtkvm *rt;

	snprintf(dir, sizeof(dir), "%s/state", m->root);
	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = m->root;
	opt.state_dir = dir;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	return rt;
}

void machine_make(struct machine *m, unsigned int cpus, unsigned int irqs, unsigned int queues,
		  int cgroup)
{
	m->root = strdup(test_fast_tmpdir());
	m->cpus = cpus;
	m->irqs = irqs;
	m->queues = queues;
	put(m, "6a1c6cf2-6b0e-4c51-9f3a-0e1a3f4f7a55\n", "proc/sys/kernel/random/boot_id");
	put(m, "1\n", "proc/sys/kernel/timer_migration");
	put(m, "1\n", "proc/sys/vm/stat_interval");
	put(m, "1\n", "sys/bus/pci/devices/0000:05:00.0/numa_node");
	make_cpus(m);
	make_interrupts(m);
	make_cgroups(m, cgroup);
	m->before = machine_text(m);
	m->rt = machine_context(m);
}

void machine_free(struct machine *m)
{
	rtkvm_free(m->rt);
	free(m->before);
	free((void *)(uintptr_t)m->root);
}

char *machine_text(const struct machine *m)
{
	size_t size = 4 << 20, len;
	char command[8192], *text = calloc(1, size);
	FILE *f;

	snprintf(command, sizeof(command),
		 "cd '%s' && find . -path ./state -prune -o -type f -print0 | LC_ALL=C sort -z | "
		 "xargs -0 grep -H ''", m->root);
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	len = fread(text, 1, size - 1, f);
	ck_assert_uint_lt(len, size - 1);
	ck_assert_uint_gt(len, 100);
	pclose(f);
	return text;
}

unsigned int machine_journals(const struct machine *m)
{
	char path[4400];
	unsigned int n = 0;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/state/leases", m->root);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

void machine_assert_as_before(const struct machine *m)
{
	char *now = machine_text(m);
	size_t at = 0;

	while (now[at] && now[at] == m->before[at])
		at++;
	ck_assert_msg(!strcmp(now, m->before), "differs: \"%.80s\" was \"%.80s\"",
		      now + (at > 40 ? at - 40 : 0), m->before + (at > 40 ? at - 40 : 0));
	free(now);
	ck_assert_uint_eq(machine_journals(m), 0);
}

struct rtkvm_cpu_request request_of(uint32_t count)
{
	struct rtkvm_cpu_request r;

	rtkvm_cpu_request_init(&r, sizeof(r));
	r.count = count;
	return r;
}

const char *cpus_of_lease(const struct rtkvm_cpu_lease *lease)
{
	static char text[4096];
	struct rtkvm_cpus cpus;

	rtkvm_cpus_clear(&cpus);
	for (uint32_t i = 0; i < rtkvm_cpu_lease_get_count(lease); i++)
		rtkvm_cpus_add(&cpus, (unsigned int)rtkvm_cpu_lease_get_cpu(lease, i));
	rtkvm_cpus_print_list(&cpus, text, sizeof(text));
	return text;
}

const char *machine_lease(const struct machine *m, const struct rtkvm_cpu_request *r, int err,
			  struct rtkvm_cpu_lease **lease)
{
	int ret = rtkvm_cpu_lease_acquire(m->rt, r, lease);

	ck_assert_msg(ret == -err, "acquire: %d (%s), expected %d", ret,
		      ret ? rtkvm_last_error() : "", -err);
	return ret ? "" : cpus_of_lease(*lease);
}
