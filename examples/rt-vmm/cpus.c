/* SPDX-License-Identifier: MIT */
/*
 * CPU lists in the kernel's spelling, and the choice of the CPUs that vCPUs
 * and other threads get when they are tuned.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

const char *cpus_text(const cpu_set_t *cpus)
{
	static char texts[4][256];
	static unsigned int turn;
	char *text = texts[turn++ % 4];
	size_t len = 0;

	text[0] = '\0';
	for (int cpu = 0; cpu < CPU_SETSIZE && len < sizeof(texts[0]) - 16; cpu++) {
		int last = cpu;

		if (!CPU_ISSET(cpu, cpus))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, cpus))
			last++;
		len += (size_t)snprintf(text + len, sizeof(texts[0]) - len, last > cpu ? "%s%d-%d" : "%s%d",
					len ? "," : "", cpu, last);
		cpu = last;
	}
	return text;
}

static bool parse_cpu(const char **text, long *cpu)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	*cpu = strtol(*text, &end, 10);
	*text = end;
	return *cpu < CPU_SETSIZE;
}

int cpus_parse(const char *text, cpu_set_t *cpus)
{
	const char *p = text;

	CPU_ZERO(cpus);
	for (;;) {
		long from, to;

		if (!parse_cpu(&p, &from))
			break;
		to = from;
		if (*p == '-') {
			p++;
			if (!parse_cpu(&p, &to) || to < from)
				break;
		}
		while (from <= to)
			CPU_SET((int)from++, cpus);
		if (!*p)
			return 0;
		if (*p++ != ',')
			break;
	}
	return fail("\"%s\" is not a CPU list such as 1 or 0,2-3", text);
}

int cpus_choose(struct config *config, const char *list)
{
	cpu_set_t *mine = &config->usable_cpus;
	unsigned int wanted = config->vcpus - config->dedicated;
	cpu_set_t both;

	if (sched_getaffinity(0, sizeof(*mine), mine) < 0)
		return fail("sched_getaffinity: %m");
	CPU_AND(&both, mine, &config->dedicated_cpus);
	if (!CPU_EQUAL(&both, &config->dedicated_cpus))
		return fail("--dedicate: this process may only use CPUs %s", cpus_text(mine));
	CPU_XOR(mine, mine, &config->dedicated_cpus);
	if (!CPU_COUNT(mine))
		return fail("--dedicate: one CPU at least has to stay with Linux");
	if (list) {
		cpu_set_t usable;

		if (cpus_parse(list, &config->vcpu_cpus) < 0)
			return -1;
		CPU_AND(&usable, &config->vcpu_cpus, mine);
		if (!CPU_EQUAL(&usable, &config->vcpu_cpus))
			return fail("--cpus %s: this process may only use CPUs %s", list,
				    cpus_text(mine));
	} else {
		CPU_ZERO(&config->vcpu_cpus);
		for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && wanted; cpu--)
			if (CPU_ISSET(cpu, mine)) {
				CPU_SET(cpu, &config->vcpu_cpus);
				wanted--;
			}
	}
	CPU_XOR(&config->other_cpus, mine, &config->vcpu_cpus);
	if (!CPU_COUNT(&config->other_cpus))
		config->other_cpus = *mine;
	return 0;
}

const cpu_set_t *cpus_of_vcpu(const struct config *config, unsigned int index)
{
	return index < config->dedicated ? &config->other_cpus : &config->vcpu_cpus;
}
