/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm doctor --measure: how late a timer wakes a real-time thread on the
 * real-time CPUs, and who was seen to interfere. By the kernel's timerlat
 * tracer, which names it; else by threads of our own, and by what the CPU's
 * counters of interrupts and its threads' times say.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "doctor-counters.h"
#include "doctor-trace.h"
#include "doctor.h"

#define MAX_CPUS 64
#define PERIOD_NS 1000000L

/* Longer than this is worth a warning, us. */
#define LONG_US 100

/* What ended it early, or 0. */
static volatile sig_atomic_t interrupted;

struct loop {
	pthread_t thread;
	unsigned int cpu;
	int seconds;
	struct rtkvm_latency *latency;
	bool pinned, realtime;
};

static void *loop(void *arg)
{
	struct sched_param priority = { .sched_priority = 95 };
	struct loop *l = arg;
	struct timespec next, now;
	cpu_set_t *set = CPU_ALLOC(l->cpu + 1);
	long long end;

	if (set) {
		CPU_ZERO_S(CPU_ALLOC_SIZE(l->cpu + 1), set);
		CPU_SET_S(l->cpu, CPU_ALLOC_SIZE(l->cpu + 1), set);
		l->pinned = pthread_setaffinity_np(pthread_self(), CPU_ALLOC_SIZE(l->cpu + 1), set) == 0;
		CPU_FREE(set);
	}
	l->realtime = pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) == 0;
	clock_gettime(CLOCK_MONOTONIC, &next);
	end = (next.tv_sec + l->seconds) * 1000000000LL + next.tv_nsec;
	while (l->pinned && !interrupted) {
		long long late;

		next.tv_nsec += PERIOD_NS;
		if (next.tv_nsec >= 1000000000L) {
			next.tv_nsec -= 1000000000L;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
		late = (now.tv_sec - next.tv_sec) * 1000000000LL + now.tv_nsec - next.tv_nsec;
		rtkvm_latency_record(l->latency, late > 0 ? (uint64_t)late : 0);
		if (now.tv_sec * 1000000000LL + now.tv_nsec >= end)
			break;
		if (late > PERIOD_NS)
			next = now; /* those that were missed are one latency, not many */
	}
	return NULL;
}

/* "0,2-3", or the CPUs of this process. */
static unsigned int parse_cpus(const char *cpus, struct loop *loops)
{
	unsigned int n = 0;
	cpu_set_t own;

	if (!cpus || !cpus[0]) {
		CPU_ZERO(&own);
		sched_getaffinity(0, sizeof(own), &own);
		for (unsigned int c = 0; c < CPU_SETSIZE && n < MAX_CPUS; c++)
			if (CPU_ISSET(c, &own))
				loops[n++].cpu = c;
		return n;
	}
	for (const char *p = cpus; *p && n < MAX_CPUS;) {
		char *end;
		unsigned long first = strtoul(p, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long c = first; c <= last && n < MAX_CPUS; c++)
			loops[n++].cpu = (unsigned int)c;
		p = *end == ',' ? end + 1 : "";
	}
	return n;
}

