/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locking with a waiter, an owner that died, recursion, ceilings.
 *
 * The kernel hands the word over with FUTEX_WAITERS set, also when nobody else
 * waits, and so makes the next release a system call. "queued" counts who may be
 * in the kernel's queue: raised before, lowered after. Where it is 0 the new
 * owner takes the bit away.
 *
 * The labels M1 to M8 are those of the model (tests/sync/model/mutex-cond.pml).
 */
#include "mutex-slow.h"

int sync_until_check(const struct sync_until *until)
{
	if (!until || !until->time)
		return 0;
	if (until->time->tv_nsec < 0 || until->time->tv_nsec >= 1000000000)
		return -EINVAL;
	/* the kernel would call it invalid */
	return until->time->tv_sec < 0 ? -ETIMEDOUT : 0;
}

static void queue(struct sync_mutex *m)
{
	__atomic_fetch_add(&m->queued, 1, __ATOMIC_SEQ_CST);
}

static bool leave_queue(struct sync_mutex *m)
{
	return __atomic_sub_fetch(&m->queued, 1, __ATOMIC_SEQ_CST) == 0;
}

/* The owner, having left the queue as its last. */
static void take_bit_away(struct sync_mutex *m, uint32_t tid)
{
	uint32_t word = tid | FUTEX_WAITERS;

	/* M7 */
	if (!__atomic_compare_exchange_n(&m->word, &word, tid, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED))
		return;
	/* M8: who came in between may not have set it, seeing that it was set */
	if (__atomic_load_n(&m->queued, __ATOMIC_SEQ_CST))
		__atomic_fetch_or(&m->word, FUTEX_WAITERS, __ATOMIC_SEQ_CST);
}

static sync_inline int acquire(struct sync_mutex *m, uint32_t kind, uint32_t tid,
			       const struct sync_until *until)
{
	const struct timespec *time = until ? until->time : NULL;
	bool realtime = until && until->realtime, shared = sync_is_shared(kind);
	int ret;

	/* M1: who comes here has mostly tried before */
	if (!__atomic_load_n(&m->word, __ATOMIC_RELAXED) && sync_take(m, tid))
		return 0;
	ret = sync_until_check(until);
	if (ret < 0)
		return ret;
	if (kind & SYNC_STATS)
		__atomic_fetch_add(&m->contended, 1, __ATOMIC_RELAXED);
	queue(m);
	for (;;) {
		/* M2 */
		ret = futex_lock_pi(&m->word, time, realtime, shared);
		if (ret != -EINTR && ret != -EAGAIN)
			break;
		sync_count(kind, &m->retries);
	}
	if (!ret)
		sync_tsan_acquire(&m->word);
	if (leave_queue(m) && !ret)
		take_bit_away(m, tid);
	return ret;
}

int sync_acquire(struct sync_mutex *m, uint32_t kind, uint32_t tid,
		 const struct sync_until *until)
{
	return acquire(m, kind, tid, until);
}

int sync_acquired(struct sync_mutex *m, uint32_t kind, uint32_t tid)
{
	uint32_t word = __atomic_load_n(&m->word, __ATOMIC_RELAXED);
	int ret = 0;

	/* M3 */
#ifndef RTKVM_MUTANT_NO_OWNER_DIED
	if (sync_unlikely(word & FUTEX_OWNER_DIED)) {
		if (kind & SYNC_ROBUST)
			m->state |= SYNC_INCONSISTENT;
		__atomic_fetch_and(&m->word, ~FUTEX_OWNER_DIED, __ATOMIC_RELAXED);
		ret = -EOWNERDEAD;
	}
#else
	__atomic_fetch_and(&m->word, ~(word & FUTEX_OWNER_DIED), __ATOMIC_RELAXED);
#endif
	if (!(kind & SYNC_ROBUST))
		return ret;
	/* M4 */
	if (sync_unlikely(m->state & SYNC_UNRECOVERABLE)) {
		sync_release(m, kind, tid);
		sync_robust_done();
		return -ENOTRECOVERABLE;
	}
	sync_robust_add(&m->links);
	sync_robust_done();
	return ret;
}

static sync_inline void release(struct sync_mutex *m, uint32_t kind, uint32_t tid)
{
	bool shared = sync_is_shared(kind);
	uint32_t *word = &m->word;
	int ret;

	/* M5 */
	if (__atomic_load_n(word, __ATOMIC_RELAXED) == tid && sync_give(m, tid))
		return;
	sync_tsan_release(word);
	do {
		/* M6 */
		ret = futex_unlock_pi(word, shared);
	} while (ret == -EAGAIN || ret == -EINTR);
}

void sync_release(struct sync_mutex *m, uint32_t kind, uint32_t tid)
{
	release(m, kind, tid);
}

/* The ceiling's part of locking: as sync_ceiling_static(). */
static int enter(uint32_t kind)
{
	unsigned int ceiling = (kind & SYNC_CEILING) >> SYNC_CEILING_SHIFT;

	switch ((kind & SYNC_PROTOCOL) >> SYNC_PROTOCOL_SHIFT) {
	case RTKVM_MUTEX_STATIC:
		return sync_ceiling_static(ceiling);
	case RTKVM_MUTEX_EAGER:
		return sync_ceiling_eager(ceiling);
	case RTKVM_MUTEX_CHECKED:
		return sync_ceiling_checked(ceiling);
	default:
		return 0;
	}
}

static uint32_t ceiling_of(uint32_t kind, int entered)
{
	return entered & CEILING_PUSHED ? (kind & SYNC_CEILING) >> SYNC_CEILING_SHIFT : 0;
}

