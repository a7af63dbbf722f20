/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an eager ceiling costs whoever sets priorities from outside: of the
 * changes made to a thread that locks and unlocks all the time, how many are
 * lost because they fall between the look and the change of a raise or a
 * lowering; and how many with glibc's PTHREAD_PRIO_PROTECT. Per cent. The
 * thread is outside of locking for "pause" loops each time.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rtkvm/sync.h>

#define CEILING 60
#define CHANGES 4000
#define MOST_LOOKS 10000 /* some milliseconds */

static struct rtkvm_mutex ours;
static pthread_mutex_t theirs;
static bool use_theirs, stop;
static pid_t tid;
static int loops;

static void *locker(void *arg)
{
	__atomic_store_n(&tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (use_theirs) {
			pthread_mutex_lock(&theirs);
			pthread_mutex_unlock(&theirs);
		} else {
			rtkvm_mutex_lock(&ours);
			rtkvm_mutex_unlock(&ours);
		}
		for (volatile int i = 0; i < loops; i = i + 1)
			;
	}
	return arg;
}

static int priority_of(pid_t thread)
{
	struct sched_param param = { 0 };

	sched_getparam(thread, &param);
	return param.sched_priority;
}

/*
 * Whether the thread, outside of the mutex, has it. One that is never seen below the
 * ceiling has lost it, too.
 */
static bool has(int priority)
{
	const struct timespec time = { .tv_nsec = 100000 };
	int now = CEILING;

	nanosleep(&time, NULL);
	for (int looks = 0; now == CEILING && looks < MOST_LOOKS; looks++)
		now = priority_of(tid);
	return now == priority;
}

static double lost(const cpu_set_t *all)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct sched_param param = { .sched_priority = 10 };
	unsigned int seed = 1;
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t first;
	int missing = 0, cpu = 0;

	while (!CPU_ISSET(cpu, all))
		cpu++;
	CPU_ZERO(&first);
	CPU_SET(cpu, &first);
	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &param);
	pthread_attr_setaffinity_np(&attr, sizeof(first), &first);
	stop = false;
	tid = 0;
	if (pthread_create(&thread, &attr, locker, NULL))
		return -1;
	while (!__atomic_load_n(&tid, __ATOMIC_SEQ_CST))
		nanosleep(&pause, NULL);
	for (int i = 0; i < CHANGES; i++) {
		param.sched_priority = i & 1 ? 20 : 30;
		/* at any moment of its cycle */
		for (volatile int k = rand_r(&seed) % 5000; k > 0; k = k - 1)
			;
		sched_setparam(tid, &param);
		missing += !has(param.sched_priority);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return 100.0 * missing / CHANGES;
}

/* This thread spins above the locker, which is on the first CPU and has to run. */
static int stay_on_last(const cpu_set_t *all)
{
	int cpu = CPU_SETSIZE - 1;
	cpu_set_t last;

	while (!CPU_ISSET(cpu, all))
		cpu--;
	CPU_ZERO(&last);
	CPU_SET(cpu, &last);
	return sched_setaffinity(0, sizeof(last), &last);
}

int main(void)
{
	struct sched_param param = { .sched_priority = 90 };
	struct rtkvm_mutex_options o;
	pthread_mutexattr_t attr;
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	if (CPU_COUNT(&set) < 2 || stay_on_last(&set) < 0 || sched_setscheduler(0, SCHED_FIFO, &param) < 0) {
		fprintf(stderr, "needs two CPUs and SCHED_FIFO\n");
		printf("{\"name\":\"changes lost: not measured here\",\"unit\":\"%%\",\"ours\":0,\"peer\":null,"
		       "\"peer_name\":\"none\",\"ratio\":null}\n");
		return 0;
	}
	rtkvm_mutex_options_init(&o, sizeof(o));
	o.protocol = RTKVM_MUTEX_EAGER;
	o.ceiling = CEILING;
	rtkvm_mutex_init(&ours, &o);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_PROTECT);
	pthread_mutexattr_setprioceiling(&attr, CEILING);
	pthread_mutex_init(&theirs, &attr);
	for (loops = 1000; loops <= 100000; loops *= 10) {
		double mine, glibc;

		use_theirs = false;
		mine = lost(&set);
		use_theirs = true;
		glibc = lost(&set);
		printf("{\"name\":\"changes lost, pause of %d loops\",\"unit\":\"%%\",\"ours\":%.2f,"
		       "\"peer\":%.2f,\"peer_name\":\"glibc PROTECT\",\"ratio\":%.3f}\n",
		       loops, mine, glibc, mine / (glibc > 0 ? glibc : 1e-9));
	}
	return 0;
}
