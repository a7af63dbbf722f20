/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who owns a lease without a descriptor, who watches its threads, and a journal
 * that threads which end do not fill. Nothing here needs a privilege.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/plan.h>

#include "tree.h"

#define ENDED_THREADS 2500

static char state[4300];
static struct rtkvm *rt;
static pid_t sleeper, other;

static pid_t start_sleeper(void)
{
	struct sched_param param = { 0 };
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(sched_setscheduler(pid, SCHED_BATCH, &param), 0);
	return pid;
}

static void setup(void)
{
	struct rtkvm_options opt;

	snprintf(state, sizeof(state), "%s/state", test_fast_tmpdir());
	rtkvm_options_init(&opt, sizeof(opt));
	opt.state_dir = state;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	sleeper = start_sleeper();
	other = start_sleeper();
}

static void teardown(void)
{
	kill(sleeper, SIGKILL);
	kill(other, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	rtkvm_free(rt);
}

/* What the only lease has of a feature; the report is the caller's. */
static const struct rtkvm_report_item *status_of(const char *feature, struct rtkvm_report **report)
{
	ck_assert_int_eq(rtkvm_status(rt, report), 0);
	return rtkvm_report_find(*report, feature);
}

/* A killed process is a zombie until its parent looks. */
static void wait_for_zombie(pid_t pid)
{
	siginfo_t info;

	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

START_TEST(target_owns)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	struct rtkvm_report *report;

	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, other, RTKVM_POLICY_TS, 0), 0);
	ck_assert_int_eq(sched_getscheduler(other), SCHED_OTHER);
	ck_assert_int_eq(rtkvm_lease_set_target(lease, sleeper), 0);
	rtkvm_lease_leave(lease);
	rtkvm_report_free(restored(rt, 0));
	ck_assert_int_eq(sched_getscheduler(other), SCHED_OTHER);
	ck_assert_ptr_nonnull(status_of("demo", &report));
	ck_assert_int_eq(rtkvm_report_item_state(rtkvm_report_find(report, "demo")),
			 RTKVM_STATE_VERIFIED);
	rtkvm_report_free(report);
	/* also when its parent does not look */
	ck_assert_int_eq(kill(sleeper, SIGKILL), 0);
	wait_for_zombie(sleeper);
	rtkvm_report_free(restored(rt, 0));
	ck_assert_int_eq(sched_getscheduler(other), SCHED_BATCH);
}
END_TEST

START_TEST(ended_by_name)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");

	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, other, RTKVM_POLICY_TS, 0), 0);
	ck_assert_int_eq(rtkvm_lease_set_target(lease, sleeper), 0);
	ck_assert_int_eq(rtkvm_lease_end(rt, "demo", NULL), -EBUSY);
	rtkvm_lease_leave(lease);
	ck_assert_int_eq(rtkvm_lease_end(rt, "demo", NULL), 0);
	ck_assert_int_eq(sched_getscheduler(other), SCHED_BATCH);
	ck_assert_int_eq(kill(sleeper, 0), 0);
}
END_TEST

START_TEST(wrong_targets)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	pid_t ended = fork();

	if (ended == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(ended, NULL, 0), ended);
	ck_assert_int_eq(rtkvm_lease_set_target(NULL, sleeper), -EINVAL);
	ck_assert_int_eq(rtkvm_lease_set_target(lease, 0), -EINVAL);
	ck_assert_int_eq(rtkvm_lease_set_target(lease, ended), -ESRCH);
	rtkvm_lease_leave(NULL);
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
}
END_TEST

/* In a child, which has no chance to end it. */
static void watch_and_die(struct rtkvm_plan *plan)
{
	struct rtkvm_lease *lease;
	struct rtkvm_watch *watch;
	pid_t pid = fork();

	if (pid == 0) {
		if (rtkvm_lease_new(rt, "dead", &lease) || rtkvm_lease_set_target(lease, sleeper) ||
		    rtkvm_watch_new(plan, sleeper, lease, &watch))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	wait_for_zombie(pid);
}

START_TEST(watched)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	const struct rtkvm_report_item *item;
	struct rtkvm_report *report;
	struct rtkvm_watch *watch;
	struct rtkvm_plan *plan;
	char by[64];

	ck_assert_int_eq(rtkvm_plan_parse(rt, "maxprio=5", &plan), 0);
	ck_assert_ptr_null(status_of("demo/watch", &report));
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_watch_new(plan, sleeper, lease, &watch), 0);
	item = status_of("demo/watch", &report);
	snprintf(by, sizeof(by), "by process %d", getpid());
	ck_assert_int_eq(rtkvm_report_item_state(item), RTKVM_STATE_VERIFIED);
	ck_assert_str_eq(rtkvm_report_item_reason(item), by);
	rtkvm_report_free(report);
	rtkvm_watch_free(watch);
	item = status_of("demo/watch", &report);
	ck_assert_int_eq(rtkvm_report_item_state(item), RTKVM_STATE_OFF);
	ck_assert_int_eq(rtkvm_report_item_problem(item), 0);
	ck_assert_ptr_nonnull(strstr(rtkvm_report_item_reason(item), "not watched"));
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);

	watch_and_die(plan);
	item = status_of("dead/watch", &report);
	ck_assert_int_eq(rtkvm_report_item_state(item), RTKVM_STATE_OFF);
	ck_assert_int_eq(rtkvm_report_item_problem(item), 1);
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_lease_end(rt, "dead", NULL), 0);
	rtkvm_plan_free(plan);
}
END_TEST

