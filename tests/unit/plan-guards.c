/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of the guards on made-up trees: for each guard trees that differ
 * in one fact get opposite verdicts. Also the parsers under them.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/plan.h>

#include "core/cgroup.h"
#include "core/kthreads.h"
#include "plan/guard.h"
#include "support/test.h"

static const char *dir;
static struct rtkvm *rt;

/* A stat line as the kernel writes it. */
static void write_stat(int pid, const char *comm, int ppid, unsigned int flags, int policy,
		       int prio)
{
	char path[64], line[512];

	snprintf(path, sizeof(path), "proc/%d/task/%d/stat", pid, pid);
	snprintf(line, sizeof(line),
		 "%d (%s) S %d 0 0 0 -1 %u 0 0 0 0 0 3 0 0 20 0 1 0 17 0 0 18446744073709551615 "
		 "0 0 0 0 0 0 0 2147483647 0 1 0 0 17 0 %d %d 0 0 0 0 0 0 0 0 0 0 0\n",
		 pid, comm, ppid, flags, prio, policy);
	test_write(dir, path, line);
}

#define KTHREAD 0x00200000

/* A host where nothing objects: 4 CPUs, no PREEMPT_RT, no throttling, kernel 6.1. */
static void setup(void)
{
	struct rtkvm_options opt;

	dir = test_tmpdir();
	test_write(dir, "proc/self/status",
		   "Name:\tvmm\nVmSize:\t   20000 kB\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n");
	test_write(dir, "sys/devices/system/cpu/online", "0-3\n");
	test_write(dir, "proc/version", "Linux version 6.1.0 (x@y) #1 SMP PREEMPT_DYNAMIC\n");
	test_write(dir, "proc/sys/kernel/osrelease", "6.1.0-9-amd64\n");
	test_write(dir, "proc/sys/kernel/sched_rt_runtime_us", "-1\n");
	test_write(dir, "proc/sys/kernel/sched_rt_period_us", "1000000\n");
	test_write(dir, "proc/self/uid_map", "         0          0 4294967295\n");
	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = dir;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
}

static void teardown(void)
{
	rtkvm_free(rt);
}

static char reason[2048];

/* What a guard says of a plan: 'v'erified, 'o'ff, 'u'nverifiable; capital: a problem. */
static int ask(const char *text, const char *cpus, unsigned int vcpus, unsigned int allow,
	       const char *feature)
{
	const struct rtkvm_report_item *item;
	struct rtkvm_report *report = NULL;
	struct rtkvm_plan *plan;
	int state;

	ck_assert_msg(rtkvm_plan_parse(rt, text, &plan) == 0, "%s", rtkvm_last_error());
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_VCPU, cpus), 0);
	ck_assert_int_eq(rtkvm_plan_allow(plan, allow), 0);
	rtkvm_plan_check(plan, vcpus, &report);
	ck_assert_uint_eq(rtkvm_report_count(report), 5);
	item = rtkvm_report_find(report, feature);
	ck_assert_ptr_nonnull(item);
	state = rtkvm_report_state_name(rtkvm_report_item_state(item))[0];
	snprintf(reason, sizeof(reason), "%s", rtkvm_report_item_reason(item));
	if (rtkvm_report_item_problem(item))
		state -= 'a' - 'A';
	rtkvm_report_free(report);
	rtkvm_plan_free(plan);
	return state;
}

/* Does the whole check pass or refuse, privileges apart? */
static int check(const char *text, const char *cpus, unsigned int vcpus, unsigned int allow)
{
	struct rtkvm_plan *plan;
	int ret;

	ck_assert_int_eq(rtkvm_plan_parse(rt, text, &plan), 0);
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_VCPU, cpus), 0);
	rtkvm_plan_allow(plan, allow | RTKVM_GUARD_PRIVILEGE);
	ret = rtkvm_plan_check(plan, vcpus, NULL);
	rtkvm_plan_free(plan);
	return ret;
}

#define SAYS(text) ck_assert_msg(strstr(reason, text) != NULL, "\"%s\" is not in: %s", text, reason)

