/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Journals that are torn, damaged, forged or not journals at all, and state
 * directories that others could have prepared.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"

#define NAME "0123456789abcdef.journal"

static const char *root;
static struct rtkvm *rt;
static char *before, *changed;
static char *text; /* of a journal of a dead owner with twelve changes */
static size_t len;
static struct rtkvm_journal journal;

static void setup(void)
{
	char why[RTKVM_WHY_MAX], path[4300];

	root = strdup(test_fast_tmpdir());
	tree_fill(root);
	before = tree_text(root);
	rt = tree_context(root);
	leave_changes(rt, "demo");
	changed = tree_text(root);
	text = journal_text(root, &len);
	ck_assert_int_eq(rtkvm_journal_parse(text, len, &journal, why), 0);
	ck_assert_uint_eq(journal.count, 12);
	snprintf(path, sizeof(path), "%s/state/leases/%s", root, journal_name(root));
	ck_assert_int_eq(remove(path), 0);
}

static void teardown(void)
{
	rtkvm_journal_clear(&journal);
	rtkvm_free(rt);
	free(before);
	free(changed);
	free(text);
	free((void *)(uintptr_t)root);
}

static void apply(size_t count)
{
	char path[RTKVM_VALUE_MAX], value[RTKVM_VALUE_MAX + 1];

	tree_fill(root);
	for (size_t i = 0; i < count; i++) {
		const struct rtkvm_change *c = &journal.changes[i];

		rtkvm_knob_path(c->knob, c->index, path, sizeof(path));
		snprintf(value, sizeof(value), "%s\n", c->after);
		test_write(root, path, value);
	}
}

static void assert_tree(const char *expected, const char *what, size_t n)
{
	char *now = tree_text(root);

	ck_assert_msg(!strcmp(now, expected), "%s %zu:\n%s", what, n, now);
	free(now);
}

/* Whole records of the first n bytes. */
static size_t whole_records(size_t n)
{
	size_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	/* one that lacks its line feed only is whole, too */
	lines += n < len && text[n] == '\n';
	return lines ? lines - 1 : 0;
}

/*
 * Killed while it wrote a record: all changes before it were made, the last of
 * them perhaps not.
 */
START_TEST(torn_at_every_byte)
{
	for (size_t n = 0; n <= len; n++) {
		size_t whole = whole_records(n);
		struct rtkvm_report *report;

		apply(whole && _i ? whole - 1 : whole);
		journal_write(root, NAME, text, n, 0600);
		report = restored(rt, 0);
		ck_assert_uint_eq(rtkvm_report_problems(report), 0);
		/* the tail is mentioned, or the journal was only a header */
		if (n && n < len && text[n] != '\n' && text[n - 1] != '\n')
			item_of(report, "journal " NAME);
		rtkvm_report_free(report);
		assert_tree(before, "torn at", n);
		ck_assert_uint_eq(journal_count(root), 0);
	}
}
END_TEST

/*
 * The end of a journal lost by something else than a kill, so that changes
 * were made whose records are gone: what is there is undone, nothing else is
 * touched, and a tear within a record is reported.
 */
START_TEST(lost_end)
{
	for (size_t n = 0; n <= len; n++) {
		size_t whole = whole_records(n);
		struct rtkvm_report *report = NULL;
		int ret;

		apply(journal.count);
		journal_write(root, NAME, text, n, 0600);
		ret = rtkvm_restore(rt, &report);
		ck_assert_int_eq(ret, 0);
		for (size_t i = 0; i < journal.count; i++) {
			const struct rtkvm_change *c = &journal.changes[i];
			char path[RTKVM_VALUE_MAX], value[RTKVM_VALUE_MAX + 1];

			/* of changes without a record, only those of knobs changed once */
			if (i < whole || i >= 10 || c->knob == RTKVM_KNOB_STAT_INTERVAL ||
			    c->knob == RTKVM_KNOB_TIMER_MIGRATION)
				continue;
			rtkvm_knob_path(c->knob, c->index, path, sizeof(path));
			snprintf(value, sizeof(value), "%s\n", c->after);
			ck_assert_str_eq(test_read(root, path), value);
		}
		if (n && n < len && text[n] != '\n' && text[n - 1] != '\n')
			item_of(report, "journal " NAME);
		rtkvm_report_free(report);
	}
}
END_TEST

START_TEST(one_byte_wrong)
{
	unsigned int seed = (unsigned int)getpid();

	printf("# seed %u\n", seed);
	apply(journal.count);
	for (size_t n = 0; n < len; n++) {
		char was = text[n];
		struct rtkvm_report *report;

		do
			text[n] = (char)rand_r(&seed);
		while (text[n] == was);
		journal_write(root, NAME, text, len, 0600);
		report = restored(rt, -EIO);
		ck_assert_int_eq(rtkvm_report_item_problem(item_of(report, "journal " NAME)), 1);
		rtkvm_report_free(report);
		assert_tree(changed, "byte", n);
		ck_assert_uint_eq(journal_count(root), 1);
		text[n] = was;
	}
	journal_write(root, NAME, text, len, 0600);
	rtkvm_report_free(restored(rt, 0));
	assert_tree(before, "repaired", 0);
}
END_TEST

