/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * HdrHistogram's percentile distribution (.hgrm), microseconds, as its Java
 * library writes it by outputPercentileDistribution(stream, 5, 1000.0) for a
 * histogram of 1 .. 10^10 with 3 digits: the same lines, byte for byte. So
 * values here are upper bounds of buckets and the mean comes from buckets, as
 * there; the exact minimum, maximum and mean are in the other formats.
 */
#include <string.h>

#include "output.h"

#define TICKS_PER_HALF_DISTANCE 5
#define NS_PER_US 1000.0

/* floor(log2(x)) of x >= 1 */
static unsigned int exponent_of(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return (unsigned int)(bits >> 52) - 1023;
}

/*
 * Java rounds a half up, and takes 0.2035 for one although the double of that
 * name is a little less. printf(3) of the next double does the same.
 */
static double half_up(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	bits += x > 0;
	memcpy(&x, &bits, sizeof(bits));
	return x;
}

/*
 * Steps are halved whenever half of the way to 100 % is behind, until they
 * would vanish in twelve decimals (that takes more than 10^13 values).
 */
static double next_level(double level)
{
	unsigned int halvings = exponent_of(100.0 / (100.0 - level)) + 1;

	level += 100.0 / (double)((uint64_t)TICKS_PER_HALF_DISTANCE << halvings);
	return 100.0 - level < 1e-11 ? 100.0 : level;
}

static void write_levels(struct latency_output *out, const struct rtkvm_latency *latency,
			 uint64_t total)
{
	double level = 0;
	uint64_t seen = 0;

	for (unsigned int i = 0; i < LATENCY_BUCKETS && seen < total; i++) {
		double value = (double)latency_bucket_high(i) / NS_PER_US;

		if (!latency->buckets[i])
			continue;
		seen += latency->buckets[i];
		/* a bucket may reach several levels; the last bucket reaches one and then 100 % */
		while (level < 100 && 100.0 * (double)seen / (double)total >= level) {
			latency_print(out, "%12.3f %2.12f %10llu %14.2f\n", value,
				      half_up(level / 100), (unsigned long long)seen,
				      1 / (1 - level / 100));
			level = next_level(level);
			if (seen == total)
				break;
		}
		if (seen == total)
			latency_print(out, "%12.3f %2.12f %10llu\n", value, 1.0,
				      (unsigned long long)seen);
	}
}

void latency_write_hgrm(struct latency_output *out, const struct rtkvm_latency *latency)
{
	uint64_t total = latency->figures.count, max = latency->figures.max;
	double mean = 0, deviation = 0;

	latency_print(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
		      "1/(1-Percentile)");
	if (max > RTKVM_LATENCY_MAX_NS)
		max = RTKVM_LATENCY_MAX_NS;
	if (total) {
		write_levels(out, latency, total);
		mean = latency_bucket_mean(latency);
		deviation = latency_deviation(latency);
		max = latency_bucket_high(latency_bucket(max));
	}
	latency_print(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n",
		      half_up(mean / NS_PER_US), half_up(deviation / NS_PER_US));
	latency_print(out, "#[Max     = %12.3f, Total count    = %12llu]\n",
		      (double)max / NS_PER_US, (unsigned long long)total);
	latency_print(out, "#[Buckets = %12u, SubBuckets     = %12u]\n", LATENCY_OCTAVES,
		      LATENCY_EXACT);
}
