/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Load on the mutex and the condition variable, with accounts that have to
 * agree at the end: tokens made and taken, wake-ups that must not be called
 * timeouts, deaths of owners and those who learned of them. A watchdog tells a
 * lost wake-up from a machine that was paused, and dumps the objects.
 *
 *   stress SECONDS [OPERATIONS]
 *
 * Ends after SECONDS, and not before the two racers, one on each of two CPUs, who
 * want the same mutex all the time, had it OPERATIONS times, and (with SCHED_FIFO) as
 * many times somebody waited in the kernel for that mutex or for one that two threads
 * of one CPU hand to each other; nor before each part has met what it is for, for which a
 * slow machine has a minute more. The mutants of the library (RTKVM_MUTANT_...) must
 * fail here: stress.sh.
 * Exit status: 0, 1 (an account is wrong), 3 (no progress), 4 (not exercised).
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sync/support.h"

#define CONSUMERS 3
#define PRODUCERS 2

static struct rtkvm_mutex mutex;
static struct rtkvm_cond cond;
static struct rtkvm_mutex late_mutex;
static struct rtkvm_cond late_cond;
static struct rtkvm_mutex robust;

static uint64_t progress;
static bool stop;
static uint64_t made, taken, tokens; /* under mutex */
static int inside;                   /* the same */

static void wrong(const char *what, long a, long b)
{
	fprintf(stderr, "# wrong: %s (%ld, %ld)\n", what, a, b);
	_exit(1);
}

static void enter_section(void)
{
	if (__atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST) != 1)
		wrong("two in the critical section", inside, 0);
}

static void leave_section(void)
{
	__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
}

