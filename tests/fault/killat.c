/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See killat.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "killat.h"

static void die(const char *what)
{
	perror(what);
	exit(99);
}

static void child(char *const argv[], const char *log, int traced)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(99);
	close(fd);
	if (traced && ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(99);
	execv(argv[0], argv);
	perror(argv[0]);
	_exit(99);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	return status;
}

/* From one stop to the next; its wait status. */
static int go_on(pid_t pid, int sig)
{
	if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)sig) < 0)
		die("PTRACE_SYSCALL");
	return wait_for(pid);
}

bool killat_works(void)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0);
	status = wait_for(pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int killat(unsigned int n, char *const argv[], const char *log)
{
	unsigned int stops = 0;
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (pid == 0)
		child(argv, log, n > 0);
	status = wait_for(pid);
	if (!n)
		return status;
	if (!WIFSTOPPED(status)) /* no such program, or ptrace is forbidden */
		return status;
	if (ptrace(PTRACE_SETOPTIONS, pid, NULL,
		   (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) < 0)
		die("PTRACE_SETOPTIONS");
	/* stopped by the SIGTRAP of its exec: calls are entered and left in turns from here */
	status = go_on(pid, 0);
	while (WIFSTOPPED(status)) {
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			status = go_on(pid, WSTOPSIG(status));
			continue;
		}
		if (stops++ % 2 == 0 && stops / 2 + 1 == n) {
			kill(pid, SIGKILL);
			wait_for(pid);
			return KILLAT_KILLED;
		}
		status = go_on(pid, 0);
	}
	return status;
}
