/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Facts that several checks share, read once: CPUs, kernel, nodes, threads of
 * the kernel. What only one check reads is in that check.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/kthreads.h"
#include "core/task.h"
#include "kvm.h"
#include "parse.h"
#include "read.h"
#include "vm.h"

#define CPU "/sys/devices/system/cpu/"

/* Isolated at boot, or in an isolated partition of cgroup v2 (Linux 6.7). */
static void read_isolated(struct host_facts *facts)
{
	struct host_cpus partition;

	host_cpu_list(facts, CPU "isolated", &facts->isolated);
	host_cpu_list(facts, "/sys/fs/cgroup/cpuset.cpus.isolated", &partition);
	if (partition.err)
		host_cpu_list(facts, "/sys/fs/cgroup/unified/cpuset.cpus.isolated", &partition);
	if (partition.err || facts->isolated.err)
		return;
	for (size_t i = 0; i < RTKVM_CPULIST_WORDS; i++)
		facts->isolated.set.bits[i] |= partition.set.bits[i];
}

static void read_cpus(struct host_facts *facts)
{
	host_cpu_list(facts, CPU "online", &facts->online);
	read_isolated(facts);
	host_cpu_list(facts, CPU "nohz_full", &facts->nohz_full);
	/* a kernel without CONFIG_NO_HZ_FULL has none */
	if (facts->nohz_full.err == -ENOENT && facts->online.err == 0)
		facts->nohz_full.err = 0;
}

static int choose_realtime(struct host_facts *facts, const char *cpus)
{
	struct host_cpus *rt = &facts->realtime;

	if (cpus) {
		snprintf(rt->path, sizeof(rt->path), "the list of CPUs");
		if (!cpus[0] || rtkvm_cpus_parse_list(cpus, &rt->set, NULL) < 0)
			return rtkvm_fail(facts->rt, EINVAL, "rtkvm_host_options.cpus",
					  "give a list such as 2-3,6", "\"%s\" is not a list of CPUs",
					  cpus);
		facts->rt_given = true;
	} else {
		*rt = facts->isolated;
		for (size_t i = 0; !facts->nohz_full.err && i < RTKVM_CPULIST_WORDS; i++)
			rt->set.bits[i] |= facts->nohz_full.set.bits[i];
		/* nohz_full alone says enough */
		if (rt->err && !host_empty(&rt->set))
			rt->err = 0;
	}
	if (!facts->online.err)
		facts->housekeeping = host_minus(&facts->online.set, &rt->set);
	return 0;
}

static void read_cpuinfo(struct host_facts *facts)
{
	char text[16384], vendor[64], flags[4096], vmx[2000];
	ssize_t len = host_head(facts, "/proc/cpuinfo", text, sizeof(text));

	if (len < 0) {
		facts->cpuinfo_err = (int)len;
		return;
	}
	if (!host_key_get(text, "vendor_id", vendor, sizeof(vendor)) ||
	    !host_key_get(text, "flags", flags, sizeof(flags))) {
		facts->cpuinfo_err = -EILSEQ;
		return;
	}
	facts->vendor = !strcmp(vendor, "GenuineIntel") ? HOST_VENDOR_INTEL :
			!strcmp(vendor, "AuthenticAMD") || !strcmp(vendor, "HygonGenuine") ?
							  HOST_VENDOR_AMD :
							  HOST_VENDOR_OTHER;
	/* what VMX can do has a line of its own since 5.8 */
	if (!host_key_get(text, "vmx flags", vmx, sizeof(vmx)))
		vmx[0] = '\0';
	snprintf(facts->cpuflags, sizeof(facts->cpuflags), " %s %s ", flags, vmx);
}

