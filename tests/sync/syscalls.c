/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Does one thing so many times between two marks, for syscalls.sh to count the
 * system calls by strace(1). The marks are calls that nothing else makes.
 *
 *   syscalls CASE TIMES
 *
 * Exit status 77: needs SCHED_FIFO.
 */
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sync/support.h"

static struct rtkvm_mutex m, inner;
static struct rtkvm_cond cond;
static int token;
static bool locked;

static void mark(void)
{
	syscall(SYS_getpgid, 0);
}

static void make(struct rtkvm_mutex *mutex, uint32_t protocol, uint32_t ceiling)
{
	struct rtkvm_mutex_options o;

	rtkvm_mutex_options_init(&o, sizeof(o));
	o.protocol = protocol;
	o.ceiling = ceiling;
	if (rtkvm_mutex_init(mutex, &o))
		abort();
}

static void lock_unlock(struct rtkvm_mutex *mutex)
{
	if (rtkvm_mutex_lock(mutex) || rtkvm_mutex_unlock(mutex))
		abort();
}

/* A waiter that sleeps whenever it is signalled: pairs of one wait and one signal. */
static int times, taken;

static void waiter(struct thread *self)
{
	(void)self;
	for (int i = 0; i < times; i++) {
		rtkvm_mutex_lock(&m);
		while (!token)
			rtkvm_cond_wait(&cond, &m);
		token = 0;
		rtkvm_mutex_unlock(&m);
		__atomic_fetch_add(&taken, 1, __ATOMIC_SEQ_CST);
	}
}

static void pairs(void)
{
	struct thread t;

	mark();
	thread_start(&t, 0, -1, waiter, NULL);
	for (int i = 0; i < times; i++) {
		if (!until_sleeps_in(t.tid, FUTEX_WAIT_REQUEUE_PI))
			abort();
		rtkvm_mutex_lock(&m);
		token = 1;
		if (locked)
			rtkvm_cond_signal(&cond, &m);
		rtkvm_mutex_unlock(&m);
		if (!locked)
			rtkvm_cond_signal(&cond, &m);
		while (__atomic_load_n(&taken, __ATOMIC_SEQ_CST) <= i)
			sleep_ns(100000);
	}
	mark();
	thread_join(&t);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	times = argc > 2 ? atoi(argv[2]) : 1;
	if (!strcmp(what, "pairs") || !strcmp(what, "pairs-locked")) {
		locked = strcmp(what, "pairs");
		pairs();
		return 0;
	}
	if (strcmp(what, "plain") && strcmp(what, "signal") && set_priority(0, 20) < 0)
		return 77;
	make(&inner, RTKVM_MUTEX_EAGER, 40);
	if (!strcmp(what, "static-at"))
		make(&m, RTKVM_MUTEX_STATIC, 20);
	else if (!strcmp(what, "static-above"))
		make(&m, RTKVM_MUTEX_STATIC, 10);
	else if (!strcmp(what, "static-below"))
		make(&m, RTKVM_MUTEX_STATIC, 60);
	else if (!strcmp(what, "checked"))
		make(&m, RTKVM_MUTEX_CHECKED, 60);
	else if (!strcmp(what, "eager") || !strcmp(what, "nested"))
		make(&m, RTKVM_MUTEX_EAGER, 60);
	else if (strcmp(what, "plain") && strcmp(what, "signal"))
		return 2;
	lock_unlock(&m); /* what is asked once in a thread */
	if (!strcmp(what, "nested"))
		rtkvm_mutex_lock(&m);
	mark();
	for (int i = 0; i < times; i++) {
		if (!strcmp(what, "signal"))
			rtkvm_cond_signal(&cond, &m);
		else
			lock_unlock(strcmp(what, "nested") ? &m : &inner);
	}
	mark();
	return 0;
}
