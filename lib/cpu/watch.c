/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Drift of a CPU lease as a descriptor for the caller's poll loop: hotplug by
 * the kernel's uevents, the rest, for which there is no event, by looking
 * again after some time. No thread is started.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "cpu_priv.h"

static int open_uevents(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int open_timer(uint32_t ms)
{
	struct itimerspec every = {
		.it_interval = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L },
		.it_value = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0 && timerfd_settime(fd, 0, &every, NULL) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void cpu_watch_close(struct rtkvm_cpu_lease *l)
{
	for (int i = 0; i < 3; i++)
		if (l->watch[i] >= 0)
			close(l->watch[i]);
	l->watch[0] = l->watch[1] = l->watch[2] = -1;
}

int rtkvm_cpu_lease_watch(struct rtkvm_cpu_lease *l, uint32_t interval_ms)
{
	int err;

	if (!l || interval_ms < 10 || interval_ms > 3600000)
		return rtkvm_fail(l ? l->rt : NULL, EINVAL, "rtkvm_cpu_lease_watch",
				  "give 10 to 3600000 ms", l ? "interval out of range" :
							       "lease is NULL");
	cpu_watch_close(l);
	l->watch[0] = epoll_create1(EPOLL_CLOEXEC);
	l->watch[1] = l->watch[0] < 0 ? -1 : open_timer(interval_ms);
	if (l->watch[0] >= 0 && l->watch[1] >= 0 && watch(l->watch[0], l->watch[1])) {
		/* a container may have none: then the timer alone */
		l->watch[2] = open_uevents();
		if (l->watch[2] >= 0)
			(void)watch(l->watch[0], l->watch[2]);
		return l->watch[0];
	}
	err = errno;
	cpu_watch_close(l);
	return rtkvm_fail(l->rt, err, "rtkvm_cpu_lease_watch", NULL, "cannot watch: %s",
			  strerror(err));
}

/* Drain; which CPUs came or went does not matter, everything is looked at anew. */
static void drain(struct rtkvm_cpu_lease *l)
{
	char text[8192];

	for (int i = 1; i < 3; i++)
		while (l->watch[i] >= 0 && read(l->watch[i], text, sizeof(text)) > 0)
			;
}

int rtkvm_cpu_lease_dispatch(struct rtkvm_cpu_lease *l, struct rtkvm_report **report)
{
	struct rtkvm_report *now;
	int ret;

	if (report)
		*report = NULL;
	if (!l || l->watch[0] < 0)
		return rtkvm_fail(l ? l->rt : NULL, EINVAL, "rtkvm_cpu_lease_dispatch",
				  "call rtkvm_cpu_lease_watch() first",
				  l ? "nothing is watched" : "lease is NULL");
	drain(l);
	ret = rtkvm_cpu_lease_report(l, &now);
	if (ret < 0)
		return ret;
	ret = rtkvm_report_problems(now) > 0;
	if (report)
		*report = now;
	else
		rtkvm_report_free(now);
	return ret;
}
