/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame of benchmarks; see bench.h. No benchmark is here.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

/* Blocks of four runs each: A B B A, then B A A B. Odd, for a median. */
#define BLOCKS 25
#define DEFAULT_MS 1000
#define MAX_MS 10000

struct result {
	double ours, peer, ratio; /* medians; ns, ns, ours / peer */
	double low, high;         /* the middle half of the ratios */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Nanoseconds for so many times. */
static double measure(bench_fn *fn, void *arg, uint64_t times)
{
	uint64_t start = now_ns();

	fn(arg, times);
	return (double)(now_ns() - start);
}

/* So many times as fill about ns nanoseconds; the doubling warms caches up as well. */
static uint64_t times_for(bench_fn *fn, void *arg, double ns)
{
	uint64_t times = 1;
	double took;

	for (;;) {
		took = measure(fn, arg, times);
		if (took >= ns / 4 || times >= UINT64_C(1) << 40)
			break;
		times *= 2;
	}
	times = (uint64_t)((double)times * ns / (took > 1 ? took : 1));
	return times ? times : 1;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* One block: both twice, in an order that takes a steady drift out. */
static void block(const struct bench *b, const uint64_t times[2], int odd, double per_time[2])
{
	bench_fn *const fn[2] = { b->ours, b->peer };
	const int order[4] = { odd, !odd, !odd, odd };

	per_time[0] = per_time[1] = 0;
	for (int i = 0; i < 4; i++) {
		int who = order[i];

		per_time[who] += measure(fn[who], b->arg, times[who]) / (2 * (double)times[who]);
	}
}

static void run(const struct bench *b, double ms, struct result *result)
{
	double ours[BLOCKS], peer[BLOCKS], ratio[BLOCKS], slice = ms * 1e6 / (4 * BLOCKS);
	const uint64_t times[2] = { times_for(b->ours, b->arg, slice),
				    times_for(b->peer, b->arg, slice) };

	for (int i = 0; i < BLOCKS; i++) {
		double per_time[2];

		block(b, times, i & 1, per_time);
		ours[i] = per_time[0];
		peer[i] = per_time[1];
		ratio[i] = per_time[0] / (per_time[1] > 0 ? per_time[1] : 1e-9);
	}
	qsort(ours, BLOCKS, sizeof(double), by_value);
	qsort(peer, BLOCKS, sizeof(double), by_value);
	qsort(ratio, BLOCKS, sizeof(double), by_value);
	result->ours = ours[BLOCKS / 2];
	result->peer = peer[BLOCKS / 2];
	result->ratio = ratio[BLOCKS / 2];
	result->low = ratio[BLOCKS / 4];
	result->high = ratio[BLOCKS - 1 - BLOCKS / 4];
}

static double milliseconds(void)
{
	const char *text = getenv("BENCH_MILLISECONDS");
	double ms = text ? atof(text) : DEFAULT_MS;

	return ms >= 1 && ms <= MAX_MS ? ms : DEFAULT_MS;
}

/* The last CPU this thread may use: the first one has most of the machine's interrupts. */
static int pin(cpu_set_t *before)
{
	cpu_set_t one;
	int cpu = CPU_SETSIZE - 1;

	if (sched_getaffinity(0, sizeof(*before), before) < 0)
		return -1;
	while (cpu >= 0 && !CPU_ISSET(cpu, before))
		cpu--;
	CPU_ZERO(&one);
	if (cpu >= 0)
		CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one);
}

int bench_run(const struct bench *b)
{
	struct result r;
	cpu_set_t before;

	if (pin(&before) < 0) {
		fprintf(stderr, "%s: cannot stay on one CPU: %s\n", b->name, strerror(errno));
		return -1;
	}
	run(b, milliseconds(), &r);
	if (sched_setaffinity(0, sizeof(before), &before) < 0) {
		fprintf(stderr, "%s: cannot restore the affinity: %s\n", b->name, strerror(errno));
		return -1;
	}
	fprintf(stderr, "%s: half of the ratios are within %.3g and %.3g\n", b->name, r.low,
		r.high);
	printf("{\"name\":\"%s\",\"unit\":\"ns\",\"ours\":%.2f,\"peer\":%.2f,\"peer_name\":\"%s\","
	       "\"ratio\":%.3f}\n", b->name, r.ours, r.peer, b->peer_name, r.ratio);
	return fflush(stdout) ? -1 : 0;
}
