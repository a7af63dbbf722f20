/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events. Semaphores are in semaphore.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/sync_event.h>

#include "ipc-waiters.h"

static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };

START_TEST(event_errors)
{
	struct rtkvm_event e = RTKVM_EVENT_INIT;
	struct rtkvm_event_options o;
	struct rtkvm_event_stats stats = { .size = 4 };
	struct timespec bad = { 0, -1 };

	ck_assert_int_eq(rtkvm_event_init(NULL, NULL), -EINVAL);
	rtkvm_event_options_init(&o, sizeof(o));
	o.flags = 8;
	ck_assert_int_eq(rtkvm_event_init(&e, &o), -EINVAL);
	o.flags = 0;
	o.initial = 2;
	ck_assert_int_eq(rtkvm_event_init(&e, &o), -EINVAL);
	o.initial = 0;
	o.size = 8;
	ck_assert_int_eq(rtkvm_event_init(&e, &o), -EINVAL);
	ck_assert_int_eq(rtkvm_event_set(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_event_reset(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_event_is_set(NULL), 0);
	ck_assert_int_eq(rtkvm_event_wait(NULL, CLOCK_MONOTONIC, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_event_wait(&e, CLOCK_MONOTONIC, &bad), -EINVAL);
	bad.tv_nsec = 0;
	ck_assert_int_eq(rtkvm_event_wait(&e, CLOCK_BOOTTIME, &bad), -EINVAL);
	ck_assert_int_eq(rtkvm_event_get_stats(&e, &stats), -EINVAL);
	ck_assert_int_eq(rtkvm_event_get_stats(NULL, &stats), -EINVAL);
}
END_TEST

START_TEST(event_states)
{
	struct timespec past = { -1, 0 };
	struct rtkvm_event_options o;
	struct rtkvm_event e = RTKVM_EVENT_INIT;

	ck_assert_int_eq(rtkvm_event_is_set(&e), 0);
	ck_assert_int_eq(rtkvm_event_wait(&e, CLOCK_REALTIME, &past), -ETIMEDOUT);
	ck_assert_int_eq(rtkvm_event_set(&e), 0);
	ck_assert_int_eq(rtkvm_event_set(&e), 0);
	ck_assert_int_eq(rtkvm_event_is_set(&e), 1);
	ck_assert_int_eq(rtkvm_event_wait(&e, CLOCK_MONOTONIC, &past), 0);
	ck_assert_int_eq(rtkvm_event_is_set(&e), 0);
	ck_assert_int_eq(rtkvm_event_set(&e), 0);
	ck_assert_int_eq(rtkvm_event_reset(&e), 1);
	ck_assert_int_eq(rtkvm_event_reset(&e), 0);
	rtkvm_event_options_init(&o, sizeof(o));
	o.flags = RTKVM_EVENT_MANUAL;
	o.initial = 1;
	ck_assert_int_eq(rtkvm_event_init(&e, &o), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(rtkvm_event_wait(&e, CLOCK_MONOTONIC, NULL), 0);
	ck_assert_int_eq(rtkvm_event_reset(&e), 1);
	ck_assert_int_eq(rtkvm_event_wait(&e, CLOCK_MONOTONIC, &past), -ETIMEDOUT);
}
END_TEST

START_TEST(event_timeout)
{
	struct rtkvm_event e = RTKVM_EVENT_INIT;
	struct timespec until = ipc_after(clocks[_i], 50);
	uint64_t before = ipc_now_ns();

	ck_assert_int_eq(rtkvm_event_wait(&e, clocks[_i], &until), -ETIMEDOUT);
	ck_assert_uint_ge(ipc_now_ns() - before, 45000000);
	ck_assert_uint_lt(ipc_now_ns() - before, UINT64_C(20000000000));
}
END_TEST

START_TEST(manual_event_wakes_all)
{
	struct rtkvm_event_options o;
	struct rtkvm_event_stats stats = { .size = sizeof(stats) };
	struct rtkvm_event e;
	struct waiter w[WAITERS];

	rtkvm_event_options_init(&o, sizeof(o));
	o.flags = RTKVM_EVENT_MANUAL | RTKVM_EVENT_STATS;
	ck_assert_int_eq(rtkvm_event_init(&e, &o), 0);
	ipc_start_waiters(w, ipc_wait_event, &e, NULL, false);
	ck_assert_int_eq(rtkvm_event_set(&e), 0);
	ipc_join_waiters(w);
	ck_assert_int_eq(rtkvm_event_is_set(&e), 1);
	ck_assert_int_eq(rtkvm_event_set(&e), 0);
	ck_assert_int_eq(rtkvm_event_get_stats(&e, &stats), 0);
	ck_assert_uint_eq(stats.sets, 2);
	ck_assert_uint_eq(stats.wakes, 1);
	ck_assert_uint_ge(stats.sleeps, WAITERS);
}
END_TEST

START_TEST(event_wakes_highest_first)
{
	struct rtkvm_event e = RTKVM_EVENT_INIT;
	struct waiter w[WAITERS];

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ipc_become(90, -1);
	ipc_start_waiters(w, ipc_wait_event, &e, NULL, true);
	for (uint32_t i = 0; i < WAITERS; i++) {
		ck_assert_int_eq(rtkvm_event_set(&e), 0);
		ipc_wait_value(w[0].count, i + 1);
	}
	ipc_join_waiters(w);
	ck_assert_int_eq(memcmp(w[0].order, ipc_sorted, sizeof(ipc_sorted)), 0);
}
END_TEST

/* A signal handler sets the event that the thread which it interrupts waits for. */
static struct rtkvm_event from_handler = RTKVM_EVENT_INIT;
static struct rtkvm_semaphore sem_from_handler;
static uint32_t handled;

static void on_signal(int sig)
{
	__atomic_fetch_add(&handled, 1, __ATOMIC_RELEASE);
	if (sig == SIGUSR1)
		rtkvm_event_set(&from_handler);
	else if (sig == SIGRTMIN)
		rtkvm_semaphore_post(&sem_from_handler);
}

static void *wait_for_handler(void *arg)
{
	const int *kind = arg;

	if (*kind)
		ck_assert_int_eq(rtkvm_semaphore_wait(&sem_from_handler, CLOCK_MONOTONIC, NULL), 0);
	else
		ck_assert_int_eq(rtkvm_event_wait(&from_handler, CLOCK_MONOTONIC, NULL), 0);
	return NULL;
}

START_TEST(set_in_a_signal_handler)
{
	struct sigaction sa = { .sa_handler = on_signal };
	int kind = _i;
	struct ipc_thread t = { .fn = wait_for_handler, .arg = &kind, .cpu = -1 };

	handled = 0;
	ck_assert_int_eq(rtkvm_semaphore_init(&sem_from_handler, NULL), 0);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	sigaction(SIGRTMIN, &sa, NULL);
	ipc_start(&t);
	ipc_wait_asleep(t.tid);
	/* signals that set nothing do not end the wait */
	for (uint32_t i = 0; i < 100; i++) {
		pthread_kill(t.thread, SIGUSR2);
		ipc_wait_value(&handled, i + 1);
	}
	ipc_wait_asleep(t.tid);
	pthread_kill(t.thread, kind ? SIGRTMIN : SIGUSR1);
	ipc_join(&t);
}
END_TEST

/* ---- ping-pong: a lost wake-up stops it ---- */

static struct rtkvm_event ping, pong;
#define ROUNDS (test_is_slow() ? 2000 : 100000)

static void *answer(void *arg)
{
	(void)arg;
	for (int i = 0, rounds = ROUNDS; i < rounds; i++) {
		ck_assert_int_eq(rtkvm_event_wait(&ping, CLOCK_MONOTONIC, NULL), 0);
		ck_assert_int_eq(rtkvm_event_set(&pong), 0);
	}
	return NULL;
}

static void ask(void)
{
	for (int i = 0, rounds = ROUNDS; i < rounds; i++) {
		struct timespec until = ipc_after(CLOCK_MONOTONIC, 30000);

		ck_assert_int_eq(rtkvm_event_set(&ping), 0);
		ck_assert_int_eq(rtkvm_event_wait(&pong, CLOCK_MONOTONIC, &until), 0);
	}
}

START_TEST(no_wake_up_is_lost)
{
	struct ipc_thread t = { .fn = answer, .cpu = -1 };

	ipc_start(&t);
	ask();
	ipc_join(&t);
}
END_TEST

START_TEST(between_processes)
{
	struct {
		struct rtkvm_event event;
		struct rtkvm_semaphore semaphore;
	} *m = ipc_shared(sizeof(*m));
	struct rtkvm_event_options eo;
	struct rtkvm_semaphore_options so;
	int status;
	pid_t pid;

	rtkvm_event_options_init(&eo, sizeof(eo));
	eo.flags = RTKVM_EVENT_SHARED;
	ck_assert_int_eq(rtkvm_event_init(&m->event, &eo), 0);
	rtkvm_semaphore_options_init(&so, sizeof(so));
	so.flags = RTKVM_SEMAPHORE_SHARED | (_i ? RTKVM_SEMAPHORE_HANDOFF : 0);
	ck_assert_int_eq(rtkvm_semaphore_init(&m->semaphore, &so), 0);
	pid = fork();
	if (!pid) {
		for (int i = 0; i < 1000; i++)
			if (rtkvm_event_wait(&m->event, CLOCK_MONOTONIC, NULL) ||
			    rtkvm_semaphore_post(&m->semaphore))
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 1000; i++) {
		struct timespec until = ipc_after(CLOCK_MONOTONIC, 20000);

		ck_assert_int_eq(rtkvm_event_set(&m->event), 0);
		ck_assert_int_eq(rtkvm_semaphore_wait(&m->semaphore, CLOCK_MONOTONIC, &until), 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- with a descriptor ---- */

static struct rtkvm_event_fd fd_event;
static uint64_t produced, sets_done;

static void *set_many(void *arg)
{
	(void)arg;
	for (uint64_t i = 1, rounds = ROUNDS; i <= rounds; i++) {
		__atomic_store_n(&produced, i, __ATOMIC_RELEASE);
		ck_assert_int_eq(rtkvm_event_fd_set(&fd_event), 0);
	}
	return NULL;
}

START_TEST(event_in_poll)
{
	struct pollfd p = { .events = POLLIN };
	struct ipc_thread t = { .fn = set_many, .cpu = -1 };
	uint64_t seen = 0;

	memset(&fd_event, 0, sizeof(fd_event));
	ck_assert_int_eq(rtkvm_event_fd_set(&fd_event), -EINVAL);
	ck_assert_int_eq(rtkvm_event_fd_get(&fd_event), -EINVAL);
	ck_assert_int_eq(rtkvm_event_fd_take(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_event_fd_init(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_event_fd_init(&fd_event), 0);
	p.fd = rtkvm_event_fd_get(&fd_event);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	ck_assert_int_eq(rtkvm_event_fd_take(&fd_event), 0);
	ck_assert_int_eq(rtkvm_event_fd_set(&fd_event), 0);
	ck_assert_int_eq(rtkvm_event_fd_set(&fd_event), 0);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	ck_assert_int_eq(rtkvm_event_fd_take(&fd_event), 1);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	/* what is produced last is always heard of */
	ipc_start(&t);
	while (seen < ROUNDS) {
		ck_assert_int_eq(poll(&p, 1, 20000), 1);
		rtkvm_event_fd_take(&fd_event);
		seen = __atomic_load_n(&produced, __ATOMIC_ACQUIRE);
		sets_done++;
	}
	ipc_join(&t);
	ck_assert_uint_le(sets_done, 2 * ROUNDS);
	rtkvm_event_fd_destroy(&fd_event);
	rtkvm_event_fd_destroy(&fd_event);
	rtkvm_event_fd_destroy(NULL);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("event");
	TCase *tc = tcase_create("event");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, event_errors);
	tcase_add_test(tc, event_states);
	tcase_add_loop_test(tc, event_timeout, 0, 2);
	tcase_add_test(tc, manual_event_wakes_all);
	tcase_add_test(tc, event_wakes_highest_first);
	tcase_add_loop_test(tc, set_in_a_signal_handler, 0, 2);
	tcase_add_test(tc, no_wake_up_is_lost);
	tcase_add_loop_test(tc, between_processes, 0, 2);
	tcase_add_test(tc, event_in_poll);
	suite_add_tcase(s, tc);
	return s;
}
