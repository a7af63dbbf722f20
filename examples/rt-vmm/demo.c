/* SPDX-License-Identifier: MIT */
/*
 * Running the demo: load, rounds in ABBA order, medians, verdicts.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"
#include "host.h"

#define MIN_ROUNDS 3

struct progress {
	const struct demo *demo;
	const char *name;
	unsigned int step, steps;
	double started;
	bool tty;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* One line that is written over, on a terminal only. */
static void show(void *arg)
{
	const struct progress *p = arg;
	double each = p->demo->config->duration_s, part = (now() - p->started) / each;
	char bar[33];
	int filled;

	if (!p->tty)
		return;
	filled = (int)(32 * ((p->step + (part > 1 ? 1 : part)) / p->steps));
	for (int i = 0; i < 32; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[32] = '\0';
	fprintf(stderr, "\r[%s] run %u of %u: %-12s about %3.0f s left ", bar, p->step + 1,
		p->steps, p->name, (p->steps - p->step - (part > 1 ? 1 : part)) * each);
}

/* The case that runs in that place of that round. */
static unsigned int which(unsigned int round, unsigned int place)
{
	return round % 2 ? CASES - 1 - place : place;
}

/* One line per round, its cases in the order in which they ran. */
static void show_round(const struct progress *p, unsigned int round)
{
	if (p->tty)
		fprintf(stderr, "\r\033[K");
	fprintf(stderr, "round %u of %u, p99 in us:", round + 1, p->demo->config->rounds);
	for (unsigned int i = 0; i < CASES; i++) {
		const struct demo_case *c = &p->demo->cases[which(round, i)];

		fprintf(stderr, "%s %s %.1f", i ? "," : "", c->name, c->round[round].v[FIGURE_P99]);
	}
	fprintf(stderr, "\n");
}

/* What a round noted, added to what the rounds before it noted. */
static void add_result(struct demo_case *c, const struct result *result)
{
	struct result before = c->result;

	c->result = *result;
	for (uint32_t i = 0; i < before.settings; i++)
		if (!before.setting[i].same)
			result_setting(&c->result, before.setting[i].what, before.setting[i].asked,
				       before.setting[i].got, false);
	for (uint32_t i = 0; i < before.left_out; i++)
		result_left_out(&c->result, "%s", before.omission[i]);
	c->result.degraded = result->degraded || before.degraded;
}

static int run_one(struct demo *demo, struct demo_case *c, struct progress *p)
{
	double load = load_cpu_seconds(&demo->load);
	struct lateness lateness;
	struct result result;
	int rc;

	if (lateness_new(&lateness, c->name) < 0)
		return STATUS_ERROR;
	p->name = c->name;
	p->started = now();
	rc = child_run(demo->config, c->tuning, &result, &lateness, show, p);
	if (p->tty && rc != STATUS_OK)
		fprintf(stderr, "\n");
	if (rc == STATUS_OK && load_alive(&demo->load) != demo->load.count) {
		fail("background load died: the cases cannot be compared");
		rc = STATUS_ERROR;
	}
	if (rc == STATUS_OK) {
		result.load_cpu = load_cpu_seconds(&demo->load) - load;
		figures_of(&c->round[c->rounds++], &lateness, &result);
		rtkvm_latency_merge(c->all.task, lateness.task);
		rtkvm_latency_merge(c->all.irq, lateness.irq);
		add_result(c, &result);
	}
	lateness_free(&lateness);
	return rc;
}

/* On a slow machine: fewer rounds rather than more time than was promised. */
static bool no_time(const struct demo *demo, double start, unsigned int done)
{
	double spent = now() - start;

	return demo->config->limit_s && done >= MIN_ROUNDS && done < demo->config->rounds &&
	       spent + spent / done > demo->config->limit_s;
}

/* Forward, backward, forward, ...: a drift of the machine hits all cases alike. */
static int run_rounds(struct demo *demo)
{
	double start = now();
	struct progress p = { .demo = demo, .tty = isatty(STDERR_FILENO) == 1,
			      .steps = demo->config->rounds * CASES };

	for (unsigned int round = 0; round < demo->config->rounds; round++) {
		for (unsigned int i = 0; i < CASES; i++, p.step++) {
			int rc = run_one(demo, &demo->cases[which(round, i)], &p);

			if (rc != STATUS_OK)
				return rc;
			if (interrupted)
				return STATUS_INTERRUPTED;
		}
		show_round(&p, round);
		if (no_time(demo, start, round + 1)) {
			say("stopped after %u rounds of %u, to end within %u s", round + 1,
			    demo->config->rounds, demo->config->limit_s);
			break;
		}
	}
	return STATUS_OK;
}

const char *verdict_name(int state)
{
	switch (state) {
	case VERDICT_HOLDS:
		return "holds";
	case VERDICT_FAILS:
		return "does not hold";
	default:
		return "not asked";
	}
}

static struct verdict judge(const struct demo_case *ours, const struct demo_case *other,
			    double goal)
{
	struct verdict v = { .ratio = ours->median.v[FIGURE_P99] / other->median.v[FIGURE_P99] };

	if (ours->result.degraded || other->result.degraded) {
		v.state = VERDICT_NOT_ASKED;
		v.why = "real-time scheduling was left out, see below";
	} else {
		v.state = v.ratio <= goal ? VERDICT_HOLDS : VERDICT_FAILS;
	}
	return v;
}

static void conclude(struct demo *demo)
{
	struct demo_case *c = demo->cases;

	for (int i = 0; i < CASES; i++)
		figures_median(&c[i].median, c[i].round, c[i].rounds);
	demo->null_ratio =
		c[CASE_PLAIN_AGAIN].median.v[FIGURE_P99] / c[CASE_PLAIN].median.v[FIGURE_P99];
	demo->noisy = !(demo->null_ratio >= NULL_LOW && demo->null_ratio <= NULL_HIGH);
	demo->plain = judge(&c[CASE_RT], &c[CASE_PLAIN], GOAL_PLAIN);
	demo->hand = judge(&c[CASE_RT], &c[CASE_HAND], GOAL_HAND);
}

static int report(struct demo *demo)
{
	char path[600];

	conclude(demo);
	if (files_write(demo) < 0)
		return STATUS_ERROR;
	snprintf(path, sizeof(path), "%s/result.json", demo->config->output);
	if (json_print(demo, path) < 0)
		return STATUS_ERROR;
	if (demo->config->json)
		json_print(demo, NULL);
	else
		table_print(demo);
	if (!demo->noisy)
		return STATUS_OK;
	fail("too noisy: the same case measured twice differs by a factor of %.2f, outside %.1f to "
	     "%.1f; nothing can be concluded", demo->null_ratio, NULL_LOW, NULL_HIGH);
	return STATUS_NOISY;
}

int demo_main(const struct config *config)
{
	struct demo demo = {
		.config = config,
		.cases = {
			[CASE_PLAIN] = { .name = "plain", .file = "plain", .tuning = &tuning_plain },
			[CASE_PLAIN_AGAIN] = { .name = "plain again", .file = "plain-again",
					       .tuning = &tuning_plain },
			[CASE_HAND] = { .name = "by hand", .file = "by-hand",
					.tuning = &tuning_hand },
			[CASE_RT] = { .name = "librtkvm", .file = "librtkvm", .tuning = &tuning_rt },
		},
	};
	double start = now();
	/* the load ends by itself, also if this program is stopped for a while */
	unsigned int limit = config->rounds * CASES * (config->duration_s + 10) + 60;
	int rc = STATUS_ERROR;

	host_restore(true);
	for (int i = 0; i < CASES; i++)
		if (lateness_new(&demo.cases[i].all, demo.cases[i].name) < 0)
			goto out;
	if (load_start(&demo.load, DEMO_LOAD_PER_CPU, &config->usable_cpus, limit) < 0)
		goto out;
	fprintf(stderr, "%u vCPU%s, a tick every %u us with %u us of work, %u rounds of %d cases of "
		"%u s, beside %u busy processes\n", config->vcpus, config->vcpus > 1 ? "s" : "",
		config->interval_us, config->work_us, config->rounds, CASES, config->duration_s,
		demo.load.count);
	rc = run_rounds(&demo);
	load_stop(&demo.load);
	demo.seconds = now() - start;
	if (rc == STATUS_OK)
		rc = report(&demo);
out:
	for (int i = 0; i < CASES; i++)
		lateness_free(&demo.cases[i].all);
	return rc;
}
