/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of lib/sync share: threads with a priority and a CPU, waiting
 * until one sleeps in the kernel, and a watchdog. Nothing of any one test.
 */
#ifndef RTKVM_TEST_SYNC_SUPPORT_H
#define RTKVM_TEST_SYNC_SUPPORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <rtkvm/sync.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

int64_t now_ns(clockid_t clock);
struct timespec after_ns(clockid_t clock, int64_t ns);
void sleep_ns(int64_t ns);
void spin_ns(int64_t ns); /* of the thread's own CPU time */

/* Whether threads may be FIFO here. */
bool may_fifo(void);
int cpu_count(void);
/* The n-th CPU that this process may use, from 0. */
int cpu_number(int n);

struct thread {
	pthread_t handle;
	pid_t tid;    /* 0 until it runs */
	int priority; /* 0: SCHED_OTHER */
	int cpu;      /* number of an allowed CPU (cpu_number()), -1: any */
	void (*run)(struct thread *self);
	void *arg;
	long result;
	bool done;
};

/* Returns when the thread exists; aborts when it cannot be made. */
void thread_start(struct thread *t, int priority, int cpu, void (*run)(struct thread *), void *arg);
void thread_join(struct thread *t);

/* The futex operation (without flags) that a thread sleeps in; -1: in none. */
int sleeps_in(pid_t tid);
/* Wait until it sleeps in this operation; false after five seconds. */
bool until_sleeps_in(pid_t tid, int op);
bool until_asleep(pid_t tid); /* in any futex operation */
/* Priority of a thread as the kernel runs it, boosts included: 1 to 99, 0 not real-time. */
int effective_priority(pid_t tid);
/* As sched_getparam(2) says: boosts not included. */
int set_priority(pid_t tid, int priority);
int get_priority(pid_t tid);

/*
 * The watchdog ends the program with a dump when *progress has stood still for
 * so many seconds. Seconds in which the watchdog itself did not get to run (a
 * machine that was paused) do not count.
 */
struct watched {
	const char *name;
	const uint64_t *words;
	int count; /* words of 64 bits */
};
void watchdog_start(const uint64_t *progress, int seconds, const struct watched *objects,
		    int count);
void watchdog_stop(void);

#endif
