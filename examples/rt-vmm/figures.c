/* SPDX-License-Identifier: MIT */
/* Figures of a run from its histograms, medians of them, and one run on paper. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "figures.h"

const char *const figure_label[FIGURES] = {
	[FIGURE_MIN] = "min, us",
	[FIGURE_AVG] = "avg, us",
	[FIGURE_P50] = "p50, us",
	[FIGURE_P90] = "p90, us",
	[FIGURE_P99] = "p99, us",
	[FIGURE_P999] = "p99.9, us",
	[FIGURE_MAX] = "max, us",
	[FIGURE_IRQ_P50] = "interrupt p50, us",
	[FIGURE_IRQ_P99] = "interrupt p99, us",
	[FIGURE_LOST] = "lost ticks",
	[FIGURE_EXITS] = "exits per tick",
	[FIGURE_LOAD] = "load, CPUs busy",
};

const char *const figure_key[FIGURES] = {
	[FIGURE_MIN] = "min_us",
	[FIGURE_AVG] = "avg_us",
	[FIGURE_P50] = "p50_us",
	[FIGURE_P90] = "p90_us",
	[FIGURE_P99] = "p99_us",
	[FIGURE_P999] = "p99_9_us",
	[FIGURE_MAX] = "max_us",
	[FIGURE_IRQ_P50] = "interrupt_p50_us",
	[FIGURE_IRQ_P99] = "interrupt_p99_us",
	[FIGURE_LOST] = "lost_ticks",
	[FIGURE_EXITS] = "exits_per_tick",
	[FIGURE_LOAD] = "load_cpus",
};

int lateness_new(struct lateness *l, const char *name)
{
	memset(l, 0, sizeof(*l));
	if (rtkvm_latency_new(NULL, name, &l->task) < 0 ||
	    rtkvm_latency_new(NULL, name, &l->irq) < 0) {
		lateness_free(l);
		return fail("%s", rtkvm_last_error());
	}
	return 0;
}

void lateness_free(struct lateness *l)
{
	rtkvm_latency_free(l->task);
	rtkvm_latency_free(l->irq);
	memset(l, 0, sizeof(*l));
}

void lateness_record(void *arg, uint64_t isr_ns, uint64_t task_ns)
{
	struct lateness *l = arg;

	rtkvm_latency_record(l->task, task_ns);
	rtkvm_latency_record(l->irq, isr_ns);
}

void figures_of(struct figures *f, const struct lateness *l, const struct result *result)
{
	struct rtkvm_latency_summary s = { .size = sizeof(s) };
	uint64_t taken = result->wakeups + result->dropped;

	rtkvm_latency_get_summary(l->task, &s);
	f->v[FIGURE_MIN] = (double)s.min_ns / 1e3;
	f->v[FIGURE_AVG] = s.avg_ns / 1e3;
	f->v[FIGURE_P50] = (double)s.p50_ns / 1e3;
	f->v[FIGURE_P90] = (double)s.p90_ns / 1e3;
	f->v[FIGURE_P99] = (double)s.p99_ns / 1e3;
	f->v[FIGURE_P999] = (double)s.p999_ns / 1e3;
	f->v[FIGURE_MAX] = (double)s.max_ns / 1e3;
	f->v[FIGURE_IRQ_P50] = (double)rtkvm_latency_percentile(l->irq, 50) / 1e3;
	f->v[FIGURE_IRQ_P99] = (double)rtkvm_latency_percentile(l->irq, 99) / 1e3;
	f->v[FIGURE_LOST] = (double)result->lost;
	f->v[FIGURE_EXITS] = result->exits >= 0 && taken ? (double)result->exits / (double)taken :
							   NAN;
	f->v[FIGURE_LOAD] = result->load_cpus;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void figures_median(struct figures *median, const struct figures *rounds, unsigned int count)
{
	double values[64];

	memset(median, 0, sizeof(*median));
	if (!count)
		return;
	if (count > sizeof(values) / sizeof(values[0]))
		count = sizeof(values) / sizeof(values[0]);
	for (int i = 0; i < FIGURES; i++) {
		for (unsigned int k = 0; k < count; k++)
			values[k] = rounds[k].v[i];
		qsort(values, count, sizeof(values[0]), compare);
		median->v[i] = (values[(count - 1) / 2] + values[count / 2]) / 2;
	}
}

double figures_extreme(const struct figures *rounds, unsigned int count, int figure, bool highest)
{
	double best = NAN;

	for (unsigned int i = 0; i < count; i++) {
		double v = rounds[i].v[figure];

		if (isnan(best) || (highest ? v > best : v < best))
			best = v;
	}
	return best;
}

void print_settings(const struct result *result)
{
	printf(": asked for / read back\n");
	if (!result->settings)
		printf("  nothing\n");
	for (uint32_t i = 0; i < result->settings; i++) {
		const struct setting *s = &result->setting[i];

		printf("  %-26s %s / %s%s\n", s->what, s->asked, s->got,
		       s->same ? "" : "   NOT AS ASKED");
	}
	if (result->features)
		printf("\nFeatures of the VM, as the library reports them\n");
	for (uint32_t i = 0; i < result->features; i++)
		printf("  %-16s %-13s %s\n", result->feature[i].name, result->feature[i].state,
		       result->feature[i].reason);
	if (result->notes)
		printf("\nSeen meanwhile, without the library\n");
	for (uint32_t i = 0; i < result->notes; i++)
		printf("  %s\n", result->note[i]);
	if (result->left_out)
		printf("\nLeft out, or not as well as asked\n");
	for (uint32_t i = 0; i < result->left_out; i++)
		printf("  - %s\n", result->omission[i]);
}

void figures_print_run(const struct figures *f, const struct result *result)
{
	printf("%llu wake-ups of %llu ticks, %llu lost", (unsigned long long)result->wakeups,
	       (unsigned long long)result->ticks, (unsigned long long)result->lost);
	if (result->dropped)
		printf(", %llu not recorded", (unsigned long long)result->dropped);
	if (result->early)
		printf(", %llu early", (unsigned long long)result->early);
	printf("\n");
	for (int i = 0; i < FIGURES; i++)
		if (i != FIGURE_LOST && i != FIGURE_LOAD && !isnan(f->v[i]))
			printf("  %-20s %12.1f\n", figure_label[i], f->v[i]);
	printf("\nSettings");
	print_settings(result);
}
