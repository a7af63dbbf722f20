/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server's side of a port: opening it, receiving, replying, closing.
 */
#include <sched.h>
#include <string.h>

#include "core/core.h"
#include "port.h"

static const struct sync_until for_ever;

/* Yielding is tried again after 2 to the power of this, at the latest. */
#define YIELD_VAIN_MAX 8

/* Nobody has the port: no server, and no client that got past its turn. */
static void reset(struct sync_port *p)
{
	__atomic_store_n(&p->reply.word, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&p->state, PORT_FREE, __ATOMIC_SEQ_CST);
	__atomic_store_n(&p->bell, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&p->yields, 0, __ATOMIC_RELAXED);
	p->vain = p->no_yield = 0;
}

int rtkvm_port_open(struct rtkvm_port *port)
{
	struct sync_port *p = (struct sync_port *)port;
	int err;

	if (!port)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_port_open", NULL, "port is NULL");
	if (sync_robust_ready() < 0)
		return rtkvm_fail(NULL, ENOTSUP, "get_robust_list", "use glibc",
				  "the list of robust mutexes is not as expected");
	if (!port_shared(p) && p->forks != sync_forks) {
		/* all of it is the parent's, and its threads are not here */
		memset(&p->turn, 0, sizeof(p->turn));
		memset(&p->alive, 0, sizeof(p->alive));
		p->forks = sync_forks;
	}
	if (port_alive(p)) /* before the turn: its client may wait for this very thread */
		return rtkvm_fail(NULL, EBUSY, "rtkvm_port_open", "close it there first",
				  "thread %u serves this port", port_alive(p));
	err = port_turn_lock(p, &for_ever);
	if (err < 0)
		return rtkvm_fail(NULL, -err, "rtkvm_port_open", NULL,
				  "the clients' turn cannot be had");
	if (port_alive(p)) {
		port_turn_unlock(p);
		return rtkvm_fail(NULL, EBUSY, "rtkvm_port_open", "close it there first",
				  "another thread was faster");
	}
	reset(p);
	/* "alive" comes last, so it is first in the list: dead before "reply" is */
	sync_robust_add(&p->reply.links);
	sync_robust_add(&p->alive.links);
	__atomic_store_n(&p->cpu, sched_getcpu(), __ATOMIC_RELAXED);
	__atomic_store_n(&p->alive.word, sync_tid(), __ATOMIC_SEQ_CST);
	port_turn_unlock(p);
	return 0;
}

static bool in_progress(const struct sync_port *p)
{
	uint32_t state = __atomic_load_n(&p->state, __ATOMIC_SEQ_CST);

	return (state == PORT_TAKEN || state == PORT_ABANDONED) && port_replier(p) == sync_tid();
}

int rtkvm_port_close(struct rtkvm_port *port)
{
	struct sync_port *p = (struct sync_port *)port;

	if (!port)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_port_close", NULL, "port is NULL");
	if (port_alive(p) != sync_tid())
		return rtkvm_fail(NULL, EPERM, "rtkvm_port_close", "call it in the server's thread",
				  "this thread does not serve the port");
	if (in_progress(p))
		return rtkvm_fail(NULL, EBUSY, "rtkvm_port_close", "reply to it first",
				  "a request is in progress");
	/* whoever posts after this sees it; whoever posted before is seen here */
	__atomic_exchange_n(&p->alive.word, 0, __ATOMIC_SEQ_CST);
	if (port_change(p, PORT_POSTED, PORT_REFUSED))
		port_release(p, &p->reply.word, sync_tid());
	/* the links are in memory that may go: nobody else has them now */
	sync_robust_remove(&p->alive.links);
	sync_robust_remove(&p->reply.links);
	return 0;
}

/* A test, for which no system call is needed. */
static bool long_over(const struct sync_until *until)
{
	return until->time && !until->time->tv_sec && !until->time->tv_nsec;
}

