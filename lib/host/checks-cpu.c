/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of the CPUs meant for real-time: whether they are left alone by the
 * scheduler, the tick and RCU, by siblings and by other nodes; the clock.
 * C-states and frequencies are in checks-power.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "read.h"

#define CPU "/sys/devices/system/cpu/"

static void check_isolated(struct host_facts *facts, const struct host_check *check,
			   struct host_finding *f)
{
	char a[HOST_LIST], b[HOST_LIST];
	struct rtkvm_cpus not_isolated;

	(void)check;
	if (facts->isolated.err) {
		host_unreadable(facts, f, facts->isolated.path, facts->isolated.err);
		return;
	}
	if (facts->online.err) {
		host_unreadable(facts, f, facts->online.path, facts->online.err);
		return;
	}
	if (host_empty(&facts->isolated.set)) {
		int last = -1, cpu = -1;

		/* an example that leaves the housekeeping what boots: all but CPU 0 */
		while ((cpu = rtkvm_cpus_next(&facts->online.set, (unsigned int)(cpu + 1))) >= 0)
			last = cpu;
		host_say(f, HOST_FAIL, "no CPU is isolated: the scheduler puts any thread anywhere");
		if (facts->rt_given)
			host_remedy(f, RTKVM_REMEDY_BOOT, "isolcpus=managed_irq,domain,%s",
				    host_list(&facts->realtime.set, a));
		else if (last > 0)
			host_remedy(f, RTKVM_REMEDY_BOOT, "isolcpus=managed_irq,domain,%s%d",
				    last > 1 ? "1-" : "", last);
		return;
	}
	not_isolated = host_minus(&facts->realtime.set, &facts->isolated.set);
	if (facts->realtime.err == 0 && !host_empty(&not_isolated)) {
		host_say(f, HOST_FAIL, "isolated: %s; CPUs %s are not",
			 host_list(&facts->isolated.set, a), host_list(&not_isolated, b));
		host_remedy(f, RTKVM_REMEDY_BOOT, "isolcpus=managed_irq,domain,%s",
			    host_list(&facts->realtime.set, a));
		return;
	}
	host_say(f, HOST_OK, "isolated: %s", host_list(&facts->isolated.set, a));
}

static void check_online(struct host_facts *facts, const struct host_check *check,
			 struct host_finding *f)
{
	struct rtkvm_cpus off;
	char a[HOST_LIST];

	(void)check;
	if (facts->online.err) {
		host_unreadable(facts, f, facts->online.path, facts->online.err);
		return;
	}
	if (!host_need_realtime(facts, f))
		return;
	off = host_minus(&facts->realtime.set, &facts->online.set);
	if (host_empty(&off)) {
		if (host_empty(&facts->housekeeping)) {
			host_say(f, HOST_FAIL, "all CPUs are meant for real-time; none is left for "
					       "the host");
			host_remedy(f, RTKVM_REMEDY_MANUAL, "leave at least one CPU of each NUMA "
							    "node to the host");
			return;
		}
		host_say(f, HOST_OK, "real-time CPUs %s are online, %u CPUs are left for the host",
			 host_list(&facts->realtime.set, a),
			 rtkvm_cpus_count(&facts->housekeeping));
		return;
	}
	host_say(f, HOST_FAIL, "CPUs %s are meant for real-time and offline", host_list(&off, a));
	if (rtkvm_cpus_count(&off) == 1)
		host_remedy(f, RTKVM_REMEDY_COMMAND, "echo 1 > " CPU "cpu%d/online",
			    rtkvm_cpus_next(&off, 0));
	else
		host_remedy(f, RTKVM_REMEDY_COMMAND,
			    "for c in " CPU "cpu[0-9]*/online; do echo 1 > $c; done");
}

