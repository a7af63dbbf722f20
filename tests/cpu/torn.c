/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal of a CPU lease cut off at every byte, after its owner was killed:
 * the machine is as before the lease, or the report names what could not be known.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

#define FILES 256

/* Folders (text NULL) and files of the machine, without the state directory. */
struct tree {
	struct {
		char *path, *text;
	} at[FILES];
	int count;
};

static struct tree *into;
static struct machine m;
static char journal[4400];
static const char *difference; /* what same() found */

static char *read_all(const char *path)
{
	char text[65536];
	int fd = open(path, O_RDONLY);
	ssize_t len = read(fd, text, sizeof(text) - 1);

	close(fd);
	ck_assert_int_ge(len, 0);
	if (strstr(path, "/state/") == NULL) /* the kernel ends a value with a line feed or not */
		while (len && text[len - 1] == '\n')
			len--;
	text[len] = '\0';
	return strdup(text);
}

static void write_all(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

static int add(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)where;
	if (strstr(path, "/state"))
		return 0;
	ck_assert_int_lt(into->count, FILES);
	into->at[into->count].path = strdup(path);
	into->at[into->count++].text = type == FTW_D ? NULL : read_all(path);
	return 0;
}

static void take(struct tree *t)
{
	t->count = 0;
	into = t;
	ck_assert_int_eq(nftw(m.root, add, 16, FTW_PHYS), 0);
}

static void put(const struct tree *t)
{
	for (int i = 0; i < t->count; i++)
		if (t->at[i].text)
			write_all(t->at[i].path, t->at[i].text, strlen(t->at[i].text));
		else
			mkdir(t->at[i].path, 0755);
}

static void clear(struct tree *t)
{
	for (int i = 0; i < t->count; i++) {
		free(t->at[i].path);
		free(t->at[i].text);
	}
}

static bool same(const struct tree *t)
{
	static struct tree now;
	bool equal = true;

	difference = "";
	take(&now);
	for (int i = 0; i < t->count && equal; i++) {
		char *text = t->at[i].text ? NULL : strdup("");

		for (int k = 0; k < now.count && t->at[i].text; k++)
			if (now.at[k].text && !strcmp(now.at[k].path, t->at[i].path))
				text = strdup(now.at[k].text);
		equal = text && (!t->at[i].text || !strcmp(text, t->at[i].text));
		if (!equal)
			difference = t->at[i].path;
		free(text);
	}
	for (int k = 0; k < now.count && equal; k++)
		if (strstr(now.at[k].path + strlen(m.root), "/rtkvm-") ||
		    strstr(now.at[k].path, "/leased/")) {
			equal = false;
			difference = "something of the lease is left";
		}
	clear(&now);
	return equal;
}

static void find_journal(void)
{
	char dir[4300];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/state/leases", m.root);
	d = opendir(dir);
	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			snprintf(journal, sizeof(journal), "%s/%.64s", dir, e->d_name);
	closedir(d);
	ck_assert_int_ne(journal[0], '\0');
}

static bool names_it(const struct rtkvm_report *report)
{
	const struct rtkvm_report_item *item = NULL;

	while ((item = rtkvm_report_next(report, item)))
		if (rtkvm_report_item_problem(item) ||
		    !strncmp(rtkvm_report_item_feature(item), "journal ", 8))
			return true;
	return false;
}

START_TEST(every_byte)
{
	static struct tree before, during;
	size_t len, equal = 0, named = 0;
	struct rtkvm_report *report;
	char *text;
	pid_t pid;

	machine_make(&m, 4, 2, 1, CGROUP_V2);
	test_write(m.root, "run/empty", "");
	take(&before);
	pid = fork();
	if (pid == 0) {
		struct rtkvm_cpu_request r = request_of(1);
		struct rtkvm_cpu_lease *lease;

		r.mode = RTKVM_CPU_PARTITION;
		machine_lease(&m, &r, 0, &lease);
		raise(SIGKILL);
	}
	waitpid(pid, NULL, 0);
	take(&during);
	ck_assert(!same(&before)); /* the control */
	find_journal();
	text = read_all(journal);
	len = strlen(text);
	ck_assert_uint_gt(len, 500);
	for (size_t n = 0; n <= len; n++) {
		put(&during);
		write_all(journal, text, n);
		(void)rtkvm_restore(m.rt, &report);
		ck_assert_ptr_nonnull(report);
		if (same(&before))
			equal++;
		else if (names_it(report))
			named++;
		else
			ck_abort_msg("cut to %zu of %zu bytes: not as before (%s), and not said",
				     n, len, difference);
		rtkvm_report_free(report);
		unlink(journal);
		{ /* what a cut journal does not know of is removed for the next */
			char command[4600];

			snprintf(command, sizeof(command),
				 "rm -rf %s/sys/fs/cgroup/rtkvm-* %s/run/rtkvm/leased/*", m.root, m.root);
			if (!same(&before))
				ck_assert_int_eq(system(command), 0);
		}
	}
	printf("# cut at each of %zu bytes: %zu times as before, %zu times the report says what is "
	       "not known\n", len, equal, named);
	ck_assert_uint_ge(equal, 2); /* whole, and without its last dot */
	free(text);
	clear(&before);
	clear(&during);
	machine_free(&m);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("torn");
	TCase *tc = tcase_create("journal");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, every_byte);
	suite_add_tcase(suite, tc);
	return suite;
}
