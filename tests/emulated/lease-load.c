/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Load for all CPUs, and what of it reaches a program that runs on one of
 * them: interrupts from /proc/interrupts, switches to others from the tracer.
 */
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
#define IRQS 512

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

struct counts {
	char name[IRQS][64];
	double count[IRQS];
	int n;
};

static void take(unsigned int cpu, struct counts *c)
{
	static char text[1 << 17];
	char *line, *save = NULL, *p;
	int column = -1, i = 0;

	memset(c, 0, sizeof(*c));
	read_text("/proc/interrupts", text, sizeof(text));
	line = strtok_r(text, "\n", &save);
	/* offline CPUs have no column */
	for (p = line; (p = strstr(p, "CPU")); p++, i++)
		if ((unsigned int)atoi(p + 3) == cpu)
			column = i;
	while (column >= 0 && (line = strtok_r(NULL, "\n", &save)) && c->n < IRQS) {
		char *end = strchr(line, ':');

		if (!end)
			continue;
		snprintf(c->name[c->n], 64, "%.*s", (int)(end - line), line + strspn(line, " "));
		p = end + 1;
		for (i = 0; i <= column; i++)
			c->count[c->n] = strtod(p, &p);
		c->n++;
	}
}

/* By name: rows come and go. */
static double count_of(const struct counts *c, const char *name)
{
	for (int i = 0; i < c->n; i++)
		if (!strcmp(c->name[i], name))
			return c->count[i];
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#define TRACING "/sys/kernel/tracing/"

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# %s: cannot write \"%s\"\n", path, text);
	if (fd >= 0)
		close(fd);
}

static void trace(bool on)
{
	put(TRACING "events/sched/sched_switch/enable", on ? "1" : "0");
	put(TRACING "tracing_on", on ? "1" : "0");
}

static bool of_the_tick(const char *comm)
{
	return !strncmp(comm, "ktimers/", 8) || !strncmp(comm, "rcuc/", 5) ||
	       !strncmp(comm, "ksoftirqd/", 10);
}

/* From the trace of that CPU: switches away from this process, by name of the next. */
static void count_switches(unsigned int cpu, struct disturbance *d)
{
	static struct {
		char comm[32];
		unsigned int count;
	} next[64];
	char path[96], line[1024], me[32];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), TRACING "per_cpu/cpu%u/trace", cpu);
	snprintf(me, sizeof(me), "prev_pid=%d ", (int)getpid());
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		char *p = strstr(line, "next_comm="), *end;
		int i = 0;

		if (!p || !strstr(line, me))
			continue;
		p += 10;
		end = strstr(p, " next_pid=");
		if (!end || end - p > 31)
			continue;
		*end = '\0';
		if (of_the_tick(p))
			d->tick_threads += 1 / d->seconds;
		else
			d->switches += 1 / d->seconds;
		while (i < n && strcmp(next[i].comm, p) != 0)
			i++;
		if (i == n && n < 64)
			strcpy(next[n++].comm, p);
		if (i < 64)
			next[i].count++;
	}
	if (f)
		fclose(f);
	for (int i = 0; i < n; i++) {
		size_t len = strlen(d->whom);

		snprintf(d->whom + len, sizeof(d->whom) - len, " %.31s:%u", next[i].comm,
			 next[i].count);
	}
	memset(next, 0, sizeof(next));
}

void disturbance_measure(unsigned int cpu, double seconds, struct disturbance *d)
{
	static struct counts before, after;
	double begin, worst = 0;

	memset(d, 0, sizeof(*d));
	/* reading the counts disturbs the CPU itself: as little as possible of it is counted */
	put(TRACING "trace", "");
	put(TRACING "buffer_size_kb", "8192");
	trace(true);
	take(cpu, &before);
	take(cpu, &before);
	begin = now();
	while (now() - begin < seconds)
		;
	d->seconds = now() - begin;
	take(cpu, &after);
	trace(false);
	count_switches(cpu, d);
	for (int i = 0; i < after.n; i++) {
		double rate = (after.count[i] - count_of(&before, after.name[i])) / d->seconds;

		if (!strncmp(after.name[i], "LOC", 3)) {
			d->tick = rate;
			continue;
		}
		d->interrupts += rate;
		if (rate > worst) {
			worst = rate;
			snprintf(d->worst, sizeof(d->worst), "%s", after.name[i]);
		}
	}
}
