/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads of several priorities that wait for one event or one semaphore, and
 * write down in which order they were woken.
 */
#ifndef RTKVM_TEST_IPC_WAITERS_H
#define RTKVM_TEST_IPC_WAITERS_H

#include <rtkvm/sync_event.h>

#include "ipc-support.h"

#define WAITERS 4

struct waiter {
	struct rtkvm_event *event;
	struct rtkvm_semaphore *semaphore;
	uint32_t *count;
	int name;
	int *order;
	struct ipc_thread t;
};

/* Their priorities from the highest to the lowest: the order that is expected. */
extern const int ipc_sorted[WAITERS];

/* What a waiter does: wait once. */
void *ipc_wait_event(void *arg);
void *ipc_wait_semaphore(void *arg);

/* All sleep when it returns. With fifo on one CPU and with priorities, else without. */
void ipc_start_waiters(struct waiter *w, void *(*fn)(void *), struct rtkvm_event *e,
		       struct rtkvm_semaphore *s, bool fifo);
void ipc_join_waiters(struct waiter *w);

#endif
