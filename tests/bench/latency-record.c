/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cost of recording a latency: against the array of microseconds that
 * cyclictest keeps (one comparison and one increment, nothing below a
 * microsecond or above the array's end); against reading the clock, without
 * which there is nothing to record; and against keeping the value to sort all
 * of them later.
 */
#include <stdio.h>
#include <time.h>

#include <rtkvm/context.h>
#include <rtkvm/latency.h>

#include "bench.h"

#define VALUES 65536
#define BUCKETS 10000

struct values {
	struct rtkvm_latency *latency;
	uint64_t value[VALUES];
	/* the peers' memory */
	uint64_t bucket[BUCKETS];
	uint64_t count, overflows, sum, min, max;
	uint64_t kept[VALUES];
};

static void record(void *arg, uint64_t times)
{
	struct values *v = arg;

	for (uint64_t i = 0; i < times; i++)
		rtkvm_latency_record(v->latency, v->value[i % VALUES]);
}

/* Called, as the library is: else the compiler would turn the loop inside out. */
__attribute__((noinline)) static void array_record(struct values *v, uint64_t ns)
{
	uint64_t us = ns / 1000;

	if (ns < v->min)
		v->min = ns;
	if (ns > v->max)
		v->max = ns;
	v->sum += ns;
	v->count++;
	if (us >= BUCKETS)
		v->overflows++;
	else
		v->bucket[us]++;
}

static void array(void *arg, uint64_t times)
{
	struct values *v = arg;

	for (uint64_t i = 0; i < times; i++)
		array_record(v, v->value[i % VALUES]);
}

static void read_clock(void *arg, uint64_t times)
{
	struct timespec now;

	(void)arg;
	for (uint64_t i = 0; i < times; i++)
		clock_gettime(CLOCK_MONOTONIC, &now);
}

__attribute__((noinline)) static void keep_one(struct values *v, uint64_t ns)
{
	v->kept[v->count++ % VALUES] = ns;
}

static void keep(void *arg, uint64_t times)
{
	struct values *v = arg;

	for (uint64_t i = 0; i < times; i++)
		keep_one(v, v->value[i % VALUES]);
}

/* Like latencies: most near 10 us, one of a hundred up to 4 ms. The same every time. */
static void make_values(struct values *v)
{
	uint64_t x = 1;

	for (size_t i = 0; i < VALUES; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		v->value[i] = 5000 + (x >> 33) % 10000;
		if ((x >> 20) % 100 == 0)
			v->value[i] <<= (x >> 50) % 9;
	}
}

int main(void)
{
	static struct values v = { .min = UINT64_MAX };
	const struct bench benches[] = {
		{ "latency-record", "array of microseconds", record, array, &v },
		{ "latency-record", "clock_gettime", record, read_clock, &v },
		{ "latency-record", "array of values", record, keep, &v },
		/* what the frame makes of no difference at all */
		{ "latency-record", "itself", record, record, &v },
	};

	make_values(&v);
	if (rtkvm_latency_new(NULL, "bench", &v.latency) < 0) {
		fprintf(stderr, "%s\n", rtkvm_last_error());
		return 1;
	}
	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		if (bench_run(&benches[i]) < 0)
			return 1;
	rtkvm_latency_free(v.latency);
	return 0;
}
