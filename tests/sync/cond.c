/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The condition variable: who is woken, in which order, how a wait ends, and
 * what is refused. With which mutexes it goes, shared memory and destroying are in
 * cond-kinds.c, the cases of glibc's test suite in cond-glibc.c, load in stress.c.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "support/test.h"
#include "../lib/sync/cond.h"
#include "sync/cond-box.h"

/* Signals with and without the mutex, for each kind of mutex. */
START_TEST(signals)
{
	const struct {
		uint32_t type, protocol, flags;
	} kinds[] = {
		{ RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_INHERIT, 0 },
		{ RTKVM_MUTEX_RECURSIVE, RTKVM_MUTEX_INHERIT, 0 },
		{ RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_INHERIT, RTKVM_MUTEX_ROBUST },
		{ RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_INHERIT, RTKVM_MUTEX_ROBUST | RTKVM_MUTEX_SHARED },
		{ RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_EAGER, 0 },
		{ RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_STATIC, 0 },
		{ RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_CHECKED, 0 },
	};
	bool fifo = may_fifo();
	struct thread t[3];

	if (fifo)
		set_priority(0, 10);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		if (!fifo && kinds[k].protocol)
			continue;
		for (int inside = 0; inside < 2; inside++) {
			box_make(kinds[k].type, kinds[k].protocol, kinds[k].flags, CLOCK_MONOTONIC);
			for (int i = 0; i < 3; i++)
				box_start_taker(&t[i], fifo ? 20 : 0);
			box_put(1, rtkvm_cond_signal, inside);
			box_put(1, rtkvm_cond_signal, inside);
			box_put(1, rtkvm_cond_signal, inside);
			for (int i = 0; i < 3; i++) {
				thread_join(&t[i]);
				ck_assert_int_eq(t[i].result, 0);
			}
			ck_assert_int_eq(box.tokens, 0);
			ck_assert_int_eq(rtkvm_cond_destroy(&box.cond), 0);
			ck_assert_int_eq(rtkvm_mutex_destroy(&box.mutex), 0);
		}
	}
}
END_TEST

START_TEST(order_of_broadcast)
{
	const int priorities[] = { 30, 10, 50, 20, 40 };
	struct thread t[5];

	if (!may_fifo())
		SKIP_TEST("SCHED_FIFO is refused");
	for (int inside = 0; inside < 2; inside++) {
		box_make(0, 0, 0, CLOCK_MONOTONIC);
		set_priority(0, 90);
		for (int i = 0; i < 5; i++)
			box_start_taker(&t[i], priorities[i]);
		/* as another thread with chrt: counts from the wake-up on */
		set_priority(t[1].tid, 60);
		t[1].priority = 60;
		box_put(5, rtkvm_cond_broadcast, inside);
		for (int i = 0; i < 5; i++)
			thread_join(&t[i]);
		/*
		 * The first is the one that the queue has first; without the
		 * mutex it gets that at once. The rest by priority.
		 */
		if (inside)
			ck_assert_int_eq(box.order[0], 60);
		for (int i = inside ? 0 : 1; i < 4; i++)
			ck_assert_int_gt(box.order[i], box.order[i + 1]);
	}
	set_priority(0, 0);
}
END_TEST

START_TEST(order_of_signals)
{
	const int priorities[] = { 30, 10, 50, 20, 40 };
	struct thread t[5];

	if (!may_fifo())
		SKIP_TEST("SCHED_FIFO is refused");
	box_make(0, 0, 0, CLOCK_MONOTONIC);
	for (int i = 0; i < 5; i++)
		box_start_taker(&t[i], priorities[i]);
	for (int i = 0; i < 5; i++) {
		box_put(1, rtkvm_cond_signal, i & 1);
		while (__atomic_load_n(&box.orders, __ATOMIC_ACQUIRE) <= i)
			sleep_ns(NS_PER_MS / 10);
		ck_assert_int_eq(box.order[i], 50 - 10 * i);
	}
	for (int i = 0; i < 5; i++)
		thread_join(&t[i]);
}
END_TEST

/* Nobody waits: it is gone, as it should be. */
START_TEST(signal_before_wait)
{
	struct timespec soon;

	box_make(0, 0, 0, CLOCK_MONOTONIC);
	rtkvm_mutex_lock(&box.mutex);
	ck_assert_int_eq(rtkvm_cond_signal(&box.cond, &box.mutex), 0);
	ck_assert_int_eq(rtkvm_cond_broadcast(&box.cond, &box.mutex), 0);
	soon = after_ns(CLOCK_MONOTONIC, 10 * NS_PER_MS);
	ck_assert_int_eq(rtkvm_cond_timedwait(&box.cond, &box.mutex, &soon), -ETIMEDOUT);
	rtkvm_mutex_unlock(&box.mutex);
}
END_TEST

static void timed_once(struct thread *self)
{
	rtkvm_mutex_lock(&box.mutex);
	self->result = rtkvm_cond_timedwait(&box.cond, &box.mutex, self->arg);
	rtkvm_mutex_unlock(&box.mutex);
}

