/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What reaches a program that runs on one CPU: interrupts from /proc/interrupts
 * and from the tracepoints of the interrupt vectors, switches to any other
 * thread from the scheduler's. A thread is the tick's only if the trace shows that the
 * handler of the tick itself woke it, and a timer interrupt only if the
 * tick was all that expired in it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lease-host.h"

#define IRQS 512
#define NAMES 64
#define TRACING "/sys/kernel/tracing/"

static const char *const events[] = {
	"sched/sched_switch", "sched/sched_waking",	 "timer/hrtimer_expire_entry",
	"timer/hrtimer_expire_exit", "timer/timer_expire_entry", "irq/softirq_raise",
	"irq/irq_handler_entry", "irq_vectors", "workqueue/workqueue_execute_start",
};

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
		line += strspn(line, " ");
		snprintf(c->name[c->n], 64, "%.*s", (int)(end - line), line);
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

static void spin(double seconds)
{
	double begin = now();

	while (now() - begin < seconds)
		;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# %s: cannot write \"%s\"\n", path, text);
	if (fd >= 0)
		close(fd);
}

void trace_start(unsigned int cpu)
{
	char mask[16], path[96];

	put(TRACING "tracing_on", "0");
	snprintf(mask, sizeof(mask), "%x", 1U << cpu);
	put(TRACING "tracing_cpumask", mask);
	put(TRACING "buffer_size_kb", "8192");
	put(TRACING "trace", "");
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		snprintf(path, sizeof(path), TRACING "events/%s/enable", events[i]);
		put(path, "1");
	}
	put(TRACING "tracing_on", "1");
}

void trace_stop(void)
{
	put(TRACING "tracing_on", "0");
	put(TRACING "events/enable", "0");
}

/* How often something of each name came. */
struct tally {
	struct {
		char name[48];
		bool tick;
		unsigned int count;
	} of[NAMES];
	int n;
};

static void tally_add(struct tally *t, const char *name, size_t len, bool tick)
{
	int i = 0;

	while (i < t->n && (t->of[i].tick != tick || strncmp(t->of[i].name, name, len) != 0 ||
			    t->of[i].name[len]))
		i++;
	if (i == NAMES)
		return;
	if (i == t->n)
		snprintf(t->of[t->n++].name, sizeof(t->of[0].name), "%.*s",
			 (int)(len > 47 ? 47 : len), name);
	t->of[i].tick = tick;
	t->of[i].count++;
}

static void tally_print(const struct tally *t, char *out, size_t size)
{
	out[0] = '\0';
	for (int i = 0; i < t->n; i++) {
		size_t len = strlen(out);

		snprintf(out + len, size - len, " %s:%u%s", t->of[i].name, t->of[i].count,
			 t->of[i].tick ? "(tick)" : "");
	}
}

/* The trace of one CPU, line after line. */
struct reader {
	bool inside;      /* the window */
	bool in_tick;     /* the tick's handler runs */
	bool in_timer;    /* the timer's interrupt */
	bool other_timer; /* something other than the tick has expired in it */
	int tick_woke[NAMES];
	int woke;
	int me;
	struct tally switches, causes;
	unsigned int interrupts, ticks, tick_switches, other_switches, timer_interrupts;
	bool lost;
};

static size_t word(const char *p)
{
	return strcspn(p, " \n");
}

static const char *field(const char *line, const char *name)
{
	const char *p = strstr(line, name);

	return p ? p + strlen(name) : NULL;
}

static void on_waking(struct reader *r, const char *line)
{
	const char *comm = field(line, "comm="), *pid = field(line, " pid=");
	bool tick = r->in_tick;

	if (!pid || !comm)
		return;
	/* what they run is not the tick, even if it raised it */
	if (!strncmp(comm, "ksoftirqd/", 10) || !strncmp(comm, "ktimers/", 8))
		tick = false;
	for (int i = 0; i < r->woke; i++)
		if (r->tick_woke[i] == atoi(pid))
			r->tick_woke[i] = 0;
	for (int i = 0; tick && i < NAMES; i++)
		if (i == r->woke || !r->tick_woke[i]) {
			r->tick_woke[i] = atoi(pid);
			r->woke += i == r->woke;
			break;
		}
}

static void on_switch(struct reader *r, const char *line)
{
	const char *next = field(line, "next_comm="), *pid = field(line, "next_pid=");
	bool tick = false;

	if (!next || !pid || atoi(pid) == r->me)
		return;
	for (int i = 0; i < r->woke; i++)
		if (r->tick_woke[i] == atoi(pid)) {
			tick = true;
			r->tick_woke[i] = 0;
		}
	if (tick)
		r->tick_switches++;
	else
		r->other_switches++;
	tally_add(&r->switches, next, (size_t)(strstr(next, " next_pid=") - next), tick);
}

