/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Leases of real threads: a sleeping process that the test starts. Only what
 * needs a privilege is skipped without it.
 */
#include <errno.h>
#include <dirent.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cpulist.h"
#include "tree.h"

static const char *root; /* for the state directory only */
static struct rtkvm *rt;
static pid_t sleeper;

static pid_t start_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* a name that looks like more fields of stat */
		prctl(PR_SET_NAME, "a) R 1 (b) 2 3");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

static void end_sleeper(void)
{
	if (sleeper > 0) {
		kill(sleeper, SIGKILL);
		waitpid(sleeper, NULL, 0);
	}
	sleeper = 0;
}

static void setup(void)
{
	struct rtkvm_options opt;
	char dir[4300];

	root = strdup(test_fast_tmpdir());
	snprintf(dir, sizeof(dir), "%s/state", root);
	rtkvm_options_init(&opt, sizeof(opt));
	opt.state_dir = dir;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	sleeper = start_sleeper();
}

static void teardown(void)
{
	end_sleeper();
	rtkvm_free(rt);
	free((void *)(uintptr_t)root);
}

static int policy_of(pid_t tid, int *priority)
{
	struct sched_param param;

	ck_assert_int_eq(sched_getparam(tid, &param), 0);
	*priority = param.sched_priority;
	return sched_getscheduler(tid);
}

static void assert_policy(int policy, int priority)
{
	int now;

	ck_assert_int_eq(policy_of(sleeper, &now), policy);
	ck_assert_int_eq(now, priority);
}

/* May this process raise another one, and lower it fully again? */
static bool may_raise(void)
{
	struct sched_param one = { .sched_priority = 1 }, zero = { .sched_priority = 0 };
	pid_t pid = start_sleeper();
	bool may = sched_setscheduler(pid, SCHED_FIFO | SCHED_RESET_ON_FORK, &one) == 0 &&
		   sched_setscheduler(pid, SCHED_OTHER, &zero) == 0;

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return may;
}

#define NEEDS_RAISING()                                                          \
	do {                                                                     \
		if (!may_raise())                                                \
			SKIP_TEST("needs CAP_SYS_NICE and real-time runtime"); \
	} while (0)

START_TEST(policy)
{
	struct rtkvm_lease *lease;
	struct rtkvm_report *report;
	char label[64];

	NEEDS_RAISING();
	lease = lease_of(rt, "demo");
	ck_assert_int_eq(setpriority(PRIO_PROCESS, (id_t)sleeper, 7), 0);
	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, sleeper, RTKVM_POLICY_FF, 3), 0);
	assert_policy(SCHED_FIFO | SCHED_RESET_ON_FORK, 3);
	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, sleeper, RTKVM_POLICY_RR, 2), 0);
	assert_policy(SCHED_RR | SCHED_RESET_ON_FORK, 2);
	ck_assert_int_eq(rtkvm_status(rt, &report), 0);
	snprintf(label, sizeof(label), "demo/thread-sched %d", sleeper);
	ck_assert_str_eq(rtkvm_report_item_reason(item_of(report, label)),
			 "rr/2/reset-on-fork; ff/3/reset-on-fork before");
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_lease_release(lease, &report), 0);
	assert_policy(SCHED_OTHER, 0);
	ck_assert_int_eq(getpriority(PRIO_PROCESS, (id_t)sleeper), 7);
	ck_assert_uint_eq(rtkvm_report_count(report), 2);
	ck_assert_uint_eq(rtkvm_report_problems(report), 0);
	rtkvm_report_free(report);
}
END_TEST

START_TEST(batch_policy_comes_back)
{
	struct sched_param zero = { .sched_priority = 0 };
	struct rtkvm_lease *lease;

	NEEDS_RAISING();
	lease = lease_of(rt, "demo");
	ck_assert_int_eq(sched_setscheduler(sleeper, SCHED_BATCH, &zero), 0);
	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, sleeper, RTKVM_POLICY_FF, 1), 0);
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
	assert_policy(SCHED_BATCH, 0);
}
END_TEST

