/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Benchmarks of nothing, by which the frame is tested: nothing against nothing,
 * and against a hundredth of it. Says on standard error whether both sides had
 * their turns, on one CPU, and whether the affinity is as before afterwards.
 */
#include <sched.h>
#include <stdio.h>

#include "bench.h"

struct calls {
	unsigned int ours, peer, elsewhere;
};

static void note_cpus(struct calls *calls)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) != 1)
		calls->elsewhere++;
}

static void spin(uint64_t times)
{
	for (uint64_t i = 0; i < times; i++)
		__asm__ volatile("");
}

static void ours(void *arg, uint64_t times)
{
	struct calls *calls = arg;

	calls->ours++;
	note_cpus(calls);
	spin(times);
}

static void peer(void *arg, uint64_t times)
{
	struct calls *calls = arg;

	calls->peer++;
	note_cpus(calls);
	spin(times);
}

static void hundredfold(void *arg, uint64_t times)
{
	ours(arg, times * 100);
}

int main(void)
{
	struct calls calls = { .ours = 0 };
	const struct bench bench = { "frame", "nothing", ours, peer, &calls };
	const struct bench slow = { "hundredfold", "nothing", hundredfold, peer, &calls };
	cpu_set_t before, after;

	if (sched_getaffinity(0, sizeof(before), &before) < 0 || bench_run(&bench) < 0 ||
	    bench_run(&slow) < 0 ||
	    sched_getaffinity(0, sizeof(after), &after) < 0)
		return 1;
	fprintf(stderr, "turns: %s\n", calls.ours > 50 && calls.peer > 50 ? "yes" : "no");
	fprintf(stderr, "one CPU: %s\n", calls.elsewhere ? "no" : "yes");
	fprintf(stderr, "affinity restored: %s\n", CPU_EQUAL(&before, &after) ? "yes" : "no");
	return 0;
}