START_TEST(overcommit)
{
	ck_assert_int_eq(ask("maxprio=80", "2-3", 2, 0, "guard-overcommit"), 'v');
	ck_assert_int_eq(ask("maxprio=80", "2-3", 3, 0, "guard-overcommit"), 'O');
	SAYS("3 vCPU threads have only CPUs 2-3");
	SAYS("rtkvm_plan_set_role_cpus");
	ck_assert_int_eq(ask("maxprio=80", NULL, 4, 0, "guard-overcommit"), 'v');
	SAYS("only while a vCPU sleeps");
	ck_assert_int_eq(ask("maxprio=80", NULL, 5, 0, "guard-overcommit"), 'O');
	/* one CPU less for the process */
	test_write(dir, "proc/self/status", "Cpus_allowed_list:\t0-2\n");
	ck_assert_int_eq(ask("maxprio=80", NULL, 4, 0, "guard-overcommit"), 'O');
	/* one CPU less online */
	test_write(dir, "sys/devices/system/cpu/online", "0-2\n");
	ck_assert_int_eq(ask("maxprio=80", "2-3", 2, 0, "guard-overcommit"), 'O');
	/* vCPUs that are not real-time take turns */
	ck_assert_int_eq(ask("maxprio=0,policy=ts", "2", 9, 0, "guard-overcommit"), 'v');
	ck_assert_int_eq(ask("maxprio=80", "2", 0, 0, "guard-overcommit"), 'v');
	SAYS("no vCPU thread yet");
}
END_TEST

/* vCPUs whose guests run elsewhere take no CPU of the host, and do not spin there. */
START_TEST(dedicated)
{
	static const char *const spinning[] = { "guard-overcommit", "guard-kthreads", "guard-throttle" };
	const struct rtkvm_report_item *item;
	struct rtkvm_report *report = NULL;
	struct rtkvm_plan *plan;

	test_write(dir, "proc/sys/kernel/sched_rt_runtime_us", "950000\n");
	ck_assert_int_eq(rtkvm_plan_parse(rt, "maxprio=80", &plan), 0);
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_VCPU, "3"), 0);
	ck_assert_int_eq(rtkvm_thread_enter(plan, RTKVM_ROLE_VCPU), 0);
	for (int there = 0; there < 2; there++) {
		plan_set_dedicated(plan, gettid(), there);
		for (size_t i = 0; i < sizeof(spinning) / sizeof(spinning[0]); i++) {
			rtkvm_plan_check(plan, 0, &report);
			item = rtkvm_report_find(report, spinning[i]);
			snprintf(reason, sizeof(reason), "%s", rtkvm_report_item_reason(item));
			ck_assert_int_eq(!!strstr(reason, "dedicated CPUs (1)"), there);
			ck_assert_int_eq(rtkvm_report_item_state(item),
					 there || i < 2 ? RTKVM_STATE_VERIFIED : RTKVM_STATE_OFF);
			rtkvm_report_free(report);
		}
		/* two more that do compute: one CPU for them, whether the first counts or not */
		rtkvm_plan_check(plan, 2, &report);
		item = rtkvm_report_find(report, "guard-overcommit");
		ck_assert_int_eq(rtkvm_report_item_state(item), RTKVM_STATE_OFF);
		rtkvm_report_free(report);
		/* one more: with the one that entered it is one too many, beside a dedicated one not */
		rtkvm_plan_check(plan, there ? 1 : 2, &report);
		item = rtkvm_report_find(report, "guard-overcommit");
		ck_assert_int_eq(rtkvm_report_item_state(item),
				 there ? RTKVM_STATE_VERIFIED : RTKVM_STATE_OFF);
		rtkvm_report_free(report);
	}
	plan_set_dedicated(plan, 1, true); /* no thread of the plan: nothing */
	ck_assert_int_eq(rtkvm_thread_leave(plan), 0);
	rtkvm_plan_free(plan);
}
END_TEST

START_TEST(overcommit_refuses_until_allowed)
{
	ck_assert_int_eq(check("maxprio=80", "2-3", 2, 0), 0);
	ck_assert_int_eq(check("maxprio=80", "2-3", 3, 0), -EPERM);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "guard-overcommit refuses"));
	ck_assert_str_ne(rtkvm_last_error_remedy(), "");
	ck_assert_int_eq(check("maxprio=80", "2-3", 3, RTKVM_GUARD_OVERCOMMIT), 0);
	ck_assert_int_eq(ask("maxprio=80", "2-3", 3, RTKVM_GUARD_OVERCOMMIT, "guard-overcommit"),
			 'O');
	SAYS("overridden: ");
}
END_TEST

