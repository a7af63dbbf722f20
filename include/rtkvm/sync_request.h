/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file sync_request.h
 * Requests to a server thread that lend it the client's priority.
 *
 * A *port* belongs to one server thread at a time. A client calls it and waits
 * for the reply; meanwhile the server runs at the client's priority if that is
 * the higher one, and so does whomever the server waits for in turn (a PI mutex,
 * another port). So no thread of a priority in between can keep the client from
 * its reply. It is the kernel that lends the priority (FUTEX_LOCK_PI on a word
 * that says that the server owns it), so it is right whatever changes meanwhile:
 * priorities set from outside, SCHED_DEADLINE, new clients, clients that give up.
 *
 * Clients are served in the order of their priorities as the kernel sees them at
 * that moment. A client waits for the request in progress, and for those of
 * clients at or above its own priority. Those who wait lend their priority too:
 * to the client whose request is in progress, and through it to the server.
 *
 * One request is in progress at a time. Between two requests it is the client
 * that makes place for the next one: a client that is stopped (SIGSTOP, a
 * debugger) in the middle of a call holds up the others, as with any lock.
 *
 * Who dies harms nobody: the kernel itself ends the requests of a server thread
 * that ends, by whatever means, and passes on the turn of a client that does. A
 * thread id that is used again is never taken for the old one.
 *
 * A port is of fixed size and in memory of the caller. With RTKVM_PORT_SHARED
 * client and server may be in different processes that map it, at whatever
 * addresses, in the same PID namespace. There is nothing to free.
 *
 * No function is a cancellation point, and a signal does not end a wait.
 */
#ifndef RTKVM_SYNC_REQUEST_H
#define RTKVM_SYNC_REQUEST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <rtkvm/sync_event.h>
#include <rtkvm/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A port. Opaque, allocated by the caller, initialised by rtkvm_port_init(). */
struct rtkvm_port {
	uint64_t opaque[48]; /**< the library's */
};

/** What a client sends, and what it gets back in the same place. Copied both ways. */
struct rtkvm_request {
	uint64_t op;     /**< what is asked for; the server's own numbers */
	uint64_t arg[6]; /**< parameters, and results */
	int64_t result;  /**< the server's answer */
};

/** Flags of struct rtkvm_port_options. */
enum {
	RTKVM_PORT_SHARED = 1, /**< for several processes, in memory that they share */
	RTKVM_PORT_STATS = 2   /**< count, see rtkvm_port_get_stats() */
};

/** Longest time to spin. ns */
#define RTKVM_PORT_SPIN_MAX_NS UINT32_C(1000000)

/** How long a server looks for the next request unless told otherwise. ns */
#define RTKVM_PORT_SPIN_DEFAULT_NS UINT32_C(20000)

/** Options of rtkvm_port_init(). Initialise with rtkvm_port_options_init(). */
struct rtkvm_port_options {
	size_t size;             /**< set by rtkvm_port_options_init() */
	uint32_t flags;          /**< RTKVM_PORT_*; default 0 */
	uint32_t client_spin_ns; /**< how long a client looks for the reply before it
				  *   sleeps, if the server is on another CPU. It does not
				  *   lend its priority before it sleeps: that much later
				  *   may the reply come. 0 to RTKVM_PORT_SPIN_MAX_NS;
				  *   default 0 */
	uint32_t server_spin_ns; /**< how long the server looks for the next request before
				  *   it sleeps, at its own priority, if the last client was
				  *   on another CPU. So much longer do threads below it on
				  *   its CPU wait after each request. If the last client was
				  *   on the same CPU, the server yields to threads of its own
				  *   priority once instead. 0 (it sleeps at once) to
				  *   RTKVM_PORT_SPIN_MAX_NS; default
				  *   RTKVM_PORT_SPIN_DEFAULT_NS */
	uint32_t reserved0;      /**< 0 */
	struct rtkvm_event_fd *bell; /**< set at each request, for a server that sits in
				  *   poll(2) and receives with a time that is over; it
				  *   must outlive the port. Not with RTKVM_PORT_SHARED.
				  *   NULL (default): the server sleeps in
				  *   rtkvm_port_receive() */
	uint64_t reserved[4];    /**< 0 */
};

