/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file sync_event.h
 * Events and semaphores for real-time threads.
 *
 * - An *event* is a flag that can be set from anywhere, also from a signal
 *   handler, and waited for. Setting it costs no system call when nobody waits.
 * - An *event with a descriptor* is the same for a thread that sits in poll(2).
 * - A *semaphore* counts. With hand-off, a post gives its token to the waiter of
 *   the highest priority, and nobody who comes later can take it away.
 *
 * Who waits is woken in the order of the priorities that threads had when they
 * went to sleep (equal ones first come, first served). None of these has an
 * owner, so none of them can pass a priority on: for that there are PI mutexes
 * and requests (sync_request.h).
 *
 * The objects are of fixed size and in memory of the caller; there is nothing to
 * free unless noted. All zero is a valid object with the default options. Events
 * and semaphores with the SHARED flag work between processes that map the same
 * memory, at whatever addresses. A thread that ends while it waits harms
 * nobody, except that a token handed to it is lost with it. An object must outlive
 * every call for it: a set or post may still look at it when the waiter has gone on.
 *
 * Waits take an absolute time on CLOCK_MONOTONIC or CLOCK_REALTIME; NULL waits
 * for ever. A signal does not end a wait: its handler runs and the wait goes on.
 * No function is a cancellation point.
 */
#ifndef RTKVM_SYNC_EVENT_H
#define RTKVM_SYNC_EVENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <rtkvm/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An event. Opaque, allocated by the caller; zero is valid (private, reset by each wait). */
struct rtkvm_event {
	uint64_t opaque[8]; /**< the library's */
};

/** Static initialiser of an event with the default options. */
/* clang-format off */
#define RTKVM_EVENT_INIT { { 0 } }
/* clang-format on */

/** Flags of struct rtkvm_event_options. */
enum {
	RTKVM_EVENT_SHARED = 1, /**< for several processes, in memory that they share */
	RTKVM_EVENT_MANUAL = 2, /**< stays set until rtkvm_event_reset(); wakes all waiters */
	RTKVM_EVENT_STATS = 4   /**< count, see rtkvm_event_get_stats() */
};

/** Options of rtkvm_event_init(). Initialise with rtkvm_event_options_init(). */
struct rtkvm_event_options {
	size_t size;          /**< set by rtkvm_event_options_init() */
	uint32_t flags;       /**< RTKVM_EVENT_*; default 0 */
	uint32_t initial;     /**< 1: set from the start; default 0 */
	uint64_t reserved[2]; /**< 0 */
};

/** Figures of an event that was made with RTKVM_EVENT_STATS, else 0. */
struct rtkvm_event_stats {
	size_t size;          /**< sizeof(struct rtkvm_event_stats), set by the caller */
	uint64_t sets;        /**< calls of rtkvm_event_set() */
	uint64_t wakes;       /**< of these with a system call, because somebody waited */
	uint64_t sleeps;      /**< times that a waiter went to sleep */
	uint64_t reserved[4]; /**< 0 */
};

/**
 * Fill in the defaults of an option struct.
 *
 * @param options the struct; NULL is ignored
 * @param size sizeof(struct rtkvm_event_options) as the caller was compiled
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API void rtkvm_event_options_init(struct rtkvm_event_options *options, size_t size);

/**
 * Initialise an event.
 *
 * @param event the object; must not be in use
 * @param options NULL for the defaults
 * @return 0, or
 *         - -EINVAL: event is NULL, a flag or initial is unknown, or options were
 *           not initialised
 *         - -E2BIG: options are newer than the library
 *
 * RT class: set-up. Thread safety: nobody may use the object meanwhile.
 */
RTKVM_API int rtkvm_event_init(struct rtkvm_event *event,
			       const struct rtkvm_event_options *options);

/**
 * Set an event: one waiter (of a manual event: all) goes on. What was written
 * before is seen by it. Setting a set event changes nothing.
 *
 * @param event the object
 * @return 0, or -EINVAL: event is NULL
 *
 * RT class: RT-safe; futex(FUTEX_WAKE) if somebody waits, else no system call.
 * Thread safety: any thread, any signal handler; errno is left alone.
 */
RTKVM_API int rtkvm_event_set(struct rtkvm_event *event);

/**
 * Reset an event.
 *
 * @param event the object
 * @return 1: it was set; 0: it was not; -EINVAL: event is NULL
 *
 * RT class: RT-safe, no system call. Thread safety: any thread, any signal
 * handler.
 */
RTKVM_API int rtkvm_event_reset(struct rtkvm_event *event);

/**
 * Is the event set? The answer may be old when it arrives.
 *
 * @param event the object
 * @return 1 or 0; 0 for NULL
 *
 * RT class: RT-safe, no system call. Thread safety: any thread, any signal
 * handler.
 */
