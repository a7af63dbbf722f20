/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame of benchmarks. A benchmark is one file: it says what to run and
 * against which peer, and calls bench_run() once per figure. The frame measures
 * on one CPU, the two by turns (ABBA), so that what changes on the machine
 * meanwhile meets both alike.
 */
#ifndef RTKVM_TEST_BENCH_H
#define RTKVM_TEST_BENCH_H

#include <stdint.h>

/* Do the thing so many times. */
typedef void bench_fn(void *arg, uint64_t times);

struct bench {
	const char *name;
	const char *peer_name;
	bench_fn *ours;
	bench_fn *peer;
	void *arg;
};

/*
 * Measure and print a JSON line on standard output, and the spread on standard
 * error. Takes about a second (BENCH_MILLISECONDS says otherwise). The calling
 * thread's affinity is as before when it returns. 0, or -1 after a message.
 */
int bench_run(const struct bench *bench);

#endif
