/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the child of fork(2) finds: each object of the parent's private memory as
 * rtkvm/sync.h says, used by the parent's threads at that moment or not. Ports are in
 * tests/sync/request.c, mutexes and priorities in mutex.c and ceiling.c as well.
 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "support/test.h"
#include "sync/support.h"

static const struct timespec past = { 0, 0 };

/* In a child: the number of the first line that did not hold is the exit status. */
#define EXPECT(is)                    \
	do {                          \
		if (!(is))            \
			_exit(__LINE__ & 255 ? __LINE__ & 255 : 255); \
	} while (0)

static void in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(30); /* a wait for nobody */
		fn();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "status %#x: line %d of the child", (unsigned int)status,
		      WEXITSTATUS(status));
}

static struct {
	struct rtkvm_mutex mutex, robust, recursive;
	struct rtkvm_cond cond;
	struct rtkvm_event event;
	struct rtkvm_semaphore semaphore;
	struct rtkvm_event_fd fd;
	uint64_t queue[512];
} own;

static struct rtkvm_queue *queue(void)
{
	return (void *)own.queue;
}

/* Mutexes that the forking thread holds are held by nobody here: the child is another thread. */
static void mutexes_in_child(void)
{
	const struct timespec soon = after_ns(CLOCK_MONOTONIC, 20 * NS_PER_MS);

	EXPECT(rtkvm_mutex_unlock(&own.mutex) == -EPERM);
	EXPECT(rtkvm_mutex_unlock(&own.recursive) == -EPERM);
	EXPECT(rtkvm_mutex_unlock(&own.robust) == -EPERM);
	EXPECT(rtkvm_mutex_consistent(&own.robust) == -EPERM);
	EXPECT(rtkvm_mutex_trylock(&own.mutex) == -EBUSY);
	EXPECT(rtkvm_mutex_destroy(&own.mutex) == -EBUSY);
	/* the owner is alive, in the parent */
	EXPECT(rtkvm_mutex_timedlock(&own.mutex, CLOCK_MONOTONIC, &soon) < 0);
	EXPECT(rtkvm_mutex_init(&own.mutex, NULL) == 0);
	EXPECT(rtkvm_mutex_init(&own.robust, NULL) == 0);
	EXPECT(rtkvm_mutex_lock(&own.mutex) == 0);
	EXPECT(rtkvm_mutex_lock(&own.mutex) == -EDEADLK);
	EXPECT(rtkvm_mutex_unlock(&own.mutex) == 0);
}

START_TEST(mutexes)
{
	struct rtkvm_mutex_options o;

	rtkvm_mutex_options_init(&o, sizeof(o));
	ck_assert_int_eq(rtkvm_mutex_init(&own.mutex, &o), 0);
	o.flags = RTKVM_MUTEX_ROBUST;
	ck_assert_int_eq(rtkvm_mutex_init(&own.robust, &o), 0);
	o.flags = 0;
	o.type = RTKVM_MUTEX_RECURSIVE;
	ck_assert_int_eq(rtkvm_mutex_init(&own.recursive, &o), 0);
	ck_assert_int_eq(rtkvm_mutex_lock(&own.mutex), 0);
	ck_assert_int_eq(rtkvm_mutex_lock(&own.robust), 0);
	ck_assert_int_eq(rtkvm_mutex_lock(&own.recursive), 0);
	in_child(mutexes_in_child);
	/* the parent has kept them, and a child that ended took none with it */
	ck_assert_int_eq(rtkvm_mutex_unlock(&own.mutex), 0);
	ck_assert_int_eq(rtkvm_mutex_unlock(&own.robust), 0);
	ck_assert_int_eq(rtkvm_mutex_unlock(&own.recursive), 0);
	ck_assert_int_eq(rtkvm_mutex_lock(&own.robust), 0);
	ck_assert_int_eq(rtkvm_mutex_unlock(&own.robust), 0);
}
END_TEST

