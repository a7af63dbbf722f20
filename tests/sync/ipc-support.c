/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Real-time threads, and what the kernel says of them; see ipc-support.h.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc-support.h"

#define PATIENCE_NS UINT64_C(20000000000)

bool ipc_may_fifo(void)
{
	const struct sched_param fifo = { .sched_priority = 80 }, other = { 0 };

	if (sched_setscheduler(0, SCHED_FIFO, &fifo) < 0)
		return false;
	ck_assert_int_eq(sched_setscheduler(0, SCHED_OTHER, &other), 0);
	return true;
}

int ipc_cpu(void)
{
	cpu_set_t set;
	int cpu = CPU_SETSIZE - 1;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	while (cpu > 0 && !CPU_ISSET(cpu, &set))
		cpu--;
	return cpu;
}

void ipc_become(int priority, int cpu)
{
	const struct sched_param param = { .sched_priority = priority };
	cpu_set_t set;

	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
	}
	ck_assert_int_eq(sched_setscheduler(0, priority ? SCHED_FIFO : SCHED_OTHER, &param), 0);
}

static void *begin(void *arg)
{
	struct ipc_thread *t = arg;
	void *(*fn)(void *) = t->fn;
	void *fn_arg = t->arg;

	ipc_become(t->priority, t->cpu);
	__atomic_store_n(&t->tid, gettid(), __ATOMIC_RELEASE);
	return fn(fn_arg);
}

void ipc_start(struct ipc_thread *t)
{
	t->tid = 0;
	ck_assert_int_eq(pthread_create(&t->thread, NULL, begin, t), 0);
	while (!__atomic_load_n(&t->tid, __ATOMIC_ACQUIRE))
		ipc_sleep_ms(1);
}

void ipc_join(struct ipc_thread *t)
{
	ck_assert_int_eq(pthread_join(t->thread, NULL), 0);
}

/* Field of /proc/.../stat after the name, 3 is the state. */
static bool stat_of(pid_t tid, char *state, int *priority)
{
	char path[64], text[1024], *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	f = fopen(path, "r");
	if (!f)
		return false;
	p = fgets(text, sizeof(text), f);
	fclose(f);
	p = p ? strrchr(text, ')') : NULL;
	return p && sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %d",
			   state, priority) == 2;
}

int ipc_effective(pid_t tid)
{
	char state;
	int priority;

	ck_assert(stat_of(tid, &state, &priority));
	/* -1 - the real-time priority; 0 and up for the others */
	return priority < 0 ? -1 - priority : 0;
}

void ipc_wait_asleep(pid_t tid)
{
	uint64_t end = ipc_now_ns() + PATIENCE_NS;
	char state = '?';
	int priority;

	while (!stat_of(tid, &state, &priority) || state != 'S') {
		ck_assert_msg(ipc_now_ns() < end, "thread %d is in state %c", (int)tid, state);
		ipc_sleep_ms(1);
	}
}

void ipc_wait_value(const uint32_t *word, uint32_t value)
{
	uint64_t end = ipc_now_ns() + PATIENCE_NS;

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) {
		ck_assert_msg(ipc_now_ns() < end, "%u instead of %u", *word, value);
		ipc_sleep_ms(1);
	}
}

struct timespec ipc_after(clockid_t clock, long ms)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

void ipc_sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&t, &t) < 0)
		;
}

uint64_t ipc_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

void ipc_burn_ms(long ms)
{
	struct timespec begun, now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while ((now.tv_sec - begun.tv_sec) * 1000000000L + now.tv_nsec - begun.tv_nsec <
	       ms * 1000000L);
}

void *ipc_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert(p != MAP_FAILED);
	return p;
}
