/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of scheduling: preemption, what takes the CPU from a real-time
 * thread, timers, watchdogs and workqueues. Priorities of the kernel's own
 * threads are in checks-kthreads.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cgroup.h"
#include "knob.h"
#include "parse.h"
#include "read.h"

#define SYSCTL "/proc/sys/kernel/"
#define DEBUG "/sys/kernel/debug/sched/"

static void check_preempt(struct host_facts *facts, const struct host_check *check,
			  struct host_finding *f)
{
	char text[256], mode[32] = "";
	int ret;

	(void)check;
	if (facts->preempt_rt < 0) {
		host_unreadable(facts, f, "/proc/version", facts->preempt_rt);
		return;
	}
	if (facts->preempt_rt) {
		host_say(f, HOST_OK, "PREEMPT_RT");
		return;
	}
	ret = host_text(facts, DEBUG "preempt", text, sizeof(text));
	/* "none voluntary (full) lazy" */
	for (char *p = text; ret == 0 && *p; p++)
		*p = *p == '(' ? '[' : *p == ')' ? ']' : *p;
	if (ret < 0 || !host_bracketed(text, mode, sizeof(mode))) {
		if (facts->cmdline_err || host_cmdline_get(facts->cmdline, "preempt", mode,
							   sizeof(mode)) <= 0)
			snprintf(mode, sizeof(mode), "not known");
		if (!facts->root)
			f->needs_root = true;
	}
	host_say(f, !strcmp(mode, "full") ? HOST_WARN : HOST_FAIL,
		 "not PREEMPT_RT; preemption of the kernel: %s", mode);
	host_remedy(f, RTKVM_REMEDY_MANUAL, "boot a kernel with PREEMPT_RT (Debian: linux-image-rt-amd64); "
		    "preempt=full is the best of others");
}

/* Is there a v1 cpu hierarchy with real-time runtimes? The file, or "". */
static int rt_group_file(struct host_facts *facts, char path[RTKVM_PATH_MAX])
{
	char *cgroup = NULL, *mounts = NULL;
	int ret = host_long_text(facts, "/proc/self/cgroup", 65536, &cgroup);

	path[0] = '\0';
	if (ret == 0)
		ret = host_long_text(facts, "/proc/self/mountinfo", 1 << 20, &mounts);
	if (ret == 0 && !rtkvm_cgroup_rt_file(cgroup, mounts, path, RTKVM_PATH_MAX))
		path[0] = '\0';
	free(cgroup);
	free(mounts);
	return ret;
}

static void check_rt_group(struct host_facts *facts, const struct host_check *check,
			   struct host_finding *f)
{
	char path[RTKVM_PATH_MAX];
	int64_t runtime;
	int ret = rt_group_file(facts, path);

	(void)check;
	if (ret < 0) {
		host_unreadable(facts, f, "/proc/self/cgroup", ret);
		return;
	}
	if (!path[0]) {
		host_say(f, HOST_NA, "no cgroup v1 with the cpu controller");
		return;
	}
	ret = host_number(facts, path, &runtime);
	if (ret == -ENOENT) {
		host_say(f, HOST_NA, "the kernel has no RT group scheduling");
	} else if (ret < 0) {
		host_unreadable(facts, f, path, ret);
	} else if (runtime == 0) {
		host_say(f, HOST_FAIL, "%.120s is 0: SCHED_FIFO is refused to threads of this cgroup, "
			 "root's as well", path);
		host_remedy(f, RTKVM_REMEDY_COMMAND, "echo 900000 > %.200s # its parents first", path);
	} else {
		host_say(f, HOST_OK, "%.120s is %lld", path, (long long)runtime);
	}
}

static void check_throttle(struct host_facts *facts, const struct host_check *check,
			   struct host_finding *f)
{
	char path[RTKVM_PATH_MAX];
	int64_t runtime, period;