RTKVM_API int rtkvm_event_is_set(const struct rtkvm_event *event);

/**
 * Wait until the event is set; unless it is a manual one, reset it (of several
 * waiters one goes on per set).
 *
 * @param event the object
 * @param clock CLOCK_MONOTONIC or CLOCK_REALTIME; not looked at when until is NULL
 * @param until absolute time; NULL: for ever
 * @return 0, or
 *         - -ETIMEDOUT: the time is over and the event is not set. A time that is
 *           over already makes this a test.
 *         - -EINVAL: event is NULL, another clock, or no valid time
 *
 * RT class: RT-safe; no system call if the event is set, else futex(FUTEX_WAIT).
 * Thread safety: any thread. Not in a signal handler.
 */
RTKVM_API int rtkvm_event_wait(struct rtkvm_event *event, clockid_t clock,
			       const struct timespec *until);

/**
 * Read the figures.
 *
 * @param event the object
 * @param stats receives them; its size must have been set
 * @return 0, or -EINVAL: an argument is NULL, or size is none of this struct
 *
 * RT class: set-up. Thread safety: any thread; the figures are each right, and
 * may be of different moments.
 */
RTKVM_API int rtkvm_event_get_stats(const struct rtkvm_event *event,
				    struct rtkvm_event_stats *stats);

/**
 * An event for poll(2). Opaque, allocated by the caller, for threads of one
 * process. It has an eventfd(2) of its own and is to be destroyed.
 */
struct rtkvm_event_fd {
	uint64_t opaque[8]; /**< the library's */
};

/**
 * Initialise an event with a descriptor.
 *
 * @param event the object
 * @return 0, or
 *         - -EINVAL: event is NULL
 *         - -EMFILE, -ENFILE, -ENOMEM: no more descriptors, or no memory
 *
 * RT class: set-up. Thread safety: nobody may use the object meanwhile.
 */
RTKVM_API int rtkvm_event_fd_init(struct rtkvm_event_fd *event);

/**
 * Close its descriptor.
 *
 * @param event the object; NULL and one that was destroyed are ignored
 *
 * RT class: set-up. Thread safety: nobody may use the object any more.
 */
RTKVM_API void rtkvm_event_fd_destroy(struct rtkvm_event_fd *event);

/**
 * The descriptor: poll it for reading, and do nothing else with it.
 *
 * @param event the object
 * @return the descriptor, which stays the event's; -EINVAL for NULL
 *
 * RT class: RT-safe, no system call. Thread safety: any thread.
 */
RTKVM_API int rtkvm_event_fd_get(const struct rtkvm_event_fd *event);

/**
 * Set the event: the descriptor becomes readable. As long as nobody took it,
 * further calls make no system call.
 *
 * @param event the object
 * @return 0, or -EINVAL: event is NULL or destroyed
 *
 * RT class: RT-safe; write(2) on the eventfd if the event was not set, else no
 * system call. Thread safety: any thread, any signal handler; errno is left
 * alone.
 */
RTKVM_API int rtkvm_event_fd_set(struct rtkvm_event_fd *event);

/**
 * Take the event: the descriptor is no longer readable. Whoever called set
 * before is seen by what the caller looks at after this; so take first and
 * look then.
 *
 * @param event the object
 * @return 1: it was set; 0: it was not (poll may return once too often when a set
 *         is in between); -EINVAL: event is NULL or destroyed
 *
 * RT class: RT-safe; read(2) on the eventfd, which does not block. Thread safety:
 * one thread at a time.
 */
RTKVM_API int rtkvm_event_fd_take(struct rtkvm_event_fd *event);

/** A semaphore. Opaque, allocated by the caller; zero is valid (value 0, private). */
struct rtkvm_semaphore {
	uint64_t opaque[16]; /**< the library's */
};

/** Static initialiser of a semaphore of value 0 with the default options. */
/* clang-format off */
#define RTKVM_SEMAPHORE_INIT { { 0 } }
/* clang-format on */

/** Highest value of a semaphore. */
#define RTKVM_SEMAPHORE_MAX INT32_MAX

/** Flags of struct rtkvm_semaphore_options. */
enum {
	RTKVM_SEMAPHORE_SHARED = 1,  /**< for several processes, in memory that they share */
	RTKVM_SEMAPHORE_HANDOFF = 2, /**< a post gives its token to the sleeper of the highest
				      *   priority; nobody can take it on the way */
	RTKVM_SEMAPHORE_STATS = 4    /**< count, see rtkvm_semaphore_get_stats() */
};

