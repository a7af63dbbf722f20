/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Exits of a running VM by reason, from KVM's counters.
 */
#ifndef RTKVM_HOST_EXITS_H
#define RTKVM_HOST_EXITS_H

#include "host.h"

#define HOST_EXITS_MAX 64
#define HOST_EXITS_NAME 40

struct host_exits {
	const char *source; /* "KVM's counters, now", ... */
	bool live;	    /* over a quarter of a second, just now; else since the VM's start */
	double seconds;
	unsigned int count;
	struct {
		char name[HOST_EXITS_NAME];
		uint64_t value; /* how often in that time, all vCPUs together */
	} reason[HOST_EXITS_MAX];
	int err;	/* of the last source, negative errno */
	char path[96];
};

/* 0, or -errno, also in exits->err with its path. */
int host_exits_read(struct host_facts *facts, struct host_exits *exits);

/* Number of exits of that name, -1: not counted. */
int64_t host_exits_get(const struct host_exits *exits, const char *name);

#endif
