/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of interrupts: where they may go, who moves them, and how many more
 * there is room for. One walk over /proc/irq serves two checks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "irqbalance.h"
#include "parse.h"
#include "process.h"
#include "read.h"

/* Vectors of a CPU that devices can have, about: 256 less exceptions and the kernel's own. */
#define VECTORS 200

/* Fewer than these left is close to refusing the next device. */
#define VECTORS_LEFT 16

static void check_default(struct host_facts *facts, const struct host_check *check,
			  struct host_finding *f)
{
	static const char path[] = "/proc/irq/default_smp_affinity";
	char a[HOST_LIST], mask[RTKVM_CPULIST_TEXT];
	struct rtkvm_cpus cpus, both;

	(void)check;
	if (!host_need_mask(facts, f, path, NULL, NULL, &cpus) || !host_need_realtime(facts, f))
		return;
	both = host_common(&cpus, &facts->realtime.set);
	if (host_empty(&both)) {
		host_say(f, HOST_OK, "new IRQs go to CPUs %s", host_list(&cpus, a));
		return;
	}
	host_say(f, HOST_FAIL, "new IRQs may go to real-time CPUs %s", host_list(&both, a));
	if (rtkvm_cpus_print_mask(&facts->housekeeping, mask, sizeof(mask)) > 0 &&
	    !host_empty(&facts->housekeeping))
		host_remedy(f, RTKVM_REMEDY_COMMAND, "echo %s > %s", mask, path);
}

/* What a walk over the IRQs gathers. */
struct irqs {
	unsigned int seen, wrong;
	int err;
	char path[64];
	char wrong_list[200]; /* the first few */
	unsigned int *per_cpu; /* by effective affinity; NULL: not counted */
};

/* CPUs of an IRQ: where it really goes, or may go. */
static int irq_cpus(struct host_facts *facts, const char *name, struct host_cpus *cpus)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/irq/%.20s/effective_affinity_list", name);
	host_cpu_list(facts, path, cpus);
	if (cpus->err == -ENOENT || (!cpus->err && host_empty(&cpus->set))) {
		snprintf(path, sizeof(path), "/proc/irq/%.20s/smp_affinity_list", name);
		host_cpu_list(facts, path, cpus);
	}
	return cpus->err;
}

/* Has the IRQ a handler? What has none interrupts nobody. */
static bool in_use(struct host_facts *facts, const char *name)
{
	char path[64];
	struct dirent *entry;
	bool used = false;
	int fd;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/irq/%.20s", name);
	fd = rtkvm_open_quiet(facts->rt, path, O_RDONLY | O_DIRECTORY);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return true;
	}
	/* a handler has a folder of its name */
	errno = 0;
	while (!used && (entry = readdir(dir)))
		used = entry->d_type == DT_DIR && entry->d_name[0] != '.';
	used |= errno != 0;
	closedir(dir);
	return used;
}

/*
 * Is it on its way? One whose affinity was changed goes with its next
 * interrupt (kernel/irq/migration.c), and interrupts there once at most.
 */
static bool leaves(struct host_facts *facts, const char *name, const struct rtkvm_cpus *wrong)
{
	struct host_cpus allowed;
	struct rtkvm_cpus stays;
	char path[64];

	snprintf(path, sizeof(path), "/proc/irq/%.20s/smp_affinity_list", name);
	host_cpu_list(facts, path, &allowed);
	if (allowed.err)
		return false;
	stays = host_common(&allowed.set, wrong);
	return host_empty(&stays);
}

static int one_irq(struct host_facts *facts, const char *name, void *arg)
{
	struct irqs *irqs = arg;
	struct host_cpus cpus;
	struct rtkvm_cpus both;
	int64_t irq;
	int cpu;

	if (!rtkvm_parse_i64(name, 0, INT32_MAX, &irq))
		return 0;
	if (irq_cpus(facts, name, &cpus) < 0) {
		/* one that went away in between is no fault */
		if (cpus.err != -ENOENT && !irqs->err) {
			irqs->err = cpus.err;
			snprintf(irqs->path, sizeof(irqs->path), "%.63s", cpus.path);
		}
		return 0;
	}
	irqs->seen++;
	cpu = rtkvm_cpus_next(&cpus.set, 0);
	if (irqs->per_cpu && cpu >= 0)
		irqs->per_cpu[cpu]++;
	both = host_common(&cpus.set, &facts->realtime.set);
	if (host_empty(&both) || leaves(facts, name, &both) || !in_use(facts, name))
		return 0;
	if (irqs->wrong++ < 12) {
		size_t len = strlen(irqs->wrong_list);

		snprintf(irqs->wrong_list + len, sizeof(irqs->wrong_list) - len, "%s%s",
			 len ? " " : "", name);
	}
	return 0;
}