static int by_loop(struct rtkvm *rt, int seconds, const char *cpus, FILE *f)
{
	static struct loop loops[MAX_CPUS];
	struct counters *before = counters_read(), *after;
	unsigned int n = parse_cpus(cpus, loops), started = 0;
	int status = CMD_OK;

	for (; started < n; started++) {
		loops[started].seconds = seconds;
		if (rtkvm_latency_new(rt, "wake-up", &loops[started].latency) < 0) {
			status = cmd_fail();
			break;
		}
		if (pthread_create(&loops[started].thread, NULL, loop, &loops[started])) {
			perror("rtkvm: thread");
			rtkvm_latency_free(loops[started].latency);
			status = CMD_ERROR;
			break;
		}
	}
	for (unsigned int i = 0; i < started; i++)
		pthread_join(loops[i].thread, NULL);
	after = counters_read();
	fprintf(f, "\nWake-ups of a thread each 1 ms for %d s%s\n", seconds,
		started && !loops[0].realtime ? " (not real-time: no CAP_SYS_NICE or rtprio limit)" : "");
	for (unsigned int i = 0; i < started; i++) {
		struct rtkvm_latency_summary s = { .size = sizeof(s) };

		rtkvm_latency_get_summary(loops[i].latency, &s);
		if (!loops[i].pinned) {
			fprintf(f, "  CPU %-3u this process may not run there\n", loops[i].cpu);
		} else {
			fprintf(f, "  CPU %-3u %llu wake-ups, late by p50 %.1f us, p99 %.1f us, at most "
				"%.1f us\n", loops[i].cpu, (unsigned long long)s.count,
				(double)s.p50_ns / 1000,
				(double)s.p99_ns / 1000,
				(double)s.max_ns / 1000);
			counters_print(before, after, loops[i].cpu, f);
			if (s.max_ns > LONG_US * 1000 && status == CMD_OK)
				status = CMD_ATTENTION;
		}
		rtkvm_latency_free(loops[i].latency);
	}
	counters_free(before);
	counters_free(after);
	return status;
}

static int longest_first(const void *a, const void *b)
{
	const struct trace_noise *x = a, *y = b;

	return (x->total_ns < y->total_ns) - (x->total_ns > y->total_ns);
}

static int print_trace(int seconds, struct trace_result *r, FILE *f)
{
	int status = CMD_OK;

	fprintf(f, "\nTimer latency for %d s, by the kernel's timerlat tracer\n", seconds);
	qsort(r->noise, r->noises, sizeof(r->noise[0]), longest_first);
	for (unsigned int cpu = 0; cpu < TRACE_CPUS; cpu++) {
		if (!r->samples[cpu])
			continue;
		fprintf(f, "  CPU %-3u %u timers, at most %.1f us late in the interrupt, %.1f us in the "
			"thread\n", cpu, r->samples[cpu], (double)r->irq_ns[cpu] / 1000,
			(double)r->thread_ns[cpu] / 1000);
		for (unsigned int i = 0, shown = 0; i < r->noises && shown < 5; i++) {
			if (r->noise[i].cpu != cpu)
				continue;
			fprintf(f, "          %s: %u times, %.1f us in all, at most %.1f us\n",
				r->noise[i].name, r->noise[i].count, (double)r->noise[i].total_ns / 1000,
				(double)r->noise[i].max_ns / 1000);
			shown++;
		}
		if (r->thread_ns[cpu] > LONG_US * 1000)
			status = CMD_ATTENTION;
	}
	return status;
}

static int measure(struct rtkvm *rt, int seconds, const char *cpus, FILE *f)
{
	static struct trace_result result;
	char step[TRACE_STEP] = "";
	int ret = trace_run(rt, seconds, cpus, &interrupted, &result, step);

	if (ret == 0)
		return print_trace(seconds, &result, f);
	if (ret == -ENOSYS)
		fprintf(f, "\nno timerlat tracer here (%s); by threads of its own\n", step);
	else
		fprintf(f, "\n%s: %s; by threads of its own\n", step, strerror(-ret));
	fflush(f);
	return by_loop(rt, seconds, cpus, f);
}

static void interrupt(int sig)
{
	interrupted = sig;
}

int doctor_measure(struct rtkvm *rt, int seconds, const char *cpus, FILE *f)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction act = { .sa_handler = interrupt }, before[4];
	int status;

	/* what is to be ignored (nohup, a shell's background) stays so */
	for (int i = 0; i < 4; i++)
		if (sigaction(signals[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &act, NULL);
	status = measure(rt, seconds, cpus, f);
	for (int i = 0; i < 4; i++)
		sigaction(signals[i], &before[i], NULL);
	if (interrupted) {
		fprintf(f, "interrupted: these are the values up to then\n");
		fflush(f);
		raise((int)interrupted);
	}
	return status;
}
