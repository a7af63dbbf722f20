/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Figures of a histogram: percentiles, mean, deviation. Nothing here writes to
 * the recorder or formats anything.
 */
#include <errno.h>

#include "recorder.h"

/* A percentile is taken to nine digits behind the point: 99.9 means 999 of 1000. */
#define PERCENT_UNIT UINT64_C(1000000000)
#define PERCENT_ALL (100 * PERCENT_UNIT)

/* How many of count values a percentile covers, at least 1. */
static uint64_t rank_of(double percentile, uint64_t count)
{
	uint64_t share = (uint64_t)(percentile * (double)PERCENT_UNIT + 0.5);
	uint64_t rank = (uint64_t)(((unsigned __int128)share * count + PERCENT_ALL - 1) /
				   PERCENT_ALL);

	return rank ? rank : 1;
}

static uint64_t clip(uint64_t ns, const struct latency_figures *figures)
{
	if (ns > figures->max)
		return figures->max;
	return ns < figures->min ? figures->min : ns;
}

static uint64_t quantile(const struct rtkvm_latency *latency,
			 const struct latency_figures *figures, uint64_t rank)
{
	uint64_t seen = 0;

	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++) {
		seen += latency_load(&latency->buckets[i]);
		if (seen >= rank)
			/* no overflow has this rank: its value is one that was kept */
			return clip(latency_bucket_high(i) > RTKVM_LATENCY_MAX_NS ?
					    RTKVM_LATENCY_MAX_NS : latency_bucket_high(i), figures);
	}
	return figures->max;
}

static uint64_t percentile_of(const struct rtkvm_latency *latency,
			      const struct latency_figures *figures, double percentile)
{
	uint64_t rank;

	if (!figures->count || percentile != percentile)
		return 0;
	if (percentile <= 0)
		return figures->min;
	if (percentile >= 100)
		return figures->max;
	rank = rank_of(percentile, figures->count);
	/* an overflow is more than the 10 s it is counted at: how much more only the maximum says */
	if (rank > figures->count - figures->overflows)
		return figures->max;
	return quantile(latency, figures, rank);
}

uint64_t rtkvm_latency_percentile(const struct rtkvm_latency *latency, double percentile)
{
	struct latency_figures figures;

	if (!latency)
		return 0;
	latency_read_figures(latency, &figures);
	return percentile_of(latency, &figures, percentile);
}

double latency_bucket_mean(const struct rtkvm_latency *latency)
{
	double sum = 0;
	uint64_t count = 0;

	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++) {
		uint64_t n = latency_load(&latency->buckets[i]);

		sum += (double)latency_bucket_middle(i) * (double)n;
		count += n;
	}
	return count ? sum / (double)count : 0;
}

double latency_deviation(const struct rtkvm_latency *latency)
{
	/* around the mean of the buckets: equal values have none */
	double mean = latency_bucket_mean(latency), sum = 0, squares = 0;
	uint64_t count = 0;

	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++) {
		uint64_t n = latency_load(&latency->buckets[i]);
		double d = (double)latency_bucket_middle(i) - mean;

		sum += d * (double)n;
		squares += d * d * (double)n;
		count += n;
	}
	if (!count)
		return 0;
	/*
	 * Values may have come since the mean was taken, a lot of them if this
	 * thread was held up: what it is off by now is taken out again.
	 */
	sum /= (double)count;
	squares = squares / (double)count - sum * sum;
	return squares > 0 ? latency_sqrt(squares) : 0;
}

int rtkvm_latency_get_summary(const struct rtkvm_latency *latency,
			      struct rtkvm_latency_summary *summary)
{
	struct rtkvm_latency_summary s = { .size = sizeof(s) };
	struct latency_figures f;

	if (!latency || !summary)
		return rtkvm_fail(latency ? latency->rt : NULL, EINVAL, "rtkvm_latency_get_summary",
				  NULL, "%s is NULL", latency ? "summary" : "latency");
	latency_read_figures(latency, &f);
	if (f.count) {
		s.count = f.count;
		s.overflows = f.overflows;
		s.min_ns = f.min;
		s.max_ns = f.max;
		s.avg_ns = (double)f.sum / (double)f.count;
		s.stddev_ns = latency_deviation(latency);
		s.p50_ns = percentile_of(latency, &f, 50);
		s.p90_ns = percentile_of(latency, &f, 90);
		s.p99_ns = percentile_of(latency, &f, 99);
		s.p999_ns = percentile_of(latency, &f, 99.9);
	}
	return rtkvm_struct_give(latency->rt, summary, &s, sizeof(s), sizeof(s),
				 "rtkvm_latency_summary");
}