static void on_event(struct reader *r, const char *line, const char *event)
{
	const char *function = field(line, "function="), *action = field(line, "action=");
	size_t len = strcspn(event, ":");

	if (!strncmp(event, "sched_waking:", 13)) {
		on_waking(r, line);
	} else if (!strncmp(event, "sched_switch:", 13)) {
		on_switch(r, line);
	} else if (!strncmp(event, "local_timer_entry:", 18)) {
		r->in_timer = true;
		r->other_timer = false;
		r->timer_interrupts++;
	} else if (!strncmp(event, "local_timer_exit:", 17)) {
		r->in_timer = false;
		if (r->other_timer)
			r->interrupts++;
		else
			r->ticks++;
	} else if (!strncmp(event, "hrtimer_expire_entry:", 21)) {
		r->in_tick = function && !strncmp(function, "tick_", 5);
		if (r->in_timer && !r->in_tick)
			r->other_timer = true;
		if (!r->in_tick && function)
			tally_add(&r->causes, function, word(function), false);
	} else if (!strncmp(event, "hrtimer_expire_exit:", 20)) {
		r->in_tick = false;
	} else if (!strncmp(event, "timer_expire_entry:", 19) && function) {
		tally_add(&r->causes, function, word(function), false);
	} else if (!strncmp(event, "softirq_raise:", 14) && action) {
		tally_add(&r->causes, action, strcspn(action, "]"), r->in_tick);
	} else if (!strncmp(event, "workqueue_execute_start:", 24)) {
		function = field(line, "function ");
		tally_add(&r->causes, function ? function : "work", function ? word(function) : 4,
			  false);
	} else if (!strncmp(event, "irq_handler_entry:", 18)) {
		r->interrupts++;
		tally_add(&r->causes, event, len, false);
	} else if (len > 6 && !strncmp(event + len - 6, "_entry", 6)) {
		r->interrupts++; /* of another vector */
		tally_add(&r->causes, event, len, false);
	}
}

static void read_line(struct reader *r, const char *line)
{
	/* task-pid [cpu] flags time: event: ... */
	const char *event = strstr(line, "] ");

	if (strstr(line, "LOST"))
		r->lost = true;
	event = event ? strstr(event, ": ") : NULL;
	if (!event)
		return;
	event += 2;
	if (!strncmp(event, "tracing_mark_write:", 19))
		r->inside = strstr(event, "begin") != NULL;
	else if (r->inside)
		on_event(r, line, event);
}

static void read_trace(unsigned int cpu, struct disturbance *d)
{
	static struct reader r;
	char path[96], line[1024];
	FILE *f;

	memset(&r, 0, sizeof(r));
	snprintf(path, sizeof(path), TRACING "per_cpu/cpu%u/trace", cpu);
	r.me = (int)getpid();
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		read_line(&r, line);
	if (f)
		fclose(f);
	d->traced = f && !r.lost && !r.inside; /* to its end */
	d->tick = r.ticks / d->seconds;
	d->tick_threads = r.tick_switches / d->seconds;
	d->switches = r.other_switches / d->seconds;
	d->interrupts = r.interrupts / d->seconds;
	d->traced_interrupts = (r.ticks + r.interrupts) / d->seconds;
	tally_print(&r.switches, d->whom, sizeof(d->whom));
	tally_print(&r.causes, d->causes, sizeof(d->causes));
}

/* The same from the kernel's own counts, for comparison. */
static void count_interrupts(const struct counts *before, const struct counts *after,
			     struct disturbance *d)
{
	double worst = 0;

	for (int i = 0; i < after->n; i++) {
		double rate = (after->count[i] - count_of(before, after->name[i])) / d->seconds;

		d->proc_interrupts += rate;
		if (rate > worst && strcmp(after->name[i], "LOC") != 0) {
			worst = rate;
			snprintf(d->worst, sizeof(d->worst), "%s", after->name[i]);
		}
	}
}

void disturbance_measure(unsigned int cpu, double seconds, struct disturbance *d)
{
	static struct counts before, after;
	int marker = open(TRACING "trace_marker", O_WRONLY | O_CLOEXEC);
	double begin;

	memset(d, 0, sizeof(*d));
	/* reading the counts disturbs the CPU itself: as little as possible of it is counted */
	trace_start(cpu);
	take(cpu, &before);
	spin(1); /* what starting the trace has asked of this CPU is done then */
	take(cpu, &before);
	if (write(marker, "begin", 5) != 5)
		printf("# cannot mark the trace\n");
	begin = now();
	spin(seconds);
	d->seconds = now() - begin;
	if (write(marker, "end", 3) != 3)
		printf("# cannot mark the trace\n");
	take(cpu, &after);
	trace_stop();
	close(marker);
	read_trace(cpu, d);
	count_interrupts(&before, &after, d);
}

/* Everything that the trace has of a CPU on which nothing may run. */
unsigned int trace_events(unsigned int cpu)
{
	char path[96], line[1024];
	unsigned int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), TRACING "per_cpu/cpu%u/trace", cpu);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		n += line[0] != '#';
	if (f)
		fclose(f);
	return n;
}
