/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of plots: real pictures by gnuplot, and a made-up gnuplot in PATH
 * that misbehaves.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/context.h>
#include <rtkvm/latency.h>

#include "support/test.h"
#include "support/valgrind.h"

static struct rtkvm_latency *filled(const char *name, uint64_t base)
{
	struct rtkvm_latency *l;
	uint64_t x = base;

	ck_assert_int_eq(rtkvm_latency_new(NULL, name, &l), 0);
	for (int i = 0; i < 20000; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		rtkvm_latency_record(l, base + base * 1000 / (1 + (x >> 54)));
	}
	return l;
}

static char *saved_path(void)
{
	const char *path = getenv("PATH");

	return strdup(path ? path : "");
}

static bool have_gnuplot(void)
{
	char *copy = saved_path(), *save, *dir;
	bool found = false;

	for (dir = strtok_r(copy, ":", &save); dir && !found; dir = strtok_r(NULL, ":", &save)) {
		char file[4300];

		snprintf(file, sizeof(file), "%s/gnuplot", dir);
		found = access(file, X_OK) == 0;
	}
	free(copy);
	return found;
}

/* Number of files in dir, dot files included. */
static int files_in(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)))
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	return n;
}

static int open_descriptors(void)
{
	return files_in("/proc/self/fd");
}

static char *whole_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "r");
	struct stat st;
	char *text;

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(fstat(fileno(f), &st), 0);
	*size = (size_t)st.st_size;
	text = calloc(1, *size + 1);
	ck_assert_uint_eq(fread(text, 1, *size, f), *size);
	fclose(f);
	return text;
}

static unsigned int be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (unsigned int)u[0] << 24 | (unsigned int)u[1] << 16 | (unsigned int)u[2] << 8 | u[3];
}

static void check_png(const char *path)
{
	size_t size;
	char *text = whole_file(path, &size);

	ck_assert_uint_gt(size, 5000);
	ck_assert_mem_eq(text, "\x89PNG\r\n\x1a\n", 8);
	ck_assert_mem_eq(text + 12, "IHDR", 4);
	ck_assert_uint_eq(be32(text + 16), 1200);
	ck_assert_uint_eq(be32(text + 20), 750);
	ck_assert_mem_eq(text + size - 8, "IEND", 4);
	free(text);
}

#define AWKWARD "`touch pwned` 'q' $(touch pwned) \"d\" @m a_1^2{b} <x>&y \\n ;!"

