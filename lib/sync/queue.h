/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A queue from inside. Each place of the ring has a sequence number that says
 * what it is, for the position pos that it stands for at this time (positions
 * count up for ever, the place is pos modulo capacity):
 *
 *   pos               free, or claimed by a producer that is not done yet
 *   pos + 1           filled
 *   pos + capacity    taken: free for the next round
 */
#ifndef RTKVM_SYNC_QUEUE_PRIV_H
#define RTKVM_SYNC_QUEUE_PRIV_H

#include <rtkvm/sync_queue.h>

#include "futex.h"
#include "until.h"

struct __attribute__((may_alias)) sync_queue {
	/* as made */
	uint32_t flags;
	uint32_t item_size;
	uint64_t capacity;
	uint64_t stride;
	struct rtkvm_event_fd *bell;
	uint64_t unused0[4];
	/* the producers' line */
	uint64_t tail; /* next position to claim */
	uint64_t pushes, overflows, rings;
	uint64_t unused1[4];
	/* the consumer's */
	uint64_t head;   /* the first that is not taken */
	uint64_t beyond; /* how many behind it are */
	uint64_t waits, passed;
	uint64_t unused2[4];
	/* of both, when the consumer waits */
	uint32_t armed; /* the futex; 1: to be rung */
	uint32_t unused3;
	uint64_t unused4[7];
	uint64_t reserved[16];
	/* the ring follows */
};
_Static_assert(sizeof(struct sync_queue) == sizeof(struct rtkvm_queue), "size of a queue");

struct __attribute__((may_alias)) queue_slot {
	uint64_t seq;
	unsigned char item[];
};

static inline struct queue_slot *queue_slot(struct sync_queue *q, uint64_t pos)
{
	return (void *)((unsigned char *)(q + 1) + (pos & (q->capacity - 1)) * q->stride);
}

static inline uint64_t queue_seq(struct sync_queue *q, uint64_t pos)
{
	return __atomic_load_n(&queue_slot(q, pos)->seq, __ATOMIC_ACQUIRE);
}

static inline void queue_count(struct sync_queue *q, uint64_t *counter)
{
	sync_count(q->flags & RTKVM_QUEUE_STATS, counter);
}

#endif
