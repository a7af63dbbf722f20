/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Leases on a made-up tree: changes, their undoing, what others changed,
 * leases that overlap, reports, errors.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tree.h"

static const char *root;
static struct rtkvm *rt;
static char *before;

static void setup(void)
{
	root = strdup(test_fast_tmpdir());
	tree_fill(root);
	before = tree_text(root);
	rt = tree_context(root);
}

static void teardown(void)
{
	rtkvm_free(rt);
	free(before);
	free((void *)(uintptr_t)root);
}

static void assert_as_before(void)
{
	char *now = tree_text(root);

	ck_assert_str_eq(now, before);
	free(now);
}

START_TEST(changes_and_gives_back)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	struct rtkvm_report *report;
	char *now;

	tree_change(lease);
	now = tree_text(root);
	ck_assert_str_ne(now, before);
	free(now);
	ck_assert_str_eq(test_read(root, IRQ24), "0\n");
	ck_assert_str_eq(test_read(root, IRQ25), "0-1\n");
	ck_assert_str_eq(test_read(root, "proc/irq/default_smp_affinity"), "3\n");
	ck_assert_str_eq(test_read(root, "sys/devices/virtual/workqueue/cpumask"), "1\n");
	ck_assert_str_eq(test_read(root, STAT_INTERVAL), "7\n");
	ck_assert_str_eq(test_read(root, PAGES_2M), "128\n");
	ck_assert_int_eq(rtkvm_lease_release(lease, &report), 0);
	assert_as_before();
	ck_assert_uint_eq(journal_count(root), 0);
	ck_assert_uint_eq(rtkvm_report_count(report), 12);
	ck_assert_uint_eq(rtkvm_report_problems(report), 0);
	ck_assert_int_eq(rtkvm_report_item_state(item_of(report, "irq-affinity 24")),
			 RTKVM_STATE_VERIFIED);
	ck_assert_str_eq(rtkvm_report_item_reason(item_of(report, "workqueue-cpumask")),
			 "as before: 0000000f");
	item_of(report, "hugepages-1g 1");
	rtkvm_report_free(report);
}
END_TEST

START_TEST(restore_gives_back)
{
	struct rtkvm_report *report;

	leave_changes(rt, "demo");
	ck_assert_str_eq(test_read(root, STAT_INTERVAL), "7\n");
	report = restored(rt, 0);
	assert_as_before();
	ck_assert_uint_eq(journal_count(root), 0);
	ck_assert_uint_eq(rtkvm_report_count(report), 12);
	ck_assert_uint_eq(rtkvm_report_problems(report), 0);
	item_of(report, "demo/irq-affinity 24");
	rtkvm_report_free(report);
	report = restored(rt, 0);
	ck_assert_uint_eq(rtkvm_report_count(report), 0);
	rtkvm_report_free(report);
}
END_TEST

START_TEST(nothing_to_do)
{
	struct rtkvm_report *report = restored(rt, 0);
	char path[4200];

	ck_assert_uint_eq(rtkvm_report_count(report), 0);
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_status(rt, &report), 0);
	ck_assert_uint_eq(rtkvm_report_count(report), 0);
	rtkvm_report_free(report);
	snprintf(path, sizeof(path), "%s/state", root);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(changed_by_someone_else)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	struct rtkvm_report *report;
	const struct rtkvm_report_item *item;

	tree_change(lease);
	test_write(root, IRQ24, "3\n");
	test_write(root, STAT_INTERVAL, "1\n"); /* what it was */
	ck_assert_int_eq(rtkvm_lease_release(lease, &report), 0);
	ck_assert_str_eq(test_read(root, IRQ24), "3\n");
	ck_assert_uint_ge(rtkvm_report_problems(report), 1);
	item = item_of(report, "irq-affinity 24");
	ck_assert_int_eq(rtkvm_report_item_problem(item), 1);
	ck_assert_int_eq(rtkvm_report_item_state(item), RTKVM_STATE_OFF);
	ck_assert_ptr_nonnull(strstr(rtkvm_report_item_reason(item), "changed by someone else"));
	rtkvm_report_free(report);
	ck_assert_uint_eq(journal_count(root), 0);
	test_write(root, IRQ24, "0-3\n");
	assert_as_before();
}
END_TEST