START_TEST(facts_that_cannot_be_read)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/proc/self/status", dir);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(ask("maxprio=80", NULL, 4, 0, "guard-overcommit"), 'u');
	snprintf(path, sizeof(path), "%s/proc/version", dir);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(ask("maxprio=80", NULL, 4, 0, "guard-kthreads"), 'u');
	snprintf(path, sizeof(path), "%s/proc/sys/kernel/sched_rt_runtime_us", dir);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(ask("maxprio=80", NULL, 4, 0, "guard-throttle"), 'u');
	/* what is not known does not refuse */
	ck_assert_int_eq(check("maxprio=80", NULL, 4, 0), 0);
}
END_TEST

/* PREEMPT_RT with its threads of CPU 2 at these priorities. */
static void preempt_rt(int ktimers, int ksoftirqd, int rcuc)
{
	test_write(dir, "proc/version", "Linux version 6.1.0 (x@y) #1 SMP PREEMPT_RT\n");
	write_stat(2, "kthreadd", 0, KTHREAD, 0, 0);
	write_stat(20, "ktimers/2", 2, KTHREAD, 1, ktimers);
	write_stat(21, "ksoftirqd/2", 2, KTHREAD, ksoftirqd ? 1 : 0, ksoftirqd);
	write_stat(22, "rcuc/2", 2, KTHREAD, 1, rcuc);
	/* those of another CPU never matter, nor does who only bears the name */
	write_stat(30, "ktimers/0", 2, KTHREAD, 1, 1);
	write_stat(40, "ktimers/2", 1, 0, 0, 0);
	test_write(dir, "proc/2/task/2/children", "20 21 22 30 ");
}

START_TEST(kthreads)
{
	preempt_rt(80, 80, 80);
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-kthreads"), 'v');
	SAYS("all 3 timer, softirq and RCU threads");
	preempt_rt(79, 80, 80);
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-kthreads"), 'O');
	SAYS("ktimers/2 (pid 20) has real-time priority 79");
	SAYS("chrt -f -p 80 20");
	preempt_rt(80, 0, 80);
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-kthreads"), 'O');
	SAYS("ksoftirqd/2 (pid 21) has real-time priority 0");
	preempt_rt(80, 80, 1);
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-kthreads"), 'O');
	SAYS("chrt -f -p 80 22");
	preempt_rt(1, 0, 1);
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-kthreads"), 'O');
	SAYS("2 more");
	/* a lower plan, another CPU, no real-time vCPU, no PREEMPT_RT */
	preempt_rt(3, 2, 4);
	ck_assert_int_eq(ask("maxprio=2", "2", 1, 0, "guard-kthreads"), 'v');
	ck_assert_int_eq(ask("maxprio=3", "2", 1, 0, "guard-kthreads"), 'O');
	ck_assert_int_eq(ask("maxprio=0,policy=ts", "2", 1, 0, "guard-kthreads"), 'v');
	ck_assert_int_eq(ask("maxprio=3", "3", 1, 0, "guard-kthreads"), 'u');
	test_write(dir, "proc/version", "Linux version 6.1.0 (x@y) #1 SMP PREEMPT_DYNAMIC\n");
	ck_assert_int_eq(ask("maxprio=3", "2", 1, 0, "guard-kthreads"), 'v');
	test_write(dir, "sys/kernel/realtime", "1\n");
	ck_assert_int_eq(ask("maxprio=3", "2", 1, 0, "guard-kthreads"), 'O');
	ck_assert_int_eq(check("maxprio=3", "2", 1, 0), -EPERM);
	ck_assert_int_eq(check("maxprio=3", "2", 1, RTKVM_GUARD_KTHREADS), 0);
}
END_TEST

START_TEST(kthreads_without_list_of_children)
{
	char path[600];

	preempt_rt(79, 80, 80);
	snprintf(path, sizeof(path), "%s/proc/2/task/2/children", dir);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-kthreads"), 'O');
	SAYS("chrt -f -p 80 20");
	/* a PID namespace where number 2 is somebody else */
	write_stat(2, "bash", 1, 0, 0, 0);
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-kthreads"), 'u');
}
END_TEST

START_TEST(throttle)
{
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-throttle"), 'v');
	test_write(dir, "proc/sys/kernel/sched_rt_runtime_us", "950000\n");
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-throttle"), 'O');
	SAYS("950000 of 1000000 us");
	SAYS("stopped for 50000 us");
	/* a warning: goes ahead, and is silent when overridden */
	ck_assert_int_eq(check("maxprio=80", "2", 1, 0), 0);
	ck_assert_int_eq(ask("maxprio=80", "2", 1, RTKVM_GUARD_THROTTLE, "guard-throttle"), 'o');
	test_write(dir, "proc/sys/kernel/sched_rt_runtime_us", "1000000\n");
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-throttle"), 'v');
	ck_assert_int_eq(ask("maxprio=0,policy=ts", "2", 1, 0, "guard-throttle"), 'v');
}
END_TEST

