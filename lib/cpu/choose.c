/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which CPUs a lease gets: an exact list as it is, or so many under the
 * constraints of the request. Called with the lock of the allocator held.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "cpu_priv.h"

struct pick {
	struct cpu_choice *choice;
	const struct rtkvm_cpus *taken;
	struct rtkvm_cpus free;
	struct rtkvm_cpus domain; /* that the last try was within */
};

/* "2-3": for messages; too many in pieces are cut off. */
static const char *say(const struct rtkvm_cpus *cpus, char text[64])
{
	if (rtkvm_cpus_print_list(cpus, text, 64) < 0)
		snprintf(text, 64, "%u CPUs", rtkvm_cpus_count(cpus));
	return text;
}

static int exact(struct pick *p, struct rtkvm_cpus *out)
{
	const struct cpu_choice *c = p->choice;
	struct rtkvm_cpus left;
	char text[64];

	rtkvm_cpus_parse_list(c->request->cpus, out, NULL);
	left = *out;
	cpus_without(&left, &c->topology.online);
	if (rtkvm_cpus_count(&left))
		return rtkvm_fail(c->rt, EINVAL, "cpus", "name CPUs that are online",
				  "not online: CPU %s", say(&left, text));
	if (rtkvm_cpus_has(out, 0) && !(c->request->flags & RTKVM_CPU_CPU0))
		return rtkvm_fail(c->rt, EINVAL, "cpus",
				  "name another one, or ask with RTKVM_CPU_CPU0",
				  "CPU 0 does work that cannot be moved");
	left = *out;
	rtkvm_cpus_and(&left, p->taken);
	if (rtkvm_cpus_count(&left))
		return rtkvm_fail(c->rt, EBUSY, "cpus", "see rtkvm status, and name others",
				  "leased already: CPU %s", say(&left, text));
	for (int cpu = -1; (cpu = rtkvm_cpus_next(out, (unsigned int)cpu + 1)) >= 0 &&
			   (c->request->flags & RTKVM_CPU_WHOLE_CORES);) {
		struct rtkvm_cpus core;

		if (cpu_topology_core(c->rt, (unsigned int)cpu, &core) == 0 &&
		    (rtkvm_cpus_and(&core, &c->topology.online), !rtkvm_cpus_subset(&core, out)))
			return rtkvm_fail(c->rt, EINVAL, "cpus", "name its siblings, too",
					  "CPU %d is not a whole core", cpu);
	}
	return 0;
}

/* The highest CPU of a set, or -1. */
static int highest(const struct rtkvm_cpus *cpus)
{
	for (int i = RTKVM_CPULIST_WORDS - 1; i >= 0; i--)
		if (cpus->bits[i])
			return i * 64 + 63 - __builtin_clzl(cpus->bits[i]);
	return -1;
}

/*
 * Take from these until there are enough: whole cores where they are asked
 * for, else cores that are free as a whole first, so that as few as possible
 * are shared. False: there are too few.
 */
static bool fill(const struct pick *p, struct rtkvm_cpus pool, struct rtkvm_cpus *out)
{
	const struct rtkvm_cpu_request *r = p->choice->request;
	bool cores = true;

	for (int pass = 0; pass < 2 && rtkvm_cpus_count(out) < r->count; pass++, cores = false) {
		struct rtkvm_cpus left = pool;
		int cpu;

		if (!cores && (r->flags & RTKVM_CPU_WHOLE_CORES))
			break;
		cpus_without(&left, out);
		while (rtkvm_cpus_count(out) < r->count && (cpu = highest(&left)) >= 0) {
			struct rtkvm_cpus core;

			left.bits[cpu / 64] &= ~(1UL << (cpu % 64));
			if (cores &&
			    cpu_topology_core(p->choice->rt, (unsigned int)cpu, &core) == 0) {
				rtkvm_cpus_and(&core, &p->choice->topology.online);
				cpus_without(&left, &core);
				if (!rtkvm_cpus_subset(&core, &pool))
					continue;
				if (rtkvm_cpus_count(out) + rtkvm_cpus_count(&core) > r->count &&
				    !(r->flags & RTKVM_CPU_WHOLE_CORES))
					continue; /* a part of it will do */
				cpus_or(out, &core);
			} else {
				rtkvm_cpus_add(out, (unsigned int)cpu);
			}
		}
	}
	return rtkvm_cpus_count(out) >= r->count;
}

