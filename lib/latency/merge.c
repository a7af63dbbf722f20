/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Adding one recorder to another, also while the one is recorded into; and
 * the copies that exports work on, which are a merge into an empty one.
 */
#include <errno.h>
#include <string.h>

#include "recorder.h"

/* So often a quiet moment is looked for before an estimate is made. */
#define COPY_TRIES 3

static uint64_t copy_buckets(struct rtkvm_latency *to, const struct rtkvm_latency *from)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++) {
		to->buckets[i] = latency_load(&from->buckets[i]);
		total += to->buckets[i];
	}
	return total;
}

/* sum * total / count: the values that came in between, at the mean of the others. */
static uint64_t scaled(uint64_t sum, uint64_t total, uint64_t count)
{
	unsigned __int128 s;

	if (!count)
		return 0;
	s = (unsigned __int128)sum * total / count;
	return s > UINT64_MAX ? UINT64_MAX : (uint64_t)s;
}

/*
 * Figures for the values found in the buckets. Exact when nothing was
 * recorded meanwhile. Otherwise only the sum is estimated: minimum, maximum
 * and overflows are read after the buckets and cover them.
 */
static void copy(struct rtkvm_latency *to, const struct rtkvm_latency *from)
{
	struct latency_figures before, after;
	uint64_t total = 0;

	for (int i = 0; i < COPY_TRIES; i++) {
		latency_read_figures(from, &before);
		total = copy_buckets(to, from);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		latency_read_figures(from, &after);
		if (before.count == after.count && total == after.count)
			break;
	}
	if (total != after.count)
		after.sum = scaled(after.sum, total, after.count);
	after.count = total;
	/* overflows are in the last bucket; those that came later are not */
	if (after.overflows > to->buckets[latency_bucket(RTKVM_LATENCY_MAX_NS)])
		after.overflows = to->buckets[latency_bucket(RTKVM_LATENCY_MAX_NS)];
	to->figures = after;
	to->begun = total;
	to->started = from->started;
	to->coarse = from->coarse;
}

struct rtkvm_latency *latency_snapshot(const struct rtkvm_latency *latency)
{
	struct rtkvm_latency *snapshot = latency_alloc(latency->rt, latency->name);

	if (snapshot)
		copy(snapshot, latency);
	return snapshot;
}

static void add_figures(struct latency_figures *to, const struct latency_figures *from)
{
	latency_store(&to->overflows, to->overflows + from->overflows);
	latency_store(&to->sum, to->sum + from->sum);
	if (from->min < to->min)
		latency_store(&to->min, from->min);
	if (from->max > to->max)
		latency_store(&to->max, from->max);
}

/* In the order of a record, so that readers of to see nothing worse than one more value. */
static void add_all(struct rtkvm_latency *to, const struct rtkvm_latency *from)
{
	uint64_t n = to->figures.count + from->figures.count;

	latency_store(&to->begun, n);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++)
		if (from->buckets[i])
			latency_store(&to->buckets[i], to->buckets[i] + from->buckets[i]);
	add_figures(&to->figures, &from->figures);
	if (from->started < to->started)
		to->started = from->started;
	to->coarse |= from->coarse;
	__atomic_store_n(&to->figures.count, n, __ATOMIC_RELEASE);
}

int rtkvm_latency_merge(struct rtkvm_latency *to, const struct rtkvm_latency *from)
{
	struct rtkvm_latency *values;
	int ret = 0;

	if (!to || !from)
		return rtkvm_fail(to ? to->rt : NULL, EINVAL, "rtkvm_latency_merge", NULL,
				  "%s is NULL", to ? "from" : "to");
	if (to == from)
		return rtkvm_fail(to->rt, EINVAL, "rtkvm_latency_merge", NULL,
				  "a recorder cannot be merged into itself");
	values = latency_snapshot(from);
	if (!values)
		return -ENOMEM;
	if (latency_has_room(&to->figures, values->figures.count, values->figures.sum))
		add_all(to, values);
	else
		ret = rtkvm_fail(to->rt, EOVERFLOW, from->name, NULL,
				 "more values than a recorder can count");
	rtkvm_latency_free(values);
	return ret;
}
