/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cost of the mutexes without contention, through the shared library, against
 * glibc's: with priority inheritance, without, and with a ceiling; and against
 * the floor, the two compare-and-swaps without which no such mutex can be.
 * Ceilings need SCHED_FIFO; without that right they are left out. Contention
 * is sync-contended.c.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

#include <rtkvm/sync.h>

#include "bench.h"

struct mutexes {
	struct rtkvm_mutex ours __attribute__((aligned(64)));
	pthread_mutex_t theirs __attribute__((aligned(64)));
	uint32_t word __attribute__((aligned(64)));
};

static void ours(void *arg, uint64_t times)
{
	struct mutexes *m = arg;

	for (uint64_t i = 0; i < times; i++) {
		rtkvm_mutex_lock(&m->ours);
		rtkvm_mutex_unlock(&m->ours);
	}
}

static void theirs(void *arg, uint64_t times)
{
	struct mutexes *m = arg;

	for (uint64_t i = 0; i < times; i++) {
		pthread_mutex_lock(&m->theirs);
		pthread_mutex_unlock(&m->theirs);
	}
}

/* Called, as a library would be. */
__attribute__((noinline)) static int swap(uint32_t *word, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void floor_of_both(void *arg, uint64_t times)
{
	struct mutexes *m = arg;

	for (uint64_t i = 0; i < times; i++) {
		swap(&m->word, 0, 1);
		swap(&m->word, 1, 0);
	}
}

/* What a raise and a lowering cost whoever does them, without looking first, and with. */
static void raise_and_lower(void *arg, uint64_t times)
{
	const struct sched_param low = { .sched_priority = 50 }, high = { .sched_priority = 60 };

	(void)arg;
	for (uint64_t i = 0; i < times; i++) {
		sched_setparam(0, &high);
		sched_setparam(0, &low);
	}
}

static void look_raise_look_lower(void *arg, uint64_t times)
{
	const struct sched_param low = { .sched_priority = 50 }, high = { .sched_priority = 60 };
	struct sched_param now;

	(void)arg;
	for (uint64_t i = 0; i < times; i++) {
		sched_getparam(0, &now);
		sched_setparam(0, &high);
		sched_getparam(0, &now);
		sched_setparam(0, &low);
	}
}

static void make(struct mutexes *m, uint32_t protocol, uint32_t ceiling, int peer, int peer_ceiling)
{
	struct rtkvm_mutex_options o;
	pthread_mutexattr_t attr;

	rtkvm_mutex_options_init(&o, sizeof(o));
	o.protocol = protocol;
	o.ceiling = ceiling;
	rtkvm_mutex_init(&m->ours, &o);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, peer);
	if (peer == PTHREAD_PRIO_PROTECT)
		pthread_mutexattr_setprioceiling(&attr, peer_ceiling);
	pthread_mutex_init(&m->theirs, &attr);
	m->word = 0;
}

struct row {
	const char *name, *peer_name;
	bench_fn *fn;
	uint32_t protocol, ceiling;
	int peer, peer_ceiling;
};

/* measured: our mutex, or a floor in its place */
static int run(const struct row *r, bench_fn *measured)
{
	struct mutexes m;
	struct bench b = { r->name, r->peer_name, measured, r->fn, &m };

	make(&m, r->protocol, r->ceiling, r->peer, r->peer_ceiling);
	if (rtkvm_mutex_lock(&m.ours) || rtkvm_mutex_unlock(&m.ours) ||
	    pthread_mutex_lock(&m.theirs) || pthread_mutex_unlock(&m.theirs)) {
		fprintf(stderr, "%s: does not lock\n", r->name);
		return -1;
	}
	return bench_run(&b);
}

#define INHERIT PTHREAD_PRIO_INHERIT
#define PROTECT PTHREAD_PRIO_PROTECT
#define NONE PTHREAD_PRIO_NONE

static const struct row plain[] = {
	{ "mutex", "glibc PI", theirs, RTKVM_MUTEX_INHERIT, 0, INHERIT, 0 },
	{ "mutex", "glibc normal", theirs, RTKVM_MUTEX_INHERIT, 0, NONE, 0 },
	{ "mutex", "floor: two exchanges", floor_of_both, RTKVM_MUTEX_INHERIT, 0, NONE, 0 },
	{ "mutex", "itself", ours, RTKVM_MUTEX_INHERIT, 0, NONE, 0 },
};
static const struct row with_ceiling[] = {
	{ "ceiling STATIC, at it", "glibc PROTECT, at it", theirs, RTKVM_MUTEX_STATIC, 50, PROTECT,
	  50 },
	{ "ceiling STATIC, above it", "glibc PROTECT, at it", theirs, RTKVM_MUTEX_STATIC, 40,
	  PROTECT, 50 },
	{ "ceiling STATIC, below it", "glibc PROTECT, below", theirs, RTKVM_MUTEX_STATIC, 60,
	  PROTECT, 60 },
	{ "ceiling EAGER, below it", "glibc PROTECT, below", theirs, RTKVM_MUTEX_EAGER, 60, PROTECT,
	  60 },
	{ "ceiling EAGER, below it", "floor: two changes", raise_and_lower, RTKVM_MUTEX_EAGER, 60,
	  NONE, 0 },
	{ "ceiling EAGER, below it", "floor: looks, changes", look_raise_look_lower,
	  RTKVM_MUTEX_EAGER, 60, NONE, 0 },
	{ "ceiling EAGER, at it", "glibc PROTECT, at it", theirs, RTKVM_MUTEX_EAGER, 50, PROTECT,
	  50 },
	{ "ceiling CHECKED", "glibc PI", theirs, RTKVM_MUTEX_CHECKED, 60, INHERIT, 0 },
};
static const struct row two_exchanges = {
	"floor: two exchanges", "glibc PI", theirs, RTKVM_MUTEX_INHERIT, 0, INHERIT, 0,
};
static const struct row two_changes = {
	"floor: two changes", "glibc PROTECT, below", theirs, RTKVM_MUTEX_EAGER, 60, PROTECT, 60,
};
static const struct row looks_and_changes = {
	"floor: looks, changes", "glibc PROTECT, below", theirs, RTKVM_MUTEX_EAGER, 60, PROTECT, 60,
};

int main(void)
{
	struct sched_param param = { .sched_priority = 50 };
	/* others of the machine do not get in between then */
	bool fifo = sched_setscheduler(0, SCHED_FIFO, &param) == 0;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (run(&plain[i], ours) < 0)
			return 1;
	if (run(&two_exchanges, floor_of_both) < 0)
		return 1;
	if (!fifo) {
		fprintf(stderr, "ceilings are left out: no SCHED_FIFO here\n");
		return 0;
	}
	for (size_t i = 0; i < sizeof(with_ceiling) / sizeof(with_ceiling[0]); i++)
		if (run(&with_ceiling[i], ours) < 0)
			return 1;
	return run(&two_changes, raise_and_lower) < 0 ||
	       run(&looks_and_changes, look_raise_look_lower) < 0;
}
