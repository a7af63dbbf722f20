/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm doctor: why this host, or a VM on it, is not real-time. Arguments,
 * order and exit status; how results are printed is in doctor-*.c, what is
 * checked is the library's.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

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

int cmd_doctor(struct rtkvm *rt, const struct cmd_options *global, int argc, char **argv)
{
	struct doctor_arguments a = { .format = global->json ? DOCTOR_JSON : DOCTOR_TEXT };
	struct doctor_results results = { .count = 0 };
	struct rtkvm_host_options opt;
	struct rtkvm_host *host;
	int status = read_arguments(&a, argc, argv);

	if (status != CMD_OK)
		return status;
	rtkvm_host_options_init(&opt, sizeof(opt));
	opt.cpus = a.cpus;
	opt.only = a.check ? a.check : a.explain;
	if (rtkvm_host_probe(rt, &opt, &host) < 0)
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
	rtkvm_host_free(host);
	return status;
}
