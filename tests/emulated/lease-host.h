/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of lease-host share. */
#ifndef RTKVM_LEASE_HOST_H
#define RTKVM_LEASE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct line {
	char key[96];
	char value[416];
};

struct snapshot {
	struct line *lines;
	size_t count, room;
};

void snapshot_take(struct snapshot *s);
/* How many things differ. */
unsigned int snapshot_differences(const struct snapshot *a, const struct snapshot *b, bool print);
void snapshot_free(struct snapshot *s);

/* A small file without its last line feeds; its length or -1. */
ssize_t read_text(const char *path, char *text, size_t size);

/* What disturbs a program on one CPU. */
struct disturbance {
	double seconds;
	double tick, interrupts; /* per second */
	double switches;         /* away from the program, to other threads than those, per s: */
	double tick_threads;     /* timers and RCU of the tick, which PREEMPT_RT runs in threads */
	char worst[64];          /* the interrupt that came most often */
	char whom[300];          /* to whom it was switched, how often */
};
/* Spin on that CPU while the load runs. */
void disturbance_measure(unsigned int cpu, double seconds, struct disturbance *d);
/* Fork and exec, network, timers, page cache: on every CPU that lets them. */
void load_start(void);
void load_stop(void);

#endif
