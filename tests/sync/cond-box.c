/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A condition for tests; see cond-box.h.
 */
#include <linux/futex.h>
#include <string.h>

#include "support/test.h"
#include "sync/cond-box.h"

struct box box;

void box_make(uint32_t type, uint32_t protocol, uint32_t flags, int clock)
{
	struct rtkvm_mutex_options m;
	struct rtkvm_cond_options c;

	memset(&box, 0, sizeof(box));
	rtkvm_mutex_options_init(&m, sizeof(m));
	m.type = type;
	m.protocol = protocol;
	m.ceiling = protocol ? 60 : 0;
	m.flags = flags;
	ck_assert_int_eq(rtkvm_mutex_init(&box.mutex, &m), 0);
	rtkvm_cond_options_init(&c, sizeof(c));
	c.clock = clock;
	c.flags = RTKVM_COND_STATS | (flags & RTKVM_MUTEX_SHARED ? RTKVM_COND_SHARED : 0);
	ck_assert_int_eq(rtkvm_cond_init(&box.cond, &c), 0);
}

/* Takes a token. */
static void taker(struct thread *self)
{
	rtkvm_mutex_lock(&box.mutex);
	while (!box.tokens && !self->result)
		self->result = rtkvm_cond_wait(&box.cond, &box.mutex);
	box.tokens--;
	if (box.orders < (int)(sizeof(box.order) / sizeof(box.order[0])))
		box.order[box.orders++] = self->priority;
	rtkvm_mutex_unlock(&box.mutex);
}

void box_start_taker(struct thread *t, int priority)
{
	thread_start(t, priority, -1, taker, NULL);
	ck_assert(until_sleeps_in(t->tid, FUTEX_WAIT_REQUEUE_PI));
}

void box_put(int tokens, int (*wake)(struct rtkvm_cond *, struct rtkvm_mutex *), bool inside)
{
	rtkvm_mutex_lock(&box.mutex);
	box.tokens += tokens;
	if (inside)
		ck_assert_int_eq(wake(&box.cond, &box.mutex), 0);
	rtkvm_mutex_unlock(&box.mutex);
	if (!inside)
		ck_assert_int_eq(wake(&box.cond, &box.mutex), 0);
}