/* It is the caller's already. */
static int again(struct sync_mutex *m, uint32_t kind, int otherwise)
{
	if ((kind & SYNC_TYPE) != RTKVM_MUTEX_RECURSIVE)
		return otherwise;
	if (m->depth == UINT32_MAX)
		return -EAGAIN;
	m->depth++;
	return 0;
}

/* What comes after the attempt to get the word, whose result is ret. */
static int finish(struct sync_mutex *m, uint32_t kind, uint32_t tid, int entered, int ret)
{
	uint32_t ceiling = ceiling_of(kind, entered);

	if (ret < 0) {
		if (kind & SYNC_ROBUST)
			sync_robust_done();
	} else {
		ret = sync_acquired(m, kind, tid);
	}
	if (ret < 0 && ret != -EOWNERDEAD) {
		if (ceiling)
			sync_ceiling_leave(ceiling);
		return ret;
	}
	m->depth = 0;
	m->pushed = ceiling;
	if (entered & CEILING_RAISED)
		sync_count(kind, &m->boosts);
	return ret;
}

int sync_lock(struct sync_mutex *m, const struct sync_until *until)
{
	uint32_t kind = sync_kind(m), tid = sync_tid();
	int entered, ret;

	if (kind & SYNC_INVALID)
		return -EINVAL;
	if (sync_is_mine(m, tid))
		return again(m, kind, -EDEADLK);
	if (kind & SYNC_ROBUST && sync_robust_ready() < 0)
		return -ENOTSUP;
	entered = enter(kind);
	if (entered < 0)
		return entered;
	if (kind & SYNC_ROBUST)
		sync_robust_pending(&m->links);
	ret = acquire(m, kind, tid, until);
	return finish(m, kind, tid, entered, ret);
}

/* The word for a trylock: only a dead owner's needs the kernel. */
static int try_word(struct sync_mutex *m, uint32_t kind, uint32_t tid)
{
	uint32_t word;
	int ret;

	if (sync_take(m, tid))
		return 0;
	word = __atomic_load_n(&m->word, __ATOMIC_RELAXED);
	if (word & FUTEX_TID_MASK)
		return -EBUSY;
	ret = futex_trylock_pi(&m->word, sync_is_shared(kind));
	if (!ret)
		sync_tsan_acquire(&m->word);
	return ret == -EAGAIN || ret == -EINTR ? -EBUSY : ret;
}

int sync_trylock(struct sync_mutex *m)
{
	uint32_t kind = sync_kind(m), tid = sync_tid();
	uint32_t owner = __atomic_load_n(&m->word, __ATOMIC_RELAXED) & FUTEX_TID_MASK;
	int entered;

	if (kind & SYNC_INVALID)
		return -EINVAL;
	if (owner == tid)
		return again(m, kind, -EBUSY);
	if (owner)
		return -EBUSY;
	if (kind & SYNC_ROBUST && sync_robust_ready() < 0)
		return -ENOTSUP;
	entered = enter(kind);
	if (entered < 0)
		return entered;
	if (kind & SYNC_ROBUST)
		sync_robust_pending(&m->links);
	return finish(m, kind, tid, entered, try_word(m, kind, tid));
}

int sync_unlock(struct sync_mutex *m)
{
	uint32_t kind = sync_kind(m), tid = sync_tid(), ceiling;

	if (kind & SYNC_INVALID)
		return -EINVAL;
	if (!sync_is_mine(m, tid))
		return -EPERM;
	if (m->depth) {
		m->depth--;
		return 0;
	}
	ceiling = m->pushed;
	m->pushed = 0;
	if (kind & SYNC_ROBUST) {
		if (m->state & SYNC_INCONSISTENT)
			m->state = SYNC_UNRECOVERABLE;
		sync_robust_pending(&m->links);
		sync_robust_remove(&m->links);
	}
	release(m, kind, tid);
	if (kind & SYNC_ROBUST)
		sync_robust_done();
	/* not before the release: who is lowered while holding it can be kept from releasing it */
	if (ceiling)
		sync_ceiling_leave(ceiling);
	return 0;
}

void sync_suspend(struct sync_mutex *m, uint32_t tid, struct sync_suspended *s)
{
	uint32_t kind = sync_kind(m);

	s->kind = kind;
	s->depth = m->depth;
	s->ceiling = m->pushed;
	queue(m);
	m->depth = 0;
	m->pushed = 0;
	if (kind & SYNC_ROBUST) {
		if (m->state & SYNC_INCONSISTENT)
			m->state = SYNC_UNRECOVERABLE;
		/* stays pending: the kernel may give it to a thread that is about to end */
		sync_robust_pending(&m->links);
		sync_robust_remove(&m->links);
	}
	release(m, kind, tid);
	if (s->ceiling)
		sync_ceiling_leave(s->ceiling);
}

int sync_resume(struct sync_mutex *m, uint32_t tid, const struct sync_suspended *s, bool given)
{
	int entered = 0, ret = 0;

	if (leave_queue(m) && given)
		take_bit_away(m, tid);
	if (s->ceiling) {
		entered = enter(s->kind);
		if (entered < 0)
			entered = 0;
	}
	/* a wait cannot fail for want of memory: it has to end with the mutex */
	while (!given && (ret = sync_acquire(m, s->kind, tid, NULL)) == -ENOMEM)
		;
	ret = finish(m, s->kind, tid, entered, ret);
	if (!ret || ret == -EOWNERDEAD)
		m->depth = s->depth;
	return ret;
}
