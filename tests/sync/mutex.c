/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mutex without ceilings: types, errors, time, processes. Owners that die
 * are in robust.c, ceilings in ceiling.c.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "support/test.h"
#include "../lib/sync/mutex.h"
#include "sync/no-lock-pi2.h"
#include "sync/support.h"

static void make(struct rtkvm_mutex *m, uint32_t type, uint32_t flags)
{
	struct rtkvm_mutex_options o;

	rtkvm_mutex_options_init(&o, sizeof(o));
	o.type = type;
	o.flags = flags;
	memset(m, 0xa5, sizeof(*m));
	ck_assert_int_eq(rtkvm_mutex_init(m, &o), 0);
}

START_TEST(types)
{
	static struct rtkvm_mutex still = RTKVM_MUTEX_INIT;
	struct rtkvm_mutex m[4] = { RTKVM_MUTEX_INIT };

	make(&m[1], RTKVM_MUTEX_NORMAL, 0);
	make(&m[2], RTKVM_MUTEX_ERRORCHECK, 0);
	make(&m[3], RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_SHARED | RTKVM_MUTEX_ROBUST);
	for (int i = -1; i < 4; i++) {
		struct rtkvm_mutex *x = i < 0 ? &still : &m[i];

		ck_assert_int_eq(rtkvm_mutex_unlock(x), -EPERM);
		ck_assert_int_eq(rtkvm_mutex_lock(x), 0);
		ck_assert_int_eq(rtkvm_mutex_lock(x), -EDEADLK);
		ck_assert_int_eq(rtkvm_mutex_timedlock(x, CLOCK_MONOTONIC, NULL), -EDEADLK);
		ck_assert_int_eq(rtkvm_mutex_trylock(x), -EBUSY);
		ck_assert_int_eq(rtkvm_mutex_destroy(x), -EBUSY);
		ck_assert_int_eq(rtkvm_mutex_unlock(x), 0);
		ck_assert_int_eq(rtkvm_mutex_unlock(x), -EPERM);
		ck_assert_int_eq(rtkvm_mutex_trylock(x), 0);
		ck_assert_int_eq(rtkvm_mutex_unlock(x), 0);
		ck_assert_int_eq(rtkvm_mutex_destroy(x), 0);
		ck_assert_int_eq(rtkvm_mutex_lock(x), -EINVAL);
		ck_assert_int_eq(rtkvm_mutex_trylock(x), -EINVAL);
		ck_assert_int_eq(rtkvm_mutex_unlock(x), -EINVAL);
		ck_assert_int_eq(rtkvm_mutex_destroy(x), -EINVAL);
	}
}
END_TEST

START_TEST(recursive)
{
	struct rtkvm_mutex m;

	make(&m, RTKVM_MUTEX_RECURSIVE, 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(i & 1 ? rtkvm_mutex_trylock(&m) : rtkvm_mutex_lock(&m), 0);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(rtkvm_mutex_destroy(&m), -EBUSY);
		ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	}
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), -EPERM);
	ck_assert_int_eq(rtkvm_mutex_destroy(&m), 0);
}
END_TEST

