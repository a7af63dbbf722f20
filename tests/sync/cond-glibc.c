/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What glibc's test suite checks of condition variables, written anew for
 * ours: the table is glibc-condvar.md. Built with and without -fexceptions.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "../lib/sync/cond.h"
#include "support/test.h"
#include "sync/support.h"

static struct rtkvm_mutex m;
static struct rtkvm_cond c;
static int woken, go;

static void fresh(uint32_t type)
{
	struct rtkvm_mutex_options o;

	rtkvm_mutex_options_init(&o, sizeof(o));
	o.type = type;
	ck_assert_int_eq(rtkvm_mutex_init(&m, &o), 0);
	ck_assert_int_eq(rtkvm_cond_init(&c, NULL), 0);
	woken = go = 0;
}

static void wait_once(struct thread *self)
{
	self->result = rtkvm_mutex_lock(&m) | rtkvm_cond_wait(&c, &m);
	__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
	self->result |= rtkvm_mutex_unlock(&m);
}

static void start_waiters(struct thread *t, int n, void (*run)(struct thread *))
{
	for (int i = 0; i < n; i++) {
		thread_start(&t[i], 0, -1, run, NULL);
		ck_assert(until_sleeps_in(t[i].tid, FUTEX_WAIT_REQUEUE_PI));
	}
}

static void join_all(struct thread *t, int n)
{
	for (int i = 0; i < n; i++) {
		thread_join(&t[i]);
		ck_assert_int_eq(t[i].result, 0);
	}
}

START_TEST(wait_and_signal)
{
	struct thread t;

	fresh(0);
	start_waiters(&t, 1, wait_once);
	ck_assert_int_eq(rtkvm_mutex_trylock(&m), 0);
	ck_assert_int_eq(rtkvm_cond_signal(&c, &m), 0);
	/* not before the mutex is free */
	sleep_ns(5 * NS_PER_MS);
	ck_assert_int_eq(__atomic_load_n(&woken, __ATOMIC_SEQ_CST), 0);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	join_all(&t, 1);
}
END_TEST

START_TEST(broadcast_wakes_all)
{
	struct thread t[20];

	fresh(0);
	start_waiters(t, 20, wait_once);
	rtkvm_mutex_lock(&m);
	ck_assert_int_eq(rtkvm_cond_broadcast(&c, &m), 0);
	rtkvm_mutex_unlock(&m);
	join_all(t, 20);
	ck_assert_int_eq(woken, 20);
}
END_TEST

START_TEST(nobody_wakes_alone)
{
	struct thread t[10];

	fresh(0);
	start_waiters(t, 10, wait_once);
	sleep_ns(200 * NS_PER_MS);
	ck_assert_int_eq(__atomic_load_n(&woken, __ATOMIC_SEQ_CST), 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(sleeps_in(t[i].tid), FUTEX_WAIT_REQUEUE_PI);
	rtkvm_cond_broadcast(&c, &m);
	join_all(t, 10);
}
END_TEST

START_TEST(timed_waits)
{
	const int clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };

	for (int i = 0; i < 4; i++) {
		struct rtkvm_cond_options o;
		struct timespec until;
		int64_t at;

		fresh(0);
		rtkvm_cond_options_init(&o, sizeof(o));
		o.clock = clocks[i & 1];
		ck_assert_int_eq(rtkvm_cond_init(&c, &o), 0);
		rtkvm_mutex_lock(&m);
		until = after_ns(clocks[i & 1], 100 * NS_PER_MS);
		at = until.tv_sec * NS_PER_S + until.tv_nsec;
		ck_assert_int_eq(i & 2 ? rtkvm_cond_clockwait(&c, &m, clocks[i & 1], &until) :
					 rtkvm_cond_timedwait(&c, &m, &until),
				 -ETIMEDOUT);
		ck_assert_int_ge(now_ns(clocks[i & 1]), at);
		ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	}
}
END_TEST

START_TEST(not_held)
{
	struct timespec soon = after_ns(CLOCK_MONOTONIC, NS_PER_S);

	fresh(RTKVM_MUTEX_ERRORCHECK);
	ck_assert_int_eq(rtkvm_cond_wait(&c, &m), -EPERM);
	ck_assert_int_eq(rtkvm_cond_timedwait(&c, &m, &soon), -EPERM);
}
END_TEST

START_TEST(as_many_signals)
{
	struct thread t[10];

	for (int round = 0; round < 20; round++) {
		fresh(0);
		start_waiters(t, 10, wait_once);
		for (int i = 0; i < 10; i++)
			ck_assert_int_eq(rtkvm_cond_signal(&c, &m), 0);
		join_all(t, 10);
	}
}
END_TEST

