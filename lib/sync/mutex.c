/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locking and unlocking. The plain mutex without a waiter is done here in one
 * atomic exchange each; everything else is mutex-slow.c.
 */
#include "mutex-slow.h"
#include "mutex.h"

int rtkvm_mutex_lock(struct rtkvm_mutex *mutex)
{
	struct sync_mutex *m = sync_mutex_of(mutex);
	uint32_t tid = sync_self.tid;

	if (sync_unlikely(!m))
		return -EINVAL;
	if (sync_likely(!(sync_kind(m) & SYNC_NOT_PLAIN) && tid) && sync_likely(sync_take(m, tid)))
		return 0;
	return sync_lock(m, NULL);
}

int rtkvm_mutex_unlock(struct rtkvm_mutex *mutex)
{
	struct sync_mutex *m = sync_mutex_of(mutex);
	uint32_t tid = sync_self.tid;

	if (sync_unlikely(!m))
		return -EINVAL;
	if (sync_likely(!(sync_kind(m) & (SYNC_NOT_PLAIN | RTKVM_MUTEX_RECURSIVE)) && tid) &&
	    sync_likely(sync_give(m, tid)))
		return 0;
	return sync_unlock(m);
}

int rtkvm_mutex_trylock(struct rtkvm_mutex *mutex)
{
	struct sync_mutex *m = sync_mutex_of(mutex);
	uint32_t tid = sync_self.tid;

	if (sync_unlikely(!m))
		return -EINVAL;
	if (sync_likely(!(sync_kind(m) & SYNC_NOT_PLAIN) && tid) && sync_likely(sync_take(m, tid)))
		return 0;
	return sync_trylock(m);
}

int rtkvm_mutex_timedlock(struct rtkvm_mutex *mutex, clockid_t clock, const struct timespec *until)
{
	struct sync_mutex *m = sync_mutex_of(mutex);
	struct sync_until when = { .time = until, .realtime = clock == CLOCK_REALTIME };
	uint32_t tid = sync_self.tid;

	if (sync_unlikely(!m || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)))
		return -EINVAL;
	if (sync_likely(!(sync_kind(m) & SYNC_NOT_PLAIN) && tid) && sync_likely(sync_take(m, tid)))
		return 0;
	return sync_lock(m, &when);
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
