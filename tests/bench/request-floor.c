/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests with nothing around them; see request-floor.h.
 */
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "request-floor.h"

static void futex(uint32_t *word, int op, uint32_t value)
{
	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static uint32_t get(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void set(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static void wait_for_post(struct floor *f)
{
	while (!get(&f->posted)) {
		set(&f->server_sleeps, 1);
		if (!get(&f->posted))
			futex(&f->posted, FUTEX_WAIT, 0);
		set(&f->server_sleeps, 0);
	}
	set(&f->posted, 0);
}

static void post(struct floor *f)
{
	set(&f->posted, 1);
	if (get(&f->server_sleeps)) {
		set(&f->server_sleeps, 0);
		futex(&f->posted, FUTEX_WAKE, 1);
	}
}

static void reply(struct floor *f)
{
	uint32_t mine = f->server;

	if (f->lends) {
		if (!__atomic_compare_exchange_n(&f->reply, &mine, 0, false, __ATOMIC_SEQ_CST,
						 __ATOMIC_SEQ_CST))
			futex(&f->reply, FUTEX_UNLOCK_PI, 0);
		return;
	}
	set(&f->reply, 0);
	if (get(&f->client_sleeps))
		futex(&f->reply, FUTEX_WAKE, 1);
}

void floor_serve(struct floor *f)
{
	set(&f->server, (uint32_t)syscall(SYS_gettid));
	for (;;) {
		wait_for_post(f);
		if (__atomic_load_n(&f->stop, __ATOMIC_SEQ_CST))
			break;
		reply(f);
	}
}

static void call(struct floor *f)
{
	set(&f->reply, f->server);
	post(f);
	while ((get(&f->reply) & FUTEX_TID_MASK) == f->server) {
		if (f->lends) {
			futex(&f->reply, FUTEX_LOCK_PI, 0);
			continue;
		}
		set(&f->client_sleeps, 1);
		futex(&f->reply, FUTEX_WAIT, f->server);
		set(&f->client_sleeps, 0);
	}
}

void floor_call(struct floor *f, uint64_t times)
{
	for (uint64_t i = 0; i < times; i++)
		call(f);
}

void floor_stop(struct floor *f)
{
	__atomic_store_n(&f->stop, true, __ATOMIC_SEQ_CST);
	post(f);
}