START_TEST(fair_server)
{
	test_write(dir, "proc/sys/kernel/osrelease", "6.12.9\n");
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-throttle"), 'u');
	SAYS("fair server of CPU 2 cannot be read");
	test_write(dir, "sys/kernel/debug/sched/fair_server/cpu2/runtime", "0\n");
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-throttle"), 'v');
	test_write(dir, "sys/kernel/debug/sched/fair_server/cpu2/runtime", "50000000\n");
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-throttle"), 'O');
	SAYS("fair server of CPU 2");
	SAYS("fair_server/cpu2/runtime");
	test_write(dir, "proc/sys/kernel/osrelease", "6.11.0\n");
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-throttle"), 'v');
	test_write(dir, "proc/sys/kernel/osrelease", "10.0.0\n");
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-throttle"), 'O');
}
END_TEST

START_TEST(top)
{
	ck_assert_int_eq(ask("maxprio=98", "2", 1, 0, "guard-top"), 'v');
	ck_assert_int_eq(ask("maxprio=99", "2", 1, 0, "guard-top"), 'O');
	ck_assert_int_eq(ask("maxprio=99", "2", 1, RTKVM_GUARD_TOP, "guard-top"), 'o');
	ck_assert_int_eq(check("maxprio=99", "2", 1, 0), 0);
	ck_assert_int_eq(ask("maxprio=99,policy=ts", "2", 1, 0, "guard-top"), 'v');
	ck_assert_int_eq(ask("maxprio=99,policy=ts,aioprio=99,aiopolicy=rr", "2", 1, 0, "guard-top"),
			 'O');
}
END_TEST

/* Take a capability from this process for good. */
static void drop(unsigned int cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	ck_assert_int_eq(syscall(SYS_capget, &head, data), 0);
	data[cap / 32].effective &= ~(1U << cap % 32);
	ck_assert_int_eq(syscall(SYS_capset, &head, data), 0);
}

