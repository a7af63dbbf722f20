/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The closed table of knobs: where each one is, how its values are spelled
 * and compared. A journal names a knob by its number in this table, so a
 * forged journal cannot name a file. What to set belongs to the callers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cpulist.h"
#include "core/file.h"
#include "lease_priv.h"

enum spelling {
	LIST,
	MASK,
	QUEUE,   /* a mask that may be empty */
	NUMBER,
	LATENCY, /* a number, or "n/a" */
	WORD,    /* one of a closed list */
	CPUSET,  /* 0 or 1: is "cpuset" in a list of controllers */
	INSTANCE, /* 0 or 1: is there a tracing instance */
};

struct knob {
	const char *name;
	const char *head; /* of its path; with an index between head and tail */
	const char *tail; /* NULL: no index */
	unsigned int index_max;
	enum spelling spelling;
	int64_t min, max; /* what a lease may set; a host may have had more */
	const char *const *words;
};

/* More than any kernel has: NR_IRQS is below 600 000 on x86. */
#define IRQ_MAX ((1U << 20) - 1)
#define NODE_MAX 1023
#define INSTANCE_MAX ((1U << 22) - 1) /* as many as there can be processes */
#define CPU_MAX 8191
#define PAGES_MAX (1LL << 32)

#define NODES "/sys/devices/system/node/node"
#define CPUS "/sys/devices/system/cpu/cpu"
#define FAIR_SERVER "/sys/kernel/debug/sched/fair_server/cpu"

static const char *const governors[] = { "performance", "powersave",	"schedutil", "ondemand",
					 "conservative", "userspace", NULL };
static const char *const preferences[] = { "default", "performance", "balance_performance",
					   "balance_power", "power", NULL };

static const struct knob knobs[] = {
	[RTKVM_KNOB_IRQ_AFFINITY] = { "irq-affinity", "/proc/irq/", "/smp_affinity_list", IRQ_MAX,
				      LIST, 0, 0, NULL },
	[RTKVM_KNOB_IRQ_DEFAULT_AFFINITY] = { "irq-default-affinity",
					      "/proc/irq/default_smp_affinity", NULL, 0, MASK, 0,
					      0, NULL },
	[RTKVM_KNOB_WORKQUEUE_CPUMASK] = { "workqueue-cpumask",
					   "/sys/devices/virtual/workqueue/cpumask", NULL, 0, MASK,
					   0, 0, NULL },
	[RTKVM_KNOB_TIMER_MIGRATION] = { "timer-migration", "/proc/sys/kernel/timer_migration",
					 NULL, 0, NUMBER, 0, 1, NULL },
	[RTKVM_KNOB_KSM_RUN] = { "ksm-run", "/sys/kernel/mm/ksm/run", NULL, 0, NUMBER, 0, 2, NULL },
	[RTKVM_KNOB_STAT_INTERVAL] = { "stat-interval", "/proc/sys/vm/stat_interval", NULL, 0,
				       NUMBER, 1, 3600, NULL },
	[RTKVM_KNOB_NUMA_BALANCING] = { "numa-balancing", "/proc/sys/kernel/numa_balancing", NULL,
					0, NUMBER, 0, 3, NULL },
	[RTKVM_KNOB_HUGEPAGES_2M] = { "hugepages-2m", NODES, "/hugepages/hugepages-2048kB/",
				      NODE_MAX, NUMBER, 0, PAGES_MAX, NULL },
	[RTKVM_KNOB_HUGEPAGES_1G] = { "hugepages-1g", NODES, "/hugepages/hugepages-1048576kB/",
				      NODE_MAX, NUMBER, 0, PAGES_MAX, NULL },
	[RTKVM_KNOB_CPU_ONLINE] = { "cpu-online", CPUS, "/online", CPU_MAX, NUMBER, 0, 1, NULL },
	[RTKVM_KNOB_CPU_LATENCY] = { "cpu-latency", CPUS, "/power/pm_qos_resume_latency_us",
				     CPU_MAX, LATENCY, 0, INT32_MAX, NULL },
	[RTKVM_KNOB_CPU_GOVERNOR] = { "cpu-governor", CPUS, "/cpufreq/scaling_governor", CPU_MAX,
				      WORD, 0, 0, governors },
	[RTKVM_KNOB_CPU_EPP] = { "cpu-epp", CPUS, "/cpufreq/energy_performance_preference",
				 CPU_MAX, WORD, 0, 0, preferences },
	[RTKVM_KNOB_FAIR_SERVER] = { "fair-server", FAIR_SERVER, "/runtime", CPU_MAX, NUMBER, 0,
				     1000000000, NULL },
	[RTKVM_KNOB_NET_RPS] = { "net-rps", "rx", "rps_cpus", UINT32_MAX, QUEUE, 0, 0, NULL },
	[RTKVM_KNOB_NET_XPS] = { "net-xps", "tx", "xps_cpus", UINT32_MAX, QUEUE, 0, 0, NULL },
	[RTKVM_KNOB_NET_RPS_DEFAULT] = { "net-rps-default", "/proc/sys/net/core/rps_default_mask",
					 NULL, 0, QUEUE, 0, 0, NULL },
	[RTKVM_KNOB_WATCHDOG_CPUMASK] = { "watchdog-cpumask", "/proc/sys/kernel/watchdog_cpumask",
					  NULL, 0, LIST, 0, 0, NULL },
	[RTKVM_KNOB_CGROUP_CPUSET] = { "cgroup-cpuset", "cgroup.subtree_control", NULL, 0, CPUSET,
				       0, 1, NULL },
	[RTKVM_KNOB_TRACE_INSTANCE] = { "trace-instance", "instances/rtkvm-", "", INSTANCE_MAX,
					INSTANCE, 0, 1, NULL },
	[RTKVM_KNOB_OSNOISE_CPUS] = { "osnoise-cpus", "osnoise/cpus", NULL, 0, LIST, 0, 0, NULL },
};

