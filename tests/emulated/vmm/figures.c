/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All figures of a run: what the payload tells, what the meters counted, what
 * is derived; printing them, holding the meters to each other, and the
 * expectations of --expect.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm.h"

#define MAX_FIGURES 512
#define MAX_EXPECTATIONS 32

struct figure {
	char name[64], value[96];
};

static struct figure figures[MAX_FIGURES];
static unsigned int figure_count;

struct expectation {
	char name[64], relation[3];
	double value;
};

static struct expectation expectations[MAX_EXPECTATIONS];
static unsigned int expectation_count;

void figures_add(const char *name, const char *value)
{
	if (figure_count == MAX_FIGURES) {
		complain("more than %d figures", MAX_FIGURES);
		return;
	}
	snprintf(figures[figure_count].name, sizeof(figures[0].name), "%s", name);
	snprintf(figures[figure_count++].value, sizeof(figures[0].value), "%s", value);
}

static const struct figure *find(const char *name)
{
	for (unsigned int i = 0; i < figure_count; i++) {
		if (!strcmp(figures[i].name, name))
			return &figures[i];
	}
	return NULL;
}

static double value_of(const char *name, double otherwise)
{
	const struct figure *f = find(name);

	return f ? strtod(f->value, NULL) : otherwise;
}

void figures_text(struct vmm *m, const char *text, size_t n)
{
	static char line[160];
	static size_t length;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < n; i++) {
		char name[64], *space;

		if (text[i] != '\n') {
			if (length < sizeof(line) - 1)
				line[length++] = text[i];
			continue;
		}
		line[length] = 0;
		length = 0;
		space = strchr(line, ' ');
		if (space)
			*space++ = 0;
		snprintf(name, sizeof(name), "guest.%.50s", line);
		figures_add(name, space ? space : "");
		/* as it comes: the last words of a payload that hangs */
		printf("%s %s\n", name, space ? space : "");
		fflush(stdout);
	}
	pthread_mutex_unlock(&m->lock);
}

/* The write of the end mark is an exit of its own, which is not the guest's doing. */
static void forget_mark(struct counters *c, const char *const names[])
{
	if (c->exits)
		c->exits--;
	for (; *names; names++) {
		struct counter *found = counters_find(c, *names);

		if (found && found->value)
			found->value--;
	}
}

static void add_counters(const char *vcpu, const char *meter, const struct counters *c)
{
	char name[64], value[24];

	for (unsigned int i = 0; i < c->n; i++) {
		if (!c->at[i].value)
			continue;
		snprintf(name, sizeof(name), "%s.%s.%.40s", vcpu, meter, c->at[i].name);
		snprintf(value, sizeof(value), "%llu", (unsigned long long)c->at[i].value);
		figures_add(name, value);
	}
}

static void add_vcpu(struct vcpu *v, double events)
{
	static const char *const in_stats[] = { "exits", "io_exits", NULL };
	static const char *const in_trace[] = { "io", "IO_INSTRUCTION", NULL };
	char vcpu[16], name[64], value[32];

	snprintf(vcpu, sizeof(vcpu), "vcpu%u", v->index);
	if (v->stats.there) {
		forget_mark(&v->stats, in_stats);
		snprintf(name, sizeof(name), "%s.exits", vcpu);
		snprintf(value, sizeof(value), "%llu", (unsigned long long)v->stats.exits);
		figures_add(name, value);
		if (events > 0) {
			snprintf(name, sizeof(name), "%s.exits_per_event", vcpu);
			snprintf(value, sizeof(value), "%.3f", (double)v->stats.exits / events);
			figures_add(name, value);
		}
		add_counters(vcpu, "stats", &v->stats);
	}
	if (v->trace.there) {
		forget_mark(&v->trace, in_trace);
		snprintf(name, sizeof(name), "%s.trace.exits", vcpu);
		snprintf(value, sizeof(value), "%llu", (unsigned long long)v->trace.exits);
		figures_add(name, value);
		add_counters(vcpu, "trace", &v->trace);
	} else if (*v->trace.why_not) {
		snprintf(name, sizeof(name), "%s.trace.absent", vcpu);
		figures_add(name, v->trace.why_not);
	}
}

void figures_print(struct vmm *m)
{
	unsigned int told = figure_count;

	if (m->fired) {
		char value[24];

		snprintf(value, sizeof(value), "%llu", (unsigned long long)m->fired);
		figures_add("fired", value);
	}
	if (m->accesses) {
		char value[24];

		snprintf(value, sizeof(value), "%u", m->accesses);
		figures_add("accesses", value);
	}
	if (m->counted) {
		for (unsigned int i = 0; i < m->vcpus; i++)
			add_vcpu(&m->vcpu[i], value_of("guest.events", 0));
	}
	rt_report();
	for (unsigned int i = told; i < figure_count; i++)
		printf("%s %s\n", figures[i].name, figures[i].value);
	fflush(stdout);
}