START_TEST(cannot_be_given_back_yet)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	struct rtkvm_report *report;
	char path[4300];

	set_knob(lease, RTKVM_KNOB_IRQ_AFFINITY, 24, "0");
	set_knob(lease, RTKVM_KNOB_IRQ_AFFINITY, 24, "1");
	snprintf(path, sizeof(path), "%s/" IRQ24, root);
	ck_assert_int_eq(remove(path), 0);
	ck_assert_int_eq(rtkvm_lease_release(lease, &report), -EIO);
	ck_assert_uint_eq(rtkvm_report_problems(report), 2);
	rtkvm_report_free(report);
	ck_assert_uint_eq(journal_count(root), 1);
	report = restored(rt, -EIO);
	ck_assert_int_eq(rtkvm_report_item_problem(item_of(report, "demo/irq-affinity 24")), 1);
	rtkvm_report_free(report);
	test_write(root, IRQ24, "1\n");
	rtkvm_report_free(restored(rt, 0));
	assert_as_before();
	ck_assert_uint_eq(journal_count(root), 0);
}
END_TEST

/* Two leases turn one knob; the first taken is released first, or last, or its owner dies. */
START_TEST(overlapping_leases)
{
	struct rtkvm_lease *a = lease_of(rt, "a"), *b = lease_of(rt, "b");
	struct rtkvm_report *report;

	set_knob(a, RTKVM_KNOB_STAT_INTERVAL, 0, "10");
	set_knob(b, RTKVM_KNOB_STAT_INTERVAL, 0, _i < 2 ? "20" : "10");
	if (_i % 2) {
		ck_assert_int_eq(rtkvm_lease_release(b, NULL), 0);
		ck_assert_str_eq(test_read(root, STAT_INTERVAL), "10\n");
		ck_assert_int_eq(rtkvm_lease_release(a, NULL), 0);
	} else {
		ck_assert_int_eq(rtkvm_lease_release(a, &report), 0);
		ck_assert_uint_eq(rtkvm_report_problems(report), 0);
		ck_assert_ptr_nonnull(
			strstr(rtkvm_report_item_reason(item_of(report, "stat-interval")), "\"b\""));
		rtkvm_report_free(report);
		/* b still has what it asked for, also after a restore */
		rtkvm_report_free(restored(rt, 0));
		ck_assert_str_eq(test_read(root, STAT_INTERVAL), _i < 2 ? "20\n" : "10\n");
		ck_assert_int_eq(rtkvm_lease_release(b, &report), 0);
		item_of(report, "a/stat-interval");
		rtkvm_report_free(report);
	}
	assert_as_before();
	ck_assert_uint_eq(journal_count(root), 0);
}
END_TEST

