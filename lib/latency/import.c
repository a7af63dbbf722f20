/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading cyclictest's histogram text, its own or ours: first thread only.
 * The text is checked as a whole before the first value is added.
 *
 * cyclictest keeps no values above its histogram's end, just their number and
 * the maximum. They are counted at the maximum, so that no percentile comes
 * out lower than it was; the mean is taken from the file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "recorder.h"

#define NS_PER_US 1000
#define MAX_US (RTKVM_LATENCY_MAX_NS / NS_PER_US)

/* A figure of the trailing comments. */
struct figure {
	bool given;
	uint64_t value;
	unsigned int line;
};

struct parse {
	struct rtkvm *rt;
	struct rtkvm_latency *into; /* NULL in the pass that checks */
	unsigned int line;
	bool histogram;             /* header or a bucket seen */
	uint64_t next_us;           /* a bucket must not be below */
	uint64_t count, sum_us;     /* of the buckets */
	uint64_t first_us, last_us; /* buckets with values */
	struct figure total, min, avg, max, overflows;
};

static int refuse(const struct parse *p, unsigned int line, const char *what)
{
	char where[32];

	snprintf(where, sizeof(where), "line %u", line);
	return rtkvm_fail(p->rt, EINVAL, where,
			  "give the output of cyclictest --histogram in microseconds", "%s", what);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static bool at_end(const char *s)
{
	return *s == '\0' || *s == '\n' || (*s == '\r' && (s[1] == '\n' || s[1] == '\0'));
}

/* A decimal number that ends at white space or the line's end; *s moves behind it. */
static bool number(const char **s, uint64_t *value)
{
	const char *p = *s;
	uint64_t v = 0;

	while (is_space(*p))
		p++;
	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	if (!is_space(*p) && !at_end(p))
		return false;
	*s = p;
	*value = v;
	return true;
}

static int bucket_line(struct parse *p, const char *s)
{
	uint64_t us, count, other, part;

	if (!number(&s, &us) || !number(&s, &count))
		return refuse(p, p->line, "not \"microseconds count\"");
	while (is_space(*s))
		s++;
	while (!at_end(s)) {
		/* other threads, or their sum */
		if (!number(&s, &other))
			return refuse(p, p->line, "a column is not a number");
		while (is_space(*s))
			s++;
	}
	if (us > MAX_US)
		return refuse(p, p->line, "a latency above 10 s");
	if (us < p->next_us)
		return refuse(p, p->line, "latencies do not rise: is it one histogram?");
	if (__builtin_add_overflow(p->count, count, &p->count) ||
	    __builtin_mul_overflow(us, count, &part) ||
	    __builtin_add_overflow(p->sum_us, part, &p->sum_us))
		return refuse(p, p->line, "more values than can be counted");
	p->histogram = true;
	p->next_us = us + 1;
	if (!count)
		return 0;
	if (p->count == count)
		p->first_us = us;
	p->last_us = us;
	if (p->into)
		latency_add(p->into, us * NS_PER_US, count);
	return 0;
}

static int comment_line(struct parse *p, const char *s)
{
	const struct {
		const char *label;
		struct figure *figure;
	} figures[] = {
		{ "# Total:", &p->total },
		{ "# Min Latencies:", &p->min },
		{ "# Avg Latencies:", &p->avg },
		{ "# Max Latencies:", &p->max },
		{ "# Histogram Overflows:", &p->overflows },
	};

	if (!strncmp(s, "# Histogram", 11) && at_end(s + 11)) {
		if (p->histogram)
			return refuse(p, p->line, "a second histogram begins");
		p->histogram = true;
	}
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		size_t len = strlen(figures[i].label);

		if (strncmp(s, figures[i].label, len))
			continue;
		s += len;
		if (figures[i].figure->given)
			return refuse(p, p->line, "a figure is given twice");
		if (!number(&s, &figures[i].figure->value))
			return refuse(p, p->line, "a figure without a number");
		figures[i].figure->given = true;
		figures[i].figure->line = p->line;
		return 0;
	}
	return 0;
}

static int one_line(struct parse *p, const char *s)
{
	if (at_end(s))
		return 0;
	if (*s == '#')
		return comment_line(p, s);
	/* the status that cyclictest repeats without --quiet, cursor movements included */
	if (*s == '\033' || !strncmp(s, "T:", 2) || !strncmp(s, "policy:", 7))
		return 0;
	return bucket_line(p, s);
}

static int all_lines(struct parse *p, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		int ret;

		if (p->line == UINT32_MAX)
			return refuse(p, p->line, "more lines than can be counted");
		p->line++;
		ret = one_line(p, text);
		if (ret < 0)
			return ret;
		text += len + (text[len] == '\n');
	}
	return 0;
}

