/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events and semaphores.
 */
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/sync_event.h>

#include "ipc-support.h"

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

/* ---- waiters ---- */

struct waiter {
	struct rtkvm_event *event;
	struct rtkvm_semaphore *semaphore;
	uint32_t *count;
	int name;
	int *order;
	struct ipc_thread t;
};

static void *wait_event(void *arg)
{
	struct waiter *w = arg;

	ck_assert_int_eq(rtkvm_event_wait(w->event, CLOCK_MONOTONIC, NULL), 0);
	w->order[__atomic_fetch_add(w->count, 1, __ATOMIC_SEQ_CST)] = w->name;
	return NULL;
}

static void *wait_semaphore(void *arg)
{
	struct waiter *w = arg;

	ck_assert_int_eq(rtkvm_semaphore_wait(w->semaphore, CLOCK_MONOTONIC, NULL), 0);
	w->order[__atomic_fetch_add(w->count, 1, __ATOMIC_SEQ_CST)] = w->name;
	return NULL;
}

#define WAITERS 4
static const int priorities[WAITERS] = { 20, 40, 10, 30 };
static const int sorted[WAITERS] = { 40, 30, 20, 10 };

static void start_waiters(struct waiter *w, void *(*fn)(void *), struct rtkvm_event *e,
			  struct rtkvm_semaphore *s, bool fifo)
{
	static uint32_t count;
	static int order[WAITERS];

	count = 0;
	memset(order, 0, sizeof(order));
	for (int i = 0; i < WAITERS; i++) {
		w[i] = (struct waiter){ .event = e, .semaphore = s, .count = &count,
					.name = priorities[i], .order = order };
		w[i].t = (struct ipc_thread){ .fn = fn, .arg = &w[i],
					      .priority = fifo ? priorities[i] : 0,
					      .cpu = fifo ? ipc_cpu() : -1 };
		ipc_start(&w[i].t);
		ipc_wait_asleep(w[i].t.tid);
	}
}

static void join_waiters(struct waiter *w)
{
	for (int i = 0; i < WAITERS; i++)
		ipc_join(&w[i].t);
}

