/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file sync_queue.h
 * Bounded queues of items of a fixed size, from one producer (SPSC) or several
 * (MPSC) to one consumer, without a lock.
 *
 * A producer never waits: a full queue is a result, -ENOSPC. The consumer takes
 * what is there, or sleeps until there is something, or arms the queue's bell and
 * goes to poll(2). Producers ring once when the consumer sleeps or has armed, that
 * is, once per change from empty to not empty that somebody waits for; a consumer
 * that is busy costs them no system call.
 *
 * A producer that is preempted, or interrupted by a signal, in the middle of a push
 * keeps nobody else's items from the consumer: it passes over the unfinished one.
 * So a producer of low priority does not hold up those of high priority, as it does
 * with other rings of this kind. The items of one producer stay in their order;
 * between producers there is none.
 *
 * A queue is in memory of the caller, of rtkvm_queue_bytes(), and has no pointers
 * in it (but the bell): with RTKVM_QUEUE_SHARED the producers and the consumer may
 * be in several processes that map it, at whatever addresses. There is nothing to
 * free. A process that is killed in the middle of a push leaves an item that never
 * gets finished: the queue works on, until it is full because that place does not
 * become free.
 */
#ifndef RTKVM_SYNC_QUEUE_H
#define RTKVM_SYNC_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <rtkvm/sync_event.h>
#include <rtkvm/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The beginning of a queue; the items follow it. Opaque. Allocate
 * rtkvm_queue_bytes(), aligned to 8 bytes; to 64 it is faster.
 */
struct rtkvm_queue {
	uint64_t opaque[48]; /**< the library's */
};

/** Flags of struct rtkvm_queue_options. */
enum {
	RTKVM_QUEUE_SHARED = 1, /**< for several processes, in memory that they share */
	RTKVM_QUEUE_MPSC = 2,   /**< several producers; else one at a time */
	RTKVM_QUEUE_STATS = 4   /**< count, see rtkvm_queue_get_stats() */
};

/** Most items of a queue. */
#define RTKVM_QUEUE_CAPACITY_MAX (UINT32_C(1) << 24)

/** Largest item. bytes */
#define RTKVM_QUEUE_ITEM_MAX UINT32_C(65536)

/** Options of rtkvm_queue_init(). Initialise with rtkvm_queue_options_init(). */
struct rtkvm_queue_options {
	size_t size;        /**< set by rtkvm_queue_options_init() */
	uint32_t flags;     /**< RTKVM_QUEUE_*; default 0 */
	uint32_t capacity;  /**< items, a power of two from 2 to RTKVM_QUEUE_CAPACITY_MAX */
	uint32_t item_size; /**< bytes, 1 to RTKVM_QUEUE_ITEM_MAX */
	uint32_t reserved0; /**< 0 */
	struct rtkvm_event_fd *bell; /**< for a consumer that sits in poll(2), see
			     *   rtkvm_queue_arm(); it must outlive the queue. Not with
			     *   RTKVM_QUEUE_SHARED. Default NULL */
	uint64_t reserved[4]; /**< 0 */
};

/** Figures of a queue that was made with RTKVM_QUEUE_STATS, else 0. */
struct rtkvm_queue_stats {
	size_t size;          /**< sizeof(struct rtkvm_queue_stats), set by the caller */
	uint64_t pushes;      /**< items queued */
	uint64_t overflows;   /**< items refused, because the queue was full */
	uint64_t waits;       /**< times that the consumer found it empty and waited or armed */
	uint64_t rings;       /**< times that a producer rang; never more than waits */
	uint64_t passed;      /**< items taken past an unfinished one */
	uint64_t reserved[4]; /**< 0 */
};

