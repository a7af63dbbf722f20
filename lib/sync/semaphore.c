/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Semaphores: free tokens, waiters, and (with hand-off) tokens that are given
 * to a sleeper and are no longer free.
 *
 * Without hand-off a post frees a token and wakes the first sleeper, as POSIX
 * semaphores do. With hand-off the wake-up is the token: a post that finds
 * waiters grants first and wakes then. FUTEX_WAKE says whether somebody slept;
 * only who was woken may take a grant. If nobody slept yet the grant is
 * withdrawn and the token becomes a free one, for which waiters look before
 * they sleep. Tokens are counted, so that a stray wake-up (futex(2) allows
 * them) makes none and loses none.
 */
#include <string.h>

#include <rtkvm/sync_event.h>

#include "core/core.h"
#include "futex.h"
#include "until.h"

#define KNOWN (RTKVM_SEMAPHORE_SHARED | RTKVM_SEMAPHORE_HANDOFF | RTKVM_SEMAPHORE_STATS)

struct __attribute__((may_alias)) sync_semaphore {
	uint32_t free; /* tokens */
	uint32_t waiters;
	uint32_t posts_seen; /* the futex: changes with each post that finds waiters */
	uint32_t granted;    /* tokens on their way to a sleeper */
	uint32_t flags;
	uint32_t unused;
	uint64_t posts, wakes, handoffs, sleeps;
	uint64_t reserved[9];
};
_Static_assert(sizeof(struct sync_semaphore) == sizeof(struct rtkvm_semaphore),
	       "size of a semaphore");

void rtkvm_semaphore_options_init(struct rtkvm_semaphore_options *options, size_t size)
{
	if (!options)
		return;
	memset(options, 0, size);
	options->size = size;
}

int rtkvm_semaphore_init(struct rtkvm_semaphore *semaphore,
			 const struct rtkvm_semaphore_options *options)
{
	struct rtkvm_semaphore_options o = { .size = sizeof(o) };
	struct sync_semaphore *s = (struct sync_semaphore *)semaphore;

	if (!semaphore)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_semaphore_init", NULL, "semaphore is NULL");
	if (options) {
		int err = rtkvm_options_take(NULL, &o, sizeof(o), sizeof(o), options,
					     "struct rtkvm_semaphore_options");
		if (err < 0)
			return err;
	}
	if (o.flags & ~(uint32_t)KNOWN || o.value > RTKVM_SEMAPHORE_MAX)
		return rtkvm_fail(NULL, EINVAL, "struct rtkvm_semaphore_options",
				  "use RTKVM_SEMAPHORE_* flags, and at most RTKVM_SEMAPHORE_MAX",
				  "flags %#x, value %u", o.flags, o.value);
	memset(s, 0, sizeof(*s));
	s->flags = o.flags;
	s->free = o.value;
	return 0;
}

