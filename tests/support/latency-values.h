/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Made-up latencies over the whole range of the recorder, from a seed. The
 * same series made the reference files that other programs wrote.
 */
#ifndef RTKVM_TEST_LATENCY_VALUES_H
#define RTKVM_TEST_LATENCY_VALUES_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <rtkvm/latency.h>

/* 0 .. RTKVM_LATENCY_MAX_NS, all orders of magnitude alike. */
static inline uint64_t latency_value(uint64_t *x)
{
	uint64_t v;

	*x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	v = *x >> (31 + (*x >> 59));
	return v > RTKVM_LATENCY_MAX_NS ? RTKVM_LATENCY_MAX_NS : v;
}

/* A seed of the clock, printed so that a failure can be repeated. */
static inline uint64_t random_seed(void)
{
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = (uint64_t)now.tv_sec * 1000000007 + (uint64_t)now.tv_nsec;
	printf("# seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

#endif
