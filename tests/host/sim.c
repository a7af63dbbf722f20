/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree simulator; see sim.h. The spelling of each file is the kernel's.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim.h"

const char *const sim_names[] = { "intel", "amd", "laptop", "container", "big", NULL };

static const struct sim_shape shapes[] = {
	{ SIM_INTEL, 8, 2, 12, 4, true, true, true, false, true },
	{ SIM_AMD, 8, 2, 12, 4, true, true, true, false, true },
	{ SIM_INTEL, 4, 1, 10, 4, false, false, false, false, false },
	{ SIM_INTEL, 4, 1, 6, 4, false, false, false, true, false },
	{ SIM_AMD, 256, 8, 4000, 32, true, true, true, false, false },
};

const struct sim_shape *sim_named(const char *name)
{
	for (size_t i = 0; sim_names[i]; i++)
		if (!strcmp(sim_names[i], name))
			return &shapes[i];
	return NULL;
}

static char error_path[600];
static int failed;

static void make_parents(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

/* Open for writing; the folders are made when the first try fails. */
static int create(const char *dir, const char *path, int flags)
{
	char full[1024];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	if (fd < 0 && errno == ENOENT) {
		make_parents(full);
		fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	}
	return fd < 0 ? -errno : fd;
}

int sim_write(const char *dir, const char *path, const char *text)
{
	char full[1024];
	ssize_t n;
	int fd;

	if (!text) {
		snprintf(full, sizeof(full), "%s/%s", dir, path);
		return unlink(full) < 0 ? -errno : 0;
	}
	fd = create(dir, path, O_TRUNC);
	if (fd < 0)
		return fd;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -EIO;
}

int sim_write_bytes(const char *dir, const char *path, long offset, const void *data, size_t size)
{
	int fd = create(dir, path, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pwrite(fd, data, size, offset);
	close(fd);
	return n == (ssize_t)size ? 0 : -EIO;
}

/* Failures are kept and told at the end. */
static void put(const char *dir, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void put(const char *dir, const char *path, const char *fmt, ...)
{
	char text[8192];
	va_list ap;
	int ret;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ret = sim_write(dir, path, text);
	if (ret < 0 && !failed) {
		failed = ret;
		snprintf(error_path, sizeof(error_path), "%s", path);
	}
}

static void range(char *text, size_t size, unsigned int from, unsigned int to)
{
	if (from >= to)
		text[0] = '\0';
	else if (from + 1 == to)
		snprintf(text, size, "%u", from);
	else
		snprintf(text, size, "%u-%u", from, to - 1);
}

/* A mask of CPUs 0 to n - 1. */
static void low_mask(char *text, size_t size, unsigned int n)
{
	size_t len = 0;

	for (int group = (int)(n + 31) / 32 - 1; group >= 0; group--) {
		unsigned int bits = n - (unsigned int)group * 32;
		uint32_t v = bits >= 32 ? 0xffffffffu : (1u << bits) - 1;

		len += (size_t)snprintf(text + len, size - len, len ? ",%08x" : "%x", v);
	}
}

int sim_cpuinfo(const char *dir, const struct sim_shape *shape, const char *without,
		const char *with)
{
	static const char *const common[] = { "fpu", "tsc", "msr", "apic", "constant_tsc",
					      "nonstop_tsc", "x2apic", "tsc_deadline_timer" };
	char flags[1024] = "";
	size_t len = 0;

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		if (!without || strcmp(without, common[i]))
			len += (size_t)snprintf(flags + len, sizeof(flags) - len, "%s ", common[i]);
	snprintf(flags + len, sizeof(flags) - len, "%s%s%s",
		 shape->vendor == SIM_INTEL ? "vmx ept vpid flexpriority" : "svm npt avic vgif vnmi",
		 with ? " " : "", with ? with : "");
	put(dir, "proc/cpuinfo", "processor\t: 0\nvendor_id\t: %s\ncpu family\t: 6\n"
	    "model name\t: made up\nflags\t\t: %s\n%sbugs\t\t:\n\n",
	    shape->vendor == SIM_INTEL ? "GenuineIntel" : "AuthenticAMD", flags,
	    shape->vendor == SIM_INTEL ? "vmx flags\t: vnmi preemption_timer posted_intr apicv "
	    "unrestricted_guest pml ipi_virt\n" : "");
	return failed;
}

int sim_thread(const char *dir, int tgid, int tid, const char *comm, bool kthread, int policy,
	       int priority)
{
	char path[96];

	snprintf(path, sizeof(path), "proc/%d/task/%d/stat", tgid, tid);
	put(dir, path, "%d (%s) S %d 0 0 0 -1 %u 7 0 0 0 0 3 0 0 20 0 1 0 17 0 0 18446744073709551615 "
	    "0 0 0 0 0 0 0 2147483647 0 1 0 0 17 0 %d %d 0 0 0 0 0 0 0 0 0 0 0\n", tid, comm,
	    kthread ? 2 : 1, kthread ? 0x00200000 : 0, priority, policy);
	if (tgid == tid) {
		snprintf(path, sizeof(path), "proc/%d/comm", tgid);
		put(dir, path, "%s\n", comm);
	}
	return failed;
}

#define CPU "sys/devices/system/cpu/"

static void make_cpus(const char *dir, const struct sim_shape *s)
{
	char all[32], rt[32], path[128];

	range(all, sizeof(all), 0, s->cpus);
	range(rt, sizeof(rt), s->rt_from, s->cpus);
	put(dir, CPU "online", "%s\n", all);
	put(dir, CPU "possible", "%s\n", all);
	put(dir, CPU "isolated", "%s\n", rt);
	put(dir, CPU "nohz_full", "%s\n", rt[0] ? rt : "(null)");
	put(dir, CPU "smt/control", "%s\n", s->tuned ? "off" : "on");
	if (s->vendor == SIM_INTEL && !s->container)
		put(dir, CPU "intel_pstate/min_perf_pct", "%d\n", s->tuned ? 100 : 9);
	for (unsigned int c = 0; c < s->cpus; c++) {
		snprintf(path, sizeof(path), CPU "cpu%u/topology/thread_siblings_list", c);
		if (s->tuned)
			put(dir, path, "%u\n", c);
		else
			put(dir, path, "%u-%u\n", c & ~1u, c | 1);
		if (s->container)
			continue;
		snprintf(path, sizeof(path), CPU "cpu%u/cpufreq/scaling_governor", c);
		put(dir, path, "%s\n", s->tuned ? "performance" : "powersave");
		snprintf(path, sizeof(path), CPU "cpu%u/cpufreq/energy_performance_preference", c);
		put(dir, path, "%s\n", s->tuned ? "performance" : "balance_performance");
		snprintf(path, sizeof(path), CPU "cpu%u/power/energy_perf_bias", c);
		put(dir, path, "%d\n", s->tuned ? 0 : 6);
		for (int state = 0; state < 4; state++) {
			static const int us[] = { 0, 2, 33, 133 };

			snprintf(path, sizeof(path), CPU "cpu%u/cpuidle/state%d/latency", c, state);
			put(dir, path, "%d\n", us[state]);
			snprintf(path, sizeof(path), CPU "cpu%u/cpuidle/state%d/disable", c, state);
			put(dir, path, "0\n");
		}
		snprintf(path, sizeof(path), "sys/devices/system/machinecheck/machinecheck%u/ignore_ce", c);
		put(dir, path, "%d\n", s->tuned);
		snprintf(path, sizeof(path), "sys/kernel/debug/sched/fair_server/cpu%u/runtime", c);
		put(dir, path, "%d\n", s->tuned ? 0 : 50000000);
	}
	for (unsigned int n = 0; n < s->nodes; n++) {
		unsigned int per = s->cpus / s->nodes;

		range(all, sizeof(all), n * per, (n + 1) * per);
		snprintf(path, sizeof(path), "sys/devices/system/node/node%u/cpulist", n);
		put(dir, path, "%s\n", all);
	}
	/* a node with memory alone */
	snprintf(path, sizeof(path), "sys/devices/system/node/node%u/cpulist", s->nodes);
	put(dir, path, "\n");
}

static void make_registers(const char *dir, const struct sim_shape *s)
{
	uint64_t base = s->tuned ? 0xfee00d00 : 0xfee00900, smis = s->tuned ? 12 : 90000;
	int32_t held = s->tuned ? 0 : 2000000000;
	char path[64];

	put(dir, "proc/uptime", "3600.25 28000.00\n");
	sim_write_bytes(dir, "dev/cpu_dma_latency", 0, &held, sizeof(held));
	if (s->container)
		return;
	sim_write_bytes(dir, "dev/cpu/0/msr", 0x1b, &base, sizeof(base));
	for (unsigned int c = 0; c < s->cpus; c++) {
		snprintf(path, sizeof(path), "dev/cpu/%u/msr", c);
		sim_write_bytes(dir, path, 0x34, &smis, sizeof(smis));
	}
}

static void make_kernel(const char *dir, const struct sim_shape *s)
{
	char rt[32], hk[32], mask[1024];
	bool t = s->tuned;

	range(rt, sizeof(rt), s->rt_from, s->cpus);
	range(hk, sizeof(hk), 0, s->rt_from);
	put(dir, "proc/version", "Linux version 6.12.9 (a@b) #1 SMP %s Debian\n",
	    s->preempt_rt ? "PREEMPT_RT" : "PREEMPT_DYNAMIC");
	put(dir, "proc/sys/kernel/osrelease", "6.12.9-rt-amd64\n");
	if (t)
		put(dir, "proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro "
		    "isolcpus=managed_irq,domain,%s nohz=on nohz_full=%s irqaffinity=%s skew_tick=1 "
		    "intel_iommu=on quiet\n", rt, rt, hk);
	else
		put(dir, "proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet\n");
	put(dir, "proc/meminfo", "MemTotal: 1 kB\n");
	put(dir, "sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
	put(dir, "sys/devices/system/clocksource/clocksource0/available_clocksource",
	    "tsc hpet acpi_pm \n");
	put(dir, "proc/sys/kernel/sched_rt_runtime_us", "%d\n", t ? -1 : 950000);
	put(dir, "proc/sys/kernel/sched_rt_period_us", "1000000\n");
	put(dir, "proc/sys/kernel/timer_migration", "%d\n", !t);
	put(dir, "proc/sys/kernel/nmi_watchdog", "%d\n", !t);
	put(dir, "proc/sys/kernel/soft_watchdog", "1\n");
	put(dir, "proc/sys/kernel/watchdog_cpumask", "%s\n", hk);
	put(dir, "proc/sys/kernel/hung_task_timeout_secs", "%d\n", t ? 600 : 120);
	put(dir, "proc/sys/kernel/numa_balancing", "%d\n", !t);
	put(dir, "sys/kernel/ktimer_lockless_check", "%d\n", t);
	low_mask(mask, sizeof(mask), s->rt_from);
	put(dir, "sys/devices/virtual/workqueue/cpumask", "%s\n", mask);
	put(dir, "sys/devices/virtual/workqueue/writeback/cpumask", "%s\n", mask);
	if (!s->container)
		put(dir, "sys/kernel/tracing/current_tracer", "nop\n");
	put(dir, "proc/self/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/vmm\n0::/\n");
	put(dir, "proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup "
	    "rw,cpu,cpuacct\n31 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	put(dir, "sys/fs/cgroup/cpu,cpuacct/vmm/cpu.rt_runtime_us", "%d\n", t ? 950000 : 0);
	put(dir, "proc/self/status", "Name:\trtkvm\nCapEff:\t0000000000000000\nVmSize:\t 9000 kB\n");
	put(dir, "proc/self/limits", "Limit                     Soft Limit           Hard Limit           "
	    "Units     \nMax locked memory         %-20s unlimited            bytes     \n"
	    "Max realtime priority     %-20d 99                             \n",
	    t ? "unlimited" : "8388608", t ? 95 : 0);
}

static void make_memory(const char *dir, const struct sim_shape *s)
{
	bool t = s->tuned;

	put(dir, "sys/kernel/mm/ksm/run", "%d\n", t ? 2 : 1);
	put(dir, "sys/kernel/mm/ksm/pages_shared", "0\n");
	put(dir, "sys/kernel/mm/transparent_hugepage/enabled", t ? "always madvise [never]\n" :
								    "[always] madvise never\n");
	put(dir, "sys/kernel/mm/transparent_hugepage/defrag",
	    t ? "always defer defer+madvise madvise [never]\n" :
		"[always] defer defer+madvise madvise never\n");
	put(dir, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "%d\n", t ? 1024 : 0);
	put(dir, "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n");
	put(dir, "proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n%s",
	    t ? "" : "/dev/dm-1                               partition\t999420\t\t0\t\t-2\n");
	put(dir, "proc/sys/vm/swappiness", "%d\n", t ? 10 : 60);
	put(dir, "proc/sys/vm/compaction_proactiveness", "%d\n", t ? 0 : 20);
	put(dir, "proc/sys/vm/compact_unevictable_allowed", "%d\n", !t);
	put(dir, "proc/sys/vm/zone_reclaim_mode", "0\n");
	put(dir, "proc/sys/vm/stat_interval", "%d\n", t ? 10 : 1);
}

static void make_irqs(const char *dir, const struct sim_shape *s)
{
	char all[32], hk[32], mask[1024], path[96];

	range(all, sizeof(all), 0, s->cpus);
	range(hk, sizeof(hk), 0, s->rt_from);
	low_mask(mask, sizeof(mask), s->rt_from);
	put(dir, "proc/irq/default_smp_affinity", "%s\n", mask);
	for (unsigned int i = 24; i < 24 + s->irqs; i++) {
		snprintf(path, sizeof(path), "proc/irq/%u/smp_affinity_list", i);
		/* one that may go anywhere, and is where it should be */
		put(dir, path, "%s\n", s->tuned && i != 26 ? hk : all);
		snprintf(path, sizeof(path), "proc/irq/%u/effective_affinity_list", i);
		put(dir, path, "%u\n", i % s->rt_from);
		snprintf(path, sizeof(path), "proc/irq/%u/eth%u/.keep", i, i);
		put(dir, path, "%s", "");
	}
	put(dir, "sys/kernel/irq/1/chip_name", "-\n");
	put(dir, "sys/kernel/irq/24/chip_name", s->iommu ? "IR-PCI-MSI-0000:00:1f.2\n" :
							    "PCI-MSI-0000:00:1f.2\n");
	if (s->container)
		return;
	put(dir, "sys/kernel/debug/irq/domains/VECTOR",
	    "name:   VECTOR\n size:   0\n mapped: 27\n flags:  0x00000103\nOnline bitmaps:        4\n"
	    "Global available:    784\nGlobal reserved:       8\n | CPU | avl | man | mac | act | vectors\n"
	    "     0   190     1     1   11  32-42\n     1   197     1     1    4  32-35\n");
}

static void make_iommu(const char *dir, const struct sim_shape *s)
{
	put(dir, "sys/class/.keep", "%s", "");
	if (!s->iommu)
		return;
	if (s->vendor == SIM_INTEL) {
		put(dir, "sys/class/iommu/dmar0/intel-iommu/cap", "%x%08x\n", 0x8d2078c, 0x106f0466);
		put(dir, "sys/class/iommu/dmar1/intel-iommu/cap", "%x%08x\n", 0x8d2078c, 0x106f0466);
	} else {
		put(dir, "sys/class/iommu/ivhd0/amd-iommu/features", "246577efa2254afa\n");
	}
}

/* The parameters as KVM shows them; a module that is loaded counts its users. */
static void make_kvm(const char *dir, const struct sim_shape *s)
{
	static const struct {
		const char *path, *tuned, *stock;
	} parameters[] = {
		{ "kvm/refcnt", "1", "1" },
		{ "kvm/parameters/kvmclock_periodic_sync", "N", "Y" },
		{ "kvm/parameters/nx_huge_pages", "N", "Y" },
		{ "kvm/parameters/nx_huge_pages_recovery_ratio", "0", "60" },
		{ "kvm/parameters/halt_poll_ns", "0", "200000" },
		{ "kvm/parameters/min_timer_period_us", "200", "200" },
		{ "kvm/parameters/lapic_timer_advance", "Y", "Y" },
		{ "kvm/parameters/lapic_timer_advance_ns", "-1", "-1" },
		{ "kvm/parameters/enable_vmware_backdoor", "N", "N" },
		{ "kvm/parameters/tdp_mmu", "Y", "Y" },
		{ "kvm/parameters/eager_page_split", "Y", "Y" },
	}, intel[] = {
		{ "kvm_intel/refcnt", "0", "0" },
		{ "kvm_intel/parameters/ple_gap", "0", "128" },
		{ "kvm_intel/parameters/ept", "Y", "Y" },
		{ "kvm_intel/parameters/preemption_timer", "Y", "Y" },
		{ "kvm_intel/parameters/unrestricted_guest", "Y", "Y" },
		{ "kvm_intel/parameters/enable_apicv", "Y", "N" },
		{ "kvm_intel/parameters/vpid", "Y", "Y" },
		{ "kvm_intel/parameters/flexpriority", "Y", "Y" },
		{ "kvm_intel/parameters/pml", "Y", "Y" },
		{ "kvm_intel/parameters/enable_ipiv", "Y", "N" },
		{ "kvm_intel/parameters/vmentry_l1d_flush", "not required", "cond" },
	}, amd[] = {
		{ "kvm_amd/refcnt", "0", "0" },
		{ "kvm_amd/parameters/pause_filter_count", "0", "3000" },
		{ "kvm_amd/parameters/npt", "Y", "Y" },
		{ "kvm_amd/parameters/vgif", "1", "1" },
		{ "kvm_amd/parameters/avic", "Y", "N" },
		{ "kvm_amd/parameters/vnmi", "Y", "N" },
	};
	char path[128];

#define PUT_ALL(table)                                                                            \
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {                           \
		snprintf(path, sizeof(path), "sys/module/%s", table[i].path);                     \
		put(dir, path, "%s\n", s->tuned ? table[i].tuned : table[i].stock);               \
	}
	PUT_ALL(parameters)
	if (s->vendor == SIM_INTEL) {
		PUT_ALL(intel)
	} else {
		PUT_ALL(amd)
	}
#undef PUT_ALL
	if (!s->container)
		put(dir, "dev/kvm", "143 14\n182 1\n129 15\n72 1\n136 1\n32 1\n203 1\n121 1\n%s"
		    "pv 01007efb\n", s->tuned ? "1381236737 1\n1381236738 1\n" : "");
}

static void make_link(const char *dir, const char *path, const char *to)
{
	char full[1024];

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	make_parents(full);
	if (symlink(to, full) < 0 && !failed)
		failed = -errno;
}

static void make_threads(const char *dir, const struct sim_shape *s)
{
	bool t = s->tuned;
	char comm[32];
	int pid = 10;

	sim_thread(dir, 1, 1, "init", false, 0, 0);
	if (t) {
		sim_thread(dir, 900, 900, "latencyd", false, 0, 0);
		make_link(dir, "proc/900/fd/3", "/dev/null");
		make_link(dir, "proc/900/fd/4", "/dev/cpu_dma_latency");
	}
	if (!s->container) {
		sim_thread(dir, 812, 812, "irqbalance", false, 0, 0);
		if (t && s->rt_from < s->cpus)
			put(dir, "etc/default/irqbalance",
			    "# see man\nIRQBALANCE_BANNED_CPULIST=\"%u-%u\"\n", s->rt_from, s->cpus - 1);
		sim_thread(dir, 2, 2, "kthreadd", true, 0, 0);
		for (unsigned int c = 0; c < s->cpus; c++) {
			snprintf(comm, sizeof(comm), "ksoftirqd/%u", c);
			sim_thread(dir, pid, pid, comm, true, t, t ? 2 : 0);
			pid++;
			if (!s->preempt_rt)
				continue;
			snprintf(comm, sizeof(comm), "ktimers/%u", c);
			sim_thread(dir, pid, pid, comm, true, 1, t ? 2 : 1);
			pid++;
			snprintf(comm, sizeof(comm), "rcuc/%u", c);
			sim_thread(dir, pid, pid, comm, true, 1, t ? 4 : 1);
			pid++;
		}
		sim_thread(dir, 3000, 3000, "rcub/0", true, 1, t ? 4 : 1);
		sim_thread(dir, 3001, 3001, "irq/24-eth0", true, 1, 50);
	}
}

int sim_make(const char *dir, const struct sim_shape *s)
{
	failed = 0;
	make_cpus(dir, s);
	make_registers(dir, s);
	make_kernel(dir, s);
	make_memory(dir, s);
	make_irqs(dir, s);
	make_iommu(dir, s);
	make_kvm(dir, s);
	make_threads(dir, s);
	sim_cpuinfo(dir, s, NULL, NULL);
	if (s->vm && !failed)
		failed = sim_make_vm(dir, s);
	if (failed)
		fprintf(stderr, "sim: %s: %s\n", error_path, strerror(-failed));
	return failed;
}

static int (*file_fn)(const char *path, void *arg);
static void *file_arg;
static size_t file_skip;

static int each_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_D ? 0 : file_fn(path + file_skip, file_arg);
}

int sim_files(const char *dir, int (*fn)(const char *path, void *arg), void *arg)
{
	file_fn = fn;
	file_arg = arg;
	file_skip = strlen(dir) + 1;
	return nftw(dir, each_file, 16, FTW_PHYS);
}
