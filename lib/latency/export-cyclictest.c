/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The histogram as cyclictest --histogram prints it, one thread. Also how
 * buckets fall into whole microseconds, which its JSON and plots share.
 */
#include "output.h"

/* Below this every microsecond has its line, as in cyclictest; above, those with values. */
#define DENSE_US 10000

static uint64_t kept(uint64_t ns)
{
	return ns > RTKVM_LATENCY_MAX_NS ? RTKVM_LATENCY_MAX_NS : ns;
}

static uint64_t bin_of(unsigned int bucket, const struct latency_figures *figures, uint64_t unit)
{
	uint64_t high = latency_bucket_high(bucket);
	uint64_t max = kept(figures->max);

	return (high > max ? max : high) / unit;
}

uint64_t latency_bucket_us(unsigned int bucket, const struct latency_figures *figures)
{
	return bin_of(bucket, figures, 1000);
}

void latency_for_each_bin(const struct rtkvm_latency *latency, uint64_t unit, bool overflows,
			  latency_bin_fn *fn, void *arg)
{
	const unsigned int last = latency_bucket(RTKVM_LATENCY_MAX_NS);
	uint64_t bin = 0, count = 0;

	for (unsigned int i = 0; i <= last; i++) {
		uint64_t n = latency->buckets[i];
		uint64_t b = bin_of(i, &latency->figures, unit);

		if (i == last && !overflows)
			n -= latency->figures.overflows;
		if (!n)
			continue;
		if (count && b != bin) {
			fn(arg, bin, count);
			count = 0;
		}
		bin = b;
		count += n;
	}
	if (count)
		fn(arg, bin, count);
}

struct lines {
	struct latency_output *out;
	uint64_t next; /* the first microsecond without a line yet */
};

static void write_line(void *arg, uint64_t us, uint64_t count)
{
	struct lines *lines = arg;

	for (; lines->next < us && lines->next < DENSE_US; lines->next++)
		latency_print(lines->out, "%06llu 000000\n", (unsigned long long)lines->next);
	latency_print(lines->out, "%06llu %06llu\n", (unsigned long long)us,
		      (unsigned long long)count);
	lines->next = us + 1;
}

void latency_write_cyclictest(struct latency_output *out, const struct rtkvm_latency *latency)
{
	const struct latency_figures *f = &latency->figures;
	struct lines lines = { .out = out };
	uint64_t max = f->max / 1000;

	/* an overflow must not look like 10 s sharp */
	if (f->overflows && f->max % 1000)
		max++;
	latency_print(out, "# Histogram\n");
	latency_for_each_bin(latency, 1000, false, write_line, &lines);
	latency_print(out, "# Total: %09llu\n", (unsigned long long)(f->count - f->overflows));
	latency_print(out, "# Min Latencies: %05llu\n",
		      (unsigned long long)(f->count ? f->min / 1000 : 0));
	latency_print(out, "# Avg Latencies: %05llu\n",
		      (unsigned long long)(f->count ? f->sum / f->count / 1000 : 0));
	latency_print(out, "# Max Latencies: %05llu\n", (unsigned long long)max);
	latency_print(out, "# Histogram Overflows: %05llu\n", (unsigned long long)f->overflows);
	/* which cycles they were is not kept */
	latency_print(out, "# Histogram Overflow at cycle number:\n# Thread 0:");
	if (f->overflows)
		latency_print(out, " # %05llu others", (unsigned long long)f->overflows);
	latency_print(out, "\n\n");
}
