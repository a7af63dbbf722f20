/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bucket arithmetic; see histogram.h. What is recorded, and by whom, is
 * recorder.c's.
 */
#include <emmintrin.h>

#include "histogram.h"

/* Octaves above the exact range: bucket = shift * HALF + (value >> shift), value >> shift >= HALF */
static unsigned int shift_of(unsigned int bucket)
{
	return bucket < LATENCY_EXACT ? 0 : bucket / LATENCY_HALF - 1;
}

uint64_t latency_bucket_width(unsigned int bucket)
{
	return UINT64_C(1) << shift_of(bucket);
}

uint64_t latency_bucket_low(unsigned int bucket)
{
	unsigned int shift = shift_of(bucket);

	return (uint64_t)(bucket - shift * LATENCY_HALF) << shift;
}

uint64_t latency_bucket_high(unsigned int bucket)
{
	return latency_bucket_low(bucket) + latency_bucket_width(bucket) - 1;
}

uint64_t latency_bucket_middle(unsigned int bucket)
{
	return latency_bucket_low(bucket) + latency_bucket_width(bucket) / 2;
}

double latency_sqrt(double x)
{
	/* one instruction of every x86-64; sqrt(3) would bring in libm for its errno */
	if (!(x > 0))
		return 0;
	return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(x)));
}