/** Options of rtkvm_semaphore_init(). Initialise with rtkvm_semaphore_options_init(). */
struct rtkvm_semaphore_options {
	size_t size;          /**< set by rtkvm_semaphore_options_init() */
	uint32_t flags;       /**< RTKVM_SEMAPHORE_*; default 0 */
	uint32_t value;       /**< tokens at the start, up to RTKVM_SEMAPHORE_MAX; default 0 */
	uint64_t reserved[2]; /**< 0 */
};

/** Figures of a semaphore that was made with RTKVM_SEMAPHORE_STATS, else 0. */
struct rtkvm_semaphore_stats {
	size_t size;          /**< sizeof(struct rtkvm_semaphore_stats), set by the caller */
	uint64_t posts;       /**< calls of rtkvm_semaphore_post() that succeeded */
	uint64_t wakes;       /**< of these with a system call, because somebody waited */
	uint64_t handoffs;    /**< of these that gave the token to a sleeper */
	uint64_t sleeps;      /**< times that a waiter went to sleep */
	uint64_t reserved[4]; /**< 0 */
};

/**
 * Fill in the defaults of an option struct.
 *
 * @param options the struct; NULL is ignored
 * @param size sizeof(struct rtkvm_semaphore_options) as the caller was compiled
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API void rtkvm_semaphore_options_init(struct rtkvm_semaphore_options *options,
					    size_t size);

/**
 * Initialise a semaphore.
 *
 * @param semaphore the object; must not be in use
 * @param options NULL for the defaults
 * @return 0, or
 *         - -EINVAL: semaphore is NULL, a flag is unknown, the value too high, or
 *           options were not initialised
 *         - -E2BIG: options are newer than the library
 *
 * RT class: set-up. Thread safety: nobody may use the object meanwhile.
 */
RTKVM_API int rtkvm_semaphore_init(struct rtkvm_semaphore *semaphore,
				   const struct rtkvm_semaphore_options *options);

/**
 * Add a token. What was written before is seen by whoever gets it.
 *
 * Without hand-off a waiter is woken and takes the token when it runs; a thread
 * that happens to run may be faster, whatever its priority. With hand-off the
 * token belongs to the sleeper of the highest priority at once.
 *
 * @param semaphore the object
 * @return 0, or
 *         - -EINVAL: semaphore is NULL
 *         - -EOVERFLOW: it has RTKVM_SEMAPHORE_MAX tokens
 *
 * RT class: RT-safe; one futex(FUTEX_WAKE) if somebody waits (with hand-off two
 * when waiters are just about to sleep), else no system call. Thread safety:
 * any thread, any signal handler; errno is left alone.
 */
RTKVM_API int rtkvm_semaphore_post(struct rtkvm_semaphore *semaphore);

/**
 * Take a token; wait for one.
 *
 * @param semaphore the object
 * @param clock CLOCK_MONOTONIC or CLOCK_REALTIME; not looked at when until is NULL
 * @param until absolute time; NULL: for ever
 * @return 0, or
 *         - -ETIMEDOUT: the time is over and no token came
 *         - -EINVAL: semaphore is NULL, another clock, or no valid time
 *
 * RT class: RT-safe; no system call if there is a token, else futex(FUTEX_WAIT).
 * Thread safety: any thread. Not in a signal handler.
 */
RTKVM_API int rtkvm_semaphore_wait(struct rtkvm_semaphore *semaphore, clockid_t clock,
				   const struct timespec *until);

/**
 * Take a token if there is one.
 *
 * @param semaphore the object
 * @return 0, or
 *         - -EAGAIN: there is none, or (hand-off) others wait
 *         - -EINVAL: semaphore is NULL
 *
 * RT class: RT-safe, no system call. Thread safety: any thread, any signal
 * handler.
 */
RTKVM_API int rtkvm_semaphore_trywait(struct rtkvm_semaphore *semaphore);

/**
 * Tokens that nobody took yet. The answer may be old when it arrives.
 *
 * @param semaphore the object
 * @return 0 to RTKVM_SEMAPHORE_MAX; 0 for NULL
 *
 * RT class: RT-safe, no system call. Thread safety: any thread, any signal
 * handler.
 */
RTKVM_API int rtkvm_semaphore_value(const struct rtkvm_semaphore *semaphore);

/**
 * Read the figures.
 *
 * @param semaphore the object
 * @param stats receives them; its size must have been set
 * @return 0, or -EINVAL: an argument is NULL, or size is none of this struct
 *
 * RT class: set-up. Thread safety: any thread; the figures are each right, and
 * may be of different moments.
 */
RTKVM_API int rtkvm_semaphore_get_stats(const struct rtkvm_semaphore *semaphore,
					struct rtkvm_semaphore_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
