/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The probe: reads the facts, runs the checks, and gives their results out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* Size of struct rtkvm_host_options in 0.1. */
#define OPTIONS_MIN sizeof(struct rtkvm_host_options)

struct rtkvm_check {
	const struct host_check *check;
	struct host_finding found;
};

struct rtkvm_host {
	struct host_facts facts;
	size_t count;
	struct rtkvm_check *checks;
};

static const struct host_check *const parts[] = {
	host_checks_cpu,   host_checks_power, host_checks_sched, host_checks_kthreads,
	host_checks_memory, host_checks_irq,  host_checks_virt,	 host_checks_kvm,
	host_checks_caps,  host_checks_vm,    host_checks_vm_config,
};

const struct host_check *host_check_at(size_t index)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		for (const struct host_check *c = parts[i]; c->id; c++)
			if (!index--)
				return c;
	return NULL;
}

void rtkvm_host_options_init(struct rtkvm_host_options *options, size_t size)
{
	struct rtkvm_host_options defaults = { .size = size };

	if (!options)
		return;
	memset(options, 0, size);
	memcpy(options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

static bool has_check(const char *id)
{
	for (size_t i = 0; host_check_at(i); i++)
		if (!strcmp(host_check_at(i)->id, id))
			return true;
	return false;
}

static int check_options(struct rtkvm *rt, const struct rtkvm_host_options *opt)
{
	if (opt->flags)
		return rtkvm_fail(rt, EINVAL, "rtkvm_host_options.flags", "set it to 0",
				  "unknown flags 0x%x", opt->flags);
	if (opt->pid < 0)
		return rtkvm_fail(rt, EINVAL, "rtkvm_host_options.pid", "give a process's number",
				  "%d is no process", opt->pid);
	for (size_t i = 0; i < sizeof(opt->reserved) / sizeof(opt->reserved[0]); i++)
		if (opt->reserved[i])
			return rtkvm_fail(rt, E2BIG, "rtkvm_host_options.reserved",
					  "use a newer librtkvm", "reserved field %zu is set", i);
	if (opt->only && !has_check(opt->only))
		return rtkvm_fail(rt, ENOENT, "rtkvm_host_options.only",
				  "rtkvm doctor --list names them", "there is no check \"%.64s\"",
				  opt->only);
	return 0;
}

static int run(struct rtkvm_host *host, const struct rtkvm_host_options *opt)
{
	size_t n = 0;

	while (host_check_at(n))
		n++;
	host->checks = calloc(n + 1, sizeof(*host->checks)); /* never 0 */
	if (!host->checks)
		return rtkvm_fail(host->facts.rt, ENOMEM, NULL, NULL, "no memory for the checks");
	for (size_t i = 0; i < n; i++) {
		const struct host_check *check = host_check_at(i);
		struct rtkvm_check *result = &host->checks[host->count];

		if (opt->only && strcmp(check->id, opt->only))
			continue;
		/* what describes a VM is asked of a VM only */
		if (!host->facts.vm && !opt->only && !strcmp(check->category, "vm"))
			continue;
		result->check = check;
		host_say(&result->found, HOST_UNKNOWN, "the check said nothing");
		check->run(&host->facts, check, &result->found);
		host->count++;
	}
	return 0;
}

int rtkvm_host_probe(struct rtkvm *rt, const struct rtkvm_host_options *options,
		     struct rtkvm_host **out)
{
	struct rtkvm_host_options opt;
	struct rtkvm_host *host;
	int ret;

	if (!rt || !out)
		return rtkvm_fail(rt, EINVAL, "rtkvm_host_probe", NULL, "%s is NULL",
				  rt ? "host" : "rt");
	*out = NULL;
	rtkvm_host_options_init(&opt, sizeof(opt));
	if (options) {
		ret = rtkvm_options_take(rt, &opt, sizeof(opt), OPTIONS_MIN, options,
					 "rtkvm_host_options");
		if (ret < 0)
			return ret;
	}
	ret = check_options(rt, &opt);
	if (ret < 0)
		return ret;
	host = calloc(1, sizeof(*host));
	if (!host)
		return rtkvm_fail(rt, ENOMEM, NULL, NULL, "no memory for a probe");
	host->facts.rt = rt;
	ret = host_facts_read(&host->facts, &opt);
	if (ret == 0)
		ret = run(host, &opt);
	if (ret < 0) {
		rtkvm_host_free(host);
		return ret;
	}
	*out = host;
	return 0;
}

void rtkvm_host_free(struct rtkvm_host *host)
{
	if (!host)
		return;
	host_facts_free(&host->facts);
	free(host->checks);
	free(host);
}

size_t rtkvm_host_count(const struct rtkvm_host *host)
{
	return host ? host->count : 0;
}

size_t rtkvm_host_count_verdict(const struct rtkvm_host *host, int verdict)
{
	size_t n = 0;

	for (size_t i = 0; host && i < host->count; i++)
		n += host->checks[i].found.verdict == verdict;
	return n;
}

const struct rtkvm_check *rtkvm_host_next(const struct rtkvm_host *host,
					  const struct rtkvm_check *check)
{
	if (!host || !host->count)
		return NULL;
	if (!check)
		return host->checks;
	return check + 1 < host->checks + host->count ? check + 1 : NULL;
}

const struct rtkvm_check *rtkvm_host_find(const struct rtkvm_host *host, const char *id)
{
	for (size_t i = 0; host && id && i < host->count; i++)
		if (!strcmp(host->checks[i].check->id, id))
			return &host->checks[i];
	return NULL;
}

int rtkvm_host_get_cpus(const struct rtkvm_host *host, int which, char *text, size_t size)
{
	const struct host_cpus *from;

	if (!host || !text || !size)
		return -EINVAL;
	text[0] = '\0';
	switch (which) {
	case RTKVM_CPUS_ONLINE:
		from = &host->facts.online;
		break;
	case RTKVM_CPUS_ISOLATED:
		from = &host->facts.isolated;
		break;
	case RTKVM_CPUS_NOHZ_FULL:
		from = &host->facts.nohz_full;
		break;
	case RTKVM_CPUS_REALTIME:
		from = &host->facts.realtime;
		break;
	case RTKVM_CPUS_HOUSEKEEPING:
		if (host->facts.online.err || host->facts.realtime.err)
			return -ENODATA;
		return rtkvm_cpus_print_list(&host->facts.housekeeping, text, size);
	default:
		return -EINVAL;
	}
	return from->err ? -ENODATA : rtkvm_cpus_print_list(&from->set, text, size);
}

int rtkvm_host_get_node(const struct rtkvm_host *host, unsigned int cpu)
{
	if (!host)
		return -EINVAL;
	if (cpu >= RTKVM_MAX_CPUS || host->facts.node_of[cpu] < 0)
		return -ENODATA;
	return host->facts.node_of[cpu];
}

const char *rtkvm_verdict_name(int verdict)
{
	switch (verdict) {
	case RTKVM_VERDICT_OK:
		return "ok";
	case RTKVM_VERDICT_WARN:
		return "warn";
	case RTKVM_VERDICT_FAIL:
		return "fail";
	case RTKVM_VERDICT_NOT_APPLICABLE:
		return "not applicable";
	default:
		return "unknown";
	}
}

const char *rtkvm_check_id(const struct rtkvm_check *check)
{
	return check ? check->check->id : "";
}

const char *rtkvm_check_category(const struct rtkvm_check *check)
{
	return check ? check->check->category : "";
}

const char *rtkvm_check_title(const struct rtkvm_check *check)
{
	return check ? check->check->title : "";
}

int rtkvm_check_verdict(const struct rtkvm_check *check)
{
	return check ? check->found.verdict : RTKVM_VERDICT_UNKNOWN;
}

const char *rtkvm_check_value(const struct rtkvm_check *check)
{
	return check ? check->found.value : "";
}

const char *rtkvm_check_why(const struct rtkvm_check *check)
{
	return check ? check->check->why : "";
}

const char *rtkvm_check_source(const struct rtkvm_check *check)
{
	return check ? check->check->source : "";
}

const char *rtkvm_check_remedy(const struct rtkvm_check *check)
{
	return check ? check->found.remedy : "";
}

int rtkvm_check_remedy_kind(const struct rtkvm_check *check)
{
	return check ? check->found.remedy_kind : RTKVM_REMEDY_NONE;
}

int rtkvm_check_needs_root(const struct rtkvm_check *check)
{
	return check && check->found.needs_root;
}
