/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file sync_mutex.h
 * Mutexes with priority inheritance and with a priority ceiling.
 *
 * Every mutex is a priority-inheriting futex (futex(2)): its owner runs at
 * least at the priority of the first waiter, and gets the waiters in priority
 * order. A protocol adds a ceiling to that:
 *
 * - RTKVM_MUTEX_INHERIT: none.
 * - RTKVM_MUTEX_STATIC: an immediate ceiling. A thread below it is raised
 *   while it holds the mutex; one at or above it locks without a system call.
 *   For priorities that follow a plan: it relies on the base priority that the
 *   library has seen last (rtkvm_thread_resync()).
 * - RTKVM_MUTEX_EAGER: the same with the rules of POSIX (PTHREAD_PRIO_PROTECT):
 *   the base priority is read at each lock that is not within another ceiling,
 *   and a thread above the ceiling is refused.
 * - RTKVM_MUTEX_CHECKED: no raise at all; a thread above the ceiling is
 *   refused. This is not an immediate ceiling: until somebody waits, a thread
 *   of a priority in between may preempt the owner.
 *
 * Raised is a thread by sched_setparam(2), which keeps its policy and
 * SCHED_RESET_ON_FORK. Who changes priorities from outside meanwhile is
 * respected: a thread whose priority is not what its ceilings set goes on with
 * what it was given as its base. This is found at the next raise or lowering;
 * a change that falls between the reading and the writing there is lost, and
 * one to just the ceiling's priority cannot be seen.
 */
#ifndef RTKVM_SYNC_MUTEX_H
#define RTKVM_SYNC_MUTEX_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <rtkvm/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Types of mutex. */
enum {
	RTKVM_MUTEX_NORMAL = 0,     /**< locking it twice is an error, and so is unlocking what
				     *   is not one's own */
	RTKVM_MUTEX_ERRORCHECK = 1, /**< the same: all are checked */
	RTKVM_MUTEX_RECURSIVE = 2   /**< its owner may lock it again */
};

/** Protocols; see above. */
enum {
	RTKVM_MUTEX_INHERIT = 0, /**< priority inheritance */
	RTKVM_MUTEX_STATIC = 1,  /**< and a ceiling, by the priorities of the plan */
	RTKVM_MUTEX_EAGER = 2,   /**< and a ceiling, by the rules of POSIX */
	RTKVM_MUTEX_CHECKED = 3  /**< and refusal of those above a ceiling */
};

/** Flags of a mutex. */
enum {
	RTKVM_MUTEX_SHARED = 1, /**< may be used by several processes */
	RTKVM_MUTEX_ROBUST = 2, /**< survives the end of its owner: a thread, or a process */
	RTKVM_MUTEX_STATS = 4   /**< counts (rtkvm_mutex_get_stats()) */
};

/** A mutex. What is in it is the library's business. */
struct rtkvm_mutex {
	uint64_t opaque[8]; /**< all 0: RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_INHERIT, no flag */
};

/** Initialiser of a struct rtkvm_mutex in static storage; zeroed memory is the same. */
#define RTKVM_MUTEX_INIT { { 0, 0, 0, 0, 0, 0, 0, 0 } }

/** Options of rtkvm_mutex_init(). Always initialise with rtkvm_mutex_options_init(). */
struct rtkvm_mutex_options {
	size_t size;       /**< set by rtkvm_mutex_options_init() */
	uint32_t type;     /**< RTKVM_MUTEX_NORMAL or another type */
	uint32_t protocol; /**< RTKVM_MUTEX_INHERIT or another protocol */
	uint32_t ceiling;  /**< 1 to 99 with a protocol that has one, else 0; see
			    *   rtkvm_plan_get_ceiling() */
	uint32_t flags;    /**< RTKVM_MUTEX_SHARED and others */
	uint64_t reserved[4]; /**< 0 */
};

