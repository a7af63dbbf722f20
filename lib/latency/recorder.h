/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inner side of the recorder: its memory, and what a reader may rely on while
 * the writer goes on. The arithmetic is in histogram.h, output in output.h.
 *
 * One thread writes. For each value it stores, in this order: begun, the
 * bucket, the figures, count. So whoever reads count first and the buckets
 * after it finds at least count values in them; and figures read while begun
 * and count are equal and stay so belong to exactly count values.
 */
#ifndef RTKVM_LATENCY_RECORDER_H
#define RTKVM_LATENCY_RECORDER_H

#include <stdbool.h>
#include <time.h>

#include "core/core.h"
#include "histogram.h"

/* Longest label, with its terminator; longer ones are cut. */
#define LATENCY_NAME_MAX 128

struct latency_figures {
	uint64_t count;     /* values complete */
	uint64_t overflows; /* of these above RTKVM_LATENCY_MAX_NS */
	uint64_t min;       /* UINT64_MAX when there are none */
	uint64_t max;
	uint64_t sum;       /* overflows enter as RTKVM_LATENCY_MAX_NS */
};

struct rtkvm_latency {
	/* the writer's line: what each value changes beside its bucket */
	uint64_t begun __attribute__((aligned(64)));
	struct latency_figures figures;
	/* set when it is made */
	struct rtkvm *rt __attribute__((aligned(64)));
	time_t started;     /* made or reset */
	bool coarse;        /* imported: whole microseconds, from another run */
	char name[LATENCY_NAME_MAX];
	uint64_t buckets[LATENCY_BUCKETS] __attribute__((aligned(64)));
};

static inline uint64_t latency_load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void latency_store(uint64_t *p, uint64_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

/*
 * Read the figures so that they belong together. The writer may be stopped in
 * the middle of a value: after some tries what is there is taken, and a value
 * too many may then be in all but count.
 */
void latency_read_figures(const struct rtkvm_latency *latency, struct latency_figures *figures);

/*
 * A copy that nobody records into, for exports: count is the sum of its
 * buckets. NULL without memory, error recorded.
 */
struct rtkvm_latency *latency_snapshot(const struct rtkvm_latency *latency);

/* An empty recorder, memory touched. NULL without memory, error recorded. */
struct rtkvm_latency *latency_alloc(struct rtkvm *rt, const char *name);

/*
 * Add count values of ns each. The caller has seen to it that neither count
 * nor sum overflows (latency_has_room()).
 */
void latency_add(struct rtkvm_latency *latency, uint64_t ns, uint64_t count);

/* Do so many values with this sum still fit? */
bool latency_has_room(const struct latency_figures *figures, uint64_t count, uint64_t sum);

/* Mean and standard deviation, every value taken as the middle of its bucket; 0 when empty. */
double latency_bucket_mean(const struct rtkvm_latency *latency);
double latency_deviation(const struct rtkvm_latency *latency);

/* A label without control characters and broken UTF-8 ('?' instead), cut to size. */
void latency_set_name(char name[LATENCY_NAME_MAX], const char *text);

/*
 * The whole microsecond under which a bucket goes in cyclictest's formats:
 * that of its highest value, or of the maximum where it is in that bucket. A
 * value read back at this microsecond goes out under the same one again.
 */
uint64_t latency_bucket_us(unsigned int bucket, const struct latency_figures *figures);

#endif