START_TEST(policy_changed_by_someone_else)
{
	struct sched_param five = { .sched_priority = 5 };
	struct rtkvm_lease *lease;
	struct rtkvm_report *report;

	NEEDS_RAISING();
	lease = lease_of(rt, "demo");
	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, sleeper, RTKVM_POLICY_FF, 1), 0);
	ck_assert_int_eq(sched_setscheduler(sleeper, SCHED_FIFO | SCHED_RESET_ON_FORK, &five), 0);
	ck_assert_int_eq(rtkvm_lease_release(lease, &report), 0);
	ck_assert_uint_eq(rtkvm_report_problems(report), 1);
	rtkvm_report_free(report);
	assert_policy(SCHED_FIFO | SCHED_RESET_ON_FORK, 5);
}
END_TEST

/* Give up one capability of this process. */
static bool drop_sys_nice(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	data[0].effective &= ~(1U << CAP_SYS_NICE);
	return syscall(SYS_capset, &header, data) == 0;
}

/* Without CAP_SYS_NICE a thread can be lowered, but keeps SCHED_RESET_ON_FORK. */
START_TEST(flag_that_takes_privilege_to_clear)
{
	struct rtkvm_lease *lease;
	struct rtkvm_report *report;
	char label[64];

	NEEDS_RAISING();
	lease = lease_of(rt, "demo");
	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, sleeper, RTKVM_POLICY_FF, 1), 0);
	ck_assert(drop_sys_nice());
	ck_assert_int_eq(rtkvm_lease_release(lease, &report), 0);
	assert_policy(SCHED_OTHER | SCHED_RESET_ON_FORK, 0);
	snprintf(label, sizeof(label), "thread-sched %d", sleeper);
	ck_assert_int_eq(rtkvm_report_item_problem(item_of(report, label)), 1);
	ck_assert_int_eq(rtkvm_report_item_state(item_of(report, label)), RTKVM_STATE_ACCEPTED);
	rtkvm_report_free(report);
	ck_assert_uint_eq(journal_count(root), 0);
}
END_TEST

START_TEST(affinity)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	char before[RTKVM_VALUE_MAX], now[RTKVM_VALUE_MAX], one[16];
	struct rtkvm_cpus set;
	struct rtkvm_report *report;

	ck_assert_int_eq(rtkvm_thread_cpus_read(sleeper, before), 0);
	ck_assert_int_eq(rtkvm_cpus_parse_list(before, &set, NULL), 0);
	if (rtkvm_cpus_count(&set) < 2)
		SKIP_TEST("needs two CPUs");
	snprintf(one, sizeof(one), "%d", rtkvm_cpus_next(&set, 0));
	ck_assert_int_eq(rtkvm_lease_set_thread_cpus(lease, sleeper, one), 0);
	ck_assert_int_eq(rtkvm_thread_cpus_read(sleeper, now), 0);
	ck_assert_str_eq(now, one);
	/* some CPU that is not there: the kernel keeps it out, nothing is changed */
	strcat(one, ",8191");
	ck_assert_int_eq(rtkvm_lease_set_thread_cpus(lease, sleeper, one), -EIO);
	ck_assert_int_eq(rtkvm_lease_set_thread_cpus(lease, sleeper, "8191"), -EINVAL);
	ck_assert_str_ne(rtkvm_last_error_remedy(), "");
	ck_assert_int_eq(rtkvm_lease_release(lease, &report), 0);
	ck_assert_uint_eq(rtkvm_report_count(report), 1);
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_thread_cpus_read(sleeper, now), 0);
	ck_assert_str_eq(now, before);
}
END_TEST

START_TEST(thread_that_ended)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	char list[RTKVM_VALUE_MAX];
	struct rtkvm_report *report;
	pid_t was = sleeper;

	ck_assert_int_eq(rtkvm_thread_cpus_read(sleeper, list), 0);
	ck_assert_int_eq(rtkvm_lease_set_thread_cpus(lease, sleeper, list), 0);
	end_sleeper();
	ck_assert_int_eq(rtkvm_lease_set_thread_cpus(lease, was, list), -ESRCH);
	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, was, RTKVM_POLICY_TS, 0), -ESRCH);
	ck_assert_int_eq(rtkvm_lease_set_thread_cpus(lease, 0, list), -ESRCH);
	ck_assert_int_eq(rtkvm_lease_release(lease, &report), 0);
	ck_assert_uint_eq(rtkvm_report_problems(report), 0);
	rtkvm_report_free(report);
}
END_TEST