/* CPU lists of a kind that contain all real-time CPUs. */
static bool covers(struct host_facts *facts, struct host_finding *f, const struct host_cpus *cpus,
		   const char *what, int bad)
{
	char a[HOST_LIST], b[HOST_LIST];
	struct rtkvm_cpus missing;

	missing = host_minus(&facts->realtime.set, &cpus->set);
	if (host_empty(&missing)) {
		host_say(f, HOST_OK, "%s: %s", what, host_list(&cpus->set, a));
		return true;
	}
	host_say(f, bad, "%s: %s; CPUs %s are not among them", what, host_list(&cpus->set, a),
		 host_list(&missing, b));
	return false;
}

static void check_nohz_full(struct host_facts *facts, const struct host_check *check,
			    struct host_finding *f)
{
	char a[HOST_LIST];

	(void)check;
	if (facts->nohz_full.err) {
		host_unreadable(facts, f, facts->nohz_full.path, facts->nohz_full.err);
		return;
	}
	if (!host_need_realtime(facts, f))
		return;
	if (!covers(facts, f, &facts->nohz_full, "without tick", HOST_FAIL))
		host_remedy(f, RTKVM_REMEDY_BOOT, "nohz=on nohz_full=%s",
			    host_list(&facts->realtime.set, a));
}

/* In lists of the command line N is the last CPU there can be (since 5.12). */
static void expand_last(struct host_facts *facts, char text[RTKVM_CPULIST_TEXT])
{
	struct host_cpus possible;
	char out[RTKVM_CPULIST_TEXT];
	int cpu = -1, last = -1;
	size_t n = 0;

	host_cpu_list(facts, CPU "possible", &possible);
	while (!possible.err && (cpu = rtkvm_cpus_next(&possible.set, (unsigned int)(cpu + 1))) >= 0)
		last = cpu;
	for (const char *p = text; last >= 0 && *p && n + 8 < sizeof(out); p++) {
		bool alone = (p == text || strchr(",-", p[-1])) && (!p[1] || strchr(",-:", p[1]));

		if (*p == 'N' && alone)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%d", last);
		else
			out[n++] = *p;
	}
	out[n] = '\0';
	if (n && n + 8 < sizeof(out))
		strcpy(text, out);
}

/* A CPU list of the command line. false: said why not. */
static bool cmdline_cpus(struct host_facts *facts, struct host_finding *f, const char *key,
			 struct host_cpus *cpus, int *found)
{
	char text[RTKVM_CPULIST_TEXT];

	rtkvm_cpus_clear(&cpus->set);
	if (facts->cmdline_err) {
		host_unreadable(facts, f, "/proc/cmdline", facts->cmdline_err);
		return false;
	}
	*found = host_cmdline_get(facts->cmdline, key, text, sizeof(text));
	expand_last(facts, text);
	if (*found > 0 && !strcmp(text, "all") && !facts->online.err)
		cpus->set = facts->online.set;
	else if (*found < 0 ||
		 (*found > 0 && rtkvm_cpus_parse_list(text, &cpus->set, NULL) < 0)) {
		host_say(f, HOST_UNKNOWN, "/proc/cmdline: %s=%.60s is not a list of CPUs", key,
			 text);
		return false;
	}
	return true;
}

static void check_rcu_nocbs(struct host_facts *facts, const struct host_check *check,
			    struct host_finding *f)
{
	struct host_cpus nocbs;
	char a[HOST_LIST];
	int found;

	(void)check;
	if (!cmdline_cpus(facts, f, "rcu_nocbs", &nocbs, &found) || !host_need_realtime(facts, f))
		return;
	/* rcu_init_nohz() adds those without tick */
	for (size_t i = 0; !facts->nohz_full.err && i < RTKVM_CPULIST_WORDS; i++)
		nocbs.set.bits[i] |= facts->nohz_full.set.bits[i];
	if (!covers(facts, f, &nocbs, "without RCU callbacks", HOST_WARN))
		host_remedy(f, RTKVM_REMEDY_BOOT, "rcu_nocbs=%s",
			    host_list(&facts->realtime.set, a));
}

