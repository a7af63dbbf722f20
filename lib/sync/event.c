/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events: a word that is set or not, and how many wait for it.
 *
 * The setter writes the word and then looks for waiters; the waiter counts
 * itself and then looks at the word. Both with full barriers, so one of them
 * sees the other: no wake-up is lost, and a set without a waiter makes no
 * system call. A count that a killed waiter left behind costs a system call
 * per set, nothing else.
 */
#include <string.h>

#include <rtkvm/sync_event.h>

#include "core/core.h"
#include "futex.h"
#include "until.h"

#define KNOWN (RTKVM_EVENT_SHARED | RTKVM_EVENT_MANUAL | RTKVM_EVENT_STATS)

struct __attribute__((may_alias)) sync_event {
	uint32_t set; /* the futex */
	uint32_t waiters;
	uint32_t flags;
	uint32_t unused;
	uint64_t sets, wakes, sleeps;
	uint64_t reserved[3];
};
_Static_assert(sizeof(struct sync_event) == sizeof(struct rtkvm_event), "size of an event");

void rtkvm_event_options_init(struct rtkvm_event_options *options, size_t size)
{
	if (!options)
		return;
	memset(options, 0, size);
	options->size = size;
}

int rtkvm_event_init(struct rtkvm_event *event, const struct rtkvm_event_options *options)
{
	struct rtkvm_event_options o = { .size = sizeof(o) };
	struct sync_event *e = (struct sync_event *)event;

	if (!event)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_event_init", NULL, "event is NULL");
	if (options) {
		int err = rtkvm_options_take(NULL, &o, sizeof(o), sizeof(o), options,
					     "struct rtkvm_event_options");
		if (err < 0)
			return err;
	}
	if (o.flags & ~(uint32_t)KNOWN || o.initial > 1)
		return rtkvm_fail(NULL, EINVAL, "struct rtkvm_event_options",
				  "use RTKVM_EVENT_* flags, and 0 or 1",
				  "flags %#x, initial %u", o.flags, o.initial);
	memset(e, 0, sizeof(*e));
	e->flags = o.flags;
	e->set = o.initial;
	return 0;
}

int rtkvm_event_set(struct rtkvm_event *event)
{
	struct sync_event *e = (struct sync_event *)event;

	if (!event)
		return -EINVAL;
	sync_count(e->flags & RTKVM_EVENT_STATS, &e->sets);
	sync_tsan_release(e);
	__atomic_exchange_n(&e->set, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&e->waiters, __ATOMIC_SEQ_CST)) {
		sync_count(e->flags & RTKVM_EVENT_STATS, &e->wakes);
		futex_wake(&e->set, e->flags & RTKVM_EVENT_MANUAL ? INT_MAX : 1,
			   e->flags & RTKVM_EVENT_SHARED);
	}
	return 0;
}

int rtkvm_event_reset(struct rtkvm_event *event)
{
	struct sync_event *e = (struct sync_event *)event;

	if (!event)
		return -EINVAL;
	return (int)__atomic_exchange_n(&e->set, 0, __ATOMIC_SEQ_CST);
}

int rtkvm_event_is_set(const struct rtkvm_event *event)
{
	const struct sync_event *e = (const struct sync_event *)event;

	return event ? (int)__atomic_load_n(&e->set, __ATOMIC_ACQUIRE) : 0;
}

/* Is it set, and (unless it stays) ours alone? */
static bool take(struct sync_event *e)
{
	uint32_t set = 1;

	if (e->flags & RTKVM_EVENT_MANUAL)
		return __atomic_load_n(&e->set, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&e->set, __ATOMIC_SEQ_CST) &&
	       __atomic_compare_exchange_n(&e->set, &set, 0, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static int wait_set(struct sync_event *e, const struct sync_until *until)
{
	for (;;) {
		int err;

		if (take(e))
			return 0;
		sync_count(e->flags & RTKVM_EVENT_STATS, &e->sleeps);
		err = futex_wait(&e->set, 0, until->time, until->realtime,
				 e->flags & RTKVM_EVENT_SHARED);
		if (err == -ETIMEDOUT || err == -EINVAL || err == -EFAULT)
			return take(e) ? 0 : err;
	}
}

int rtkvm_event_wait(struct rtkvm_event *event, clockid_t clock, const struct timespec *until)
{
	struct sync_event *e = (struct sync_event *)event;
	struct sync_until u;
	int err;

	if (!event || sync_until_set(&u, clock, until) < 0)
		return -EINVAL;
	if (!take(e)) {
		__atomic_fetch_add(&e->waiters, 1, __ATOMIC_SEQ_CST);
		err = wait_set(e, &u);
		__atomic_fetch_sub(&e->waiters, 1, __ATOMIC_SEQ_CST);
		if (err < 0)
			return err;
	}
	sync_tsan_acquire(e);
	return 0;
}

int rtkvm_event_get_stats(const struct rtkvm_event *event, struct rtkvm_event_stats *stats)
{
	const struct sync_event *e = (const struct sync_event *)event;
	struct rtkvm_event_stats s = { .size = sizeof(s) };

	if (!event || !stats)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_event_get_stats", NULL, "NULL");
	s.sets = __atomic_load_n(&e->sets, __ATOMIC_RELAXED);
	s.wakes = __atomic_load_n(&e->wakes, __ATOMIC_RELAXED);
	s.sleeps = __atomic_load_n(&e->sleeps, __ATOMIC_RELAXED);
	return rtkvm_struct_give(NULL, stats, &s, sizeof(s), sizeof(s), "struct rtkvm_event_stats");
}
