/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A condition as programs have one, for tests: tokens that are put in and taken out
 * under a mutex.
 */
#ifndef RTKVM_TEST_COND_BOX_H
#define RTKVM_TEST_COND_BOX_H

#include <rtkvm/sync.h>

#include "sync/support.h"

struct box {
	struct rtkvm_mutex mutex;
	struct rtkvm_cond cond;
	int tokens;
	int order[16], orders;
};

extern struct box box;

/* Anew: type, protocol (with a ceiling of 60) and flags of the mutex, the wait's clock. */
void box_make(uint32_t type, uint32_t protocol, uint32_t flags, int clock);

/* A thread that takes a token; it sleeps when this returns. */
void box_start_taker(struct thread *t, int priority);

/* Wake by rtkvm_cond_signal() or _broadcast(), with the mutex held or after unlocking. */
void box_put(int tokens, int (*wake)(struct rtkvm_cond *, struct rtkvm_mutex *), bool inside);

#endif