START_TEST(manual_event_wakes_all)
{
	struct rtkvm_event_options o;
	struct rtkvm_event_stats stats = { .size = sizeof(stats) };
	struct rtkvm_event e;
	struct waiter w[WAITERS];

	rtkvm_event_options_init(&o, sizeof(o));
	o.flags = RTKVM_EVENT_MANUAL | RTKVM_EVENT_STATS;
	ck_assert_int_eq(rtkvm_event_init(&e, &o), 0);
	start_waiters(w, wait_event, &e, NULL, false);
	ck_assert_int_eq(rtkvm_event_set(&e), 0);
	join_waiters(w);
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
	start_waiters(w, wait_event, &e, NULL, true);
	for (uint32_t i = 0; i < WAITERS; i++) {
		ck_assert_int_eq(rtkvm_event_set(&e), 0);
		ipc_wait_value(w[0].count, i + 1);
	}
	join_waiters(w);
	ck_assert_int_eq(memcmp(w[0].order, sorted, sizeof(sorted)), 0);
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

/* ---- semaphores ---- */

static void make_semaphore(struct rtkvm_semaphore *s, uint32_t flags, uint32_t value)
{
	struct rtkvm_semaphore_options o;

	rtkvm_semaphore_options_init(&o, sizeof(o));
	o.flags = flags | RTKVM_SEMAPHORE_STATS;
	o.value = value;
	ck_assert_int_eq(rtkvm_semaphore_init(s, &o), 0);
}

START_TEST(semaphore_errors)
{
	struct rtkvm_semaphore s = RTKVM_SEMAPHORE_INIT;
	struct rtkvm_semaphore_options o;
	struct timespec past = { 0, 0 };

	ck_assert_int_eq(rtkvm_semaphore_init(NULL, NULL), -EINVAL);
	rtkvm_semaphore_options_init(&o, sizeof(o));
	o.value = (uint32_t)RTKVM_SEMAPHORE_MAX + 1;
	ck_assert_int_eq(rtkvm_semaphore_init(&s, &o), -EINVAL);
	o.value = 0;
	o.flags = 8;
	ck_assert_int_eq(rtkvm_semaphore_init(&s, &o), -EINVAL);
	ck_assert_int_eq(rtkvm_semaphore_post(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_semaphore_trywait(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_semaphore_wait(NULL, CLOCK_MONOTONIC, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_semaphore_value(NULL), 0);
	ck_assert_int_eq(rtkvm_semaphore_trywait(&s), -EAGAIN);
	ck_assert_int_eq(rtkvm_semaphore_wait(&s, CLOCK_MONOTONIC, &past), -ETIMEDOUT);
	ck_assert_int_eq(rtkvm_semaphore_wait(&s, CLOCK_TAI, &past), -EINVAL);
	make_semaphore(&s, 0, RTKVM_SEMAPHORE_MAX);
	ck_assert_int_eq(rtkvm_semaphore_post(&s), -EOVERFLOW);
	ck_assert_int_eq(rtkvm_semaphore_value(&s), RTKVM_SEMAPHORE_MAX);
	ck_assert_int_eq(rtkvm_semaphore_trywait(&s), 0);
	ck_assert_int_eq(rtkvm_semaphore_post(&s), 0);
}
END_TEST

START_TEST(semaphore_timeout)
{
	struct rtkvm_semaphore s;
	struct timespec until = ipc_after(clocks[_i % 2], 30);
	uint64_t before = ipc_now_ns();

	make_semaphore(&s, _i / 2 ? RTKVM_SEMAPHORE_HANDOFF : 0, 1);
	ck_assert_int_eq(rtkvm_semaphore_wait(&s, clocks[_i % 2], &until), 0);
	ck_assert_int_eq(rtkvm_semaphore_wait(&s, clocks[_i % 2], &until), -ETIMEDOUT);
	ck_assert_uint_ge(ipc_now_ns() - before, 25000000);
	/* who gave up is not waited for */
	ck_assert_int_eq(rtkvm_semaphore_post(&s), 0);
	ck_assert_int_eq(rtkvm_semaphore_value(&s), 1);
	ck_assert_int_eq(rtkvm_semaphore_trywait(&s), 0);
}
END_TEST

START_TEST(semaphore_wakes_highest_first)
{
	struct rtkvm_semaphore s;
	struct waiter w[WAITERS];

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ipc_become(90, -1);
	make_semaphore(&s, _i ? RTKVM_SEMAPHORE_HANDOFF : 0, 0);
	start_waiters(w, wait_semaphore, NULL, &s, true);
	for (uint32_t i = 0; i < WAITERS; i++) {
		ck_assert_int_eq(rtkvm_semaphore_post(&s), 0);
		ipc_wait_value(w[0].count, i + 1);
	}
	join_waiters(w);
	ck_assert_int_eq(memcmp(w[0].order, sorted, sizeof(sorted)), 0);
}
END_TEST

/*
 * A thread sleeps for a token; one of a higher priority on the same CPU posts
 * and, before the sleeper can run, asks for a token itself. With hand-off it
 * gets none. Without, and with libc's semaphore, it takes the sleeper's.
 */
enum { HANDOFF, PLAIN, LIBC };

static struct rtkvm_semaphore contested;
static sem_t contested_libc;

struct thief {
	int kind;
	bool stole;
};

static void *rob(void *arg)
{
	struct thief *t = arg;

	if (t->kind == LIBC) {
		sem_post(&contested_libc);
		t->stole = !sem_trywait(&contested_libc);
		if (t->stole)
			sem_post(&contested_libc);
		return NULL;
	}
	ck_assert_int_eq(rtkvm_semaphore_post(&contested), 0);
	t->stole = !rtkvm_semaphore_trywait(&contested);
	if (t->stole)
		ck_assert_int_eq(rtkvm_semaphore_post(&contested), 0);
	return NULL;
}

static void *be_robbed(void *arg)
{
	if (*(const int *)arg == LIBC)
		while (sem_wait(&contested_libc))
			;
	else
		ck_assert_int_eq(rtkvm_semaphore_wait(&contested, CLOCK_MONOTONIC, NULL), 0);
	return NULL;
}

START_TEST(handoff_cannot_be_stolen)
{
	struct thief thief = { .kind = _i };
	int cpu = ipc_cpu();
	struct ipc_thread sleeper = { .fn = be_robbed, .arg = &thief.kind, .priority = 10, .cpu = cpu };
	struct ipc_thread robber = { .fn = rob, .arg = &thief, .priority = 50, .cpu = cpu };
	struct rtkvm_semaphore_stats stats = { .size = sizeof(stats) };

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ipc_become(90, -1);
	make_semaphore(&contested, _i == HANDOFF ? RTKVM_SEMAPHORE_HANDOFF : 0, 0);
	sem_init(&contested_libc, 0, 0);
	ipc_start(&sleeper);
	ipc_wait_asleep(sleeper.tid);
	ipc_start(&robber);
	ipc_join(&robber);
	ipc_join(&sleeper);
	ck_assert_int_eq(thief.stole, _i != HANDOFF);
	ck_assert_int_eq(rtkvm_semaphore_get_stats(&contested, &stats), 0);
	ck_assert_uint_eq(stats.handoffs, _i == HANDOFF);
}
END_TEST

/* Tokens are neither lost nor made, whatever meets: posts, waits, times that are over. */
static struct rtkvm_semaphore tokens;
static uint64_t got, gave_up, posted;
static pthread_barrier_t pause_barrier;
static pid_t patient; /* a consumer */
#define TOKENS (test_is_slow() ? 4000 : 200000)
#define PAUSES 100

/* Consumers find nothing, however slow they are: posts go on when one sleeps. */
static void pause_posts(void)
{
	/* POSIX lets one of them return that, whatever its sign: NOLINTNEXTLINE(bugprone-posix-return) */
	if (pthread_barrier_wait(&pause_barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
		while (rtkvm_semaphore_value(&tokens))
			ipc_sleep_ms(1);
		ipc_wait_asleep(patient);
	}
	pthread_barrier_wait(&pause_barrier);
}

static void *consume(void *arg)
{
	uint64_t mine = 0, none = 0;

	for (;;) {
		struct timespec until = ipc_after(CLOCK_MONOTONIC, *(const int *)arg);
		int err = rtkvm_semaphore_wait(&tokens, CLOCK_MONOTONIC, &until);

		ck_assert(err == 0 || err == -ETIMEDOUT);
		if (!err)
			mine++;
		else
			none++;
		if (err && __atomic_load_n(&posted, __ATOMIC_ACQUIRE) == 2U * TOKENS)
			break;
	}
	__atomic_fetch_add(&got, mine, __ATOMIC_RELAXED);
	__atomic_fetch_add(&gave_up, none, __ATOMIC_RELAXED);
	return NULL;
}

static void *produce(void *arg)
{
	(void)arg;
	for (int i = 0, all = TOKENS; i < all; i++) {
		ck_assert_int_eq(rtkvm_semaphore_post(&tokens), 0);
		__atomic_fetch_add(&posted, 1, __ATOMIC_RELEASE);
		if (i % 64 == 0)
			sched_yield();
		if (i % (all / PAUSES) == all / PAUSES - 1)
			pause_posts();
	}
	return NULL;
}

START_TEST(tokens_are_kept)
{
	static const int patience[2] = { 0, 20 };
	struct ipc_thread t[5];
	struct rtkvm_semaphore_stats stats = { .size = sizeof(stats) };

	got = gave_up = posted = 0;
	ck_assert_int_eq(pthread_barrier_init(&pause_barrier, NULL, 2), 0);
	make_semaphore(&tokens, _i ? RTKVM_SEMAPHORE_HANDOFF : 0, 0);
	for (int i = 0; i < 5; i++) {
		t[i] = (struct ipc_thread){ .fn = i < 3 ? consume : produce, .cpu = -1 };
		t[i].arg = (void *)(uintptr_t)&patience[i % 2];
		ipc_start(&t[i]);
		patient = t[1].tid;
	}
	for (int i = 0; i < 5; i++)
		ipc_join(&t[i]);
	ck_assert_uint_eq(got + (uint64_t)rtkvm_semaphore_value(&tokens), 2U * TOKENS);
	ck_assert_int_eq(rtkvm_semaphore_get_stats(&tokens, &stats), 0);
	ck_assert_uint_eq(stats.posts, 2U * TOKENS);
	ck_assert_msg(stats.sleeps >= PAUSES, "not exercised: %lu sleeps", (unsigned long)stats.sleeps);
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
	tc = tcase_create("semaphore");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, semaphore_errors);
	tcase_add_loop_test(tc, semaphore_timeout, 0, 4);
	tcase_add_loop_test(tc, semaphore_wakes_highest_first, 0, 2);
	tcase_add_loop_test(tc, handoff_cannot_be_stolen, 0, 3);
	tcase_add_loop_test(tc, tokens_are_kept, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}
