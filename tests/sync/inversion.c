/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Priority inversion: four FIFO threads on one CPU and one condition variable.
 *
 * "old" (10) waits since long, "high" (50) since a moment ago. "low" (10)
 * takes the mutex, makes one token, signals, and goes on in its critical
 * section. Then "middle" (30) begins to compute, and does not stop before high
 * has been served, or for LIMIT ms.
 *
 * With librtkvm high is the one that is woken; it waits for the mutex, and
 * raises low. With glibc the signal goes to old, which is in an older group of
 * waiters; nobody raises low, and middle keeps all of them from the CPU.
 *
 *   inversion ours|glibc LIMIT
 *
 * Prints what each thread did when, as it saw it on the clock, "lane kind from
 * to" in us since the signal; then a line of figures. Exit status: 0 served
 * while middle computed; 1 only afterwards; 77 no SCHED_FIFO.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/support.h"

#define SECTION (10 * NS_PER_MS)
#define GAP (NS_PER_MS / 5) /* longer between two looks at the clock: did not run */

enum { LOW, OLD, MIDDLE, HIGH, LANES };
static const char *const lanes[] = { "low", "old", "middle", "high" };

struct interval {
	int lane;
	const char *kind;
	int64_t from, to;
};
static struct interval trace[4096];
static int traced;

static void note(int lane, const char *kind, int64_t from, int64_t to)
{
	int i = __atomic_fetch_add(&traced, 1, __ATOMIC_RELAXED);

	if (i < (int)(sizeof(trace) / sizeof(trace[0])))
		trace[i] = (struct interval){ lane, kind, from, to };
}

static bool ours;
static struct rtkvm_mutex m;
static struct rtkvm_cond c;
static pthread_mutex_t pm;
static pthread_cond_t pc = PTHREAD_COND_INITIALIZER;

static void lock(void)
{
	if (ours)
		rtkvm_mutex_lock(&m);
	else
		pthread_mutex_lock(&pm);
}

static void unlock(void)
{
	if (ours)
		rtkvm_mutex_unlock(&m);
	else
		pthread_mutex_unlock(&pm);
}

static void wait(void)
{
	if (ours)
		rtkvm_cond_wait(&c, &m);
	else
		pthread_cond_wait(&pc, &pm);
}

static void wake(void)
{
	if (ours)
		rtkvm_cond_signal(&c, &m);
	else
		pthread_cond_signal(&pc);
}

static int tokens;
static int64_t signalled, served, limit;
static bool in_section;

/* Compute for so long, or until it is over; note when it ran. */
static void compute(int lane, const char *kind, int64_t cpu_ns, const int64_t *over)
{
	int64_t from = now_ns(CLOCK_MONOTONIC), last = from, left = cpu_ns;

	while (left > 0 && !(over && __atomic_load_n(over, __ATOMIC_ACQUIRE))) {
		int64_t now = now_ns(CLOCK_MONOTONIC);

		if (now - last > GAP) {
			note(lane, kind, from, last);
			from = now;
		} else {
			left -= now - last;
		}
		last = now;
	}
	note(lane, kind, from, last);
}

static void first(struct thread *self)
{
	(void)self;
	lock();
	while (!tokens)
		wait();
	tokens--;
	unlock();
}

/* Takes the token for a while and puts it back. */
static void old(struct thread *self)
{
	(void)self;
	lock();
	while (!tokens)
		wait();
	compute(OLD, "section", SECTION / 2, NULL);
	wake();
	unlock();
}

static void high(struct thread *self)
{
	(void)self;
	lock();
	while (!tokens)
		wait();
	tokens--;
	__atomic_store_n(&served, now_ns(CLOCK_MONOTONIC), __ATOMIC_RELEASE);
	compute(HIGH, "section", SECTION / 5, NULL);
	tokens++;
	wake();
	unlock();
}

static void low(struct thread *self)
{
	(void)self;
	lock();
	tokens++;
	signalled = now_ns(CLOCK_MONOTONIC);
	wake();
	__atomic_store_n(&in_section, true, __ATOMIC_RELEASE);
	compute(LOW, "section", SECTION, NULL);
	unlock();
}

static void middle(struct thread *self)
{
	(void)self;
	compute(MIDDLE, "computes", limit, &served);
}

static void make(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&pm, &attr);
	rtkvm_mutex_init(&m, NULL);
	rtkvm_cond_init(&c, NULL);
}

static void wake_first(struct thread *t)
{
	lock();
	tokens = 1;
	wake();
	unlock();
	thread_join(t);
}

static void report(void)
{
	for (int i = 0; i < traced; i++)
		printf("%s %s %.1f %.1f\n", lanes[trace[i].lane], trace[i].kind,
		       (double)(trace[i].from - signalled) / 1e3,
		       (double)(trace[i].to - signalled) / 1e3);
	printf("high waits 0.0 %.1f\n", (double)(served - signalled) / 1e3);
}

int main(int argc, char **argv)
{
	struct thread t[5];
	int64_t middle_end = 0;

	if (argc != 3)
		return 2;
	if (set_priority(0, 90) < 0)
		return 77;
	ours = !strcmp(argv[1], "ours");
	limit = atoi(argv[2]) * NS_PER_MS;
	make();
	/* in glibc old stays behind in the group that is woken from first */
	thread_start(&t[0], 10, 0, old, NULL);
	until_asleep(t[0].tid);
	thread_start(&t[1], 60, 0, first, NULL);
	until_asleep(t[1].tid);
	wake_first(&t[1]);
	thread_start(&t[2], 50, 0, high, NULL);
	until_asleep(t[2].tid);
	thread_start(&t[3], 10, 0, low, NULL);
	while (!__atomic_load_n(&in_section, __ATOMIC_ACQUIRE))
		sleep_ns(NS_PER_MS / 10);
	thread_start(&t[4], 30, 0, middle, NULL);
	for (int i = 0; i < 5; i++)
		if (i != 1)
			thread_join(&t[i]);
	report();
	for (int i = 0; i < traced; i++)
		if (trace[i].lane == MIDDLE && trace[i].to > middle_end)
			middle_end = trace[i].to;
	printf("# %s: high waited %.1f ms; the section of low is %.1f ms, middle computed up to %lld ms\n",
	       argv[1], (double)(served - signalled) / 1e6, (double)SECTION / 1e6,
	       (long long)(limit / NS_PER_MS));
	return served < middle_end || middle_end < signalled + limit ? 0 : 1;
}
