/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file sync_cond.h
 * Condition variable for all mutexes of sync_mutex.h.
 *
 * It has no lock inside that could be held by a thread of low priority. Woken
 * threads are handed over to the mutex by the kernel: a thread that is woken
 * while the mutex is held waits for the mutex and thereby raises its owner.
 *
 * - A signal without a waiter is no system call.
 * - Signal and broadcast name the mutex that the waiters wait with. They may be
 *   called with or without holding it; not a wake-up is lost if what is waited
 *   for was changed under the mutex before. Without it is cheaper (a system
 *   call less for the caller and one less for the woken thread); with it, what
 *   the caller still does before unlocking is done at the woken thread's
 *   priority.
 * - A signal wakes the waiter that had the highest priority when it began to
 *   wait, those of equal priority in the order of waiting. After a broadcast
 *   threads get the mutex in the order of the priorities that they then have.
 * - A wait may return 0 without a signal; look again at what is waited for.
 *   It never returns -ETIMEDOUT for a thread that was signalled before.
 * - While threads wait, the condition variable belongs to their mutex.
 */
#ifndef RTKVM_SYNC_COND_H
#define RTKVM_SYNC_COND_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <rtkvm/sync_mutex.h>
#include <rtkvm/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Flags of a condition variable. */
enum {
	RTKVM_COND_SHARED = 1, /**< may be used by several processes, with mutexes that may */
	RTKVM_COND_STATS = 4   /**< counts (rtkvm_cond_get_stats()) */
};

/** A condition variable. What is in it is the library's business. */
struct rtkvm_cond {
	uint64_t opaque[8]; /**< all 0: CLOCK_MONOTONIC, no flag */
};

/** Initialiser of a struct rtkvm_cond in static storage; zeroed memory is the same. */
#define RTKVM_COND_INIT { { 0, 0, 0, 0, 0, 0, 0, 0 } }

/** Options of rtkvm_cond_init(). Always initialise with rtkvm_cond_options_init(). */
struct rtkvm_cond_options {
	size_t size;    /**< set by rtkvm_cond_options_init() */
	int32_t clock;  /**< CLOCK_MONOTONIC (default) or CLOCK_REALTIME, for
			 *   rtkvm_cond_timedwait() */
	uint32_t flags; /**< RTKVM_COND_SHARED and others */
	uint64_t reserved[4]; /**< 0 */
};

/** What a condition variable with RTKVM_COND_STATS has counted. */
struct rtkvm_cond_stats {
	size_t size;      /**< sizeof(struct rtkvm_cond_stats), set by the caller */
	uint64_t waits;   /**< times that a thread went to sleep */
	uint64_t wakes;   /**< signals and broadcasts that found a waiter */
	uint64_t retries; /**< times that a signal or a wait had to ask the kernel again */
	uint64_t reserved[4]; /**< 0 */
};

/**
 * Fill in the defaults of an option struct.
 *
 * @param options the struct; NULL is ignored
 * @param size sizeof(struct rtkvm_cond_options) as the caller was compiled
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API void rtkvm_cond_options_init(struct rtkvm_cond_options *options, size_t size);

/**
 * Initialise a condition variable.
 *
 * @param cond the memory, of any content
 * @param options what to do differently from the defaults; NULL for those
 * @return 0, or
 *         - -EINVAL: cond is NULL, the clock or a flag is unknown, or the
 *           struct was not initialised
 *         - -E2BIG: the option struct is newer than the library
 *
 * RT class: set-up. Thread safety: no other thread may use it.
 */
RTKVM_API int rtkvm_cond_init(struct rtkvm_cond *cond, const struct rtkvm_cond_options *options);

/**
 * End a condition variable. Threads that were woken, but are still on their
 * way out of their wait, are waited for; so the caller must not hold their
 * mutex.
 *
 * @param cond the condition variable
 * @return 0, -EINVAL (NULL, or not one), -EBUSY (threads wait that nobody woke)
 *
 * RT class: set-up. Thread safety: no thread may begin to wait or signal.
 */
RTKVM_API int rtkvm_cond_destroy(struct rtkvm_cond *cond);

