/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What it costs two threads of one priority to take turns on one CPU with bare
 * futexes, where a PI mutex is handed to who is woken: the calls alone, without
 * a condition to look at.
 */
#ifndef RTKVM_TEST_COND_FLOOR_H
#define RTKVM_TEST_COND_FLOOR_H

#include <stdbool.h>
#include <stdint.h>

/* One mutex, and what each of the two waits for. */
struct turns_floor {
	uint32_t mutex __attribute__((aligned(64)));
	uint32_t seq[2];
	bool ready; /* the partner has the mutex, or has had it, and waits next */
	bool stop;
};

/*
 * Both own the mutex when they begin and have it when they return. They wait for
 * the mutex itself: it is free when the other is woken.
 */
void floor_by_mutex(struct turns_floor *f, uint64_t times);

/* They wait for their seq; the other is woken while the mutex is held. */
void floor_by_requeue(struct turns_floor *f, int me, uint64_t times);

/* The other thread's part: fetch the turn, and take part until floor_end(). */
void floor_partner(struct turns_floor *f, bool requeue);
void floor_end(struct turns_floor *f);

void floor_lock(struct turns_floor *f);
void floor_unlock(struct turns_floor *f);

#endif
