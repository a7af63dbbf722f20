/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cost of the condition variable, against glibc's with its PI mutex: a signal
 * that nobody waits for; a request to a server thread that waits, and its answer,
 * on one CPU (where the server is one level above, and has answered when the
 * signal returns) and on two, with the signal after unlocking and before; two
 * equal threads that take turns on one CPU, with the signal after unlocking, or
 * signal and wait in one section, and what bare futexes take for that; a broadcast
 * to 16. Without SCHED_FIFO the first alone.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rtkvm/sync.h>

#include "bench.h"
#include "cond-floor.h"

#define PRIORITY 50
#define CROWD 16

/* One pair of mutex and condition variables, ours or theirs. */
struct pair {
	bool ours, inside;
	struct rtkvm_mutex m __attribute__((aligned(64)));
	struct rtkvm_cond c[2] __attribute__((aligned(64)));
	pthread_mutex_t pm __attribute__((aligned(64)));
	pthread_cond_t pc[2] __attribute__((aligned(64)));
	int turn;      /* 0 the measuring thread, 1 the other, -1 the end */
	uint64_t round;
	int awake;     /* of the crowd */
};

static void lock(struct pair *p)
{
	if (p->ours)
		rtkvm_mutex_lock(&p->m);
	else
		pthread_mutex_lock(&p->pm);
}

static void unlock(struct pair *p)
{
	if (p->ours)
		rtkvm_mutex_unlock(&p->m);
	else
		pthread_mutex_unlock(&p->pm);
}

static void wait(struct pair *p, int which)
{
	if (p->ours)
		rtkvm_cond_wait(&p->c[which], &p->m);
	else
		pthread_cond_wait(&p->pc[which], &p->pm);
}

static void wake(struct pair *p, int which)
{
	if (p->ours)
		rtkvm_cond_signal(&p->c[which], &p->m);
	else
		pthread_cond_signal(&p->pc[which]);
}

static void wake_all(struct pair *p, int which)
{
	if (p->ours)
		rtkvm_cond_broadcast(&p->c[which], &p->m);
	else
		pthread_cond_broadcast(&p->pc[which]);
}

static void pair_init(struct pair *p, bool is_ours, bool inside)
{
	pthread_mutexattr_t attr;

	memset(p, 0, sizeof(*p));
	p->ours = is_ours;
	p->inside = inside;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&p->pm, &attr);
	pthread_cond_init(&p->pc[0], NULL);
	pthread_cond_init(&p->pc[1], NULL);
}

/* ---- nobody waits ---- */

static struct pair alone[2];

static void signal_ours(void *arg, uint64_t times)
{
	(void)arg;
	for (uint64_t i = 0; i < times; i++)
		rtkvm_cond_signal(&alone[0].c[0], &alone[0].m);
}

static void signal_theirs(void *arg, uint64_t times)
{
	(void)arg;
	for (uint64_t i = 0; i < times; i++)
		pthread_cond_signal(&alone[1].pc[0]);
}

/* ---- a server ---- */

static struct pair served[2];

/* Wakes the waiter of which, before unlocking or after. */
static void unlock_and_wake(struct pair *p, int which)
{
	if (p->inside)
		wake(p, which);
	unlock(p);
	if (!p->inside)
		wake(p, which);
}

static void *server(void *arg)
{
	struct pair *p = arg;
	bool go_on = true;

	while (go_on) {
		lock(p);
		while (!p->turn)
			wait(p, 1);
		go_on = p->turn > 0;
		p->turn = 0;
		unlock_and_wake(p, 0);
	}
	return NULL;
}

static void ask(struct pair *p, uint64_t times)
{
	for (uint64_t i = 0; i < times; i++) {
		lock(p);
		p->turn = 1;
		unlock_and_wake(p, 1);
		lock(p);
		while (p->turn)
			wait(p, 0);
		unlock(p);
	}
}

static void ask_ours(void *arg, uint64_t times)
{
	(void)arg;
	ask(&served[0], times);
}

static void ask_theirs(void *arg, uint64_t times)
{
	(void)arg;
	ask(&served[1], times);
}

/* ---- turns ---- */

static struct pair turns[2];

