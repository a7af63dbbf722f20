/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who looks after threads that are made later: for lib/plan, whose watches do. A
 * record is added when this process begins to, and is undone when it ends; what
 * it is worth after a kill is seen by whether that process lives.
 */
#ifndef RTKVM_LEASE_WATCHED_H
#define RTKVM_LEASE_WATCHED_H

#include <rtkvm/lease.h>

/* 0 or -errno, error recorded. */
int rtkvm_lease_watch_begin(struct rtkvm_lease *lease);
void rtkvm_lease_watch_end(struct rtkvm_lease *lease);

#endif
