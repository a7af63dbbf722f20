/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * irqbalance is told which CPUs are leased, by the socket that irqbalance-ui uses
 * (/run/irqbalance/irqbalancePID.sock, since 1.4; as root). What it is told
 * replaces its own configuration, so that is read and told with it; without
 * leases it is told to go by its configuration again. It shows what it goes by
 * after its next look only, 10 s later by default.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/cpulist.h"
#include "core/file.h"
#include "lease_priv.h"

#define FOLDER "/run/irqbalance"
#define START "irqbalance"
#define COMMAND_MAX 500 /* it reads no more */

/* The process of a socket's name; 0: not one. */
static int64_t pid_of(const char *name)
{
	size_t len = strlen(name), start = sizeof(START) - 1;
	char digits[16];
	int64_t pid;

	if (strncmp(name, START, start) != 0 || len < start + 6 || len > start + 15 ||
	    strcmp(name + len - 5, ".sock") != 0)
		return 0;
	snprintf(digits, sizeof(digits), "%.*s", (int)(len - start - 5), name + start);
	return rtkvm_parse_i64(digits, 1, INT32_MAX, &pid) ? pid : 0;
}

/* A socket of a daemon that ended is left behind: the connection tells. */
static int connect_to(int dir, const char *name)
{
	const struct timeval wait = { .tv_sec = 2 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%.60s", dir, name);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/* -ENODEV: it does not run here, or has no socket. */
static int open_socket(struct rtkvm *rt, int64_t *pid)
{
	int at = rtkvm_open_quiet(rt, FOLDER, O_RDONLY | O_DIRECTORY), fd = -ENODEV;
	DIR *dir = at < 0 ? NULL : fdopendir(at);
	struct dirent *e;

	if (!dir) {
		if (at >= 0)
			close(at);
		return at == -EACCES ? -EACCES : -ENODEV;
	}
	while (fd < 0 && (e = readdir(dir))) {
		*pid = pid_of(e->d_name);
		if (!*pid)
			continue;
		fd = connect_to(at, e->d_name);
		if (fd == -ECONNREFUSED || fd == -ENOENT)
			fd = -ENODEV;
		else if (fd < 0)
			break;
	}
	closedir(dir);
	return fd;
}

/* One command, with who sends it. The answer, if it has one, ends the connection. */
static int send_command(int fd, const char *text)
{
	union {
		char room[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	struct ucred me = { .pid = getpid(), .uid = geteuid(), .gid = getegid() };

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(me));
	memcpy(CMSG_DATA(c), &me, sizeof(me));
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)strlen(text) ? 0 : errno ? -errno : -EIO;
}

static int receive(int fd, char *out, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, out + len, size - 1 - len)) != 0) {
		if (n < 0)
			return -errno;
		len += (size_t)n;
	}
	out[len] = '\0';
	return len < size - 1 ? 0 : -E2BIG;
}

static void add_list(struct rtkvm *rt, const char *path, struct rtkvm_cpus *cpus)
{
	char text[RTKVM_VALUE_MAX];
	struct rtkvm_cpus more;

	if (rtkvm_file_read_quiet(rt, path, text, sizeof(text)) <= 0 ||
	    rtkvm_cpus_parse_list(text, &more, NULL) < 0)
		return;
	for (unsigned int i = 0; i < RTKVM_CPULIST_WORDS; i++)
		cpus->bits[i] |= more.bits[i];
}

/* What it would ban by itself: its environment's list, else what the boot isolated. */
static void configured(struct rtkvm *rt, int64_t pid, struct rtkvm_cpus *cpus)
{
	static const char list[] = "IRQBALANCE_BANNED_CPULIST=", mask[] = "IRQBALANCE_BANNED_CPUS=";
	char path[64], *text = calloc(1, 65536);
	ssize_t len = -1;
	int fd;

	rtkvm_cpus_clear(cpus);
	snprintf(path, sizeof(path), "/proc/%lld/environ", (long long)pid);
	fd = text ? rtkvm_open_quiet(rt, path, O_RDONLY) : -1;
	if (fd >= 0) {
		len = read(fd, text, 65535);
		close(fd);
	}
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(text + at) + 1) {
		const char *word = text + at;
		bool is_mask = !strncmp(word, mask, sizeof(mask) - 1);

		if (!is_mask && strncmp(word, list, sizeof(list) - 1) != 0)
			continue;
		word = strchr(word, '=') + 1;
		if (*word && !(is_mask ? rtkvm_cpus_parse_mask(word, cpus, NULL) :
					 rtkvm_cpus_parse_list(word, cpus, NULL))) {
			free(text);
			return;
		}
	}
	free(text);
	rtkvm_cpus_clear(cpus);
	add_list(rt, "/sys/devices/system/cpu/isolated", cpus);
	add_list(rt, "/sys/devices/system/cpu/nohz_full", cpus);
}

