/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of lib/core: context, errors, sized structs, files, CPU sets,
 * reports.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/core.h"
#include "core/cpulist.h"
#include "core/file.h"
#include "core/reports.h"
#include "support/test.h"

static struct rtkvm *tree(const char *root)
{
	struct rtkvm_options opt;
	struct rtkvm *rt;

	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = root;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	return rt;
}

START_TEST(new_defaults)
{
	struct rtkvm *rt;

	ck_assert_int_eq(rtkvm_new(NULL, &rt), 0);
	ck_assert_ptr_nonnull(rt);
	if (geteuid() == 0)
		ck_assert_str_eq(rtkvm_state_dir(rt), RTKVM_STATEDIR);
	rtkvm_free(rt);
	rtkvm_free(NULL);
	ck_assert_str_eq(rtkvm_state_dir(NULL), "");
	ck_assert_int_eq(rtkvm_new(NULL, NULL), -EINVAL);
}
END_TEST

START_TEST(new_refuses)
{
	struct rtkvm_options opt;
	struct rtkvm *rt = (void *)1;

	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = "/no/such/directory";
	ck_assert_int_eq(rtkvm_new(&opt, &rt), -ENOENT);
	ck_assert_ptr_null(rt);
	ck_assert_int_eq(rtkvm_last_error_code(), ENOENT);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "/no/such/directory"));
	ck_assert_str_ne(rtkvm_last_error_remedy(), "");

	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = "/proc/self/status";
	ck_assert_int_eq(rtkvm_new(&opt, &rt), -ENOTDIR);
	opt.root = "";
	ck_assert_int_eq(rtkvm_new(&opt, &rt), -EINVAL);
	opt.root = NULL;
	opt.flags = 4;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), -EINVAL);
	opt.flags = 0;
	opt.log_level = 7;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), -EINVAL);
	opt.log_level = 0;
	opt.state_dir = "relative";
	ck_assert_int_eq(rtkvm_new(&opt, &rt), -EINVAL);
	opt.state_dir = NULL;
	opt.reserved[3] = 1;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), -E2BIG);
	memset(&opt, 0, sizeof(opt));
	ck_assert_int_eq(rtkvm_new(&opt, &rt), -EINVAL);
}
END_TEST

START_TEST(options_of_a_newer_program)
{
	struct {
		struct rtkvm_options opt;
		uint64_t later[2];
	} o;
	struct rtkvm *rt;

	rtkvm_options_init(&o.opt, sizeof(o));
	ck_assert_int_eq(rtkvm_new(&o.opt, &rt), 0);
	rtkvm_free(rt);
	o.later[1] = 1;
	ck_assert_int_eq(rtkvm_new(&o.opt, &rt), -E2BIG);
}
END_TEST

static char logged[2048];

static void log_to_buffer(int level, const char *message, void *arg)
{
	ck_assert_ptr_eq(arg, logged);
	snprintf(logged, sizeof(logged), "%d %s", level, message);
}

START_TEST(log_levels)
{
	struct rtkvm_options opt;
	struct rtkvm *rt;

	rtkvm_options_init(&opt, sizeof(opt));
	opt.log = log_to_buffer;
	opt.log_arg = logged;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	rtkvm_log(rt, RTKVM_LOG_INFO, "too detailed");
	ck_assert_str_eq(logged, "");
	rtkvm_log(rt, RTKVM_LOG_WARNING, "a\nb");
	ck_assert_str_eq(logged, "1 a?b");
	ck_assert_int_eq(rtkvm_fail(rt, EIO, "/x", "do y", "z %d", 1), -EIO);
	ck_assert_str_eq(logged, "0 /x: z 1 (EIO); do y");
	ck_assert_str_eq(rtkvm_last_error(), "/x: z 1 (EIO); do y");
	rtkvm_free(rt);
}
END_TEST

static void *fail_elsewhere(void *arg)
{
	ck_assert_str_eq(rtkvm_last_error(), "");
	rtkvm_fail(NULL, EPERM, NULL, NULL, "other");
	return arg;
}

