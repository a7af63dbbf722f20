/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which CPUs irqbalance leaves alone; see irqbalance.h. The socket's protocol
 * is that of irqbalance 1.9 (irqbalance.c, sock_handle()): one request with
 * credentials, root's only, one answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "irqbalance.h"
#include "parse.h"
#include "process.h"
#include "read.h"

/* It answers at once, or between two rounds of its work. */
#define ANSWER_MS 1000

/* A connection to its socket in that folder, below the context's root. -errno. */
static int connect_to(struct host_facts *facts, const char *folder, pid_t pid)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int dir = rtkvm_open_quiet(facts->rt, folder, O_PATH | O_DIRECTORY), fd, ret = 0;

	if (dir < 0)
		return dir;
	/* by the descriptor: a path below a made-up root may be too long for an address */
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/irqbalance%d.sock", dir,
		 (int)pid);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		ret = -errno;
	close(dir);
	if (ret < 0 && fd >= 0)
		close(fd);
	return ret < 0 ? ret : fd;
}

static int send_request(int fd)
{
	static char request[] = "setup";
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control = { .room = { 0 } };
	struct iovec iov = { .iov_base = request, .iov_len = strlen(request) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	struct ucred self = { .pid = getpid(), .uid = geteuid(), .gid = getegid() };
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_CREDENTIALS;
	head->cmsg_len = CMSG_LEN(sizeof(self));
	memcpy(CMSG_DATA(head), &self, sizeof(self));
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Its answer to "setup", up to the end. 0 or -errno. */
static int receive(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < size - 1) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, ANSWER_MS) <= 0)
			break;
		n = read(fd, text + len, size - 1 - len);
		if (n > 0)
			len += (size_t)n;
	}
	text[len] = '\0';
	return len && !memchr(text, '\0', len) ? 0 : -ENODATA;
}

/* 1: *banned is what it said; 0: it did not answer. */
static int ask_socket(struct host_facts *facts, pid_t pid, struct host_banned *banned)
{
	static const char folder[] = "/run/irqbalance";
	char text[16384];
	int fd = connect_to(facts, folder, pid), ret;

	if (fd < 0)
		return 0;
	ret = send_request(fd);
	if (ret == 0)
		ret = receive(fd, text, sizeof(text));
	close(fd);
	if (ret < 0)
		return 0;
	snprintf(banned->path, sizeof(banned->path), "%s/irqbalance%d.sock", folder, (int)pid);
	banned->source = "its socket";
	banned->set = true;
	return host_banned_parse(text, &banned->cpus) ? 1 : -EILSEQ;
}

/* One of the two variables, in a process's environment or a file. */
typedef int get_fn(void *from, const char *name, char *value, size_t size);

static int variables(get_fn *get, void *from, struct host_banned *banned)
{
	char value[RTKVM_CPULIST_TEXT];
	int ret = get(from, "IRQBALANCE_BANNED_CPULIST", value, sizeof(value));

	if (ret > 0 && value[0]) {
		banned->set = true;
		return rtkvm_cpus_parse_list(value, &banned->cpus, NULL) == 0 ? 0 : -EILSEQ;
	}
	if (ret >= 0)
		ret = get(from, "IRQBALANCE_BANNED_CPUS", value, sizeof(value));
	if (ret > 0 && value[0]) {
		banned->set = true;
		return rtkvm_cpus_parse_mask(value, &banned->cpus, NULL) == 0 ? 0 : -EILSEQ;
	}
	return ret < 0 ? ret : 0;
}

struct process {
	struct host_facts *facts;
	pid_t pid;
};

static int from_environ(void *from, const char *name, char *value, size_t size)
{
	struct process *p = from;

	return host_environ(p->facts, p->pid, name, value, size);
}

static int from_text(void *from, const char *name, char *value, size_t size)
{
	return host_shell_get(from, name, value, size);
}

int host_irqbalance(struct host_facts *facts, pid_t pid, struct host_banned *banned)
{
	static const char *const files[] = { "/etc/default/irqbalance", "/etc/sysconfig/irqbalance" };
	struct process process = { facts, pid };
	char text[16384];
	int ret;

	memset(banned, 0, sizeof(*banned));
	ret = ask_socket(facts, pid, banned);
	if (ret)
		return ret < 0 ? ret : 0;
	snprintf(banned->path, sizeof(banned->path), "/proc/%d/environ", (int)pid);
	banned->source = "its environment";
	ret = variables(from_environ, &process, banned);
	if (ret != -ENOENT && ret != -EACCES && ret != -EPERM)
		return ret;
	banned->source = "its defaults, as no file sets it otherwise";
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(banned->path, sizeof(banned->path), "%s", files[i]);
		ret = host_text(facts, files[i], text, sizeof(text));
		if (ret == -ENOENT)
			continue;
		if (ret == 0)
			ret = variables(from_text, text, banned);
		banned->source = "its file, if it was started with that";
		return ret;
	}
	return 0;
}
