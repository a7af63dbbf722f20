/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owners that end while they hold a mutex: threads and processes, with and
 * without waiters, repaired and not, and their id given to another thread.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "support/test.h"
#include "sync/support.h"

static void make(struct rtkvm_mutex *m, uint32_t type, uint32_t flags)
{
	struct rtkvm_mutex_options o;

	rtkvm_mutex_options_init(&o, sizeof(o));
	o.type = type;
	o.flags = flags;
	ck_assert_int_eq(rtkvm_mutex_init(m, &o), 0);
}

static void *map_anonymous(void)
{
	void *where = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(where, MAP_FAILED);
	return where;
}

static int held;

static void lock_and_end(struct thread *self)
{
	rtkvm_mutex_lock(self->arg);
	__atomic_store_n(&held, 1, __ATOMIC_RELEASE);
	/* end when told to; the result of nobody is at hand any more */
	while (!__atomic_load_n(&self->result, __ATOMIC_ACQUIRE))
		sleep_ns(NS_PER_MS / 4);
}

static void hold_and_end(struct thread *t, struct rtkvm_mutex *m)
{
	/* not seen by trylock: of a dead owner's mutex that would be a lock, and its end */
	__atomic_store_n(&held, 0, __ATOMIC_RELEASE);
	thread_start(t, 0, -1, lock_and_end, m);
	while (!__atomic_load_n(&held, __ATOMIC_ACQUIRE))
		sleep_ns(NS_PER_MS / 4);
	ck_assert_int_eq(rtkvm_mutex_trylock(m), -EBUSY);
}

static void tell_to_end(struct thread *t)
{
	__atomic_store_n(&t->result, 1, __ATOMIC_RELEASE);
	thread_join(t);
}

START_TEST(without_waiters)
{
	const uint32_t types[] = { RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_RECURSIVE };
	struct rtkvm_mutex m;
	struct thread t;

	for (int i = 0; i < 4; i++) {
		make(&m, types[i & 1], RTKVM_MUTEX_ROBUST | (i & 2 ? RTKVM_MUTEX_SHARED : 0));
		hold_and_end(&t, &m);
		tell_to_end(&t);
		/* by each way to lock */
		ck_assert_int_eq(i == 0 ? rtkvm_mutex_lock(&m) :
				 i == 1 ? rtkvm_mutex_trylock(&m) :
					  rtkvm_mutex_timedlock(&m, CLOCK_MONOTONIC, NULL),
				 -EOWNERDEAD);
		ck_assert_int_eq(rtkvm_mutex_consistent(&m), 0);
		ck_assert_int_eq(rtkvm_mutex_consistent(&m), -EINVAL);
		ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
		ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
		ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	}
}
END_TEST

static void lock_once(struct thread *self)
{
	self->result = rtkvm_mutex_lock(self->arg);
	if (self->result == -EOWNERDEAD)
		rtkvm_mutex_consistent(self->arg);
	if (self->result != -ENOTRECOVERABLE)
		rtkvm_mutex_unlock(self->arg);
}

START_TEST(with_waiters)
{
	struct thread owner, waiter[3];
	struct rtkvm_mutex m;
	int died = 0;

	make(&m, RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_ROBUST);
	hold_and_end(&owner, &m);
	for (int i = 0; i < 3; i++) {
		thread_start(&waiter[i], 0, -1, lock_once, &m);
		ck_assert(until_sleeps_in(waiter[i].tid, FUTEX_LOCK_PI));
	}
	tell_to_end(&owner);
	for (int i = 0; i < 3; i++) {
		thread_join(&waiter[i]);
		died += waiter[i].result == -EOWNERDEAD;
		ck_assert(waiter[i].result == 0 || waiter[i].result == -EOWNERDEAD);
	}
	ck_assert_int_eq(died, 1);
}
END_TEST

static void lock_no_repair(struct thread *self)
{
	self->result = rtkvm_mutex_lock(self->arg);
	if (self->result != -ENOTRECOVERABLE)
		rtkvm_mutex_unlock(self->arg);
}