START_TEST(error_is_per_thread)
{
	pthread_t thread;

	rtkvm_fail(NULL, EIO, NULL, NULL, "mine");
	ck_assert_int_eq(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
	pthread_join(thread, NULL);
	ck_assert_str_eq(rtkvm_last_error_what(), "mine");
	/* its own parts may be its input */
	rtkvm_fail(NULL, EIO, rtkvm_last_error_what(), rtkvm_last_error(), "%s",
		   rtkvm_last_error_what());
	ck_assert_str_eq(rtkvm_last_error(), "mine: mine (EIO); mine (EIO)");
}
END_TEST

START_TEST(file_reads)
{
	const char *dir = test_tmpdir();
	struct rtkvm *rt = tree(dir);
	char buf[16], path[600];
	int64_t v;

	test_write(dir, "a/number", "-42\n");
	test_write(dir, "a/text", "hello \n\n");
	test_write(dir, "a/long", "0123456789abcdef");
	test_write(dir, "a/bad", "12 13");
	ck_assert_int_eq(rtkvm_file_read(rt, "/a/text", buf, sizeof(buf)), 5);
	ck_assert_str_eq(buf, "hello");
	ck_assert_int_eq(rtkvm_file_read_i64(rt, "/a/number", &v), 0);
	ck_assert_int_eq(v, -42);
	ck_assert_int_eq(rtkvm_file_read(rt, "/a/long", buf, sizeof(buf)), -E2BIG);
	ck_assert_int_eq(rtkvm_file_read_i64(rt, "/a/bad", &v), -EILSEQ);
	ck_assert_int_eq(rtkvm_file_read(rt, "/a/none", buf, sizeof(buf)), -ENOENT);
	ck_assert_str_eq(rtkvm_last_error_where(), "/a/none");
	ck_assert_int_eq(rtkvm_file_read(rt, "/a", buf, sizeof(buf)), -EISDIR);
	snprintf(path, sizeof(path), "%s/a/fifo", dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(rtkvm_file_read(rt, "/a/fifo", buf, sizeof(buf)), -EBADF);
	ck_assert_int_eq(rtkvm_file_write(rt, "/a/text", "x"), 0);
	ck_assert_str_eq(test_read(dir, "a/text"), "x");
	ck_assert_int_eq(rtkvm_file_write(rt, "/a/none", "x"), -ENOENT);
	rtkvm_free(rt);
}
END_TEST

START_TEST(made_up_tree_is_not_left)
{
	const char *dir = test_tmpdir();
	struct rtkvm *rt = tree(dir);
	char buf[256], path[600];

	test_write(dir, "etc/hostname", "inside\n");
	snprintf(path, sizeof(path), "%s/link", dir);
	ck_assert_int_eq(symlink("/etc/hostname", path), 0);
	snprintf(path, sizeof(path), "%s/up", dir);
	ck_assert_int_eq(symlink("../../../../../../etc/passwd", path), 0);
	ck_assert_int_eq(rtkvm_file_read(rt, "/link", buf, sizeof(buf)), 6);
	ck_assert_str_eq(buf, "inside");
	ck_assert_int_eq(rtkvm_file_read(rt, "/up", buf, sizeof(buf)), -ENOENT);
	ck_assert_int_eq(rtkvm_file_read(rt, "/../etc/passwd", buf, sizeof(buf)), -ENOENT);
	rtkvm_free(rt);
}
END_TEST

START_TEST(numbers)
{
	int64_t v;

	ck_assert(rtkvm_parse_i64("0", 0, 9, &v) && v == 0);
	ck_assert(rtkvm_parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &v));
	ck_assert_int_eq(v, INT64_MIN);
	ck_assert(!rtkvm_parse_i64("9223372036854775808", INT64_MIN, INT64_MAX, &v));
	ck_assert(!rtkvm_parse_i64("10", 0, 9, &v));
	ck_assert(!rtkvm_parse_i64("", 0, 9, &v));
	ck_assert(!rtkvm_parse_i64(" 1", 0, 9, &v));
	ck_assert(!rtkvm_parse_i64("+1", 0, 9, &v));
	ck_assert(!rtkvm_parse_i64("1x", 0, 9, &v));
	ck_assert(!rtkvm_parse_i64("0x1", 0, 9, &v));
}
END_TEST

static const struct {
	const char *in, *list, *mask; /* list NULL: refused at position */
	size_t position;
} lists[] = {
	{ "", "", "0", 0 },
	{ "0", "0", "1", 0 },
	{ "0,2-3", "0,2-3", "d", 0 },
	{ "3,2,0", "0,2-3", "d", 0 },
	{ "0-7:2/4", "0-1,4-5", "33", 0 },
	{ "31-32", "31-32", "1,80000000", 0 },
	{ "8191", "8191", NULL, 0 },
	{ "8192", NULL, NULL, 0 },
	{ "3-1", NULL, NULL, 2 },
	{ "1,", NULL, NULL, 2 },
	{ ",1", NULL, NULL, 0 },
	{ "1 ", NULL, NULL, 1 },
	{ "1-", NULL, NULL, 2 },
	{ "1-2:0/4", NULL, NULL, 6 },
	{ "1-2:1/0", NULL, NULL, 6 },
	{ "0-1;2", NULL, NULL, 3 },
	{ "-1", NULL, NULL, 0 },
	{ "99999999999999999999", NULL, NULL, 0 },
};

START_TEST(cpu_lists)
{
	char buf[RTKVM_CPULIST_TEXT];
	struct rtkvm_cpus cpus, again;
	size_t at = 99;

	if (!lists[_i].list) {
		ck_assert_int_eq(rtkvm_cpus_parse_list(lists[_i].in, &cpus, &at), -EINVAL);
		ck_assert_uint_eq(at, lists[_i].position);
		return;
	}
	ck_assert_int_eq(rtkvm_cpus_parse_list(lists[_i].in, &cpus, &at), 0);
	ck_assert_int_ge(rtkvm_cpus_print_list(&cpus, buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, lists[_i].list);
	ck_assert_int_ge(rtkvm_cpus_print_mask(&cpus, buf, sizeof(buf)), 0);
	if (lists[_i].mask)
		ck_assert_str_eq(buf, lists[_i].mask);
	ck_assert_int_eq(rtkvm_cpus_parse_mask(buf, &again, &at), 0);
	ck_assert(rtkvm_cpus_equal(&cpus, &again));
}
END_TEST

static const struct {
	const char *in;
	size_t position;
} bad_masks[] = { { ",", 0 }, { "1,", 1 }, { ",1", 0 }, { "g", 0 }, { "123456789", 0 },
		  { "1,,2", 1 }, { "0x1", 1 }, { "1 ", 1 } };

START_TEST(cpu_masks_refused)
{
	struct rtkvm_cpus cpus;
	size_t at = 99;

	ck_assert_int_eq(rtkvm_cpus_parse_mask(bad_masks[_i].in, &cpus, &at), -EINVAL);
	ck_assert_uint_eq(at, bad_masks[_i].position);
}
END_TEST

START_TEST(cpu_sets)
{
	struct rtkvm_cpus a, b;
	char buf[8];

	rtkvm_cpus_parse_list("1,64,8191", &a, NULL);
	rtkvm_cpus_parse_list("64", &b, NULL);
	ck_assert(rtkvm_cpus_subset(&b, &a));
	ck_assert(!rtkvm_cpus_subset(&a, &b));
	ck_assert_uint_eq(rtkvm_cpus_count(&a), 3);
	ck_assert_int_eq(rtkvm_cpus_next(&a, 0), 1);
	ck_assert_int_eq(rtkvm_cpus_next(&a, 2), 64);
	ck_assert_int_eq(rtkvm_cpus_next(&a, 65), 8191);
	ck_assert_int_eq(rtkvm_cpus_next(&a, 8192), -1);
	ck_assert_int_eq(rtkvm_cpus_print_list(&a, buf, sizeof(buf)), -ENOSPC);
	ck_assert_str_eq(buf, "");
	rtkvm_cpus_and(&a, &b);
	ck_assert(rtkvm_cpus_equal(&a, &b));
	ck_assert(!rtkvm_cpus_has(&a, 100000));
}
END_TEST

START_TEST(reports)
{
	struct rtkvm_report *r = rtkvm_report_new(), *out;
	const struct rtkvm_report_item *item;

	rtkvm_report_add(r, "one", RTKVM_STATE_VERIFIED, false, "read back %d", 7);
	rtkvm_report_add(r, "two", RTKVM_STATE_OFF, true, "no");
	ck_assert_int_eq(rtkvm_report_finish(r, &out), 0);
	ck_assert_uint_eq(rtkvm_report_count(out), 2);
	ck_assert_uint_eq(rtkvm_report_problems(out), 1);
	item = rtkvm_report_next(out, NULL);
	ck_assert_str_eq(rtkvm_report_item_feature(item), "one");
	ck_assert_str_eq(rtkvm_report_item_reason(item), "read back 7");
	item = rtkvm_report_next(out, item);
	ck_assert_ptr_eq(item, rtkvm_report_find(out, "two"));
	ck_assert_int_eq(rtkvm_report_item_problem(item), 1);
	ck_assert_ptr_null(rtkvm_report_next(out, item));
	ck_assert_ptr_null(rtkvm_report_find(out, "three"));
	ck_assert_str_eq(rtkvm_report_state_name(rtkvm_report_item_state(item)), "off");
	ck_assert_str_eq(rtkvm_report_state_name(77), "unknown");
	rtkvm_report_free(out);
	ck_assert_ptr_null(rtkvm_report_next(NULL, NULL));
	ck_assert_str_eq(rtkvm_report_item_feature(NULL), "");
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("core");
	TCase *tc = tcase_create("context");

	tcase_add_test(tc, new_defaults);
	tcase_add_test(tc, new_refuses);
	tcase_add_test(tc, options_of_a_newer_program);
	tcase_add_test(tc, log_levels);
	tcase_add_test(tc, error_is_per_thread);
	suite_add_tcase(suite, tc);
	tc = tcase_create("file");
	tcase_add_test(tc, file_reads);
	tcase_add_test(tc, made_up_tree_is_not_left);
	tcase_add_test(tc, numbers);
	suite_add_tcase(suite, tc);
	tc = tcase_create("cpulist");
	tcase_add_loop_test(tc, cpu_lists, 0, sizeof(lists) / sizeof(lists[0]));
	tcase_add_loop_test(tc, cpu_masks_refused, 0, sizeof(bad_masks) / sizeof(bad_masks[0]));
	tcase_add_test(tc, cpu_sets);
	suite_add_tcase(suite, tc);
	tc = tcase_create("report");
	tcase_add_test(tc, reports);
	suite_add_tcase(suite, tc);
	return suite;
}
