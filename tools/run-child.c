/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From fork to exec, and what a command that becomes a daemon leaves behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach.h"
#include "run-child.h"

#define PIDFILE_MS 5000
#define GENERATIONS_MAX 64

/* One byte, and perhaps a descriptor with it. */
static int send_begin(int socket, int fd)
{
	char byte = 'b', control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* The descriptor, -1: none; -2: its parent gave up. */
static int receive_begin(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fd = -1;
	ssize_t n;

	do
		n = recvmsg(socket, &message, 0);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		return -2;
	c = CMSG_FIRSTHDR(&message);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static int become_user(const struct passwd *user)
{
	if (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
	    setuid(user->pw_uid) < 0)
		return -1;
	setenv("HOME", user->pw_dir, 1);
	setenv("USER", user->pw_name, 1);
	setenv("LOGNAME", user->pw_name, 1);
	setenv("SHELL", user->pw_shell && user->pw_shell[0] ? user->pw_shell : "/bin/sh", 1);
	return 0;
}

/* What failed goes to the parent: errno, with its sign turned when it was not exec(). */
static void become(char **command, const struct passwd *user, const sigset_t *mask, int socket,
		   int status)
{
	int fd = receive_begin(socket), err = 0;
	char text[16];

	if (fd == -2)
		_exit(RUN_FAILED);
	close(socket);
	snprintf(text, sizeof(text), "%d", fd);
	if (fd >= 0)
		setenv("RTKVM_LEASE_FD", text, 1);
	else
		unsetenv("RTKVM_LEASE_FD");
	if (user && become_user(user) < 0)
		err = -errno;
	if (!err) {
		sigprocmask(SIG_SETMASK, mask, NULL);
		execvp(command[0], command);
		err = errno;
	}
	(void)!write(status, &err, sizeof(err));
	_exit(RUN_FAILED);
}

int run_child_make(struct run_child *c, char **command, const char *user, const sigset_t *mask)
{
	const struct passwd *entry = NULL;
	int sockets[2], pipes[2];

	if (user) {
		errno = 0;
		entry = getpwnam(user);
		if (!entry || geteuid() != 0) {
			fprintf(stderr, "rtkvm: --user %s: %s\n", user,
				!entry ? "there is no such user" : "only root can become another user");
			return -1;
		}
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0 ||
	    pipe2(pipes, O_CLOEXEC) < 0) {
		perror("rtkvm: pipe");
		return -1;
	}
	fflush(NULL);
	c->pid = fork();
	if (c->pid == 0) {
		close(sockets[0]);
		close(pipes[0]);
		become(command, entry, mask, sockets[1], pipes[1]);
	}
	close(sockets[1]);
	close(pipes[1]);
	c->socket = sockets[0];
	c->status = pipes[0];
	if (c->pid < 0) {
		perror("rtkvm: fork");
		run_child_drop(c);
		return -1;
	}
	return 0;
}

int run_child_begin(struct run_child *c, const char *command, int lease_fd)
{
	ssize_t n = -1;
	int err = 0;

	if (send_begin(c->socket, lease_fd) == 0)
		do
			n = read(c->status, &err, sizeof(err));
		while (n < 0 && errno == EINTR);
	close(c->socket);
	close(c->status);
	c->socket = c->status = -1;
	if (n == 0)
		return 0;
	fprintf(stderr, "rtkvm: %s: %s%s\n", command, err < 0 ? "cannot become that user: " : "",
		n < 0 ? "cannot be started" : strerror(abs(err)));
	return n < 0 || err < 0 ? RUN_FAILED : err == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
}

void run_child_drop(struct run_child *c)
{
	if (c->socket >= 0)
		close(c->socket);
	if (c->status >= 0)
		close(c->status);
	c->socket = c->status = -1;
	if (c->pid > 0)
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	c->pid = 0;
}

static pid_t parent_of(pid_t pid)
{
	char path[64], line[256];
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && !parent && fgets(line, sizeof(line), f))
		if (sscanf(line, "PPid: %10d", &parent) != 1)
			parent = 0;
	if (f)
		fclose(f);
	return parent;
}

/* This process adopts what the command leaves behind, so that it can be told from others. */
static bool is_descendant(pid_t pid)
{
	for (int i = 0; i < GENERATIONS_MAX && pid > 1; i++) {
		pid = parent_of(pid);
		if (pid == getpid())
			return true;
	}
	return false;
}

static pid_t read_pidfile(const char *path)
{
	char text[32] = "";
	FILE *f = fopen(path, "re");
	int pid = 0;

	if (f) {
		if (fgets(text, sizeof(text), f))
			text[strcspn(text, " \n")] = '\0';
		fclose(f);
	}
	return cmd_number(text, INT32_MAX, &pid) ? pid : 0;
}

pid_t run_daemon(const char *pidfile)
{
	long long until = attach_now_ms() + PIDFILE_MS;
	pid_t pid;

	for (;;) {
		pid = read_pidfile(pidfile);
		if (pid > 0 && is_descendant(pid))
			return pid;
		if (attach_now_ms() >= until)
			break;
		poll(NULL, 0, 20);
	}
	if (pid > 0)
		fprintf(stderr, "rtkvm: %s: names process %d, which the command did not make; is it "
				"an old file?\n", pidfile, pid);
	else
		fprintf(stderr, "rtkvm: %s: names no process; give the file that the command writes "
				"(QEMU: -pidfile)\n", pidfile);
	return 0;
}

pid_t run_left_behind(void)
{
	struct dirent *e;
	int pid = 0, ret;
	DIR *dir;

	do
		ret = waitpid(-1, NULL, WNOHANG);
	while (ret > 0);
	/* not all kernels list children */
	dir = ret == 0 ? opendir("/proc") : NULL;
	while (dir && (e = readdir(dir))) {
		if (cmd_number(e->d_name, INT32_MAX, &pid) && parent_of(pid) == getpid())
			break;
		pid = 0;
	}
	if (dir)
		closedir(dir);
	return pid;
}
