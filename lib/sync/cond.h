/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inner side of the condition variable.
 *
 * seq counts signals and broadcasts; the kernel compares its lower half, a
 * thread the whole to know whether it was woken. bind has the number of
 * waiters and the id of the mutex that they wait with; it changes in one step
 * because threads with different mutexes can meet here.
 */
#ifndef RTKVM_SYNC_COND_PRIV_H
#define RTKVM_SYNC_COND_PRIV_H

#include <rtkvm/sync_cond.h>

#include "mutex.h"

#define COND_COUNT 0x3fffffffU  /* of bind: waiters */
#define COND_ENDING 0x80000000U /* of bind: someone waits for the last to leave */

struct sync_cond {
	uint64_t seq;
	uint64_t bind;  /* waiters, and above them the id of their mutex */
	uint64_t join;  /* seq when the last waiter began to wait */
	uint64_t cast;  /* seq of the last broadcast */
	uint32_t kind;
	uint32_t retries;
	uint64_t waits;
	uint64_t wakes;
	uint64_t reserved;
} __attribute__((__may_alias__));

_Static_assert(sizeof(struct sync_cond) == sizeof(struct rtkvm_cond), "public size");

static inline struct sync_cond *sync_cond_of(struct rtkvm_cond *cond)
{
	return (struct sync_cond *)(void *)cond;
}

/* x86 is little-endian: the lower half comes first. */
static inline uint32_t *sync_cond_word(struct sync_cond *c)
{
	return (uint32_t *)(void *)&c->seq;
}

static inline uint32_t *sync_cond_count(struct sync_cond *c)
{
	return (uint32_t *)(void *)&c->bind;
}

#endif