static void read_kernel(struct host_facts *facts)
{
	char text[1024];

	facts->cmdline_err = host_text(facts, "/proc/cmdline", facts->cmdline,
				       sizeof(facts->cmdline));
	facts->release_err = host_text(facts, "/proc/sys/kernel/osrelease", text, sizeof(text));
	if (!facts->release_err && !host_release_parse(text, &facts->major, &facts->minor))
		facts->release_err = -EILSEQ;
	if (host_text(facts, "/sys/kernel/realtime", text, sizeof(text)) == 0 && !strcmp(text, "1"))
		facts->preempt_rt = 1;
	else if ((facts->preempt_rt = host_text(facts, "/proc/version", text, sizeof(text))) == 0)
		facts->preempt_rt = !strncmp(text, "Linux version", 13) ?
					    strstr(text, "PREEMPT_RT") != NULL :
					    -EILSEQ;
}

static int read_node(struct host_facts *facts, const char *name, void *arg)
{
	struct host_cpus cpus;
	char path[128];
	int64_t node;
	int cpu = -1;

	(void)arg;
	if (strncmp(name, "node", 4) || !rtkvm_parse_i64(name + 4, 0, 1023, &node))
		return 0;
	snprintf(path, sizeof(path), "/sys/devices/system/node/%.20s/cpulist", name);
	host_cpu_list(facts, path, &cpus);
	if (cpus.err)
		return cpus.err;
	if (!host_empty(&cpus.set))
		facts->node_count++;
	while ((cpu = rtkvm_cpus_next(&cpus.set, (unsigned int)(cpu + 1))) >= 0) {
		if (facts->node_of[cpu] >= 0)
			return -EILSEQ; /* on two nodes */
		facts->node_of[cpu] = (short)node;
	}
	return 0;
}

static int read_nodes(struct host_facts *facts)
{
	facts->node_of = malloc(RTKVM_MAX_CPUS * sizeof(*facts->node_of));
	if (!facts->node_of)
		return rtkvm_fail(facts->rt, ENOMEM, NULL, NULL, "no memory for the host's facts");
	for (size_t i = 0; i < RTKVM_MAX_CPUS; i++)
		facts->node_of[i] = -1;
	facts->nodes_err = host_each(facts, "/sys/devices/system/node", read_node, NULL);
	return 0;
}

int host_facts_read(struct host_facts *facts, const struct rtkvm_host_options *opt)
{
	int ret;

	facts->root = geteuid() == 0;
	facts->plan = opt->plan;
	read_cpus(facts);
	ret = choose_realtime(facts, opt->cpus);
	if (ret < 0)
		return ret;
	read_cpuinfo(facts);
	read_kernel(facts);
	ret = read_nodes(facts);
	if (ret == 0 && (opt->pid || opt->vm_facts))
		ret = host_vm_read(facts, opt);
	return ret;
}

void host_facts_free(struct host_facts *facts)
{
	free(facts->node_of);
	free(facts->kthreads.task);
	host_kvm_free(facts->kvm);
	host_vm_free(facts->vm);
}

static int look_at_kthreads(struct host_facts *facts, struct rtkvm_kthread_list *list)
{
	struct host_tasks *tasks = &facts->kthreads;
	struct rtkvm_task task;
	int ret = rtkvm_kthreads_list(facts->rt, list);

	if (ret < 0)
		return ret;
	tasks->task = calloc(list->count + 1, sizeof(*tasks->task));
	if (!tasks->task)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		struct host_task *t = &tasks->task[tasks->count];

		ret = rtkvm_task_read(facts->rt, list->pids[i], list->pids[i], &task);
		/* a thread may have ended meanwhile, nothing else */
		if (ret < 0 && ret != -ESRCH)
			return ret;
		if (ret < 0 || !task.kthread)
			continue;
		t->tid = task.tid;
		t->policy = task.policy;
		t->priority = task.priority;
		snprintf(t->comm, sizeof(t->comm), "%s", task.comm);
		tasks->count++;
	}
	return tasks->count ? 0 : -ENOENT;
}

int host_kthreads(struct host_facts *facts, const struct host_tasks **tasks)
{
	if (!facts->kthreads.looked) {
		struct rtkvm_kthread_list list = { .count = 0 };

		facts->kthreads.looked = true;
		facts->kthreads.err = look_at_kthreads(facts, &list);
		rtkvm_kthreads_free(&list);
	}
	*tasks = &facts->kthreads;
	return facts->kthreads.err;
}
