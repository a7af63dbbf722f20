/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cost of recording a latency, against the array of microseconds that
 * cyclictest keeps: one comparison and one increment, without figures below a
 * microsecond and above the array's end.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <rtkvm/latency.h>

#define VALUES 65536
#define PASSES 16
#define ROUNDS 31
#define BUCKETS 10000

struct array {
	uint64_t bucket[BUCKETS];
	uint64_t count, overflows, sum, min, max;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* As the histogram of cyclictest does it; not inlined, like a library's function. */
__attribute__((noinline)) static void array_record(struct array *a, uint64_t ns)
{
	uint64_t us = ns / 1000;

	if (ns < a->min)
		a->min = ns;
	if (ns > a->max)
		a->max = ns;
	a->sum += ns;
	a->count++;
	if (us >= BUCKETS)
		a->overflows++;
	else
		a->bucket[us]++;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof(v[0]), by_value);
	return v[ROUNDS / 2];
}

/* Spread like latencies: most near 10 us, a tail up to some ms. */
static void make_values(uint64_t *values, uint64_t seed)
{
	for (size_t i = 0; i < VALUES; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		values[i] = 5000 + ((seed >> 33) % 10000);
		if ((seed >> 20) % 100 == 0)
			values[i] <<= (seed >> 50) % 9;
	}
}

int main(void)
{
	static uint64_t values[VALUES];
	static struct array array = { .min = UINT64_MAX };
	double ours[ROUNDS], peer[ROUNDS], a, b;
	struct rtkvm_latency *latency;
	uint64_t seed = now_ns(), t0, t1, t2;

	fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
	make_values(values, seed);
	if (rtkvm_latency_new(NULL, "bench", &latency) < 0) {
		fprintf(stderr, "%s\n", rtkvm_last_error());
		return 1;
	}
	for (int r = 0; r < ROUNDS; r++) {
		t0 = now_ns();
		for (size_t i = 0; i < (size_t)VALUES * PASSES; i++)
			rtkvm_latency_record(latency, values[i % VALUES]);
		t1 = now_ns();
		for (size_t i = 0; i < (size_t)VALUES * PASSES; i++)
			array_record(&array, values[i % VALUES]);
		t2 = now_ns();
		ours[r] = (double)(t1 - t0) / ((double)VALUES * PASSES);
		peer[r] = (double)(t2 - t1) / ((double)VALUES * PASSES);
	}
	if (array.count != (uint64_t)VALUES * PASSES * ROUNDS)
		return 1;
	rtkvm_latency_free(latency);
	a = median(ours);
	b = median(peer);
	printf("{\"name\":\"latency-record\",\"unit\":\"ns\",\"ours\":%.2f,\"peer\":%.2f,"
	       "\"peer_name\":\"array of microseconds\",\"ratio\":%.2f}\n",
	       a, b, a / b);
	return 0;
}
