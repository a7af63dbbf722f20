/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Priority ceilings: who is raised when, by how many system calls is
 * syscalls.sh's business; and what becomes of a priority that somebody else
 * sets meanwhile, with glibc's PTHREAD_PRIO_PROTECT as the control that loses
 * it.
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
#include "sync/support.h"

#define NEED_FIFO()                                       \
	do {                                              \
		if (!may_fifo())                          \
			SKIP_TEST("SCHED_FIFO is refused"); \
	} while (0)

static void make(struct rtkvm_mutex *m, uint32_t protocol, uint32_t ceiling)
{
	struct rtkvm_mutex_options o;

	rtkvm_mutex_options_init(&o, sizeof(o));
	o.protocol = protocol;
	o.ceiling = ceiling;
	o.flags = RTKVM_MUTEX_STATS;
	ck_assert_int_eq(rtkvm_mutex_init(m, &o), 0);
}

/* ---- the four cases, run alike for glibc and for us ---- */

static struct rtkvm_mutex ours;
static pthread_mutex_t theirs;
static bool use_theirs;

static int lock(void)
{
	return use_theirs ? pthread_mutex_lock(&theirs) : -rtkvm_mutex_lock(&ours);
}

static int unlock(void)
{
	return use_theirs ? pthread_mutex_unlock(&theirs) : -rtkvm_mutex_unlock(&ours);
}

struct outside {
	int start;      /* priority at first, 0: SCHED_OTHER */
	int warm;       /* lock once before */
	int set_before; /* by a manager, before locking; 0: no */
	int set_inside; /* while it holds the mutex; 0: no */
	/* results */
	int error, inside, inside_after, after;
};

/* Another thread is the manager: what it does goes past the caller's memory. */
struct order {
	pid_t tid;
	int priority;
};
static void manage(struct thread *self)
{
	struct order *o = self->arg;

	set_priority(o->tid, o->priority);
}
static void manager_sets(pid_t tid, int priority)
{
	struct order o = { tid, priority };
	struct thread t;

	thread_start(&t, 99, -1, manage, &o);
	thread_join(&t);
}

static void outside_case(struct thread *self)
{
	struct outside *o = self->arg;

	if (o->warm) {
		lock();
		unlock();
	}
	if (o->set_before)
		manager_sets(self->tid, o->set_before);
	o->error = lock();
	o->inside = get_priority(0);
	if (o->set_inside)
		manager_sets(self->tid, o->set_inside);
	o->inside_after = get_priority(0);
	if (!o->error)
		unlock();
	o->after = get_priority(0);
}

static struct outside run_outside(bool glibc, uint32_t protocol, struct outside what)
{
	pthread_mutexattr_t attr;
	struct thread t;

	use_theirs = glibc;
	if (glibc) {
		pthread_mutexattr_init(&attr);
		pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_PROTECT);
		pthread_mutexattr_setprioceiling(&attr, 60);
		ck_assert_int_eq(pthread_mutex_init(&theirs, &attr), 0);
	} else {
		make(&ours, protocol, 60);
	}
	thread_start(&t, what.start, -1, outside_case, &what);
	thread_join(&t);
	return what;
}

static const uint32_t raising[] = { RTKVM_MUTEX_STATIC, RTKVM_MUTEX_EAGER };

/* A manager sets 20 before: the thread is at 20 again afterwards. glibc: at 10. */
START_TEST(outside_before)
{
	const struct outside what = { .start = 10, .warm = 1, .set_before = 20 };
	struct outside o;

	NEED_FIFO();
	for (int i = 0; i < 2; i++) {
		o = run_outside(false, raising[i], what);
		ck_assert_int_eq(o.error, 0);
		ck_assert_int_eq(o.inside, 60);
		ck_assert_int_eq(o.after, 20);
	}
	o = run_outside(true, 0, what);
	ck_assert_msg(o.after == 10, "the control is expected to lose it: at %d", o.after);
}
END_TEST