/* Signalled in time, but the mutex is held past its time: that is no timeout. */
START_TEST(signal_and_deadline)
{
	struct timespec until;
	struct thread t;

	box_make(0, 0, 0, CLOCK_MONOTONIC);
	until = after_ns(CLOCK_MONOTONIC, 500 * NS_PER_MS);
	thread_start(&t, 0, -1, timed_once, &until);
	ck_assert(until_sleeps_in(t.tid, FUTEX_WAIT_REQUEUE_PI));
	rtkvm_mutex_lock(&box.mutex);
	ck_assert_int_eq(rtkvm_cond_signal(&box.cond, &box.mutex), 0);
	sleep_ns(600 * NS_PER_MS);
	rtkvm_mutex_unlock(&box.mutex);
	thread_join(&t);
	ck_assert_int_eq(t.result, 0);
	/* and without a signal it is one */
	until = after_ns(CLOCK_MONOTONIC, 50 * NS_PER_MS);
	thread_start(&t, 0, -1, timed_once, &until);
	thread_join(&t);
	ck_assert_int_eq(t.result, -ETIMEDOUT);
}
END_TEST

START_TEST(both_clocks)
{
	const int clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };
	struct timespec bad = { .tv_nsec = NS_PER_S };

	for (int i = 0; i < 4; i++) {
		int own = clocks[i & 1], used = clocks[i >> 1];
		struct timespec until;
		int64_t at;

		box_make(0, 0, 0, own);
		rtkvm_mutex_lock(&box.mutex);
		until = after_ns(used, 30 * NS_PER_MS);
		at = until.tv_sec * NS_PER_S + until.tv_nsec;
		ck_assert_int_eq(own == used ?
					 rtkvm_cond_timedwait(&box.cond, &box.mutex, &until) :
					 rtkvm_cond_clockwait(&box.cond, &box.mutex, used, &until),
				 -ETIMEDOUT);
		ck_assert_int_ge(now_ns(used), at);
		ck_assert_int_eq(rtkvm_cond_timedwait(&box.cond, &box.mutex, &bad), -EINVAL);
		ck_assert_int_eq(rtkvm_cond_clockwait(&box.cond, &box.mutex, CLOCK_BOOTTIME, &until),
				 -EINVAL);
		rtkvm_mutex_unlock(&box.mutex);
	}
}
END_TEST

