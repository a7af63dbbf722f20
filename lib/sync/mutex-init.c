/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Life of a mutex: options, initialising, ending, its ceiling, its counts.
 */
#include <string.h>

#include "core/core.h"
#include "mutex.h"

#define OPTIONS_MIN sizeof(struct rtkvm_mutex_options) /* of the first release */
#define STATS_MIN sizeof(struct rtkvm_mutex_stats)
#define FLAGS (RTKVM_MUTEX_SHARED | RTKVM_MUTEX_ROBUST | RTKVM_MUTEX_STATS)

void rtkvm_mutex_options_init(struct rtkvm_mutex_options *options, size_t size)
{
	if (!options || size < sizeof(*options))
		return;
	memset(options, 0, size);
	options->size = size;
}

static int refuse(const char *where, const char *remedy, const char *what, unsigned long value)
{
	return rtkvm_fail(NULL, EINVAL, where, remedy, "%s %lu", what, value);
}

static int check(const struct rtkvm_mutex_options *o)
{
	const char *where = "rtkvm_mutex_init";

	if (o->type > RTKVM_MUTEX_RECURSIVE)
		return refuse(where, "use RTKVM_MUTEX_NORMAL, _ERRORCHECK or _RECURSIVE",
			      "unknown type", o->type);
	if (o->protocol > RTKVM_MUTEX_CHECKED)
		return refuse(where, "use RTKVM_MUTEX_INHERIT, _STATIC, _EAGER or _CHECKED",
			      "unknown protocol", o->protocol);
	if (o->flags & ~(uint32_t)FLAGS)
		return refuse(where, NULL, "unknown flags", o->flags);
	if (o->protocol == RTKVM_MUTEX_INHERIT && o->ceiling)
		return refuse(where, "choose a protocol that has one", "no use for the ceiling",
			      o->ceiling);
	if (o->protocol != RTKVM_MUTEX_INHERIT &&
	    (!o->ceiling || o->ceiling >= SYNC_PRIORITIES))
		return refuse(where, "choose a ceiling of 1 to 99", "ceiling out of range:",
			      o->ceiling);
	for (size_t i = 0; i < sizeof(o->reserved) / sizeof(o->reserved[0]); i++)
		if (o->reserved[i])
			return refuse(where, "initialise it with rtkvm_mutex_options_init()",
				      "a reserved field is", o->reserved[i]);
	return 0;
}

static uint32_t kind_of(const struct rtkvm_mutex_options *o)
{
	return o->type | o->protocol << SYNC_PROTOCOL_SHIFT | o->ceiling << SYNC_CEILING_SHIFT |
	       (o->flags & RTKVM_MUTEX_SHARED ? SYNC_SHARED : 0) |
	       (o->flags & RTKVM_MUTEX_ROBUST ? SYNC_ROBUST : 0) |
	       (o->flags & RTKVM_MUTEX_STATS ? SYNC_STATS : 0);
}

int rtkvm_mutex_init(struct rtkvm_mutex *mutex, const struct rtkvm_mutex_options *options)
{
	struct sync_mutex *m = sync_mutex_of(mutex);
	struct rtkvm_mutex_options o;
	int ret;

	rtkvm_mutex_options_init(&o, sizeof(o));
	if (!mutex)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_mutex_init", NULL, "mutex is NULL");
	if (options) {
		ret = rtkvm_options_take(NULL, &o, sizeof(o), OPTIONS_MIN, options,
					 "struct rtkvm_mutex_options");
		if (ret < 0)
			return ret;
	}
	ret = check(&o);
	if (ret < 0)
		return ret;
	if (o.flags & RTKVM_MUTEX_ROBUST && sync_robust_ready() < 0)
		return rtkvm_fail(NULL, ENOTSUP, "rtkvm_mutex_init",
				  "use a mutex that is not robust, or glibc",
				  "this C library's robust list is not the known one");
	memset(m, 0, sizeof(*m));
	m->id = sync_new_id(m);
	__atomic_store_n(&m->kind, kind_of(&o), __ATOMIC_RELEASE);
	return 0;
}