/* Unlocked without repair: all who wait are told, and everybody after them. */
START_TEST(not_recoverable)
{
	struct thread owner, waiter[3];
	struct rtkvm_mutex m;
	int died = 0, lost = 0;

	make(&m, RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_ROBUST);
	hold_and_end(&owner, &m);
	for (int i = 0; i < 3; i++) {
		thread_start(&waiter[i], 0, -1, lock_no_repair, &m);
		ck_assert(until_sleeps_in(waiter[i].tid, FUTEX_LOCK_PI));
	}
	tell_to_end(&owner);
	for (int i = 0; i < 3; i++) {
		thread_join(&waiter[i]);
		died += waiter[i].result == -EOWNERDEAD;
		lost += waiter[i].result == -ENOTRECOVERABLE;
	}
	ck_assert_int_eq(died, 1);
	ck_assert_int_eq(lost, 2);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(rtkvm_mutex_lock(&m), -ENOTRECOVERABLE);
		ck_assert_int_eq(rtkvm_mutex_trylock(&m), -ENOTRECOVERABLE);
	}
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), -EPERM);
	ck_assert_int_eq(rtkvm_mutex_destroy(&m), 0);
	ck_assert_int_eq(rtkvm_mutex_init(&m, NULL), 0);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
}
END_TEST

/* The repairing thread ends as well. */
START_TEST(died_twice)
{
	struct rtkvm_mutex m;
	struct thread t;

	make(&m, RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_ROBUST);
	for (int i = 0; i < 3; i++) {
		hold_and_end(&t, &m);
		tell_to_end(&t);
	}
	ck_assert_int_eq(rtkvm_mutex_lock(&m), -EOWNERDEAD);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
}
END_TEST

static void many_and_glibc(struct thread *self)
{
	struct rtkvm_mutex *m = self->arg;
	pthread_mutex_t *theirs = (pthread_mutex_t *)(void *)(m + 8);

	/* taken and given back in an order that leaves links to both sides */
	for (int i = 0; i < 4; i++) {
		rtkvm_mutex_lock(&m[2 * i]);
		pthread_mutex_lock(&theirs[i]);
		rtkvm_mutex_lock(&m[2 * i + 1]);
	}
	rtkvm_mutex_unlock(&m[3]);
	pthread_mutex_unlock(&theirs[2]);
	rtkvm_mutex_unlock(&m[0]);
	pthread_mutex_unlock(&theirs[0]);
	rtkvm_mutex_unlock(&m[7]);
}

/* libc's robust mutexes and ours are in one list of the thread. */
START_TEST(beside_glibc)
{
	struct {
		struct rtkvm_mutex m[8];
		pthread_mutex_t theirs[4];
	} all;
	pthread_mutexattr_t attr;
	struct thread t;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	for (int i = 0; i < 4; i++) {
		pthread_mutexattr_setprotocol(&attr, i & 1 ? PTHREAD_PRIO_INHERIT :
							     PTHREAD_PRIO_NONE);
		pthread_mutex_init(&all.theirs[i], &attr);
	}
	for (int i = 0; i < 8; i++)
		make(&all.m[i], RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_ROBUST);
	thread_start(&t, 0, -1, many_and_glibc, all.m);
	thread_join(&t);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(rtkvm_mutex_lock(&all.m[i]),
				 i == 0 || i == 3 || i == 7 ? 0 : -EOWNERDEAD);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_mutex_lock(&all.theirs[i]), i % 2 ? EOWNERDEAD : 0);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(rtkvm_mutex_unlock(&all.m[i]), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_mutex_unlock(&all.theirs[i]), 0);
}
END_TEST

