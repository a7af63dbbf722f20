/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queues: making them, and the producers' side. The consumer's is in
 * queue-pop.c.
 */
#include <string.h>

#include "core/core.h"
#include "queue.h"

void rtkvm_queue_options_init(struct rtkvm_queue_options *options, size_t size)
{
	if (!options)
		return;
	memset(options, 0, size);
	options->size = size;
}

static size_t stride_of(uint32_t item_size)
{
	return (sizeof(struct queue_slot) + item_size + 7) / 8 * 8;
}

size_t rtkvm_queue_bytes(uint32_t capacity, uint32_t item_size)
{
	if (capacity < 2 || capacity > RTKVM_QUEUE_CAPACITY_MAX || (capacity & (capacity - 1)) ||
	    !item_size || item_size > RTKVM_QUEUE_ITEM_MAX)
		return 0;
	return sizeof(struct sync_queue) + (size_t)capacity * stride_of(item_size);
}

static int check(const struct rtkvm_queue *queue, size_t bytes, const struct rtkvm_queue_options *o)
{
	size_t need = rtkvm_queue_bytes(o->capacity, o->item_size);

	if (!need)
		return rtkvm_fail(NULL, EINVAL, "struct rtkvm_queue_options",
				  "capacity is a power of two, item_size at most 65536",
				  "capacity %u, item_size %u", o->capacity, o->item_size);
	if (bytes < need)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_queue_init", "use rtkvm_queue_bytes()",
				  "%zu bytes of memory, and %zu are needed", bytes, need);
	if ((uintptr_t)queue % sizeof(uint64_t))
		return rtkvm_fail(NULL, EINVAL, "rtkvm_queue_init", "align it to 64 bytes",
				  "memory at %p", (const void *)queue);
	if (o->flags & ~(uint32_t)(RTKVM_QUEUE_SHARED | RTKVM_QUEUE_MPSC | RTKVM_QUEUE_STATS) ||
	    o->reserved0)
		return rtkvm_fail(NULL, EINVAL, "struct rtkvm_queue_options",
				  "use RTKVM_QUEUE_* flags", "flags %#x", o->flags);
	if (o->bell && (o->flags & RTKVM_QUEUE_SHARED))
		return rtkvm_fail(NULL, EINVAL, "struct rtkvm_queue_options",
				  "leave bell NULL, or RTKVM_QUEUE_SHARED out",
				  "a descriptor is of one process, and the queue of several");
	return 0;
}

int rtkvm_queue_init(struct rtkvm_queue *queue, size_t bytes,
		     const struct rtkvm_queue_options *options)
{
	struct rtkvm_queue_options o = { .size = sizeof(o) };
	struct sync_queue *q = (struct sync_queue *)queue;
	int err;

	if (!queue || !options)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_queue_init", NULL, "%s is NULL",
				  queue ? "options" : "queue");
	err = rtkvm_options_take(NULL, &o, sizeof(o), sizeof(o), options,
				 "struct rtkvm_queue_options");
	if (!err)
		err = check(queue, bytes, &o);
	if (err < 0)
		return err;
	memset(q, 0, rtkvm_queue_bytes(o.capacity, o.item_size));
	q->flags = o.flags;
	q->item_size = o.item_size;
	q->capacity = o.capacity;
	q->stride = stride_of(o.item_size);
	q->bell = o.bell;
	for (uint64_t pos = 0; pos < o.capacity; pos++)
		queue_slot(q, pos)->seq = pos;
	return 0;
}

/* The position to fill, or false: full. */
static bool claim(struct sync_queue *q, uint64_t *position)
{
	uint64_t pos = __atomic_load_n(&q->tail, __ATOMIC_RELAXED);

	for (;;) {
		int64_t ahead = (int64_t)(queue_seq(q, pos) - pos);

		if (ahead < 0)
			return false; /* not yet taken since the last round */
		if (ahead > 0) {
			pos = __atomic_load_n(&q->tail, __ATOMIC_RELAXED);
			continue;
		}
		if (!(q->flags & RTKVM_QUEUE_MPSC)) {
			__atomic_store_n(&q->tail, pos + 1, __ATOMIC_RELEASE);
			break;
		}
		if (__atomic_compare_exchange_n(&q->tail, &pos, pos + 1, true, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			break;
	}
	*position = pos;
	return true;
}

static void ring(struct sync_queue *q)
{
	if (!__atomic_exchange_n(&q->armed, 0, __ATOMIC_SEQ_CST))
		return; /* another producer was faster */
	queue_count(q, &q->rings);
	if (q->bell)
		rtkvm_event_fd_set(q->bell);
	else
		futex_wake(&q->armed, 1, q->flags & RTKVM_QUEUE_SHARED);
}

int rtkvm_queue_push(struct rtkvm_queue *queue, const void *item)
{
	struct sync_queue *q = (struct sync_queue *)queue;
	struct queue_slot *slot;
	uint64_t pos;

	if (!queue || !item)
		return -EINVAL;
	if (!claim(q, &pos)) {
		queue_count(q, &q->overflows);
		return -ENOSPC;
	}
	slot = queue_slot(q, pos);
	memcpy(slot->item, item, q->item_size);
	queue_count(q, &q->pushes);
	/* filled before "armed" is looked at; the consumer does it the other way round */
	__atomic_exchange_n(&slot->seq, pos + 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&q->armed, __ATOMIC_SEQ_CST))
		ring(q);
	return 0;
}

int rtkvm_queue_get_stats(const struct rtkvm_queue *queue, struct rtkvm_queue_stats *stats)
{
	const struct sync_queue *q = (const struct sync_queue *)queue;
	struct rtkvm_queue_stats s = { .size = sizeof(s) };

	if (!queue || !stats)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_queue_get_stats", NULL, "NULL");
	/* in the order that keeps "rings" from being ahead of "waits" */
	s.rings = __atomic_load_n(&q->rings, __ATOMIC_ACQUIRE);
	s.waits = __atomic_load_n(&q->waits, __ATOMIC_ACQUIRE);
	s.pushes = __atomic_load_n(&q->pushes, __ATOMIC_RELAXED);
	s.overflows = __atomic_load_n(&q->overflows, __ATOMIC_RELAXED);
	s.passed = __atomic_load_n(&q->passed, __ATOMIC_RELAXED);
	return rtkvm_struct_give(NULL, stats, &s, sizeof(s), sizeof(s), "struct rtkvm_queue_stats");
}
