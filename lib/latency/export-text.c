/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text a person reads: figures, then one line per power of two with a
 * bar whose length goes with the logarithm of the count (else the rare slow
 * values, which matter, could not be seen beside the many fast ones).
 */
#include <stdio.h>
#include <string.h>

#include "output.h"

#define BAR 50
#define OCTAVES 34

/* "12.3 us" with three or four digits, in the unit that fits. */
static const char *spell(double ns, char text[32])
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned int unit = 0;

	while (ns >= 999.95 && unit < 3) {
		ns /= 1000;
		unit++;
	}
	snprintf(text, 32, "%.*f %s", ns < 100 && unit ? (ns < 10 ? 3 : 2) : (unit ? 1 : 0), ns,
		 units[unit]);
	return text;
}

/* log2 in 1/256, linear between the powers of two; 0 for 0. */
static unsigned int log2_256(uint64_t n)
{
	unsigned int msb;

	if (!n)
		return 0;
	msb = 63u - (unsigned int)__builtin_clzll(n);
	return msb * 256 + (unsigned int)((((unsigned __int128)n << 8) >> msb) & 255);
}

static void octave_counts(const struct rtkvm_latency *latency, uint64_t counts[OCTAVES])
{
	memset(counts, 0, OCTAVES * sizeof(counts[0]));
	for (unsigned int i = 1; i < LATENCY_BUCKETS; i++) {
		unsigned int octave = 63u - (unsigned int)__builtin_clzll(latency_bucket_low(i));

		if (octave < OCTAVES)
			counts[octave] += latency->buckets[i];
	}
}

static void write_bar(struct latency_output *out, unsigned int octave, uint64_t count,
		      uint64_t most)
{
	static const char bar[] = "##################################################";
	unsigned int scale = log2_256(most) ? log2_256(most) : 1;
	/* one value shows, the most fill the bar */
	unsigned int len = count ? 1 + (BAR - 1) * log2_256(count) / scale : 0;
	char from[32], to[32];

	latency_print(out, "%10s ..%10s %12llu%s%.*s\n",
		      spell((double)(UINT64_C(1) << octave), from),
		      spell((double)(UINT64_C(2) << octave), to), (unsigned long long)count,
		      len ? " " : "", (int)len, bar);
}

static void write_bars(struct latency_output *out, const struct rtkvm_latency *latency)
{
	uint64_t counts[OCTAVES], most = 0;
	unsigned int first = OCTAVES, last = 0, next;

	octave_counts(latency, counts);
	for (unsigned int i = 0; i < OCTAVES; i++) {
		if (!counts[i])
			continue;
		first = i < first ? i : first;
		last = i;
		most = counts[i] > most ? counts[i] : most;
	}
	for (unsigned int i = first; i <= last; i++) {
		/* a long way to an outlier is not drawn line by line; last has values */
		for (next = i; !counts[next]; next++)
			;
		if (next - i > 2) {
			latency_print(out, "%14s\n", "...");
			i = next;
		}
		write_bar(out, i, counts[i], most);
	}
}

void latency_write_text(struct latency_output *out, const struct rtkvm_latency *latency)
{
	struct rtkvm_latency_summary s = { .size = sizeof(s) };
	char t[4][32];

	rtkvm_latency_get_summary(latency, &s);
	latency_print(out, "%s: %llu values", latency->name, (unsigned long long)s.count);
	if (s.overflows)
		latency_print(out, ", %llu of them above 10 s", (unsigned long long)s.overflows);
	latency_print(out, "\n");
	if (!s.count)
		return;
	latency_print(out, "min %s  avg %s  max %s  stddev %s\n", spell((double)s.min_ns, t[0]),
		      spell(s.avg_ns, t[1]), spell((double)s.max_ns, t[2]),
		      spell(s.stddev_ns, t[3]));
	latency_print(out, "p50 %s  p90 %s  p99 %s  p99.9 %s\n", spell((double)s.p50_ns, t[0]),
		      spell((double)s.p90_ns, t[1]), spell((double)s.p99_ns, t[2]),
		      spell((double)s.p999_ns, t[3]));
	write_bars(out, latency);
}