/* Runs the plot in a child whose cwd is dir, where a command run by mistake would leave traces. */
START_TEST(pictures)
{
	const char *dir = test_tmpdir();
	struct rtkvm_latency *l[3] = { filled("plain", 20000), filled(AWKWARD, 3000),
				       filled("t\xc3\xbcned", 7000) };
	char png[4300], svg[4300], *text;
	int before;
	size_t size;
	mode_t mask;
	struct stat st;

	if (!have_gnuplot()) {
		for (int i = 0; i < 3; i++)
			rtkvm_latency_free(l[i]);
		SKIP_TEST("gnuplot is not installed");
	}
	snprintf(png, sizeof(png), "%s/it's a `plot`.png", dir);
	snprintf(svg, sizeof(svg), "%s/p.svg", dir);
	ck_assert_int_eq(chdir(dir), 0);
	before = open_descriptors();
	mask = umask(027);
	ck_assert_msg(rtkvm_latency_plot((const struct rtkvm_latency *const *)l, 3, png) == 0, "%s",
		      rtkvm_last_error());
	umask(mask);
	ck_assert_msg(rtkvm_latency_plot((const struct rtkvm_latency *const *)l, 3, svg) == 0, "%s",
		      rtkvm_last_error());
	ck_assert_int_eq(open_descriptors(), before);
	ck_assert_int_eq(files_in(dir), 2);
	check_png(png);
	ck_assert_int_eq(stat(png, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0640);
	text = whole_file(svg, &size);
	ck_assert_uint_gt(size, 5000);
	/* the title, as XML spells it, with nothing done to it */
	ck_assert_ptr_nonnull(strstr(text, "`touch pwned`"));
	ck_assert_ptr_nonnull(strstr(text, "a_1^2{b} &lt;x>&amp;y \\n ;!"));
	ck_assert_ptr_nonnull(strstr(text, "t\xc3\xbcned"));
	free(text);
	/* a relative name, over an old picture */
	ck_assert_int_eq(rtkvm_latency_plot((const struct rtkvm_latency *const *)l, 1, "p.svg"), 0);
	ck_assert_int_eq(files_in(dir), 2);
	ck_assert_int_eq(chdir("/"), 0);
	for (int i = 0; i < 3; i++)
		rtkvm_latency_free(l[i]);
}
END_TEST

/* Edges: one value, overflows alone, sixteen at once, values of nanoseconds. */
START_TEST(edge_cases)
{
	const char *dir = test_tmpdir();
	const struct rtkvm_latency *all[16];
	struct rtkvm_latency *l;
	char path[4300];

	if (!have_gnuplot())
		SKIP_TEST("gnuplot is not installed");
	snprintf(path, sizeof(path), "%s/p.png", dir);
	for (int i = 0; i < 16; i++)
		all[i] = l = filled("n", UINT64_C(1) << i);
	ck_assert_msg(rtkvm_latency_plot(all, 16, path) == 0, "%s", rtkvm_last_error());
	check_png(path);
	for (uint64_t v = 1; v < UINT64_C(100000000000); v *= 1000) {
		rtkvm_latency_reset(l);
		rtkvm_latency_record(l, v);
		ck_assert_msg(rtkvm_latency_plot(&all[15], 1, path) == 0, "%llu: %s",
			      (unsigned long long)v, rtkvm_last_error());
	}
	rtkvm_latency_reset(l);
	rtkvm_latency_record(l, UINT64_MAX);
	ck_assert_msg(rtkvm_latency_plot(&all[15], 1, path) == 0, "%s", rtkvm_last_error());
	for (int i = 0; i < 16; i++)
		rtkvm_latency_free((struct rtkvm_latency *)(uintptr_t)all[i]);
}
END_TEST

START_TEST(arguments_refused)
{
	const char *dir = test_tmpdir();
	struct rtkvm_latency *l = filled("l", 5000), *empty;
	const struct rtkvm_latency *two[2] = { l, NULL };
	char path[4300];

	ck_assert_int_eq(rtkvm_latency_new(NULL, "nobody", &empty), 0);
	snprintf(path, sizeof(path), "%s/p.png", dir);
	ck_assert_int_eq(rtkvm_latency_plot(NULL, 1, path), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_plot(two, 0, path), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_plot(two, 17, path), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_plot(two, 2, path), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_plot(two, 1, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_plot(two, 1, "p.pdf"), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_plot(two, 1, ".png"), -EINVAL);
	two[1] = empty;
	ck_assert_int_eq(rtkvm_latency_plot(two, 2, path), -EINVAL);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "nobody"));
	ck_assert_int_eq(files_in(dir), 0);
	rtkvm_latency_free(l);
	rtkvm_latency_free(empty);
}
END_TEST