START_TEST(overlapping_dead_leases)
{
	/* made in an order that directory order cannot match every time */
	for (int i = 0; i < 6; i++) {
		char name[2] = { (char)('a' + i), '\0' };
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			char value[8];

			snprintf(value, sizeof(value), "%d", 10 + i);
			lease_left = lease_of(rt, name);
			set_knob(lease_left, RTKVM_KNOB_STAT_INTERVAL, 0, value);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_str_eq(test_read(root, STAT_INTERVAL), "15\n");
	rtkvm_report_free(restored(rt, 0));
	assert_as_before();
	ck_assert_uint_eq(journal_count(root), 0);
}
END_TEST

static bool has_instance(void)
{
	char path[4300];

	snprintf(path, sizeof(path), "%s/sys/kernel/tracing/instances/rtkvm-77", root);
	return access(path, F_OK) == 0;
}

static void trace(struct rtkvm_lease *lease)
{
	set_knob(lease, RTKVM_KNOB_OSNOISE_CPUS, 0, "2-3");
	set_knob(lease, RTKVM_KNOB_TRACE_INSTANCE, 77, "1");
}

/* A tracing instance is there as long as its lease, also one whose owner died. */
START_TEST(tracing)
{
	struct rtkvm_lease *lease = lease_of(rt, "trace");
	pid_t pid;
	int status;

	/* without tracefs there is nothing to lease */
	ck_assert_int_eq(rtkvm_lease_set_knob(lease, RTKVM_KNOB_TRACE_INSTANCE, 77, "1"), -ENOENT);
	test_write(root, "sys/kernel/tracing/instances/README", "");
	test_write(root, "sys/kernel/tracing/osnoise/cpus", "0-3\n");
	trace(lease);
	ck_assert(has_instance());
	ck_assert_str_eq(test_read(root, "sys/kernel/tracing/osnoise/cpus"), "2-3\n");
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
	ck_assert(!has_instance());
	ck_assert_str_eq(test_read(root, "sys/kernel/tracing/osnoise/cpus"), "0-3\n");
	pid = fork();
	if (pid == 0) {
		lease_left = lease_of(rt, "trace");
		trace(lease_left);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(has_instance());
	rtkvm_report_free(restored(rt, 0));
	ck_assert(!has_instance());
	ck_assert_str_eq(test_read(root, "sys/kernel/tracing/osnoise/cpus"), "0-3\n");
	ck_assert_uint_eq(journal_count(root), 0);
}
END_TEST

START_TEST(status)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	struct rtkvm_report *report;
	const struct rtkvm_report_item *item;

	set_knob(lease, RTKVM_KNOB_IRQ_AFFINITY, 24, "0");
	set_knob(lease, RTKVM_KNOB_KSM_RUN, 0, "0");
	leave_changes(rt, "dead");
	test_write(root, "sys/kernel/mm/ksm/run", "2\n");
	ck_assert_int_eq(rtkvm_status(rt, &report), 0);
	ck_assert_int_eq(rtkvm_report_item_problem(item_of(report, "demo")), 0);
	ck_assert_int_eq(rtkvm_report_item_problem(item_of(report, "dead")), 1);
	item = item_of(report, "demo/irq-affinity 24");
	ck_assert_int_eq(rtkvm_report_item_state(item), RTKVM_STATE_VERIFIED);
	ck_assert_str_eq(rtkvm_report_item_reason(item), "0; 0-3 before");
	item = item_of(report, "demo/ksm-run");
	ck_assert_int_eq(rtkvm_report_item_state(item), RTKVM_STATE_OFF);
	ck_assert_int_eq(rtkvm_report_item_problem(item), 1);
	item_of(report, "dead/hugepages-2m 0");
	rtkvm_report_free(report);
	ck_assert_uint_eq(journal_count(root), 2);
	test_write(root, "sys/kernel/mm/ksm/run", "0\n");
	rtkvm_report_free(restored(rt, 0));
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
	assert_as_before();
}
END_TEST

START_TEST(errors_change_nothing)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo"), *none = (void *)1;
	static const struct {
		int knob;
		unsigned int index;
		const char *value;
		int ret;
	} calls[] = {
		{ 0, 0, "1", -EINVAL },	    { 20, 0, "1", -EINVAL },  { -1, 0, "1", -EINVAL },
		{ 1, 24, "", -EINVAL },	    { 1, 24, "a", -EINVAL },  { 1, 99, "0", -ENOENT },
		{ 1, 1u << 20, "0", -EINVAL }, { 4, 1, "1", -EINVAL }, { 4, 0, "2", -EINVAL },
		{ 8, 7, "1", -ENOENT },	    { 4, 0, NULL, -EINVAL },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		ck_assert_int_eq(rtkvm_lease_set_knob(lease, calls[i].knob, calls[i].index,
						      calls[i].value), calls[i].ret);
		ck_assert_int_eq(rtkvm_last_error_code(), -calls[i].ret);
	}
	ck_assert_int_eq(rtkvm_lease_set_knob(NULL, 1, 24, "0"), -EINVAL);
	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, 1, RTKVM_POLICY_TS, 0), -EOPNOTSUPP);
	ck_assert_int_eq(rtkvm_lease_set_thread_sched(lease, 1, RTKVM_POLICY_FF, 0), -EINVAL);
	ck_assert_int_eq(rtkvm_lease_set_thread_cpus(lease, 1, "0"), -EOPNOTSUPP);
	ck_assert_int_eq(rtkvm_lease_set_thread_cpus(lease, 1, "1-0"), -EINVAL);
	ck_assert_int_eq(rtkvm_lease_hold_cstate(lease, 1), -EOPNOTSUPP);
	ck_assert_int_eq(rtkvm_lease_hold_cstate(lease, -1), -EINVAL);
	ck_assert_int_eq(rtkvm_lease_new(rt, "No", &none), -EINVAL);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(rtkvm_lease_new(rt, "", &none), -EINVAL);
	ck_assert_int_eq(rtkvm_lease_new(rt, NULL, &none), -EINVAL);
	ck_assert_int_eq(rtkvm_lease_new(rt, "a", NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_lease_new(NULL, "a", &none), -EINVAL);
	ck_assert_int_eq(rtkvm_lease_fd(NULL), -EINVAL);
	ck_assert_int_ge(rtkvm_lease_fd(lease), 0);
	ck_assert_int_eq(rtkvm_restore(NULL, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_status(rt, NULL), -EINVAL);
	assert_as_before();
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
	ck_assert_int_eq(rtkvm_lease_release(NULL, NULL), 0);
}
END_TEST

START_TEST(value_that_cannot_be_given_back)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");

	test_write(root, IRQ24, "\n");
	ck_assert_int_eq(rtkvm_lease_set_knob(lease, RTKVM_KNOB_IRQ_AFFINITY, 24, "0"), -EILSEQ);
	test_write(root, STAT_INTERVAL, "many\n");
	ck_assert_int_eq(rtkvm_lease_set_knob(lease, RTKVM_KNOB_STAT_INTERVAL, 0, "5"), -EILSEQ);
	ck_assert_str_eq(test_read(root, STAT_INTERVAL), "many\n");
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
}
END_TEST

