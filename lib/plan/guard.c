/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guards together: facts gathered once, each guard asked, and what
 * follows. The guards themselves are in guard-*.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "guard.h"

static const struct {
	unsigned int bit;
	bool refuses; /* else it warns */
	const char *feature;
	plan_guard_fn *ask;
} guards[] = {
	{ RTKVM_GUARD_OVERCOMMIT, true, "guard-overcommit", plan_guard_overcommit },
	{ RTKVM_GUARD_KTHREADS, true, "guard-kthreads", plan_guard_kthreads },
	{ RTKVM_GUARD_THROTTLE, false, "guard-throttle", plan_guard_throttle },
	{ RTKVM_GUARD_PRIVILEGE, true, "guard-privilege", plan_guard_privilege },
	{ RTKVM_GUARD_TOP, false, "guard-top", plan_guard_top },
};

bool plan_status_value(const char *status, const char *key, char *value, size_t size)
{
	size_t key_len = strlen(key), len;

	while (status) {
		const char *line = status;

		status = strchr(line, '\n');
		if (status)
			status++;
		if (strncmp(line, key, key_len) || line[key_len] != ':')
			continue;
		line += key_len + 1;
		line += strspn(line, " \t");
		len = strcspn(line, "\n");
		while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
			len--;
		if (len >= size)
			return false;
		memcpy(value, line, len);
		value[len] = '\0';
		return true;
	}
	return false;
}

static bool process_cpus(const struct plan_facts *facts, struct rtkvm_cpus *cpus)
{
	char status[8192], list[RTKVM_CPULIST_TEXT], path[64] = "/proc/self/status";

	rtkvm_cpus_clear(cpus);
	if (facts->other)
		snprintf(path, sizeof(path), "/proc/%d/status", facts->other->pid);
	if (rtkvm_file_read_quiet(facts->plan->rt, path, status, sizeof(status)) < 0)
		return false;
	return plan_status_value(status, "Cpus_allowed_list", list, sizeof(list)) &&
	       rtkvm_cpus_parse_list(list, cpus, NULL) == 0;
}

static void only_online(struct rtkvm *rt, struct rtkvm_cpus *cpus)
{
	char text[RTKVM_CPULIST_TEXT];
	struct rtkvm_cpus online;

	if (rtkvm_file_read_quiet(rt, "/sys/devices/system/cpu/online", text, sizeof(text)) > 0 &&
	    rtkvm_cpus_parse_list(text, &online, NULL) == 0)
		rtkvm_cpus_and(cpus, &online);
}

/* Of a vCPU whose guest runs where its thread does. */
bool plan_spins(const struct plan_thread *t)
{
	return t->role == RTKVM_ROLE_VCPU && !t->dedicated;
}

/* CPUs on which any vCPU thread may run whose guest does. */
static void vcpu_cpus(struct plan_facts *facts)
{
	const struct rtkvm_plan *plan = facts->plan;
	const struct plan_thread *t = NULL;
	unsigned int entered = 0;

	facts->cpus_known = process_cpus(facts, &facts->process);
	if (facts->other) {
		facts->vcpus = facts->other->count;
		for (unsigned int i = 0; i < facts->other->count; i++)
			for (unsigned int w = 0; w < RTKVM_CPULIST_WORDS; w++)
				facts->cpus.bits[w] |= facts->other->sets[i].bits[w];
		if (!facts->other->count)
			facts->cpus = facts->process;
		return;
	}
	while ((t = plan_threads_next(&plan->threads, t))) {
		entered += plan_spins(t);
		facts->dedicated += t->role == RTKVM_ROLE_VCPU && t->dedicated;
	}
	if (facts->vcpus < entered)
		facts->vcpus = entered;
	if (plan->cpus[RTKVM_ROLE_VCPU]) {
		facts->cpus = *plan->cpus[RTKVM_ROLE_VCPU];
		only_online(plan->rt, &facts->cpus);
		facts->cpus_known = true;
		return;
	}
	if (facts->vcpus > entered || !entered || plan->rt->made_up) {
		facts->cpus = facts->process;
		return;
	}
	facts->cpus_known = true;
	while ((t = plan_threads_next(&plan->threads, t))) {
		struct rtkvm_cpus own;

		if (!plan_spins(t) || plan_cpus_get(t->tid, &own) < 0)
			continue;
		for (int cpu = -1; (cpu = rtkvm_cpus_next(&own, (unsigned int)(cpu + 1))) >= 0;)
			rtkvm_cpus_add(&facts->cpus, (unsigned int)cpu);
	}
}

