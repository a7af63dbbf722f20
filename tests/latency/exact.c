/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A million random latencies, recorded and kept: every percentile, in steps of
 * a thousandth, against the sorted values. Prints the worst error; fails when
 * one is below the true value or 0.1 % above it, or a figure that is exact by
 * contract is not.
 *
 *   exact [SEED]
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <rtkvm/context.h>
#include <rtkvm/latency.h>

#include "support/latency-values.h"

#define VALUES 1000000
#define STEPS 100000

static uint64_t values[VALUES];

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void fill(struct rtkvm_latency *latency, uint64_t seed)
{
	for (size_t i = 0; i < VALUES; i++) {
		values[i] = latency_value(&seed);
		rtkvm_latency_record(latency, values[i]);
		if (!values[i])
			values[i] = 1;
	}
	qsort(values, VALUES, sizeof(values[0]), compare);
}

/* The worst error of a percentile, relative; negative when one was below the true value. */
static double worst_error(const struct rtkvm_latency *latency)
{
	double worst = 0;

	for (uint64_t i = 1; i <= STEPS; i++) {
		uint64_t rank = i * VALUES / STEPS, right = values[rank - 1];
		uint64_t got = rtkvm_latency_percentile(latency, (double)i * 100 / STEPS);
		double error = ((double)got - (double)right) / (double)right;

		if (got < right) {
			printf("p%g is %llu, true is %llu\n", (double)i * 100 / STEPS,
			       (unsigned long long)got, (unsigned long long)right);
			return -1;
		}
		worst = error > worst ? error : worst;
	}
	return worst;
}

static bool figures_are_exact(const struct rtkvm_latency *latency)
{
	struct rtkvm_latency_summary s = { .size = sizeof(s) };
	uint64_t sum = 0;

	for (size_t i = 0; i < VALUES; i++)
		sum += values[i];
	return rtkvm_latency_get_summary(latency, &s) == 0 && s.count == VALUES &&
	       s.min_ns == values[0] && s.max_ns == values[VALUES - 1] &&
	       s.avg_ns == (double)sum / VALUES;
}

int main(int argc, char **argv)
{
	struct rtkvm_latency *latency;
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : random_seed();
	double worst;
	bool exact;

	if (rtkvm_latency_new(NULL, NULL, &latency) < 0) {
		printf("%s\n", rtkvm_last_error());
		return 1;
	}
	fill(latency, seed);
	worst = worst_error(latency);
	exact = figures_are_exact(latency);
	rtkvm_latency_free(latency);
	printf("seed %llu: count, minimum, maximum, mean %s\n", (unsigned long long)seed,
	       exact ? "exact" : "NOT exact");
	printf("worst percentile error %.4f %%\n", worst * 100);
	return exact && worst >= 0 && worst < 0.001 ? 0 : 1;
}
