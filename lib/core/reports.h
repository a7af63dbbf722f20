/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making reports (reading them is public: rtkvm/report.h).
 */
#ifndef RTKVM_REPORTS_H
#define RTKVM_REPORTS_H

#include <stdbool.h>

#include <rtkvm/report.h>

/* NULL without memory. */
struct rtkvm_report *rtkvm_report_new(void);

/*
 * Add an item. Without memory the report is marked and rtkvm_report_finish()
 * fails, so callers need not check each addition. NULL report: ignored.
 */
void rtkvm_report_add(struct rtkvm_report *report, const char *feature, int state, bool problem,
		      const char *fmt, ...) RTKVM_PRINTF(5, 6);

/*
 * Hand a report over: *out = report (freed if out is NULL). -ENOMEM, with
 * *out NULL, if an item got lost or report is NULL.
 */
int rtkvm_report_finish(struct rtkvm_report *report, struct rtkvm_report **out);

#endif
