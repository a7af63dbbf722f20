/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Life of a condition variable: options, initialising, ending, its counts.
 */
#include <string.h>

#include "cond.h"
#include "core/core.h"

#define OPTIONS_MIN sizeof(struct rtkvm_cond_options) /* of the first release */
#define STATS_MIN sizeof(struct rtkvm_cond_stats)

void rtkvm_cond_options_init(struct rtkvm_cond_options *options, size_t size)
{
	if (!options || size < sizeof(*options))
		return;
	memset(options, 0, size);
	options->size = size;
	options->clock = CLOCK_MONOTONIC;
}

static int check(const struct rtkvm_cond_options *o)
{
	const char *where = "rtkvm_cond_init";

	if (o->clock != CLOCK_MONOTONIC && o->clock != CLOCK_REALTIME)
		return rtkvm_fail(NULL, EINVAL, where, "use CLOCK_MONOTONIC or CLOCK_REALTIME",
				  "clock %d cannot be waited on", o->clock);
	if (o->flags & ~(uint32_t)(RTKVM_COND_SHARED | RTKVM_COND_STATS))
		return rtkvm_fail(NULL, EINVAL, where, NULL, "unknown flags %u", o->flags);
	for (size_t i = 0; i < sizeof(o->reserved) / sizeof(o->reserved[0]); i++)
		if (o->reserved[i])
			return rtkvm_fail(NULL, EINVAL, where,
					  "initialise it with rtkvm_cond_options_init()",
					  "a reserved field is not 0");
	return 0;
}

int rtkvm_cond_init(struct rtkvm_cond *cond, const struct rtkvm_cond_options *options)
{
	struct sync_cond *c = sync_cond_of(cond);
	struct rtkvm_cond_options o;
	int ret;

	rtkvm_cond_options_init(&o, sizeof(o));
	if (!cond)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_cond_init", NULL, "cond is NULL");
	if (options) {
		ret = rtkvm_options_take(NULL, &o, sizeof(o), OPTIONS_MIN, options,
					 "struct rtkvm_cond_options");
		if (ret < 0)
			return ret;
	}
	ret = check(&o);
	if (ret < 0)
		return ret;
	memset(c, 0, sizeof(*c));
	c->kind = (o.flags & RTKVM_COND_SHARED ? SYNC_SHARED : 0) |
		  (o.flags & RTKVM_COND_STATS ? SYNC_STATS : 0) |
		  (o.clock == CLOCK_REALTIME ? SYNC_REALTIME : 0);
	return 0;
}

/* Whether all that wait have been woken: by a broadcast, or by as many signals. */
static bool all_woken(const struct sync_cond *c, uint32_t count)
{
	uint64_t join = __atomic_load_n(&c->join, __ATOMIC_RELAXED);

	return __atomic_load_n(&c->cast, __ATOMIC_RELAXED) > join ||
	       __atomic_load_n(&c->seq, __ATOMIC_SEQ_CST) - join >= count;
}

int rtkvm_cond_destroy(struct rtkvm_cond *cond)
{
	struct sync_cond *c = sync_cond_of(cond);
	uint32_t count;

	if (!c || c->kind & SYNC_INVALID)
		return -EINVAL;
	count = __atomic_load_n(sync_cond_count(c), __ATOMIC_ACQUIRE) & COND_COUNT;
	if (count && !all_woken(c, count))
		return -EBUSY;
	count = __atomic_or_fetch(sync_cond_count(c), COND_ENDING, __ATOMIC_SEQ_CST);
	while (count != COND_ENDING) {
		futex_wait(sync_cond_count(c), count, NULL, false, sync_is_shared(c->kind));
		count = __atomic_load_n(sync_cond_count(c), __ATOMIC_ACQUIRE);
	}
	c->kind = SYNC_INVALID;
	return 0;
}

int rtkvm_cond_get_stats(const struct rtkvm_cond *cond, struct rtkvm_cond_stats *stats)
{
	const struct sync_cond *c = (const void *)cond;
	struct rtkvm_cond_stats out = { .size = sizeof(out) };

	if (!c || !stats)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_cond_get_stats", NULL, "%s is NULL",
				  c ? "stats" : "cond");
	if ((c->kind & (SYNC_INVALID | SYNC_STATS)) != SYNC_STATS)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_cond_get_stats",
				  "initialise it with RTKVM_COND_STATS",
				  "the condition variable does not count");
	out.waits = __atomic_load_n(&c->waits, __ATOMIC_RELAXED);
	out.wakes = __atomic_load_n(&c->wakes, __ATOMIC_RELAXED);
	out.retries = __atomic_load_n(&c->retries, __ATOMIC_RELAXED);
	return rtkvm_struct_give(NULL, stats, &out, sizeof(out), STATS_MIN,
				 "struct rtkvm_cond_stats");
}
