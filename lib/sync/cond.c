/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting and waking.
 *
 * A waiter notes seq, unlocks, and sleeps if seq is still the same. A signal
 * raises seq and has the kernel hand the first sleeper over to the mutex. So a
 * waiter between unlocking and sleeping is woken by the comparison, one that
 * sleeps by the hand-over, and one whose time ran out meanwhile finds another
 * seq: it was signalled, and must not say otherwise.
 *
 * The labels W1 to W6 and S1 to S4 are those of the model
 * (tests/sync/model/mutex-cond.pml).
 */
#include "cond.h"
#include "mutex-slow.h"

/* One waiter more. 0, -EINVAL (they wait with another mutex), -EAGAIN (too many) */
static int join(struct sync_cond *c, uint32_t id)
{
	uint64_t old = __atomic_load_n(&c->bind, __ATOMIC_RELAXED), new;

	do {
		uint32_t count = (uint32_t)old & COND_COUNT;

		if (count && old >> 32 != id)
			return -EINVAL;
		if (count == COND_COUNT)
			return -EAGAIN;
		new = ((uint64_t)id << 32) | (count + 1);
	} while (!__atomic_compare_exchange_n(&c->bind, &old, new, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	return 0;
}

/* Nothing of the condition variable is touched after this, but its address. */
static void leave(struct sync_cond *c, bool shared)
{
	uint64_t left = __atomic_sub_fetch(&c->bind, 1, __ATOMIC_SEQ_CST);

	if (sync_unlikely((uint32_t)left == COND_ENDING))
		futex_wake(sync_cond_count(c), INT_MAX, shared);
}

static int check(const struct sync_cond *c, const struct sync_mutex *m, uint32_t tid)
{
	uint32_t kind;

	if (!c || !m)
		return -EINVAL;
	kind = sync_kind(m);
	if ((kind | c->kind) & SYNC_INVALID || (kind ^ c->kind) & SYNC_SHARED)
		return -EINVAL;
	return sync_is_mine(m, tid) ? 0 : -EPERM;
}

/*
 * One sleep, for a wait that began at seq: 0 (woken), -ETIMEDOUT, -EAGAIN
 * (neither), and errors of the mutex.
 */
static int sleep_once(struct sync_cond *c, struct sync_mutex *m, uint32_t tid, uint64_t seq,
		      const struct sync_until *until)
{
	bool shared = sync_is_shared(c->kind);
	struct sync_suspended suspended;
	int slept, ret;

	/* W3 */
	sync_suspend(m, tid, &suspended);
	/* W4 */
	slept = futex_wait_requeue_pi(sync_cond_word(c), (uint32_t)seq, until->time,
				      until->realtime, &m->word, shared);
	if (!slept)
		sync_tsan_acquire(&m->word);
#ifdef RTKVM_MUTANT_NO_OWNER_CHECK
	if (slept < 0)
		__atomic_store_n(&m->word, tid, __ATOMIC_RELAXED);
	ret = sync_resume(m, tid, &suspended, true);
#else
	/* W5 */
	ret = sync_resume(m, tid, &suspended, slept == 0);
#endif
	if (ret < 0)
		return ret;
	/* W6 */
#ifndef RTKVM_MUTANT_NO_SEQ_CHECK
	if (__atomic_load_n(&c->seq, __ATOMIC_SEQ_CST) != seq)
		return 0;
#endif
	if (c->kind & SYNC_STATS && slept < 0 && slept != -ETIMEDOUT)
		__atomic_fetch_add(&c->retries, 1, __ATOMIC_RELAXED);
	return slept;
}

static int wait_until(struct sync_cond *c, struct sync_mutex *m, const struct sync_until *until)
{
	uint32_t tid = sync_tid();
	uint64_t seq;
	bool shared;
	int ret;

	ret = check(c, m, tid);
	if (ret < 0)
		return ret;
	ret = sync_until_check(until);
	if (ret < 0)
		return ret;
	/* W1 */
	ret = join(c, sync_mutex_id(m));
	if (ret < 0)
		return ret;
	/*
	 * W2: once. Were it noted anew for each sleep, a signal without the
	 * mutex that came after the last look at it would be lost.
	 */
	seq = __atomic_load_n(&c->seq, __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->join, seq, __ATOMIC_RELAXED);
	shared = sync_is_shared(c->kind);
	if (c->kind & SYNC_STATS)
		__atomic_fetch_add(&c->waits, 1, __ATOMIC_RELAXED);
	do {
		ret = sleep_once(c, m, tid, seq, until);
#ifdef RTKVM_MUTANT_NO_SEQ_CHECK
		seq = __atomic_load_n(&c->seq, __ATOMIC_SEQ_CST);
#endif
	} while (ret == -EAGAIN || ret == -EINTR);
	leave(c, shared);
	return ret;
}

int rtkvm_cond_wait(struct rtkvm_cond *cond, struct rtkvm_mutex *mutex)
{
	struct sync_until until = { .time = NULL };

	return wait_until(sync_cond_of(cond), sync_mutex_of(mutex), &until);
}

int rtkvm_cond_clockwait(struct rtkvm_cond *cond, struct rtkvm_mutex *mutex, int clock,
			 const struct timespec *time)
{
	struct sync_until until = { .time = time, .realtime = clock == CLOCK_REALTIME };

	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return -EINVAL;
	return wait_until(sync_cond_of(cond), sync_mutex_of(mutex), &until);
}

int rtkvm_cond_timedwait(struct rtkvm_cond *cond, struct rtkvm_mutex *mutex,
			 const struct timespec *time)
{
	struct sync_cond *c = sync_cond_of(cond);
	struct sync_until until = { .time = time };

	until.realtime = c && c->kind & SYNC_REALTIME;
	return wait_until(c, sync_mutex_of(mutex), &until);
}

/* The rest of a wake-up when there are waiters; more: how many besides the first. */
static int wake(struct sync_cond *c, struct sync_mutex *m, int more)
{
	bool shared = sync_is_shared(c->kind);
	uint64_t seq;
	int ret;

	if (c->kind & SYNC_STATS)
		__atomic_fetch_add(&c->wakes, 1, __ATOMIC_RELAXED);
	sync_tsan_release(&m->word);
	/* S2 */
	seq = __atomic_add_fetch(&c->seq, 1, __ATOMIC_SEQ_CST);
	if (more)
		__atomic_store_n(&c->cast, seq, __ATOMIC_RELAXED);
	for (;;) {
		/* S3 */
		ret = futex_cmp_requeue_pi(sync_cond_word(c), (uint32_t)seq, more, &m->word,
					   shared);
		if (ret != -EAGAIN && ret != -EINTR)
			return ret < 0 ? ret : 0;
		/*
		 * S4: another signal has raised seq in between. Each time that
		 * this one has to try again another has succeeded.
		 */
		if (c->kind & SYNC_STATS)
			__atomic_fetch_add(&c->retries, 1, __ATOMIC_RELAXED);
		seq = __atomic_load_n(&c->seq, __ATOMIC_SEQ_CST);
	}
}

static inline int wake_if_any(struct rtkvm_cond *cond, struct rtkvm_mutex *mutex, int more)
{
	struct sync_cond *c = sync_cond_of(cond);
	struct sync_mutex *m = sync_mutex_of(mutex);
	uint64_t bind;

	if (sync_unlikely(!c || !m || (c->kind | sync_kind(m)) & SYNC_INVALID))
		return -EINVAL;
	/* S1 */
	bind = __atomic_load_n(&c->bind, __ATOMIC_SEQ_CST);
	if (sync_likely(!((uint32_t)bind & COND_COUNT)))
		return 0;
	if (sync_unlikely(bind >> 32 != __atomic_load_n(&m->id, __ATOMIC_RELAXED)))
		return -EINVAL;
	return wake(c, m, more);
}

int rtkvm_cond_signal(struct rtkvm_cond *cond, struct rtkvm_mutex *mutex)
{
	return wake_if_any(cond, mutex, 0);
}

int rtkvm_cond_broadcast(struct rtkvm_cond *cond, struct rtkvm_mutex *mutex)
{
	return wake_if_any(cond, mutex, INT_MAX);
}