/* What the server does before it sleeps: nothing, or one of these, once. */
enum look { LOOK_NOT, LOOK_SPIN, LOOK_YIELD };

/*
 * A client of the same CPU cannot run while this thread spins; one of the same
 * priority can if it yields. Whether clients are of the same priority shows: after
 * each time in vain the next try is twice as far away.
 */
static enum look worth_looking(struct sync_port *p)
{
	int32_t client = __atomic_load_n(&p->client_cpu, __ATOMIC_RELAXED);

	if (!p->server_spin_ns || client < 0)
		return LOOK_NOT;
	if (client != sched_getcpu())
		return LOOK_SPIN;
	if (p->no_yield) {
		p->no_yield--;
		return LOOK_NOT;
	}
	return sync_base() ? LOOK_YIELD : LOOK_NOT;
}

static void yield(struct sync_port *p)
{
	__atomic_store_n(&p->yields, (uint32_t)sched_getcpu() + 1, __ATOMIC_RELAXED);
	sched_yield();
	__atomic_store_n(&p->yields, 0, __ATOMIC_RELAXED);
	if (__atomic_load_n(&p->state, __ATOMIC_RELAXED) == PORT_POSTED) {
		p->vain = 0;
	} else {
		p->vain += p->vain < YIELD_VAIN_MAX;
		p->no_yield = 1U << p->vain;
	}
}

static int receive(struct sync_port *p, const struct sync_until *until)
{
	enum look look = LOOK_NOT;
	bool looked = false;

	for (;;) {
		int err = 0;

		if (port_change(p, PORT_POSTED, PORT_TAKEN))
			return 0;
		if (long_over(until))
			return -ETIMEDOUT;
		if (!looked) {
			looked = true;
			look = worth_looking(p);
			if (look == LOOK_SPIN)
				port_spin(&p->state, UINT32_MAX, PORT_POSTED, true,
					  p->server_spin_ns);
			if (look == LOOK_YIELD)
				yield(p);
			if (look != LOOK_NOT)
				continue;
		}
		__atomic_exchange_n(&p->bell, 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&p->state, __ATOMIC_SEQ_CST) != PORT_POSTED)
			err = futex_wait(&p->bell, 1, until->time, until->realtime,
					 port_shared(p));
		__atomic_store_n(&p->bell, 0, __ATOMIC_SEQ_CST);
		if (err == -ETIMEDOUT || err == -EINVAL || err == -EFAULT)
			return port_change(p, PORT_POSTED, PORT_TAKEN) ? 0 : err;
	}
}

int rtkvm_port_receive(struct rtkvm_port *port, struct rtkvm_request *request, clockid_t clock,
		       const struct timespec *until)
{
	struct sync_port *p = (struct sync_port *)port;
	struct sync_until u;
	int err;

	if (!port || !request || sync_until_set(&u, clock, until) < 0)
		return -EINVAL;
	if (port_alive(p) != sync_tid())
		return -EPERM;
	if (in_progress(p))
		return -EBUSY;
	if (p->client_spin_ns)
		__atomic_store_n(&p->cpu, sched_getcpu(), __ATOMIC_RELAXED);
	err = receive(p, &u);
	if (err < 0)
		return err;
	sync_tsan_acquire(&p->request);
	*request = p->request;
	return 0;
}

int rtkvm_port_reply(struct rtkvm_port *port, const struct rtkvm_request *request)
{
	struct sync_port *p = (struct sync_port *)port;

	if (!port || !request)
		return -EINVAL;
	if (port_alive(p) != sync_tid())
		return -EPERM;
	if (!in_progress(p))
		return -EINVAL;
	p->request = *request;
	sync_tsan_release(&p->request);
	if (!port_change(p, PORT_TAKEN, PORT_DONE))
		__atomic_store_n(&p->state, PORT_FREE, __ATOMIC_SEQ_CST);
	/* from here on the slot is the clients' */
	port_release(p, &p->reply.word, sync_tid());
	return 0;
}
