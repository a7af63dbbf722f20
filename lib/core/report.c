/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reports: a list of (feature, state, reason, problem), made by the modules
 * and walked by the caller.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "reports.h"

struct rtkvm_report_item {
	struct rtkvm_report_item *next;
	char *feature;
	char *reason;
	int state;
	bool problem;
};

struct rtkvm_report {
	struct rtkvm_report_item *first;
	struct rtkvm_report_item **end;
	size_t count;
	bool lost; /* an item could not be added */
};

struct rtkvm_report *rtkvm_report_new(void)
{
	struct rtkvm_report *report = calloc(1, sizeof(*report));

	if (report)
		report->end = &report->first;
	return report;
}

void rtkvm_report_add(struct rtkvm_report *report, const char *feature, int state, bool problem,
		      const char *fmt, ...)
{
	struct rtkvm_report_item *item;
	va_list ap;
	int len;

	if (!report)
		return;
	item = calloc(1, sizeof(*item));
	if (!item) {
		report->lost = true;
		return;
	}
	item->feature = strdup(feature);
	va_start(ap, fmt);
	len = vasprintf(&item->reason, fmt, ap);
	va_end(ap);
	if (len < 0)
		item->reason = NULL;
	if (!item->feature || !item->reason) {
		free(item->feature);
		free(item->reason);
		free(item);
		report->lost = true;
		return;
	}
	item->state = state;
	item->problem = problem;
	*report->end = item;
	report->end = &item->next;
	report->count++;
}

int rtkvm_report_finish(struct rtkvm_report *report, struct rtkvm_report **out)
{
	if (out)
		*out = NULL;
	if (!report || report->lost) {
		rtkvm_report_free(report);
		return out ? rtkvm_fail(NULL, ENOMEM, NULL, NULL, "no memory for a report") : 0;
	}
	if (out)
		*out = report;
	else
		rtkvm_report_free(report);
	return 0;
}

const char *rtkvm_report_state_name(int state)
{
	switch (state) {
	case RTKVM_STATE_OFF:
		return "off";
	case RTKVM_STATE_ACCEPTED:
		return "accepted";
	case RTKVM_STATE_VERIFIED:
		return "verified";
	case RTKVM_STATE_UNVERIFIABLE:
		return "unverifiable";
	default:
		return "unknown";
	}
}

size_t rtkvm_report_count(const struct rtkvm_report *report)
{
	return report ? report->count : 0;
}

const struct rtkvm_report_item *rtkvm_report_next(const struct rtkvm_report *report,
						  const struct rtkvm_report_item *item)
{
	if (item)
		return item->next;
	return report ? report->first : NULL;
}

const struct rtkvm_report_item *rtkvm_report_find(const struct rtkvm_report *report,
						  const char *feature)
{
	const struct rtkvm_report_item *found = NULL, *item = NULL;

	while (feature && (item = rtkvm_report_next(report, item)))
		if (!strcmp(item->feature, feature))
			found = item;
	return found;
}

const char *rtkvm_report_item_feature(const struct rtkvm_report_item *item)
{
	return item ? item->feature : "";
}

int rtkvm_report_item_state(const struct rtkvm_report_item *item)
{
	return item ? item->state : RTKVM_STATE_OFF;
}

const char *rtkvm_report_item_reason(const struct rtkvm_report_item *item)
{
	return item ? item->reason : "";
}

int rtkvm_report_item_problem(const struct rtkvm_report_item *item)
{
	return item && item->problem;
}

size_t rtkvm_report_problems(const struct rtkvm_report *report)
{
	const struct rtkvm_report_item *item = NULL;
	size_t n = 0;

	while ((item = rtkvm_report_next(report, item)))
		n += item->problem;
	return n;
}

void rtkvm_report_free(struct rtkvm_report *report)
{
	if (!report)
		return;
	while (report->first) {
		struct rtkvm_report_item *item = report->first;

		report->first = item->next;
		free(item->feature);
		free(item->reason);
		free(item);
	}
	free(report);
}
