/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that may run on leased CPUs, of all processes and of the kernel.
 * Kernel threads that are bound to their CPU are named in the report, each
 * with the boot parameter that takes its work away.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu_priv.h"

#define PF_KTHREAD 0x00200000
#define PF_NO_SETAFFINITY 0x04000000

struct task {
	pid_t tid;
	unsigned long flags;
	uint64_t start;
	char comm[64];
};

/* Name, flags (field 9) and start time (22) from stat. */
static bool read_task(struct rtkvm *rt, pid_t tid, struct task *t)
{
	char path[64], stat[2048], *open, *close, *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	if (rtkvm_file_read_quiet(rt, path, stat, sizeof(stat)) < 0)
		return false;
	open = strchr(stat, '(');
	close = strrchr(stat, ')');
	if (!open || !close || close < open)
		return false;
	t->tid = tid;
	snprintf(t->comm, sizeof(t->comm), "%.*s", (int)(close - open - 1), open + 1);
	p = close;
	for (int field = 2; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return false;
		p++;
		if (field == 8)
			t->flags = strtoul(p, NULL, 10);
	}
	t->start = strtoull(p, NULL, 10);
	return true;
}

static bool is_attached(const struct rtkvm_cpu_lease *l, const struct task *t)
{
	for (size_t i = 0; i < l->attached_count; i++)
		if (l->attached[i].tid == t->tid && l->attached[i].start == t->start)
			return true;
	return false;
}

/* What takes the work of a thread that is bound to its CPU away from it. */
static const char *parameter_for(const char *comm)
{
	static const struct {
		const char *start, *text;
	} table[] = {
		{ "rcuc/", "rcu_nocbs" },	{ "rcuop/", "rcu_nocb_poll" },
		{ "ktimers/", "nohz_full" },	{ "ksoftirqd/", "nohz_full and isolcpus=managed_irq" },
		{ "kworker/", "isolcpus=domain,managed_irq" }, { "watchdog/", "nosoftlockup" },
		{ "cpuhp/", NULL },		{ "migration/", NULL },
		{ "irq_work/", NULL },		{ "backlog_napi/", NULL },
		{ "idle_inject/", NULL },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strncmp(comm, table[i].start, strlen(table[i].start)))
			return table[i].text;
	return NULL;
}

static void note_bound(struct rtkvm_cpu_lease *l, const struct task *t)
{
	const char *parameter = parameter_for(t->comm);
	char feature[64];

	/* its number comes and goes */
	snprintf(feature, sizeof(feature), "kernel thread %.*s",
		 strncmp(t->comm, "kworker/", 8) ? 48 : (int)strcspn(t->comm, ":"), t->comm);
	if (parameter)
		cpu_note(l, feature, false,
			 "bound to its CPU; the boot parameter %s takes work from it", parameter);
	else
		cpu_note(l, feature, false, "bound to its CPU; idle unless something asks for it");
}

/* A thread whose affinity is known. */
static void find_task(struct rtkvm_cpu_lease *l, struct cpu_batch *batch, pid_t tid,
		      const struct rtkvm_cpus *is, bool meets)
{
	char before[RTKVM_VALUE_MAX], after[RTKVM_VALUE_MAX];
	struct rtkvm_cpus rest;
	struct rtkvm_change *c;
	bool taken = true;
	struct task t;

	if (!read_task(l->rt, tid, &t))
		return;
	if (!strcmp(t.comm, "irqbalance"))
		l->irqbalance = true;
	if (t.flags & PF_NO_SETAFFINITY) {
		if (meets && rtkvm_cpus_subset(is, &l->cpus))
			note_bound(l, &t);
		else if (meets && strncmp(t.comm, "kworker/u", 9) != 0) /* follow the workqueues */
			cpu_note(l, "kernel threads", false, "\"%s\" may run on any CPU and cannot "
				 "be moved", t.comm);
		return;
	}
	/* without the leased CPUs; a kernel thread is held where it is, against cpusets */
	rest = *is;
	if ((meets && (is_attached(l, &t) || !cpu_reduce(l, is, &rest, false, &taken))) ||
	    (!meets && !(t.flags & PF_KTHREAD)) ||
	    rtkvm_cpus_print_list(is, before, sizeof(before)) <= 0 ||
	    rtkvm_cpus_print_list(&rest, after, sizeof(after)) <= 0)
		return;
	c = cpu_batch_add(batch, CPU_THREADS);
	if (!c)
		return;
	c->kind = RTKVM_CHANGE_CPUS;
	c->tid = t.tid;
	c->start = t.start;
	c->take = meets && taken;
	c->before = strdup(before);
	c->after = strdup(after);
	if (!c->before || !c->after)
		batch->failed = true;
}

static void look_at(struct rtkvm_cpu_lease *l, struct cpu_batch *batch, pid_t tid, bool all)
{
	struct rtkvm_cpus is;
	bool meets;

	rtkvm_cpus_clear(&is);
	if (sched_getaffinity(tid, sizeof(is.bits), (cpu_set_t *)(void *)is.bits) < 0)
		return;
	meets = cpus_meet(&is, &l->cpus);
	if (meets || all)
		find_task(l, batch, tid, &is, meets);
}

static int find_in(struct rtkvm_cpu_lease *l, struct cpu_batch *batch, const char *path, bool all)
{
	struct dirent *e;
	int64_t tid;
	DIR *dir;
	int ret = rtkvm_opendir_quiet(l->rt, path, &dir);

	if (ret < 0)
		return ret;
	while ((e = readdir(dir)))
		if (rtkvm_parse_i64(e->d_name, 1, INT32_MAX, &tid))
			look_at(l, batch, (pid_t)tid, all);
	closedir(dir);
	return 0;
}

/*
 * first: kernel threads that have no leased CPU, too, when a partition comes:
 * it would set all of them to any CPU that is left.
 */
int cpu_find_threads(struct rtkvm_cpu_lease *l, struct cpu_batch *batch, bool first)
{
	struct dirent *e;
	char path[64];
	int64_t pid;
	DIR *dir;
	int ret;

	if (l->rt->made_up)
		return 0;
	ret = rtkvm_opendir_quiet(l->rt, "/proc", &dir);
	if (ret < 0)
		return rtkvm_fail(l->rt, -ret, "/proc", "mount /proc", "cannot list threads");
	while ((e = readdir(dir))) {
		if (!rtkvm_parse_i64(e->d_name, 1, INT32_MAX, &pid))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
		ret = find_in(l, batch, path, first);
		if (ret == -ENOMEM)
			batch->failed = true;
	}
	closedir(dir);
	return 0;
}
