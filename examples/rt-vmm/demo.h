/* SPDX-License-Identifier: MIT */
/*
 * The demo: four cases in interleaved rounds under the same load, and what
 * they show. demo.c runs them, table.c and json.c say it.
 */
#ifndef DEMO_H
#define DEMO_H

#include "child.h"
#include "config.h"
#include "figures.h"
#include "load.h"

#define DEMO_MAX_ROUNDS 50

/* Busy processes per CPU. */
#define DEMO_LOAD_PER_CPU 2

enum { CASE_PLAIN, CASE_PLAIN_AGAIN, CASE_HAND, CASE_RT, CASES };

/* Bounds: the null control must be inside, the goals at or below. */
#define NULL_LOW 0.5
#define NULL_HIGH 2.0
#define GOAL_PLAIN 0.25
#define GOAL_HAND 1.2

struct demo_case {
	const char *name;
	const char *file;              /* of its files, without ending */
	const struct tuning *tuning;
	struct figures round[DEMO_MAX_ROUNDS];
	unsigned int rounds;
	struct figures median;
	struct lateness all;           /* all rounds together */
	struct result result;          /* of the last round, with what any round noted */
};

enum { VERDICT_HOLDS, VERDICT_FAILS, VERDICT_NOT_ASKED };

struct verdict {
	int state;
	double ratio;
	const char *why;               /* of VERDICT_NOT_ASKED */
};

struct demo {
	const struct config *config;
	struct demo_case cases[CASES];
	struct load load;
	double null_ratio;
	bool noisy;
	struct verdict plain, hand;    /* librtkvm against them */
	char plot[512];                /* path, or why there is none */
	bool plotted;
	double seconds;                /* all of it */
};

/* Returns an exit status. */
int demo_main(const struct config *config);

const char *verdict_name(int state);

void table_print(const struct demo *demo);
int json_print(const struct demo *demo, const char *path); /* NULL: stdout */

/* Histograms and plot into the directory. */
int files_write(struct demo *demo);

#endif