/* Sets 30 while it is held: that is the priority afterwards. glibc: 10. */
START_TEST(outside_inside)
{
	const struct outside what = { .start = 10, .warm = 1, .set_inside = 30 };
	struct outside o;

	NEED_FIFO();
	for (int i = 0; i < 2; i++) {
		o = run_outside(false, raising[i], what);
		ck_assert_int_eq(o.inside, 60);
		/* nobody can be asked between: documented */
		ck_assert_int_eq(o.inside_after, 30);
		ck_assert_int_eq(o.after, 30);
	}
	o = run_outside(true, 0, what);
	ck_assert_msg(o.after == 10, "the control is expected to lose it: at %d", o.after);
}
END_TEST

/* Sets 80, above the ceiling: nobody lowers the thread. glibc does: 60, then 10. */
START_TEST(outside_above)
{
	const struct outside what = { .start = 10, .warm = 1, .set_before = 80 };
	struct outside o;

	NEED_FIFO();
	o = run_outside(false, RTKVM_MUTEX_STATIC, what);
	ck_assert_int_eq(o.error, 0);
	ck_assert_int_eq(o.inside, 80);
	ck_assert_int_eq(o.after, 80);
	o = run_outside(false, RTKVM_MUTEX_EAGER, what);
	ck_assert_int_eq(o.error, EINVAL);
	ck_assert_int_eq(o.inside, 80);
	ck_assert_int_eq(o.after, 80);
	o = run_outside(true, 0, what);
	ck_assert_msg(o.inside == 60 && o.after == 10,
		      "the control is expected to lower it: %d, then %d", o.inside, o.after);
}
END_TEST

static void other_first(struct thread *self)
{
	int *r = self->arg;

	r[0] = lock(); /* as SCHED_OTHER */
	r[1] = get_priority(0);
	if (!r[0])
		unlock();
	manager_sets(self->tid, 10);
	r[2] = lock();
	r[3] = get_priority(0);
	unlock();
	r[4] = get_priority(0);
	r[5] = sched_getscheduler(0);
}

/* First as SCHED_OTHER: refused, and nothing is remembered. glibc boosts never again. */
START_TEST(outside_other)
{
	struct thread t;
	int r[6];

	NEED_FIFO();
	for (int i = 0; i < 3; i++) {
		pthread_mutexattr_t attr;

		use_theirs = i == 2;
		if (use_theirs) {
			pthread_mutexattr_init(&attr);
			pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_PROTECT);
			pthread_mutexattr_setprioceiling(&attr, 60);
			pthread_mutex_init(&theirs, &attr);
		} else {
			make(&ours, raising[i], 60);
		}
		thread_start(&t, 0, -1, other_first, r);
		thread_join(&t);
		ck_assert_int_eq(r[0], EINVAL);
		ck_assert_int_eq(r[1], 0);
		ck_assert_int_eq(r[2], 0);
		if (use_theirs) {
			ck_assert_msg(r[3] == 10, "the control is expected not to boost: %d", r[3]);
			break;
		}
		ck_assert_int_eq(r[3], 60);
		ck_assert_int_eq(r[4], 10);
		ck_assert_int_eq(r[5], SCHED_FIFO);
	}
}
END_TEST

/* ---- rules of each protocol; run in a thread that may change itself ---- */