static void *change_me(void *arg)
{
	struct rtkvm_lease *lease = arg;
	struct sched_param param = { 0 };
	pid_t tid = (pid_t)syscall(SYS_gettid);

	sched_setscheduler(tid, SCHED_BATCH, &param);
	return (void *)(intptr_t)rtkvm_lease_set_thread_sched(lease, tid, RTKVM_POLICY_TS, 0);
}

/* As many threads as there are AIO workers in a long life. */
static void threads_come_and_go(struct rtkvm_lease *lease)
{
	for (int i = 0; i < ENDED_THREADS; i++) {
		pthread_t thread;
		void *ret;

		ck_assert_int_eq(pthread_create(&thread, NULL, change_me, lease), 0);
		ck_assert_int_eq(pthread_join(thread, &ret), 0);
		ck_assert_msg(ret == NULL, "thread %d: %s", i, strerror(-(int)(intptr_t)ret));
	}
}

static off_t journal_size(void)
{
	char path[4600];
	struct dirent *e;
	struct stat st = { 0 };
	unsigned int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/leases", state);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while ((e = readdir(dir)))
		if (strstr(e->d_name, ".journal") && ++count)
			ck_assert_int_eq(fstatat(dirfd(dir), e->d_name, &st, 0), 0);
	closedir(dir);
	ck_assert_uint_eq(count, 1);
	return st.st_size;
}

START_TEST(ended_threads_do_not_fill_it)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	struct rtkvm_report *report;

	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, other, RTKVM_POLICY_TS, 0), 0);
	threads_come_and_go(lease);
	ck_assert_int_lt(journal_size(), 80 << 10);
	/* it is still its owner's, and has what is to be given back */
	report = restored(rt, 0);
	ck_assert_ptr_nonnull(strstr(rtkvm_report_item_reason(item_of(report, "demo")), "owner lives"));
	rtkvm_report_free(report);
	ck_assert_int_eq(sched_getscheduler(other), SCHED_OTHER);
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
	ck_assert_int_eq(sched_getscheduler(other), SCHED_BATCH);
}
END_TEST

/* The control, and the rule: copies of a descriptor stay copies of the journal. */
START_TEST(one_with_copies_is_left)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");

	ck_assert_int_ge(rtkvm_lease_fd(lease), 0);
	threads_come_and_go(lease);
	ck_assert_int_gt(journal_size(), 100 << 10);
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
}
END_TEST

/* Killed in the middle of it: two journals say the same, and both are undone. */
START_TEST(written_twice)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo"), *copy = lease_of(rt, "demo");
	struct rtkvm_change c;

	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, other, RTKVM_POLICY_TS, 0), 0);
	c = lease->store.journal.changes[0];
	c.before = strdup(c.before);
	c.after = strdup(c.after);
	ck_assert_int_eq(rtkvm_store_add_again(rt, &copy->store, &c), 0);
	ck_assert_int_eq(rtkvm_store_sync(rt, &copy->store), 0);
	rtkvm_lease_leave(lease);
	rtkvm_lease_leave(copy);
	rtkvm_report_free(restored(rt, 0));
	ck_assert_int_eq(sched_getscheduler(other), SCHED_BATCH);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("owned");
	TCase *tc = tcase_create("owned");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, target_owns);
	tcase_add_test(tc, ended_by_name);
	tcase_add_test(tc, wrong_targets);
	tcase_add_test(tc, watched);
	tcase_add_test(tc, ended_threads_do_not_fill_it);
	tcase_add_test(tc, one_with_copies_is_left);
	tcase_add_test(tc, written_twice);
	suite_add_tcase(suite, tc);
	return suite;
}