/* cyclictest without a single cycle leaves nonsense in its figures: look at none of them. */
static bool has_values(const struct parse *p)
{
	return p->count || (p->overflows.given && p->overflows.value);
}

static uint64_t kept(uint64_t us)
{
	return us > MAX_US ? MAX_US : us;
}

static int check_extremes(const struct parse *p)
{
	uint64_t min = p->min.given ? p->min.value : p->count ? p->first_us : 0;
	uint64_t max = p->max.given ? p->max.value : p->last_us;

	if (p->count && min > p->first_us)
		return refuse(p, p->min.line, "the minimum is above the first latency");
	if (p->count && max < p->last_us)
		return refuse(p, p->max.line, "the maximum is below the last latency");
	if (max > UINT64_MAX / NS_PER_US)
		return refuse(p, p->max.line, "the maximum is no latency");
	if (min > max)
		return refuse(p, p->min.line, "the minimum is above the maximum");
	/* in means an overflow of ours counts as 10 s */
	if (p->avg.given && (p->avg.value < kept(min) || p->avg.value > max))
		return refuse(p, p->avg.line, "the average is not between minimum and maximum");
	return 0;
}

static int check(const struct parse *p)
{
	if (!p->histogram)
		return refuse(p, p->line, "the text ends without a histogram");
	if (p->total.given && p->total.value != p->count)
		return refuse(p, p->total.line, "the counts do not add up to the total");
	if (!has_values(p))
		return 0;
	if (p->overflows.given && p->overflows.value && !p->max.given)
		return refuse(p, p->overflows.line, "overflows without a maximum");
	return check_extremes(p);
}

/* Values and nanoseconds of the file as they will be added. */
static int measure(const struct parse *p, uint64_t *count, uint64_t *sum)
{
	uint64_t over = p->overflows.given ? p->overflows.value : 0;
	uint64_t part;

	if (__builtin_mul_overflow(over, kept(p->max.value), &part) ||
	    __builtin_add_overflow(p->sum_us, part, sum) ||
	    __builtin_mul_overflow(*sum, (uint64_t)NS_PER_US, sum) ||
	    __builtin_add_overflow(p->count, over, count) ||
	    /* latency 0 counts as 1 ns */
	    __builtin_add_overflow(*sum, *count, &part))
		return refuse(p, p->line, "more values than can be counted");
	return 0;
}

/*
 * The file's mean where the buckets have another one; they only know
 * microseconds. Not below the minimum: a file without one, whose values are
 * overflows, has a mean but no values that make it.
 */
static uint64_t better_sum(const struct parse *p, const struct latency_figures *f)
{
	uint64_t avg = kept(p->avg.value) * NS_PER_US, better;

	if (!p->avg.given || f->sum / f->count / NS_PER_US * NS_PER_US == avg || avg < f->min ||
	    __builtin_mul_overflow(avg, f->count, &better))
		return f->sum;
	return better;
}

static void add_figures(const struct parse *p, struct rtkvm_latency *into)
{
	struct latency_figures *f = &into->figures;

	if (p->overflows.given && p->overflows.value)
		latency_add(into, p->max.value * NS_PER_US, p->overflows.value);
	if (!f->count)
		return;
	if (p->min.given)
		f->min = p->min.value ? p->min.value * NS_PER_US : 1;
	if (p->max.given && p->max.value * NS_PER_US > f->max)
		f->max = p->max.value * NS_PER_US;
	f->sum = better_sum(p, f);
}

int rtkvm_latency_import(struct rtkvm_latency *latency, const char *text)
{
	struct parse p = { .rt = latency ? latency->rt : NULL };
	struct rtkvm_latency *values;
	uint64_t count, sum;
	int ret;

	if (!latency || !text)
		return rtkvm_fail(p.rt, EINVAL, "rtkvm_latency_import", NULL, "%s is NULL",
				  latency ? "text" : "latency");
	ret = all_lines(&p, text);
	if (ret == 0)
		ret = check(&p);
	if (ret == 0)
		ret = measure(&p, &count, &sum);
	if (ret < 0)
		return ret;
	values = latency_alloc(latency->rt, latency->name);
	if (!values)
		return -ENOMEM;
	values->coarse = true;
	p = (struct parse){ .rt = latency->rt, .into = values };
	all_lines(&p, text);
	add_figures(&p, values);
	ret = rtkvm_latency_merge(latency, values);
	rtkvm_latency_free(values);
	return ret;
}