static void nested(struct thread *self)
{
	struct rtkvm_mutex low, mid, high;
	struct rtkvm_mutex_stats stats = { .size = sizeof(stats) };

	(void)self;
	make(&low, RTKVM_MUTEX_EAGER, 20);
	make(&mid, RTKVM_MUTEX_EAGER, 40);
	make(&high, RTKVM_MUTEX_EAGER, 60);
	ck_assert_int_eq(rtkvm_mutex_lock(&low), 0);
	ck_assert_int_eq(get_priority(0), 20);
	ck_assert_int_eq(rtkvm_mutex_lock(&high), 0);
	ck_assert_int_eq(get_priority(0), 60);
	ck_assert_int_eq(rtkvm_mutex_lock(&mid), 0);
	ck_assert_int_eq(get_priority(0), 60);
	rtkvm_mutex_get_stats(&mid, &stats);
	ck_assert_uint_eq(stats.boosts, 0);
	rtkvm_mutex_get_stats(&high, &stats);
	ck_assert_uint_eq(stats.boosts, 1);
	/* not in the reverse order */
	ck_assert_int_eq(rtkvm_mutex_unlock(&high), 0);
	ck_assert_int_eq(get_priority(0), 40);
	ck_assert_int_eq(rtkvm_mutex_unlock(&low), 0);
	ck_assert_int_eq(get_priority(0), 40);
	ck_assert_int_eq(rtkvm_mutex_unlock(&mid), 0);
	ck_assert_int_eq(get_priority(0), 10);
}

static void modes(struct thread *self)
{
	struct rtkvm_mutex m;

	(void)self;
	make(&m, RTKVM_MUTEX_CHECKED, 60);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	ck_assert_int_eq(get_priority(0), 10);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	ck_assert_int_eq(set_priority(0, 70), 0);
	/* it makes no system call: told of it, it sees it */
	ck_assert_int_eq(rtkvm_thread_resync(), 0);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_trylock(&m), -EINVAL);
	make(&m, RTKVM_MUTEX_STATIC, 60);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	ck_assert_int_eq(get_priority(0), 70);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	ck_assert_int_eq(get_priority(0), 70);
	make(&m, RTKVM_MUTEX_EAGER, 60);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_trylock(&m), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_set_ceiling(&m, 70), 60);
	ck_assert_int_eq(rtkvm_mutex_get_ceiling(&m), 70);
	ck_assert_int_eq(rtkvm_mutex_trylock(&m), 0);
	ck_assert_int_eq(get_priority(0), 70);
	ck_assert_int_eq(rtkvm_mutex_set_ceiling(&m, 71), -EDEADLK);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	ck_assert_int_eq(rtkvm_mutex_set_ceiling(&m, 0), -EINVAL);
	ck_assert_int_eq(rtkvm_mutex_set_ceiling(&m, 100), -EINVAL);
}

/* Policy and reset-on-fork are none of a ceiling's business. */
static void keeps_policy(struct thread *self)
{
	struct sched_param param = { .sched_priority = 15 };
	struct rtkvm_mutex m;

	(void)self;
	ck_assert_int_eq(sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param), 0);
	make(&m, RTKVM_MUTEX_EAGER, 60);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	ck_assert_int_eq(get_priority(0), 60);
	ck_assert_int_eq(sched_getscheduler(0), SCHED_RR | SCHED_RESET_ON_FORK);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	ck_assert_int_eq(get_priority(0), 15);
	ck_assert_int_eq(sched_getscheduler(0), SCHED_RR | SCHED_RESET_ON_FORK);
}

static void resync_inside(struct thread *self)
{
	struct rtkvm_mutex m;

	make(&m, RTKVM_MUTEX_EAGER, 60);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	manager_sets(self->tid, 30);
	ck_assert_int_eq(get_priority(0), 30);
	ck_assert_int_eq(rtkvm_thread_resync(), 0);
	ck_assert_int_eq(get_priority(0), 60);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	ck_assert_int_eq(get_priority(0), 30);
}

static void failed_lock(struct thread *self)
{
	struct timespec past = { .tv_sec = 1 };
	struct rtkvm_mutex *m = self->arg;

	ck_assert_int_eq(rtkvm_mutex_trylock(m), -EBUSY);
	ck_assert_int_eq(get_priority(0), 10);
	ck_assert_int_eq(rtkvm_mutex_timedlock(m, CLOCK_MONOTONIC, &past), -ETIMEDOUT);
	ck_assert_int_eq(get_priority(0), 10);
}