int rtkvm_mutex_destroy(struct rtkvm_mutex *mutex)
{
	struct sync_mutex *m = sync_mutex_of(mutex);

	if (!m || sync_kind(m) & SYNC_INVALID)
		return -EINVAL;
	if (__atomic_load_n(&m->word, __ATOMIC_ACQUIRE) & FUTEX_TID_MASK)
		return -EBUSY;
	__atomic_store_n(&m->kind, SYNC_INVALID, __ATOMIC_RELAXED);
	return 0;
}

uint32_t sync_new_id(const void *address)
{
	struct timespec now;
	uint64_t x;

	clock_gettime(CLOCK_MONOTONIC, &now);
	x = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
	x ^= (uint64_t)(uintptr_t)address << 20 ^ (uint64_t)sync_tid() << 40;
	/* splitmix64: every bit depends on all */
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return (uint32_t)x ? (uint32_t)x : 1;
}

uint32_t sync_mutex_id(struct sync_mutex *m)
{
	/* only its owner gives it one */
	if (sync_unlikely(!m->id))
		__atomic_store_n(&m->id, sync_new_id(m), __ATOMIC_RELAXED);
	return m->id;
}

static bool has_ceiling(uint32_t kind)
{
	return !(kind & SYNC_INVALID) && kind & SYNC_PROTOCOL;
}

int rtkvm_mutex_get_ceiling(const struct rtkvm_mutex *mutex)
{
	const struct sync_mutex *m = (const void *)mutex;

	if (!m || !has_ceiling(sync_kind(m)))
		return -EINVAL;
	return (int)((sync_kind(m) & SYNC_CEILING) >> SYNC_CEILING_SHIFT);
}

/* As rtkvm_mutex_lock(), but for the ceiling. */
static int lock_without_ceiling(struct sync_mutex *m, uint32_t kind, uint32_t tid)
{
	int ret;

	if (sync_is_mine(m, tid))
		return -EDEADLK;
	if (kind & SYNC_ROBUST) {
		if (sync_robust_ready() < 0)
			return -ENOTSUP;
		sync_robust_pending(&m->links);
	}
	ret = sync_acquire(m, kind, tid, NULL);
	if (!ret)
		return sync_acquired(m, kind, tid);
	if (kind & SYNC_ROBUST)
		sync_robust_done();
	return ret;
}

int rtkvm_mutex_set_ceiling(struct rtkvm_mutex *mutex, int ceiling)
{
	struct sync_mutex *m = sync_mutex_of(mutex);
	uint32_t kind, tid = sync_tid();
	int ret;

	if (!m || !has_ceiling(sync_kind(m)) || ceiling < 1 || ceiling >= SYNC_PRIORITIES)
		return -EINVAL;
	ret = lock_without_ceiling(m, sync_kind(m), tid);
	if (ret < 0 && ret != -EOWNERDEAD)
		return ret;
	m->depth = 0;
	m->pushed = 0;
	kind = sync_kind(m);
	if (ret == 0)
		__atomic_store_n(&m->kind,
				 (kind & ~SYNC_CEILING) | (uint32_t)ceiling << SYNC_CEILING_SHIFT,
				 __ATOMIC_RELAXED);
	else
		return ret; /* the caller has it, and what to repair */
	ret = (int)((kind & SYNC_CEILING) >> SYNC_CEILING_SHIFT);
	rtkvm_mutex_unlock(mutex);
	return ret;
}

int rtkvm_mutex_get_stats(const struct rtkvm_mutex *mutex, struct rtkvm_mutex_stats *stats)
{
	const struct sync_mutex *m = (const void *)mutex;
	struct rtkvm_mutex_stats out = { .size = sizeof(out) };

	if (!m || !stats)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_mutex_get_stats", NULL, "%s is NULL",
				  m ? "stats" : "mutex");
	if ((sync_kind(m) & (SYNC_INVALID | SYNC_STATS)) != SYNC_STATS)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_mutex_get_stats",
				  "initialise it with RTKVM_MUTEX_STATS",
				  "the mutex does not count");
	out.contended = __atomic_load_n(&m->contended, __ATOMIC_RELAXED);
	out.retries = __atomic_load_n(&m->retries, __ATOMIC_RELAXED);
	out.boosts = __atomic_load_n(&m->boosts, __ATOMIC_RELAXED);
	return rtkvm_struct_give(NULL, stats, &out, sizeof(out), STATS_MIN,
				 "struct rtkvm_mutex_stats");
}
