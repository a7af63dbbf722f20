/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locking and unlocking. The plain mutex without a waiter is done here in one
 * atomic exchange each; everything else is mutex-slow.c.
 */
#include "mutex-slow.h"
#include "mutex.h"

/*
 * Whether locking is the exchange and nothing else: no ceiling, or one that
 * needs no raise and refuses nothing.
 */
static inline bool is_plain(uint32_t kind)
{
	unsigned int ceiling = (kind & SYNC_CEILING) >> SYNC_CEILING_SHIFT;

	if (sync_likely(!(kind & SYNC_NOT_PLAIN)))
		return true;
	if (kind & (SYNC_NOT_PLAIN & ~SYNC_PROTOCOL) || !sync_base_known())
		return false;
	switch ((kind & SYNC_PROTOCOL) >> SYNC_PROTOCOL_SHIFT) {
	case RTKVM_MUTEX_STATIC:
		return sync_self.base >= ceiling;
	case RTKVM_MUTEX_CHECKED:
		return sync_self.base <= ceiling;
	default:
		return false;
	}
}

static inline bool lock_fast(struct sync_mutex *m)
{
	uint32_t tid = sync_self.tid;

	return sync_likely(tid && is_plain(sync_kind(m))) && sync_likely(sync_take(m, tid));
}

int rtkvm_mutex_lock(struct rtkvm_mutex *mutex)
{
	struct sync_mutex *m = sync_mutex_of(mutex);

	if (sync_unlikely(!m))
		return -EINVAL;
	return sync_likely(lock_fast(m)) ? 0 : sync_lock(m, NULL);
}

int rtkvm_mutex_unlock(struct rtkvm_mutex *mutex)
{
	struct sync_mutex *m = sync_mutex_of(mutex);
	const uint32_t not_plain = SYNC_ROBUST | SYNC_INVALID | RTKVM_MUTEX_RECURSIVE;
	uint32_t tid = sync_self.tid;

	if (sync_unlikely(!m))
		return -EINVAL;
	/* pushed is the owner's; who is not the owner fails at the exchange */
	if (sync_likely(tid && !(sync_kind(m) & not_plain) &&
			!__atomic_load_n(&m->pushed, __ATOMIC_RELAXED) &&
			__atomic_load_n(&m->word, __ATOMIC_RELAXED) == tid) &&
	    sync_likely(sync_give(m, tid)))
		return 0;
	return sync_unlock(m);
}

int rtkvm_mutex_trylock(struct rtkvm_mutex *mutex)
{
	struct sync_mutex *m = sync_mutex_of(mutex);

	if (sync_unlikely(!m))
		return -EINVAL;
	return sync_likely(lock_fast(m)) ? 0 : sync_trylock(m);
}

int rtkvm_mutex_timedlock(struct rtkvm_mutex *mutex, int clock, const struct timespec *until)
{
	struct sync_mutex *m = sync_mutex_of(mutex);
	struct sync_until when = { .time = until, .realtime = clock == CLOCK_REALTIME };

	if (sync_unlikely(!m || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)))
		return -EINVAL;
	return sync_likely(lock_fast(m)) ? 0 : sync_lock(m, &when);
}

int rtkvm_mutex_consistent(struct rtkvm_mutex *mutex)
{
	struct sync_mutex *m = sync_mutex_of(mutex);

	if (!m || (sync_kind(m) & (SYNC_INVALID | SYNC_ROBUST)) != SYNC_ROBUST)
		return -EINVAL;
	if (!sync_is_mine(m, sync_tid()))
		return -EPERM;
	if (m->state != SYNC_INCONSISTENT)
		return -EINVAL;
	m->state = 0;
	return 0;
}

int rtkvm_thread_resync(void)
{
	return sync_ceiling_resync();
}
