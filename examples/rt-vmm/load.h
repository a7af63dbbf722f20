/* SPDX-License-Identifier: MIT */
/*
 * Background load: busy processes of ordinary priority, the same in every case
 * that is compared.
 */
#ifndef LOAD_H
#define LOAD_H

#include <sched.h>
#include <sys/types.h>

#define LOAD_MAX 256

struct load {
	unsigned int count;
	pid_t pids[LOAD_MAX];
};

/*
 * Start per_cpu processes for each CPU of the set, free to move among them.
 * They end by themselves after limit_s seconds, and with their parent.
 */
int load_start(struct load *load, unsigned int per_cpu, const cpu_set_t *cpus,
	       unsigned int limit_s);

/* CPU seconds they have used so far, their own children not counted. */
double load_cpu_seconds(const struct load *load);

/* How many of them run. */
unsigned int load_alive(const struct load *load);

/* Kill and reap all of them. */
void load_stop(struct load *load);

#endif