/* Give the turn, and wait until it is mine again, or all is over. */
static bool hand_over(struct pair *p, int me)
{
	bool go_on;

	lock(p);
	while (p->turn == !me)
		wait(p, me);
	go_on = p->turn >= 0;
	if (go_on)
		p->turn = !me;
	unlock_and_wake(p, !me);
	return go_on;
}

static void *partner(void *arg)
{
	while (hand_over(arg, 1))
		;
	return NULL;
}

static void take_turns(struct pair *p, uint64_t times)
{
	for (uint64_t i = 0; i < times; i++)
		hand_over(p, 0);
	lock(p);
	while (p->turn)
		wait(p, 0);
	unlock(p);
}

static void turns_ours(void *arg, uint64_t times)
{
	(void)arg;
	take_turns(&turns[0], times);
}

static void turns_theirs(void *arg, uint64_t times)
{
	(void)arg;
	take_turns(&turns[1], times);
}

/* The same within one section each: signal, and wait for the answer, with the mutex held. */
static bool hand_over_inside(struct pair *p, int me, uint64_t times)
{
	bool go_on = true;

	lock(p);
	for (uint64_t i = 0; i < times && go_on; i++) {
		while (p->turn == !me)
			wait(p, me);
		go_on = p->turn >= 0;
		if (go_on)
			p->turn = !me;
		wake(p, !me);
	}
	while (p->turn == !me)
		wait(p, me);
	unlock(p);
	return go_on;
}

static void *partner_inside(void *arg)
{
	while (hand_over_inside(arg, 1, UINT64_MAX))
		;
	return NULL;
}

static void inside_ours(void *arg, uint64_t times)
{
	(void)arg;
	hand_over_inside(&turns[0], 0, times);
}

static void inside_theirs(void *arg, uint64_t times)
{
	(void)arg;
	hand_over_inside(&turns[1], 0, times);
}

/* What both have to do at least (cond-floor.h). */
static struct turns_floor floors[2];

static void *floor_of_mutex(void *arg)
{
	(void)arg;
	floor_partner(&floors[0], false);
	return NULL;
}

static void *floor_of_requeue(void *arg)
{
	(void)arg;
	floor_partner(&floors[1], true);
	return NULL;
}

static void floor_mutex(void *arg, uint64_t times)
{
	(void)arg;
	floor_by_mutex(&floors[0], times);
}

static void floor_requeue(void *arg, uint64_t times)
{
	(void)arg;
	floor_by_requeue(&floors[1], 0, times);
}

/* ---- a crowd ---- */

static struct pair crowd[2];

static void *member(void *arg)
{
	struct pair *p = arg;
	uint64_t round = 0;

	lock(p);
	for (;;) {
		while (p->round == round)
			wait(p, 1);
		if (p->turn < 0)
			break;
		round = p->round;
		if (++p->awake == CROWD)
			wake(p, 0);
	}
	unlock(p);
	return NULL;
}

static void wake_crowd(struct pair *p, uint64_t times)
{
	for (uint64_t i = 0; i < times; i++) {
		lock(p);
		p->awake = 0;
		p->round++;
		wake_all(p, 1);
		while (p->awake < CROWD)
			wait(p, 0);
		unlock(p);
	}
}

static void crowd_ours(void *arg, uint64_t times)
{
	(void)arg;
	wake_crowd(&crowd[0], times);
}

static void crowd_theirs(void *arg, uint64_t times)
{
	(void)arg;
	wake_crowd(&crowd[1], times);
}

/* ---- */

static pthread_t start(void *(*fn)(void *), struct pair *p, int priority, int cpu)
{
	struct sched_param param = { .sched_priority = priority };
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t one;

	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &param);
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_attr_setaffinity_np(&attr, sizeof(one), &one);
	if (pthread_create(&thread, &attr, fn, p)) {
		perror("pthread_create");
		exit(1);
	}
	return thread;
}

static void end(struct pair *p)
{
	lock(p);
	p->turn = -1;
	p->round++;
	wake_all(p, 1);
	unlock(p);
}