/* One guard's verdict. -EPERM if it refuses. */
static int judge(struct rtkvm_plan *plan, unsigned int i, int verdict,
		 const struct plan_finding *found, struct rtkvm_report *report)
{
	const char *feature = guards[i].feature;
	bool allowed = plan->allowed & guards[i].bit;
	bool problem = guards[i].refuses || !allowed;

	if (verdict != PLAN_GUARD_OBJECTS) {
		rtkvm_report_add(report, feature,
				 verdict == PLAN_GUARD_FINE ? RTKVM_STATE_VERIFIED :
							      RTKVM_STATE_UNVERIFIABLE,
				 false, "%s", found->reason);
		return 0;
	}
	rtkvm_report_add(report, feature, RTKVM_STATE_OFF, problem, "%s%s; %s",
			 allowed ? "overridden: " : "", found->reason, found->remedy);
	if (guards[i].refuses && !allowed)
		return -EPERM;
	if (problem)
		rtkvm_log(plan->rt, RTKVM_LOG_WARNING, "%s: %s; %s", feature, found->reason,
			  found->remedy);
	return 0;
}

int plan_guards(struct rtkvm_plan *plan, unsigned int vcpus, struct rtkvm_report *report)
{
	return plan_guards_of(plan, NULL, vcpus, report);
}

int plan_guards_of(struct rtkvm_plan *plan, const struct plan_other *other, unsigned int vcpus,
		   struct rtkvm_report *report)
{
	struct plan_facts *facts = calloc(1, sizeof(*facts));
	bool refused = false;

	if (!facts)
		return rtkvm_fail(plan->rt, ENOMEM, NULL, NULL, "no memory to ask the guards");
	facts->plan = plan;
	facts->other = other;
	facts->vcpus = vcpus;
	facts->vcpu = plan_spec_role(&plan->spec, RTKVM_ROLE_VCPU);
	vcpu_cpus(facts);
	for (unsigned int i = 0; i < sizeof(guards) / sizeof(guards[0]); i++) {
		struct plan_finding found = { .remedy = "" };
		int verdict = guards[i].ask(facts, &found);

		if (judge(plan, i, verdict, &found, report) < 0 && !refused) {
			refused = true;
			rtkvm_fail(plan->rt, EPERM,
				   found.where[0] ? found.where : "thread plan", found.remedy,
				   "%s refuses: %s", guards[i].feature, found.reason);
		}
	}
	free(facts);
	return refused ? -EPERM : 0;
}

int rtkvm_plan_check(struct rtkvm_plan *plan, unsigned int vcpus, struct rtkvm_report **out)
{
	struct rtkvm_report *report = rtkvm_report_new();
	struct rtkvm_error error;
	int ret, made;

	if (out)
		*out = NULL;
	if (!plan) {
		rtkvm_report_free(report);
		return rtkvm_fail(NULL, EINVAL, "rtkvm_plan_check", NULL, "plan is NULL");
	}
	plan_lock(plan);
	plan_threads_prune(&plan->threads);
	ret = plan_guards(plan, vcpus, report);
	plan_unlock(plan);
	rtkvm_error_save(&error);
	made = rtkvm_report_finish(report, out);
	if (ret < 0)
		rtkvm_error_restore(&error);
	return ret < 0 ? ret : made;
}