static void forks_inside(struct thread *self)
{
	struct rtkvm_mutex m;
	int status;
	pid_t child;

	(void)self;
	make(&m, RTKVM_MUTEX_EAGER, 60);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	child = fork();
	if (!child)
		_exit(get_priority(0) == 10 ? 0 : 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(get_priority(0), 60);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
}

static void in_thread_of_10(void (*run)(struct thread *), void *arg)
{
	struct thread t;

	thread_start(&t, 10, -1, run, arg);
	thread_join(&t);
}

START_TEST(rules)
{
	struct rtkvm_mutex held;

	NEED_FIFO();
	in_thread_of_10(nested, NULL);
	in_thread_of_10(modes, NULL);
	in_thread_of_10(keeps_policy, NULL);
	in_thread_of_10(resync_inside, NULL);
	in_thread_of_10(forks_inside, NULL);
	make(&held, RTKVM_MUTEX_EAGER, 60);
	ck_assert_int_eq(set_priority(0, 5), 0);
	ck_assert_int_eq(rtkvm_mutex_lock(&held), 0);
	in_thread_of_10(failed_lock, &held);
	ck_assert_int_eq(rtkvm_mutex_unlock(&held), 0);
}
END_TEST

/* ---- refused without a trace ---- */

/* Neither a deadline thread nor one without the right is raised, and nothing is left behind. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static void as_deadline(struct thread *self)
{
	struct attributes deadline = { .size = sizeof(deadline), .policy = SCHED_DEADLINE,
				       .runtime = 1000000, .deadline = 100000000,
				       .period = 100000000 };
	struct sched_param param = { .sched_priority = 10 };
	struct rtkvm_mutex m;

	if (syscall(SYS_sched_setattr, 0, &deadline, 0) < 0) {
		self->result = 1;
		return;
	}
	for (int i = 0; i < 2; i++) {
		make(&m, raising[i], 60);
		ck_assert_int_eq(rtkvm_mutex_lock(&m), -EINVAL);
		ck_assert_int_eq(rtkvm_mutex_trylock(&m), -EINVAL);
		ck_assert_int_eq(sched_getscheduler(0), SCHED_DEADLINE);
	}
	/* of another policy again, it is raised as any other */
	ck_assert_int_eq(sched_setscheduler(0, SCHED_FIFO, &param), 0);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	ck_assert_int_eq(get_priority(0), 60);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	ck_assert_int_eq(get_priority(0), 10);
}

START_TEST(deadline_thread)
{
	struct thread t;

	NEED_FIFO();
	thread_start(&t, 0, -1, as_deadline, NULL);
	thread_join(&t);
	if (t.result)
		SKIP_TEST("SCHED_DEADLINE is refused");
}
END_TEST

static int as_nobody(void)
{
	const struct rlimit none = { 0, 0 };
	struct rtkvm_mutex m;

	if (set_priority(0, 10) || setrlimit(RLIMIT_RTPRIO, &none) || setresuid(65534, 65534, 65534))
		return 2;
	for (int i = 0; i < 2; i++) {
		make(&m, raising[i], 60);
		if (rtkvm_mutex_lock(&m) != -EPERM || rtkvm_mutex_trylock(&m) != -EPERM ||
		    rtkvm_mutex_unlock(&m) != -EPERM || get_priority(0) != 10)
			return 3;
		make(&m, raising[i], 10);
		if (rtkvm_mutex_lock(&m) || rtkvm_mutex_unlock(&m) || get_priority(0) != 10)
			return 4;
	}
	return 0;
}

