/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inner side of the mutexes: what is in one, and the parts of locking that
 * condition variables need as well.
 *
 * The word is a priority-inheriting futex: 0, or the owner's id with
 * FUTEX_WAITERS and FUTEX_OWNER_DIED. depth, state, pushed and links belong to
 * the owner.
 */
#ifndef RTKVM_SYNC_MUTEX_PRIV_H
#define RTKVM_SYNC_MUTEX_PRIV_H

#include <rtkvm/sync_mutex.h>

#include "ceiling.h"
#include "robust.h"
#include "self.h"

/* kind: constant once initialised, but for the ceiling */
#define SYNC_TYPE 0x3U
#define SYNC_PROTOCOL_SHIFT 4
#define SYNC_PROTOCOL 0x30U
#define SYNC_SHARED 0x100U
#define SYNC_ROBUST 0x200U
#define SYNC_STATS 0x400U
#define SYNC_REALTIME 0x800U /* of condition variables */
#define SYNC_CEILING_SHIFT 16
#define SYNC_CEILING 0xff0000U
#define SYNC_INVALID 0x80000000U

/* With none of these, locking is the exchange of the word and nothing else. */
#define SYNC_NOT_PLAIN (SYNC_PROTOCOL | SYNC_ROBUST | SYNC_INVALID)

/* state */
#define SYNC_INCONSISTENT 1U   /* its owner died, and the present one has not repaired it */
#define SYNC_UNRECOVERABLE 2U  /* nobody has: it cannot be had any more */

struct sync_mutex {
	uint32_t word;
	uint32_t kind;
	uint32_t depth;    /* recursive: how often, but for the first time */
	uint32_t id;       /* for condition variables; 0: none yet */
	uint32_t state;
	uint32_t pushed;   /* the ceiling that its owner has entered; 0: none */
	struct sync_links links;
	uint64_t contended;
	uint32_t retries;
	uint32_t boosts;
	uint32_t queued;   /* threads that the kernel may have in the word's queue, or more */
	uint32_t reserved;
} __attribute__((__may_alias__));

_Static_assert(sizeof(struct sync_mutex) == sizeof(struct rtkvm_mutex), "public size");
_Static_assert((long)offsetof(struct sync_mutex, word) -
		       (long)offsetof(struct sync_mutex, links.next) ==
	       SYNC_ROBUST_OFFSET, "where the kernel looks for the word");

static inline struct sync_mutex *sync_mutex_of(struct rtkvm_mutex *mutex)
{
	return (struct sync_mutex *)(void *)mutex;
}

static inline uint32_t sync_kind(const struct sync_mutex *m)
{
	return __atomic_load_n(&m->kind, __ATOMIC_RELAXED);
}

static inline bool sync_is_shared(uint32_t kind)
{
	return (kind & SYNC_SHARED) != 0;
}

static inline bool sync_is_mine(const struct sync_mutex *m, uint32_t tid)
{
	return (__atomic_load_n(&m->word, __ATOMIC_RELAXED) & FUTEX_TID_MASK) == tid;
}

static inline bool sync_take(struct sync_mutex *m, uint32_t tid)
{
	uint32_t none = 0;

	return __atomic_compare_exchange_n(&m->word, &none, tid, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static inline bool sync_give(struct sync_mutex *m, uint32_t tid)
{
	return __atomic_compare_exchange_n(&m->word, &tid, 0, false, __ATOMIC_RELEASE,
					   __ATOMIC_RELAXED);
}

static inline void sync_count(uint32_t kind, uint32_t *counter)
{
	if (kind & SYNC_STATS)
		__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* When to give up; NULL: never. */
struct sync_until {
	const struct timespec *time;
	bool realtime;
};

/* 0, -EINVAL (another clock, nanoseconds out of range), -ETIMEDOUT (before 1970) */
int sync_until_check(const struct sync_until *until);

/* The word, whoever has it: 0 or an error of futex_lock_pi(). */
int sync_acquire(struct sync_mutex *m, uint32_t kind, uint32_t tid,
		 const struct sync_until *until);

/*
 * After the word has become the caller's: what a dead owner has left, and the
 * robust list. 0, -EOWNERDEAD (it is the caller's), -ENOTRECOVERABLE (it has
 * been given back).
 */
int sync_acquired(struct sync_mutex *m, uint32_t kind, uint32_t tid);

/* Release the word of a mutex that is the caller's. Afterwards it may be gone. */
void sync_release(struct sync_mutex *m, uint32_t kind, uint32_t tid);

/* The id that condition variables know it by; never 0. The caller holds it. */
uint32_t sync_mutex_id(struct sync_mutex *m);
uint32_t sync_new_id(const void *address);

#endif