#define KNOBS ((int)(sizeof(knobs) / sizeof(knobs[0])))

static const struct knob *find(int knob)
{
	return knob > 0 && knob < KNOBS && knobs[knob].name ? &knobs[knob] : NULL;
}

static bool is_hugepages(int knob)
{
	return knob == RTKVM_KNOB_HUGEPAGES_2M || knob == RTKVM_KNOB_HUGEPAGES_1G;
}

const char *rtkvm_knob_name(int knob)
{
	const struct knob *k = find(knob);

	return k ? k->name : NULL;
}

bool rtkvm_knob_indexed(int knob)
{
	const struct knob *k = find(knob);

	return k && k->tail;
}

bool rtkvm_knob_index_ok(int knob, unsigned int index)
{
	const struct knob *k = find(knob);

	return k && index <= k->index_max;
}

bool rtkvm_knob_is_cpus(int knob)
{
	const struct knob *k = find(knob);

	return k && (k->spelling == LIST || k->spelling == MASK || k->spelling == QUEUE);
}

static bool parse_cpus(enum spelling spelling, const char *text, struct rtkvm_cpus *cpus)
{
	int ret = spelling == LIST ? rtkvm_cpus_parse_list(text, cpus, NULL) :
				     rtkvm_cpus_parse_mask(text, cpus, NULL);

	return ret == 0 && *text && (spelling == QUEUE || rtkvm_cpus_next(cpus, 0) >= 0);
}

bool rtkvm_knob_cpus(int knob, const char *text, struct rtkvm_cpus *cpus)
{
	return rtkvm_knob_is_cpus(knob) && parse_cpus(find(knob)->spelling, text, cpus);
}

static bool is_word(const struct knob *k, const char *text)
{
	for (const char *const *w = k->words; *w; w++)
		if (!strcmp(*w, text))
			return true;
	return false;
}

bool rtkvm_knob_value_ok(int knob, const char *text, bool strict)
{
	const struct knob *k = find(knob);
	struct rtkvm_cpus cpus;
	int64_t v;

	if (!k || strlen(text) >= RTKVM_VALUE_MAX)
		return false;
	if (rtkvm_knob_is_cpus(knob))
		return parse_cpus(k->spelling, text, &cpus);
	if (k->spelling == WORD)
		return is_word(k, text);
	if (k->spelling == LATENCY && !strcmp(text, "n/a"))
		return true;
	if (k->spelling == CPUSET || k->spelling == INSTANCE)
		strict = true;
	return rtkvm_parse_i64(text, strict ? k->min : 0, strict ? k->max : INT64_MAX, &v);
}

bool rtkvm_knob_equal(int knob, const char *a, const char *b)
{
	const struct knob *k = find(knob);
	struct rtkvm_cpus ca, cb;
	int64_t va, vb;

	if (!k)
		return false;
	if (!strcmp(a, b))
		return true;
	if (rtkvm_knob_is_cpus(knob))
		return parse_cpus(k->spelling, a, &ca) && parse_cpus(k->spelling, b, &cb) &&
		       rtkvm_cpus_equal(&ca, &cb);
	return rtkvm_parse_i64(a, INT64_MIN, INT64_MAX, &va) &&
	       rtkvm_parse_i64(b, INT64_MIN, INT64_MAX, &vb) && va == vb;
}

