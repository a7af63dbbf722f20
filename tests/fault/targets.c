/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See targets.h. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "targets.h"

#define MAX 32

/* An odd number that no one else asks for. */
#define HOLD_US 137

/* A file, how it was, and the operation of changes.c that changes it. */
struct target {
	char path[300];
	char text[64];
	char set[64]; /* what it shows once it is changed; host only */
	char op[96];
};

static struct target targets[MAX];
static int count;
static char root[300];
static pid_t sleeper;
static char ops[3][64];
static int nops;

static const struct {
	const char *path, *text, *op;
} tree[] = {
	{ "/proc/sys/kernel/random/boot_id", "6a1c6cf2-6b0e-4c51-9f3a-0e1a3f4f7a55\n", "" },
	{ "/proc/irq/24/smp_affinity_list", "0-3\n", "knob:1:24:0" },
	{ "/proc/irq/25/smp_affinity_list", "2-3\n", "knob:1:25:0-1" },
	{ "/proc/irq/131/smp_affinity_list", "0,2\n", "knob:1:131:3" },
	{ "/proc/irq/default_smp_affinity", "f\n", "knob:2:0:0-1" },
	{ "/sys/devices/virtual/workqueue/cpumask", "0000000f\n", "knob:3:0:0" },
	{ "/proc/sys/kernel/timer_migration", "1\n", "knob:4:0:0" },
	{ "/sys/kernel/mm/ksm/run", "1\n", "knob:5:0:0" },
	{ "/proc/sys/vm/stat_interval", "1\n", "knob:6:0:120" },
	{ "/proc/sys/kernel/numa_balancing", "1\n", "knob:7:0:0" },
	{ "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "0\n",
	  "knob:8:0:128" },
	{ "/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages", "2\n",
	  "knob:9:1:4" },
	/* once more, and back: a chain of changes */
	{ "/proc/sys/vm/stat_interval", "1\n", "knob:6:0:7" },
	{ "/proc/sys/kernel/timer_migration", "1\n", "knob:4:0:1" },
	/* untouched */
	{ "/proc/irq/26/smp_affinity_list", "0-3\n", "" },
	{ "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/surplus_hugepages", "0\n", "" },
};

/* A machine for CPU leases. */
static const struct {
	const char *path, *text, *op;
} cpu_tree[] = {
	{ "/proc/sys/kernel/random/boot_id", "6a1c6cf2-6b0e-4c51-9f3a-0e1a3f4f7a55\n", "take:2:2-3" },
	{ "/proc/self/mountinfo", "25 30 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "" },
	{ "/proc/irq/24/smp_affinity_list", "0-3\n", "" },
	{ "/proc/irq/25/smp_affinity_list", "2-3\n", "" },
	{ "/proc/irq/26/smp_affinity_list", "0-1\n", "" },
	{ "/proc/irq/default_smp_affinity", "f\n", "" },
	{ "/proc/sys/kernel/timer_migration", "1\n", "" },
	{ "/proc/sys/kernel/watchdog_cpumask", "0-3\n", "" },
	{ "/proc/sys/vm/stat_interval", "1\n", "" },
	{ "/sys/devices/system/cpu/cpu2/online", "1\n", "" },
	{ "/sys/devices/system/cpu/cpu3/online", "1\n", "" },
	{ "/sys/fs/resctrl/cpus_list", "0-3\n", "" },
	{ "/sys/class/net/eth0/ifindex", "2\n", "" },
	{ "/sys/class/net/eth0/queues/rx-0/rps_cpus", "f\n", "" },
	{ "/sys/class/net/eth0/queues/tx-0/xps_cpus", "c\n", "" },
	{ "/sys/devices/system/cpu/cpu2/power/pm_qos_resume_latency_us", "0\n", "" },
	{ "/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "powersave\n", "" },
	{ "/sys/devices/system/cpu/online", "0-3\n", "" },
	{ "/sys/devices/virtual/workqueue/cpumask", "0000000f\n", "" },
	{ "/sys/fs/cgroup/cgroup.controllers", "cpuset cpu\n", "" },
	{ "/sys/fs/cgroup/cgroup.subtree_control", "cpu\n", "" },
	{ "/sys/fs/cgroup/cpuset.mems.effective", "0\n", "" },
};

static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = '\0';
	return len > 0;
}

static bool write_text(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | flags, 0644);
	bool done = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	if (fd >= 0)
		close(fd);
	return done;
}

