/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queues: the consumer's side. Finding what is filled, also behind a place
 * whose producer is not done; and waiting without missing anything.
 */
#include <string.h>

#include "queue.h"

/*
 * The first filled position before end. Positions that are not filled belong
 * to producers which are not done, or are taken.
 */
static bool find_before(struct sync_queue *q, uint64_t end, uint64_t *position)
{
	for (uint64_t pos = q->head; pos < end; pos++) {
		if (queue_seq(q, pos) == pos + 1) {
			*position = pos;
			return true;
		}
	}
	return false;
}

/*
 * The position to take. Past unfinished ones the search is repeated until
 * nothing earlier turns up: whoever filled the one that was found has filled
 * its own earlier ones before, so they are seen by then, and its order is kept.
 */
static bool find(struct sync_queue *q, uint64_t *position)
{
	uint64_t tail;

	if (sync_likely(queue_seq(q, q->head) == q->head + 1)) {
		*position = q->head;
		return true;
	}
	tail = __atomic_load_n(&q->tail, __ATOMIC_SEQ_CST);
	if (tail == q->head || !(q->flags & RTKVM_QUEUE_MPSC) || !find_before(q, tail, position))
		return false;
	while (find_before(q, *position, position))
		;
	return true;
}

/*
 * Where head goes when its place is taken. To be known before the place is
 * free: until then no producer gets around the ring and past it.
 */
static uint64_t next_head(struct sync_queue *q)
{
	uint64_t pos = q->head + 1;

	while (q->beyond && queue_seq(q, pos) == pos + q->capacity) {
		q->beyond--;
		pos++;
	}
	return pos;
}

static bool pop(struct sync_queue *q, void *item)
{
	struct queue_slot *slot;
	uint64_t pos;

	if (!find(q, &pos))
		return false;
	slot = queue_slot(q, pos);
	memcpy(item, slot->item, q->item_size);
	if (sync_likely(pos == q->head)) {
		q->head = next_head(q);
	} else {
		q->beyond++;
		queue_count(q, &q->passed);
	}
	__atomic_store_n(&slot->seq, pos + q->capacity, __ATOMIC_RELEASE);
	return true;
}

int rtkvm_queue_pop(struct rtkvm_queue *queue, void *item)
{
	if (!queue || !item)
		return -EINVAL;
	return pop((struct sync_queue *)queue, item) ? 0 : -EAGAIN;
}

int rtkvm_queue_pop_wait(struct rtkvm_queue *queue, void *item, clockid_t clock,
			 const struct timespec *until)
{
	struct sync_queue *q = (struct sync_queue *)queue;
	struct sync_until u;
	uint64_t pos;
	int err;

	if (!queue || !item || q->bell || sync_until_set(&u, clock, until) < 0)
		return -EINVAL;
	for (;;) {
		if (pop(q, item))
			return 0;
		err = 0;
		queue_count(q, &q->waits);
		__atomic_exchange_n(&q->armed, 1, __ATOMIC_SEQ_CST);
		if (!find(q, &pos))
			err = futex_wait(&q->armed, 1, u.time, u.realtime,
					 q->flags & RTKVM_QUEUE_SHARED);
		__atomic_store_n(&q->armed, 0, __ATOMIC_SEQ_CST);
		if (err == -ETIMEDOUT || err == -EINVAL || err == -EFAULT)
			return pop(q, item) ? 0 : err;
	}
}

int rtkvm_queue_arm(struct rtkvm_queue *queue)
{
	struct sync_queue *q = (struct sync_queue *)queue;
	uint64_t pos;

	if (!queue || !q->bell)
		return -EINVAL;
	/* always: a producer may have been about to ring when it was taken before */
	rtkvm_event_fd_take(q->bell);
	queue_count(q, &q->waits);
	__atomic_exchange_n(&q->armed, 1, __ATOMIC_SEQ_CST);
	if (!find(q, &pos))
		return 0;
	/* if a producer was faster, it rings: the next call takes that */
	__atomic_exchange_n(&q->armed, 0, __ATOMIC_SEQ_CST);
	return -EAGAIN;
}