START_TEST(surplus_pages_do_not_count)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	static const char surplus[] =
		"sys/devices/system/node/node0/hugepages/hugepages-2048kB/surplus_hugepages";

	test_write(root, surplus, "0\n");
	set_knob(lease, RTKVM_KNOB_HUGEPAGES_2M, 0, "8");
	/* as the kernel does when three of them are in use */
	test_write(root, surplus, "3\n");
	test_write(root, PAGES_2M, "3\n");
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
	ck_assert_str_eq(test_read(root, PAGES_2M), "0\n");
}
END_TEST

START_TEST(no_right_to_write)
{
	struct rtkvm_lease *lease;
	char path[4300];

	if (geteuid() == 0)
		SKIP_TEST("root may write to read-only files");
	lease = lease_of(rt, "demo");
	snprintf(path, sizeof(path), "%s/" IRQ24, root);
	ck_assert_int_eq(chmod(path, 0444), 0);
	ck_assert_int_eq(rtkvm_lease_set_knob(lease, RTKVM_KNOB_IRQ_AFFINITY, 24, "0"), -EACCES);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error_remedy(), "root"));
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
	assert_as_before();
}
END_TEST

START_TEST(no_boot_id)
{
	struct rtkvm_lease *lease;
	char path[4300];

	leave_changes(rt, "demo");
	snprintf(path, sizeof(path), "%s/proc/sys/kernel/random/boot_id", root);
	ck_assert_int_eq(remove(path), 0);
	ck_assert_int_eq(rtkvm_lease_new(rt, "demo", &lease), -ENOENT);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "boot_id"));
	ck_assert_int_eq(rtkvm_restore(rt, NULL), -ENOENT);
	test_write(root, "proc/sys/kernel/random/boot_id", "x\n");
	ck_assert_int_eq(rtkvm_lease_new(rt, "demo", &lease), -EILSEQ);
	test_write(root, "proc/sys/kernel/random/boot_id", BOOT_ID "\n");
	rtkvm_report_free(restored(rt, 0));
	assert_as_before();
}
END_TEST

static void limit_files_to(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(journal_cannot_be_written)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo"), *other;
	size_t len;
	char *text = journal_text(root, &len);

	signal(SIGXFSZ, SIG_IGN);
	limit_files_to(len + 12); /* a part of the record fits */
	ck_assert_int_eq(rtkvm_lease_set_knob(lease, RTKVM_KNOB_KSM_RUN, 0, "0"), -EFBIG);
	assert_as_before();
	limit_files_to(20);
	ck_assert_int_eq(rtkvm_lease_new(rt, "other", &other), -EFBIG);
	ck_assert_uint_eq(journal_count(root), 1);
	limit_files_to(RLIM_INFINITY);
	free(text);
	/* no trace of it: the next record is whole */
	set_knob(lease, RTKVM_KNOB_KSM_RUN, 0, "0");
	text = journal_text(root, &len);
	ck_assert_ptr_nonnull(strstr(text, "\n1 "));
	free(text);
	/* and undoing does not depend on the journal */
	limit_files_to(len);
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
	limit_files_to(RLIM_INFINITY);
	assert_as_before();
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("lease");
	TCase *tc = tcase_create("tree");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, changes_and_gives_back);
	tcase_add_test(tc, restore_gives_back);
	tcase_add_test(tc, nothing_to_do);
	tcase_add_test(tc, changed_by_someone_else);
	tcase_add_test(tc, cannot_be_given_back_yet);
	tcase_add_loop_test(tc, overlapping_leases, 0, 4);
	tcase_add_test(tc, overlapping_dead_leases);
	tcase_add_test(tc, tracing);
	tcase_add_test(tc, status);
	tcase_add_test(tc, errors_change_nothing);
	tcase_add_test(tc, value_that_cannot_be_given_back);
	tcase_add_test(tc, surplus_pages_do_not_count);
	tcase_add_test(tc, no_right_to_write);
	tcase_add_test(tc, no_boot_id);
	tcase_add_test(tc, journal_cannot_be_written);
	suite_add_tcase(suite, tc);
	return suite;
}