static void check_affinity(struct host_facts *facts, const struct host_check *check,
			   struct host_finding *f)
{
	struct irqs irqs = { .seen = 0 };
	char list[RTKVM_CPULIST_TEXT];
	int ret;

	(void)check;
	if (!host_need_realtime(facts, f))
		return;
	ret = host_each(facts, "/proc/irq", one_irq, &irqs);
	if (ret < 0 || irqs.err) {
		host_unreadable(facts, f, ret < 0 ? "/proc/irq" : irqs.path,
				ret < 0 ? ret : irqs.err);
		return;
	}
	if (!irqs.seen) {
		host_say(f, HOST_UNKNOWN, "/proc/irq lists no IRQ");
		return;
	}
	if (!irqs.wrong) {
		host_say(f, HOST_OK, "none of %u IRQs goes to a real-time CPU", irqs.seen);
		return;
	}
	host_say(f, HOST_FAIL, "%u of %u IRQs go to real-time CPUs: %s%s", irqs.wrong, irqs.seen,
		 irqs.wrong_list, irqs.wrong > 12 ? " ..." : "");
	if (!host_empty(&facts->housekeeping) &&
	    rtkvm_cpus_print_list(&facts->housekeeping, list, sizeof(list)) > 0)
		host_remedy(f, RTKVM_REMEDY_COMMAND,
			    "for i in %s; do echo %s > /proc/irq/$i/smp_affinity_list; done",
			    irqs.wrong <= 12 ? irqs.wrong_list : "$(ls /proc/irq | grep '^[0-9]')",
			    list);
}

struct vectors {
	const struct host_facts *facts;
	unsigned int rows, least, least_cpu;
};

static void one_row(unsigned int cpu, unsigned int available, void *arg)
{
	struct vectors *v = arg;

	if (!v->rows++ || available < v->least) {
		v->least = available;
		v->least_cpu = cpu;
	}
}

/* Without debugfs: a vector is used by each IRQ on the CPU that it goes to. */
static int count_vectors(struct host_facts *facts, struct vectors *v)
{
	struct irqs irqs = { .per_cpu = calloc(RTKVM_MAX_CPUS, sizeof(unsigned int)) };
	int cpu = -1, ret = irqs.per_cpu ? 0 : -ENOMEM;

	if (ret == 0)
		ret = host_each(facts, "/proc/irq", one_irq, &irqs);
	if (ret == 0)
		ret = irqs.err;
	if (ret == 0 && !irqs.seen)
		ret = -ENOENT;
	while (ret == 0 && (cpu = rtkvm_cpus_next(&facts->online.set, (unsigned int)(cpu + 1))) >= 0)
		one_row((unsigned int)cpu, irqs.per_cpu[cpu] > VECTORS ? 0 : VECTORS - irqs.per_cpu[cpu],
			v);
	free(irqs.per_cpu);
	return ret;
}

static void check_vectors(struct host_facts *facts, const struct host_check *check,
			  struct host_finding *f)
{
	static const char path[] = "/sys/kernel/debug/irq/domains/VECTOR";
	struct vectors v = { .facts = facts };
	char *text;
	int ret = host_long_text(facts, path, 1 << 20, &text);
	bool counted = ret < 0;