START_TEST(bad_options)
{
	struct rtkvm_mutex_options o;
	struct rtkvm_mutex m;
	struct {
		uint32_t type, protocol, ceiling, flags;
	} bad[] = {
		{ 3, 0, 0, 0 },	 { 0, 4, 10, 0 },   { 0, 0, 10, 0 }, { 0, 1, 0, 0 },
		{ 0, 2, 100, 0 }, { 0, 0, 0, 8 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rtkvm_mutex_options_init(&o, sizeof(o));
		o.type = bad[i].type;
		o.protocol = bad[i].protocol;
		o.ceiling = bad[i].ceiling;
		o.flags = bad[i].flags;
		ck_assert_int_eq(rtkvm_mutex_init(&m, &o), -EINVAL);
		ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "rtkvm_mutex_init"));
	}
	memset(&o, 0, sizeof(o));
	ck_assert_int_eq(rtkvm_mutex_init(&m, &o), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_init(NULL, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_lock(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_unlock(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_trylock(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_destroy(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_consistent(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_get_ceiling(NULL), -EINVAL);
}
END_TEST

static void hold(struct thread *self)
{
	struct rtkvm_mutex *m = self->arg;

	ck_assert_int_eq(rtkvm_mutex_lock(m), 0);
	while (!__atomic_load_n(&self->result, __ATOMIC_ACQUIRE))
		sleep_ns(NS_PER_MS);
	ck_assert_int_eq(rtkvm_mutex_unlock(m), 0);
}

static void until_held(struct rtkvm_mutex *m)
{
	while (rtkvm_mutex_trylock(m) != -EBUSY) {
		rtkvm_mutex_unlock(m);
		sleep_ns(NS_PER_MS);
	}
}

START_TEST(not_the_owner)
{
	struct rtkvm_mutex m = RTKVM_MUTEX_INIT;
	struct thread t;

	thread_start(&t, 0, -1, hold, &m);
	until_held(&m);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), -EPERM);
	ck_assert_int_eq(rtkvm_mutex_trylock(&m), -EBUSY);
	ck_assert_int_eq(rtkvm_mutex_consistent(&m), -EINVAL);
	__atomic_store_n(&t.result, 1, __ATOMIC_RELEASE);
	thread_join(&t);
}
END_TEST

/* Neither early nor without end, on both clocks; and only looked at when held. */
START_TEST(timed)
{
	const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };
	struct timespec bad = { .tv_nsec = NS_PER_S }, ancient = { .tv_sec = -1 };
	struct rtkvm_mutex m = RTKVM_MUTEX_INIT;
	struct thread t;

	ck_assert_int_eq(rtkvm_mutex_timedlock(&m, CLOCK_REALTIME, &bad), 0);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	ck_assert_int_eq(rtkvm_mutex_timedlock(&m, CLOCK_BOOTTIME, &ancient), -EINVAL);
	thread_start(&t, 0, -1, hold, &m);
	until_held(&m);
	for (int i = 0; i < 2; i++) {
		struct timespec until = after_ns(clocks[i], 50 * NS_PER_MS);
		int64_t at = until.tv_sec * NS_PER_S + until.tv_nsec;

		ck_assert_int_eq(rtkvm_mutex_timedlock(&m, clocks[i], &until), -ETIMEDOUT);
		ck_assert_int_ge(now_ns(clocks[i]), at);
		ck_assert_int_eq(rtkvm_mutex_timedlock(&m, clocks[i], &bad), -EINVAL);
		bad.tv_nsec = -1;
		ck_assert_int_eq(rtkvm_mutex_timedlock(&m, clocks[i], &bad), -EINVAL);
		ck_assert_int_eq(rtkvm_mutex_timedlock(&m, clocks[i], &ancient), -ETIMEDOUT);
	}
	__atomic_store_n(&t.result, 1, __ATOMIC_RELEASE);
	struct timespec later = after_ns(CLOCK_MONOTONIC, 60 * NS_PER_S);
	ck_assert_int_eq(rtkvm_mutex_timedlock(&m, CLOCK_MONOTONIC, &later), 0);
	thread_join(&t);
}
END_TEST

START_TEST(older_kernel)
{
	struct rtkvm_mutex m = RTKVM_MUTEX_INIT;
	struct timespec until;
	struct thread t;
	int64_t at;

	thread_start(&t, 0, -1, hold, &m);
	until_held(&m);
	if (forbid_lock_pi2()) {
		until = after_ns(CLOCK_MONOTONIC, 50 * NS_PER_MS);
		at = until.tv_sec * NS_PER_S + until.tv_nsec;
		ck_assert_int_eq(rtkvm_mutex_timedlock(&m, CLOCK_MONOTONIC, &until), -ETIMEDOUT);
		/* the clocks are read one after the other */
		ck_assert_int_ge(now_ns(CLOCK_MONOTONIC), at - NS_PER_MS);
	}
	__atomic_store_n(&t.result, 1, __ATOMIC_RELEASE);
	thread_join(&t);
}
END_TEST

static void lock_unlock(struct thread *self)
{
	self->result = rtkvm_mutex_lock(self->arg);
	if (!self->result)
		self->result = rtkvm_mutex_unlock(self->arg);
}

/* The owner is raised to the waiter's priority, the waiters come by priority. */
static int order[3], orders;
static void note_order(struct thread *self)
{
	rtkvm_mutex_lock(self->arg);
	order[orders++] = self->priority;
	rtkvm_mutex_unlock(self->arg);
}

START_TEST(inherits)
{
	struct rtkvm_mutex m = RTKVM_MUTEX_INIT;
	struct thread t[3];
	int own;

	if (!may_fifo())
		SKIP_TEST("SCHED_FIFO is refused");
	own = effective_priority(getpid());
	ck_assert_int_eq(own, 0);
	rtkvm_mutex_lock(&m);
	for (int i = 0; i < 3; i++) {
		thread_start(&t[i], 20 + 10 * (i == 1 ? 2 : i / 2), -1, note_order, &m);
		ck_assert(until_sleeps_in(t[i].tid, FUTEX_LOCK_PI));
		ck_assert_int_eq(effective_priority(getpid()), i == 0 ? 20 : 40);
	}
	rtkvm_mutex_unlock(&m);
	ck_assert_int_eq(effective_priority(getpid()), 0);
	for (int i = 0; i < 3; i++)
		thread_join(&t[i]);
	ck_assert_int_eq(order[0], 40);
	ck_assert_int_eq(order[1], 30);
	ck_assert_int_eq(order[2], 20);
}
END_TEST

/*
 * A mutex that needs no initialisation, used by parent and child: each locks
 * with its own id. A child that kept its parent's would hold it in the
 * parent's name.
 */
START_TEST(forked)
{
	static struct rtkvm_mutex m = RTKVM_MUTEX_INIT;
	int status;
	pid_t child;

	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	ck_assert_uint_eq((uint32_t)m.opaque[0], (uint32_t)getpid());
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	child = fork();
	if (!child) {
		bool right = rtkvm_mutex_lock(&m) == 0 &&
			     (uint32_t)m.opaque[0] == (uint32_t)getpid() &&
			     rtkvm_mutex_lock(&m) == -EDEADLK && rtkvm_mutex_unlock(&m) == 0;

		_exit(right ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* Two processes count; the memory is at different addresses in them. */
static void *map_shared(int fd, size_t shift)
{
	char *where = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(where, MAP_FAILED);
	where = mmap(where + shift, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	ck_assert_ptr_ne(where, MAP_FAILED);
	return where;
}

struct counted {
	struct rtkvm_mutex mutex;
	volatile uint64_t count;
	void *child_address;
	bool ended; /* one of the two */
};

/* The other one comes to wait, or needs it no more. */
static void until_wanted(struct counted *c)
{
	while (!(__atomic_load_n(&sync_mutex_of(&c->mutex)->word, __ATOMIC_ACQUIRE) &
		 FUTEX_WAITERS) &&
	       !__atomic_load_n(&c->ended, __ATOMIC_ACQUIRE))
		sleep_ns(20000);
}

static void count_up(struct counted *c, int times)
{
	for (int i = 0; i < times; i++) {
		if (rtkvm_mutex_lock(&c->mutex))
			_exit(2);
		c->count = c->count + 1;
		if (i % 64 == 0)
			until_wanted(c);
		if (rtkvm_mutex_unlock(&c->mutex))
			_exit(2);
	}
	__atomic_store_n(&c->ended, true, __ATOMIC_RELEASE);
}

START_TEST(shared)
{
	struct rtkvm_mutex_stats stats = { .size = sizeof(stats) };
	int fd = memfd_create("rtkvm-test", 0), status, times = 50000;
	struct counted *c, *other;
	pid_t child;

	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	c = map_shared(fd, 4096);
	make(&c->mutex, RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_SHARED | RTKVM_MUTEX_STATS);
	child = fork();
	if (!child) {
		other = map_shared(fd, 16 * 4096);
		other->child_address = other;
		count_up(other, times);
		_exit(0);
	}
	count_up(c, times);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(c->count, 2 * (uint64_t)times);
	ck_assert_ptr_ne(c->child_address, c);
	ck_assert_int_eq(rtkvm_mutex_get_stats(&c->mutex, &stats), 0);
	ck_assert_msg(stats.contended >= (uint64_t)times / 64, "not exercised: contended %d times only",
		      (int)stats.contended);
	close(fd);
}
END_TEST

START_TEST(statistics)
{
	struct rtkvm_mutex_stats stats = { .size = sizeof(stats) };
	struct rtkvm_mutex m, silent = RTKVM_MUTEX_INIT;
	struct thread t;

	make(&m, RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_STATS);
	rtkvm_mutex_lock(&m);
	rtkvm_mutex_unlock(&m);
	ck_assert_int_eq(rtkvm_mutex_get_stats(&m, &stats), 0);
	ck_assert_uint_eq(stats.contended, 0);
	rtkvm_mutex_lock(&m);
	thread_start(&t, 0, -1, lock_unlock, &m);
	ck_assert(until_sleeps_in(t.tid, FUTEX_LOCK_PI));
	rtkvm_mutex_unlock(&m);
	thread_join(&t);
	ck_assert_int_eq(t.result, 0);
	ck_assert_int_eq(rtkvm_mutex_get_stats(&m, &stats), 0);
	ck_assert_uint_eq(stats.contended, 1);
	ck_assert_int_eq(rtkvm_mutex_get_stats(&silent, &stats), -EINVAL);
	stats.size = 3;
	ck_assert_int_eq(rtkvm_mutex_get_stats(&m, &stats), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_get_stats(&m, NULL), -EINVAL);
}
END_TEST

/* Holds it until told to go on. */
struct held {
	struct rtkvm_mutex mutex;
	uint32_t word; /* as it was when a thread had got it */
	int go;
};

static void hold_and_look(struct thread *self)
{
	struct held *h = self->arg;

	self->result = rtkvm_mutex_lock(&h->mutex);
	__atomic_store_n(&h->word, sync_mutex_of(&h->mutex)->word, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&h->go, __ATOMIC_ACQUIRE))
		sleep_ns(NS_PER_MS / 10);
	__atomic_store_n(&h->go, 0, __ATOMIC_RELEASE);
	rtkvm_mutex_unlock(&h->mutex);
}

static void until_word(struct held *h, uint32_t word)
{
	for (int i = 0; __atomic_load_n(&h->word, __ATOMIC_ACQUIRE) != word; i++) {
		ck_assert_msg(i < 50000, "%#x instead of %#x", h->word, word);
		sleep_ns(NS_PER_MS / 10);
	}
}

/* The last of those that waited has it without the bit of waiters: it unlocks without a call. */
START_TEST(last_has_no_waiters)
{
	struct held h = { .mutex = RTKVM_MUTEX_INIT };
	struct thread t[2];

	rtkvm_mutex_lock(&h.mutex);
	for (int i = 0; i < 2; i++) {
		thread_start(&t[i], 0, -1, hold_and_look, &h);
		ck_assert(until_sleeps_in(t[i].tid, FUTEX_LOCK_PI));
	}
	rtkvm_mutex_unlock(&h.mutex);
	until_word(&h, (uint32_t)t[0].tid | FUTEX_WAITERS);
	__atomic_store_n(&h.go, 1, __ATOMIC_RELEASE);
	until_word(&h, (uint32_t)t[1].tid);
	__atomic_store_n(&h.go, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		thread_join(&t[i]);
		ck_assert_int_eq(t[i].result, 0);
	}
}
END_TEST

/* Two threads that wait for each other: the kernel finds the ring. */
static struct rtkvm_mutex ring[2] = { RTKVM_MUTEX_INIT, RTKVM_MUTEX_INIT };
static void ring_second(struct thread *self)
{
	rtkvm_mutex_lock(&ring[1]);
	__atomic_store_n((int *)self->arg, 1, __ATOMIC_RELEASE);
	self->result = rtkvm_mutex_lock(&ring[0]);
	if (!self->result)
		rtkvm_mutex_unlock(&ring[0]);
	rtkvm_mutex_unlock(&ring[1]);
}

START_TEST(deadlock)
{
	struct thread t;
	int has = 0;

	rtkvm_mutex_lock(&ring[0]);
	thread_start(&t, 0, -1, ring_second, &has);
	ck_assert(until_sleeps_in(t.tid, FUTEX_LOCK_PI));
	ck_assert_int_eq(rtkvm_mutex_lock(&ring[1]), -EDEADLK);
	rtkvm_mutex_unlock(&ring[0]);
	thread_join(&t);
	ck_assert_int_eq(t.result, 0);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("sync-mutex");
	TCase *t = tcase_create("mutex");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, types);
	tcase_add_test(t, recursive);
	tcase_add_test(t, bad_options);
	tcase_add_test(t, not_the_owner);
	tcase_add_test(t, timed);
	tcase_add_test(t, older_kernel);
	tcase_add_test(t, inherits);
	tcase_add_test(t, forked);
	tcase_add_test(t, shared);
	tcase_add_test(t, statistics);
	tcase_add_test(t, last_has_no_waiters);
	tcase_add_test(t, deadlock);
	suite_add_tcase(s, t);
	return s;
}
