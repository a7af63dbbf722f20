/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Results of rtkvm doctor for people: a table, worst first, colour on a
 * terminal alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

struct paint {
	const char *on, *off;
};

static bool colour(FILE *f)
{
	const char *term = getenv("TERM");

	return isatty(fileno(f)) && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
}

static struct paint paint_of(int verdict, bool colours)
{
	static const char *const codes[] = { "\033[32m", "\033[33m", "\033[1;31m", "\033[2m",
					     "\033[36m" };
	struct paint p = { "", "" };

	if (colours && verdict >= 0 && verdict < 5) {
		p.on = codes[verdict];
		p.off = "\033[0m";
	}
	return p;
}

/* "not applicable" is too long for a column. */
static const char *word(int verdict)
{
	return verdict == RTKVM_VERDICT_NOT_APPLICABLE ? "n/a" : rtkvm_verdict_name(verdict);
}

const char *doctor_remedy_kind(const struct rtkvm_check *check)
{
	switch (rtkvm_check_remedy_kind(check)) {
	case RTKVM_REMEDY_COMMAND:
		return "command";
	case RTKVM_REMEDY_BOOT:
		return "boot";
	case RTKVM_REMEDY_MANUAL:
		return "manual";
	default:
		return "";
	}
}

static void print_remedy(const struct rtkvm_check *check, const char *indent, FILE *f)
{
	const char *remedy = rtkvm_check_remedy(check);

	switch (rtkvm_check_remedy_kind(check)) {
	case RTKVM_REMEDY_COMMAND:
		fprintf(f, "%s# %s\n", indent, remedy);
		break;
	case RTKVM_REMEDY_BOOT:
		fprintf(f, "%skernel command line: %s\n", indent, remedy);
		break;
	case RTKVM_REMEDY_MANUAL:
		fprintf(f, "%s%s\n", indent, remedy);
		break;
	default:
		break;
	}
}

static void print_cpus(const struct rtkvm_host *host, FILE *f)
{
	char online[4096], realtime[4096];
	int some = rtkvm_host_get_cpus(host, RTKVM_CPUS_REALTIME, realtime, sizeof(realtime));

	if (rtkvm_host_get_cpus(host, RTKVM_CPUS_ONLINE, online, sizeof(online)) < 0)
		return;
	fprintf(f, "CPUs %s, meant for real-time: %s\n\n", online, some > 0 ? realtime : "none");
}

static size_t widest(const struct doctor_results *r)
{
	size_t width = 0;

	for (size_t i = 0; i < r->count; i++)
		if (strlen(rtkvm_check_id(r->check[i])) > width)
			width = strlen(rtkvm_check_id(r->check[i]));
	return width;
}

void doctor_print_text(const struct doctor_results *r, const struct doctor_arguments *a, FILE *f)
{
	size_t hidden = 0, root = 0, n[5];
	int width = (int)widest(r);
	bool colours = colour(f);

	if (!a->check)
		print_cpus(r->host, f);
	for (size_t i = 0; i < r->count; i++) {
		const struct rtkvm_check *check = r->check[i];
		int verdict = rtkvm_check_verdict(check);
		struct paint p = paint_of(verdict, colours);

		root += rtkvm_check_needs_root(check) != 0;
		if (!a->all && !a->check &&
		    (verdict == RTKVM_VERDICT_OK || verdict == RTKVM_VERDICT_NOT_APPLICABLE)) {
			hidden++;
			continue;
		}
		fprintf(f, "%s%-7s%s %-*s  %s\n", p.on, word(verdict), p.off, width,
			rtkvm_check_id(check), rtkvm_check_value(check));
		print_remedy(check, "        ", f);
	}
	if (a->check)
		return;
	for (int v = 0; v < 5; v++)
		n[v] = rtkvm_host_count_verdict(r->host, v);
	fprintf(f, "\n%zu fail, %zu warn, %zu unknown, %zu ok, %zu not applicable%s\n",
		n[RTKVM_VERDICT_FAIL], n[RTKVM_VERDICT_WARN], n[RTKVM_VERDICT_UNKNOWN],
		n[RTKVM_VERDICT_OK], n[RTKVM_VERDICT_NOT_APPLICABLE],
		hidden ? " (the last two: --all)" : "");
	if (root)
		fprintf(f, "not root: root would see more of %zu checks\n", root);
}

void doctor_print_explain(const struct rtkvm_check *check, FILE *f)
{
	fprintf(f, "%s: %s\n\n", rtkvm_check_id(check), rtkvm_check_title(check));
	fprintf(f, "now     %s: %s\n", rtkvm_verdict_name(rtkvm_check_verdict(check)),
		rtkvm_check_value(check));
	fprintf(f, "why     %s\n", rtkvm_check_why(check));
	fprintf(f, "source  %s\n", rtkvm_check_source(check));
	if (rtkvm_check_remedy_kind(check) != RTKVM_REMEDY_NONE)
		print_remedy(check, "remedy  ", f);
	if (rtkvm_check_needs_root(check))
		fprintf(f, "root would see more\n");
}