/* ---- the meters against each other */

static uint64_t of_any(struct counters *c, const char *const names[])
{
	uint64_t sum = 0;

	for (; *names; names++) {
		struct counter *found = counters_find(c, *names);

		sum += found ? found->value : 0;
	}
	return sum;
}

static int meters_of(struct vcpu *v)
{
	static const struct {
		const char *stat, *reasons[3];
	} same[] = {
		{ "io_exits", { "io", "IO_INSTRUCTION", NULL } },
		{ "irq_exits", { "interrupt", "EXTERNAL_INTERRUPT", NULL } },
		{ "halt_exits", { "hlt", "HLT", NULL } },
		{ "irq_window_exits", { "vintr", "INTERRUPT_WINDOW", NULL } },
		{ "hypercalls", { "hypercall", "VMCALL", NULL } },
	};
	/*
	 * Tracepoints are silent on a CPU that has left Linux. The thread traces the last exit
	 * of each dispatch, so those are missing after which the CPU has entered again.
	 */
	static const char *const there[] = { "ded_fastpath", NULL };
	uint64_t silent = of_any(&v->stats, there);
	int differ = 0;

	if (v->stats.exits != v->trace.exits + silent) {
		complain("vCPU %u: the meters differ: %llu exits by KVM's statistics, %llu by "
			 "tracepoints, %llu handled on a dedicated CPU", v->index,
			 (unsigned long long)v->stats.exits, (unsigned long long)v->trace.exits,
			 (unsigned long long)silent);
		differ++;
	}
	for (unsigned int i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct counter *stat = counters_find(&v->stats, same[i].stat);
		uint64_t traced = of_any(&v->trace, same[i].reasons);

		if (!stat || stat->value == traced)
			continue;
		complain("vCPU %u: the meters differ: %s %llu by KVM's statistics, %llu by "
			 "tracepoints", v->index, same[i].stat,
			 (unsigned long long)stat->value, (unsigned long long)traced);
		differ++;
	}
	return differ;
}

int figures_meters(struct vmm *m)
{
	int differ = 0, compared = 0;

	for (unsigned int i = 0; i < m->vcpus; i++) {
		if (!m->vcpu[i].stats.there || !m->vcpu[i].trace.there)
			continue;
		differ += meters_of(&m->vcpu[i]);
		compared++;
	}
	differ += rt_compare(m);
	if (compared)
		printf("meters %s\n", differ ? "differ" : "agree");
	return differ;
}

/* ---- expectations */

int figures_expect(const char *text)
{
	struct expectation *e = &expectations[expectation_count];
	const char *at = strpbrk(text, "<>=");
	char *end;

	if (expectation_count == MAX_EXPECTATIONS)
		return complain("more than %d expectations", MAX_EXPECTATIONS);
	if (!at || at == text || at[1] != '=' || (size_t)(at - text) >= sizeof(e->name))
		return complain("--expect '%s': NAME<=X, NAME>=X or NAME==X", text);
	snprintf(e->name, sizeof(e->name), "%.*s", (int)(at - text), text);
	snprintf(e->relation, sizeof(e->relation), "%.2s", at);
	e->value = strtod(at + 2, &end);
	if (end == at + 2 || *end)
		return complain("--expect '%s': '%s' is no number", text, at + 2);
	expectation_count++;
	return 0;
}

static bool holds(const struct expectation *e, double value)
{
	switch (e->relation[0]) {
	case '<':
		return value <= e->value;
	case '>':
		return value >= e->value;
	default:
		return value == e->value;
	}
}

/* That there were few exits says nothing when there was nothing to exit for. */
static bool says_nothing(const struct expectation *e)
{
	double events = value_of("guest.events", 0);

	return e->relation[0] != '>' && strstr(e->name, "exits") &&
	       (events <= 0 || value_of("guest.taken", 0) < events);
}

int figures_check(void)
{
	int failed = 0;

	for (unsigned int i = 0; i < expectation_count; i++) {
		const struct expectation *e = &expectations[i];
		const struct figure *f = find(e->name);

		if (!f)
			complain("expected %s%s%g: there is no such figure", e->name, e->relation,
				 e->value);
		else if (!holds(e, strtod(f->value, NULL)))
			complain("expected %s%s%g: it is %s", e->name, e->relation, e->value,
				 f->value);
		else if (says_nothing(e))
			complain("expected %s%s%g: it is %s, but no event was taken", e->name,
				 e->relation, e->value, f->value);
		else
			continue;
		failed++;
	}
	return failed;
}