/** Figures of a port that was made with RTKVM_PORT_STATS, else 0. */
struct rtkvm_port_stats {
	size_t size;          /**< sizeof(struct rtkvm_port_stats), set by the caller */
	uint64_t calls;       /**< requests that were replied to */
	uint64_t contended;   /**< times that a client waited for its turn */
	uint64_t lent;        /**< times that a client slept and lent its priority */
	uint64_t wakes;       /**< times that a client had to wake the server */
	uint64_t withdrawn;   /**< requests withdrawn before the server took them */
	uint64_t abandoned;   /**< requests that clients left in progress */
	uint64_t deaths;      /**< requests that a server took with it */
	uint64_t reserved[4]; /**< 0 */
};

/**
 * Fill in the defaults of an option struct.
 *
 * @param options the struct; NULL is ignored
 * @param size sizeof(struct rtkvm_port_options) as the caller was compiled
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API void rtkvm_port_options_init(struct rtkvm_port_options *options, size_t size);

/**
 * Initialise a port. It has no server yet.
 *
 * @param port the object; must not be in use
 * @param options NULL for the defaults
 * @return 0, or
 *         - -EINVAL: port is NULL, a flag is unknown, a time too long, a bell on a
 *           shared port, or options were not initialised
 *         - -E2BIG: options are newer than the library
 *
 * RT class: set-up. Thread safety: nobody may use the object meanwhile.
 */
RTKVM_API int rtkvm_port_init(struct rtkvm_port *port, const struct rtkvm_port_options *options);

/**
 * Become the server of a port. The calling thread is it until rtkvm_port_close()
 * or until it ends; the port must stay in memory as long. After a server ended
 * any thread may become the next one.
 *
 * @param port the object
 * @return 0, or
 *         - -EINVAL: port is NULL
 *         - -EBUSY: it has a server
 *         - -ENOTSUP: this libc's list of robust mutexes is not as expected, without
 *           which the death of a server could not be noticed
 *
 * In the child of fork(2) a private port has no server; the child may become it.
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_port_open(struct rtkvm_port *port);

/**
 * Cease to be the server. A request that was not received yet, and those of
 * clients that wait for their turn, fail with -ENOTCONN.
 *
 * @param port the object
 * @return 0, or
 *         - -EINVAL: port is NULL
 *         - -EPERM: the calling thread is not its server
 *         - -EBUSY: a request was received and not replied to
 *
 * RT class: set-up. Thread safety: the server.
 */
RTKVM_API int rtkvm_port_close(struct rtkvm_port *port);

/**
 * Wait for a request and receive it.
 *
 * @param port the object
 * @param request receives it
 * @param clock CLOCK_MONOTONIC or CLOCK_REALTIME; not looked at when until is NULL
 * @param until absolute time; NULL: for ever
 * @return 0, or
 *         - -ETIMEDOUT: the time is over. A time of 0 makes this a test without a
 *           system call.
 *         - -EINVAL: an argument is NULL, another clock, or no valid time
 *         - -EPERM: the calling thread is not the server
 *         - -EBUSY: the request before was not replied to
 *
 * RT class: RT-safe; futex(FUTEX_WAIT) if there is no request, and sched_yield()
 * before if that may bring one (server_spin_ns). Thread safety: the server.
 */
RTKVM_API int rtkvm_port_receive(struct rtkvm_port *port, struct rtkvm_request *request,
				 clockid_t clock, const struct timespec *until);