/* A gnuplot of our own making alone in PATH. */
static void fake_gnuplot(const char *dir, const char *script)
{
	char path[4400];

	snprintf(path, sizeof(path), "%s/bin/gnuplot", dir);
	test_write(dir, "bin/gnuplot", script);
	ck_assert_int_eq(chmod(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/bin", dir);
	setenv("PATH", path, 1);
}

static const struct {
	const char *script;
	int error;
	const char *says;
} fakes[] = {
	{ NULL, ENOENT, "install gnuplot" },
	{ "#!/bin/sh\necho 'line 7: no such terminal' >&2\nexit 3\n", EIO,
	  "status 3: line 7: no such terminal" },
	{ "#!/bin/sh\nexit 0\n", EIO, "no PNG picture" },
	{ "#!/bin/sh\necho hello\n", EIO, "no PNG picture" },
	{ "#!/bin/sh\nkill -9 $$\n", EIO, "signal 9" },
	/* does not even look at its input */
	{ "#!/bin/sh\nexec <&-\nexit 1\n", EIO, "status 1" },
	/* the last one: see below */
	{ "#!/no/such/interpreter\n", ENOENT, "install gnuplot" },
};

START_TEST(gnuplot_fails)
{
	const char *dir = test_tmpdir();
	struct rtkvm_latency *l;
	const struct rtkvm_latency *one;
	int before = open_descriptors();
	char *old, path[4300];

	if (_i == sizeof(fakes) / sizeof(fakes[0]) - 1 && below_valgrind())
		SKIP_TEST("valgrind looks for interpreters itself");
	one = l = filled("l", 5000);
	old = saved_path();
	test_write(dir, "out/p.png", "old picture");
	snprintf(path, sizeof(path), "%s/out/p.png", dir);
	if (fakes[_i].script)
		fake_gnuplot(dir, fakes[_i].script);
	else
		setenv("PATH", dir, 1);
	ck_assert_int_eq(rtkvm_latency_plot(&one, 1, path), -fakes[_i].error);
	ck_assert_msg(strstr(rtkvm_last_error(), fakes[_i].says) != NULL, "%s", rtkvm_last_error());
	ck_assert_str_eq(test_read(dir, "out/p.png"), "old picture");
	snprintf(path, sizeof(path), "%s/out", dir);
	ck_assert_int_eq(files_in(path), 1);
	ck_assert_int_eq(open_descriptors(), before);
	setenv("PATH", old, 1);
	free(old);
	rtkvm_latency_free(l);
}
END_TEST

START_TEST(file_fails)
{
	const char *dir = test_tmpdir();
	struct rtkvm_latency *l = filled("l", 5000);
	const struct rtkvm_latency *one = l;
	char path[4300];

	if (!have_gnuplot()) {
		rtkvm_latency_free(l);
		SKIP_TEST("gnuplot is not installed");
	}
	snprintf(path, sizeof(path), "%s/none/p.png", dir);
	ck_assert_int_eq(rtkvm_latency_plot(&one, 1, path), -ENOENT);
	snprintf(path, sizeof(path), "%s/file/p.png", dir);
	test_write(dir, "file", "");
	ck_assert_int_eq(rtkvm_latency_plot(&one, 1, path), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/dir.png", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(rtkvm_latency_plot(&one, 1, path), -EISDIR);
	ck_assert_int_eq(files_in(dir), 2);
	rtkvm_latency_free(l);
}
END_TEST

static void reap_all(int sig)
{
	int saved = errno; /* NOLINT(bugprone-signal-handler,cert-sig30-c): errno is no function */

	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = saved;
}

/* What the child finds: signals as a new process expects them, no descriptor but three. */
#define WITNESS                                                                       \
	"#!/bin/sh\n# builtins alone look: children would change what is seen\n"       \
	"here=$(dirname \"$0\")\n"                                                    \
	"while read -r a b; do case $a in SigBlk:|SigIgn:) echo \"$a $b\";; esac; done" \
	" </proc/$$/status >\"$here/signals\"\n"                                       \
	"for f in /proc/$$/fd/?; do [ -e \"$f\" ] && echo \"${f##*/}\"; done"           \
	" >\"$here/fds\"\n"                                                           \
	"chrt -p $$ >\"$here/policy\" 2>/dev/null\n"                                  \
	"cat >\"$here/script\"\nexit 9\n"

/*
 * A caller with SIGCHLD ignored or reaped by a handler, signals blocked, SIGPIPE
 * in its default, closed standard descriptors.
 */
START_TEST(awkward_callers)
{
	const char *dir = test_tmpdir();
	struct rtkvm_latency *l = filled("l", 5000);
	const struct rtkvm_latency *one = l;
	char path[4300];
	sigset_t all, old;
	int saved[3];

	if (!have_gnuplot()) {
		rtkvm_latency_free(l);
		SKIP_TEST("gnuplot is not installed");
	}
	snprintf(path, sizeof(path), "%s/p.png", dir);
	signal(SIGCHLD, SIG_IGN);
	ck_assert_msg(rtkvm_latency_plot(&one, 1, path) == 0, "%s", rtkvm_last_error());
	signal(SIGCHLD, reap_all);
	ck_assert_msg(rtkvm_latency_plot(&one, 1, path) == 0, "%s", rtkvm_last_error());
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	ck_assert_msg(rtkvm_latency_plot(&one, 1, path) == 0, "%s", rtkvm_last_error());
	sigprocmask(SIG_SETMASK, &old, NULL);
	for (int i = 0; i < 3; i++) {
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
		close(i);
	}
	unlink(path);
	for (int i = rtkvm_latency_plot(&one, 1, path), j = 0; j < 3; j++) {
		dup2(saved[j], j);
		close(saved[j]);
		ck_assert_int_eq(i, 0);
	}
	check_png(path);
	/* our own children are still ours to wait for */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	rtkvm_latency_free(l);
}
END_TEST

/* SIGCHLD ignored and gnuplot failing: the picture, not the exit status, tells. */
START_TEST(failure_without_a_status)
{
	const char *dir = test_tmpdir();
	struct rtkvm_latency *l = filled("l", 5000);
	const struct rtkvm_latency *one = l;
	char path[4300], *old = saved_path();

	fake_gnuplot(dir, "#!/bin/sh\nexit 3\n");
	snprintf(path, sizeof(path), "%s/p.png", dir);
	signal(SIGCHLD, SIG_IGN);
	ck_assert_int_eq(rtkvm_latency_plot(&one, 1, path), -EIO);
	signal(SIGCHLD, SIG_DFL);
	ck_assert_int_ne(access(path, F_OK), 0);
	setenv("PATH", old, 1);
	free(old);
	rtkvm_latency_free(l);
}
END_TEST

START_TEST(child_inherits_nothing)
{
	const char *dir = test_tmpdir();
	struct rtkvm_latency *l = filled("it's\n", 5000);
	const struct rtkvm_latency *one = l;
	const struct sched_param fifo = { .sched_priority = 1 }, other = { .sched_priority = 0 };
	char path[4300], *old = saved_path();
	const char *policy, *script, *ignored;
	bool raised;
	sigset_t all, saved;
	int leak = open("/dev/null", O_RDONLY);

	fake_gnuplot(dir, WITNESS);
	/* the witness needs its tools */
	snprintf(path, sizeof(path), "%s/bin:%s", dir, old);
	setenv("PATH", path, 1);
	snprintf(path, sizeof(path), "%s/p.png", dir);
	sigfillset(&all);
	signal(SIGTERM, SIG_IGN);
	sigprocmask(SIG_BLOCK, &all, &saved);
	raised = sched_setscheduler(0, SCHED_FIFO, &fifo) == 0;
	ck_assert_int_eq(rtkvm_latency_plot(&one, 1, path), -EIO);
	sched_setscheduler(0, SCHED_OTHER, &other);
	sigprocmask(SIG_SETMASK, &saved, NULL);
	signal(SIGTERM, SIG_DFL);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "status 9"));
	ck_assert_str_eq(test_read(dir, "bin/fds"), "0\n1\n2\n");
	ck_assert_ptr_nonnull(strstr(test_read(dir, "bin/signals"), "SigBlk: 0000000000000000\n"));
	ignored = strstr(test_read(dir, "bin/signals"), "SigIgn: ");
	ck_assert_ptr_nonnull(ignored);
	ck_assert_uint_eq(strtoul(ignored + 8, NULL, 16) >> (SIGTERM - 1) & 1, 0);
	policy = test_read(dir, "bin/policy");
	if (raised && policy[0])
		ck_assert_ptr_nonnull(strstr(policy, "SCHED_OTHER"));
	script = test_read(dir, "bin/script");
	ck_assert_ptr_nonnull(strstr(script, "title 'it''s?: 20000 values"));
	ck_assert_ptr_null(strstr(script, dir));
	close(leak);
	setenv("PATH", old, 1);
	free(old);
	rtkvm_latency_free(l);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("latency-plot");
	TCase *tc = tcase_create("plot");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, pictures);
	tcase_add_test(tc, edge_cases);
	tcase_add_test(tc, arguments_refused);
	tcase_add_loop_test(tc, gnuplot_fails, 0, sizeof(fakes) / sizeof(fakes[0]));
	tcase_add_test(tc, file_fails);
	tcase_add_test(tc, awkward_callers);
	tcase_add_test(tc, failure_without_a_status);
	tcase_add_test(tc, child_inherits_nothing);
	suite_add_tcase(suite, tc);
	return suite;
}
