/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The condition variable with each kind of mutex: recursive, with a ceiling, robust,
 * shared between processes; and how it is destroyed.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "support/test.h"
#include "../lib/sync/cond.h"
#include "sync/cond-box.h"

static void wait_recursive(struct thread *self)
{
	for (int i = 0; i < 3; i++)
		rtkvm_mutex_lock(&box.mutex);
	while (!box.tokens)
		self->result = rtkvm_cond_wait(&box.cond, &box.mutex);
	for (int i = 0; i < 3; i++)
		self->result |= rtkvm_mutex_unlock(&box.mutex);
	self->result |= rtkvm_mutex_unlock(&box.mutex) != -EPERM;
}

START_TEST(recursive)
{
	struct thread t;

	box_make(RTKVM_MUTEX_RECURSIVE, 0, 0, CLOCK_MONOTONIC);
	thread_start(&t, 0, -1, wait_recursive, NULL);
	ck_assert(until_sleeps_in(t.tid, FUTEX_WAIT_REQUEUE_PI));
	box_put(1, rtkvm_cond_signal, true);
	thread_join(&t);
	ck_assert_int_eq(t.result, 0);
}
END_TEST

static int while_asleep, while_awake;
static void wait_eager(struct thread *self)
{
	struct rtkvm_mutex outer;
	struct rtkvm_mutex_options o;

	rtkvm_mutex_options_init(&o, sizeof(o));
	o.protocol = RTKVM_MUTEX_EAGER;
	o.ceiling = 40;
	rtkvm_mutex_init(&outer, &o);
	if (self->arg)
		rtkvm_mutex_lock(&outer);
	rtkvm_mutex_lock(&box.mutex);
	while (!box.tokens)
		rtkvm_cond_wait(&box.cond, &box.mutex);
	while_awake = get_priority(0);
	rtkvm_mutex_unlock(&box.mutex);
	if (self->arg)
		rtkvm_mutex_unlock(&outer);
	self->result = get_priority(0);
}

/* The ceiling of the mutex is left for the wait; that of another one stays. */
START_TEST(eager_sleeps_below)
{
	struct thread t;

	if (!may_fifo())
		SKIP_TEST("SCHED_FIFO is refused");
	for (int with_outer = 0; with_outer < 2; with_outer++) {
		box_make(0, RTKVM_MUTEX_EAGER, 0, CLOCK_MONOTONIC);
		thread_start(&t, 10, -1, wait_eager, with_outer ? &t : NULL);
		ck_assert(until_sleeps_in(t.tid, FUTEX_WAIT_REQUEUE_PI));
		while_asleep = get_priority(t.tid);
		ck_assert_int_eq(while_asleep, with_outer ? 40 : 10);
		set_priority(0, 5);
		box_put(1, rtkvm_cond_signal, true);
		set_priority(0, 0);
		thread_join(&t);
		ck_assert_int_eq(while_awake, 60);
		ck_assert_int_eq(t.result, 10);
	}
}
END_TEST

static void wait_once(struct thread *self)
{
	rtkvm_mutex_lock(&box.mutex);
	self->result = rtkvm_cond_wait(&box.cond, &box.mutex);
	if (self->result == -EOWNERDEAD && self->arg)
		rtkvm_mutex_consistent(&box.mutex);
	if (self->result != -ENOTRECOVERABLE)
		rtkvm_mutex_unlock(&box.mutex);
}

static void signal_and_end(struct thread *self)
{
	(void)self;
	rtkvm_mutex_lock(&box.mutex);
	rtkvm_cond_broadcast(&box.cond, &box.mutex);
}

/* Who broadcasts ends with the mutex: the waiters learn it one by one. */
START_TEST(owner_dies)
{
	struct thread t[2], dying;

	for (int repair = 0; repair < 2; repair++) {
		box_make(0, 0, RTKVM_MUTEX_ROBUST, CLOCK_MONOTONIC);
		for (int i = 0; i < 2; i++) {
			thread_start(&t[i], 0, -1, wait_once, repair ? &box : NULL);
			ck_assert(until_sleeps_in(t[i].tid, FUTEX_WAIT_REQUEUE_PI));
		}
		thread_start(&dying, 0, -1, signal_and_end, NULL);
		thread_join(&dying);
		thread_join(&t[0]);
		thread_join(&t[1]);
		ck_assert_int_eq(t[0].result + t[1].result,
				 repair ? -EOWNERDEAD : -EOWNERDEAD - ENOTRECOVERABLE);
		ck_assert_int_eq(rtkvm_cond_destroy(&box.cond), 0);
	}
}
END_TEST