/* A journal with a good change of IRQ 24, and one record more. */
static void forge(const char *boot_id, unsigned int uid, const char *of_root, const char *record)
{
	const char *lines[] = { header_line(boot_id, uid, of_root, "forged"),
				"1 10 knob 1 24 2 0-3", record };
	char *forged = sealed(lines, record ? 3 : 2);

	journal_write(root, NAME, forged, strlen(forged), 0600);
	free(forged);
}

/* Restore refuses: nothing is changed, the file stays. */
static void assert_refused(const char *file, const char *why)
{
	struct rtkvm_report *report = restored(rt, -EIO);
	const struct rtkvm_report_item *item;
	char feature[128];

	snprintf(feature, sizeof(feature), "journal %s", file);
	item = item_of(report, feature);
	ck_assert_int_eq(rtkvm_report_item_problem(item), 1);
	ck_assert_msg(strstr(rtkvm_report_item_reason(item), why) != NULL, "%s",
		      rtkvm_report_item_reason(item));
	rtkvm_report_free(report);
	ck_assert_uint_eq(journal_count(root), 1);
	ck_assert_int_eq(rtkvm_status(rt, &report), -EIO);
	item_of(report, feature);
	rtkvm_report_free(report);
}

START_TEST(forged)
{
	tree_fill(root);
	/* the control: what is forged below would be replayed if it were right */
	forge(BOOT_ID, geteuid(), "made-up", NULL);
	rtkvm_report_free(restored(rt, 0));
	ck_assert_str_eq(test_read(root, IRQ24), "2\n");
	tree_fill(root);

	forge(BOOT_ID, geteuid(), "made-up", "2 10 knob 77 0 1 0");
	assert_refused(NAME, "line 3");
	forge(BOOT_ID, geteuid(), "made-up", "2 10 file /etc/passwd 0 1");
	assert_refused(NAME, "line 3");
	forge(BOOT_ID, geteuid(), "made-up", "2 10 knob 1 25 ../../../x 2-3");
	assert_refused(NAME, "line 3");
	forge(BOOT_ID, geteuid(), "made-up", "2 10 knob 1 1048576 2 0-3");
	assert_refused(NAME, "line 3");
	forge(BOOT_ID, geteuid() + 1, "made-up", NULL);
	assert_refused(NAME, "another user");
	forge(BOOT_ID, geteuid(), "real", NULL);
	assert_refused(NAME, "real host");
	journal_write(root, NAME, "hello", 5, 0600);
	assert_refused(NAME, "line 1");
	assert_tree(before, "forged", 0);
}
END_TEST

static char path[4400];

static const char *in_leases(const char *name)
{
	snprintf(path, sizeof(path), "%s/state/leases/%s", root, name);
	return path;
}

START_TEST(not_a_private_file)
{
	char good[4400];

	tree_fill(root);
	snprintf(good, sizeof(good), "%s/good", root);

	journal_write(root, NAME, text, len, 0644);
	assert_refused(NAME, "others");
	journal_write(root, NAME, text, len, 0620);
	assert_refused(NAME, "others");
	ck_assert_int_eq(chmod(in_leases(NAME), 0600), 0);
	ck_assert_int_eq(link(in_leases(NAME), good), 0);
	assert_refused(NAME, "hard link");
	ck_assert_int_eq(unlink(in_leases(NAME)), 0);
	ck_assert_int_eq(symlink(good, in_leases(NAME)), 0);
	assert_refused(NAME, "symbolic link");
	ck_assert_int_eq(unlink(in_leases(NAME)), 0);
	ck_assert_int_eq(mkfifo(in_leases(NAME), 0600), 0);
	assert_refused(NAME, "not a regular file");
	ck_assert_int_eq(unlink(in_leases(NAME)), 0);
	ck_assert_int_eq(mkdir(in_leases(NAME), 0700), 0);
	assert_refused(NAME, "not a regular file");
	ck_assert_int_eq(rmdir(in_leases(NAME)), 0);
	journal_write(root, "notes", "hello\n", 6, 0600);
	assert_refused("notes", "name");
	ck_assert_int_eq(unlink(in_leases("notes")), 0);
	journal_write(root, NAME, text, len, 0600);
	ck_assert_int_eq(truncate(in_leases(NAME), 1 << 30), 0);
	assert_refused(NAME, "too long");
	ck_assert_int_eq(truncate(in_leases(NAME), 4 << 20), 0); /* zeros after it */
	assert_refused(NAME, "not text");
	assert_tree(before, "files", 0);
	unlink(good);
}
END_TEST

