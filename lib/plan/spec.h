/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a plan says: the option string as data, and the role table that
 * follows from it. Nothing here knows of threads.
 */
#ifndef RTKVM_PLAN_SPEC_H
#define RTKVM_PLAN_SPEC_H

#include <rtkvm/plan.h>

#include "core/core.h"

/* The options in reference order. */
enum { PLAN_MAXPRIO, PLAN_POLICY, PLAN_AIOPRIO, PLAN_AIOPOLICY, PLAN_PVSCHED, PLAN_KEYS };

/* What was said, so that it can be said again; PLAN_UNSAID where nothing was. */
#define PLAN_UNSAID (-1)

struct plan_spec {
	int value[PLAN_KEYS]; /* numbers, RTKVM_POLICY_*, 0 or 1 */
};

struct plan_sched_want {
	int policy;   /* RTKVM_POLICY_* */
	int priority; /* 0 for RTKVM_POLICY_TS */
};

int plan_spec_parse(struct rtkvm *rt, const char *text, struct plan_spec *spec);

/* As snprintf(3). */
int plan_spec_print(const struct plan_spec *spec, char *buf, size_t len);

/* What a role runs as. */
struct plan_sched_want plan_spec_role(const struct plan_spec *spec, int role);

/* Any role with a real-time policy? */
bool plan_spec_realtime(const struct plan_spec *spec);

/* "ff", "rr" or "ts". */
const char *plan_policy_name(int policy);

/* "main", "io", ...; the name of a role in reports. */
const char *plan_role_name(int role);

#endif
