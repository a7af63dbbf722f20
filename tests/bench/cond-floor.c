/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Turns by bare futexes; see cond-floor.h.
 */
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cond-floor.h"

static long futex(uint32_t *word, int op, uint32_t value, uint32_t *word2, uint32_t value3)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, word2, value3);
}

void floor_lock(struct turns_floor *f)
{
	futex(&f->mutex, FUTEX_LOCK_PI, 0, NULL, 0);
}

void floor_unlock(struct turns_floor *f)
{
	futex(&f->mutex, FUTEX_UNLOCK_PI, 0, NULL, 0);
}

void floor_by_mutex(struct turns_floor *f, uint64_t times)
{
	for (uint64_t i = 0; i < times && !f->stop; i++) {
		floor_unlock(f);
		floor_lock(f);
	}
}

static void wake(struct turns_floor *f, int who)
{
	uint32_t seq = __atomic_add_fetch(&f->seq[who], 1, __ATOMIC_SEQ_CST);

	futex(&f->seq[who], FUTEX_CMP_REQUEUE_PI, 1, &f->mutex, seq);
}

static void wait(struct turns_floor *f, int me)
{
	uint32_t seq = __atomic_load_n(&f->seq[me], __ATOMIC_SEQ_CST);

	floor_unlock(f);
	/* not asleep yet when it was woken: nobody has given it the mutex */
	if (futex(&f->seq[me], FUTEX_WAIT_REQUEUE_PI, seq, &f->mutex, 0))
		floor_lock(f);
}

void floor_by_requeue(struct turns_floor *f, int me, uint64_t times)
{
	for (uint64_t i = 0; i < times && !f->stop; i++) {
		wake(f, !me);
		wait(f, me);
	}
}

void floor_partner(struct turns_floor *f, bool requeue)
{
	floor_lock(f);
	if (requeue) {
		__atomic_store_n(&f->ready, true, __ATOMIC_SEQ_CST);
		wait(f, 1);
		floor_by_requeue(f, 1, UINT64_MAX);
	} else {
		floor_by_mutex(f, UINT64_MAX);
	}
	floor_unlock(f);
}

void floor_end(struct turns_floor *f)
{
	f->stop = true;
	wake(f, 1);
	floor_unlock(f);
}
