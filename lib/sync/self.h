/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lib/sync knows of the calling thread: its id, the robust list that the
 * kernel walks when it ends, and what priority ceilings it has. Small, in the
 * static TLS block, so that a fast path reads it without a call. It is
 * forgotten in the child of fork(2), which is another thread.
 */
#ifndef RTKVM_SYNC_SELF_H
#define RTKVM_SYNC_SELF_H

#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>

#include "futex.h"

#define SYNC_PRIORITIES 100 /* 0: not real-time; 1 to 99 */

struct sync_self {
	uint32_t tid;      /* 0: not asked for yet */
	uint32_t seen;     /* sync_generation when base was read; 0: never */
	uint8_t base;      /* priority without ceilings; 0: neither FIFO nor RR */
	uint8_t set;       /* what ceilings have raised it to; 0: not raised */
	uint8_t top;       /* highest ceiling held */
	uint8_t count[SYNC_PRIORITIES]; /* ceilings held, by priority */
	struct robust_list_head *robust; /* libc's; NULL: not asked for yet */
};

extern _Thread_local struct sync_self sync_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/*
 * Raised whenever the library itself changes priorities of threads of this
 * process, which makes what they know of theirs stale. Never 0.
 */
extern uint32_t sync_generation __attribute__((visibility("hidden")));
void sync_priorities_changed(void);

uint32_t sync_tid_ask(void);

/* The id of the calling thread; a system call at its first use in a thread. */
static inline uint32_t sync_tid(void)
{
	uint32_t tid = sync_self.tid;

	return sync_likely(tid) ? tid : sync_tid_ask();
}

#endif