/* Two threads and a pair, ours and theirs. */
static int bench_two(const struct bench *b, struct pair pair[2], void *(*fn)(void *), int priority,
		     int cpu, bool inside)
{
	pthread_t thread[2];
	int ret;

	for (int i = 0; i < 2; i++) {
		pair_init(&pair[i], i == 0, inside);
		thread[i] = start(fn, &pair[i], priority, cpu);
	}
	ret = bench_run(b);
	for (int i = 0; i < 2; i++) {
		end(&pair[i]);
		pthread_join(thread[i], NULL);
	}
	return ret;
}

static int bench_server(const char *name, int cpu, bool inside)
{
	struct bench b = { name, "glibc, PI mutex", ask_ours, ask_theirs, NULL };

	return bench_two(&b, served, server, PRIORITY + 1, cpu, inside);
}

static int bench_turns(const char *name, int cpu)
{
	struct bench b = { name, "glibc, PI mutex", turns_ours, turns_theirs, NULL };

	return bench_two(&b, turns, partner, PRIORITY, cpu, false);
}

static int bench_inside(const char *name, int cpu)
{
	struct bench b = { name, "glibc, PI mutex", inside_ours, inside_theirs, NULL };

	return bench_two(&b, turns, partner_inside, PRIORITY, cpu, true);
}

/* A floor, against glibc's turns of the same kind. */
static int bench_floor(const char *name, int cpu, bool requeue)
{
	struct turns_floor *f = &floors[requeue];
	struct bench b = { name, "glibc, PI mutex", requeue ? floor_requeue : floor_mutex,
			   requeue ? inside_theirs : turns_theirs, NULL };
	pthread_t thread;
	int ret;

	if (!requeue)
		floor_lock(f);
	thread = start(requeue ? floor_of_requeue : floor_of_mutex, NULL, PRIORITY, cpu);
	while (requeue && !__atomic_load_n(&f->ready, __ATOMIC_SEQ_CST))
		usleep(1000);
	if (requeue)
		floor_lock(f);
	ret = bench_two(&b, turns, requeue ? partner_inside : partner, PRIORITY, cpu, requeue);
	floor_end(f);
	pthread_join(thread, NULL);
	return ret;
}

static int bench_crowd(int cpu)
{
	struct bench b = { "broadcast to 16", "glibc, PI mutex", crowd_ours, crowd_theirs, NULL };
	pthread_t thread[2][CROWD];
	int ret;

	for (int i = 0; i < 2; i++) {
		pair_init(&crowd[i], i == 0, true);
		for (int n = 0; n < CROWD; n++)
			thread[i][n] = start(member, &crowd[i], PRIORITY - 20 + n, cpu);
	}
	ret = bench_run(&b);
	for (int i = 0; i < 2; i++) {
		end(&crowd[i]);
		for (int n = 0; n < CROWD; n++)
			pthread_join(thread[i][n], NULL);
	}
	return ret;
}

int main(void)
{
	struct bench nobody = { "signal, no waiter", "glibc", signal_ours, signal_theirs, NULL };
	struct sched_param param = { .sched_priority = PRIORITY };
	int first = -1, last = -1;
	cpu_set_t set;

	/* others of the machine do not get in between then */
	bool fifo = sched_setscheduler(0, SCHED_FIFO, &param) == 0;

	pair_init(&alone[0], true, false);
	pair_init(&alone[1], false, false);
	if (bench_run(&nobody) < 0)
		return 1;
	if (!fifo) {
		fprintf(stderr, "the others are left out: no SCHED_FIFO here\n");
		return 0;
	}
	sched_getaffinity(0, sizeof(set), &set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set)) {
			first = first < 0 ? cpu : first;
			last = cpu;
		}
	/* the frame puts this thread on the last CPU */
	if (bench_server("wake, same CPU, unlocked", last, false) < 0 ||
	    bench_server("wake, same CPU, locked", last, true) < 0 ||
	    bench_turns("turns of equals, same CPU", last) < 0 ||
	    bench_floor("floor: turns, by the mutex", last, false) < 0 ||
	    bench_inside("turns of equals, one section", last) < 0 ||
	    bench_floor("floor: turns, by requeueing", last, true) < 0 || bench_crowd(last) < 0)
		return 1;
	if (first != last && (bench_server("wake, two CPUs, unlocked", first, false) < 0 ||
			      bench_server("wake, two CPUs, locked", first, true) < 0))
		return 1;
	return 0;
}