static void hold_thrice(struct thread *self)
{
	for (int i = 0; i < 3; i++)
		rtkvm_mutex_lock(&m);
	self->result = self->arg ? rtkvm_cond_timedwait(&c, &m, self->arg) : rtkvm_cond_wait(&c, &m);
	for (int i = 0; i < 3; i++)
		self->result |= rtkvm_mutex_unlock(&m);
}

START_TEST(recursive_mutex)
{
	struct timespec later = after_ns(CLOCK_MONOTONIC, 60 * NS_PER_S);
	struct thread t;

	for (int timed = 0; timed < 2; timed++) {
		fresh(RTKVM_MUTEX_RECURSIVE);
		thread_start(&t, 0, -1, hold_thrice, timed ? &later : NULL);
		ck_assert(until_sleeps_in(t.tid, FUTEX_WAIT_REQUEUE_PI));
		ck_assert_int_eq(rtkvm_cond_signal(&c, &m), 0);
		join_all(&t, 1);
	}
}
END_TEST

static bool exiting, busy, before;
static int rounds;
static void broadcaster(struct thread *self)
{
	(void)self;
	for (bool loop = true; loop;) {
		rtkvm_mutex_lock(&m);
		while (busy && !exiting)
			rtkvm_cond_wait(&c, &m);
		busy = true;
		rtkvm_mutex_unlock(&m);
		rtkvm_mutex_lock(&m);
		busy = false;
		rounds++;
		loop = !exiting;
		if (before)
			rtkvm_cond_broadcast(&c, &m);
		rtkvm_mutex_unlock(&m);
		if (!before)
			rtkvm_cond_broadcast(&c, &m);
	}
}

static void run_for(struct thread *t, int n, void (*run)(struct thread *), int64_t ns)
{
	exiting = busy = false;
	rounds = 0;
	for (int i = 0; i < n; i++)
		thread_start(&t[i], 0, -1, run, i ? NULL : &rounds);
	sleep_ns(ns);
	rtkvm_mutex_lock(&m);
	/* a slow machine gets more time: they take the mutex in between */
	for (int i = 0; rounds <= 1000 && i < 40000; i++) {
		rtkvm_mutex_unlock(&m);
		sleep_ns(NS_PER_MS);
		rtkvm_mutex_lock(&m);
	}
	exiting = true;
	rtkvm_mutex_unlock(&m);
	join_all(t, n);
	ck_assert_int_gt(rounds, 1000);
}

START_TEST(broadcasts_under_load)
{
	struct thread t[8];

	for (int i = 0; i < 2; i++) {
		fresh(0);
		before = i;
		run_for(t, 8, broadcaster, NS_PER_S);
	}
}
END_TEST

static int jobs;
static void worker(struct thread *self)
{
	unsigned int seed = 1;

	rtkvm_mutex_lock(&m);
	while (!exiting) {
		if (self->arg) {
			int n = jobs = rand_r(&seed) % 9;

			rounds++;
			if (rand_r(&seed) % 30 == 0)
				rtkvm_cond_broadcast(&c, &m);
			else
				while (n--)
					rtkvm_cond_signal(&c, &m);
		} else {
			while (!jobs && !exiting)
				rtkvm_cond_wait(&c, &m);
			jobs--;
		}
		rtkvm_mutex_unlock(&m);
		rtkvm_mutex_lock(&m);
	}
	rtkvm_cond_broadcast(&c, &m);
	rtkvm_mutex_unlock(&m);
}

START_TEST(signals_under_load)
{
	struct thread t[9];

	fresh(0);
	run_for(t, 9, worker, NS_PER_S);
}
END_TEST

START_TEST(bad_times)
{
	const int clocks[] = { CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
			       CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_RAW,
			       CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, 1234 };
	const long nanoseconds[] = { NS_PER_S, -1, 0x8000001 * 1000L };
	struct timespec t = { 0 };

	fresh(0);
	rtkvm_mutex_lock(&m);
	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++)
		ck_assert_int_eq(rtkvm_cond_clockwait(&c, &m, clocks[i], &t), -EINVAL);
	for (size_t i = 0; i < sizeof(nanoseconds) / sizeof(nanoseconds[0]); i++) {
		t = after_ns(CLOCK_MONOTONIC, NS_PER_S);
		t.tv_nsec = nanoseconds[i];
		ck_assert_int_eq(rtkvm_cond_timedwait(&c, &m, &t), -EINVAL);
		ck_assert_int_eq(rtkvm_mutex_trylock(&m), -EBUSY);
	}
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
}
END_TEST