START_TEST(refused)
{
	struct rtkvm_cond_options o;
	struct rtkvm_cond c;
	struct rtkvm_cond_stats stats = { .size = sizeof(stats) };

	box_make(0, 0, 0, CLOCK_MONOTONIC);
	ck_assert_int_eq(rtkvm_cond_wait(&box.cond, &box.mutex), -EPERM);
	ck_assert_int_eq(rtkvm_cond_wait(NULL, &box.mutex), -EINVAL);
	ck_assert_int_eq(rtkvm_cond_wait(&box.cond, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_cond_signal(NULL, &box.mutex), -EINVAL);
	ck_assert_int_eq(rtkvm_cond_broadcast(&box.cond, NULL), -EINVAL);
	rtkvm_cond_options_init(&o, sizeof(o));
	o.flags = RTKVM_COND_SHARED;
	ck_assert_int_eq(rtkvm_cond_init(&c, &o), 0);
	rtkvm_mutex_lock(&box.mutex);
	ck_assert_int_eq(rtkvm_cond_wait(&c, &box.mutex), -EINVAL);
	rtkvm_mutex_unlock(&box.mutex);
	ck_assert_int_eq(rtkvm_cond_get_stats(&c, &stats), -EINVAL);
	ck_assert_int_eq(rtkvm_cond_destroy(&c), 0);
	ck_assert_int_eq(rtkvm_cond_destroy(&c), -EINVAL);
	ck_assert_int_eq(rtkvm_cond_signal(&c, &box.mutex), -EINVAL);
	o.flags = 2;
	ck_assert_int_eq(rtkvm_cond_init(&c, &o), -EINVAL);
	rtkvm_cond_options_init(&o, sizeof(o));
	o.clock = CLOCK_BOOTTIME;
	ck_assert_int_eq(rtkvm_cond_init(&c, &o), -EINVAL);
	ck_assert_int_eq(rtkvm_cond_init(NULL, NULL), -EINVAL);
}
END_TEST

/* While threads wait with one mutex another one is refused, by waits and signals. */
START_TEST(two_mutexes)
{
	struct rtkvm_mutex other = RTKVM_MUTEX_INIT;
	struct thread t;

	box_make(0, 0, 0, CLOCK_MONOTONIC);
	box_start_taker(&t, 0);
	rtkvm_mutex_lock(&other);
	ck_assert_int_eq(rtkvm_cond_wait(&box.cond, &other), -EINVAL);
	ck_assert_int_eq(rtkvm_cond_signal(&box.cond, &other), -EINVAL);
	ck_assert_int_eq(rtkvm_cond_broadcast(&box.cond, &other), -EINVAL);
	ck_assert_int_eq(rtkvm_cond_destroy(&box.cond), -EBUSY);
	box_put(1, rtkvm_cond_signal, true);
	thread_join(&t);
	/* nobody waits any more: it is free for the other */
	struct timespec soon = after_ns(CLOCK_MONOTONIC, NS_PER_MS);
	ck_assert_int_eq(rtkvm_cond_timedwait(&box.cond, &other, &soon), -ETIMEDOUT);
	ck_assert_int_eq(rtkvm_cond_destroy(&box.cond), 0);
}
END_TEST

static void hammer(struct thread *self)
{
	pid_t tid = *(pid_t *)self->arg;

	while (!__atomic_load_n(&self->result, __ATOMIC_RELAXED)) {
		syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
		sleep_ns(20000);
	}
}

static volatile sig_atomic_t caught;
static void on_signal(int signal)
{
	(void)signal;
	caught++;
}

/* So many signals more; however seldom they come here. */
static void until_caught(int more)
{
	int64_t end = now_ns(CLOCK_MONOTONIC) + 20 * NS_PER_S;
	int from = caught;

	while (caught - from < more) {
		ck_assert_msg(now_ns(CLOCK_MONOTONIC) < end, "%d signals in 20 s", caught - from);
		sleep_ns(NS_PER_MS / 10);
	}
}

/* A wait is not ended by signals, nor is a wake-up lost among them. */
START_TEST(interrupted)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct timespec until;
	struct thread t, storm;

	sigaction(SIGUSR1, &action, NULL);
	box_make(0, 0, 0, CLOCK_MONOTONIC);
	for (int i = 0; i < 50; i++) {
		box_start_taker(&t, 0);
		thread_start(&storm, 0, -1, hammer, &t.tid);
		until_caught(15);
		rtkvm_mutex_lock(&box.mutex);
		box.tokens++;
		rtkvm_cond_signal(&box.cond, &box.mutex);
		until_caught(10); /* while it waits for the mutex */
		rtkvm_mutex_unlock(&box.mutex);
		while (!__atomic_load_n(&t.done, __ATOMIC_ACQUIRE))
			sleep_ns(NS_PER_MS / 10);
		__atomic_store_n(&storm.result, 1, __ATOMIC_RELAXED);
		thread_join(&storm);
		thread_join(&t);
		ck_assert_int_eq(t.result, 0);
	}
	ck_assert_int_gt(caught, 1000);
	/* and none of them made it end late or early */
	until = after_ns(CLOCK_MONOTONIC, 100 * NS_PER_MS);
	thread_start(&t, 0, -1, timed_once, &until);
	thread_start(&storm, 0, -1, hammer, &t.tid);
	while (!__atomic_load_n(&t.done, __ATOMIC_ACQUIRE))
		sleep_ns(NS_PER_MS / 10);
	ck_assert_int_ge(now_ns(CLOCK_MONOTONIC), until.tv_sec * NS_PER_S + until.tv_nsec);
	__atomic_store_n(&storm.result, 1, __ATOMIC_RELAXED);
	thread_join(&storm);
	thread_join(&t);
	ck_assert_int_eq(t.result, -ETIMEDOUT);
}
END_TEST

static struct sync_cond *inner(void)
{
	return sync_cond_of(&box.cond);
}

/* The lower half goes over its end, and then round exactly once during a wait. */
START_TEST(sequence_wraps)
{
	struct timespec until;
	struct thread t;

	box_make(0, 0, 0, CLOCK_MONOTONIC);
	inner()->seq = UINT32_MAX - 2;
	for (int i = 0; i < 6; i++) {
		box_start_taker(&t, 0);
		box_put(1, rtkvm_cond_signal, i & 1);
		thread_join(&t);
		ck_assert_int_eq(t.result, 0);
	}
	ck_assert_uint_eq(inner()->seq, (uint64_t)UINT32_MAX + 4);
	/* 2^32 signals went by while it slept: the lower half is as it was */
	until = after_ns(CLOCK_MONOTONIC, 200 * NS_PER_MS);
	thread_start(&t, 0, -1, timed_once, &until);
	ck_assert(until_sleeps_in(t.tid, FUTEX_WAIT_REQUEUE_PI));
	__atomic_fetch_add(&inner()->seq, UINT64_C(1) << 32, __ATOMIC_SEQ_CST);
	thread_join(&t);
	ck_assert_int_eq(t.result, 0);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("sync-cond");
	TCase *t = tcase_create("cond");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, signals);
	tcase_add_test(t, order_of_broadcast);
	tcase_add_test(t, order_of_signals);
	tcase_add_test(t, signal_before_wait);
	tcase_add_test(t, signal_and_deadline);
	tcase_add_test(t, both_clocks);
	tcase_add_test(t, refused);
	tcase_add_test(t, two_mutexes);
	tcase_add_test(t, interrupted);
	tcase_add_test(t, sequence_wraps);
	suite_add_tcase(s, t);
	return s;
}