	(void)check;
	if (!host_need_number(facts, f, SYSCTL "sched_rt_runtime_us", NULL, NULL, &runtime) ||
	    !host_need_number(facts, f, SYSCTL "sched_rt_period_us", NULL, NULL, &period))
		return;
	if (facts->release_err) {
		host_unreadable(facts, f, SYSCTL "osrelease", facts->release_err);
		return;
	}
	if (runtime < -1 || period < 1 || runtime > period) {
		host_say(f, HOST_UNKNOWN, SYSCTL "sched_rt_runtime_us: %lld of %lld us cannot be",
			 (long long)runtime, (long long)period);
		return;
	}
	/* commit 5f6bd380c7bd took it away where there are no groups */
	if (host_kernel_since(facts, 6, 12) &&
	    (rt_group_file(facts, path) < 0 || !path[0] || !host_exists(facts, path))) {
		host_say(f, HOST_OK, "not in this kernel without RT groups (6.12 and later have the fair "
				     "server instead)");
		return;
	}
	if (runtime < 0 || runtime >= period) {
		host_say(f, HOST_OK, "off: a real-time thread that never sleeps keeps its CPU for good");
		return;
	}
	host_say(f, HOST_FAIL, "real-time threads get %lld of %lld us: a vCPU that does not sleep is "
		 "stopped for %lld us", (long long)runtime, (long long)period,
		 (long long)(period - runtime));
	host_remedy(f, RTKVM_REMEDY_COMMAND, "sysctl -w kernel.sched_rt_runtime_us=-1");
}

static void check_fair_server(struct host_facts *facts, const struct host_check *check,
			      struct host_finding *f)
{
	char path[RTKVM_PATH_MAX];
	int64_t runtime;
	int cpu = -1, ret;

	(void)check;
	if (facts->release_err) {
		host_unreadable(facts, f, SYSCTL "osrelease", facts->release_err);
		return;
	}
	if (!host_kernel_since(facts, 6, 12)) {
		host_say(f, HOST_NA, "the fair server came with Linux 6.12");
		return;
	}
	if (!host_need_realtime(facts, f))
		return;
	while ((cpu = rtkvm_cpus_next(&facts->realtime.set, (unsigned int)(cpu + 1))) >= 0) {
		snprintf(path, sizeof(path), DEBUG "fair_server/cpu%d/runtime", cpu);
		ret = host_number(facts, path, &runtime);
		if (ret < 0) {
			host_unreadable(facts, f, path, ret);
			f->needs_root = !facts->root;
			return;
		}
		if (runtime == 0)
			continue;
		host_say(f, HOST_FAIL, "CPU %d: up to %lld ns of each period go to ordinary threads", cpu,
			 (long long)runtime);
		/* 6.12 was seen to answer EBUSY for isolated CPUs, and to warn */
		host_remedy(f, RTKVM_REMEDY_MANUAL, "let the guest sleep now and then, or write 0 to "
			    DEBUG "fair_server/cpu%d/runtime (some kernels refuse that for isolated "
			    "CPUs)", cpu);
	}
	if (f->verdict == HOST_FAIL)
		return;
	host_say(f, HOST_OK, "off on the real-time CPUs");
}

static void check_soft_watchdog(struct host_facts *facts, const struct host_check *check,
				struct host_finding *f)
{
	struct host_cpus mask;
	struct rtkvm_cpus both;
	int64_t on;
	char a[HOST_LIST];

	(void)check;
	if (!host_need_number(facts, f, SYSCTL "soft_watchdog", "/proc/sys/kernel",
			      "the kernel has no soft-lockup detector", &on))
		return;
	if (!on) {
		host_say(f, HOST_OK, "off");
		return;
	}
	if (!host_need_realtime(facts, f))
		return;
	host_cpu_list(facts, SYSCTL "watchdog_cpumask", &mask);
	if (mask.err) {
		host_unreadable(facts, f, mask.path, mask.err);
		return;
	}
	both = host_common(&mask.set, &facts->realtime.set);
	if (host_empty(&both)) {
		host_say(f, HOST_OK, "not on the real-time CPUs");
		return;
	}
	host_say(f, HOST_WARN, "runs on CPUs %s every 4 s, above all priorities",
		 host_list(&both, a));
	host_remedy(f, RTKVM_REMEDY_COMMAND, "sysctl -w kernel.soft_watchdog=0");
}

static void check_hung_task(struct host_facts *facts, const struct host_check *check,
			    struct host_finding *f)
{
	int64_t seconds;

	(void)check;
	if (!host_need_number(facts, f, SYSCTL "hung_task_timeout_secs", "/proc/sys/kernel",
			      "the kernel does not look for hung tasks", &seconds))
		return;
	if (seconds < 0) {
		host_say(f, HOST_UNKNOWN, SYSCTL "hung_task_timeout_secs: %lld s cannot be",
			 (long long)seconds);
		return;
	}
	if (seconds == 0 || seconds >= 600) {
		host_say(f, HOST_OK, seconds ? "every %lld s" : "off", (long long)seconds);
		return;
	}
	host_say(f, HOST_WARN, "every %lld s: a thread starved by real-time ones is reported, or "
			       "panics the host", (long long)seconds);
	host_remedy(f, RTKVM_REMEDY_COMMAND, "sysctl -w kernel.hung_task_timeout_secs=600");
}

