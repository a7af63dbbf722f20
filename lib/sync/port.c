/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports: initialising them, the clients' turn, figures. What clients and
 * servers do is in port-client.c and port-server.c.
 */
#include <pthread.h>
#include <string.h>

#include "core/core.h"
#include "port.h"

uint32_t sync_forks;

static void after_fork(void)
{
	sync_forks++;
}

__attribute__((constructor)) static void at_load(void)
{
	/* without memory for it there is no fork either */
	(void)pthread_atfork(NULL, NULL, after_fork);
}

void rtkvm_port_options_init(struct rtkvm_port_options *options, size_t size)
{
	if (!options)
		return;
	memset(options, 0, size);
	options->size = size;
	if (size >= offsetof(struct rtkvm_port_options, reserved0))
		options->server_spin_ns = RTKVM_PORT_SPIN_DEFAULT_NS;
}

static int check(const struct rtkvm_port_options *o)
{
	if (o->flags & ~(uint32_t)(RTKVM_PORT_SHARED | RTKVM_PORT_STATS) || o->reserved0)
		return rtkvm_fail(NULL, EINVAL, "struct rtkvm_port_options",
				  "use RTKVM_PORT_* flags", "flags %#x", o->flags);
	if (o->client_spin_ns > RTKVM_PORT_SPIN_MAX_NS ||
	    o->server_spin_ns > RTKVM_PORT_SPIN_MAX_NS)
		return rtkvm_fail(NULL, EINVAL, "struct rtkvm_port_options",
				  "spin for RTKVM_PORT_SPIN_MAX_NS at most",
				  "spinning for %u and %u ns", o->client_spin_ns,
				  o->server_spin_ns);
	if (o->bell && (o->flags & RTKVM_PORT_SHARED))
		return rtkvm_fail(NULL, EINVAL, "struct rtkvm_port_options",
				  "leave bell NULL, or RTKVM_PORT_SHARED out",
				  "a descriptor is of one process, and the port of several");
	return 0;
}

int rtkvm_port_init(struct rtkvm_port *port, const struct rtkvm_port_options *options)
{
	struct rtkvm_port_options o = { .size = sizeof(o),
					.server_spin_ns = RTKVM_PORT_SPIN_DEFAULT_NS };
	struct sync_port *p = (struct sync_port *)port;
	int err = 0;

	if (!port)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_port_init", NULL, "port is NULL");
	if (options)
		err = rtkvm_options_take(NULL, &o, sizeof(o), sizeof(o), options,
					 "struct rtkvm_port_options");
	if (!err)
		err = check(&o);
	if (err < 0)
		return err;
	memset(p, 0, sizeof(*p));
	p->flags = o.flags;
	p->client_spin_ns = o.client_spin_ns;
	p->server_spin_ns = o.server_spin_ns;
	p->event = o.bell;
	p->cpu = p->client_cpu = -1;
	p->forks = sync_forks;
	return 0;
}

/* Somebody else has the turn, or had it and died. */
static int turn_wait(struct sync_port *p, const struct sync_until *until, uint32_t tid)
{
	uint32_t *word = &p->turn.word;
	uint32_t was;
	int err;

	port_count(p, &p->contended);
	for (;;) {
		was = __atomic_load_n(word, __ATOMIC_SEQ_CST);
		err = futex_lock_pi(word, until->time, until->realtime, port_shared(p));
		if (!err) {
			__atomic_fetch_and(word, ~(uint32_t)FUTEX_OWNER_DIED, __ATOMIC_SEQ_CST);
			return 0;
		}
		/* an owner that never was on a robust list: memory copied by fork(2) */
		if (err == -ESRCH &&
		    __atomic_compare_exchange_n(word, &was, tid | (was & FUTEX_WAITERS), false,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return 0;
		if (err != -ESRCH && err != -EAGAIN && err != -EINTR)
			return err;
	}
}

int port_turn_lock(struct sync_port *p, const struct sync_until *until)
{
	uint32_t tid = sync_tid(), none = 0;
	int err = 0;

	sync_robust_pending(&p->turn.links);
	if (!__atomic_compare_exchange_n(&p->turn.word, &none, tid, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		err = turn_wait(p, until, tid);
	if (!err) {
		sync_tsan_acquire(&p->turn);
		sync_robust_add(&p->turn.links);
	}
	sync_robust_done();
	return err;
}

void port_turn_unlock(struct sync_port *p)
{
	sync_robust_pending(&p->turn.links);
	sync_robust_remove(&p->turn.links);
	sync_tsan_release(&p->turn);
	port_release(p, &p->turn.word, sync_tid());
	sync_robust_done();
}

void port_release(struct sync_port *p, uint32_t *word, uint32_t tid)
{
	uint32_t expected = tid;

	if (__atomic_compare_exchange_n(word, &expected, 0, false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST))
		return;
	while (futex_unlock_pi(word, port_shared(p)) == -EAGAIN)
		;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void port_spin(const uint32_t *word, uint32_t mask, uint32_t value, bool equal, uint32_t ns)
{
	uint64_t end = now_ns() + ns;

	do {
		for (int i = 0; i < 16; i++) {
			if (((__atomic_load_n(word, __ATOMIC_ACQUIRE) & mask) == value) == equal)
				return;
			__builtin_ia32_pause();
		}
	} while (now_ns() < end);
}

int rtkvm_port_server(const struct rtkvm_port *port)
{
	return port ? (int)port_alive((const struct sync_port *)port) : 0;
}

int rtkvm_port_get_stats(const struct rtkvm_port *port, struct rtkvm_port_stats *stats)
{
	const struct sync_port *p = (const struct sync_port *)port;
	struct rtkvm_port_stats s = { .size = sizeof(s) };

	if (!port || !stats)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_port_get_stats", NULL, "NULL");
	s.calls = __atomic_load_n(&p->calls, __ATOMIC_RELAXED);
	s.contended = __atomic_load_n(&p->contended, __ATOMIC_RELAXED);
	s.lent = __atomic_load_n(&p->lent, __ATOMIC_RELAXED);
	s.wakes = __atomic_load_n(&p->wakes, __ATOMIC_RELAXED);
	s.withdrawn = __atomic_load_n(&p->withdrawn, __ATOMIC_RELAXED);
	s.abandoned = __atomic_load_n(&p->abandoned, __ATOMIC_RELAXED);
	s.deaths = __atomic_load_n(&p->deaths, __ATOMIC_RELAXED);
	return rtkvm_struct_give(NULL, stats, &s, sizeof(s), sizeof(s), "struct rtkvm_port_stats");
}