bool rtkvm_knob_print_cpus(int knob, const struct rtkvm_cpus *cpus, char out[RTKVM_VALUE_MAX])
{
	const struct knob *k = find(knob);

	if (!rtkvm_knob_is_cpus(knob) || (k->spelling != QUEUE && rtkvm_cpus_next(cpus, 0) < 0))
		return false;
	return (k->spelling == LIST ? rtkvm_cpus_print_list(cpus, out, RTKVM_VALUE_MAX) :
				      rtkvm_cpus_print_mask(cpus, out, RTKVM_VALUE_MAX)) > 0;
}

bool rtkvm_knob_spell(int knob, const char *value, char out[RTKVM_VALUE_MAX])
{
	const struct knob *k = find(knob);
	struct rtkvm_cpus cpus;
	int64_t v;

	if (!k)
		return false;
	if (rtkvm_knob_is_cpus(knob))
		return rtkvm_cpus_parse_list(value, &cpus, NULL) == 0 &&
		       rtkvm_knob_print_cpus(knob, &cpus, out);
	if (k->spelling == WORD || (k->spelling == LATENCY && !strcmp(value, "n/a"))) {
		snprintf(out, RTKVM_VALUE_MAX, "%s", value);
		return k->spelling == LATENCY || is_word(k, value);
	}
	if (!rtkvm_parse_i64(value, k->min, k->max, &v))
		return false;
	snprintf(out, RTKVM_VALUE_MAX, "%lld", (long long)v);
	return true;
}

/* leaf: which file of a folder of huge pages. */
static void path_of(const struct knob *k, int knob, unsigned int index, const char *leaf,
		    char *out, size_t size)
{
	if (!k->tail)
		snprintf(out, size, "%s", k->head);
	else
		snprintf(out, size, "%s%u%s%s", k->head, index, k->tail,
			 is_hugepages(knob) ? leaf : "");
}

static bool is_net(int knob)
{
	return knob == RTKVM_KNOB_NET_RPS || knob == RTKVM_KNOB_NET_XPS;
}

static bool is_trace(int knob)
{
	return knob == RTKVM_KNOB_TRACE_INSTANCE || knob == RTKVM_KNOB_OSNOISE_CPUS;
}

void rtkvm_knob_path(int knob, unsigned int index, char *out, size_t size)
{
	const struct knob *k = find(knob);

	if (k && is_net(knob))
		snprintf(out, size, "network interface %u, %s-%u/%s",
			 index / RTKVM_NET_QUEUES, k->head, index % RTKVM_NET_QUEUES, k->tail);
	else if (k && k->spelling == INSTANCE)
		snprintf(out, size, "tracefs, %s%u", k->head, index);
	else if (k && is_trace(knob))
		snprintf(out, size, "tracefs, %s", k->head);
	else if (k)
		path_of(k, knob, index, "nr_hugepages", out, size);
	else
		snprintf(out, size, "knob %d", knob);
}

/*
 * The file counts surplus pages too: those that outlived a smaller setting
 * because somebody uses them. They are freed by themselves later.
 */
static int subtract_surplus(struct rtkvm *rt, const struct knob *k, int knob, unsigned int index,
			    char out[RTKVM_VALUE_MAX])
{
	char path[RTKVM_PATH_MAX], text[32];
	int64_t total, surplus;
	ssize_t len;

	path_of(k, knob, index, "surplus_hugepages", path, sizeof(path));
	len = rtkvm_file_read_quiet(rt, path, text, sizeof(text));
	if (len == -ENOENT)
		return 0;
	if (len < 0)
		return (int)len;
	if (!rtkvm_parse_i64(out, 0, INT64_MAX, &total) ||
	    !rtkvm_parse_i64(text, 0, total, &surplus))
		return -EILSEQ;
	snprintf(out, RTKVM_VALUE_MAX, "%lld", (long long)(total - surplus));
	return 0;
}

