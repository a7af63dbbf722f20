/* SPDX-License-Identifier: MIT */
/*
 * The figures that runs are compared by, and their medians over rounds.
 */
#ifndef FIGURES_H
#define FIGURES_H

#include <rtkvm/latency.h>

#include "result.h"

enum {
	FIGURE_MIN,
	FIGURE_AVG,
	FIGURE_P50,
	FIGURE_P90,
	FIGURE_P99,
	FIGURE_P999,
	FIGURE_MAX,
	FIGURE_IRQ_P50,
	FIGURE_IRQ_P99,
	FIGURE_LOST,
	FIGURE_EXITS,
	FIGURE_LOAD,
	FIGURES
};

struct figures {
	double v[FIGURES];  /* us, ticks, exits per tick, CPU seconds; NAN: not known */
};

/* Names for the table and for JSON. */
extern const char *const figure_label[FIGURES];
extern const char *const figure_key[FIGURES];

/* A pair of recorders: lateness of the task and of the interrupt. */
struct lateness {
	struct rtkvm_latency *task;
	struct rtkvm_latency *irq;
};

int lateness_new(struct lateness *l, const char *name);
void lateness_free(struct lateness *l);

/* Record both; fits sample_fn, arg is the struct lateness. */
void lateness_record(void *arg, uint64_t isr_ns, uint64_t task_ns);

void figures_of(struct figures *f, const struct lateness *l, const struct result *result);

/* Median of each figure; an even number of rounds gives the mean of the middle two. */
void figures_median(struct figures *median, const struct figures *rounds, unsigned int count);

/* The lowest or highest value of one figure. */
double figures_extreme(const struct figures *rounds, unsigned int count, int figure, bool highest);

/* One run for people, on stdout. */
void figures_print_run(const struct figures *f, const struct result *result);
void print_settings(const struct result *result);

#endif
