/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file report.h
 * Reports: what became of each feature that was asked for.
 *
 * An "enable" call never claims. Its report has one item per feature with a
 * state and the reason for it; "verified" means that the effect was observed,
 * not that a call returned 0.
 */
#ifndef RTKVM_REPORT_H
#define RTKVM_REPORT_H

#include <stddef.h>

#include <rtkvm/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A report. Opaque; owned by the caller that received it. */
struct rtkvm_report;

/** One line of a report; lives as long as its report. */
struct rtkvm_report_item;

/** States of a feature. */
enum {
	RTKVM_STATE_OFF = 0,         /**< not in effect; the reason says why */
	RTKVM_STATE_ACCEPTED = 1,    /**< the kernel took it; its effect was not looked at yet */
	RTKVM_STATE_VERIFIED = 2,    /**< its effect was observed */
	RTKVM_STATE_UNVERIFIABLE = 3 /**< taken, and nothing here could show its effect */
};

/**
 * Name of a state: "off", "accepted", "verified", "unverifiable"; "unknown"
 * for any other number. Static storage.
 */
RTKVM_API const char *rtkvm_report_state_name(int state);

/** Number of items; 0 for NULL. */
RTKVM_API size_t rtkvm_report_count(const struct rtkvm_report *report);

/**
 * Walk through a report in the order in which the items were made.
 *
 * @param report the report; NULL gives NULL
 * @param item the item before; NULL for the first
 * @return the next item, or NULL after the last
 *
 * RT class: RT-safe. Thread safety: a report does not change once received.
 */
RTKVM_API const struct rtkvm_report_item *
rtkvm_report_next(const struct rtkvm_report *report, const struct rtkvm_report_item *item);

/** The item of that feature, or NULL; the last one if there are several. */
RTKVM_API const struct rtkvm_report_item *rtkvm_report_find(const struct rtkvm_report *report,
							    const char *feature);

/** Feature that the item is about, e.g. "halt-poll". Never NULL ("" for NULL). */
RTKVM_API const char *rtkvm_report_item_feature(const struct rtkvm_report_item *item);

/** State, one of RTKVM_STATE_*; RTKVM_STATE_OFF for NULL. */
RTKVM_API int rtkvm_report_item_state(const struct rtkvm_report_item *item);

/** Why it is in that state, in one line. Never NULL. */
RTKVM_API const char *rtkvm_report_item_reason(const struct rtkvm_report_item *item);

/** 1 when the item needs attention (something asked for did not come about), else 0. */
RTKVM_API int rtkvm_report_item_problem(const struct rtkvm_report_item *item);

/** Number of items that need attention. */
RTKVM_API size_t rtkvm_report_problems(const struct rtkvm_report *report);

/** Free a report and its items; NULL is ignored. RT class: set-up. */
RTKVM_API void rtkvm_report_free(struct rtkvm_report *report);

#ifdef __cplusplus
}
#endif

#endif
