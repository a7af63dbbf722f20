/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plan as an object: made, set up, asked, freed. What it does to threads
 * is in enter.c, realtime.c and watch.c.
 */
#include <errno.h>
#include <fnmatch.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "devices.h"
#include "plan.h"

/* Size of struct rtkvm_role_sched in 0.1. */
#define ROLE_SCHED_MIN sizeof(struct rtkvm_role_sched)

static int lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;
	int err = pthread_mutexattr_init(&attr);

	if (err)
		return err;
	err = pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	if (!err)
		err = pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return err;
}

/* In a forked child: only the calling thread came along. */
static void take_over(struct rtkvm_plan *plan)
{
	/* a thread of the parent held it: the table may be in between two states, lose it */
	if (pthread_mutex_trylock(&plan->lock) == 0)
		plan_threads_clear(&plan->threads);
	else
		memset(&plan->threads, 0, sizeof(plan->threads));
	lock_init(&plan->lock);
	memset(&plan->memory, 0, sizeof(plan->memory)); /* locks are not inherited */
	atomic_store(&plan->realtime, false);
}

void plan_lock(struct rtkvm_plan *plan)
{
	pid_t self = getpid(), pid;

	while ((pid = atomic_load(&plan->pid)) != self) {
		if (pid != -1 && atomic_compare_exchange_strong(&plan->pid, &pid, -1)) {
			take_over(plan);
			atomic_store(&plan->pid, self);
		} else {
			sched_yield();
		}
	}
	pthread_mutex_lock(&plan->lock);
}

void plan_unlock(struct rtkvm_plan *plan)
{
	pthread_mutex_unlock(&plan->lock);
}

int rtkvm_plan_parse(struct rtkvm *rt, const char *text, struct rtkvm_plan **out)
{
	struct rtkvm_plan *plan;
	struct plan_spec spec;
	int ret, err;

	if (!out)
		return rtkvm_fail(rt, EINVAL, "rtkvm_plan_parse", NULL, "plan is NULL");
	*out = NULL;
	if (!rt || !text)
		return rtkvm_fail(rt, EINVAL, "rtkvm_plan_parse", NULL, "%s is NULL",
				  rt ? "text" : "rt");
	ret = plan_spec_parse(rt, text, &spec);
	if (ret < 0)
		return ret;
	plan = calloc(1, sizeof(*plan));
	err = plan ? lock_init(&plan->lock) : ENOMEM;
	if (err) {
		free(plan);
		return rtkvm_fail(rt, ENOMEM, NULL, NULL, "no memory for a thread plan");
	}
	plan->rt = rt;
	plan->spec = spec;
	atomic_init(&plan->pid, getpid());
	*out = plan;
	return 0;
}

int rtkvm_plan_print(const struct rtkvm_plan *plan, char *buf, size_t len)
{
	return plan ? plan_spec_print(&plan->spec, buf, len) : -EINVAL;
}

void rtkvm_plan_free(struct rtkvm_plan *plan)
{
	if (!plan)
		return;
	plan_lock(plan); /* in a forked child this forgets the parent's threads */
	plan_undo(plan, NULL);
	plan_threads_clear(&plan->threads);
	plan_unlock(plan);
	pthread_mutex_destroy(&plan->lock);
	while (plan->rules) {
		struct plan_rule *rule = plan->rules;

		plan->rules = rule->next;
		free(rule);
	}
	for (int role = 0; role < RTKVM_ROLE_COUNT; role++)
		free(plan->cpus[role]);
	free(plan);
}

bool plan_role_known(int role)
{
	return role >= 0 && role < RTKVM_ROLE_COUNT;
}

static int fail_role(struct rtkvm *rt, const char *where, int role)
{
	return rtkvm_fail(rt, EINVAL, where, "use one of RTKVM_ROLE_*", "unknown role %d", role);
}

int rtkvm_plan_get_role(const struct rtkvm_plan *plan, int role, struct rtkvm_role_sched *sched)
{
	struct rtkvm_role_sched out = { .size = sizeof(out) };
	struct plan_sched_want want;

	if (!plan || !sched)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_plan_get_role", NULL, "%s is NULL",
				  plan ? "sched" : "plan");
	if (!plan_role_known(role))
		return fail_role(plan->rt, "rtkvm_plan_get_role", role);
	want = plan_spec_role(&plan->spec, role);
	out.policy = want.policy;
	out.priority = want.priority;
	return rtkvm_struct_give(plan->rt, sched, &out, sizeof(out), ROLE_SCHED_MIN,
				 "rtkvm_role_sched");
}

int rtkvm_plan_get_ceiling(const struct rtkvm_plan *plan, unsigned int roles)
{
	const char *where = "rtkvm_plan_get_ceiling";
	int ceiling = 0;

	if (!plan)
		return rtkvm_fail(NULL, EINVAL, where, NULL, "plan is NULL");
	if (!roles || roles >> RTKVM_ROLE_COUNT)
		return rtkvm_fail(plan->rt, EINVAL, where, "give a mask of 1 << RTKVM_ROLE_*",
				  "no or unknown roles in 0x%x", roles);
	for (int role = 0; role < RTKVM_ROLE_COUNT; role++) {
		int priority = plan_spec_role(&plan->spec, role).priority;

		if (roles & 1U << role && priority > ceiling)
			ceiling = priority;
	}
	if (!ceiling)
		return rtkvm_fail(plan->rt, ENOENT, where, "use a mutex without a ceiling",
				  "none of the roles 0x%x is real-time", roles);
	return ceiling;
}