START_TEST(of_another_user)
{
	if (geteuid() != 0)
		SKIP_TEST("only root can make files of another user");
	tree_fill(root);
	journal_write(root, NAME, text, len, 0600);
	ck_assert_int_eq(chown(in_leases(NAME), 65534, 65534), 0);
	assert_refused(NAME, "another user");
	assert_tree(before, "foreign", 0);
	ck_assert_int_eq(chown(in_leases(""), 65534, 65534), 0);
	ck_assert_int_eq(rtkvm_restore(rt, NULL), -EPERM);
	assert_tree(before, "foreign", 1);
}
END_TEST

START_TEST(of_another_boot)
{
	struct rtkvm_report *report;

	apply(journal.count);
	for (int damaged = 0; damaged < 2; damaged++) {
		forge(OTHER_BOOT, geteuid(), "made-up", damaged ? "nonsense" : NULL);
		ck_assert_int_eq(rtkvm_status(rt, &report), 0);
		item_of(report, "journal " NAME);
		rtkvm_report_free(report);
		ck_assert_uint_eq(journal_count(root), 1);
		report = restored(rt, 0);
		ck_assert_ptr_nonnull(strstr(
			rtkvm_report_item_reason(item_of(report, "journal " NAME)), "another boot"));
		rtkvm_report_free(report);
		ck_assert_uint_eq(journal_count(root), 0);
		assert_tree(changed, "boot", 0);
	}
}
END_TEST

START_TEST(very_many_files)
{
	struct rtkvm_report *report;
	char name[32];

	tree_fill(root);
	for (unsigned int i = 0; i < 4500; i++) {
		snprintf(name, sizeof(name), "%016x.journal", i);
		journal_write(root, name, "", 0, 0600);
	}
	report = restored(rt, -EIO);
	item_of(report, "journals");
	rtkvm_report_free(report);
	/* every call gets a bit further */
	for (int i = 0; journal_count(root) && i < 30; i++)
		rtkvm_restore(rt, NULL);
	ck_assert_uint_eq(journal_count(root), 0);
	assert_tree(before, "many", 0);
}
END_TEST

static void assert_no_lease(int ret, const char *dir)
{
	struct rtkvm_options opt;
	struct rtkvm_lease *lease;
	struct rtkvm *other;

	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = root;
	opt.state_dir = dir;
	ck_assert_int_eq(rtkvm_new(&opt, &other), 0);
	ck_assert_int_eq(rtkvm_lease_new(other, "x", &lease), ret);
	ck_assert_ptr_null(lease);
	ck_assert_str_eq(rtkvm_last_error_where(), dir);
	ck_assert_str_ne(rtkvm_last_error_remedy(), "");
	ck_assert_int_eq(rtkvm_restore(other, NULL), ret);
	rtkvm_free(other);
}

START_TEST(state_directory)
{
	char dir[4300], link[4300];

	snprintf(dir, sizeof(dir), "%s/state", root);
	snprintf(link, sizeof(link), "%s/link", root);
	ck_assert_int_eq(symlink(dir, link), 0);
	assert_no_lease(-ELOOP, link);
	snprintf(link, sizeof(link), "%s/link/below", root);
	assert_no_lease(-ELOOP, link);
	ck_assert_int_eq(chmod(dir, 0770), 0);
	assert_no_lease(-EPERM, dir);
	ck_assert_int_eq(chmod(dir, 0702), 0);
	assert_no_lease(-EPERM, dir);
	ck_assert_int_eq(chmod(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/leases", dir);
	ck_assert_int_eq(chmod(path, 0722), 0);
	assert_no_lease(-EPERM, dir);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(symlink("/tmp", path), 0);
	assert_no_lease(-ELOOP, dir);
	ck_assert_int_eq(unlink(path), 0);
	test_write(root, "state/leases", "a file\n");
	assert_no_lease(-ENOTDIR, dir);
	test_write(root, "file", "a file\n");
	snprintf(link, sizeof(link), "%s/file", root);
	assert_no_lease(-ENOTDIR, link);
}
END_TEST

START_TEST(state_directory_is_private)
{
	struct rtkvm_options opt;
	struct rtkvm_lease *lease;
	struct rtkvm *other;
	char dir[4300];
	struct stat st;

	umask(0);
	snprintf(dir, sizeof(dir), "%s/new/deep/state", root);
	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = root;
	opt.state_dir = dir;
	ck_assert_int_eq(rtkvm_new(&opt, &other), 0);
	lease = lease_of(other, "x");
	ck_assert_int_eq(stat(dir, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/leases", dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(fstat(rtkvm_lease_fd(lease), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_ne(fcntl(rtkvm_lease_fd(lease), F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
	rtkvm_free(other);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("hostile");
	TCase *tc = tcase_create("journals");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, torn_at_every_byte, 0, 2);
	tcase_add_test(tc, lost_end);
	tcase_add_test(tc, one_byte_wrong);
	tcase_add_test(tc, forged);
	tcase_add_test(tc, not_a_private_file);
	tcase_add_test(tc, of_another_user);
	tcase_add_test(tc, of_another_boot);
	tcase_add_test(tc, very_many_files);
	tcase_add_test(tc, state_directory);
	tcase_add_test(tc, state_directory_is_private);
	suite_add_tcase(suite, tc);
	return suite;
}