static bool ending(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

/* Tokens with waits that never time out: one lost wake-up and all stand still. */
static void consumer(struct thread *self)
{
	int ret;

	(void)self;
	for (;;) {
		rtkvm_mutex_lock(&mutex);
		enter_section();
		while (!tokens && !ending()) {
			leave_section();
			ret = rtkvm_cond_wait(&cond, &mutex);
			enter_section();
			if (ret)
				wrong("a wait failed", ret, 0);
		}
		if (!tokens)
			break;
		tokens--;
		taken++;
		leave_section();
		rtkvm_mutex_unlock(&mutex);
	}
	leave_section();
	rtkvm_mutex_unlock(&mutex);
}

static void producer(struct thread *self)
{
	uint32_t random = (uint32_t)(uintptr_t)self->arg;

	while (!ending()) {
		uint32_t r = random_next(&random);
		bool locked = r & 1;
		int ret = 0;

		rtkvm_mutex_lock(&mutex);
		enter_section();
		/* at most one for each, so that a consumer has to be woken for it */
		if (tokens < CONSUMERS) {
			tokens++;
			made++;
			__atomic_fetch_add(&progress, 1, __ATOMIC_RELAXED);
		}
		leave_section();
		if (!locked)
			rtkvm_mutex_unlock(&mutex);
		ret = r & 14 ? rtkvm_cond_signal(&cond, &mutex) :
			       rtkvm_cond_broadcast(&cond, &mutex);
		if (locked)
			rtkvm_mutex_unlock(&mutex);
		if (ret)
			wrong("a signal failed", ret, 0);
		/* let them fall asleep, sometimes just so */
		if (r & 16)
			sleep_ns(r % 20000);
	}
}

/* A signal in time, with the mutex held beyond it: never "timed out". */
static uint64_t late_round, late_signalled;
static bool late_waits;

static void late_waiter(struct thread *self)
{
	uint32_t random = 7;

	(void)self;
	while (!ending()) {
		struct timespec until =
			after_ns(CLOCK_MONOTONIC, 200000 + random_next(&random) % 400000);
		uint64_t round;
		int ret;

		rtkvm_mutex_lock(&late_mutex);
		round = ++late_round;
		late_waits = true;
		ret = rtkvm_cond_timedwait(&late_cond, &late_mutex, &until);
		if (ret == -ETIMEDOUT && late_signalled == round)
			wrong("signalled, and says it timed out", (long)round, 0);
		late_waits = false;
		rtkvm_mutex_unlock(&late_mutex);
	}
}

static void late_signaller(struct thread *self)
{
	(void)self;
	while (!ending()) {
		sleep_ns(150000);
		rtkvm_mutex_lock(&late_mutex);
		if (late_waits && late_signalled != late_round) {
			late_signalled = late_round;
			rtkvm_cond_signal(&late_cond, &late_mutex);
			sleep_ns(700000);
		}
		rtkvm_mutex_unlock(&late_mutex);
	}
}

/* Owners that end: as many as learn of it. */
static uint64_t deaths, learned;

static void dies(struct thread *self)
{
	int ret = rtkvm_mutex_lock(&robust);

	(void)self;
	if (ret == -EOWNERDEAD) {
		learned++;
		rtkvm_mutex_consistent(&robust);
	} else if (ret) {
		wrong("a robust lock failed", ret, 0);
	}
	deaths++;
}

static void dying(struct thread *self)
{
	(void)self;
	while (!ending()) {
		struct thread t[2];
		int ret;

		for (int i = 0; i < 2; i++)
			thread_start(&t[i], 0, -1, dies, NULL);
		thread_join(&t[0]);
		thread_join(&t[1]);
		ret = rtkvm_mutex_lock(&robust);
		if (ret == -EOWNERDEAD) {
			learned++;
			rtkvm_mutex_consistent(&robust);
		}
		if (learned != deaths)
			wrong("owners died, and others learned of it", (long)deaths, (long)learned);
		rtkvm_mutex_unlock(&robust);
	}
}

/* Two that want the same mutex all the time, and wake a third now and then. */
static struct rtkvm_mutex race;
static struct rtkvm_cond race_cond;
static uint64_t race_count, race_turns, race_woken;

static void racer(struct thread *self)
{
	(void)self;
	for (uint64_t i = 1; !ending(); i++) {
		rtkvm_mutex_lock(&race);
		race_count++;
		if (i % 1024 == 0) {
			race_turns++;
			rtkvm_cond_signal(&race_cond, &race);
		}
		rtkvm_mutex_unlock(&race);
	}
	rtkvm_mutex_lock(&race);
	rtkvm_cond_broadcast(&race_cond, &race);
	rtkvm_mutex_unlock(&race);
}

static void race_watcher(struct thread *self)
{
	uint64_t seen = 0;

	(void)self;
	rtkvm_mutex_lock(&race);
	while (!ending()) {
		if (race_turns == seen && rtkvm_cond_wait(&race_cond, &race))
			wrong("the watcher's wait failed", 0, 0);
		seen = race_turns;
		race_woken++;
	}
	rtkvm_mutex_unlock(&race);
}

/*
 * Two threads of one CPU, of one priority, want a mutex at the same times, on each of
 * two CPUs. At each unlock it is handed to the other one, who is woken and does not
 * run before its partner waits: so every lock is a wait in the kernel, at the rate of
 * a switch of the CPU and not of a wake-up of another. Half of the time is left to
 * the others. Without SCHED_FIFO only some are.
 */
#define RELAYS 2
static struct rtkvm_mutex relay[RELAYS];
static uint64_t relay_count[RELAYS];

static void relayer(struct thread *self)
{
	int which = *(const int *)self->arg;
	const int64_t turn = 4 * NS_PER_MS;

	while (!ending()) {
		int64_t now = now_ns(CLOCK_MONOTONIC);

		if (now % (2 * turn) >= turn) {
			sleep_ns(2 * turn - now % (2 * turn));
			continue;
		}
		for (int i = 0; i < 64; i++) {
			rtkvm_mutex_lock(&relay[which]);
			__atomic_store_n(&relay_count[which], relay_count[which] + 1,
					 __ATOMIC_RELAXED);
			/* so that the other one comes to wait; then it goes on by itself */
			if (i == 0)
				sched_yield();
			rtkvm_mutex_unlock(&relay[which]);
		}
	}
}

/* Looks made in vain, a tenth of a second apart, until a count is taken to stand still. */
#define STANDSTILL 300

static void look_for_standstill(void)
{
	static uint64_t seen[RELAYS + 1];
	static int vain[RELAYS + 1];

	for (int i = 0; i <= RELAYS; i++) {
		uint64_t now = __atomic_load_n(i < RELAYS ? &relay_count[i] : &race_count,
					       __ATOMIC_RELAXED);

		vain[i] = now == seen[i] ? vain[i] + 1 : 0;
		seen[i] = now;
		if (vain[i] >= STANDSTILL)
			wrong("nobody gets the mutex of relay or race", i, (long)now);
	}
}

/* Signals of the other sort hit all the time. */
static void on_signal(int signal)
{
	(void)signal;
}

static void storm(struct thread *self)
{
	while (!ending()) {
		sleep_ns(NS_PER_MS);
		pthread_kill(((struct thread *)self->arg)->handle, SIGUSR1);
	}
}

static void make_objects(void)
{
	struct rtkvm_mutex_options m;
	struct rtkvm_cond_options c;
	int ret;

	rtkvm_mutex_options_init(&m, sizeof(m));
	rtkvm_cond_options_init(&c, sizeof(c));
	m.flags = RTKVM_MUTEX_STATS;
	c.flags = RTKVM_COND_STATS;
	ret = rtkvm_mutex_init(&relay[0], &m) | rtkvm_mutex_init(&relay[1], &m) |
	      rtkvm_mutex_init(&race, &m) | rtkvm_cond_init(&race_cond, &c) |
	      rtkvm_mutex_init(&mutex, &m) | rtkvm_cond_init(&cond, &c) |
	      rtkvm_mutex_init(&late_mutex, &m) | rtkvm_cond_init(&late_cond, &c);
	m.flags |= RTKVM_MUTEX_ROBUST;
	ret |= rtkvm_mutex_init(&robust, &m);
	if (ret)
		wrong("objects", ret, 0);
}

static uint64_t contended(void)
{
	struct rtkvm_mutex_stats m = { .size = sizeof(m) };
	struct rtkvm_cond_stats c = { .size = sizeof(c) };

	rtkvm_mutex_get_stats(&mutex, &m);
	rtkvm_cond_get_stats(&cond, &c);
	return m.contended + c.waits;
}

static uint64_t contended_of(const struct rtkvm_mutex *m)
{
	struct rtkvm_mutex_stats stats = { .size = sizeof(stats) };

	rtkvm_mutex_get_stats(m, &stats);
	return stats.contended;
}

/* Waits in the kernel of those who want a mutex all the time. */
static uint64_t all_contended(void)
{
	return contended_of(&race) + contended_of(&relay[0]) + contended_of(&relay[1]);
}

/* Every part has met what it is for. */
static bool exercised(void)
{
	return contended() >= 1000 && contended_of(&race) >= 1000 &&
	       __atomic_load_n(&late_signalled, __ATOMIC_RELAXED) >= 10 &&
	       __atomic_load_n(&deaths, __ATOMIC_RELAXED) >= 10;
}

int main(int argc, char **argv)
{
	const struct watched objects[] = {
		{ "mutex", mutex.opaque, 8 },	       { "cond", cond.opaque, 8 },
		{ "late mutex", late_mutex.opaque, 8 }, { "late cond", late_cond.opaque, 8 },
		{ "robust", robust.opaque, 8 },		{ "race", race.opaque, 8 },
		{ "race cond", race_cond.opaque, 8 },   { "relay 0", relay[0].opaque, 8 },
		{ "relay 1", relay[1].opaque, 8 },
	};
	struct sigaction action = { .sa_handler = on_signal };
	int64_t end = now_ns(CLOCK_MONOTONIC) + (argc > 1 ? atoi(argv[1]) : 5) * NS_PER_S;
	uint64_t least = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000;
	const int cpus[] = { cpu_number(0), cpu_number(cpu_count() - 1) };
	static int which[RELAYS] = { 0, 1 };
	struct thread t[CONSUMERS + PRODUCERS + 7 + 2 * RELAYS];
	bool fifo = may_fifo();
	int n = 0;

	sigaction(SIGUSR1, &action, NULL);
	make_objects();
	watchdog_start(&progress, 10, objects,
		       (int)(sizeof(objects) / sizeof(objects[0])));
	for (int i = 0; i < CONSUMERS; i++)
		thread_start(&t[n++], fifo ? 10 + 10 * i : 0, -1, consumer, NULL);
	for (int i = 0; i < PRODUCERS; i++)
		thread_start(&t[n++], 0, -1, producer, (void *)(uintptr_t)(i + 1));
	thread_start(&t[n++], 0, -1, late_waiter, NULL);
	thread_start(&t[n++], 0, -1, late_signaller, NULL);
	thread_start(&t[n++], 0, -1, dying, NULL);
	for (int i = 0; i < 2; i++)
		thread_start(&t[n++], 0, cpus[i], racer, NULL);
	for (int i = 0; i < 2 * RELAYS; i++)
		thread_start(&t[n++], fifo ? 5 : 0, cpus[i % RELAYS], relayer, &which[i % RELAYS]);
	thread_start(&t[n++], 0, -1, race_watcher, NULL);
	thread_start(&t[n++], 0, -1, storm, &t[0]);
	while (now_ns(CLOCK_MONOTONIC) < end ||
	       __atomic_load_n(&race_count, __ATOMIC_RELAXED) < least ||
	       (fifo && all_contended() < least) ||
	       (!exercised() && now_ns(CLOCK_MONOTONIC) < end + 60 * NS_PER_S)) {
		sleep_ns(NS_PER_S / 10);
		look_for_standstill();
	}
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	for (int i = CONSUMERS; i < n; i++)
		thread_join(&t[i]);
	rtkvm_mutex_lock(&mutex);
	rtkvm_cond_broadcast(&cond, &mutex);
	rtkvm_mutex_unlock(&mutex);
	for (int i = 0; i < CONSUMERS; i++)
		thread_join(&t[i]);
	watchdog_stop();
	if (made != taken + tokens)
		wrong("tokens made and taken", (long)made, (long)(taken + tokens));
	printf("# race: %llu times, %llu waited, %llu wake-ups\n", (unsigned long long)race_count,
	       (unsigned long long)contended_of(&race), (unsigned long long)race_woken);
	printf("# relays: %llu and %llu times, %llu and %llu waited\n",
	       (unsigned long long)relay_count[0], (unsigned long long)relay_count[1],
	       (unsigned long long)contended_of(&relay[0]), (unsigned long long)contended_of(&relay[1]));
	printf("# %llu tokens, %llu contended, %llu late rounds, %llu deaths\n",
	       (unsigned long long)made, (unsigned long long)contended(),
	       (unsigned long long)late_round, (unsigned long long)deaths);
	if (!exercised()) {
		fprintf(stderr, "# not exercised\n");
		return 4;
	}
	return 0;
}
