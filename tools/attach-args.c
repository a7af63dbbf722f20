/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The options that run and attach share, and the names by which threads of known
 * VMMs are told apart.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"

/* As libvirt and others do it by default: above everything ordinary, below the kernel's own. */
#define DEFAULT_PLAN "maxprio=2,policy=ff"
#define DEFAULT_INTERVAL_MS 100

/* Names that VMMs give their threads. */
static const struct attach_rule built_in[] = {
	{ "CPU */KVM", RTKVM_ROLE_VCPU },    /* QEMU, -name debug-threads=on, which libvirt sets */
	{ "CPU */TCG", RTKVM_ROLE_VCPU },
	{ "IO *", RTKVM_ROLE_IO },           /* QEMU, -object iothread */
	{ "worker", RTKVM_ROLE_AIO },        /* QEMU, util/thread-pool.c */
	{ "fc_vcpu *", RTKVM_ROLE_VCPU },    /* Firecracker */
	{ "vcpu[0-9]*", RTKVM_ROLE_VCPU },   /* Cloud Hypervisor */
	{ "crosvm_vcpu*", RTKVM_ROLE_VCPU }, /* crosvm */
	{ "kvm-vcpu-*", RTKVM_ROLE_VCPU },   /* kvmtool */
};

static const char *const roles[RTKVM_ROLE_COUNT] = { "main", "io", "vcpu", "aio", "helper" };

const char attach_args_help[] =
	"  --plan PLAN          policy and priority of the threads (" DEFAULT_PLAN ")\n"
	"  --rule PATTERN=ROLE  threads of that name: main, io, vcpu, aio, helper\n"
	"  --qmp SOCKET         ask QEMU for its threads, on a socket of its own\n"
	"  --cpus N|LIST        a CPU of its own for each vCPU: how many, or which (3-3: CPU 3)\n"
	"  --watch              stay, and place threads that are made later\n"
	"  --interval MS        between two looks (100)\n"
	"  --allow GUARD        overcommit, kthreads, throttle, privilege, top\n"
	"  --mode, --node, --near-device, --whole-cores, ...: as rtkvm dedicate\n"
	"  --name NAME          of the lease\n"
	"  --quiet              no report\n"
	"  --json               the report as JSON\n";

void attach_args_init(struct attach_options *o)
{
	memset(o, 0, sizeof(*o));
	o->plan = DEFAULT_PLAN;
	o->interval_ms = DEFAULT_INTERVAL_MS;
	rtkvm_cpu_request_init(&o->request, sizeof(o->request));
	o->request.name = NULL;
	for (size_t i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++)
		o->rules[o->rule_count++] = built_in[i];
}

int attach_role_of(const struct attach_options *o, const char *comm, bool user)
{
	size_t first = user ? sizeof(built_in) / sizeof(built_in[0]) : 0;

	for (size_t i = o->rule_count; i > first; i--)
		if (!fnmatch(o->rules[i - 1].pattern, comm, 0))
			return o->rules[i - 1].role;
	return -1;
}

static int take_rule(struct attach_options *o, const char *text)
{
	const char *equals = strrchr(text, '=');
	struct attach_rule *rule = &o->rules[o->rule_count];
	int role = 0;

	while (equals && role < RTKVM_ROLE_COUNT && strcmp(equals + 1, roles[role]) != 0)
		role++;
	if (!equals || role == RTKVM_ROLE_COUNT || equals == text ||
	    (size_t)(equals - text) >= sizeof(rule->pattern)) {
		cmd_usage("--rule takes PATTERN=ROLE, such as \"CPU */KVM=vcpu\"; ROLE is main, io, "
			  "vcpu, aio or helper; it was \"%s\"", text);
		return -1;
	}
	if (o->rule_count == ATTACH_RULES_MAX) {
		cmd_usage("too many rules, at most %d",
			  (int)(ATTACH_RULES_MAX - sizeof(built_in) / sizeof(built_in[0])));
		return -1;
	}
	snprintf(rule->pattern, sizeof(rule->pattern), "%.*s", (int)(equals - text), text);
	rule->role = role;
	o->rule_count++;
	return 2;
}

static int take_allow(struct attach_options *o, const char *text)
{
	static const struct {
		const char *name;
		unsigned int guard;
	} guards[] = {
		{ "overcommit", RTKVM_GUARD_OVERCOMMIT }, { "kthreads", RTKVM_GUARD_KTHREADS },
		{ "throttle", RTKVM_GUARD_THROTTLE },	  { "privilege", RTKVM_GUARD_PRIVILEGE },
		{ "top", RTKVM_GUARD_TOP },
	};

	for (size_t i = 0; i < sizeof(guards) / sizeof(guards[0]); i++)
		if (!strcmp(text, guards[i].name)) {
			o->allow |= guards[i].guard;
			return 2;
		}
	cmd_usage("--allow takes the name of a guard, as rtkvm plan shows them without \"guard-\"; "
		  "it was \"%s\"", text);
	return -1;
}

/* A plain number is how many; anything else is a list. */
static int take_cpus(struct attach_options *o, const char *text)
{
	int count;

	o->cpus = true;
	if (cmd_number(text, 8191, &count)) {
		o->request.count = (uint32_t)count;
		o->request.cpus = NULL;
	} else {
		o->request.cpus = text;
	}
	return 2;
}

int attach_args_take(struct attach_options *o, int left, char **argv)
{
	const char *name = argv[0], *value = left > 1 ? argv[1] : NULL;
	int words;

	if (!strcmp(name, "--watch")) {
		o->watch = true;
		return 1;
	}
	if (!strcmp(name, "--quiet")) {
		o->quiet = true;
		return 1;
	}
	if (value && !strcmp(name, "--plan"))
		o->plan = value;
	else if (value && !strcmp(name, "--qmp"))
		o->qmp = value;
	else if (value && !strcmp(name, "--interval") && cmd_number(value, 60000, &o->interval_ms) &&
		 o->interval_ms > 0)
		return 2;
	else if (value && !strcmp(name, "--rule"))
		return take_rule(o, value);
	else if (value && !strcmp(name, "--allow"))
		return take_allow(o, value);
	else if (value && !strcmp(name, "--cpus"))
		return take_cpus(o, value);
	else {
		words = cpu_args_take(&o->request, left, argv);
		/* its name is that of the threads' lease, too; the rest asks for CPUs */
		if (words > 0 && strcmp(name, "--name") != 0)
			o->cpus = true;
		return words;
	}
	return 2;
}