/* A process that is killed, with a waiter in another one and without. */
START_TEST(process_killed)
{
	struct rtkvm_mutex *m = map_anonymous();

	for (int with_waiter = 0; with_waiter < 2; with_waiter++) {
		struct thread waiter;
		int status, ready[2];
		pid_t child;
		char c;

		make(m, RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_ROBUST | RTKVM_MUTEX_SHARED);
		ck_assert_int_eq(pipe(ready), 0);
		child = fork();
		if (!child) {
			rtkvm_mutex_lock(m);
			if (write(ready[1], "x", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		ck_assert_int_eq(read(ready[0], &c, 1), 1);
		if (with_waiter) {
			thread_start(&waiter, 0, -1, lock_once, m);
			ck_assert(until_sleeps_in(waiter.tid, FUTEX_LOCK_PI));
		}
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		if (with_waiter) {
			thread_join(&waiter);
			ck_assert_int_eq(waiter.result, -EOWNERDEAD);
		} else {
			ck_assert_int_eq(rtkvm_mutex_lock(m), -EOWNERDEAD);
			ck_assert_int_eq(rtkvm_mutex_unlock(m), 0);
		}
		close(ready[0]);
		close(ready[1]);
	}
}
END_TEST

/* Without robustness: the waiter learns it, who comes later too; nobody hangs. */
START_TEST(not_robust)
{
	struct thread owner, waiter;
	struct rtkvm_mutex m;

	make(&m, RTKVM_MUTEX_NORMAL, 0);
	hold_and_end(&owner, &m);
	tell_to_end(&owner);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), -ESRCH);
	ck_assert_int_eq(rtkvm_mutex_trylock(&m), -EBUSY);
	ck_assert_int_eq(rtkvm_mutex_init(&m, NULL), 0);
	hold_and_end(&owner, &m);
	thread_start(&waiter, 0, -1, lock_once, &m);
	ck_assert(until_sleeps_in(waiter.tid, FUTEX_LOCK_PI));
	tell_to_end(&owner);
	thread_join(&waiter);
	ck_assert_int_eq(waiter.result, -EOWNERDEAD);
}
END_TEST

static void do_nothing(struct thread *self)
{
	(void)self;
}

/* Make threads until one has this id. */
static bool id_used_again(pid_t tid)
{
	FILE *f = fopen("/proc/sys/kernel/ns_last_pid", "w");
	struct thread t;

	if (!f)
		return false;
	for (int i = 0; i < 1000; i++) {
		rewind(f);
		fprintf(f, "%d", (int)tid - 1);
		fflush(f);
		thread_start(&t, 0, -1, do_nothing, NULL);
		thread_join(&t);
		if (t.tid == tid) {
			fclose(f);
			return true;
		}
	}
	fclose(f);
	return false;
}

static struct rtkvm_mutex reused;
static void is_not_mine(struct thread *self)
{
	/* an owner of the same id would get -EDEADLK, and could unlock it */
	self->result = rtkvm_mutex_unlock(&reused) == -EPERM &&
		       rtkvm_mutex_lock(&reused) == -EOWNERDEAD &&
		       rtkvm_mutex_consistent(&reused) == 0 && rtkvm_mutex_unlock(&reused) == 0;
}

START_TEST(id_reused)
{
	struct thread owner, next;
	FILE *f = fopen("/proc/sys/kernel/ns_last_pid", "w");

	if (!f)
		SKIP_TEST("may not choose thread ids (/proc/sys/kernel/ns_last_pid)");
	make(&reused, RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_ROBUST);
	hold_and_end(&owner, &reused);
	tell_to_end(&owner);
	ck_assert(id_used_again(owner.tid));
	for (int i = 0; i < 1000; i++) {
		rewind(f);
		fprintf(f, "%d", (int)owner.tid - 1);
		fflush(f);
		thread_start(&next, 0, -1, do_nothing, NULL);
		thread_join(&next);
		rewind(f);
		fprintf(f, "%d", (int)owner.tid - 1);
		fflush(f);
		thread_start(&next, 0, -1, is_not_mine, NULL);
		thread_join(&next);
		if (next.tid == owner.tid)
			break;
		/* another one repaired it: once more */
		hold_and_end(&owner, &reused);
		tell_to_end(&owner);
	}
	fclose(f);
	ck_assert_int_eq(next.tid, owner.tid);
	ck_assert_int_eq(next.result, 1);
}
END_TEST

/*
 * What a test leaves locked would stay in the list of this thread, on a stack that the
 * next test uses for something else (CK_FORK=no), and be written to.
 */
static void nothing_is_left(void)
{
	struct robust_list_head *head;
	size_t size;

	ck_assert_int_eq(syscall(SYS_get_robust_list, 0, &head, &size), 0);
	ck_assert_ptr_eq(head->list.next, &head->list);
}

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("sync-robust");
	TCase *t = tcase_create("robust");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, nothing_is_left);
	tcase_add_test(t, without_waiters);
	tcase_add_test(t, with_waiters);
	tcase_add_test(t, not_recoverable);
	tcase_add_test(t, died_twice);
	tcase_add_test(t, beside_glibc);
	tcase_add_test(t, process_killed);
	tcase_add_test(t, not_robust);
	tcase_add_test(t, id_reused);
	suite_add_tcase(s, t);
	return s;
}
