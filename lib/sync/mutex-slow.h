/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locking that is more than one exchange.
 */
#ifndef RTKVM_SYNC_MUTEX_SLOW_H
#define RTKVM_SYNC_MUTEX_SLOW_H

#include "mutex.h"

int sync_lock(struct sync_mutex *m, const struct sync_until *until);
int sync_trylock(struct sync_mutex *m);
int sync_unlock(struct sync_mutex *m);

/* What a wait has to give back. */
struct sync_suspended {
	uint32_t kind, depth, ceiling;
};

/* Unlock it entirely for a wait, and leave its ceiling. */
void sync_suspend(struct sync_mutex *m, uint32_t tid, struct sync_suspended *s);

/*
 * Have it as before. given: the kernel has given the word to the caller
 * already. 0, -EOWNERDEAD, and without having it -ENOTRECOVERABLE, -ESRCH,
 * -EDEADLK.
 */
int sync_resume(struct sync_mutex *m, uint32_t tid, const struct sync_suspended *s, bool given);

#endif
