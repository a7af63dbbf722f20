/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A port from inside: its words, who may write them, and what port-client.c
 * and port-server.c share. Why it is right is in doc/design/sync-ipc.md.
 *
 * turn   PI mutex of the clients, robust. Who holds it has the slot (state,
 *        request) and the reply word to itself, the server apart.
 * alive  id of the server. On the server's robust list in front of "reply":
 *        the kernel clears it first when the server ends.
 * reply  id of the server while a request is posted or in progress: the client
 *        writes it and waits for the word with FUTEX_LOCK_PI. As long as it is
 *        the server's, the server may touch the slot; releasing it is the last
 *        thing that the server does with a request. Also on its robust list.
 * bell   1: the server sleeps, or is about to.
 */
#ifndef RTKVM_SYNC_PORT_H
#define RTKVM_SYNC_PORT_H

#include <sched.h>

#include <rtkvm/sync_request.h>

#include "ceiling.h"
#include "futex.h"
#include "robust.h"
#include "self.h"
#include "until.h"

/* A word on a robust list; as a pthread_mutex_t has them. */
struct sync_robust_word {
	uint32_t word;
	uint32_t unused[5];
	struct sync_links links;
};
_Static_assert(offsetof(struct sync_robust_word, links.next) == -SYNC_ROBUST_OFFSET,
	       "the kernel finds the word from its link");

enum {
	PORT_FREE = 0,
	PORT_POSTED = 1,    /* by a client */
	PORT_TAKEN = 2,     /* by the server: in progress */
	PORT_DONE = 3,      /* the reply is in the slot */
	PORT_ABANDONED = 4, /* in progress, and nobody waits for it */
	PORT_REFUSED = 5    /* the server closed the port instead */
};

struct __attribute__((may_alias)) sync_port {
	struct sync_robust_word turn;
	struct sync_robust_word alive;
	struct sync_robust_word reply;
	uint32_t state;
	uint32_t bell;
	struct rtkvm_request request;
	uint32_t flags;
	uint32_t forks; /* of a private port: which process opened it */
	uint32_t client_spin_ns;
	uint32_t server_spin_ns;
	int32_t cpu;        /* where the server was last seen */
	int32_t client_cpu; /* where the last client was; -1: none yet */
	struct rtkvm_event_fd *event;
	uint64_t calls, contended, lent, wakes, withdrawn, abandoned, deaths;
	uint32_t yields;     /* number of the CPU, and 1, where the server yields; else 0 */
	uint32_t vain;       /* the server's: how often in a row it yielded in vain */
	uint32_t no_yield;   /* the server's: how often it will not yield */
	uint32_t reserved0;
	uint64_t reserved[11];
};
_Static_assert(sizeof(struct sync_port) == sizeof(struct rtkvm_port), "size of a port");

/* How often this process is a child of fork(2) since the library was loaded. */
extern uint32_t sync_forks __attribute__((visibility("hidden")));

static inline bool port_shared(const struct sync_port *p)
{
	return p->flags & RTKVM_PORT_SHARED;
}

static inline void port_count(struct sync_port *p, uint64_t *counter)
{
	sync_count(p->flags & RTKVM_PORT_STATS, counter);
}

/* The server's id, 0 when there is none that this process could call. */
static inline uint32_t port_alive(const struct sync_port *p)
{
	if (!port_shared(p) && __atomic_load_n(&p->forks, __ATOMIC_RELAXED) != sync_forks)
		return 0;
	return __atomic_load_n(&p->alive.word, __ATOMIC_SEQ_CST) & FUTEX_TID_MASK;
}

static inline uint32_t port_replier(const struct sync_port *p)
{
	return __atomic_load_n(&p->reply.word, __ATOMIC_SEQ_CST) & FUTEX_TID_MASK;
}

static inline bool port_change(struct sync_port *p, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&p->state, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/*
 * Whether yielding the CPU makes the server run, if it is of the same priority.
 * Not for threads that are neither FIFO nor RR: SCHED_DEADLINE would lose its
 * period.
 */
static inline bool port_yields_here(const struct sync_port *p)
{
	uint32_t cpu = __atomic_load_n(&p->yields, __ATOMIC_RELAXED);

	return sync_unlikely(cpu) && cpu == (uint32_t)sched_getcpu() + 1 && sync_base();
}

/*
 * The turn. 0 also when its last holder died: nothing in the slot is then
 * taken for granted. Else -ETIMEDOUT, -EDEADLK, -ENOMEM; the caller has asked
 * sync_robust_ready().
 */
int port_turn_lock(struct sync_port *p, const struct sync_until *until);
void port_turn_unlock(struct sync_port *p);

/* The owner gives a word of the PI protocol away, or nobody gets it. */
void port_release(struct sync_port *p, uint32_t *word, uint32_t tid);

/* Spin until *word & mask is (not) value, at most ns nanoseconds. */
void port_spin(const uint32_t *word, uint32_t mask, uint32_t value, bool equal, uint32_t ns);

#endif
