/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that wait for one thing; see ipc-waiters.h.
 */
#include <string.h>

#include "ipc-waiters.h"

static const int priorities[WAITERS] = { 20, 40, 10, 30 };
const int ipc_sorted[WAITERS] = { 40, 30, 20, 10 };

void *ipc_wait_event(void *arg)
{
	struct waiter *w = arg;

	ck_assert_int_eq(rtkvm_event_wait(w->event, CLOCK_MONOTONIC, NULL), 0);
	w->order[__atomic_fetch_add(w->count, 1, __ATOMIC_SEQ_CST)] = w->name;
	return NULL;
}

void *ipc_wait_semaphore(void *arg)
{
	struct waiter *w = arg;

	ck_assert_int_eq(rtkvm_semaphore_wait(w->semaphore, CLOCK_MONOTONIC, NULL), 0);
	w->order[__atomic_fetch_add(w->count, 1, __ATOMIC_SEQ_CST)] = w->name;
	return NULL;
}

void ipc_start_waiters(struct waiter *w, void *(*fn)(void *), struct rtkvm_event *e,
		       struct rtkvm_semaphore *s, bool fifo)
{
	static uint32_t count;
	static int order[WAITERS];

	count = 0;
	memset(order, 0, sizeof(order));
	for (int i = 0; i < WAITERS; i++) {
		w[i] = (struct waiter){ .event = e, .semaphore = s, .count = &count,
					.name = priorities[i], .order = order };
		w[i].t = (struct ipc_thread){ .fn = fn, .arg = &w[i],
					      .priority = fifo ? priorities[i] : 0,
					      .cpu = fifo ? ipc_cpu() : -1 };
		ipc_start(&w[i].t);
		ipc_wait_asleep(w[i].t.tid);
	}
}

void ipc_join_waiters(struct waiter *w)
{
	for (int i = 0; i < WAITERS; i++)
		ipc_join(&w[i].t);
}