/** What a mutex with RTKVM_MUTEX_STATS has counted since it was initialised. */
struct rtkvm_mutex_stats {
	size_t size;        /**< sizeof(struct rtkvm_mutex_stats), set by the caller */
	uint64_t contended; /**< times that a thread had to wait in the kernel */
	uint64_t retries;   /**< times that the kernel had to be asked again */
	uint64_t boosts;    /**< times that a thread was raised to the ceiling */
	uint64_t reserved[4]; /**< 0 */
};

/**
 * Fill in the defaults of an option struct.
 *
 * @param options the struct; NULL is ignored
 * @param size sizeof(struct rtkvm_mutex_options) as the caller was compiled
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API void rtkvm_mutex_options_init(struct rtkvm_mutex_options *options, size_t size);

/**
 * Initialise a mutex.
 *
 * @param mutex the memory, of any content
 * @param options what to do differently from the defaults; NULL for those. May
 *        be freed after the call.
 * @return 0, or
 *         - -EINVAL: mutex is NULL, a type, protocol or flag is unknown, the
 *           ceiling is out of range or given without need, or the struct was
 *           not initialised
 *         - -E2BIG: the option struct is newer than the library
 *         - -ENOTSUP: RTKVM_MUTEX_ROBUST, and the C library's robust list is
 *           not as the library knows it
 *
 * RT class: set-up. Thread safety: no other thread may use the mutex.
 */
RTKVM_API int rtkvm_mutex_init(struct rtkvm_mutex *mutex,
			       const struct rtkvm_mutex_options *options);

/**
 * End a mutex. Using it afterwards gives -EINVAL until it is initialised
 * again.
 *
 * @param mutex the mutex
 * @return 0, -EINVAL (NULL, or no mutex), -EBUSY (somebody holds it)
 *
 * RT class: RT-safe. Thread safety: no other thread may use the mutex; one
 * that has just unlocked it is done with it.
 */
RTKVM_API int rtkvm_mutex_destroy(struct rtkvm_mutex *mutex);

/**
 * Lock a mutex; wait while another thread holds it.
 *
 * @param mutex the mutex
 * @return 0, or
 *         - -EOWNERDEAD: the caller holds it; its last owner ended while
 *           holding it. With RTKVM_MUTEX_ROBUST put in order what it protects
 *           and call rtkvm_mutex_consistent() before unlocking.
 *         - -ENOTRECOVERABLE: robust, and unlocked without that once
 *         - -EDEADLK: the caller holds it already (not RTKVM_MUTEX_RECURSIVE),
 *           or the kernel found that threads wait for each other
 *         - -EINVAL: NULL or no mutex; the caller's base priority is above the
 *           ceiling (RTKVM_MUTEX_EAGER, RTKVM_MUTEX_CHECKED); its policy is
 *           neither SCHED_FIFO nor SCHED_RR (RTKVM_MUTEX_STATIC,
 *           RTKVM_MUTEX_EAGER)
 *         - -EPERM: may not be raised to the ceiling (CAP_SYS_NICE or
 *           RLIMIT_RTPRIO is missing)
 *         - -EAGAIN: locked too often (recursive, or 255 ceilings of a level)
 *         - -ESRCH: its owner has ended, and it is not robust
 *         - -ENOTSUP: robust, and this thread has another robust list
 *         - -ENOMEM: the kernel has no memory for the waiter
 *         In all cases but the first nothing has changed.
 *
 * System calls: gettid at the thread's first use; futex when it is held;
 * sched_getparam and sched_setparam as the protocol says; get_robust_list at
 * the first robust mutex of a thread.
 * RT class: RT-safe uncontended, bounded by the owner otherwise. Thread
 * safety: any thread; not in a signal handler.
 */
RTKVM_API int rtkvm_mutex_lock(struct rtkvm_mutex *mutex);

