/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Does one thing so many times between two marks, for syscalls.sh to count the
 * system calls by strace(1). The marks are calls that nothing else makes.
 *
 *   syscalls [glibc-]CASE TIMES
 *
 * With glibc- it is done by glibc's mutex and condition variable.
 * Exit status 77: needs SCHED_FIFO.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sync/support.h"

static struct rtkvm_mutex m, inner;
static struct rtkvm_cond cond;
static pthread_mutex_t glibc_m, glibc_inner;
static pthread_cond_t glibc_cond = PTHREAD_COND_INITIALIZER;
static int token, times, taken;
static bool locked, glibc; /* the signal, with the mutex; glibc's objects instead */

static void mark(void)
{
	syscall(SYS_getpgid, 0);
}

static void make(uint32_t protocol, uint32_t ceiling)
{
	struct rtkvm_mutex_options o;

	rtkvm_mutex_options_init(&o, sizeof(o));
	o.protocol = protocol;
	o.ceiling = ceiling;
	if (rtkvm_mutex_init(&m, &o))
		abort();
	o.protocol = RTKVM_MUTEX_EAGER;
	o.ceiling = 40;
	if (rtkvm_mutex_init(&inner, &o))
		abort();
}

static void make_glibc(int protocol, int ceiling)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, protocol);
	if (protocol == PTHREAD_PRIO_PROTECT)
		pthread_mutexattr_setprioceiling(&attr, ceiling);
	if (pthread_mutex_init(&glibc_m, &attr))
		abort();
	if (protocol == PTHREAD_PRIO_PROTECT)
		pthread_mutexattr_setprioceiling(&attr, 40);
	if (pthread_mutex_init(&glibc_inner, &attr))
		abort();
}

static void lock(bool inside)
{
	if (glibc ? pthread_mutex_lock(inside ? &glibc_inner : &glibc_m) :
		    rtkvm_mutex_lock(inside ? &inner : &m))
		abort();
}

static void unlock(bool inside)
{
	if (glibc ? pthread_mutex_unlock(inside ? &glibc_inner : &glibc_m) :
		    rtkvm_mutex_unlock(inside ? &inner : &m))
		abort();
}

static void wake(void)
{
	if (glibc ? pthread_cond_signal(&glibc_cond) : rtkvm_cond_signal(&cond, &m))
		abort();
}

static void wait(void)
{
	if (glibc ? pthread_cond_wait(&glibc_cond, &glibc_m) : rtkvm_cond_wait(&cond, &m))
		abort();
}

/* A waiter that sleeps whenever it is signalled: pairs of one wait and one signal. */
static void waiter(struct thread *self)
{
	(void)self;
	for (int i = 0; i < times; i++) {
		lock(false);
		while (!token)
			wait();
		token = 0;
		unlock(false);
		__atomic_fetch_add(&taken, 1, __ATOMIC_SEQ_CST);
	}
}

static int pairs(void)
{
	struct thread t;

	make_glibc(PTHREAD_PRIO_INHERIT, 0);
	mark();
	thread_start(&t, 0, -1, waiter, NULL);
	for (int i = 0; i < times; i++) {
		if (!until_sleeps_in(t.tid, glibc ? FUTEX_WAIT_BITSET : FUTEX_WAIT_REQUEUE_PI))
			abort();
		lock(false);
		token = 1;
		if (locked)
			wake();
		unlock(false);
		if (!locked)
			wake();
		while (__atomic_load_n(&taken, __ATOMIC_SEQ_CST) <= i)
			sleep_ns(100000);
	}
	mark();
	thread_join(&t);
	return 0;
}

static int signals(void)
{
	mark();
	for (int i = 0; i < times; i++)
		wake();
	mark();
	return 0;
}

/* Lock and unlock; nested: the inner one, with the other held. */
static int locks(bool nested)
{
	lock(false); /* what is asked once in a thread */
	unlock(false);
	if (nested)
		lock(false);
	mark();
	for (int i = 0; i < times; i++) {
		lock(nested);
		unlock(nested);
	}
	mark();
	return 0;
}

/* Ceilings, to a thread of priority 20. */
static const struct {
	const char *name;
	uint32_t protocol;
	uint32_t ceiling;
	bool nested;
} ours[] = {
	{ "static-at", RTKVM_MUTEX_STATIC, 20, false },
	{ "static-above", RTKVM_MUTEX_STATIC, 10, false },
	{ "static-below", RTKVM_MUTEX_STATIC, 60, false },
	{ "checked", RTKVM_MUTEX_CHECKED, 60, false },
	{ "eager", RTKVM_MUTEX_EAGER, 60, false },
	{ "nested", RTKVM_MUTEX_EAGER, 60, true },
}, theirs[] = {
	{ "at", 0, 20, false },
	{ "below", 0, 60, false },
	{ "nested", 0, 60, true },
};

#define SIZE(a) (sizeof(a) / sizeof((a)[0]))

static int ceilings(const char *what)
{
	if (set_priority(0, 20) < 0)
		return 77;
	for (size_t i = 0; i < SIZE(theirs) && glibc; i++)
		if (!strcmp(what, theirs[i].name)) {
			make_glibc(PTHREAD_PRIO_PROTECT, (int)theirs[i].ceiling);
			return locks(theirs[i].nested);
		}
	for (size_t i = 0; i < SIZE(ours) && !glibc; i++)
		if (!strcmp(what, ours[i].name)) {
			make(ours[i].protocol, ours[i].ceiling);
			return locks(ours[i].nested);
		}
	return 2;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	times = argc > 2 ? atoi(argv[2]) : 1;
	glibc = !strncmp(what, "glibc-", 6);
	what += glibc ? 6 : 0;
	locked = !strcmp(what, "pairs-locked");
	if (locked || !strcmp(what, "pairs"))
		return pairs();
	if (!strcmp(what, "signal"))
		return signals();
	if (!strcmp(what, "plain")) {
		make_glibc(PTHREAD_PRIO_INHERIT, 0);
		return locks(false);
	}
	return ceilings(what);
}