static struct timespec far_away;
static void wait_timed(struct thread *self)
{
	self->result = rtkvm_mutex_lock(&m) | rtkvm_cond_timedwait(&c, &m, &far_away);
	self->result |= rtkvm_mutex_unlock(&m);
}

START_TEST(destroyed_at_once)
{
	struct thread t[10];

	far_away = after_ns(CLOCK_MONOTONIC, 60 * NS_PER_S);
	for (int round = 0; round < 40; round++) {
		fresh(0);
		start_waiters(t, 10, round & 1 ? wait_timed : wait_once);
		ck_assert_int_eq(rtkvm_cond_broadcast(&c, &m), 0);
		ck_assert_int_eq(rtkvm_cond_destroy(&c), 0);
		memset(&c, round, sizeof(c));
		join_all(t, 10);
		for (size_t i = 0; i < sizeof(c); i++)
			ck_assert_int_eq(((unsigned char *)&c)[i], round);
	}
}
END_TEST

static void used_once_thread(struct thread *self)
{
	struct {
		struct rtkvm_cond c;
		struct rtkvm_mutex m;
		int turn;
	} *t = self->arg;

	rtkvm_mutex_lock(&t->m);
	t->turn = 1;
	self->result = rtkvm_cond_signal(&t->c, &t->m);
	while (t->turn != 2)
		self->result |= rtkvm_cond_wait(&t->c, &t->m);
	rtkvm_mutex_unlock(&t->m);
}

START_TEST(used_once)
{
	struct {
		struct rtkvm_cond c;
		struct rtkvm_mutex m;
		int turn;
	} *t;
	struct thread thread;

	for (int i = 0; i < 100; i++) {
		t = calloc(1, sizeof(*t));
		ck_assert_ptr_nonnull(t);
		rtkvm_mutex_lock(&t->m);
		thread_start(&thread, 0, -1, used_once_thread, t);
		while (t->turn != 1)
			ck_assert_int_eq(rtkvm_cond_wait(&t->c, &t->m), 0);
		t->turn = 2;
		rtkvm_cond_signal(&t->c, &t->m);
		rtkvm_mutex_unlock(&t->m);
		join_all(&thread, 1);
		free(t);
	}
}
END_TEST

/* Cancelled while it waits: goes on waiting, and ends at the next cancellation point. */
static int cleaned, owned_at_end;
static void clean_up(int *unused)
{
	(void)unused;
	cleaned++;
	owned_at_end = rtkvm_mutex_unlock(&m) == 0;
}

static void *cancel_me(void *arg)
{
	int local __attribute__((cleanup(clean_up))) = 0;
	struct timespec t = { .tv_sec = 60 };

	*(pid_t *)arg = (pid_t)syscall(SYS_gettid);
	rtkvm_mutex_lock(&m);
	while (!go)
		rtkvm_cond_wait(&c, &m);
	nanosleep(&t, NULL);
	return NULL;
}

START_TEST(cancelled)
{
	pthread_t thread;
	void *result;

	for (int i = 0; i < 50; i++) {
		pid_t tid = 0;

		fresh(0);
		cleaned = owned_at_end = 0;
		ck_assert_int_eq(pthread_create(&thread, NULL, cancel_me, &tid), 0);
		while (!__atomic_load_n(&tid, __ATOMIC_SEQ_CST))
			sleep_ns(10000);
		ck_assert(until_sleeps_in(tid, FUTEX_WAIT_REQUEUE_PI));
		pthread_cancel(thread);
		sleep_ns(NS_PER_MS);
		ck_assert_int_eq(sleeps_in(tid), FUTEX_WAIT_REQUEUE_PI);
		ck_assert_int_eq((int)(uint32_t)sync_cond_of(&c)->bind, 1);
		rtkvm_mutex_lock(&m);
		go = 1;
		rtkvm_cond_signal(&c, &m);
		rtkvm_mutex_unlock(&m);
		ck_assert_int_eq(pthread_join(thread, &result), 0);
		ck_assert_ptr_eq(result, PTHREAD_CANCELED);
		ck_assert_int_eq((int)(uint32_t)sync_cond_of(&c)->bind, 0);
#ifdef __EXCEPTIONS
		ck_assert_int_eq(cleaned, 1);
		ck_assert_int_eq(owned_at_end, 1);
#endif
	}
}
END_TEST