/* "2-2,4-7": old versions take a mask, and none of these can be mistaken for one. */
static int print_ranges(const struct rtkvm_cpus *cpus, char *out, size_t size)
{
	size_t len = 0;
	int cpu = -1;

	while ((cpu = rtkvm_cpus_next(cpus, (unsigned int)cpu + 1)) >= 0) {
		int last = cpu;

		while (last + 1 < RTKVM_MAX_CPUS && rtkvm_cpus_has(cpus, (unsigned int)last + 1))
			last++;
		len += (size_t)snprintf(out + len, size - len, "%s%d-%d", len ? "," : "", cpu, last);
		if (len >= size)
			return -E2BIG;
		cpu = last;
	}
	return 0;
}

int rtkvm_irqbalance_tell(struct rtkvm *rt, const struct rtkvm_cpus *leased)
{
	char command[COMMAND_MAX] = "settings cpus NULL";
	struct rtkvm_cpus all;
	int64_t pid;
	int fd = open_socket(rt, &pid), ret = 0;

	if (fd < 0)
		return fd;
	if (rtkvm_cpus_next(leased, 0) >= 0) {
		configured(rt, pid, &all);
		for (unsigned int i = 0; i < RTKVM_CPULIST_WORDS; i++)
			all.bits[i] |= leased->bits[i];
		ret = print_ranges(&all, command + 14, sizeof(command) - 14);
	}
	if (ret == 0)
		ret = send_command(fd, command);
	/* it closes when it has understood */
	if (ret == 0)
		ret = receive(fd, command, sizeof(command));
	close(fd);
	return ret;
}

int rtkvm_irqbalance_banned(struct rtkvm *rt, struct rtkvm_cpus *banned, unsigned int *seconds)
{
	char *text, *mask;
	int64_t pid;
	int fd = open_socket(rt, &pid), ret;

	if (fd < 0)
		return fd;
	text = malloc(1 << 16);
	ret = text ? send_command(fd, "setup") : -ENOMEM;
	if (ret == 0)
		ret = receive(fd, text, 1 << 16);
	close(fd);
	if (ret == 0) {
		mask = strstr(text, "BANNED ");
		*seconds = 10;
		(void)sscanf(text, "SLEEP %9u", seconds);
		if (!mask || rtkvm_cpus_parse_mask(mask + 7, banned, NULL) < 0)
			ret = -EILSEQ;
	}
	free(text);
	return ret;
}

/* c->after as long as it can still be coming; else what it goes by. */
int rtkvm_irqbalance_read(struct rtkvm *rt, const struct rtkvm_change *c, char out[RTKVM_VALUE_MAX])
{
	struct rtkvm_cpus banned, wanted;
	unsigned int seconds = 10;
	int ret = rtkvm_irqbalance_banned(rt, &banned, &seconds);

	if (ret < 0)
		return ret;
	rtkvm_cpus_parse_list(c->after, &wanted, NULL);
	if (rtkvm_cpus_subset(&wanted, &banned) ||
	    rtkvm_boottime() < c->time + (2ULL * seconds + 1) * 1000000000ULL)
		snprintf(out, RTKVM_VALUE_MAX, "%s", c->after);
	else if (rtkvm_cpus_next(&banned, 0) < 0 ||
		 rtkvm_cpus_print_list(&banned, out, RTKVM_VALUE_MAX) <= 0)
		strcpy(out, "-");
	return 0;
}
