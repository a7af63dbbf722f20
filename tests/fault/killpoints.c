/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Kills a lease at every one of its steps and looks whether the host is given
 * back. "Before" and "after" come from tests/support/snapshot.sh, which knows
 * nothing of the library.
 *
 *   killpoints [-c CHANGES] [-b RESTORE] [-s STRIDE] MODE
 *
 *   tree           kill the owner, on a made-up tree; then rtkvm restore
 *   tree-restore   kill a restore, then restore again
 *   cpus, cpus-restore   the same with a CPU lease
 *   host           the same on this host, as root, with a sleeping
 *   host-restore   process of its own as the thread that is changed
 *
 * -c, -b: other programs in place of tests/fault/changes and tools/rtkvm.
 * Exit status: 0 all restored, 1 not, 77 cannot run here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "killat.h"
#include "targets.h"

#define TEXT 262144
#define ARGS 40

static const char *srcdir, *builddir;
static char work[256], state[300], log_file[300];
static char changes[512], restore[512], snapshot[512];
static char *change_args[ARGS], *restore_args[ARGS], *die_args[ARGS + 1];
static char before[TEXT], now[TEXT];
static unsigned int stride = 1;
static bool host;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void clean_up(void)
{
	targets_give_back();
	if (work[0])
		nftw(work, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void on_signal(int sig)
{
	targets_give_back();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void make_work(void)
{
	const char *tmp = getenv("TMPDIR");

	if (access("/dev/shm", W_OK | X_OK) == 0)
		tmp = "/dev/shm"; /* each record is synced: thousands of times */
	snprintf(work, sizeof(work), "%s/rtkvm-kill-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(work)) {
		perror(work);
		exit(99);
	}
	snprintf(state, sizeof(state), "%s/state", work);
	snprintf(log_file, sizeof(log_file), "%s/log", work);
}

static void take_snapshot(char *const argv[], char text[TEXT])
{
	int fd, status = killat(0, argv, log_file);
	ssize_t len;

	fd = open(log_file, O_RDONLY);
	len = fd < 0 ? -1 : read(fd, text, TEXT - 1);
	if (status || len <= 0) {
		fprintf(stderr, "killpoints: no snapshot\n");
		exit(99);
	}
	text[len] = '\0';
	close(fd);
	targets_normalise(text);
}

static void print_log(void)
{
	char line[512];
	FILE *f = fopen(log_file, "r");

	while (f && fgets(line, sizeof(line), f))
		printf("#   %s", line);
	if (f)
		fclose(f);
}

/* The first line that differs. */
static void print_difference(void)
{
	const char *a = before, *b = now;

	while (*a && *b) {
		size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");

		if (la != lb || memcmp(a, b, la)) {
			printf("#   before: %.*s\n#   now:    %.*s\n", (int)la, a, (int)lb, b);
			return;
		}
		a += la + (a[la] == '\n');
		b += lb + (b[lb] == '\n');
	}
	printf("#   one snapshot is longer: before ...%.60s now ...%.60s\n", a, b);
}

static unsigned int journals_left(void)
{
	char path[320];
	unsigned int n = 0;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/leases", state);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

/* Restore and look; false with the reason printed. */
static bool given_back(unsigned int n)
{
	int status = killat(0, restore_args, log_file);

	if (status) {
		printf("# killed at %u: restore ends with status %d\n", n, WEXITSTATUS(status));
		print_log();
		return false;
	}
	if (journals_left()) {
		printf("# killed at %u: a journal is left\n", n);
		return false;
	}
	/* other programs of a real host may change it for a moment, too */
	for (int tries = host ? 5 : 1; tries; tries--) {
		take_snapshot(targets_snapshot_args(snapshot), now);
		if (!strcmp(before, now))
			return true;
		if (tries > 1)
			usleep(100000);
	}
	printf("# killed at %u: the host is not as before\n", n);
	print_difference();
	if (host && targets_leased_by_others()) {
		printf("another program leases things of this host\n");
		exit(77);
	}
	return false;
}

static bool differs(void)
{
	take_snapshot(targets_snapshot_args(snapshot), now);
	return strcmp(before, now) != 0;
}

/* One kill; 1 and 0: killed, and given back or not; -1: there is no step n. */
static int one(unsigned int n, bool kill_restore, unsigned int *different)
{
	int status;

	targets_reset();
	if (kill_restore) {
		status = killat(0, die_args, log_file);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
			print_log();
			exit(99);
		}
	}
	status = killat(n, kill_restore ? restore_args : change_args, log_file);
	if (status != KILLAT_KILLED && status != 0) {
		printf("# step %u: status %d\n", n, status);
		print_log();
		exit(1);
	}
	if (n % 8 == 0 && differs())
		++*different;
	if (!given_back(n)) {
		targets_give_back();
		targets_reset();
		nftw(state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		return 0;
	}
	return status == KILLAT_KILLED ? 1 : -1;
}

static int run(bool kill_restore)
{
	unsigned int points = 0, good = 0, different = 0, failed = 0;
	int ret;

	targets_reset();
	take_snapshot(targets_snapshot_args(snapshot), before);
	for (unsigned int n = 1; (ret = one(n, kill_restore, &different)) >= 0; n += stride) {
		points++;
		good += ret == 1;
		if (!ret && ++failed == 5) {
			printf("# and so on\n");
			break;
		}
	}
	printf("# of every 8th point %u showed a changed host\n", different);
	if (!different)
		printf("# nothing ever changed: this test shows nothing\n");
	printf("%u/%u kill points restored\n", good, points);
	return points && good == points && different ? 0 : 1;
}

static void locate(char *out, size_t size, const char *name)
{
	/* what libtool built, not its wrapper script */
	const char *slash = strrchr(name, '/');

	snprintf(out, size, "%s/%.*s/.libs/%s", builddir, (int)(slash - name), name, slash + 1);
	if (access(out, X_OK) < 0)
		snprintf(out, size, "%s/%s", builddir, name);
}

static void prepare(void)
{
	char path[600];

	srcdir = getenv("top_srcdir");
	builddir = getenv("top_builddir");
	if (!srcdir || !builddir) {
		fprintf(stderr, "killpoints: set top_srcdir and top_builddir\n");
		exit(99);
	}
	snprintf(path, sizeof(path), "%s/.libs", builddir);
	setenv("LD_LIBRARY_PATH", path, 1);
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* which cannot run under ptrace */
	locate(changes, sizeof(changes), "tests/fault/changes");
	locate(restore, sizeof(restore), "tools/rtkvm");
	snprintf(snapshot, sizeof(snapshot), "%s/tests/support/snapshot.sh", srcdir);
#ifdef __SANITIZE_ADDRESS__
	stride = 11; /* its start alone makes hundreds of system calls */
#endif
}

static void make_arguments(void)
{
	static char root[] = "--root", r[] = "-r", state_dir[] = "--state-dir", s[] = "-s";
	static char command[] = "restore", die[] = "die";
	int n = 0;

	restore_args[n++] = restore;
	n = targets_root_args(restore_args, n, root);
	restore_args[n++] = state_dir;
	restore_args[n++] = state;
	restore_args[n++] = command;

	n = 0;
	change_args[n++] = changes;
	n = targets_root_args(change_args, n, r);
	change_args[n++] = s;
	change_args[n++] = state;
	n = targets_operations(change_args, n, ARGS - 1);
	memcpy(die_args, change_args, sizeof(change_args));
	die_args[n] = die;
}

int main(int argc, char **argv)
{
	const char *mode;
	int c, ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	prepare();
	while ((c = getopt(argc, argv, "c:b:s:")) != -1) {
		if (c == 'c')
			snprintf(changes, sizeof(changes), "%s", optarg);
		else if (c == 'b')
			snprintf(restore, sizeof(restore), "%s", optarg);
		else if (c == 's')
			stride = (unsigned int)atoi(optarg);
		else
			return 2;
	}
	mode = optind < argc ? argv[optind] : "";
	host = !strncmp(mode, "host", 4);
	if (!host && strncmp(mode, "tree", 4) != 0 && strncmp(mode, "cpus", 4) != 0) {
		fprintf(stderr, "killpoints: give a mode\n");
		return 2;
	}
	if (host && geteuid() != 0) {
		printf("needs root\n");
		return 77;
	}
	if (!killat_works()) {
		printf("ptrace is not allowed here\n");
		return 77;
	}
	make_work();
	atexit(clean_up);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	if (host && !targets_host_turn()) {
		printf("another program leases things of this host\n");
		return 77;
	}
	if (!host)
		targets_tree(work, !strncmp(mode, "cpus", 4));
	else if (!targets_host()) {
		printf("nothing of this host may be changed\n");
		return 77;
	}
	make_arguments();
	ret = run(strstr(mode, "-restore") != NULL);
	return ret;
}
