/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bucket arithmetic of the log-linear histogram: which bucket a value is in,
 * and which values a bucket holds. Pure integers, no memory, no state.
 *
 * The layout is that of HdrHistogram for 1 .. 10^10 with three significant
 * digits. Values below 2048 have a bucket each. Above, every octave
 * [2^n, 2^(n+1)) is cut into 1024 buckets of equal width, so that a bucket is
 * never wider than 1/1024 of its lowest value.
 */
#ifndef RTKVM_LATENCY_HISTOGRAM_H
#define RTKVM_LATENCY_HISTOGRAM_H

#include <stdint.h>

#include <rtkvm/latency.h>

/* An octave has 2^10 buckets; the first 2^11 values have one each. */
#define LATENCY_HALF_BITS 10
#define LATENCY_HALF (1u << LATENCY_HALF_BITS)
#define LATENCY_EXACT (2 * LATENCY_HALF)

/* Octaves up to the one that holds RTKVM_LATENCY_MAX_NS, the exact ones counting as the first. */
#define LATENCY_OCTAVES 24
#define LATENCY_BUCKETS ((LATENCY_OCTAVES + 1) * LATENCY_HALF)

/* Bucket of a value of 0 .. RTKVM_LATENCY_MAX_NS. In the header: it is the hot path. */
static inline unsigned int latency_bucket(uint64_t ns)
{
	unsigned int shift = 63u - (unsigned int)__builtin_clzll(ns | (LATENCY_EXACT - 1)) -
			     LATENCY_HALF_BITS;

	return shift * LATENCY_HALF + (unsigned int)(ns >> shift);
}

/* Number of values in a bucket; a power of two. */
uint64_t latency_bucket_width(unsigned int bucket);

/* Lowest and highest value of a bucket. */
uint64_t latency_bucket_low(unsigned int bucket);
uint64_t latency_bucket_high(unsigned int bucket);

/* The value that stands for a bucket in means, as HdrHistogram chooses it. */
uint64_t latency_bucket_middle(unsigned int bucket);

/* Square root without libm, correctly rounded. Negative: 0. */
double latency_sqrt(double x);

#endif
