/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The recorder: its life, recording, and reading it while it is recorded
 * into. The rules between writer and reader are in recorder.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder.h"

/* A value takes some ten nanoseconds; a stopped writer is not waited for. */
#define READ_TRIES 100

static void set_empty(struct rtkvm_latency *latency)
{
	latency->begun = 0;
	memset(&latency->figures, 0, sizeof(latency->figures));
	latency->figures.min = UINT64_MAX;
	latency->started = time(NULL);
	latency->coarse = false;
	memset(latency->buckets, 0, sizeof(latency->buckets));
}

struct rtkvm_latency *latency_alloc(struct rtkvm *rt, const char *name)
{
	long page = sysconf(_SC_PAGESIZE);
	size_t align = page > 64 ? (size_t)page : 64;
	size_t size = (sizeof(struct rtkvm_latency) + align - 1) / align * align;
	/* Pages of its own: written here, no neighbour on the heap gives them back. */
	struct rtkvm_latency *latency = aligned_alloc(align, size);

	if (!latency) {
		rtkvm_fail(rt, ENOMEM, name, rtkvm_remedy_for(ENOMEM),
			   "no memory for a latency recorder (%zu bytes)", size);
		return NULL;
	}
	latency->rt = rt;
	latency_set_name(latency->name, name ? name : "latency");
	set_empty(latency);
	return latency;
}

int rtkvm_latency_new(struct rtkvm *rt, const char *name, struct rtkvm_latency **latency)
{
	if (!latency)
		return rtkvm_fail(rt, EINVAL, "rtkvm_latency_new", NULL, "latency is NULL");
	*latency = latency_alloc(rt, name);
	return *latency ? 0 : -ENOMEM;
}

void rtkvm_latency_free(struct rtkvm_latency *latency)
{
	free(latency);
}

/* What one value, or count equal ones, change beside begun and count. */
static inline void note(struct rtkvm_latency *latency, uint64_t ns, uint64_t count)
{
	struct latency_figures *f = &latency->figures;
	uint64_t kept = ns;
	uint64_t *bucket;

	if (__builtin_expect(ns > RTKVM_LATENCY_MAX_NS, 0)) {
		kept = RTKVM_LATENCY_MAX_NS;
		latency_store(&f->overflows, latency_load(&f->overflows) + count);
	}
	bucket = &latency->buckets[latency_bucket(kept)];
	latency_store(bucket, latency_load(bucket) + count);
	latency_store(&f->sum, latency_load(&f->sum) + kept * count);
	if (ns < latency_load(&f->min))
		latency_store(&f->min, ns);
	if (ns > latency_load(&f->max))
		latency_store(&f->max, ns);
}

void latency_add(struct rtkvm_latency *latency, uint64_t ns, uint64_t count)
{
	uint64_t n = latency_load(&latency->figures.count) + count;

	if (!ns)
		ns = 1;
	latency_store(&latency->begun, n);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	note(latency, ns, count);
	__atomic_store_n(&latency->figures.count, n, __ATOMIC_RELEASE);
}

void rtkvm_latency_record(struct rtkvm_latency *latency, uint64_t ns)
{
	if (latency)
		latency_add(latency, ns, 1);
}

void rtkvm_latency_reset(struct rtkvm_latency *latency)
{
	if (latency)
		set_empty(latency);
}

void latency_read_figures(const struct rtkvm_latency *latency, struct latency_figures *figures)
{
	const struct latency_figures *f = &latency->figures;

	for (int i = 0; i < READ_TRIES; i++) {
		figures->count = __atomic_load_n(&f->count, __ATOMIC_ACQUIRE);
		figures->overflows = latency_load(&f->overflows);
		figures->min = latency_load(&f->min);
		figures->max = latency_load(&f->max);
		figures->sum = latency_load(&f->sum);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (latency_load(&latency->begun) == figures->count)
			return;
	}
	/* stopped in the middle of a value, or too busy: nothing impossible at least */
	if (figures->overflows > figures->count)
		figures->overflows = figures->count;
	if (figures->count && figures->sum / figures->count > figures->max)
		figures->sum = figures->max * figures->count;
}

bool latency_has_room(const struct latency_figures *figures, uint64_t count, uint64_t sum)
{
	uint64_t unused;

	return !__builtin_add_overflow(figures->count, count, &unused) &&
	       !__builtin_add_overflow(figures->sum, sum, &unused);
}