static void wait_for_cond(struct thread *self)
{
	self->result = rtkvm_mutex_lock(&own.mutex);
	self->result = rtkvm_cond_wait(&own.cond, &own.mutex);
	rtkvm_mutex_unlock(&own.mutex);
}

/* A thread of the parent waits: it counts here, and nobody will ever leave. */
static void waited_for_in_child(void)
{
	const struct timespec soon = after_ns(CLOCK_MONOTONIC, 20 * NS_PER_MS);

	EXPECT(rtkvm_cond_destroy(&own.cond) == -EBUSY);
	EXPECT(rtkvm_cond_init(&own.cond, NULL) == 0);
	EXPECT(rtkvm_mutex_init(&own.mutex, NULL) == 0);
	EXPECT(rtkvm_cond_broadcast(&own.cond, &own.mutex) == 0);
	EXPECT(rtkvm_mutex_lock(&own.mutex) == 0);
	EXPECT(rtkvm_cond_timedwait(&own.cond, &own.mutex, &soon) == -ETIMEDOUT);
	EXPECT(rtkvm_mutex_unlock(&own.mutex) == 0);
	EXPECT(rtkvm_cond_destroy(&own.cond) == 0);
}

START_TEST(condition_variable)
{
	struct thread t;

	memset(&own, 0, sizeof(own));
	thread_start(&t, 0, -1, wait_for_cond, NULL);
	ck_assert(until_sleeps_in(t.tid, FUTEX_WAIT_REQUEUE_PI));
	in_child(waited_for_in_child);
	ck_assert_int_eq(rtkvm_cond_signal(&own.cond, &own.mutex), 0);
	thread_join(&t);
	ck_assert_int_eq(t.result, 0);
}
END_TEST

/* A copy with what it had: set or not, so many tokens, so many items. */
static void copies_in_child(void)
{
	uint64_t item;

	EXPECT(rtkvm_event_wait(&own.event, CLOCK_MONOTONIC, &past) == 0);
	EXPECT(rtkvm_event_wait(&own.event, CLOCK_MONOTONIC, &past) == -ETIMEDOUT);
	EXPECT(rtkvm_event_set(&own.event) == 0);
	EXPECT(rtkvm_semaphore_trywait(&own.semaphore) == 0);
	EXPECT(rtkvm_semaphore_trywait(&own.semaphore) == -EAGAIN);
	EXPECT(rtkvm_queue_pop(queue(), &item) == 0 && item == 7);
	EXPECT(rtkvm_queue_pop(queue(), &item) == -EAGAIN);
	EXPECT(rtkvm_queue_push(queue(), &item) == 0);
	EXPECT(rtkvm_queue_push(queue(), &item) == 0);
}

START_TEST(events_semaphores_queues)
{
	struct rtkvm_queue_options o;
	uint64_t item = 7;

	memset(&own, 0, sizeof(own));
	rtkvm_queue_options_init(&o, sizeof(o));
	o.capacity = 2;
	o.item_size = sizeof(item);
	ck_assert_int_eq(rtkvm_queue_init(queue(), sizeof(own.queue), &o), 0);
	ck_assert_int_eq(rtkvm_event_set(&own.event), 0);
	ck_assert_int_eq(rtkvm_semaphore_post(&own.semaphore), 0);
	ck_assert_int_eq(rtkvm_queue_push(queue(), &item), 0);
	in_child(copies_in_child);
	/* nothing of that is seen here */
	ck_assert_int_eq(rtkvm_event_is_set(&own.event), 1);
	ck_assert_int_eq(rtkvm_semaphore_value(&own.semaphore), 1);
	ck_assert_int_eq(rtkvm_queue_pop(queue(), &item), 0);
	ck_assert_int_eq(rtkvm_queue_pop(queue(), &item), -EAGAIN);
}
END_TEST

static void wait_for_event(struct thread *self)
{
	self->result = rtkvm_event_wait(&own.event, CLOCK_MONOTONIC, NULL);
}