/* Its memory can go as soon as all have been woken. */
static void destroy_soon(struct thread *self)
{
	rtkvm_mutex_lock(&box.mutex);
	__atomic_fetch_add(&box.orders, 1, __ATOMIC_SEQ_CST);
	self->result = rtkvm_cond_wait(&box.cond, &box.mutex);
	sleep_ns(NS_PER_MS / 5);
	rtkvm_mutex_unlock(&box.mutex);
}

START_TEST(destroyed_after_broadcast)
{
	struct thread t[4];

	for (int round = 0; round < 20; round++) {
		box_make(0, 0, 0, CLOCK_MONOTONIC);
		for (int i = 0; i < 4; i++) {
			thread_start(&t[i], 0, -1, destroy_soon, NULL);
			ck_assert(until_sleeps_in(t[i].tid, FUTEX_WAIT_REQUEUE_PI));
		}
		if (round & 1)
			rtkvm_mutex_lock(&box.mutex);
		ck_assert_int_eq(rtkvm_cond_broadcast(&box.cond, &box.mutex), 0);
		if (round & 1)
			rtkvm_mutex_unlock(&box.mutex);
		ck_assert_int_eq(rtkvm_cond_destroy(&box.cond), 0);
		memset(&box.cond, 0xff, sizeof(box.cond));
		for (int i = 0; i < 4; i++) {
			thread_join(&t[i]);
			ck_assert_int_eq(t[i].result, 0);
		}
		ck_assert_uint_eq(*(uint64_t *)(void *)&box.cond, UINT64_MAX);
	}
}
END_TEST

/* Two processes hand a turn to each other; the memory is at different addresses. */
struct turns {
	struct rtkvm_mutex mutex;
	struct rtkvm_cond cond;
	int turn;
};

/* Have the mutex, while the other one waits for its turn. */
static void until_it_waits(struct turns *s)
{
	while (!(*sync_cond_count(sync_cond_of(&s->cond)) & COND_COUNT)) {
		rtkvm_mutex_unlock(&s->mutex);
		sleep_ns(20000);
		rtkvm_mutex_lock(&s->mutex);
	}
}

static struct turns *map_at(int fd, size_t shift)
{
	char *where = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	where = mmap(where + shift, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	return where == MAP_FAILED ? NULL : (struct turns *)(void *)where;
}

static int take_turns(struct turns *s, int me, int times)
{
	for (int i = 0; i < times; i++) {
		if (rtkvm_mutex_lock(&s->mutex))
			return 1;
		while (s->turn != me)
			if (rtkvm_cond_wait(&s->cond, &s->mutex))
				return 2;
		/* left to themselves they may always meet at the mutex, and never wait */
		if (i % 4 == 0)
			until_it_waits(s);
		s->turn = !me;
		if (i & 1 && rtkvm_cond_signal(&s->cond, &s->mutex))
			return 3;
		if (rtkvm_mutex_unlock(&s->mutex))
			return 4;
		if (!(i & 1) && rtkvm_cond_signal(&s->cond, &s->mutex))
			return 5;
	}
	return 0;
}

START_TEST(shared)
{
	int fd = memfd_create("rtkvm-test", 0), status;
	struct rtkvm_mutex_options m;
	struct rtkvm_cond_options c;
	struct rtkvm_cond_stats stats = { .size = sizeof(stats) };
	struct turns *s;
	pid_t child;

	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	s = map_at(fd, 4096);
	ck_assert_ptr_nonnull(s);
	rtkvm_mutex_options_init(&m, sizeof(m));
	m.flags = RTKVM_MUTEX_SHARED | RTKVM_MUTEX_ROBUST;
	rtkvm_cond_options_init(&c, sizeof(c));
	c.flags = RTKVM_COND_SHARED | RTKVM_COND_STATS;
	ck_assert_int_eq(rtkvm_mutex_init(&s->mutex, &m), 0);
	ck_assert_int_eq(rtkvm_cond_init(&s->cond, &c), 0);
	child = fork();
	if (!child) {
		struct turns *other = map_at(fd, 16 * 4096);

		_exit(other == s ? 9 : take_turns(other, 1, 5000));
	}
	ck_assert_int_eq(take_turns(s, 0, 5000), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(rtkvm_cond_get_stats(&s->cond, &stats), 0);
	ck_assert_msg(stats.waits >= 2500, "not exercised: %d waits", (int)stats.waits);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("sync-cond-kinds");
	TCase *t = tcase_create("cond-kinds");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, recursive);
	tcase_add_test(t, eager_sleeps_below);
	tcase_add_test(t, owner_dies);
	tcase_add_test(t, destroyed_after_broadcast);
	tcase_add_test(t, shared);
	suite_add_tcase(s, t);
	return s;
}