static void make_parents(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

static void add_made_up(const char *path, const char *text, const char *op)
{
	struct target *t = &targets[count++];

	snprintf(t->path, sizeof(t->path), "%.80s%s", root, path);
	snprintf(t->text, sizeof(t->text), "%s", text);
	snprintf(t->op, sizeof(t->op), "%s", op);
	make_parents(t->path);
}

void targets_tree(const char *work, bool cpus)
{
	snprintf(root, sizeof(root), "%s/root", work);
	for (size_t i = 0; i < sizeof(tree) / sizeof(tree[0]) && !cpus; i++)
		add_made_up(tree[i].path, tree[i].text, tree[i].op);
	for (size_t i = 0; i < sizeof(cpu_tree) / sizeof(cpu_tree[0]) && cpus; i++)
		add_made_up(cpu_tree[i].path, cpu_tree[i].text, cpu_tree[i].op);
}

/*
 * A file of the host, with what a lease will write there. Left out when this
 * host does not take it: that is tried first, and put back.
 */
static void add(const char *path, const char *value, const char *op)
{
	struct target *t = &targets[count];

	if (!read_text(path, t->text, sizeof(t->text)) || !write_text(path, value, 0))
		return;
	read_text(path, t->set, sizeof(t->set));
	write_text(path, t->text, 0);
	if (!strcmp(t->set, t->text))
		return;
	snprintf(t->path, sizeof(t->path), "%s", path);
	snprintf(t->op, sizeof(t->op), "%s", op);
	count++;
}

/* The first IRQ that may go to more CPUs than this one, and that takes it. */
static void add_irq(int cpu)
{
	char path[300], value[16], op[64];
	int had = count;

	snprintf(value, sizeof(value), "%d", cpu);
	for (int irq = 0; irq < 1024 && count == had; irq++) {
		snprintf(path, sizeof(path), "/proc/irq/%d/smp_affinity_list", irq);
		snprintf(op, sizeof(op), "knob:1:%d:%d", irq, cpu);
		if (access(path, W_OK) == 0)
			add(path, value, op);
	}
}

static void add_workqueue(int cpu)
{
	char value[16], op[64];

	if (cpu > 31)
		return;
	snprintf(value, sizeof(value), "%x", 1U << cpu);
	snprintf(op, sizeof(op), "knob:3:0:%d", cpu);
	add("/sys/devices/virtual/workqueue/cpumask", value, op);
}

static void add_number(const char *path, int knob, int delta)
{
	char text[64], value[16], op[64];

	if (!read_text(path, text, sizeof(text)))
		return;
	snprintf(value, sizeof(value), "%d", delta ? atoi(text) + delta : !atoi(text));
	snprintf(op, sizeof(op), "knob:%d:0:%s", knob, value);
	add(path, value, op);
}

static void start_sleeper(int cpu)
{
	struct sched_param one = { .sched_priority = 1 }, zero = { .sched_priority = 0 };

	sleeper = fork();
	if (sleeper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	/* not where its cgroup has no real-time runtime */
	if (sched_setscheduler(sleeper, SCHED_FIFO, &one) == 0 &&
	    sched_setscheduler(sleeper, SCHED_OTHER, &zero) == 0)
		snprintf(ops[nops++], sizeof(ops[0]), "sched:%d:1:1", (int)sleeper);
	snprintf(ops[nops++], sizeof(ops[0]), "cpus:%d:%d", (int)sleeper, cpu);
	if (access("/dev/cpu_dma_latency", R_OK | W_OK) == 0)
		snprintf(ops[nops++], sizeof(ops[0]), "hold:%d", HOLD_US);
}

static int first_cpu(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &set))
				return cpu;
	return 0;
}

/* Programs that lease things of this host as root, at this moment. */
bool targets_leased_by_others(void)
{
	DIR *dir = opendir(RTKVM_STATEDIR "/leases");
	struct dirent *e;
	bool any = false;

	while (dir && (e = readdir(dir)))
		any = any || e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return any;
}

/* Tests that change this host take turns by a lock on /run (for scripts: flock /run ...). */
bool targets_host_turn(void)
{
	int fd = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return false;
	for (int s = 0; s < 120; s++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && !targets_leased_by_others())
			return true; /* the lock ends with this process */
		flock(fd, LOCK_UN);
		sleep(1);
	}
	return false;
}

bool targets_host(void)
{
	int cpu = first_cpu();

	start_sleeper(cpu);
	add_irq(cpu);
	add_workqueue(cpu);
	add_number("/proc/sys/kernel/timer_migration", 4, 0);
	add_number("/proc/sys/vm/stat_interval", 6, 1);
	add_number("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", 8, 2);
	printf("# %d files of this host and %d things of a thread or process\n", count, nops);
	return count > 0;
}

void targets_reset(void)
{
	for (int i = 0; i < count && root[0]; i++)
		if (!write_text(targets[i].path, targets[i].text, O_CREAT | O_TRUNC))
			perror(targets[i].path);
}

void targets_give_back(void)
{
	char now[64];

	/* only what is as our changes leave it: others may have had their turn */
	for (int i = 0; i < count && !root[0]; i++)
		if (read_text(targets[i].path, now, sizeof(now)) && !strcmp(now, targets[i].set))
			if (!write_text(targets[i].path, targets[i].text, 0))
				perror(targets[i].path);
}

int targets_root_args(char **args, int n, char *option)
{
	if (root[0]) {
		args[n++] = option;
		args[n++] = root;
	}
	return n;
}

int targets_operations(char **args, int n, int max)
{
	for (int i = 0; i < nops && n < max; i++)
		args[n++] = ops[i];
	for (int i = 0; i < count && n < max; i++)
		if (targets[i].op[0])
			args[n++] = targets[i].op;
	return n;
}

char *const *targets_snapshot_args(char *script)
{
	static char shell[] = "/bin/sh", host[] = "host", made_up[] = "tree", pid[16];
	static char *args[6];

	snprintf(pid, sizeof(pid), "%d", (int)sleeper);
	args[0] = shell;
	args[1] = script;
	args[2] = root[0] ? made_up : host;
	args[3] = root[0] ? root : pid;
	return args;
}

/*
 * The shortest latency that anyone asked for is everybody's business: of it
 * only whether it is ours counts.
 */
void targets_normalise(char *text)
{
	char *line = strstr(text, "cpu_dma_latency ");

	if (!line)
		return;
	line += strlen("cpu_dma_latency ");
	snprintf(line, 7, "%s\n", atoi(line) == HOLD_US ? "ours" : "other");
}
