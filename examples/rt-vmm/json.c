/* SPDX-License-Identifier: MIT */
/* The demo's result for programs: one JSON object. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "demo.h"

static void text(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < ' ')
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void key_text(FILE *f, const char *key, const char *s)
{
	fprintf(f, "\"%s\": ", key);
	text(f, s);
}

static void key_number(FILE *f, const char *key, double v)
{
	if (isfinite(v))
		fprintf(f, "\"%s\": %.6g", key, v);
	else
		fprintf(f, "\"%s\": null", key);
}

static void figures(FILE *f, const struct figures *v)
{
	fputc('{', f);
	for (int i = 0; i < FIGURES; i++) {
		key_number(f, figure_key[i], v->v[i]);
		fputs(i + 1 < FIGURES ? ", " : "}", f);
	}
}

static void settings(FILE *f, const struct result *r)
{
	fputs("     \"settings\": [", f);
	for (uint32_t i = 0; i < r->settings; i++) {
		fputs(i ? ",\n       {" : "\n       {", f);
		key_text(f, "what", r->setting[i].what);
		fputs(", ", f);
		key_text(f, "asked", r->setting[i].asked);
		fputs(", ", f);
		key_text(f, "read_back", r->setting[i].got);
		fprintf(f, ", \"same\": %s}", r->setting[i].same ? "true" : "false");
	}
	fputs("],\n     \"features\": [", f);
	for (uint32_t i = 0; i < r->features; i++) {
		fputs(i ? ",\n       {" : "\n       {", f);
		key_text(f, "feature", r->feature[i].name);
		fputs(", ", f);
		key_text(f, "state", r->feature[i].state);
		fputs(", ", f);
		key_text(f, "reason", r->feature[i].reason);
		fputc('}', f);
	}
	fputs("],\n     \"left_out\": [", f);
	for (uint32_t i = 0; i < r->left_out; i++) {
		fputs(i ? ", " : "", f);
		text(f, r->omission[i]);
	}
	fputc(']', f);
}

static void one_case(FILE *f, const struct demo_case *c)
{
	fputs("    {", f);
	key_text(f, "name", c->name);
	fprintf(f, ", \"ticks\": %llu, \"degraded\": %s,\n     \"median\": ",
		(unsigned long long)c->result.ticks, c->result.degraded ? "true" : "false");
	figures(f, &c->median);
	fputs(",\n     \"rounds\": [\n", f);
	for (unsigned int i = 0; i < c->rounds; i++) {
		fputs("       ", f);
		figures(f, &c->round[i]);
		fputs(i + 1 < c->rounds ? ",\n" : "],\n", f);
	}
	settings(f, &c->result);
	fputc('}', f);
}

static void verdict(FILE *f, const char *key, const struct verdict *v, double goal)
{
	fprintf(f, "  \"%s\": {", key);
	key_number(f, "ratio", v->ratio);
	fprintf(f, ", \"goal\": %.2f, ", goal);
	key_text(f, "verdict", verdict_name(v->state));
	if (v->why) {
		fputs(", ", f);
		key_text(f, "why", v->why);
	}
	fputs("},\n", f);
}

static void object(FILE *f, const struct demo *demo)
{
	const struct config *c = demo->config;

	fputs("{", f);
	key_text(f, "program", "rt-vmm demo");
	fputs(", ", f);
	key_text(f, "plan", c->plan);
	fprintf(f, ",\n  \"vcpus\": %u, \"interval_us\": %u, \"work_us\": %u, \"duration_s\": %u, "
		"\"rounds\": %u, \"load_processes\": %u,\n", c->vcpus, c->interval_us, c->work_us,
		c->duration_s, demo->cases[0].rounds, DEMO_LOAD_PER_CPU * CPU_COUNT(&c->usable_cpus));
	fputs("  \"null_control\": {", f);
	key_number(f, "ratio", demo->null_ratio);
	fprintf(f, ", \"low\": %.1f, \"high\": %.1f, \"verdict\": \"%s\"},\n", NULL_LOW, NULL_HIGH,
		demo->noisy ? "too noisy" : "good");
	verdict(f, "librtkvm_to_plain_p99", &demo->plain, GOAL_PLAIN);
	verdict(f, "librtkvm_to_hand_p99", &demo->hand, GOAL_HAND);
	fputs("  ", f);
	key_number(f, "seconds", demo->seconds);
	fputs(", ", f);
	key_text(f, demo->plotted ? "plot" : "no_plot", demo->plot);
	fputs(",\n  \"cases\": [\n", f);
	for (int i = 0; i < CASES; i++) {
		one_case(f, &demo->cases[i]);
		fputs(i + 1 < CASES ? ",\n" : "\n", f);
	}
	fputs("  ]\n}\n", f);
}

int json_print(const struct demo *demo, const char *path)
{
	FILE *f = path ? fopen(path, "we") : stdout;

	if (!f)
		return fail("%s: %m", path);
	object(f, demo);
	if (!path)
		return fflush(f);
	if (fclose(f))
		return fail("%s: %m", path);
	return 0;
}
