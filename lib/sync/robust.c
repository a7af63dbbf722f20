/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread's robust list: finding it, and linking objects into it.
 */
#include "robust.h"

/* The lowest bit of a pointer in the list says "priority inheriting". */
#define PI 1UL

static struct sync_links *links_of(void *next)
{
	uintptr_t at = (uintptr_t)next & ~PI;

	return (struct sync_links *)(at - offsetof(struct sync_links, next));
}

int sync_robust_find(void)
{
	struct robust_list_head *head = NULL;
	size_t size = 0;

	if (sync_syscall(SYS_get_robust_list, 0, (long)&head, (long)&size, 0, 0, 0) < 0 || !head ||
	    size != sizeof(*head) || head->futex_offset != SYNC_ROBUST_OFFSET)
		return -ENOTSUP;
	/* libc keeps a "prev" before the head, as before every other "next" */
	if (head->list.next == &head->list && links_of(&head->list)->prev != &head->list)
		return -ENOTSUP;
	sync_self.robust = head;
	return 0;
}

/* The kernel may look at any moment: the new one is whole before it is in the list. */
void sync_robust_add(struct sync_links *links)
{
	struct robust_list_head *head = sync_self.robust;

	links->next = head->list.next;
	links->prev = &head->list;
	links_of(head->list.next)->prev = &links->next;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	head->list.next = (struct robust_list *)((uintptr_t)&links->next | PI);
}

void sync_robust_remove(struct sync_links *links)
{
	links_of(links->next)->prev = links->prev;
	links_of(links->prev)->next = links->next;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	links->prev = links->next = NULL;
}
