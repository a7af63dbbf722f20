/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client's side of a port: take the turn, post, ring, and wait for the
 * reply word, which says that the server owns it: so the kernel lends the
 * server this thread's priority for as long as it sleeps here.
 */
#include <sched.h>

#include "port.h"

static const struct sync_until for_ever;

/*
 * Wait until the reply word is not the server's. 0 (it may be ours now, and is
 * nobody else's), -ETIMEDOUT, -EDEADLK, -ENOMEM.
 */
static int wait_released(struct sync_port *p, uint32_t server, const struct sync_until *until)
{
	while (port_replier(p) == server) {
		uint32_t gone = server;
		int err = futex_lock_pi(&p->reply.word, until->time, until->realtime,
					port_shared(p));

		if (err == -ESRCH) {
			/* gone, and the kernel could not say so here: unmapped there, say */
			__atomic_compare_exchange_n(&p->alive.word, &gone, FUTEX_OWNER_DIED, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
			return 0;
		}
		if (err && err != -EAGAIN && err != -EINTR)
			return err;
	}
	return 0;
}

/* The caller has turn and word; who gets the turn next sees it. */
static void make_free(struct sync_port *p)
{
	__atomic_store_n(&p->reply.word, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&p->state, PORT_FREE, __ATOMIC_RELEASE);
}

/* The slot is free, or made so: of a client that died, or left its request in progress. */
static int prepare(struct sync_port *p, uint32_t server, const struct sync_until *until)
{
	int err;

	/* as outcome() leaves it */
	if (sync_likely(!__atomic_load_n(&p->reply.word, __ATOMIC_ACQUIRE) &&
			__atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PORT_FREE))
		return 0;
	if (port_change(p, PORT_POSTED, PORT_FREE))
		__atomic_store_n(&p->reply.word, 0, __ATOMIC_SEQ_CST);
	if (port_replier(p) == server) {
		port_count(p, &p->lent);
		err = wait_released(p, server, until);
		if (err < 0)
			return err;
	}
	make_free(p);
	return 0;
}

static void ring(struct sync_port *p)
{
	if (p->event)
		rtkvm_event_fd_set(p->event);
	if (__atomic_load_n(&p->bell, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&p->bell, 0, __ATOMIC_SEQ_CST)) {
		port_count(p, &p->wakes);
		futex_wake(&p->bell, 1, port_shared(p));
	}
}

/* The reply word is not the server's any more: what became of the request? */
static int outcome(struct sync_port *p, struct rtkvm_request *request)
{
	uint32_t state = __atomic_load_n(&p->state, __ATOMIC_SEQ_CST);

	make_free(p);
	if (state == PORT_DONE) {
		sync_tsan_acquire(&p->request);
		*request = p->request;
		port_count(p, &p->calls);
		return 0;
	}
	if (state != PORT_TAKEN)
		return -ENOTCONN;
	port_count(p, &p->deaths);
	return -EOWNERDEAD;
}

/* No longer waiting, because of err. */
static int give_up(struct sync_port *p, struct rtkvm_request *request, uint32_t server, int err)
{
	if (port_change(p, PORT_POSTED, PORT_FREE)) {
		__atomic_store_n(&p->reply.word, 0, __ATOMIC_SEQ_CST);
		port_count(p, &p->withdrawn);
		return err;
	}
	if (port_change(p, PORT_TAKEN, PORT_ABANDONED)) {
		port_count(p, &p->abandoned);
		return err == -ETIMEDOUT ? -EINPROGRESS : err;
	}
	/* replied to, or refused: the server is about to let go of the word */
	while (port_replier(p) == server && port_alive(p) == server)
		if (wait_released(p, server, &for_ever) < 0)
			sched_yield();
	return outcome(p, request);
}

static int request_reply(struct sync_port *p, struct rtkvm_request *request,
			 const struct sync_until *until)
{
	uint32_t server = port_alive(p);
	int err;

	if (!server)
		return -ENOTCONN;
	err = prepare(p, server, until);
	if (err < 0)
		return err;
	if (p->server_spin_ns)
		__atomic_store_n(&p->client_cpu, sched_getcpu(), __ATOMIC_RELAXED);
	p->request = *request;
	sync_tsan_release(&p->request);
	/* the exchange orders it before the look at "alive" as well */
	__atomic_store_n(&p->reply.word, server, __ATOMIC_RELEASE);
	__atomic_exchange_n(&p->state, PORT_POSTED, __ATOMIC_SEQ_CST);
	/*
	 * If the server is alive now, the word was the server's before the kernel
	 * looked for what it leaves behind: the word never names a dead thread, and
	 * so never the next one of that id.
	 */
	if (port_alive(p) != server)
		return give_up(p, request, server, -ENOTCONN);
	ring(p);
	if (port_yields_here(p))
		sched_yield();
	if (p->client_spin_ns &&
	    __atomic_load_n(&p->cpu, __ATOMIC_RELAXED) != sched_getcpu())
		port_spin(&p->reply.word, FUTEX_TID_MASK, server, false, p->client_spin_ns);
	if (port_replier(p) == server) {
		port_count(p, &p->lent);
		err = wait_released(p, server, until);
		if (err < 0)
			return give_up(p, request, server, err);
	}
	return outcome(p, request);
}

int rtkvm_port_call(struct rtkvm_port *port, struct rtkvm_request *request, clockid_t clock,
		    const struct timespec *until)
{
	struct sync_port *p = (struct sync_port *)port;
	struct sync_until u;
	uint32_t server;
	int err;

	if (!port || !request || sync_until_set(&u, clock, until) < 0)
		return -EINVAL;
	if (sync_robust_ready() < 0)
		return -ENOTSUP;
	server = port_alive(p);
	if (!server)
		return -ENOTCONN;
	if (server == sync_tid())
		return -EDEADLK;
	err = port_turn_lock(p, &u);
	if (err < 0)
		return err;
	err = request_reply(p, request, &u);
	port_turn_unlock(p);
	return err;
}

int rtkvm_port_drain(struct rtkvm_port *port, clockid_t clock, const struct timespec *until)
{
	struct sync_port *p = (struct sync_port *)port;
	struct sync_until u;
	uint32_t server;
	int err;

	if (!port || sync_until_set(&u, clock, until) < 0)
		return -EINVAL;
	if (sync_robust_ready() < 0)
		return -ENOTSUP;
	server = port_alive(p);
	if (!server)
		return 0;
	if (server == sync_tid())
		return -EDEADLK;
	err = port_turn_lock(p, &u);
	if (err < 0)
		return err;
	server = port_alive(p);
	if (server)
		err = prepare(p, server, &u);
	port_turn_unlock(p);
	return err;
}
