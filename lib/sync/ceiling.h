/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Priority ceilings of the calling thread: those that it has entered, its base
 * priority below them, and the one system call that is due when the highest
 * of them changes. Which mutex has which ceiling is the mutexes' business.
 */
#ifndef RTKVM_SYNC_CEILING_H
#define RTKVM_SYNC_CEILING_H

#include <stdbool.h>
#include <stdint.h>

#include "self.h"

/* What sync_ceiling_enter() did, a mask. */
enum {
	CEILING_PUSHED = 1, /* sync_ceiling_leave() is due */
	CEILING_RAISED = 2  /* by a system call */
};

int sync_ceiling_static_slow(unsigned int ceiling);
int sync_ceiling_checked_slow(unsigned int ceiling);
unsigned int sync_base_look(void);

static inline bool sync_base_known(void)
{
	return sync_self.seen == __atomic_load_n(&sync_generation, __ATOMIC_RELAXED);
}

/* The thread's priority without ceilings as it was last read; 0: neither FIFO nor RR. */
static inline unsigned int sync_base(void)
{
	return sync_likely(sync_base_known()) ? sync_self.base : sync_base_look();
}

/*
 * Before locking. A mask of the above, or -EINVAL (above the ceiling where
 * that is refused, or no real-time thread), -EPERM (may not be raised),
 * -EAGAIN (255 times the same ceiling).
 */
static inline int sync_ceiling_static(unsigned int ceiling)
{
	if (sync_likely(sync_self.base >= ceiling && sync_base_known()))
		return 0;
	return sync_ceiling_static_slow(ceiling);
}

int sync_ceiling_eager(unsigned int ceiling);

/* No raise: 0 or -EINVAL. */
static inline int sync_ceiling_checked(unsigned int ceiling)
{
	if (sync_likely(sync_base_known()))
		return sync_likely(sync_self.base <= ceiling) ? 0 : -EINVAL;
	return sync_ceiling_checked_slow(ceiling);
}

/* After unlocking what was locked with CEILING_PUSHED. */
void sync_ceiling_leave(unsigned int ceiling);

/* See rtkvm_thread_resync(). */
int sync_ceiling_resync(void);

#endif
