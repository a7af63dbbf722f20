/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's threads: where they are listed.
 */
#ifndef RTKVM_PLAN_KTHREADS_H
#define RTKVM_PLAN_KTHREADS_H

#include <stddef.h>
#include <sys/types.h>

#include "core/core.h"

/*
 * Numbers of the threads among which the kernel's are: the children of
 * kthreadd, or all processes where the kernel does not list children
 * (CONFIG_PROC_CHILDREN), ascending. *pids is allocated. Empty in a PID
 * namespace that does not show them. 0 or -errno, quiet.
 */
int plan_kthreads_list(struct rtkvm *rt, pid_t **pids, size_t *count);

/* Number at the end of a name such as "kvm-pit/123", "vhost-123"; 0: none. */
pid_t plan_kthread_owner(const char *comm);

#endif
