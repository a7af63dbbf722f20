/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Throughput of one mutex that 2, 4 and 8 threads want all the time, against
 * glibc's with priority inheritance and without. A figure is the time from one
 * critical section to the next; a short computation is inside and outside.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <rtkvm/sync.h>

#include "bench.h"

#define MOST 8

struct wanted {
	struct rtkvm_mutex ours __attribute__((aligned(64)));
	pthread_mutex_t theirs __attribute__((aligned(64)));
	volatile uint64_t count __attribute__((aligned(64)));
	int threads;
	cpu_set_t cpus;
};

struct share {
	struct wanted *w;
	int (*lock)(struct wanted *w);
	int (*unlock)(struct wanted *w);
	uint64_t times;
};

static int lock_ours(struct wanted *w)
{
	return rtkvm_mutex_lock(&w->ours);
}

static int unlock_ours(struct wanted *w)
{
	return rtkvm_mutex_unlock(&w->ours);
}

static int lock_theirs(struct wanted *w)
{
	return pthread_mutex_lock(&w->theirs);
}

static int unlock_theirs(struct wanted *w)
{
	return pthread_mutex_unlock(&w->theirs);
}

static void compute(void)
{
	for (volatile int i = 0; i < 20; i = i + 1)
		;
}

static void *work(void *arg)
{
	struct share *s = arg;

	sched_setaffinity(0, sizeof(s->w->cpus), &s->w->cpus);
	for (uint64_t i = 0; i < s->times; i++) {
		s->lock(s->w);
		s->w->count = s->w->count + 1;
		compute();
		s->unlock(s->w);
		compute();
	}
	return NULL;
}

static void run(struct share what, uint64_t times)
{
	pthread_t thread[MOST];

	what.times = times / (uint64_t)what.w->threads + 1;
	for (int i = 0; i < what.w->threads; i++)
		if (pthread_create(&thread[i], NULL, work, &what))
			abort();
	for (int i = 0; i < what.w->threads; i++)
		pthread_join(thread[i], NULL);
}

static void ours(void *arg, uint64_t times)
{
	run((struct share){ arg, lock_ours, unlock_ours, 0 }, times);
}

static void theirs(void *arg, uint64_t times)
{
	run((struct share){ arg, lock_theirs, unlock_theirs, 0 }, times);
}

int main(void)
{
	static struct wanted w = { .ours = RTKVM_MUTEX_INIT };

	sched_getaffinity(0, sizeof(w.cpus), &w.cpus);
	for (w.threads = 2; w.threads <= MOST; w.threads *= 2)
		for (int normal = 0; normal < 2; normal++) {
			char name[32];
			struct bench b = { name, normal ? "glibc normal" : "glibc PI", ours, theirs,
					   &w };
			pthread_mutexattr_t attr;

			snprintf(name, sizeof(name), "contended, %d threads", w.threads);
			pthread_mutexattr_init(&attr);
			pthread_mutexattr_setprotocol(&attr, normal ? PTHREAD_PRIO_NONE :
								      PTHREAD_PRIO_INHERIT);
			pthread_mutex_init(&w.theirs, &attr);
			if (bench_run(&b) < 0)
				return 1;
		}
	return 0;
}
