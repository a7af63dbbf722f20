/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Documented errors that no other test comes across: structs newer than the
 * library, a robust list that is not libc's, limits, owners that ended. Which errno of
 * which function is provoked where is in tests/sync/errnos.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "support/test.h"
#include "sync/cond.h"
#include "sync/mutex.h"
#include "sync/support.h"

/* Options of a later release that ask for something this one does not know. */
#define newer(type, call, err)                                    \
	do {                                                      \
		struct {                                          \
			struct type o;                            \
			uint64_t more;                            \
		} later;                                          \
		type##_init(&later.o, sizeof(later.o));           \
		later.o.size = sizeof(later);                     \
		later.more = 1;                                   \
		ck_assert_int_eq(call, err);                      \
	} while (0)

START_TEST(newer_options)
{
	static uint64_t memory[512];
	void *m = memory;

	newer(rtkvm_mutex_options, rtkvm_mutex_init(m, &later.o), -E2BIG);
	newer(rtkvm_cond_options, rtkvm_cond_init(m, &later.o), -E2BIG);
	newer(rtkvm_event_options, rtkvm_event_init(m, &later.o), -E2BIG);
	newer(rtkvm_semaphore_options, rtkvm_semaphore_init(m, &later.o), -E2BIG);
	newer(rtkvm_queue_options, rtkvm_queue_init(m, sizeof(memory), &later.o), -E2BIG);
	newer(rtkvm_port_options, rtkvm_port_init(m, &later.o), -E2BIG);
}
END_TEST

