/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm doctor: why this host, or a VM on it, is not real-time. Arguments,
 * order and exit status; how results are printed is in doctor-*.c, what is
 * checked is the library's.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

static int number(const char *text, const char *what, long max, int *value)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (!strcmp(what, "--measure") && !strcmp(end, "s"))
		end++;
	if (errno || end == text || *end || v < 1 || v > max)
		return cmd_usage("%s takes a number from 1 to %ld", what, max);
	*value = (int)v;
	return CMD_OK;
}

static int format_of(const char *name, enum doctor_format *format)
{
	static const char *const names[] = { "text", "json", "prometheus", "nfd" };

	for (int i = 0; i < 4; i++) {
		if (!strcmp(names[i], name)) {
			*format = (enum doctor_format)i;
			return CMD_OK;
		}
	}
	return cmd_usage("no format \"%s\"; there are text, json, prometheus, nfd", name);
}

static int read_arguments(struct doctor_arguments *a, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "format", required_argument, NULL, 'f' },
		{ "output", required_argument, NULL, 'o' },
		{ "check", required_argument, NULL, 'c' },
		{ "explain", required_argument, NULL, 'e' },
		{ "cpus", required_argument, NULL, 'C' },
		{ "pid", required_argument, NULL, 'p' },
		{ "qmp", required_argument, NULL, 'q' },
		{ "plan", required_argument, NULL, 'P' },
		{ "measure", required_argument, NULL, 'm' },
		{ "all", no_argument, NULL, 'a' },
		{ "list", no_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	int c, status = CMD_OK;

	optind = 0; /* the options before the command were another run of getopt */
	while (status == CMD_OK && (c = getopt_long(argc, argv, "a", longs, NULL)) != -1) {
		switch (c) {
		case 'j':
			a->format = DOCTOR_JSON;
			break;
		case 'f':
			status = format_of(optarg, &a->format);
			break;
		case 'o':
			a->output = optarg;
			break;
		case 'c':
			a->check = optarg;
			break;
		case 'e':
			a->explain = optarg;
			break;
		case 'C':
			a->cpus = optarg;
			break;
		case 'p':
			status = number(optarg, "--pid", INT_MAX, &a->pid);
			break;
		case 'q':
			a->qmp = optarg;
			break;
		case 'P':
			a->plan = optarg;
			break;
		case 'm':
			status = number(optarg, "--measure", 3600, &a->measure);
			break;
		case 'a':
			a->all = true;
			break;
		case 'l':
			a->list = true;
			break;
		default:
			return CMD_ERROR;
		}
	}
	if (status == CMD_OK && optind < argc)
		return cmd_usage("doctor does not know \"%s\"", argv[optind]);
	if (status == CMD_OK && a->check && a->explain)
		return cmd_usage("--check or --explain, not both");
	return status;
}

/* Worst first. */
static int rank(const struct rtkvm_check *check)
{
	switch (rtkvm_check_verdict(check)) {
	case RTKVM_VERDICT_FAIL:
		return 0;
	case RTKVM_VERDICT_WARN:
		return 1;
	case RTKVM_VERDICT_UNKNOWN:
		return 2;
	case RTKVM_VERDICT_OK:
		return 3;
	default:
		return 4;
	}
}

static void sort(const struct rtkvm_host *host, struct doctor_results *r)
{
	r->host = host;
	for (int level = 0; level <= 4; level++) {
		const struct rtkvm_check *check = NULL;

		while ((check = rtkvm_host_next(host, check)) && r->count < DOCTOR_MAX)
			if (rank(check) == level)
				r->check[r->count++] = check;
	}
}

/* A file that a collector reads at any time: never half of it. */
static FILE *open_output(const char *path, char *temporary, size_t size)
{
	FILE *f;

	if (!path)
		return stdout;
	if (snprintf(temporary, size, "%s.%d.tmp", path, (int)getpid()) >= (int)size) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	f = fopen(temporary, "wxe");
	return f;
}

