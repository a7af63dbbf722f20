/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main() of every Check program: runs the suite, turns Check's TAP into TAP
 * with skips, and cleans up the temporary directories.
 *
 * Check has no notion of a skipped test. Tests run in forked children, so
 * skips are noted in memory shared with them and matched by function name.
 */
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

#define MAX_SKIPS 64

struct skip {
	char name[96];
	char reason[256];
};

struct shared {
	unsigned int count;
	struct skip skips[MAX_SKIPS];
};

static struct shared *shared;
static enum fork_status fork_status;
static pid_t main_tid;
static char base[4096];
static char fast_base[64]; /* the same in memory; "": there is no such place */

void test_note_skip(const char *func, const char *fmt, ...)
{
	unsigned int i = __atomic_fetch_add(&shared->count, 1, __ATOMIC_RELAXED);
	size_t len = strlen(func);
	va_list ap;

	if (i >= MAX_SKIPS)
		abort();
	/* START_TEST(name) makes a function name_fn */
	if (len > 3 && !strcmp(func + len - 3, "_fn"))
		len -= 3;
	snprintf(shared->skips[i].name, sizeof(shared->skips[i].name), "%.*s", (int)len, func);
	va_start(ap, fmt);
	vsnprintf(shared->skips[i].reason, sizeof(shared->skips[i].reason), fmt, ap);
	va_end(ap);
}

void test_fails(const char *file, int line)
{
	if (fork_status != CK_NOFORK || gettid() == main_tid)
		return;
	fprintf(stderr, "# %s:%d: assertion failed in thread %d, not in the test's own\n", file,
		line, (int)gettid());
	if (getpid() == main_tid)
		abort();
	_exit(1);
}

bool test_is_slow(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	const char *preloaded = getenv("LD_PRELOAD");

	/* valgrind's own, which it lets the program see */
	return preloaded && strstr(preloaded, "vgpreload_");
#endif
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_D)
		chmod(path, 0700);
	if (remove(path) < 0 && errno != ENOENT && errno != ENOTEMPTY)
		perror(path);
	return 0;
}

static const char *make_tmpdir(const char *where)
{
	static char dir[4200];
	static unsigned int n;

	snprintf(dir, sizeof(dir), "%s/%d-%u", where, (int)getpid(), n++);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	return dir;
}

const char *test_tmpdir(void)
{
	return make_tmpdir(base);
}

const char *test_fast_tmpdir(void)
{
	return make_tmpdir(fast_base[0] ? fast_base : base);
}

static void make_parents(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(path, 0755) < 0)
			ck_assert_int_eq(errno, EEXIST);
		*p = '/';
	}
}

void test_write(const char *dir, const char *path, const char *text)
{
	char full[8192];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	make_parents(full);
	f = fopen(full, "w");
	ck_assert_msg(f != NULL, "%s: %s", full, strerror(errno));
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

const char *test_read(const char *dir, const char *path)
{
	static char text[65536];
	char full[8192];
	size_t n;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	f = fopen(full, "r");
	ck_assert_msg(f != NULL, "%s: %s", full, strerror(errno));
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

/* Name of the test in a line "ok N - file:case:name: message", or "". */
static void name_of(const char *line, char *name, size_t size)
{
	const char *p = strstr(line, " - ");

	name[0] = '\0';
	for (int i = 0; p && i < 2; i++) {
		p = strchr(p, ':');
		if (p)
			p++;
	}
	if (p)
		snprintf(name, size, "%.*s", (int)strcspn(p, ":"), p);
}

static const char *skip_reason(const char *name)
{
	for (unsigned int i = 0; i < shared->count && i < MAX_SKIPS; i++)
		if (!strcmp(shared->skips[i].name, name))
			return shared->skips[i].reason;
	return NULL;
}

static void print_tap(const char *path)
{
	char line[8192], name[128];
	FILE *f = fopen(path, "r");

	if (!f) {
		printf("Bail out! no TAP from Check\n");
		return;
	}
	while (fgets(line, sizeof(line), f)) {
		const char *reason = NULL;

		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "ok ", 3)) {
			name_of(line, name, sizeof(name));
			reason = skip_reason(name);
		}
		if (reason)
			printf("ok %d - %s # SKIP %s\n", atoi(line + 3), name, reason);
		else
			printf("%s\n", line);
	}
	fclose(f);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	char tap[4200];
	SRunner *runner;
	int failed;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	snprintf(base, sizeof(base), "%s/rtkvm-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (shared == MAP_FAILED || !mkdtemp(base)) {
		printf("Bail out! %s: %s\n", base, strerror(errno));
		return 99;
	}
	snprintf(fast_base, sizeof(fast_base), "/dev/shm/rtkvm-test-XXXXXX");
	if (!mkdtemp(fast_base))
		fast_base[0] = '\0';
	snprintf(tap, sizeof(tap), "%s/tap", base);
	runner = srunner_create(rtkvm_suite());
	srunner_set_tap(runner, tap);
	fork_status = srunner_fork_status(runner);
	main_tid = gettid();
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	print_tap(tap);
	nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (fast_base[0])
		nftw(fast_base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return failed ? 1 : 0;
}