/* The first CPU that the sleeper may use. */
static int first_cpu(void)
{
	char list[RTKVM_VALUE_MAX];
	struct rtkvm_cpus set;

	ck_assert_int_eq(rtkvm_thread_cpus_read(sleeper, list), 0);
	ck_assert_int_eq(rtkvm_cpus_parse_list(list, &set, NULL), 0);
	return rtkvm_cpus_next(&set, 0);
}

/* A journal with one record about the sleeper's CPUs: one now, 8191 before. */
static void forge(uint64_t start, const char *pidns)
{
	char header[300], record[200], boot_id[37], own[32];
	const char *lines[] = { header, record };
	char *text;

	ck_assert_int_eq(rtkvm_boot_id(rt, boot_id), 0);
	snprintf(own, sizeof(own), "%ju", (uintmax_t)rtkvm_pidns());
	snprintf(header, sizeof(header),
		 "0 rtkvm-journal 1 boot %s uid %u pidns %s owner 1:0 root real lease demo",
		 boot_id, geteuid(), pidns ? pidns : own);
	snprintf(record, sizeof(record), "1 10 cpus %d:%llu 8191 %d", (int)sleeper,
		 (unsigned long long)start, first_cpu());
	text = sealed(lines, 2);
	journal_write(root, "0123456789abcdef.journal", text, strlen(text), 0600);
	free(text);
}

START_TEST(other_thread_of_that_number)
{
	struct rtkvm_report *report;
	char now[RTKVM_VALUE_MAX], label[64], one[16];
	uint64_t start;

	ck_assert_int_eq(rtkvm_thread_start(rt, sleeper, &start), 0);
	snprintf(one, sizeof(one), "%d", first_cpu());
	ck_assert_int_eq(rtkvm_thread_cpus_write(sleeper, one), 0);
	snprintf(label, sizeof(label), "demo/thread-cpus %d", sleeper);
	/* the control: with the right start time it tries (and cannot: no CPU 8191) */
	forge(start, NULL);
	report = restored(rt, -EIO);
	ck_assert_int_eq(rtkvm_report_item_problem(item_of(report, label)), 1);
	rtkvm_report_free(report);
	forge(start + 1, NULL);
	report = restored(rt, 0);
	ck_assert_ptr_nonnull(
		strstr(rtkvm_report_item_reason(item_of(report, label)), "ended"));
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_thread_cpus_read(sleeper, now), 0);
	ck_assert_str_eq(now, one);
}
END_TEST

/* A process that sleeps in a pid namespace of its own; 0 where none can be made. */
static pid_t other_namespace(char *inode, size_t size)
{
	char path[64];
	struct stat st;
	int to[2];
	pid_t child, inner = 0;

	ck_assert_int_eq(pipe(to), 0);
	child = fork();
	if (child == 0) {
		inner = unshare(CLONE_NEWPID) < 0 ? 0 : fork();
		if (inner == 0 && getpid() == 1)
			for (;;)
				pause();
		_exit(write(to[1], &inner, sizeof(inner)) != sizeof(inner));
	}
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(read(to[0], &inner, sizeof(inner)), sizeof(inner));
	close(to[0]);
	close(to[1]);
	if (inner <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", inner);
	ck_assert_int_eq(stat(path, &st), 0);
	snprintf(inode, size, "%ju", (uintmax_t)st.st_ino);
	return inner;
}

START_TEST(thread_of_another_namespace)
{
	struct rtkvm_report *report;
	uint64_t start;
	char label[64], inode[32] = "9";
	pid_t there;

	ck_assert_int_eq(rtkvm_thread_start(rt, sleeper, &start), 0);
	there = other_namespace(inode, sizeof(inode));
	forge(start, inode);
	report = restored(rt, -EIO);
	snprintf(label, sizeof(label), "demo/thread-cpus %d", sleeper);
	ck_assert_ptr_nonnull(
		strstr(rtkvm_report_item_reason(item_of(report, label)), "cannot be known here"));
	rtkvm_report_free(report);
	ck_assert_uint_eq(journal_count(root), 1);
	if (there)
		ck_assert_int_eq(kill(there, SIGKILL), 0);
}
END_TEST

/* Nobody is left in it, so its threads have ended. Known to root of the host alone. */
START_TEST(thread_of_a_namespace_that_is_gone)
{
	struct stat st;
	uint64_t start;

	if (geteuid() != 0 || stat("/proc/self/ns/pid", &st) < 0 || st.st_ino != 0xeffffffcU)
		SKIP_TEST("needs root in the pid namespace of the host");
	ck_assert_int_eq(rtkvm_thread_start(rt, sleeper, &start), 0);
	forge(start, "9");
	rtkvm_report_free(restored(rt, 0));
	ck_assert_uint_eq(journal_count(root), 0);
}
END_TEST

START_TEST(policy_without_privilege)
{
	struct rtkvm_lease *lease;

	if (may_raise())
		SKIP_TEST("this user may raise threads");
	lease = lease_of(rt, "demo");
	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, sleeper, RTKVM_POLICY_FF, 1), -EPERM);
	ck_assert_str_ne(rtkvm_last_error_remedy(), "");
	assert_policy(SCHED_OTHER, 0);
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
}
END_TEST