static int close_output(FILE *f, const char *path, const char *temporary)
{
	bool good = !ferror(f);

	if (!path)
		return CMD_OK; /* main() looks at standard output */
	good = fclose(f) == 0 && good;
	if (good && rename(temporary, path) == 0)
		return CMD_OK;
	fprintf(stderr, "rtkvm: %s: %s\n", path, strerror(errno));
	unlink(temporary);
	return CMD_ERROR;
}

static int print(const struct doctor_results *r, const struct doctor_arguments *a, int status)
{
	char temporary[4096];
	FILE *f = open_output(a->output, temporary, sizeof(temporary));

	if (!f) {
		fprintf(stderr, "rtkvm: %s: %s\n", a->output, strerror(errno));
		return CMD_ERROR;
	}
	switch (a->format) {
	case DOCTOR_JSON:
		doctor_print_json(r, status, f);
		break;
	case DOCTOR_PROMETHEUS:
		doctor_print_prometheus(r, f);
		break;
	case DOCTOR_NFD:
		doctor_print_nfd(r, f);
		break;
	default:
		if (a->explain)
			doctor_print_explain(r->check[0], f);
		else
			doctor_print_text(r, a, f);
		break;
	}
	return close_output(f, a->output, temporary) == CMD_OK ? status : CMD_ERROR;
}

static int list(const struct rtkvm_host *host)
{
	const struct rtkvm_check *check = NULL;

	while ((check = rtkvm_host_next(host, check)))
		printf("%-24s %s\n", rtkvm_check_id(check), rtkvm_check_title(check));
	return CMD_OK;
}

static int measure(struct rtkvm *rt, const struct rtkvm_host *host, const struct doctor_arguments *a)
{
	char cpus[4096];

	if (rtkvm_host_get_cpus(host, RTKVM_CPUS_REALTIME, cpus, sizeof(cpus)) < 0)
		cpus[0] = '\0';
	return doctor_measure(rt, a->measure, cpus, stdout);
}

int cmd_doctor(struct rtkvm *rt, const struct cmd_options *global, int argc, char **argv)
{
	struct doctor_arguments a = { .format = global->json ? DOCTOR_JSON : DOCTOR_TEXT };
	struct doctor_results results = { .count = 0 };
	struct rtkvm_plan *plan = NULL;
	struct rtkvm_host_options opt;
	struct rtkvm_host *host;
	char facts[65536];
	int status = read_arguments(&a, argc, argv), ret;

	if (status != CMD_OK)
		return status;
	if (a.measure && global->made_up)
		return cmd_usage("--measure measures the real host, not one of --root");
	if (a.measure && a.format != DOCTOR_TEXT)
		return cmd_usage("--measure prints text");
	rtkvm_host_options_init(&opt, sizeof(opt));
	if (a.qmp) {
		status = doctor_qmp(a.qmp, facts, sizeof(facts), &a.pid);
		if (status != CMD_OK)
			return status;
		opt.vm_facts = facts;
	}
	opt.pid = a.pid;
	opt.cpus = a.cpus;
	opt.only = a.check ? a.check : a.explain;
	if (a.plan && rtkvm_plan_parse(rt, a.plan, &plan) < 0)
		return cmd_fail();
	opt.plan = plan;
	ret = rtkvm_host_probe(rt, &opt, &host);
	rtkvm_plan_free(plan);
	if (ret < 0)
		return cmd_fail();
	sort(host, &results);
	status = rtkvm_host_count_verdict(host, RTKVM_VERDICT_FAIL) ||
				 rtkvm_host_count_verdict(host, RTKVM_VERDICT_WARN) ?
			 CMD_ATTENTION :
			 CMD_OK;
	/* one that was asked for by name and not answered is no success */
	if (a.check && rtkvm_host_count_verdict(host, RTKVM_VERDICT_UNKNOWN))
		status = CMD_ATTENTION;
	status = a.list ? list(host) : print(&results, &a, status);
	if (a.measure && status != CMD_ERROR) {
		ret = measure(rt, host, &a);
		status = ret > status ? ret : status;
	}
	rtkvm_host_free(host);
	return status;
}