	(void)check;
	if (ret == 0) {
		ret = host_vectors_parse(text, one_row, &v);
		free(text);
		if (ret < 0) {
			host_unreadable(facts, f, path, ret);
			return;
		}
	} else {
		if (ret != -ENOENT && ret != -EACCES && ret != -EPERM) {
			host_unreadable(facts, f, path, ret);
			return;
		}
		if (facts->online.err) {
			host_unreadable(facts, f, facts->online.path, facts->online.err);
			return;
		}
		ret = count_vectors(facts, &v);
		if (ret < 0) {
			host_unreadable(facts, f, "/proc/irq", ret);
			return;
		}
	}
	host_say(f, v.least >= VECTORS_LEFT ? HOST_OK : HOST_WARN,
		 "CPU %u has %s%u vectors left%s", v.least_cpu, counted ? "about " : "", v.least,
		 v.least >= VECTORS_LEFT ? "" : ": the next IRQs go elsewhere, or nowhere");
	if (v.least < VECTORS_LEFT)
		host_remedy(f, RTKVM_REMEDY_MANUAL, "lower the number of queues of network cards "
			    "(ethtool -L DEVICE combined N) and of NVMe, or spread IRQs over more "
			    "housekeeping CPUs");
}

static void check_irqbalance(struct host_facts *facts, const struct host_check *check,
			     struct host_finding *f)
{
	struct host_banned banned;
	struct rtkvm_cpus open;
	char a[HOST_LIST];
	pid_t pid;
	int ret = host_find_process(facts, "irqbalance", &pid);

	(void)check;
	if (ret < 0) {
		host_unreadable(facts, f, "/proc", ret);
		return;
	}
	if (!ret) {
		host_say(f, HOST_OK, "irqbalance does not run");
		return;
	}
	if (!host_need_realtime(facts, f))
		return;
	ret = host_irqbalance(facts, pid, &banned);
	if (ret < 0) {
		host_unreadable(facts, f, banned.path, ret);
		return;
	}
	/* by default it leaves alone those that were isolated at boot (irqbalance 1.0.8) */
	if (!banned.set) {
		banned.cpus = facts->isolated.set;
		for (size_t i = 0; !facts->nohz_full.err && i < RTKVM_CPULIST_WORDS; i++)
			banned.cpus.bits[i] |= facts->nohz_full.set.bits[i];
	}
	open = host_minus(&facts->realtime.set, &banned.cpus);
	if (host_empty(&open)) {
		host_say(f, HOST_OK, "irqbalance (pid %d) leaves the real-time CPUs alone, by %s", (int)pid,
			 banned.source);
		return;
	}
	host_say(f, HOST_FAIL, "irqbalance (pid %d) moves IRQs to real-time CPUs %s, by %s", (int)pid,
		 host_list(&open, a), banned.source);
	host_remedy(f, RTKVM_REMEDY_COMMAND, "sed -i '/IRQBALANCE_BANNED_CPU/d' /etc/default/irqbalance; "
		    "echo IRQBALANCE_BANNED_CPULIST=%s >> /etc/default/irqbalance; systemctl restart "
		    "irqbalance", host_list(&facts->realtime.set, a));
}

const struct host_check host_checks_irq[] = {
	{ "irq-default-affinity", "irq", "new IRQs keep off", check_default,
	  "An IRQ that is set up later, by a driver or hot-plug, goes to the CPUs of this mask.",
	  "Documentation/core-api/irq/irq-affinity.rst, default_smp_affinity; irqaffinity= of the "
	  "command line", NULL },
	{ "irq-affinity", "irq", "IRQs keep off real-time CPUs", check_affinity,
	  "Each interrupt of a device takes the CPU from the vCPU for its handler and softirqs: 2 to "
	  "100 us, at the moments that the device likes.",
	  "Documentation/core-api/irq/irq-affinity.rst", NULL },
	{ "irq-irqbalance", "irq", "no daemon moves IRQs back", check_irqbalance,
	  "irqbalance moves IRQs every 10 s, also those that were pinned by hand.",
	  "irqbalance(1), IRQBALANCE_BANNED_CPULIST", NULL },
	{ "irq-vectors", "irq", "room for more IRQs", check_vectors,
	  "A CPU has some 200 interrupt vectors. When they are used up, an IRQ cannot follow its "
	  "vCPU: setting its affinity fails, or it lands elsewhere.",
	  "arch/x86/kernel/apic/vector.c; kernel/irq/matrix.c", NULL },
	{ .id = NULL },
};