static void check_managed_irq(struct host_facts *facts, const struct host_check *check,
			      struct host_finding *f)
{
	char text[RTKVM_CPULIST_TEXT], a[HOST_LIST];
	unsigned int flags = 0;
	struct host_cpus cpus = { .err = 0 };
	int found;

	(void)check;
	if (facts->cmdline_err) {
		host_unreadable(facts, f, "/proc/cmdline", facts->cmdline_err);
		return;
	}
	if (!host_need_realtime(facts, f))
		return;
	found = host_cmdline_get(facts->cmdline, "isolcpus", text, sizeof(text));
	expand_last(facts, text);
	if (found < 0 || (found > 0 && host_isolcpus_parse(text, &flags, &cpus.set) < 0)) {
		host_say(f, HOST_UNKNOWN, "/proc/cmdline: isolcpus=%.60s is not understood", text);
		return;
	}
	if (flags & HOST_ISOL_MANAGED_IRQ) {
		covers(facts, f, &cpus, "managed IRQs kept off", HOST_WARN);
	} else {
		host_say(f, HOST_WARN, "isolcpus=%.60s without managed_irq: the queues of NVMe and "
				       "network cards interrupt these CPUs", found ? text : "");
	}
	if (f->verdict == HOST_WARN)
		host_remedy(f, RTKVM_REMEDY_BOOT, "isolcpus=managed_irq,domain,%s",
			    host_list(&facts->realtime.set, a));
}

static void check_smt(struct host_facts *facts, const struct host_check *check,
		      struct host_finding *f)
{
	struct rtkvm_cpus shared;
	char a[HOST_LIST];
	int cpu = -1;

	(void)check;
	if (facts->online.err) {
		host_unreadable(facts, f, facts->online.path, facts->online.err);
		return;
	}
	if (!host_need_realtime(facts, f))
		return;
	rtkvm_cpus_clear(&shared);
	while ((cpu = rtkvm_cpus_next(&facts->realtime.set, (unsigned int)(cpu + 1))) >= 0) {
		struct host_cpus siblings = { .err = 0 };
		char path[96];

		if (!rtkvm_cpus_has(&facts->online.set, (unsigned int)cpu))
			continue;
		snprintf(path, sizeof(path), CPU "cpu%d/topology/thread_siblings_list", cpu);
		host_cpu_list(facts, path, &siblings);
		if (siblings.err) {
			host_unreadable(facts, f, path, siblings.err);
			return;
		}
		siblings.set = host_common(&siblings.set, &facts->online.set);
		if (rtkvm_cpus_count(&siblings.set) > 1)
			rtkvm_cpus_add(&shared, (unsigned int)cpu);
	}
	if (host_empty(&shared)) {
		host_say(f, HOST_OK, "no real-time CPU shares its core with a CPU that is online");
		return;
	}
	host_say(f, HOST_WARN, "CPUs %s share their core with another CPU that is online",
		 host_list(&shared, a));
	host_remedy(f, RTKVM_REMEDY_COMMAND, "echo off > " CPU "smt/control");
}

static void check_numa(struct host_facts *facts, const struct host_check *check,
		       struct host_finding *f)
{
	unsigned int nodes = 0;
	bool seen[1024] = { false };
	int cpu = -1;