START_TEST(arguments)
{
	struct rtkvm_semaphore_stats semaphore = { 0 };
	struct rtkvm_queue_stats queue = { 0 };
	struct rtkvm_port_stats stats = { 0 };
	const struct timespec bad = { 0, -1 };
	static uint64_t memory[64];
	struct rtkvm_semaphore s = RTKVM_SEMAPHORE_INIT;
	struct rtkvm_port port;
	struct rtkvm_request r;

	ck_assert_int_eq(rtkvm_port_init(&port, NULL), 0);
	ck_assert_int_eq(rtkvm_semaphore_get_stats(&s, &semaphore), -EINVAL);
	ck_assert_int_eq(rtkvm_semaphore_get_stats(&s, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_queue_get_stats((void *)memory, &queue), -EINVAL);
	ck_assert_int_eq(rtkvm_queue_get_stats(NULL, &queue), -EINVAL);
	ck_assert_int_eq(rtkvm_port_get_stats(&port, &stats), -EINVAL);
	ck_assert_int_eq(rtkvm_port_get_stats(&port, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_port_open(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_port_close(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_port_receive(&port, NULL, CLOCK_MONOTONIC, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_port_receive(&port, &r, CLOCK_MONOTONIC, &bad), -EINVAL);
	ck_assert_int_eq(rtkvm_port_drain(NULL, CLOCK_MONOTONIC, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_port_drain(&port, CLOCK_MONOTONIC, &bad), -EINVAL);
}
END_TEST

static struct rtkvm_mutex robust, ceiled;
static struct rtkvm_port port;

static void make(struct rtkvm_mutex *m, uint32_t type, uint32_t protocol, uint32_t flags)
{
	struct rtkvm_mutex_options o;

	rtkvm_mutex_options_init(&o, sizeof(o));
	o.type = type;
	o.protocol = protocol;
	o.ceiling = protocol == RTKVM_MUTEX_INHERIT ? 0 : 20;
	o.flags = flags;
	ck_assert_int_eq(rtkvm_mutex_init(m, &o), 0);
}

/* A thread whose robust list is somebody else's: a language's runtime, say. */
static void with_another_list(struct thread *self)
{
	static struct robust_list_head head = { .list = { &head.list }, .futex_offset = 8 };
	struct rtkvm_mutex_options o;
	struct rtkvm_mutex mine;
	struct rtkvm_request r = { 0 };

	self->result = -1;
	ck_assert_int_eq(syscall(SYS_set_robust_list, &head, sizeof(head)), 0);
	rtkvm_mutex_options_init(&o, sizeof(o));
	o.flags = RTKVM_MUTEX_ROBUST;
	ck_assert_int_eq(rtkvm_mutex_init(&mine, &o), -ENOTSUP);
	ck_assert_int_eq(rtkvm_mutex_lock(&robust), -ENOTSUP);
	ck_assert_int_eq(rtkvm_mutex_trylock(&robust), -ENOTSUP);
	ck_assert_int_eq(rtkvm_mutex_timedlock(&robust, CLOCK_MONOTONIC, NULL), -ENOTSUP);
	ck_assert_int_eq(rtkvm_mutex_set_ceiling(&ceiled, 30), -ENOTSUP);
	ck_assert_int_eq(rtkvm_port_open(&port), -ENOTSUP);
	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), -ENOTSUP);
	ck_assert_int_eq(rtkvm_port_drain(&port, CLOCK_MONOTONIC, NULL), -ENOTSUP);
	self->result = 0;
}

START_TEST(another_robust_list)
{
	struct thread t;

	make(&robust, RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_INHERIT, RTKVM_MUTEX_ROBUST);
	make(&ceiled, RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_CHECKED, RTKVM_MUTEX_ROBUST);
	ck_assert_int_eq(rtkvm_port_init(&port, NULL), 0);
	thread_start(&t, 0, -1, with_another_list, NULL);
	thread_join(&t);
	ck_assert_int_eq(t.result, 0);
	/* the control: here it is libc's, and nothing was harmed */
	ck_assert_int_eq(rtkvm_mutex_lock(&robust), 0);
	ck_assert_int_eq(rtkvm_mutex_consistent(&robust), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_unlock(&robust), 0);
	ck_assert_int_eq(rtkvm_mutex_consistent(&robust), -EPERM);
	ck_assert_int_eq(rtkvm_mutex_get_ceiling(&ceiled), 20);
}
END_TEST

START_TEST(too_often)
{
	struct rtkvm_mutex m;

	make(&m, RTKVM_MUTEX_RECURSIVE, RTKVM_MUTEX_INHERIT, 0);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	((struct sync_mutex *)(void *)&m)->depth = UINT32_MAX - 1;
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), -EAGAIN);
	ck_assert_int_eq(rtkvm_mutex_trylock(&m), -EAGAIN);
	((struct sync_mutex *)(void *)&m)->depth = 0;
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
}
END_TEST

#define LEVEL_MAX 255

static void many_ceilings(struct thread *self)
{
	static struct rtkvm_mutex m[LEVEL_MAX + 1];

	for (int i = 0; i <= LEVEL_MAX; i++) {
		make(&m[i], RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_EAGER, 0);
		ck_assert_int_eq(rtkvm_mutex_lock(&m[i]), i < LEVEL_MAX ? 0 : -EAGAIN);
	}
	ck_assert_int_eq(rtkvm_mutex_unlock(&m[LEVEL_MAX]), -EPERM);
	for (int i = 0; i < LEVEL_MAX; i++)
		ck_assert_int_eq(rtkvm_mutex_unlock(&m[i]), 0);
	self->result = get_priority(0);
}

START_TEST(too_many_ceilings)
{
	struct thread t;

	if (!may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	thread_start(&t, 10, -1, many_ceilings, NULL);
	thread_join(&t);
	ck_assert_int_eq(t.result, 10);
}
END_TEST

/* Lowered from outside, and without the right to be raised again; in a child. */
static int resync_without_right(void)
{
	const struct sched_param low = { .sched_priority = 5 };
	const struct rlimit none = { 0, 0 };
	struct rtkvm_mutex m;

	make(&m, RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_EAGER, 0);
	if (sched_setscheduler(0, SCHED_FIFO, &low) || rtkvm_mutex_lock(&m) ||
	    sched_setparam(0, &low) || setrlimit(RLIMIT_RTPRIO, &none) ||
	    (geteuid() == 0 && setuid(65534)))
		return 1;
	return rtkvm_thread_resync() == -EPERM ? 0 : 2;
}

START_TEST(not_raised_again)
{
	int status;
	pid_t pid;

	if (!may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	pid = fork();
	if (pid == 0)
		_exit(resync_without_right());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(no_descriptor)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct rtkvm_event_fd event;
		struct rlimit none;

		getrlimit(RLIMIT_NOFILE, &none);
		none.rlim_cur = 0;
		_exit(setrlimit(RLIMIT_NOFILE, &none) || rtkvm_event_fd_init(&event) != -EMFILE);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- waits, and owners that end ---- */

static struct {
	struct rtkvm_mutex mutex;
	struct rtkvm_cond cond;
	int until_ms;
} box;

static void wait_in_box(struct thread *self)
{
	struct timespec until = after_ns(CLOCK_MONOTONIC, box.until_ms * NS_PER_MS);

	if (rtkvm_mutex_lock(&box.mutex))
		return;
	self->result = rtkvm_cond_timedwait(&box.cond, &box.mutex, &until);
}

static void lock_and_end(struct thread *self)
{
	self->result = rtkvm_mutex_lock(&box.mutex);
}

static void start_waiter(struct thread *t, uint32_t flags, int ms)
{
	memset(&box, 0, sizeof(box));
	make(&box.mutex, RTKVM_MUTEX_NORMAL, RTKVM_MUTEX_INHERIT, flags);
	box.until_ms = ms;
	thread_start(t, 0, -1, wait_in_box, NULL);
	ck_assert(until_sleeps_in(t->tid, FUTEX_WAIT_REQUEUE_PI));
}

START_TEST(wait_not_recoverable)
{
	struct thread waiter, owner;

	start_waiter(&waiter, RTKVM_MUTEX_ROBUST, 60000);
	thread_start(&owner, 0, -1, lock_and_end, NULL);
	thread_join(&owner);
	ck_assert_int_eq(rtkvm_mutex_lock(&box.mutex), -EOWNERDEAD);
	ck_assert_int_eq(rtkvm_mutex_unlock(&box.mutex), 0); /* nobody has put it in order */
	ck_assert_int_eq(rtkvm_cond_signal(&box.cond, &box.mutex), 0);
	thread_join(&waiter);
	ck_assert_int_eq(waiter.result, -ENOTRECOVERABLE);
	ck_assert_int_eq(rtkvm_mutex_lock(&box.mutex), -ENOTRECOVERABLE);
}
END_TEST

/* Not robust: who signals is told, and so is who waits when it wants the mutex again. */
START_TEST(owner_ended)
{
	struct thread waiter, owner;

	start_waiter(&waiter, 0, 500);
	thread_start(&owner, 0, -1, lock_and_end, NULL);
	thread_join(&owner);
	ck_assert_int_eq(rtkvm_cond_signal(&box.cond, &box.mutex), -ESRCH);
	ck_assert_int_eq(rtkvm_cond_broadcast(&box.cond, &box.mutex), -ESRCH);
	thread_join(&waiter);
	ck_assert_int_eq(waiter.result, -ESRCH);
}
END_TEST

START_TEST(too_many_waiters)
{
	struct sync_cond *c = sync_cond_of(&box.cond);

	memset(&box, 0, sizeof(box));
	ck_assert_int_eq(rtkvm_mutex_lock(&box.mutex), 0);
	c->bind = (uint64_t)sync_mutex_id(sync_mutex_of(&box.mutex)) << 32 | COND_COUNT;
	ck_assert_int_eq(rtkvm_cond_wait(&box.cond, &box.mutex), -EAGAIN);
	ck_assert_int_eq(rtkvm_mutex_unlock(&box.mutex), 0); /* it was kept */
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("sync-errors");
	TCase *t = tcase_create("errors");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, newer_options);
	tcase_add_test(t, arguments);
	tcase_add_test(t, another_robust_list);
	tcase_add_test(t, too_often);
	tcase_add_test(t, too_many_ceilings);
	tcase_add_test(t, not_raised_again);
	tcase_add_test(t, no_descriptor);
	tcase_add_test(t, wait_not_recoverable);
	tcase_add_test(t, owner_ended);
	tcase_add_test(t, too_many_waiters);
	suite_add_tcase(s, t);
	return s;
}