START_TEST(without_privilege)
{
	int status;
	pid_t child;

	NEED_FIFO();
	if (geteuid())
		SKIP_TEST("needs root to have privileges to lose");
	child = fork();
	if (!child)
		_exit(as_nobody());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- a thread of a priority in between, on the same CPU ---- */

static volatile int inside, seen_inside, stop;
static void middle(struct thread *self)
{
	(void)self;
	while (!stop) {
		if (inside)
			seen_inside++;
		sleep_ns(NS_PER_MS / 5);
	}
}

static void low(struct thread *self)
{
	for (int i = 0; i < 20; i++) {
		if (rtkvm_mutex_lock(self->arg))
			abort();
		inside = 1;
		spin_ns(2 * NS_PER_MS);
		inside = 0;
		rtkvm_mutex_unlock(self->arg);
		sleep_ns(NS_PER_MS / 2);
	}
}

static int middle_sees(uint32_t protocol)
{
	struct thread m, l;
	struct rtkvm_mutex mutex;

	make(&mutex, protocol, 60);
	stop = seen_inside = 0;
	thread_start(&m, 30, 0, middle, NULL);
	thread_start(&l, 10, 0, low, &mutex);
	thread_join(&l);
	stop = 1;
	thread_join(&m);
	return seen_inside;
}

START_TEST(middle_never_inside)
{
	NEED_FIFO();
	ck_assert_int_eq(middle_sees(RTKVM_MUTEX_EAGER), 0);
	ck_assert_int_eq(middle_sees(RTKVM_MUTEX_STATIC), 0);
	/* the control, by its own documentation */
	ck_assert_int_gt(middle_sees(RTKVM_MUTEX_CHECKED), 0);
}
END_TEST

/* ---- ceilings from a plan, whose own changes are known ---- */

static struct rtkvm_plan *plan;
static void in_plan(struct thread *self)
{
	struct rtkvm_mutex m;

	(void)self;
	make(&m, RTKVM_MUTEX_STATIC, 79);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	ck_assert_int_eq(rtkvm_thread_enter(plan, RTKVM_ROLE_AIO), 0);
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, NULL), 0);
	/* now at 2: what it remembers of 10 must not count */
	ck_assert_int_eq(get_priority(0), 2);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	ck_assert_int_eq(get_priority(0), 79);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
	ck_assert_int_eq(get_priority(0), 2);
	make(&m, RTKVM_MUTEX_CHECKED, 1);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	ck_assert_int_eq(get_priority(0), 10);
	make(&m, RTKVM_MUTEX_CHECKED, 10);
	ck_assert_int_eq(rtkvm_mutex_lock(&m), 0);
	ck_assert_int_eq(rtkvm_mutex_unlock(&m), 0);
}

START_TEST(from_plan)
{
	struct rtkvm *rt;

	ck_assert_int_eq(rtkvm_new(NULL, &rt), 0);
	ck_assert_int_eq(rtkvm_plan_parse(rt, "maxprio=80,aioprio=2", &plan), 0);
	ck_assert_int_eq(rtkvm_plan_get_ceiling(plan, 1 << RTKVM_ROLE_VCPU | 1 << RTKVM_ROLE_AIO),
			 79);
	ck_assert_int_eq(rtkvm_plan_get_ceiling(plan, 1 << RTKVM_ROLE_MAIN | 1 << RTKVM_ROLE_AIO),
			 80);
	ck_assert_int_eq(rtkvm_plan_get_ceiling(plan, 1 << RTKVM_ROLE_AIO), 2);
	ck_assert_int_eq(rtkvm_plan_get_ceiling(plan, 1 << RTKVM_ROLE_HELPER), -ENOENT);
	ck_assert_int_eq(rtkvm_plan_get_ceiling(plan, 0), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_get_ceiling(plan, 1 << RTKVM_ROLE_COUNT), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_get_ceiling(NULL, 1), -EINVAL);
	if (may_fifo())
		in_thread_of_10(in_plan, NULL);
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("sync-ceiling");
	TCase *t = tcase_create("ceiling");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, outside_before);
	tcase_add_test(t, outside_inside);
	tcase_add_test(t, outside_above);
	tcase_add_test(t, outside_other);
	tcase_add_test(t, rules);
	tcase_add_test(t, deadline_thread);
	tcase_add_test(t, without_privilege);
	tcase_add_test(t, middle_never_inside);
	tcase_add_test(t, from_plan);
	suite_add_tcase(s, t);
	return s;
}