START_TEST(options)
{
	struct rtkvm_cond_options o;

	memset(&o, 0xff, sizeof(o));
	rtkvm_cond_options_init(&o, sizeof(o));
	ck_assert_uint_eq(o.size, sizeof(o));
	ck_assert_int_eq(o.clock, CLOCK_MONOTONIC);
	ck_assert_uint_eq(o.flags, 0);
	for (uint32_t flags = 0; flags < 8; flags++) {
		o.flags = flags;
		ck_assert_int_eq(rtkvm_cond_init(&c, &o), flags & 2 ? -EINVAL : 0);
	}
}
END_TEST

static int pending;
static void pi_worker(struct thread *self)
{
	for (int i = 0; i < 5000; i++) {
		rtkvm_mutex_lock(&m);
		while (!pending) {
			struct timespec until = after_ns(CLOCK_REALTIME, 20 * NS_PER_S);
			int ret = self->arg ? rtkvm_cond_clockwait(&c, &m, CLOCK_REALTIME, &until) :
					      rtkvm_cond_wait(&c, &m);

			self->result |= ret;
		}
		pending--;
		self->result |= rtkvm_mutex_unlock(&m);
	}
}

START_TEST(pi_mutex_under_load)
{
	struct thread t[5];

	for (int timed = 0; timed < 2; timed++) {
		fresh(0);
		pending = 0;
		for (int i = 0; i < 5; i++)
			thread_start(&t[i], 0, -1, pi_worker, timed ? &t : NULL);
		for (int given = 0; given < 5 * 5000;) {
			rtkvm_mutex_lock(&m);
			if (pending < 1) {
				pending++;
				given++;
				ck_assert_int_eq(rtkvm_cond_signal(&c, &m), 0);
			}
			rtkvm_mutex_unlock(&m);
		}
		join_all(t, 5);
	}
}
END_TEST

/* A file between processes; the wait timed and not, the mutex recursive and not. */
struct both {
	struct rtkvm_mutex m;
	struct rtkvm_cond c;
	int turn;
};

static int turns(struct both *b, int me, int kind)
{
	for (int i = 0; i < 200; i++) {
		struct timespec until = after_ns(CLOCK_MONOTONIC, 60 * NS_PER_S);
		int ret = rtkvm_mutex_lock(&b->m);

		if (kind & 1)
			ret |= rtkvm_mutex_lock(&b->m);
		while (b->turn != me)
			ret |= kind & 2 ? rtkvm_cond_timedwait(&b->c, &b->m, &until) :
					  rtkvm_cond_wait(&b->c, &b->m);
		b->turn = !me;
		ret |= rtkvm_cond_signal(&b->c, &b->m);
		if (kind & 1)
			ret |= rtkvm_mutex_unlock(&b->m);
		ret |= rtkvm_mutex_unlock(&b->m);
		if (ret)
			return 1;
	}
	return 0;
}

START_TEST(between_processes)
{
	for (int kind = 0; kind < 4; kind++) {
		struct rtkvm_mutex_options mo;
		struct rtkvm_cond_options co;
		int fd = memfd_create("rtkvm-test", 0), status;
		struct both *b;
		pid_t child;

		ck_assert_int_eq(ftruncate(fd, 4096), 0);
		b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ck_assert_ptr_ne(b, MAP_FAILED);
		rtkvm_mutex_options_init(&mo, sizeof(mo));
		mo.flags = RTKVM_MUTEX_SHARED;
		mo.type = kind & 1 ? RTKVM_MUTEX_RECURSIVE : RTKVM_MUTEX_NORMAL;
		rtkvm_cond_options_init(&co, sizeof(co));
		co.flags = RTKVM_COND_SHARED;
		ck_assert_int_eq(rtkvm_mutex_init(&b->m, &mo), 0);
		ck_assert_int_eq(rtkvm_cond_init(&b->c, &co), 0);
		child = fork();
		if (!child)
			_exit(turns(b, 1, kind));
		ck_assert_int_eq(turns(b, 0, kind), 0);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
		close(fd);
	}
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("sync-cond-glibc");
	TCase *t = tcase_create("glibc");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, wait_and_signal);
	tcase_add_test(t, broadcast_wakes_all);
	tcase_add_test(t, nobody_wakes_alone);
	tcase_add_test(t, timed_waits);
	tcase_add_test(t, not_held);
	tcase_add_test(t, as_many_signals);
	tcase_add_test(t, recursive_mutex);
	tcase_add_test(t, broadcasts_under_load);
	tcase_add_test(t, signals_under_load);
	tcase_add_test(t, bad_times);
	tcase_add_test(t, destroyed_at_once);
	tcase_add_test(t, used_once);
	tcase_add_test(t, cancelled);
	tcase_add_test(t, options);
	tcase_add_test(t, pi_mutex_under_load);
	tcase_add_test(t, between_processes);
	suite_add_tcase(s, t);
	return s;
}