	(void)check;
	if (facts->nodes_err == -ENOENT && !facts->online.err) {
		host_say(f, HOST_NA, "the kernel knows no NUMA nodes");
		return;
	}
	if (facts->nodes_err) {
		host_unreadable(facts, f, "/sys/devices/system/node", facts->nodes_err);
		return;
	}
	if (!host_need_realtime(facts, f))
		return;
	while ((cpu = rtkvm_cpus_next(&facts->realtime.set, (unsigned int)(cpu + 1))) >= 0) {
		int node = facts->node_of[cpu];

		if (node < 0 && !facts->online.err && rtkvm_cpus_has(&facts->online.set, (unsigned int)cpu)) {
			host_say(f, HOST_UNKNOWN, "/sys/devices/system/node: no node has CPU %d", cpu);
			return;
		}
		if (node < 0)
			continue; /* offline: check_online says so */
		nodes += !seen[node];
		seen[node] = true;
	}
	if (nodes <= 1) {
		host_say(f, HOST_OK, "real-time CPUs are on one node of %u", facts->node_count);
		return;
	}
	host_say(f, HOST_WARN, "real-time CPUs are spread over %u of %u nodes", nodes,
		 facts->node_count);
	host_remedy(f, RTKVM_REMEDY_MANUAL, "give each VM CPUs and memory of one node "
					    "(rtkvm doctor --cpus LIST looks at those of one VM)");
}

static void check_clocksource(struct host_facts *facts, const struct host_check *check,
			      struct host_finding *f)
{
	static const char folder[] = "/sys/devices/system/clocksource/clocksource0";
	char now[64], all[256];

	(void)check;
	if (!host_need_text(facts, f, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
			    NULL, NULL, now, sizeof(now)))
		return;
	if (!strcmp(now, "tsc")) {
		host_say(f, HOST_OK, "tsc");
		return;
	}
	if (host_text(facts, "/sys/devices/system/clocksource/clocksource0/available_clocksource",
		      all, sizeof(all)) == 0 && host_has_word(all, "tsc")) {
		host_say(f, HOST_FAIL, "%.40s, although tsc is there", now);
		host_remedy(f, RTKVM_REMEDY_COMMAND, "echo tsc > %s/current_clocksource", folder);
		return;
	}
	host_say(f, !strcmp(now, "kvm-clock") ? HOST_WARN : HOST_FAIL,
		 "%.40s; the kernel does not offer tsc", now);
	host_remedy(f, RTKVM_REMEDY_MANUAL, "look in the kernel's log for why the TSC was found "
					    "unstable; firmware may have changed it");
}

static void check_tsc(struct host_facts *facts, const struct host_check *check,
		      struct host_finding *f)
{
	bool constant = host_has_cpuflag(facts, "constant_tsc");
	bool nonstop = host_has_cpuflag(facts, "nonstop_tsc");

	(void)check;
	if (facts->cpuinfo_err) {
		host_unreadable(facts, f, "/proc/cpuinfo", facts->cpuinfo_err);
		return;
	}
	host_say(f, constant && nonstop ? HOST_OK : HOST_FAIL, "constant_tsc %s, nonstop_tsc %s",
		 constant ? "yes" : "no", nonstop ? "yes" : "no");
	if (!constant || !nonstop)
		host_remedy(f, RTKVM_REMEDY_MANUAL, "use a CPU with an invariant TSC (in a VM: have "
						    "its host pass the flag, e.g. -cpu host,+invtsc)");
}

static void check_hypervisor(struct host_facts *facts, const struct host_check *check,
			     struct host_finding *f)
{
	(void)check;
	if (facts->cpuinfo_err) {
		host_unreadable(facts, f, "/proc/cpuinfo", facts->cpuinfo_err);
		return;
	}
	if (!host_has_cpuflag(facts, "hypervisor")) {
		host_say(f, HOST_OK, "runs on hardware");
		return;
	}
	host_say(f, HOST_WARN, "this host is itself a VM: its CPUs stop when the outer host stops them");
	host_remedy(f, RTKVM_REMEDY_MANUAL, "use hardware, or make the outer host real-time too");
}

static void check_skew_tick(struct host_facts *facts, const struct host_check *check,
			    struct host_finding *f)
{
	char text[32];
	int found;

	(void)check;
	if (facts->cmdline_err) {
		host_unreadable(facts, f, "/proc/cmdline", facts->cmdline_err);
		return;
	}
	found = host_cmdline_get(facts->cmdline, "skew_tick", text, sizeof(text));
	if (found > 0 && !strcmp(text, "1")) {
		host_say(f, HOST_OK, "skew_tick=1");
		return;
	}
	host_say(f, HOST_WARN, "the ticks of all CPUs come at the same moment and queue for locks");
	host_remedy(f, RTKVM_REMEDY_BOOT, "skew_tick=1");
}