int rtkvm_plan_get_maxprio(const struct rtkvm_plan *plan)
{
	return plan ? plan->spec.value[PLAN_MAXPRIO] : -EINVAL;
}

int rtkvm_plan_get_pvsched(const struct rtkvm_plan *plan)
{
	return plan ? plan->spec.value[PLAN_PVSCHED] == 1 : -EINVAL;
}

int rtkvm_plan_is_realtime(const struct rtkvm_plan *plan)
{
	return plan && atomic_load(&plan->realtime) && atomic_load(&plan->pid) == getpid();
}

/* Is any of these CPUs online? Without the file of that nobody can say no. */
static bool any_online(struct rtkvm *rt, const struct rtkvm_cpus *cpus)
{
	char text[RTKVM_CPULIST_TEXT];
	struct rtkvm_cpus online;

	if (rtkvm_file_read_quiet(rt, "/sys/devices/system/cpu/online", text, sizeof(text)) < 0 ||
	    rtkvm_cpus_parse_list(text, &online, NULL) < 0)
		return true;
	rtkvm_cpus_and(&online, cpus);
	return rtkvm_cpus_count(&online) > 0;
}

static int parse_cpus(struct rtkvm *rt, const char *text, struct rtkvm_cpus **out)
{
	struct rtkvm_cpus *cpus = malloc(sizeof(*cpus));
	size_t at = 0;
	int ret = 0;

	if (!cpus)
		return rtkvm_fail(rt, ENOMEM, NULL, NULL, "no memory for a CPU set");
	if (rtkvm_cpus_parse_list(text, cpus, &at) < 0)
		ret = rtkvm_fail(rt, EINVAL, "CPU list", "write a list such as 2-3,5",
				 "position %zu of \"%s\": not a CPU list", at + 1, text);
	else if (!any_online(rt, cpus))
		ret = rtkvm_fail(rt, EINVAL, "CPU list",
				 "take CPUs of /sys/devices/system/cpu/online",
				 "none of the CPUs \"%s\" is online", text);
	if (ret < 0) {
		free(cpus);
		return ret;
	}
	*out = cpus;
	return 0;
}

int rtkvm_plan_set_role_cpus(struct rtkvm_plan *plan, int role, const char *text)
{
	struct rtkvm_cpus *cpus = NULL;
	int ret = 0;

	if (!plan)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_plan_set_role_cpus", NULL, "plan is NULL");
	if (!plan_role_known(role))
		return fail_role(plan->rt, "rtkvm_plan_set_role_cpus", role);
	if (text)
		ret = parse_cpus(plan->rt, text, &cpus);
	if (ret < 0)
		return ret;
	plan_lock(plan);
	if (plan->realtime) {
		ret = rtkvm_fail(plan->rt, EBUSY, "rtkvm_plan_set_role_cpus",
				 "set CPUs before rtkvm_plan_go_realtime()",
				 "the plan is real-time already");
	} else {
		struct rtkvm_cpus *old = plan->cpus[role];

		plan->cpus[role] = cpus;
		cpus = old;
	}
	plan_unlock(plan);
	free(cpus);
	return ret;
}

int rtkvm_plan_add_rule(struct rtkvm_plan *plan, const char *pattern, int role)
{
	struct plan_rule *rule;
	size_t len;

	if (!plan || !pattern)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_plan_add_rule", NULL, "%s is NULL",
				  plan ? "pattern" : "plan");
	if (!plan_role_known(role))
		return fail_role(plan->rt, "rtkvm_plan_add_rule", role);
	len = strlen(pattern);
	if (!len || len >= PLAN_PATTERN_MAX)
		return rtkvm_fail(plan->rt, EINVAL, "rtkvm_plan_add_rule",
				  "a thread's name has up to 15 characters, a kernel thread's 63",
				  "a pattern of %zu characters, not 1 to %d", len,
				  PLAN_PATTERN_MAX - 1);
	rule = calloc(1, sizeof(*rule));
	if (!rule)
		return rtkvm_fail(plan->rt, ENOMEM, NULL, NULL, "no memory for a rule");
	memcpy(rule->pattern, pattern, len);
	rule->role = role;
	plan_lock(plan);
	rule->next = plan->rules;
	plan->rules = rule;
	plan_unlock(plan);
	return 0;
}

int plan_role_by_name(const struct rtkvm_plan *plan, const char *comm)
{
	for (const struct plan_rule *rule = plan->rules; rule; rule = rule->next)
		if (fnmatch(rule->pattern, comm, 0) == 0)
			return rule->role;
	if (!strncmp(comm, "kvm-pit/", 8) || !strncmp(comm, "vhost-", 6) || plan_devices_named(comm))
		return RTKVM_ROLE_IO;
	return RTKVM_ROLE_HELPER;
}

int rtkvm_plan_allow(struct rtkvm_plan *plan, unsigned int guards)
{
	if (!plan)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_plan_allow", NULL, "plan is NULL");
	if (guards & ~(unsigned int)RTKVM_GUARD_ALL)
		return rtkvm_fail(plan->rt, EINVAL, "rtkvm_plan_allow", "use RTKVM_GUARD_*",
				  "unknown guards 0x%x", guards & ~(unsigned int)RTKVM_GUARD_ALL);
	plan_lock(plan);
	plan->allowed |= guards;
	plan_unlock(plan);
	return 0;
}
