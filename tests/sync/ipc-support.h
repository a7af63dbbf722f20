/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests of events, queues and requests share: real-time threads on one
 * CPU, and what the kernel says of a thread.
 */
#ifndef RTKVM_TEST_IPC_SUPPORT_H
#define RTKVM_TEST_IPC_SUPPORT_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "support/test.h"

/* A thread with a priority (0: SCHED_OTHER) and a CPU (-1: any). */
struct ipc_thread {
	pthread_t thread;
	void *(*fn)(void *arg);
	void *arg;
	int priority;
	int cpu;
	pid_t tid; /* valid when ipc_start() returns */
};

/* May this user use SCHED_FIFO? */
bool ipc_may_fifo(void);

/* The last CPU that this process may use. */
int ipc_cpu(void);

void ipc_start(struct ipc_thread *t);
void ipc_join(struct ipc_thread *t);

/* Change the calling thread. */
void ipc_become(int priority, int cpu);

/* The priority that the kernel schedules a thread of this process by: 1 to 99; 0: not real-time. */
int ipc_effective(pid_t tid);

/* Wait until a thread sleeps; fails the test after 20 s. */
void ipc_wait_asleep(pid_t tid);

/* Wait until a counter has a value; fails the test after 20 s. */
void ipc_wait_value(const uint32_t *word, uint32_t value);

/* Now plus ms on the clock. */
struct timespec ipc_after(clockid_t clock, long ms);

void ipc_sleep_ms(long ms);
uint64_t ipc_now_ns(void);

/* Keep the CPU for so long of the thread's own time. */
void ipc_burn_ms(long ms);

/* Memory that children of fork(2) share, zeroed. */
void *ipc_shared(size_t size);

#endif