/**
 * Fill in the defaults of an option struct.
 *
 * @param options the struct; NULL is ignored
 * @param size sizeof(struct rtkvm_queue_options) as the caller was compiled
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API void rtkvm_queue_options_init(struct rtkvm_queue_options *options, size_t size);

/**
 * Memory that a queue needs.
 *
 * @param capacity items, as in the options
 * @param item_size bytes, as in the options
 * @return bytes; 0: one of them is out of range
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API size_t rtkvm_queue_bytes(uint32_t capacity, uint32_t item_size);

/**
 * Initialise a queue. All of its memory is written.
 *
 * @param queue the object; must not be in use
 * @param bytes memory there, at least rtkvm_queue_bytes()
 * @param options capacity and item_size must be set
 * @return 0, or
 *         - -EINVAL: an argument is NULL or not aligned to 8 bytes, too little memory,
 *           a flag is unknown, capacity or item_size is out of range, a bell on a
 *           shared queue, or options were not initialised
 *         - -E2BIG: options are newer than the library
 *
 * RT class: set-up. Thread safety: nobody may use the object meanwhile.
 */
RTKVM_API int rtkvm_queue_init(struct rtkvm_queue *queue, size_t bytes,
			       const struct rtkvm_queue_options *options);

/**
 * Queue an item.
 *
 * @param queue the object
 * @param item item_size bytes, copied
 * @return 0, or
 *         - -ENOSPC: the queue is full; the item was not queued
 *         - -EINVAL: an argument is NULL
 *
 * RT class: RT-safe; futex(FUTEX_WAKE), or write(2) on the bell, if the consumer
 * waits, else no system call. Thread safety: MPSC: any thread, any signal handler;
 * else one thread at a time, and not in a signal handler that may interrupt it
 * here. errno is left alone.
 */
RTKVM_API int rtkvm_queue_push(struct rtkvm_queue *queue, const void *item);

/**
 * Take an item.
 *
 * @param queue the object
 * @param item receives item_size bytes
 * @return 0, or
 *         - -EAGAIN: the queue is empty
 *         - -EINVAL: an argument is NULL
 *
 * Constant time; while a push is unfinished, in the order of the number of items.
 *
 * RT class: RT-safe, no system call. Thread safety: one thread at a time, the
 * consumer.
 */
RTKVM_API int rtkvm_queue_pop(struct rtkvm_queue *queue, void *item);

/**
 * Take an item; wait for one.
 *
 * @param queue the object, without a bell
 * @param item receives item_size bytes
 * @param clock CLOCK_MONOTONIC or CLOCK_REALTIME; not looked at when until is NULL
 * @param until absolute time; NULL: for ever
 * @return 0, or
 *         - -ETIMEDOUT: the time is over and the queue is empty
 *         - -EINVAL: an argument is NULL, another clock, no valid time, or the
 *           queue has a bell
 *
 * A signal does not end the wait.
 *
 * RT class: RT-safe; no system call if there is an item, else futex(FUTEX_WAIT).
 * Thread safety: one thread at a time, the consumer.
 */
RTKVM_API int rtkvm_queue_pop_wait(struct rtkvm_queue *queue, void *item, clockid_t clock,
				   const struct timespec *until);

/**
 * Have the bell rung at the next push. To be called before poll(2), when pop said
 * that the queue is empty:
 *
 *     for (;;) {
 *             while (rtkvm_queue_pop(queue, &item) == 0)
 *                     handle(&item);
 *             if (rtkvm_queue_arm(queue) == 0)
 *                     poll(fds, count, -1);
 *     }
 *
 * An earlier ring is taken from the bell.
 *
 * @param queue the object, with a bell
 * @return 0, or
 *         - -EAGAIN: there is an item; the queue is not armed
 *         - -EINVAL: queue is NULL or has no bell
 *
 * RT class: RT-safe; read(2) on the bell, which does not block. Thread safety: one thread at a
 * time, the consumer.
 */
RTKVM_API int rtkvm_queue_arm(struct rtkvm_queue *queue);

/**
 * Read the figures.
 *
 * @param queue the object
 * @param stats receives them; its size must have been set
 * @return 0, or -EINVAL: an argument is NULL, or size is none of this struct
 *
 * RT class: set-up. Thread safety: any thread; the figures are each right, and
 * may be of different moments.
 */
RTKVM_API int rtkvm_queue_get_stats(const struct rtkvm_queue *queue,
				    struct rtkvm_queue_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
