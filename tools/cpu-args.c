/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options of a request for CPUs, taken apart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu-args.h"

bool cmd_number(const char *text, int max, int *value)
{
	char *end;
	long v;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || *end || v > max)
		return false;
	*value = (int)v;
	return true;
}

static bool read_mode(const char *text, int32_t *mode)
{
	static const char *const names[] = { "best", "affinity", "partition", "offline" };

	for (int i = 0; i < 4; i++)
		if (!strcmp(text, names[i])) {
			*mode = i;
			return true;
		}
	return false;
}

static bool read_flag(const char *text, struct rtkvm_cpu_request *request)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} flags[] = {
		{ "--whole-cores", RTKVM_CPU_WHOLE_CORES }, { "--cpu0", RTKVM_CPU_CPU0 },
		{ "--one-cache", RTKVM_CPU_ONE_CACHE },	    { "--strict", RTKVM_CPU_STRICT },
		{ "--no-fair-server", RTKVM_CPU_NO_FAIR_SERVER },
		{ "--allow-cstates", RTKVM_CPU_ALLOW_CSTATES }, { "--hotplug", RTKVM_CPU_HOTPLUG },
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (!strcmp(text, flags[i].name)) {
			request->flags |= flags[i].flag;
			return true;
		}
	return false;
}

/* An option with a value; false: not one, or not a value for it. */
static bool read_value(const char *name, const char *value, struct rtkvm_cpu_request *request)
{
	int v;

	if (!strcmp(name, "--cpus"))
		request->cpus = value;
	else if (!strcmp(name, "--name"))
		request->name = value;
	else if (!strcmp(name, "--schemata"))
		request->schemata = value;
	else if (!strcmp(name, "--near-device"))
		request->near_device = value;
	else if (!strcmp(name, "--mode"))
		return read_mode(value, &request->mode);
	else if (!strcmp(name, "--count") && cmd_number(value, 8191, &v))
		request->count = (uint32_t)v;
	else if (!strcmp(name, "--node") && cmd_number(value, 1023, &v))
		request->node = v;
	else
		return false;
	return true;
}

int cpu_args_take(struct rtkvm_cpu_request *request, int left, char **argv)
{
	if (read_flag(argv[0], request))
		return 1;
	return left > 1 && read_value(argv[0], argv[1], request) ? 2 : 0;
}
