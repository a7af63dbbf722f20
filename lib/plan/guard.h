/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guards: what makes a plan harmful or impossible on this host. Each looks at
 * facts and says what it found; what follows from it (refuse, warn, nothing)
 * is in guard.c alone.
 */
#ifndef RTKVM_PLAN_GUARD_H
#define RTKVM_PLAN_GUARD_H

#include "plan.h"

/* What a guard has to say. */
struct plan_finding {
	char reason[512]; /* with the measured value */
	char where[256];  /* file; "" for none */
	char remedy[256];
};

enum {
	PLAN_GUARD_FINE,
	PLAN_GUARD_OBJECTS,
	PLAN_GUARD_UNKNOWN /* the facts cannot be read */
};

/* Another process that the plan is for, and the CPUs of each of its vCPU threads. */
struct plan_other {
	pid_t pid;
	struct rtkvm_cpus *sets;
	unsigned int count;
};

/* What all guards look at. */
struct plan_facts {
	struct rtkvm_plan *plan;
	const struct plan_other *other; /* NULL: the own process */
	unsigned int vcpus;         /* vCPU threads that there are or will be, but for: */
	unsigned int dedicated;     /* those whose guests run on dedicated CPUs, and which sleep */
	bool cpus_known;
	struct rtkvm_cpus cpus;     /* of all vCPU threads */
	struct rtkvm_cpus process;  /* of the process, the default of each thread */
	struct plan_sched_want vcpu;
};

typedef int plan_guard_fn(const struct plan_facts *facts, struct plan_finding *found);

plan_guard_fn plan_guard_overcommit;
plan_guard_fn plan_guard_kthreads;
plan_guard_fn plan_guard_throttle;
plan_guard_fn plan_guard_privilege;
plan_guard_fn plan_guard_top;

/* Do all guests run elsewhere? Then no vCPU thread spins; found->reason says so. */
bool plan_guard_none_spins(const struct plan_facts *facts, struct plan_finding *found);

/* May this process make a thread (NULL: any of its) real-time? If not, why. */
bool plan_guard_may_raise(struct rtkvm_plan *plan, int priority, const struct plan_thread *thread,
			  struct plan_finding *found);

/*
 * An item per guard, as plan_guards(), about another process (NULL: the own one, for
 * so many vCPUs). -EPERM, with the error recorded, if one refuses.
 */
int plan_guards_of(struct rtkvm_plan *plan, const struct plan_other *other, unsigned int vcpus,
		   struct rtkvm_report *report);

/*
 * Value of a "Key:\tvalue" line of /proc/PID/status, copied without blanks
 * around it. false: there is none, or it does not fit.
 */
bool plan_status_value(const char *status, const char *key, char *value, size_t size);

#endif
