/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which CPUs a running irqbalance leaves alone, from the most certain source
 * that answers: its own socket, the environment that it was started with, the
 * file that sets this environment.
 */
#ifndef RTKVM_HOST_IRQBALANCE_H
#define RTKVM_HOST_IRQBALANCE_H

#include "host.h"

struct host_banned {
	bool set;	    /* by its user; else it leaves those isolated at boot alone */
	struct rtkvm_cpus cpus;
	const char *source; /* "its socket", ... */
	char path[96];	    /* of what could not be understood */
};

/* 0, or -errno with banned->path. */
int host_irqbalance(struct host_facts *facts, pid_t pid, struct host_banned *banned);

#endif