struct masks {
	struct rtkvm_cpus bad;
	char first[64];
	unsigned int seen, wrong;
	int err;
	char path[128];
};

static void look_at_mask(struct host_facts *facts, const char *path, const char *name,
			 struct masks *m)
{
	struct host_cpus cpus;
	struct rtkvm_cpus both;

	host_cpu_mask(facts, path, &cpus);
	/* beside the folders of workqueues there are files */
	if (cpus.err == -ENOENT || cpus.err == -ENOTDIR)
		return;
	m->seen++;
	if (cpus.err) {
		if (!m->err)
			snprintf(m->path, sizeof(m->path), "%s", path);
		m->err = cpus.err;
		return;
	}
	both = host_common(&cpus.set, &facts->realtime.set);
	if (host_empty(&both))
		return;
	if (!m->wrong++) {
		snprintf(m->first, sizeof(m->first), "%s", name);
		m->bad = both;
	}
}

static int one_workqueue(struct host_facts *facts, const char *name, void *arg)
{
	char path[RTKVM_PATH_MAX];

	snprintf(path, sizeof(path), "/sys/devices/virtual/workqueue/%.200s/cpumask", name);
	look_at_mask(facts, path, name, arg);
	return 0;
}

static void check_workqueues(struct host_facts *facts, const struct host_check *check,
			     struct host_finding *f)
{
	static const char folder[] = "/sys/devices/virtual/workqueue";
	struct masks m = { .seen = 0 };
	char path[96], a[HOST_LIST], mask[RTKVM_CPULIST_TEXT];
	int ret;

	(void)check;
	snprintf(path, sizeof(path), "%s/cpumask", folder);
	if (!host_exists(facts, path)) {
		host_unreadable(facts, f, path, -ENOENT);
		return;
	}
	if (!host_need_realtime(facts, f))
		return;
	look_at_mask(facts, path, "all unbound workqueues", &m);
	ret = host_each(facts, folder, one_workqueue, &m);
	if (ret < 0 || m.err) {
		host_unreadable(facts, f, m.err ? m.path : folder, m.err ? m.err : ret);
		return;
	}
	if (!m.wrong) {
		host_say(f, HOST_OK, "unbound workqueues (%u masks) keep off the real-time CPUs", m.seen);
		return;
	}
	host_say(f, HOST_WARN, "%s may run on CPUs %s, and %u more masks", m.first,
		 host_list(&m.bad, a), m.wrong - 1);
	if (!facts->online.err &&
	    rtkvm_cpus_print_mask(&facts->housekeeping, mask, sizeof(mask)) > 0)
		host_remedy(f, RTKVM_REMEDY_COMMAND,
			    "for f in %s/cpumask %s/*/cpumask; do echo %s > $f; done", folder, folder,
			    mask);
}

static void check_lockdep(struct host_facts *facts, const struct host_check *check,
			  struct host_finding *f)
{
	static const char *const signs[] = { "/proc/lockdep", "/sys/kernel/debug/kmemleak",
					     "/sys/kernel/debug/kcsan" };

	(void)check;
	if (!host_exists(facts, "/proc/version")) {
		host_unreadable(facts, f, "/proc/version", -ENOENT);
		return;
	}
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		int ret = host_look(facts, signs[i]);

		if (!ret)
			continue;
		if (ret < 0) {
			host_unreadable(facts, f, signs[i], ret);
			return;
		}
		host_say(f, HOST_WARN, "%s is there: a kernel built for debugging, several times slower",
			 signs[i]);
		host_remedy(f, RTKVM_REMEDY_MANUAL, "boot a kernel without CONFIG_PROVE_LOCKING, "
						    "CONFIG_DEBUG_KMEMLEAK and CONFIG_KCSAN");
		return;
	}
	host_say(f, HOST_OK, "no sign of lockdep, kmemleak or kcsan");
}

static const struct host_knob timer_migration = {
	.path = SYSCTL "timer_migration", .folder = "/proc/sys/kernel",
	.absent = "the kernel does not migrate timers", .kind = HOST_KNOB_EQUAL, .bad = HOST_WARN,
	.want = 0, .means = "timers of idle CPUs are moved to busy ones, a real-time CPU among them",
};

