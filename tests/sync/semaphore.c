/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Semaphores: how a wait ends, who is woken, and that tokens are neither lost nor
 * made, with hand-off and without.
 */
#include <errno.h>
#include <semaphore.h>
#include <string.h>

#include <rtkvm/sync_event.h>

#include "ipc-waiters.h"

static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };

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
	ipc_start_waiters(w, ipc_wait_semaphore, NULL, &s, true);
	for (uint32_t i = 0; i < WAITERS; i++) {
		ck_assert_int_eq(rtkvm_semaphore_post(&s), 0);
		ipc_wait_value(w[0].count, i + 1);
	}
	ipc_join_waiters(w);
	ck_assert_int_eq(memcmp(w[0].order, ipc_sorted, sizeof(ipc_sorted)), 0);
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
	Suite *s = suite_create("semaphore");
	TCase *tc = tcase_create("semaphore");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, semaphore_errors);
	tcase_add_loop_test(tc, semaphore_timeout, 0, 4);
	tcase_add_loop_test(tc, semaphore_wakes_highest_first, 0, 2);
	tcase_add_loop_test(tc, handoff_cannot_be_stolen, 0, 3);
	tcase_add_loop_test(tc, tokens_are_kept, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}
