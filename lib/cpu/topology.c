/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine as sysfs shows it: CPUs, SMT cores, caches, NUMA nodes, and what
 * the boot isolated. Nothing is remembered: CPUs come and go.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "cpu_priv.h"

#define CPU "/sys/devices/system/cpu"

void cpus_or(struct rtkvm_cpus *a, const struct rtkvm_cpus *b)
{
	for (unsigned int i = 0; i < RTKVM_CPULIST_WORDS; i++)
		a->bits[i] |= b->bits[i];
}

void cpus_without(struct rtkvm_cpus *a, const struct rtkvm_cpus *b)
{
	for (unsigned int i = 0; i < RTKVM_CPULIST_WORDS; i++)
		a->bits[i] &= ~b->bits[i];
}

bool cpus_meet(const struct rtkvm_cpus *a, const struct rtkvm_cpus *b)
{
	for (unsigned int i = 0; i < RTKVM_CPULIST_WORDS; i++)
		if (a->bits[i] & b->bits[i])
			return true;
	return false;
}

/* -ENOENT without an error recorded: many of these are optional. */
int cpu_topology_list(struct rtkvm *rt, const char *path, struct rtkvm_cpus *cpus)
{
	char text[RTKVM_CPULIST_TEXT];
	ssize_t len = rtkvm_file_read_quiet(rt, path, text, sizeof(text));

	rtkvm_cpus_clear(cpus);
	if (len < 0)
		return (int)len;
	if (!strcmp(text, "(null)")) /* nohz_full of a kernel that was given none */
		return 0;
	return rtkvm_cpus_parse_list(text, cpus, NULL);
}

int cpu_topology_read(struct rtkvm *rt, struct cpu_topology *t)
{
	int ret = cpu_topology_list(rt, CPU "/online", &t->online);

	if (ret < 0)
		return rtkvm_fail(rt, -ret, CPU "/online", "mount /sys", "cannot read it: %s",
				  strerror(-ret));
	if (cpu_topology_list(rt, CPU "/isolated", &t->isolated) < 0)
		rtkvm_cpus_clear(&t->isolated);
	if (cpu_topology_list(rt, CPU "/nohz_full", &t->nohz_full) < 0)
		rtkvm_cpus_clear(&t->nohz_full);
	cpus_or(&t->isolated, &t->nohz_full);
	return 0;
}

int cpu_topology_node(struct rtkvm *rt, int node, struct rtkvm_cpus *cpus)
{
	char path[RTKVM_PATH_MAX];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
	return cpu_topology_list(rt, path, cpus);
}

int rtkvm_cpu_lease_get_node(const struct rtkvm_cpu_lease *l)
{
	struct rtkvm_cpus nodes, cpus;
	bool some = false;

	if (!l)
		return -EINVAL;
	if (cpu_topology_list(l->rt, "/sys/devices/system/node/online", &nodes) < 0)
		return -ENODEV;
	for (int node = -1; (node = rtkvm_cpus_next(&nodes, (unsigned int)node + 1)) >= 0;) {
		/* an offline CPU is of none */
		if (cpu_topology_node(l->rt, node, &cpus) < 0 || !cpus_meet(&cpus, &l->cpus))
			continue;
		if (rtkvm_cpus_subset(&l->cpus, &cpus))
			return node;
		some = true;
	}
	return some ? -EXDEV : -ENODEV;
}

int cpu_topology_core(struct rtkvm *rt, unsigned int cpu, struct rtkvm_cpus *cpus)
{
	char path[RTKVM_PATH_MAX];

	snprintf(path, sizeof(path), CPU "/cpu%u/topology/thread_siblings_list", cpu);
	return cpu_topology_list(rt, path, cpus);
}

/* Those below the same cache of the highest level. */
int cpu_topology_cache(struct rtkvm *rt, unsigned int cpu, struct rtkvm_cpus *cpus)
{
	char path[RTKVM_PATH_MAX];

	for (int i = 4; i >= 0; i--) {
		snprintf(path, sizeof(path), CPU "/cpu%u/cache/index%d/shared_cpu_list", cpu, i);
		if (cpu_topology_list(rt, path, cpus) == 0 && rtkvm_cpus_count(cpus))
			return 0;
	}
	return -ENOENT;
}

/* domain:bus:device.function, and nothing that could leave the folder. */
static bool address_ok(const char *a)
{
	size_t len = strspn(a, "0123456789abcdefABCDEF:.");

	return len >= 7 && len <= 16 && !a[len] && strchr(a, ':') && !strstr(a, "..");
}

int cpu_topology_device_node(struct rtkvm *rt, const char *address, int *node)
{
	char path[RTKVM_PATH_MAX], text[32];
	int64_t v;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.16s/numa_node", address);
	if (!address_ok(address) || rtkvm_file_read_quiet(rt, path, text, sizeof(text)) < 0 ||
	    !rtkvm_parse_i64(text, -1, 1023, &v))
		return rtkvm_fail(rt, ENODEV, "near_device",
				  "give a PCI address of /sys/bus/pci/devices, as 0000:05:00.0",
				  "no PCI device \"%.40s\"", address);
	*node = (int)v;
	return 0;
}