/**
 * Reply to the request that was received. The priority that was lent ends here.
 *
 * @param port the object
 * @param request what the client gets back
 * @return 0, also when the client did not wait any longer (the reply is dropped), or
 *         - -EINVAL: an argument is NULL, or no request was received
 *         - -EPERM: the calling thread is not the server
 *
 * RT class: RT-safe; futex(FUTEX_UNLOCK_PI) if the client sleeps, else no system
 * call. Thread safety: the server.
 */
RTKVM_API int rtkvm_port_reply(struct rtkvm_port *port, const struct rtkvm_request *request);

/**
 * Make a request and wait for the reply.
 *
 * @param port the object
 * @param request what is asked for; with 0 it has been replaced by the reply, else
 *        it is as it was
 * @param clock CLOCK_MONOTONIC or CLOCK_REALTIME; not looked at when until is NULL
 * @param until absolute time; NULL: for ever
 * @return 0, or
 *         - -ETIMEDOUT: the time is over, and the request was withdrawn before the
 *           server received it
 *         - -EINPROGRESS: the time is over, and the server is at it. It does not
 *           touch *request any more, but it may touch what the arguments refer to:
 *           rtkvm_port_drain() waits for its end.
 *         - -ENOTCONN: the port has no server, or lost it before the request was
 *           received
 *         - -EOWNERDEAD: the server ended when it had received the request and
 *           not replied; nobody knows how far it came
 *         - -EDEADLK: the calling thread is the server, or the server waits for it
 *         - -ENOMEM: the kernel has no memory for lending a priority
 *         - -EINVAL: an argument is NULL, another clock, or no valid time
 *         - -ENOTSUP: as rtkvm_port_open()
 *
 * With -EDEADLK and -ENOMEM the request was withdrawn, or goes on as with
 * -EINPROGRESS if the server was faster.
 *
 * The system calls: futex(FUTEX_WAKE) if the server sleeps, or sched_yield() if it
 * yields on the same CPU; futex(FUTEX_LOCK_PI2) unless the reply is there then; and
 * when clients meet, one futex(FUTEX_LOCK_PI2) and one futex(FUTEX_UNLOCK_PI) for the
 * turn. A thread yields only if it is FIFO or RR as far as is known: its priority is
 * read once, by sched_getparam(); whoever makes it SCHED_DEADLINE later lets it call
 * rtkvm_thread_resync().
 *
 * RT class: RT-safe; waits with priority inheritance. Thread safety: any thread. Not
 * in a signal handler.
 */
RTKVM_API int rtkvm_port_call(struct rtkvm_port *port, struct rtkvm_request *request,
			      clockid_t clock, const struct timespec *until);

/**
 * Wait until no request is in progress that began before. Lends the priority, as a
 * call does.
 *
 * @param port the object
 * @param clock CLOCK_MONOTONIC or CLOCK_REALTIME; not looked at when until is NULL
 * @param until absolute time; NULL: for ever
 * @return 0 (also when the port has no server), or -ETIMEDOUT, -EINVAL, -EDEADLK,
 *         -ENOTSUP, -ENOMEM as rtkvm_port_call()
 *
 * RT class: RT-safe; waits with priority inheritance. Thread safety: any thread. Not
 * in a signal handler.
 */
RTKVM_API int rtkvm_port_drain(struct rtkvm_port *port, clockid_t clock,
			       const struct timespec *until);

/**
 * The thread that serves the port.
 *
 * @param port the object
 * @return its id as gettid(2) gives it; 0: none, or NULL
 *
 * RT class: RT-safe, no system call. Thread safety: any thread.
 */
RTKVM_API int rtkvm_port_server(const struct rtkvm_port *port);

/**
 * Read the figures.
 *
 * @param port the object
 * @param stats receives them; its size must have been set
 * @return 0, or -EINVAL: an argument is NULL, or size is none of this struct
 *
 * RT class: set-up. Thread safety: any thread; the figures are each right, and
 * may be of different moments.
 */
RTKVM_API int rtkvm_port_get_stats(const struct rtkvm_port *port,
				   struct rtkvm_port_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