static const struct host_knob nmi_watchdog = {
	.path = SYSCTL "nmi_watchdog", .folder = "/proc/sys/kernel",
	.absent = "the kernel has no hard-lockup detector", .kind = HOST_KNOB_EQUAL,
	.bad = HOST_WARN, .want = 0, .means = "a counter of each CPU raises NMIs, and is not the guest's",
};

static const struct host_knob lockless_check = {
	.path = "/sys/kernel/ktimer_lockless_check", .folder = "/sys/kernel",
	.absent = "only some distributions' real-time kernels have it", .kind = HOST_KNOB_EQUAL,
	.bad = HOST_WARN, .want = 1, .means = "the tick takes a lock to see whether a timer is due",
};

static const struct host_knob tracer = {
	.path = "/sys/kernel/tracing/current_tracer", .folder = NULL, .absent = NULL,
	.kind = HOST_KNOB_WORD, .bad = HOST_WARN, .want_text = "nop", .write = "nop",
	.means = "each traced function costs time",
};

const struct host_check host_checks_sched[] = {
	{ "sched-preempt", "sched", "a kernel that can be preempted", check_preempt,
	  "Without PREEMPT_RT a spinlock, an interrupt handler or a softirq of any device delays the "
	  "vCPU for as long as it takes: ms.",
	  "Documentation/core-api/real-time/; kernel/Kconfig.preempt", NULL },
	{ "sched-throttle", "sched", "no RT throttling", check_throttle,
	  "A real-time thread that uses up its share of a period is stopped until the next one, by "
	  "default for 50 ms of each second.",
	  "sched(7), Limiting the CPU usage of real-time and deadline processes", NULL },
	{ "sched-fair-server", "sched", "no fair server on real-time CPUs", check_fair_server,
	  "Since 6.12 a deadline server runs ordinary threads for 50 ms of each second, before any "
	  "SCHED_FIFO thread.",
	  "kernel/sched/deadline.c, dl_server_start(); Documentation/scheduler/sched-deadline.rst", NULL },
	{ "sched-rt-group", "sched", "the cgroup has real-time runtime", check_rt_group,
	  "With RT group scheduling, a v1 cpu cgroup starts with no real-time runtime, and "
	  "sched_setscheduler() fails with EPERM in it, even for root.",
	  "Documentation/scheduler/sched-rt-group.rst", NULL },
	{ "sched-timer-migration", "sched", "timers stay where they are armed", host_check_knob,
	  "A timer that was moved interrupts the CPU that it was moved to.",
	  "Documentation/admin-guide/kernel-per-CPU-kthreads.rst; kernel/time/timer_migration.c",
	  &timer_migration },
	{ "sched-nmi-watchdog", "sched", "no hard-lockup detector", host_check_knob,
	  "Its NMIs cost some microseconds each, and it occupies a performance counter.",
	  "Documentation/admin-guide/lockup-watchdogs.rst", &nmi_watchdog },
	{ "sched-soft-watchdog", "sched", "no soft-lockup detector on real-time CPUs",
	  check_soft_watchdog,
	  "Its timer wakes a thread of the highest priority on each CPU every 4 s.",
	  "Documentation/admin-guide/lockup-watchdogs.rst", NULL },
	{ "sched-hung-task", "sched", "patience with hung tasks", check_hung_task,
	  "Starved ordinary threads are normal beside real-time ones that never sleep.",
	  "Documentation/admin-guide/sysctl/kernel.rst, hung_task_timeout_secs", NULL },
	{ "sched-workqueues", "sched", "unbound work keeps off", check_workqueues,
	  "Kernel work that belongs to no CPU (writeback, crypto, block devices) runs on those of "
	  "this mask.",
	  "Documentation/core-api/workqueue.rst; Documentation/ABI/testing/sysfs-devices-virtual-"
	  "workqueue", NULL },
	{ "sched-ktimer-lockless", "sched", "lock-less look at timers", host_check_knob,
	  "Lets the tick of an isolated CPU see without a lock that no timer is due.",
	  "tuned, profile realtime-virtual-host", &lockless_check },
	{ "sched-tracer", "sched", "no tracer runs", host_check_knob,
	  "A function tracer doubles the time that the kernel takes; it stays on when its user forgot "
	  "it.",
	  "Documentation/trace/ftrace.rst", &tracer },
	{ "sched-debug-kernel", "sched", "not a kernel for debugging", check_lockdep,
	  "Lock checking makes every lock some microseconds long, with interrupts off.",
	  "Documentation/locking/lockdep-design.rst", NULL },
	{ .id = NULL },
};
