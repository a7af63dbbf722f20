/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gnuplot as a child process; see gnuplot.h. No shell is involved. The caller
 * may be a real-time thread with signals blocked and SIGCHLD ignored: the
 * child inherits none of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gnuplot.h"

#define FAIL_SPAWN "cannot run gnuplot: %s"

static int set_attributes(posix_spawnattr_t *attr)
{
	const struct sched_param normal = { .sched_priority = 0 };
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
	sigset_t set;
	int err;

	if (policy == SCHED_FIFO || policy == SCHED_RR)
		flags |= POSIX_SPAWN_SETSCHEDULER;
	sigemptyset(&set);
	err = posix_spawnattr_setsigmask(attr, &set);
	sigfillset(&set);
	if (!err)
		err = posix_spawnattr_setsigdefault(attr, &set);
	if (!err)
		err = posix_spawnattr_setschedpolicy(attr, SCHED_OTHER);
	if (!err)
		err = posix_spawnattr_setschedparam(attr, &normal);
	return err ? err : posix_spawnattr_setflags(attr, flags);
}

static int set_files(posix_spawn_file_actions_t *files, const int fds[3])
{
	int err = 0;

	for (int i = 0; i < 3 && !err; i++)
		err = posix_spawn_file_actions_adddup2(files, fds[i], i);
	if (!err)
		err = posix_spawn_file_actions_addclosefrom_np(files, 3);
	return err;
}

/* Positive errno. fds are all above 2, so that no dup2 overwrites a later one's source. */
static int spawn(const int fds[3], pid_t *pid)
{
	/* -d: no ~/.gnuplot, whose settings would change the picture */
	static char name[] = "gnuplot", option[] = "-d";
	char *const argv[] = { name, option, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int err = posix_spawn_file_actions_init(&files);

	if (err)
		return err;
	err = posix_spawnattr_init(&attr);
	if (!err) {
		err = set_attributes(&attr);
		if (!err)
			err = set_files(&files, fds);
		if (!err)
			err = posix_spawnp(pid, name, &files, &attr, argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&files);
	return err;
}

static int wait_for(pid_t pid, int *status, bool *known)
{
	pid_t ret;

	do
		ret = waitpid(pid, status, 0);
	while (ret < 0 && errno == EINTR);
	*known = ret == pid;
	/* SIGCHLD ignored, or a handler that reaps every child: it is gone all the same */
	return ret == pid || errno == ECHILD ? 0 : errno;
}

/* The first line of what gnuplot said that says something. */
static void first_message(int fd, char *text, size_t size)
{
	char all[2048];
	ssize_t n = pread(fd, all, sizeof(all) - 1, 0);
	char *save, *line;

	text[0] = '\0';
	all[n > 0 ? n : 0] = '\0';
	for (line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		line += strspn(line, " \t^");
		/* not the command, which gnuplot repeats before it */
		if (strncmp(line, "gnuplot>", 8) && strstr(line, ": ")) {
			strncat(text, line, size - 1);
			return;
		}
	}
}

static int judge(struct rtkvm *rt, int status, int error_fd)
{
	char text[256];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	/* what stands between a child and its program ends so: libc, a shell, a wrapper */
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127))
		return rtkvm_fail(rt, ENOENT, "gnuplot", "install gnuplot (package gnuplot-nox)",
				  "gnuplot could not be executed");
	first_message(error_fd, text, sizeof(text));
	if (WIFSIGNALED(status))
		return rtkvm_fail(rt, EIO, "gnuplot", NULL, "gnuplot was killed by signal %d",
				  WTERMSIG(status));
	return rtkvm_fail(rt, EIO, "gnuplot", NULL, "gnuplot ended with status %d%s%s",
			  WEXITSTATUS(status), text[0] ? ": " : "", text);
}

static int run(struct rtkvm *rt, const int fds[3], bool *known)
{
	int status = 0;
	pid_t pid;
	int err = spawn(fds, &pid);

	if (err == ENOENT || err == EACCES || err == ENOTDIR)
		return rtkvm_fail(rt, ENOENT, "gnuplot", "install gnuplot (package gnuplot-nox)",
				  "gnuplot is not in PATH");
	if (err)
		return rtkvm_fail(rt, err, "gnuplot", rtkvm_remedy_for(err), FAIL_SPAWN,
				  strerror(err));
	err = wait_for(pid, &status, known);
	if (err)
		return rtkvm_fail(rt, err, "gnuplot", NULL, "cannot wait for gnuplot: %s",
				  strerror(err));
	return *known ? judge(rt, status, fds[2]) : 0;
}

/* A duplicate above the standard descriptors, which the caller may have closed. */
static int above_standard(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int latency_run_gnuplot(struct rtkvm *rt, int script_fd, int picture_fd, bool *known)
{
	int errors = memfd_create("gnuplot-errors", MFD_CLOEXEC);
	int fds[3] = { above_standard(script_fd), above_standard(picture_fd),
		       errors < 0 ? -1 : above_standard(errors) };
	int err = errno, ret;

	if (errors >= 0)
		close(errors);
	if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
		ret = rtkvm_fail(rt, err, "gnuplot", rtkvm_remedy_for(err), FAIL_SPAWN,
				 strerror(err));
	else
		ret = run(rt, fds, known);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return ret;
}
