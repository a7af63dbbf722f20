/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Load for all CPUs: fork and exec, network, timers, page cache. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lease-host.h"

#define LOADS 8

static pid_t loads[LOADS];

static void fork_and_exec(void)
{
	char *argv[] = { (char *)(uintptr_t)"true", NULL };

	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			execv("/bin/busybox", argv);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
}

static void network(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t len = sizeof(to);
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
	char text[1000] = "";

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(a, (struct sockaddr *)&to, len) < 0 ||
	    getsockname(a, (struct sockaddr *)&to, &len) < 0)
		_exit(1);
	for (;;) {
		if (sendto(b, text, sizeof(text), 0, (struct sockaddr *)&to, len) < 0 ||
		    recv(a, text, sizeof(text), 0) < 0)
			usleep(1000);
	}
}

static void timers(void)
{
	for (;;)
		usleep(500);
}

static void page_cache(void)
{
	static char text[65536];

	for (int i = 0;; i++) {
		int fd = open("/tmp/load", O_RDWR | O_CREAT | O_TRUNC, 0600);

		for (int k = 0; k < 16; k++)
			if (write(fd, text, sizeof(text)) < 0)
				break;
		fsync(fd);
		close(fd);
		usleep(i % 2 ? 1000 : 0);
	}
}

void load_start(void)
{
	static void (*const kinds[4])(void) = { fork_and_exec, network, timers, page_cache };

	for (int i = 0; i < LOADS; i++) {
		loads[i] = fork();
		if (loads[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			signal(SIGCHLD, SIG_DFL);
			kinds[i % 4]();
		}
	}
}

void load_stop(void)
{
	for (int i = 0; i < LOADS; i++) {
		kill(loads[i], SIGKILL);
		waitpid(loads[i], NULL, 0);
	}
}