/* Where it is on this host now: some have to be looked for. 0 or -errno. */
static int locate(struct rtkvm *rt, int knob, unsigned int index, char out[RTKVM_PATH_MAX])
{
	const struct knob *k = find(knob);
	char name[RTKVM_IFNAME_MAX], base[RTKVM_PATH_MAX / 2];
	int ret;

	if (knob == RTKVM_KNOB_CGROUP_CPUSET) {
		ret = rtkvm_cgroup_mount(rt, 2, base);
		snprintf(out, RTKVM_PATH_MAX, "%s/%s", base, k->head);
		return ret;
	}
	if (is_trace(knob)) {
		ret = rtkvm_tracefs(rt, base);
		/* an instance that is not there is looked for where it would be */
		snprintf(out, RTKVM_PATH_MAX, "%s/%s", base,
			 k->spelling == INSTANCE ? "instances" : k->head);
		return ret;
	}
	if (!is_net(knob)) {
		rtkvm_knob_path(knob, index, out, RTKVM_PATH_MAX);
		return 0;
	}
	ret = rtkvm_ifname(rt, index / RTKVM_NET_QUEUES, name);
	if (ret < 0)
		return ret;
	snprintf(out, RTKVM_PATH_MAX, "/sys/class/net/%s/queues/%s-%u/%s", name, k->head,
		 index % RTKVM_NET_QUEUES, k->tail);
	return 0;
}

/* The list of controllers as 0 or 1. */
static void has_cpuset(char out[RTKVM_VALUE_MAX])
{
	char padded[RTKVM_VALUE_MAX + 2];

	snprintf(padded, sizeof(padded), " %s ", out);
	strcpy(out, strstr(padded, " cpuset ") ? "1" : "0");
}

int rtkvm_knob_read(struct rtkvm *rt, int knob, unsigned int index, char out[RTKVM_VALUE_MAX])
{
	const struct knob *k = find(knob);
	char path[RTKVM_PATH_MAX];
	ssize_t len;
	int err;

	out[0] = '\0';
	if (!k)
		return -EINVAL;
	if (k->spelling == INSTANCE)
		return rtkvm_trace_instance_read(rt, index, out);
	err = locate(rt, knob, index, path);
	if (err < 0)
		return err;
	len = rtkvm_file_read_quiet(rt, path, out, RTKVM_VALUE_MAX);
	if (len < 0)
		return (int)len;
	if (is_hugepages(knob)) {
		int ret = subtract_surplus(rt, k, knob, index, out);

		if (ret < 0)
			return ret;
	}
	if (k->spelling == CPUSET)
		has_cpuset(out);
	/* what cannot be spelled cannot be given back */
	return rtkvm_knob_value_ok(knob, out, false) ? 0 : -EILSEQ;
}

int rtkvm_knob_writable(struct rtkvm *rt, int knob, unsigned int index)
{
	char path[RTKVM_PATH_MAX];
	int fd = locate(rt, knob, index, path);

	if (fd < 0)
		return fd;
	fd = rtkvm_open_quiet(rt, path, knob == RTKVM_KNOB_TRACE_INSTANCE ? O_RDONLY : O_WRONLY);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* What the kernel would make of "+cpuset" or "-cpuset", for a made-up tree. */
static const char *with_cpuset(struct rtkvm *rt, const char *path, bool on,
			       char out[RTKVM_VALUE_MAX])
{
	char text[RTKVM_VALUE_MAX - 8], *save = NULL;

	out[0] = '\0';
	if (rtkvm_file_read_quiet(rt, path, text, sizeof(text)) < 0)
		text[0] = '\0';
	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save))
		if (strcmp(w, "cpuset") != 0)
			strcat(strcat(out, *out ? " " : ""), w);
	if (on)
		strcat(strcat(out, *out ? " " : ""), "cpuset");
	return out;
}

int rtkvm_knob_write(struct rtkvm *rt, int knob, unsigned int index, const char *text)
{
	char path[RTKVM_PATH_MAX], line[RTKVM_VALUE_MAX + 1], list[RTKVM_VALUE_MAX];
	int ret;

	if (knob == RTKVM_KNOB_TRACE_INSTANCE)
		return rtkvm_trace_instance_write(rt, index, text);
	ret = locate(rt, knob, index, path);
	if (ret < 0)
		return ret;
	if (knob == RTKVM_KNOB_CGROUP_CPUSET && !rt->made_up)
		text = *text == '1' ? "+cpuset" : "-cpuset";
	else if (knob == RTKVM_KNOB_CGROUP_CPUSET)
		text = with_cpuset(rt, path, *text == '1', list);
	snprintf(line, sizeof(line), "%s\n", text);
	if (knob == RTKVM_KNOB_CPU_ONLINE)
		return rtkvm_cpu_online_write(rt, index, path, line);
	return rtkvm_file_write_quiet(rt, path, line);
}