/* Isolated ones first: the boot has taken more from them than a lease can. */
static bool from(const struct pick *p, const struct rtkvm_cpus *domain, struct rtkvm_cpus *out)
{
	struct rtkvm_cpus all = p->free, best;

	rtkvm_cpus_and(&all, domain);
	best = all;
	rtkvm_cpus_and(&best, &p->choice->topology.isolated);
	rtkvm_cpus_clear(out);
	if (fill(p, best, out))
		return true;
	if (!(p->choice->request->flags & RTKVM_CPU_WHOLE_CORES) && fill(p, all, out))
		return true;
	rtkvm_cpus_clear(out);
	return fill(p, all, out);
}

/* In one cache domain of these, if that is asked for. */
static bool from_caches(const struct pick *p, const struct rtkvm_cpus *domain,
			struct rtkvm_cpus *out)
{
	struct rtkvm_cpus left = p->free;
	int cpu;

	if (!(p->choice->request->flags & RTKVM_CPU_ONE_CACHE))
		return from(p, domain, out);
	rtkvm_cpus_and(&left, domain);
	while ((cpu = highest(&left)) >= 0) {
		struct rtkvm_cpus cache;

		if (cpu_topology_cache(p->choice->rt, (unsigned int)cpu, &cache) < 0)
			return false;
		rtkvm_cpus_add(&cache, (unsigned int)cpu);
		cpus_without(&left, &cache);
		rtkvm_cpus_and(&cache, domain);
		if (from(p, &cache, out))
			return true;
	}
	return false;
}

static int node_wanted(const struct cpu_choice *c, int *node)
{
	*node = c->request->node;
	if (c->request->near_device) {
		int near, ret = cpu_topology_device_node(c->rt, c->request->near_device, &near);

		if (ret < 0)
			return ret;
		if (near >= 0 && *node >= 0 && near != *node)
			return rtkvm_fail(c->rt, EINVAL, "near_device", "leave node at -1",
					  "%s is on node %d, not %d", c->request->near_device,
					  near, *node);
		if (near >= 0)
			*node = near;
	}
	return 0;
}

/* 1: done, 0: too few, -errno. */
static int search(struct pick *p, struct rtkvm_cpus *out)
{
	const struct cpu_choice *c = p->choice;
	struct rtkvm_cpus nodes;
	int node, ret = node_wanted(c, &node);

	p->domain = c->topology.online;
	if (ret < 0)
		return ret;
	if (node >= 0) {
		if (cpu_topology_node(c->rt, node, &p->domain) < 0)
			return rtkvm_fail(c->rt, ENODEV, "node",
					  "see /sys/devices/system/node/online", "no NUMA node %d",
					  node);
		return from_caches(p, &p->domain, out);
	}
	/* one node if it has enough of them; the last first, as CPU 0 is on the first */
	if (cpu_topology_list(c->rt, "/sys/devices/system/node/online", &nodes) == 0)
		while ((node = highest(&nodes)) >= 0) {
			struct rtkvm_cpus cpus;

			nodes.bits[node / 64] &= ~(1UL << (node % 64));
			if (cpu_topology_node(c->rt, node, &cpus) == 0 && from_caches(p, &cpus, out))
				return 1;
		}
	return from_caches(p, &c->topology.online, out);
}

int cpu_choose(void *choice, const struct rtkvm_cpus *taken, struct rtkvm_cpus *out)
{
	struct cpu_choice *c = choice;
	struct pick p = { .choice = c, .taken = taken };
	struct rtkvm_cpus rest;
	char text[64];
	int ret;

	ret = cpu_topology_read(c->rt, &c->topology);
	if (ret < 0)
		return ret;
	c->leased = *taken;
	rtkvm_cpus_clear(out);
	if (c->request->cpus) {
		ret = exact(&p, out);
	} else {
		p.free = c->topology.online;
		cpus_without(&p.free, taken);
		if (!(c->request->flags & RTKVM_CPU_CPU0))
			p.free.bits[0] &= ~1UL;
		ret = search(&p, out);
		if (ret == 0) {
			rtkvm_cpus_and(&p.free, &p.domain);
			return rtkvm_fail(c->rt, EBUSY, "struct rtkvm_cpu_request",
					  "ask for fewer, or see rtkvm status for who has them",
					  "%u CPUs of that kind are not free: free are %u (%s)",
					  c->request->count, rtkvm_cpus_count(&p.free),
					  say(&p.free, text));
		}
	}
	if (ret < 0)
		return ret;
	rest = c->topology.online;
	cpus_without(&rest, taken);
	cpus_without(&rest, out);
	if (!rtkvm_cpus_count(&rest))
		return rtkvm_fail(c->rt, EBUSY, "struct rtkvm_cpu_request", "ask for fewer",
				  "no CPU would be left to the rest of the host");
	return 0;
}