/**
 * Unlock the mutex, wait to be woken, and lock the mutex again.
 *
 * A recursive mutex is unlocked entirely, and is afterwards locked as often
 * as before. A ceiling is left before sleeping. When it is taken up again the
 * thread holds the mutex already, and is raised at once; when it may not be
 * raised any more it goes on without.
 *
 * @param cond the condition variable
 * @param mutex a mutex that the caller holds
 * @return 0, or
 *         - -EPERM: the caller does not hold the mutex
 *         - -EINVAL: NULL, not initialised, threads wait with another mutex,
 *           or only one of the two is shared
 *         - -EOWNERDEAD: as rtkvm_mutex_lock(); the caller holds the mutex
 *         - -ENOTRECOVERABLE: as rtkvm_mutex_lock(); the caller does not hold
 *           the mutex
 *         - -ESRCH, -EDEADLK: as rtkvm_mutex_lock(), when the mutex was to be had
 *           again; the caller does not hold it
 *         - -EAGAIN: more than 2^30 waiters
 *         - -ENOMEM: the kernel has no memory
 *         But for -ENOTRECOVERABLE, -ESRCH and -EDEADLK the caller holds the mutex.
 *
 * System calls: one futex, one more to unlock if threads wait for the mutex,
 * one more to lock it if no signal handed it over; those of the ceiling.
 * RT class: waits. Thread safety: any thread; no cancellation point.
 */
RTKVM_API int rtkvm_cond_wait(struct rtkvm_cond *cond, struct rtkvm_mutex *mutex);

/**
 * As rtkvm_cond_wait(), until a point in time on the clock of the condition
 * variable.
 *
 * @param cond the condition variable
 * @param mutex a mutex that the caller holds
 * @param until absolute time; NULL: for ever
 * @return as rtkvm_cond_wait(), or
 *         - -ETIMEDOUT: nobody woke it until then; the caller holds the mutex
 *         - -EINVAL: also nanoseconds out of range
 */
RTKVM_API int rtkvm_cond_timedwait(struct rtkvm_cond *cond, struct rtkvm_mutex *mutex,
				   const struct timespec *until);

/**
 * As rtkvm_cond_timedwait(), on a given clock.
 *
 * @param cond the condition variable
 * @param mutex a mutex that the caller holds
 * @param clock CLOCK_MONOTONIC or CLOCK_REALTIME
 * @param until absolute time on that clock; NULL: for ever
 * @return as rtkvm_cond_timedwait(); -EINVAL also for another clock
 */
RTKVM_API int rtkvm_cond_clockwait(struct rtkvm_cond *cond, struct rtkvm_mutex *mutex,
				   int clock, const struct timespec *until);

/**
 * Wake one waiter, the one of the highest priority, if there is any.
 *
 * @param cond the condition variable
 * @param mutex the mutex that the waiters wait with, held or not
 * @return 0, or
 *         - -EINVAL: NULL, not initialised, or threads wait with another mutex
 *         - -ESRCH: the mutex is not robust and its owner has ended
 *         - -ENOMEM: the kernel has no memory
 *
 * System calls: one futex if there are waiters, and again whenever another
 * signal came in between (counted).
 * RT class: RT-safe. Thread safety: any thread; not in a signal handler.
 */
RTKVM_API int rtkvm_cond_signal(struct rtkvm_cond *cond, struct rtkvm_mutex *mutex);

/**
 * Wake all waiters; they get the mutex one after the other by priority.
 *
 * @param cond the condition variable
 * @param mutex the mutex that the waiters wait with, held or not
 * @return as rtkvm_cond_signal()
 */
RTKVM_API int rtkvm_cond_broadcast(struct rtkvm_cond *cond, struct rtkvm_mutex *mutex);

/**
 * What a condition variable has counted.
 *
 * @param cond a condition variable with RTKVM_COND_STATS
 * @param stats its size field set by the caller; receives the rest
 * @return 0, or -EINVAL: an argument is NULL, size is wrong, or it does not
 *         count
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_cond_get_stats(const struct rtkvm_cond *cond, struct rtkvm_cond_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