/* One less, if there is one. */
static bool decrement(uint32_t *counter)
{
	uint32_t n = __atomic_load_n(counter, __ATOMIC_SEQ_CST);

	while (n)
		if (__atomic_compare_exchange_n(counter, &n, n - 1, true, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return true;
	return false;
}

static bool increment(uint32_t *counter)
{
	uint32_t n = __atomic_load_n(counter, __ATOMIC_SEQ_CST);

	while (n < RTKVM_SEMAPHORE_MAX)
		if (__atomic_compare_exchange_n(counter, &n, n + 1, true, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return true;
	return false;
}

static int wake_one(struct sync_semaphore *s)
{
	sync_count(s->flags & RTKVM_SEMAPHORE_STATS, &s->wakes);
	__atomic_fetch_add(&s->posts_seen, 1, __ATOMIC_SEQ_CST);
	return futex_wake(&s->posts_seen, 1, s->flags & RTKVM_SEMAPHORE_SHARED);
}

/*
 * True: a waiter has the token. False: nobody slept, the token is still ours.
 *
 * The grant may be gone although nobody was asleep: whom another post woke,
 * for a token that is free, came by and took it. Then that token is still
 * free, and its wake-up is spent: somebody else must look.
 */
static bool hand_off(struct sync_semaphore *s)
{
	__atomic_fetch_add(&s->granted, 1, __ATOMIC_SEQ_CST);
	if (wake_one(s) <= 0) {
		if (decrement(&s->granted))
			return false;
		if (__atomic_load_n(&s->waiters, __ATOMIC_SEQ_CST))
			wake_one(s);
	}
	sync_count(s->flags & RTKVM_SEMAPHORE_STATS, &s->handoffs);
	return true;
}

int rtkvm_semaphore_post(struct rtkvm_semaphore *semaphore)
{
	struct sync_semaphore *s = (struct sync_semaphore *)semaphore;

	if (!semaphore)
		return -EINVAL;
	sync_tsan_release(s);
	if (!(s->flags & RTKVM_SEMAPHORE_HANDOFF) ||
	    !__atomic_load_n(&s->waiters, __ATOMIC_SEQ_CST) || !hand_off(s)) {
		if (!increment(&s->free))
			return -EOVERFLOW;
		/* somebody may have gone to sleep before the token was free */
		if (__atomic_load_n(&s->waiters, __ATOMIC_SEQ_CST))
			wake_one(s);
	}
	sync_count(s->flags & RTKVM_SEMAPHORE_STATS, &s->posts);
	return 0;
}

static int wait_token(struct sync_semaphore *s, const struct sync_until *until)
{
	for (;;) {
		uint32_t seen = __atomic_load_n(&s->posts_seen, __ATOMIC_SEQ_CST);
		int err;

		if (decrement(&s->free))
			return 0;
		sync_count(s->flags & RTKVM_SEMAPHORE_STATS, &s->sleeps);
		err = futex_wait(&s->posts_seen, seen, until->time, until->realtime,
				 s->flags & RTKVM_SEMAPHORE_SHARED);
		if (err == 0 && (s->flags & RTKVM_SEMAPHORE_HANDOFF) && decrement(&s->granted))
			return 0;
		if (err == -ETIMEDOUT || err == -EINVAL || err == -EFAULT)
			return decrement(&s->free) ? 0 : err;
	}
}

int rtkvm_semaphore_wait(struct rtkvm_semaphore *semaphore, clockid_t clock,
			 const struct timespec *until)
{
	struct sync_semaphore *s = (struct sync_semaphore *)semaphore;
	struct sync_until u;
	int err;

	if (!semaphore || sync_until_set(&u, clock, until) < 0)
		return -EINVAL;
	err = rtkvm_semaphore_trywait(semaphore);
	if (err == -EAGAIN) {
		__atomic_fetch_add(&s->waiters, 1, __ATOMIC_SEQ_CST);
		err = wait_token(s, &u);
		__atomic_fetch_sub(&s->waiters, 1, __ATOMIC_SEQ_CST);
		sync_tsan_acquire(s);
	}
	return err;
}

int rtkvm_semaphore_trywait(struct rtkvm_semaphore *semaphore)
{
	struct sync_semaphore *s = (struct sync_semaphore *)semaphore;

	if (!semaphore)
		return -EINVAL;
	/* who waits comes first */
	if ((s->flags & RTKVM_SEMAPHORE_HANDOFF) && __atomic_load_n(&s->waiters, __ATOMIC_SEQ_CST))
		return -EAGAIN;
	if (!decrement(&s->free))
		return -EAGAIN;
	sync_tsan_acquire(s);
	return 0;
}

int rtkvm_semaphore_value(const struct rtkvm_semaphore *semaphore)
{
	const struct sync_semaphore *s = (const struct sync_semaphore *)semaphore;

	return semaphore ? (int)__atomic_load_n(&s->free, __ATOMIC_ACQUIRE) : 0;
}

int rtkvm_semaphore_get_stats(const struct rtkvm_semaphore *semaphore,
			      struct rtkvm_semaphore_stats *stats)
{
	const struct sync_semaphore *s = (const struct sync_semaphore *)semaphore;
	struct rtkvm_semaphore_stats out = { .size = sizeof(out) };

	if (!semaphore || !stats)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_semaphore_get_stats", NULL, "NULL");
	out.posts = __atomic_load_n(&s->posts, __ATOMIC_RELAXED);
	out.wakes = __atomic_load_n(&s->wakes, __ATOMIC_RELAXED);
	out.handoffs = __atomic_load_n(&s->handoffs, __ATOMIC_RELAXED);
	out.sleeps = __atomic_load_n(&s->sleeps, __ATOMIC_RELAXED);
	return rtkvm_struct_give(NULL, stats, &out, sizeof(out), sizeof(out),
				 "struct rtkvm_semaphore_stats");
}
