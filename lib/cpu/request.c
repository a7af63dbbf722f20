/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests: their defaults, and what is wrong with one before the host is looked at. */
#include <errno.h>
#include <string.h>

#include "cpu_priv.h"

#define REQUEST_MIN sizeof(struct rtkvm_cpu_request) /* of 0.1 */

#define FLAGS                                                                                  \
	(RTKVM_CPU_WHOLE_CORES | RTKVM_CPU_CPU0 | RTKVM_CPU_ONE_CACHE | RTKVM_CPU_STRICT |     \
	 RTKVM_CPU_NO_FAIR_SERVER | RTKVM_CPU_ALLOW_CSTATES |     \
	 RTKVM_CPU_HOTPLUG)

void rtkvm_cpu_request_init(struct rtkvm_cpu_request *request, size_t size)
{
	struct rtkvm_cpu_request defaults = { .size = size, .count = 1, .node = -1 };

	if (!request)
		return;
	memset(request, 0, size);
	memcpy(request, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

static int refuse(struct rtkvm *rt, const char *what, const char *remedy)
{
	return rtkvm_fail(rt, EINVAL, "struct rtkvm_cpu_request", remedy, "%s", what);
}

int cpu_request_take(struct rtkvm *rt, const struct rtkvm_cpu_request *from,
		     struct rtkvm_cpu_request *to)
{
	struct rtkvm_cpus cpus;
	int ret = 0;

	rtkvm_cpu_request_init(to, sizeof(*to));
	if (from)
		ret = rtkvm_options_take(rt, to, sizeof(*to), REQUEST_MIN, from,
					 "struct rtkvm_cpu_request");
	if (ret < 0)
		return ret;
	if (!to->name)
		to->name = "cpus";
	if (!rtkvm_lease_name_ok(to->name))
		return refuse(rt, "not a name for a lease", "give 1 to 31 characters of [a-z0-9-]");
	if (to->mode < RTKVM_CPU_BEST || to->mode > RTKVM_CPU_OFFLINE)
		return refuse(rt, "unknown mode", "use RTKVM_CPU_*");
	if (to->flags & ~(uint32_t)FLAGS || to->pad)
		return refuse(rt, "unknown flag", "use RTKVM_CPU_*");
	if (to->cpus && (rtkvm_cpus_parse_list(to->cpus, &cpus, NULL) < 0 ||
			 !rtkvm_cpus_count(&cpus)))
		return refuse(rt, "cpus is not a CPU list", "give a list such as 2,4-5");
	if (!to->cpus && (to->count < 1 || to->count >= RTKVM_MAX_CPUS))
		return refuse(rt, "count is out of range", "give 1 to 8191");
	if (to->node < -1 || to->node > 1023)
		return refuse(rt, "node is out of range", "give -1 to 1023");
	for (size_t i = 0; i < sizeof(to->reserved) / sizeof(to->reserved[0]); i++)
		if (to->reserved[i])
			return refuse(rt, "a reserved field is set", "use a newer librtkvm");
	if (to->schemata) {
		char text[RTKVM_VALUE_MAX];

		if (cpu_resctrl_text("0", to->schemata, text) < 0)
			return refuse(rt, "malformed schemata", "give lines such as L3:0=ff0");
	}
	if (to->target < 0)
		return refuse(rt, "target is negative", "give a process, or 0");
	return 0;
}