/* In a child, whose privileges may be lost: the verdict of guard-privilege as exit status. */
static int privilege_of(const char *text, bool nice, bool lock, rlim_t rtprio, rlim_t memlock)
{
	struct rlimit limit;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int got;

		limit.rlim_cur = limit.rlim_max = rtprio;
		if (setrlimit(RLIMIT_RTPRIO, &limit) < 0)
			_exit(100);
		limit.rlim_cur = limit.rlim_max = memlock;
		if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
			_exit(100);
		if (!nice)
			drop(CAP_SYS_NICE);
		if (!lock)
			drop(CAP_IPC_LOCK);
		got = ask(text, "2", 1, 0, "guard-privilege");
		_exit(got);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(privilege_of_an_ordinary_user)
{
	ck_assert_int_eq(privilege_of("maxprio=80", false, false, 0, 0), 'O');
	ck_assert_int_eq(privilege_of("maxprio=0,policy=ts", false, false, 0, 0), 'v');
}
END_TEST

START_TEST(privilege)
{
	const rlim_t size = 4000 * 1024;

	if (geteuid() != 0)
		SKIP_TEST("needs root to have privileges to lose");
	test_write(dir, "proc/self/status", "VmSize:\t    4000 kB\nCpus_allowed_list:\t0-3\n");
	ck_assert_int_eq(privilege_of("maxprio=80", true, true, 0, 0), 'v');
	ck_assert_int_eq(privilege_of("maxprio=80", false, true, 0, 0), 'O');
	ck_assert_int_eq(privilege_of("maxprio=80", true, false, 0, 0), 'O');
	ck_assert_int_eq(privilege_of("maxprio=80", true, false, 0, size), 'v');
	ck_assert_int_eq(privilege_of("maxprio=80", true, false, 0, size - 1024), 'O');
}
END_TEST

START_TEST(privilege_by_rlimit)
{
	struct rlimit limit;

	getrlimit(RLIMIT_RTPRIO, &limit);
	limit.rlim_max = 80;
	if (geteuid() != 0)
		SKIP_TEST("needs root to have privileges to lose");
	if (setrlimit(RLIMIT_RTPRIO, &limit) < 0)
		SKIP_TEST("RLIMIT_RTPRIO cannot be raised (no CAP_SYS_RESOURCE)");
	ck_assert_int_eq(privilege_of("maxprio=80", false, true, 80, 0), 'v');
	ck_assert_int_eq(privilege_of("maxprio=80", false, true, 79, 0), 'O');
}
END_TEST

START_TEST(privilege_in_a_user_namespace)
{
	if (geteuid() != 0)
		SKIP_TEST("needs root to have privileges to lose");
	ck_assert_int_eq(privilege_of("maxprio=80", true, true, 0, 0), 'v');
	test_write(dir, "proc/self/uid_map", "         0       1000          1\n");
	ck_assert_int_eq(privilege_of("maxprio=80", true, true, 0, 0), 'O');
}
END_TEST

#define MOUNTS                                                                                \
	"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"                          \
	"33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"                 \
	"34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"                   \
	"32 31 0:29 / /sys/fs/cgroup/c\\040pu rw shared:9 master:1 - cgroup cgroup rw,cpu\n"  \
	"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"

START_TEST(privilege_of_a_cgroup)
{
	if (geteuid() != 0)
		SKIP_TEST("needs root to have privileges to lose");
	test_write(dir, "proc/self/cgroup", "9:name=systemd:/\n3:cpuset:/\n1:cpu:/vm/a\n0::/\n");
	test_write(dir, "proc/self/mountinfo", MOUNTS);
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-privilege"), 'v');
	test_write(dir, "sys/fs/cgroup/c pu/vm/a/cpu.rt_runtime_us", "0\n");
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-privilege"), 'O');
	SAYS("/sys/fs/cgroup/c pu/vm/a/cpu.rt_runtime_us is 0");
	SAYS("echo 900000 > ");
	test_write(dir, "sys/fs/cgroup/c pu/vm/a/cpu.rt_runtime_us", "1000\n");
	ck_assert_int_eq(ask("maxprio=80", "2", 1, 0, "guard-privilege"), 'v');
}
END_TEST

static const struct {
	const char *cgroup, *mounts, *path; /* NULL: none */
} cgroups[] = {
	{ "1:cpu:/\n", "1 1 0:1 / /c rw - cgroup cgroup rw,cpu\n", "/c/cpu.rt_runtime_us" },
	{ "1:cpu:/a\n", "1 1 0:1 / /c rw - cgroup x rw,cpu\n", "/c/a/cpu.rt_runtime_us" },
	{ "4:cpuacct,cpu:/a\n", "1 1 0:1 / /c rw - cgroup x rw,cpu,cpuacct",
	  "/c/a/cpu.rt_runtime_us" },
	{ "4:cpuacct,cpu:/a:b\n", "1 1 0:1 / /c rw - cgroup x rw,cpu,cpuacct",
	  "/c/a:b/cpu.rt_runtime_us" },
	/* a bind mount of a part, as in containers */
	{ "1:cpu:/box/a\n", "1 1 0:1 /box /c rw - cgroup x rw,cpu\n", "/c/a/cpu.rt_runtime_us" },
	{ "1:cpu:/box\n", "1 1 0:1 /box /c rw - cgroup x rw,cpu\n", "/c/cpu.rt_runtime_us" },
	{ "1:cpu:/boxer\n", "1 1 0:1 /box /c rw - cgroup x rw,cpu\n", "/c/boxer/cpu.rt_runtime_us" },
	{ "1:cpu:/../up\n", "1 1 0:1 / /c rw - cgroup x rw,cpu\n", "/c/cpu.rt_runtime_us" },
	{ "0::/a\n", "1 1 0:1 / /c rw - cgroup2 cgroup2 rw\n", NULL },
	{ "1:cpuset:/a\n", "1 1 0:1 / /c rw - cgroup x rw,cpu\n", NULL },
	{ "1:cpu:/a\n", "1 1 0:1 / /c rw - cgroup x rw,cpuset\n", NULL },
	{ "1:cpu:/a\n", "1 1 0:1 / /c rw - cgroup2 x rw,cpu\n", NULL },
	{ "1:cpu:/a\n", "garbage\n - cgroup x cpu\n", NULL },
	{ "", "", NULL },
	{ "1:cpu", "1 1 0:1 / /c rw - cgroup x rw,cpu\n", NULL },
};

START_TEST(cgroup_files)
{
	char path[512];
	bool found = rtkvm_cgroup_rt_file(cgroups[_i].cgroup, cgroups[_i].mounts, path,
					 sizeof(path));

	ck_assert_int_eq(found, cgroups[_i].path != NULL);
	if (found)
		ck_assert_str_eq(path, cgroups[_i].path);
}
END_TEST

START_TEST(status_values)
{
	const char *status = "Name:\tx\nVmLck:\t       0 kB\nThreads:\t1 \n";
	char value[8];

	ck_assert(plan_status_value(status, "VmLck", value, sizeof(value)));
	ck_assert_str_eq(value, "0 kB");
	ck_assert(plan_status_value(status, "Threads", value, sizeof(value)));
	ck_assert_str_eq(value, "1");
	ck_assert(!plan_status_value(status, "Vm", value, sizeof(value)));
	ck_assert(!plan_status_value(status, "Name", value, 1));
	ck_assert(!plan_status_value("", "Name", value, sizeof(value)));
}
END_TEST

static const struct {
	const char *text;
	int ret;
	const char *comm;
} stats[] = {
#define REST " S 2 0 0 0 -1 2129984 0 0 0 0 0 3 0 0 -2 0 1 0 17 0 0 18446744073709551615 0 0 0 0 0 " \
	     "0 0 2147483647 0 1 0 0 17 0 80 1 0 0 0 0 0 0 0 0 0 0 0"
	{ "12 (plain)" REST, 0, "plain" },
	{ "12 (a) b) (c)" REST, 0, "a) b) (c" },
	{ "12 ()" REST, 0, "" },
	{ "12 (a\\nb\\\\c)" REST, 0, "a\nb\\c" },
	{ "12 (plain) S 2 0", -EILSEQ, NULL },
	{ "12 plain S 2 0", -EILSEQ, NULL },
	{ "0 (x)" REST, -EILSEQ, NULL },
	{ "(x)" REST, -EILSEQ, NULL },
	{ "", -EILSEQ, NULL },
	{ "1 )(", -EILSEQ, NULL },
	{ "1 ()", -EILSEQ, NULL },
};

START_TEST(stat_lines)
{
	struct rtkvm_task task;

	ck_assert_int_eq(rtkvm_task_parse(stats[_i].text, &task), stats[_i].ret);
	if (stats[_i].ret < 0)
		return;
	ck_assert_str_eq(task.comm, stats[_i].comm);
	ck_assert_int_eq(task.tid, 12);
	ck_assert_int_eq(task.ppid, 2);
	ck_assert_uint_eq(task.start, 17);
	ck_assert_int_eq(task.priority, 80);
	ck_assert_int_eq(task.policy, 1);
	ck_assert(task.kthread);
}
END_TEST

START_TEST(kthread_owners)
{
	ck_assert_int_eq(rtkvm_kthread_owner("kvm-pit/12"), 12);
	ck_assert_int_eq(rtkvm_kthread_owner("vhost-77"), 77);
	ck_assert_int_eq(rtkvm_kthread_owner("kvm-nx-lpage-recovery-5"), 5);
	ck_assert_int_eq(rtkvm_kthread_owner("kvm-pit/"), 0);
	ck_assert_int_eq(rtkvm_kthread_owner("kvm-pit/1x"), 0);
	ck_assert_int_eq(rtkvm_kthread_owner("kworker/1"), 0);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("plan-guards");
	TCase *tc = tcase_create("guards");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, overcommit);
	tcase_add_test(tc, dedicated);
	tcase_add_test(tc, overcommit_refuses_until_allowed);
	tcase_add_test(tc, facts_that_cannot_be_read);
	tcase_add_test(tc, kthreads);
	tcase_add_test(tc, kthreads_without_list_of_children);
	tcase_add_test(tc, throttle);
	tcase_add_test(tc, fair_server);
	tcase_add_test(tc, top);
	tcase_add_test(tc, privilege_of_an_ordinary_user);
	tcase_add_test(tc, privilege);
	tcase_add_test(tc, privilege_by_rlimit);
	tcase_add_test(tc, privilege_in_a_user_namespace);
	tcase_add_test(tc, privilege_of_a_cgroup);
	suite_add_tcase(suite, tc);
	tc = tcase_create("parsers");
	tcase_add_loop_test(tc, cgroup_files, 0, sizeof(cgroups) / sizeof(cgroups[0]));
	tcase_add_test(tc, status_values);
	tcase_add_loop_test(tc, stat_lines, 0, sizeof(stats) / sizeof(stats[0]));
	tcase_add_test(tc, kthread_owners);
	suite_add_tcase(suite, tc);
	return suite;
}
