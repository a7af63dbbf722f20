/* SPDX-License-Identifier: MIT */
/*
 * Where the guest's serial output goes: vCPU threads put bytes into a ring and
 * never wait for a terminal or a file; the main thread writes them out and looks
 * for the line that was to be awaited.
 */
#ifndef SINK_H
#define SINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define SINK_SIZE (256 * 1024)

struct sink {
	int fd;                      /* -1: thrown away */
	const char *marker;          /* text of a line to look for; NULL: none */
	bool seen;
	char line[512];              /* the unfinished one; what is longer is not looked at */
	size_t line_length;
	atomic_size_t head, tail;    /* free running */
	atomic_size_t lost;          /* bytes that came faster than they could be written */
	char ring[SINK_SIZE];
};

/* vCPU threads, one at a time. True when the main thread should come soon. */
bool sink_put(struct sink *sink, char c);

/* Main thread: write out what is there. */
void sink_drain(struct sink *sink);

#endif
