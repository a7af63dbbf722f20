/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counters of interrupts, softirqs and threads' times per CPU, to see who
 * ran on a CPU between two readings.
 */
#ifndef RTKVM_DOCTOR_COUNTERS_H
#define RTKVM_DOCTOR_COUNTERS_H

#include <stdio.h>

struct counters;

/* NULL without memory; what cannot be read is left out. */
struct counters *counters_read(void);
void counters_free(struct counters *c);

/* What grew on this CPU, the most first: three interrupts, three softirqs, three threads. */
void counters_print(const struct counters *before, const struct counters *after, unsigned int cpu,
		    FILE *f);

#endif
