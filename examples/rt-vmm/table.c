/* SPDX-License-Identifier: MIT */
/* The demo's result for people, on stdout. */
#include <math.h>
#include <stdio.h>

#include "demo.h"

static void number(double v)
{
	if (isnan(v))
		printf(" %12s", "-");
	else if (v >= 100000)
		printf(" %12.0f", v);
	else
		printf(" %12.1f", v);
}

static void ratio(double ours, double other)
{
	if (!isfinite(ours / other))
		printf(" %9s", "-");
	else
		printf(" %9.3f", ours / other);
}

static void print_figures(const struct demo *demo)
{
	const struct demo_case *c = demo->cases;

	printf("\nLateness of the guest's wake-ups, medians of %u rounds\n\n%-19s", c[0].rounds, "");
	for (int i = 0; i < CASES; i++)
		printf(" %12s", c[i].name);
	printf(" %9s %9s\n", "/ plain", "/ by hand");
	for (int f = 0; f < FIGURES; f++) {
		printf("%-19s", figure_label[f]);
		for (int i = 0; i < CASES; i++)
			number(c[i].median.v[f]);
		ratio(c[CASE_RT].median.v[f], c[CASE_PLAIN].median.v[f]);
		ratio(c[CASE_RT].median.v[f], c[CASE_HAND].median.v[f]);
		printf("\n");
	}
	printf("%-19s", "p99 of best round");
	for (int i = 0; i < CASES; i++)
		number(figures_extreme(c[i].round, c[i].rounds, FIGURE_P99, false));
	printf("\n%-19s", "p99 of worst round");
	for (int i = 0; i < CASES; i++)
		number(figures_extreme(c[i].round, c[i].rounds, FIGURE_P99, true));
	printf("\n(the last two columns: librtkvm against the two; of %llu ticks a round)\n",
	       (unsigned long long)c[CASE_RT].result.ticks);
}

static void print_verdict(const char *what, const struct verdict *v, double goal)
{
	printf("  %-40s %8.3f  goal <= %.2f  ", what, v->ratio, goal);
	if (v->state == VERDICT_NOT_ASKED)
		printf("not asked: %s\n", v->why);
	else
		printf("%s\n", verdict_name(v->state));
}

void table_print(const struct demo *demo)
{
	const struct config *config = demo->config;

	print_figures(demo);
	printf("\nVerdicts, by the medians of p99\n");
	printf("  %-40s %8.3f  %.1f to %.1f      %s\n", "plain again / plain (null control)",
	       demo->null_ratio, NULL_LOW, NULL_HIGH, demo->noisy ? "too noisy" : "good");
	print_verdict("librtkvm / plain", &demo->plain, GOAL_PLAIN);
	print_verdict("librtkvm / by hand", &demo->hand, GOAL_HAND);
	printf("\nBy hand");
	print_settings(&demo->cases[CASE_HAND].result);
	printf("\nlibrtkvm, plan \"%s\"", config->plan);
	print_settings(&demo->cases[CASE_RT].result);
	printf("\nFiles in %s: result.json, and for each case NAME.hgrm (HdrHistogram) and NAME.hist "
	       "(cyclictest)\n", config->output);
	if (demo->plotted)
		printf("Plot: %s\n", demo->plot);
	else
		printf("No plot: %s\n", demo->plot);
	printf("Took %.0f s.\n", demo->seconds);
}
