/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of an attachment: leases, guards, looks at the process, and the end,
 * at which everything is given back.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"

/* A thread needs 20 ms until its name is believed. */
#define SETTLE_LOOKS 6
#define SETTLE_MS 30
#define DRIFT_MS 5000

int attach_plan(struct attachment *a)
{
	const struct attach_options *o = a->options;

	if (rtkvm_plan_parse(a->rt, o->plan, &a->plan) < 0 ||
	    rtkvm_plan_allow(a->plan, o->allow) < 0)
		return cmd_fail();
	for (size_t i = 0; i < o->rule_count; i++)
		if (rtkvm_plan_add_rule(a->plan, o->rules[i].pattern, o->rules[i].role) < 0)
			return cmd_fail();
	return CMD_OK;
}

/* Threads of another cgroup than the root may not enter a partition (cgroup v2). */
static bool may_enter_partition(pid_t pid)
{
	char path[64], line[512];
	bool may = true;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "0::", 3) && strcmp(line, "0::/\n") != 0)
			may = false;
	if (f)
		fclose(f);
	return may;
}

int attach_cpus(struct attachment *a, pid_t target)
{
	struct rtkvm_cpu_request request = a->options->request;

	if (!a->options->cpus)
		return CMD_OK;
	request.name = a->name;
	request.target = target;
	if (request.mode == RTKVM_CPU_BEST && a->pid && !may_enter_partition(a->pid))
		request.mode = RTKVM_CPU_AFFINITY;
	return rtkvm_cpu_lease_acquire(a->rt, &request, &a->cpus) < 0 ? cmd_fail() : CMD_OK;
}

int attach_process(struct attachment *a, pid_t pid, bool owner)
{
	rtkvm_watch_free(a->watch);
	a->watch = NULL;
	if (pid != a->pid || !a->start)
		a->start = attach_start_of(pid);
	a->pid = pid;
	if ((!a->lease && rtkvm_lease_new(a->rt, a->name, &a->lease) < 0) ||
	    (owner && rtkvm_lease_set_target(a->lease, pid) < 0) ||
	    rtkvm_watch_new(a->plan, pid, a->lease, &a->watch) < 0 ||
	    rtkvm_watch_set_interval(a->watch, (unsigned int)a->options->interval_ms) < 0)
		return cmd_fail();
	/* from here on the watch knows it by its pidfd; before, the number may have been reused */
	if (!a->start || attach_start_of(pid) != a->start) {
		fprintf(stderr, "rtkvm: process %d ended\n", pid);
		return CMD_ERROR;
	}
	return CMD_OK;
}

static void show_problems(const struct rtkvm_report *report)
{
	const struct rtkvm_report_item *item = NULL;

	while ((item = rtkvm_report_next(report, item)))
		if (rtkvm_report_item_problem(item))
			fprintf(stderr, "rtkvm: %s: %s\n", rtkvm_report_item_feature(item),
				rtkvm_report_item_reason(item));
}

static bool fits(const struct attachment *a)
{
	for (size_t i = 0; i < a->vcpu_count; i++)
		if (a->vcpus[i].spare)
			return false;
	return true;
}

int attach_go(struct attachment *a)
{
	struct rtkvm_report *report;
	int ret;

	if (!fits(a))
		return CMD_ERROR; /* said which */
	ret = rtkvm_watch_go_realtime(a->watch, &report);
	if (ret == 0 && !a->options->quiet)
		show_problems(report);
	rtkvm_report_free(report);
	if (ret < 0)
		return cmd_fail();
	/* else a busy vCPU would keep it from looking; without the privilege it is as it is */
	if (a->options->watch && rtkvm_thread_enter(a->plan, RTKVM_ROLE_MAIN) < 0 &&
	    !a->options->quiet)
		fprintf(stderr, "rtkvm: this watch is not real-time itself, and may be late: %s\n",
			rtkvm_last_error());
	return CMD_OK;
}

int attach_update(struct attachment *a)
{
	unsigned int placed;
	int ret;

	if (attach_roles(a) != CMD_OK)
		return 1;
	ret = rtkvm_watch_dispatch(a->watch, &placed);
	if (ret == -ESRCH)
		return 1;
	if (ret < 0)
		cmd_fail(); /* a thread that is left alone from now on */
	return 0;
}

int attach_settle(struct attachment *a)
{
	for (int i = 0; i < SETTLE_LOOKS; i++) {
		if (attach_update(a)) {
			fprintf(stderr, "rtkvm: process %d ended\n", a->pid);
			return CMD_ERROR;
		}
		poll(NULL, 0, SETTLE_MS);
	}
	return CMD_OK;
}

int attach_drift_fd(struct attachment *a)
{
	return a->cpus ? rtkvm_cpu_lease_watch(a->cpus, DRIFT_MS) : -1;
}

void attach_repair(struct attachment *a)
{
	if (a->cpus && rtkvm_cpu_lease_dispatch(a->cpus, NULL) == 1 &&
	    rtkvm_cpu_lease_repair(a->cpus, NULL) < 0)
		cmd_fail();
}

void attach_show(const struct attachment *a, const struct cmd_options *global, const char *command)
{
	struct cmd_options opt = *global;
	struct rtkvm_report *report;
	int ret;

	if (a->options->quiet)
		return;
	opt.only = a->name;
	opt.warnings_pass = true;
	ret = rtkvm_status(a->rt, &report);
	cmd_report(&opt, command, ret, report, "nothing was to be changed");
	fflush(stdout);
}

/* What was not given back. */
static int give_back(const struct cmd_options *opt, int ret, struct rtkvm_report *report)
{
	int status = ret < 0 ? CMD_ERROR : rtkvm_report_problems(report) ? CMD_ATTENTION : CMD_OK;

	if (ret < 0)
		cmd_fail();
	if (opt->verbose || status != CMD_OK)
		show_problems(report);
	rtkvm_report_free(report);
	return status;
}

static void free_all(struct attachment *a)
{
	rtkvm_watch_free(a->watch);
	rtkvm_plan_free(a->plan);
	qmp_close(a->qmp);
	free(a->vcpus);
	a->watch = NULL;
	a->plan = NULL;
	a->qmp = NULL;
	a->vcpus = NULL;
	a->vcpu_count = a->vcpu_room = 0;
}

int attach_end(struct attachment *a, const struct cmd_options *opt)
{
	struct rtkvm_report *report = NULL;
	int status = CMD_OK, cpus = CMD_OK, ret;

	free_all(a);
	/* priorities before CPUs: nothing real-time is to come to others */
	if (a->lease) {
		ret = rtkvm_lease_release(a->lease, &report);
		status = give_back(opt, ret, report);
	}
	if (a->cpus) {
		ret = rtkvm_cpu_lease_release(a->cpus, &report);
		cpus = give_back(opt, ret, report);
	}
	a->lease = NULL;
	a->cpus = NULL;
	return status > cpus ? status : cpus;
}

void attach_leave(struct attachment *a)
{
	free_all(a);
	rtkvm_lease_leave(a->lease);
	rtkvm_cpu_lease_leave(a->cpus);
	a->lease = NULL;
	a->cpus = NULL;
}

int attach_exists(struct rtkvm *rt, const char *name)
{
	struct rtkvm_report *report;
	const struct rtkvm_report_item *item;
	int there = -1;

	if (rtkvm_status(rt, &report) == 0 || report) {
		item = rtkvm_report_find(report, name);
		/* one whose owner is gone is given back by who comes next */
		there = item && rtkvm_report_item_state(item) == RTKVM_STATE_VERIFIED;
	} else {
		cmd_fail();
	}
	rtkvm_report_free(report);
	return there;
}