/**
 * Lock a mutex unless somebody holds it.
 *
 * @param mutex the mutex
 * @return 0, -EBUSY (held, also by the caller unless it is recursive), or as
 *         rtkvm_mutex_lock()
 *
 * System calls: as rtkvm_mutex_lock(); futex only after an owner's death.
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API int rtkvm_mutex_trylock(struct rtkvm_mutex *mutex);

/**
 * Lock a mutex, waiting until a point in time.
 *
 * @param mutex the mutex
 * @param clock CLOCK_MONOTONIC or CLOCK_REALTIME
 * @param until absolute time on that clock; not looked at when nobody holds
 *        the mutex; NULL: as rtkvm_mutex_lock()
 * @return 0, or
 *         - -ETIMEDOUT: still held then
 *         - -EINVAL: another clock, or nanoseconds out of range; or as
 *           rtkvm_mutex_lock()
 *         - others as rtkvm_mutex_lock()
 *
 * Before Linux 5.14 the kernel waits on CLOCK_REALTIME alone; then a time on
 * CLOCK_MONOTONIC is converted once.
 *
 * System calls, RT class, thread safety: as rtkvm_mutex_lock().
 */
RTKVM_API int rtkvm_mutex_timedlock(struct rtkvm_mutex *mutex, int clock,
				    const struct timespec *until);

/**
 * Unlock a mutex. It goes to the waiter of the highest priority, if any.
 *
 * @param mutex the mutex
 * @return 0, or
 *         - -EPERM: the caller does not hold it
 *         - -EINVAL: NULL, or no mutex
 *
 * System calls: futex if there are waiters, or were when it was locked;
 * sched_getparam and sched_setparam if its ceiling was the highest.
 * RT class: RT-safe. Thread safety: the owner.
 */
RTKVM_API int rtkvm_mutex_unlock(struct rtkvm_mutex *mutex);

/**
 * Say that what a robust mutex protects is in order again.
 *
 * @param mutex a mutex that the caller got with -EOWNERDEAD and still holds
 * @return 0, -EINVAL (not such a mutex), -EPERM (the caller does not hold it)
 *
 * RT class: RT-safe. Thread safety: the owner.
 */
RTKVM_API int rtkvm_mutex_consistent(struct rtkvm_mutex *mutex);

/**
 * The ceiling of a mutex.
 *
 * @param mutex the mutex
 * @return 1 to 99, or -EINVAL: NULL, or no mutex with a ceiling
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API int rtkvm_mutex_get_ceiling(const struct rtkvm_mutex *mutex);

/**
 * Change the ceiling of a mutex, which is locked meanwhile, without regard to
 * its ceiling.
 *
 * @param mutex a mutex with a ceiling
 * @param ceiling 1 to 99
 * @return the old one, 1 to 99, or
 *         - -EINVAL: NULL, no mutex with a ceiling, or out of range
 *         - others as rtkvm_mutex_lock()
 *
 * RT class: as rtkvm_mutex_lock(). Thread safety: any thread.
 */
RTKVM_API int rtkvm_mutex_set_ceiling(struct rtkvm_mutex *mutex, int ceiling);

/**
 * What a mutex has counted.
 *
 * @param mutex a mutex with RTKVM_MUTEX_STATS
 * @param stats its size field set by the caller; receives the rest
 * @return 0, or -EINVAL: an argument is NULL, size is wrong, or it does not
 *         count
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_mutex_get_stats(const struct rtkvm_mutex *mutex,
				    struct rtkvm_mutex_stats *stats);

/**
 * Look at the calling thread's priority anew, after somebody outside of the
 * library changed it: it becomes the base of its ceilings. Changes made by a
 * thread plan of this process are seen without.
 *
 * Ceilings that the thread holds stay in force.
 *
 * @return 0, or -EPERM: may not be raised to a ceiling that it holds
 *
 * System calls: sched_getparam, and sched_setparam while it holds ceilings.
 * RT class: RT-safe. Thread safety: any thread, for itself.
 */
RTKVM_API int rtkvm_thread_resync(void);

#ifdef __cplusplus
}
#endif

#endif
