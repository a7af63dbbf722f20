/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the option string to the role table (Kiszka 2009, section 4: main and
 * I/O threads on top, vCPUs one below, AIO apart, the rest SCHED_OTHER).
 */
#include "spec.h"

static struct plan_sched_want want(int policy, int priority)
{
	struct plan_sched_want w = { policy, policy == RTKVM_POLICY_TS ? 0 : priority };

	return w;
}

struct plan_sched_want plan_spec_role(const struct plan_spec *spec, int role)
{
	const int *v = spec->value;
	int policy = v[PLAN_POLICY] == PLAN_UNSAID ? RTKVM_POLICY_FF : v[PLAN_POLICY];

	switch (role) {
	case RTKVM_ROLE_MAIN:
	case RTKVM_ROLE_IO:
		return want(policy, v[PLAN_MAXPRIO]);
	case RTKVM_ROLE_VCPU:
		return want(policy, v[PLAN_MAXPRIO] - 1);
	case RTKVM_ROLE_AIO:
		return want(v[PLAN_AIOPOLICY] == PLAN_UNSAID ? policy : v[PLAN_AIOPOLICY],
			    v[PLAN_AIOPRIO] == PLAN_UNSAID ? v[PLAN_MAXPRIO] : v[PLAN_AIOPRIO]);
	default:
		return want(RTKVM_POLICY_TS, 0);
	}
}

bool plan_spec_realtime(const struct plan_spec *spec)
{
	for (int role = 0; role < RTKVM_ROLE_COUNT; role++)
		if (plan_spec_role(spec, role).policy != RTKVM_POLICY_TS)
			return true;
	return false;
}
