/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Robust objects: the kernel walks a list of what a thread holds when it ends,
 * however it ends, marks each word FUTEX_OWNER_DIED and passes it on. There is
 * one such list per thread (set_robust_list(2)) and libc has it, for its own
 * robust mutexes. Ours are linked into the same list.
 *
 * This relies on what is fixed by the kernel (struct robust_list_head) and by
 * libc's binary interface (where a pthread_mutex_t, which may be in memory
 * shared with other programs, has its word and links). It is checked in each
 * thread, and where it is otherwise there are no robust mutexes (-ENOTSUP).
 */
#ifndef RTKVM_SYNC_ROBUST_H
#define RTKVM_SYNC_ROBUST_H

#include <stddef.h>
#include <stdint.h>

#include "self.h"

/* As in libc; each pointer is the address of a "next". */
struct sync_links {
	void *prev;
	void *next;
};

/* From "next" to the futex word, in libc's mutex and in ours. */
#define SYNC_ROBUST_OFFSET (-32L)

/* 0, -ENOTSUP. To be called once in a thread before the others: it is cached. */
int sync_robust_find(void);

static inline int sync_robust_ready(void)
{
	return sync_likely(sync_self.robust) ? 0 : sync_robust_find();
}

/*
 * Announce that the object's word is about to change hands: between this and
 * sync_robust_done() the kernel looks at it as well. Priority inheritance is
 * marked by the lowest bit.
 */
static inline void sync_robust_pending(struct sync_links *links)
{
	*(void *volatile *)&sync_self.robust->list_op_pending = (char *)&links->next + 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void sync_robust_done(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*(void *volatile *)&sync_self.robust->list_op_pending = NULL;
}

void sync_robust_add(struct sync_links *links);
void sync_robust_remove(struct sync_links *links);

#endif