static void wait_for_token(struct thread *self)
{
	self->result = rtkvm_semaphore_wait(&own.semaphore, CLOCK_MONOTONIC, NULL);
}

/*
 * Waiters of the parent are counted: a set or a post works, and makes a system call for
 * nobody. With hand-off trywait gives them precedence for ever, and a wait gets the token.
 */
static void with_waiters_in_child(void)
{
	const struct rtkvm_semaphore_options o = { .size = sizeof(o),
						   .flags = RTKVM_SEMAPHORE_HANDOFF };

	EXPECT(rtkvm_event_set(&own.event) == 0);
	EXPECT(rtkvm_event_wait(&own.event, CLOCK_MONOTONIC, &past) == 0);
	EXPECT(rtkvm_semaphore_post(&own.semaphore) == 0);
	EXPECT(rtkvm_semaphore_trywait(&own.semaphore) == -EAGAIN);
	EXPECT(rtkvm_semaphore_wait(&own.semaphore, CLOCK_MONOTONIC, NULL) == 0);
	EXPECT(rtkvm_semaphore_init(&own.semaphore, &o) == 0);
	EXPECT(rtkvm_semaphore_post(&own.semaphore) == 0);
	EXPECT(rtkvm_semaphore_trywait(&own.semaphore) == 0);
}

START_TEST(with_waiters)
{
	struct rtkvm_semaphore_options o;
	struct thread t[2];

	memset(&own, 0, sizeof(own));
	rtkvm_semaphore_options_init(&o, sizeof(o));
	o.flags = RTKVM_SEMAPHORE_HANDOFF;
	ck_assert_int_eq(rtkvm_semaphore_init(&own.semaphore, &o), 0);
	thread_start(&t[0], 0, -1, wait_for_event, NULL);
	thread_start(&t[1], 0, -1, wait_for_token, NULL);
	for (int i = 0; i < 2; i++)
		ck_assert(until_asleep(t[i].tid));
	in_child(with_waiters_in_child);
	/* the parent's are still asleep, and woken by the parent */
	for (int i = 0; i < 2; i++)
		ck_assert(until_asleep(t[i].tid) && !t[i].done);
	ck_assert_int_eq(rtkvm_event_set(&own.event), 0);
	ck_assert_int_eq(rtkvm_semaphore_post(&own.semaphore), 0);
	for (int i = 0; i < 2; i++) {
		thread_join(&t[i]);
		ck_assert_int_eq(t[i].result, 0);
	}
}
END_TEST

/* One eventfd for both: what the child sets wakes the parent's poll(2), with nothing taken. */
static void descriptor_in_child(void)
{
	EXPECT(rtkvm_event_fd_set(&own.fd) == 0);
	/* one of its own, and the parent's stays */
	rtkvm_event_fd_destroy(&own.fd);
	EXPECT(rtkvm_event_fd_init(&own.fd) == 0);
	EXPECT(rtkvm_event_fd_set(&own.fd) == 0);
	EXPECT(rtkvm_event_fd_take(&own.fd) == 1);
	rtkvm_event_fd_destroy(&own.fd);
}

START_TEST(event_with_a_descriptor)
{
	struct pollfd p = { .events = POLLIN };

	ck_assert_int_eq(rtkvm_event_fd_init(&own.fd), 0);
	p.fd = rtkvm_event_fd_get(&own.fd);
	in_child(descriptor_in_child);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	ck_assert_int_eq(rtkvm_event_fd_take(&own.fd), 0);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	ck_assert_int_eq(rtkvm_event_fd_set(&own.fd), 0);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	rtkvm_event_fd_destroy(&own.fd);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("sync-forked");
	TCase *t = tcase_create("forked");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, mutexes);
	tcase_add_test(t, condition_variable);
	tcase_add_test(t, events_semaphores_queues);
	tcase_add_test(t, with_waiters);
	tcase_add_test(t, event_with_a_descriptor);
	suite_add_tcase(s, t);
	return s;
}