const struct host_check host_checks_cpu[] = {
	{ "cpu-isolated", "cpu", "CPUs isolated from the scheduler", check_isolated,
	  "The scheduler balances threads over all CPUs that are not isolated; each one that lands "
	  "beside a vCPU delays it by its time slice or by a migration.",
	  "Documentation/admin-guide/kernel-parameters.txt, isolcpus; cgroup-v2.rst, "
	  "cpuset.cpus.partition", NULL },
	{ "cpu-online", "cpu", "real-time CPUs are online, and some are left", check_online,
	  "A vCPU that is pinned to a CPU that is offline runs elsewhere; a host without CPUs of "
	  "its own serves the VM's devices on the vCPUs' time.",
	  "Documentation/core-api/cpu_hotplug.rst", NULL },
	{ "cpu-nohz-full", "cpu", "no tick while one thread runs", check_nohz_full,
	  "The periodic tick interrupts a running vCPU 100 to 1000 times a second; each costs an "
	  "exit and some microseconds.",
	  "Documentation/timers/no_hz.rst", NULL },
	{ "cpu-rcu-nocbs", "cpu", "RCU callbacks run elsewhere", check_rcu_nocbs,
	  "RCU callbacks run in softirqs of the CPU that queued them, for as long as there are some.",
	  "Documentation/admin-guide/kernel-per-CPU-kthreads.rst, rcuc and RCU_SOFTIRQ", NULL },
	{ "cpu-managed-irq", "cpu", "managed IRQs kept off", check_managed_irq,
	  "The kernel spreads the queue IRQs of NVMe and network cards over all CPUs and lets no one "
	  "move them; managed_irq makes it prefer the others.",
	  "Documentation/admin-guide/kernel-parameters.txt, isolcpus=managed_irq", NULL },
	{ "cpu-smt", "cpu", "no sibling on the same core", check_smt,
	  "Two CPUs of one core share its execution units and caches: what the sibling runs slows the "
	  "vCPU down by up to a half, and unpredictably.",
	  "Documentation/admin-guide/hw-vuln/core-scheduling.rst; Intel SDM vol. 3, 9.7", NULL },
	{ "cpu-numa", "cpu", "real-time CPUs on one node", check_numa,
	  "Memory of another node takes about twice the time, and its link is shared.",
	  "Documentation/admin-guide/mm/numaperf.rst", NULL },
	{ "cpu-clocksource", "cpu", "time is read from the TSC", check_clocksource,
	  "Reading the HPET or the ACPI timer takes one to several microseconds and serialises all "
	  "CPUs; guests then get no TSC-based clock either.",
	  "Documentation/virt/kvm/x86/timekeeping.rst", NULL },
	{ "cpu-tsc", "cpu", "the TSC runs at one rate and never stops", check_tsc,
	  "With a TSC that stops or changes its rate, deadline timers and guest time are emulated; KVM "
	  "refuses to load on PREEMPT_RT.",
	  "arch/x86/kvm/x86.c, kvm_x86_vendor_init(); Intel SDM vol. 3, 18.17.1", NULL },
	{ "cpu-hypervisor", "cpu", "not itself a VM", check_hypervisor,
	  "In a VM, the outer scheduler decides when this host runs; nothing here can bound that.",
	  "Documentation/virt/kvm/x86/running-nested-guests.rst", NULL },
	{ "cpu-skew-tick", "cpu", "ticks of CPUs apart", check_skew_tick,
	  "With ticks at the same moment, all CPUs contend for the same locks (timekeeping, RCU).",
	  "Documentation/admin-guide/kernel-parameters.txt, skew_tick", NULL },
	{ .id = NULL },
};