START_TEST(hold_cstate)
{
	struct rtkvm_lease *lease;
	struct rtkvm_report *report;
	int ret;

	lease = lease_of(rt, "demo");
	ret = rtkvm_lease_hold_cstate(lease, 5);
	if (ret < 0) {
		ck_assert(ret == -ENOENT || ret == -EACCES);
		ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
		SKIP_TEST("needs root and /dev/cpu_dma_latency");
	}
	ck_assert_int_eq(rtkvm_lease_hold_cstate(lease, 5), -EBUSY);
	ck_assert_int_eq(rtkvm_status(rt, &report), 0);
	ck_assert_ptr_nonnull(
		strstr(rtkvm_report_item_reason(item_of(report, "demo/cstate")), "5 us"));
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_lease_release(lease, &report), 0);
	item_of(report, "cstate");
	rtkvm_report_free(report);
}
END_TEST

/* An IRQ whose affinity the kernel keeps to itself: its file is read-only. */
static int managed_irq(void)
{
	DIR *dir = opendir("/proc/irq");
	struct dirent *e;
	char path[300];
	struct stat st;
	int irq = -1;

	while (dir && irq < 0 && (e = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/irq/%s/smp_affinity_list", e->d_name);
		if (stat(path, &st) == 0 && !(st.st_mode & 0200))
			irq = atoi(e->d_name);
	}
	if (dir)
		closedir(dir);
	return irq;
}

START_TEST(irq_managed_by_the_kernel)
{
	int irq = managed_irq();
	struct rtkvm_lease *lease;

	if (geteuid() != 0)
		SKIP_TEST("needs root");
	if (irq < 0)
		SKIP_TEST("no IRQ here is managed by the kernel");
	lease = lease_of(rt, "demo");
	ck_assert_int_eq(rtkvm_lease_set_knob(lease, RTKVM_KNOB_IRQ_AFFINITY, (unsigned int)irq,
					      "0"), -EIO);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error_remedy(), "managed"));
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("thread");
	TCase *tc = tcase_create("thread");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, policy);
	tcase_add_test(tc, batch_policy_comes_back);
	tcase_add_test(tc, policy_changed_by_someone_else);
	tcase_add_test(tc, flag_that_takes_privilege_to_clear);
	tcase_add_test(tc, affinity);
	tcase_add_test(tc, thread_that_ended);
	tcase_add_test(tc, other_thread_of_that_number);
	tcase_add_test(tc, thread_of_another_namespace);
	tcase_add_test(tc, thread_of_a_namespace_that_is_gone);
	tcase_add_test(tc, policy_without_privilege);
	tcase_add_test(tc, hold_cstate);
	tcase_add_test(tc, irq_managed_by_the_kernel);
	suite_add_tcase(suite, tc);
	return suite;
}
