/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's threads: where they are listed.
 */
#ifndef RTKVM_KTHREADS_H
#define RTKVM_KTHREADS_H

#include <stddef.h>
#include <sys/types.h>

#include "core.h"

/* A list and its buffers, which are kept from one look to the next. Zero at first. */
struct rtkvm_kthread_list {
	pid_t *pids; /* ascending */
	size_t count;
	size_t room;
	char *text;
	size_t text_size;
};

/*
 * Numbers of the threads among which the kernel's are: the children of
 * kthreadd, or all processes where the kernel does not list children
 * (CONFIG_PROC_CHILDREN). Empty in a PID namespace that does not show them.
 * 0 or -errno, quiet.
 */
int rtkvm_kthreads_list(struct rtkvm *rt, struct rtkvm_kthread_list *list);
void rtkvm_kthreads_free(struct rtkvm_kthread_list *list);

/* Number at the end of a name such as "kvm-pit/123", "vhost-123"; 0: none. */
pid_t rtkvm_kthread_owner(const char *comm);

#endif
