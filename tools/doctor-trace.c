/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The timerlat tracer; see doctor-trace.h. It runs in a tracing instance of
 * its own; the CPUs are global to the tracer.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "doctor-trace.h"

static const char *tracefs(void)
{
	return access("/sys/kernel/tracing/available_tracers", R_OK) == 0 ? "/sys/kernel/tracing" :
									      "/sys/kernel/debug/tracing";
}

static int read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return -errno;
	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	text[n] = '\0';
	return 0;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int ret;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	ret = n == (ssize_t)strlen(text) ? 0 : n < 0 ? -errno : -EIO;
	close(fd);
	return ret;
}

static void add_noise(struct trace_result *r, const char *kind, const char *name, size_t len,
		      unsigned int cpu, uint64_t ns)
{
	struct trace_noise *n = NULL;
	char full[64];

	if (ns > 1000000000000ULL)
		ns = 1000000000000ULL; /* no noise is so long, and sums stay sums */
	snprintf(full, sizeof(full), "%s%s%.*s", kind, len ? " " : "", (int)(len > 48 ? 48 : len), name);
	for (unsigned int i = 0; i < r->noises && !n; i++)
		if (r->noise[i].cpu == cpu && !strcmp(r->noise[i].name, full))
			n = &r->noise[i];
	if (!n && r->noises == TRACE_NAMES) {
		r->lost++;
		return;
	}
	if (!n) {
		n = &r->noise[r->noises++];
		memset(n, 0, sizeof(*n));
		snprintf(n->name, sizeof(n->name), "%s", full);
		n->cpu = cpu;
	}
	n->count++;
	n->total_ns += ns;
	if (ns > n->max_ns)
		n->max_ns = ns;
}

/* "TASK-PID [CPU] flags TIME: REST" */
static const char *head(const char *line, unsigned int *cpu)
{
	const char *p = line, *rest;

	/* a task's name may have a bracket too: the CPU is in the last one before the time */
	rest = strstr(line, ": ");
	while ((p = strchr(p, '[')) && rest && p < rest) {
		char end;

		if (sscanf(p, "[%5u%c", cpu, &end) == 2 && end == ']' && *cpu < TRACE_CPUS)
			return rest + 2;
		p++;
	}
	return NULL;
}

bool trace_line(const char *line, struct trace_result *r)
{
	static const char *const kinds[] = { "irq", "softirq", "thread", "nmi" };
	unsigned long long ns;
	unsigned int cpu;
	const char *rest = head(line, &cpu), *p;

	if (!rest)
		return false;
	p = strstr(rest, "timer_latency");
	if (rest[0] == '#' && p && sscanf(p, "timer_latency %19llu ns", &ns) == 1) {
		bool irq = strstr(rest, " irq ") != NULL;
		uint64_t *most = irq ? &r->irq_ns[cpu] : &r->thread_ns[cpu];

		r->samples[cpu] += irq;
		if (ns > *most)
			*most = ns;
		return true;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i]);
		const char *start, *duration;

		if (strncmp(rest, kinds[i], len) || strncmp(rest + len, "_noise:", 7))
			continue;
		rest += len + 7;
		rest += strspn(rest, " ");
		start = strstr(rest, "start ");
		duration = strstr(rest, "duration ");
		if (!start || !duration || start > duration ||
		    sscanf(duration, "duration %19llu ns", &ns) != 1)
			return false;
		while (start > rest && start[-1] == ' ')
			start--;
		add_noise(r, kinds[i], rest, (size_t)(start - rest), cpu, ns);
		return true;
	}
	return false;
}

static void feed(char *buf, size_t *len, struct trace_result *r)
{
	char *line = buf, *end;

	while ((end = memchr(line, '\n', *len - (size_t)(line - buf)))) {
		*end = '\0';
		trace_line(line, r);
		line = end + 1;
	}
	*len -= (size_t)(line - buf);
	memmove(buf, line, *len);
}

static int collect(const char *instance, int seconds, const volatile sig_atomic_t *stop,
		   struct trace_result *r)
{
	static char buf[65536];
	struct timespec t;
	char path[256];
	size_t len = 0;
	time_t end;
	int fd;

	snprintf(path, sizeof(path), "%s/trace_pipe", instance);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	clock_gettime(CLOCK_MONOTONIC, &t);
	end = t.tv_sec + seconds;
	while (t.tv_sec < end && !*stop) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		poll(&p, 1, 200);
		while (!*stop && (n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0) {
			len += (size_t)n;
			feed(buf, &len, r);
			if (len == sizeof(buf) - 1)
				len = 0; /* no such line is so long */
			clock_gettime(CLOCK_MONOTONIC, &t);
			if (t.tv_sec >= end)
				break;
		}
		clock_gettime(CLOCK_MONOTONIC, &t);
	}
	close(fd);
	return 0;
}

/* Files of the instance end with it; only the instance itself and the CPUs are leased. */
static int trace(const char *instance, int seconds, const volatile sig_atomic_t *stop,
		 struct trace_result *r, char step[TRACE_STEP])
{
	char path[256];
	int ret;

	snprintf(path, sizeof(path), "%s/events/osnoise/enable", instance);
	(void)write_text(path, "1");
	snprintf(path, sizeof(path), "%s/current_tracer", instance);
	snprintf(step, TRACE_STEP, "%s", path);
	ret = write_text(path, "timerlat");
	return ret < 0 ? ret : collect(instance, seconds, stop, r);
}

static int give_back(struct rtkvm_lease *lease)
{
	struct rtkvm_report *report = NULL;
	const struct rtkvm_report_item *item = NULL;
	int ret = rtkvm_lease_release(lease, &report);

	while ((item = rtkvm_report_next(report, item)))
		if (rtkvm_report_item_problem(item))
			fprintf(stderr, "rtkvm: %s: %s\n", rtkvm_report_item_feature(item),
				rtkvm_report_item_reason(item));
	rtkvm_report_free(report);
	return ret;
}

int trace_run(struct rtkvm *rt, int seconds, const char *cpus, const volatile sig_atomic_t *stop,
	      struct trace_result *r, char step[TRACE_STEP])
{
	unsigned int number = (unsigned int)getpid() & 0x3fffff;
	const char *top = tracefs();
	char text[1024], instance[128];
	struct rtkvm_lease *lease;
	int ret, given;

	snprintf(step, TRACE_STEP, "%s/available_tracers", top);
	if (read_text(step, text, sizeof(text)) < 0 || !strstr(text, "timerlat"))
		return -ENOSYS;
	snprintf(instance, sizeof(instance), "%s/instances/rtkvm-%u", top, number);
	ret = rtkvm_lease_new(rt, "doctor-measure", &lease);
	if (ret < 0) {
		snprintf(step, TRACE_STEP, "%.255s", rtkvm_last_error());
		return ret;
	}
	if (cpus && cpus[0])
		ret = rtkvm_lease_set_knob(lease, RTKVM_KNOB_OSNOISE_CPUS, 0, cpus);
	if (ret == 0)
		ret = rtkvm_lease_set_knob(lease, RTKVM_KNOB_TRACE_INSTANCE, number, "1");
	if (ret < 0)
		snprintf(step, TRACE_STEP, "%.255s", rtkvm_last_error());
	else
		ret = trace(instance, seconds, stop, r, step);
	given = give_back(lease);
	if (given < 0)
		fprintf(stderr, "rtkvm: %s; run rtkvm restore\n", rtkvm_last_error());
	return ret;
}
