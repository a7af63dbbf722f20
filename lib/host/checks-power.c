/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of C-states, frequencies, and of firmware and machine-check work
 * that takes CPUs away from the kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "knob.h"
#include "parse.h"
#include "process.h"
#include "read.h"

#define CPU "/sys/devices/system/cpu/"

/* Longest wake-up from idle that does not matter beside an interrupt's path, us. */
#define IDLE_US 10

/* SMIs a minute that a machine at rest does not have. */
#define SMI_PER_MINUTE 1

#define DMA_LATENCY "/dev/cpu_dma_latency"
#define NOBODY_US 2000000000 /* PM_QOS_CPU_LATENCY_DEFAULT_VALUE */

#define MSR_SMI_COUNT 0x34 /* Intel SDM vol. 4, table 2-2 */

/* The CPUs that matter: real-time ones, or all when none is named. */
static const struct rtkvm_cpus *cpus_of(const struct host_facts *facts)
{
	return !facts->realtime.err && !host_empty(&facts->realtime.set) ? &facts->realtime.set :
									   &facts->online.set;
}

/* Has a CPU its folder, so that what it lacks the kernel has not? Else the finding says so. */
static bool cpu_folders(struct host_facts *facts, struct host_finding *f)
{
	int cpu = -1;

	while ((cpu = rtkvm_cpus_next(cpus_of(facts), (unsigned int)(cpu + 1))) >= 0) {
		char path[64];

		snprintf(path, sizeof(path), CPU "cpu%d", cpu);
		if (host_exists(facts, path))
			return true;
	}
	host_say(f, HOST_UNKNOWN, CPU "cpuN: %s", strerror(ENOENT));
	return false;
}

/* Longest exit latency of a state of this CPU that is not disabled. 0 or -errno. */
static int deepest(struct host_facts *facts, int cpu, int64_t *us, char *path, size_t size)
{
	*us = 0;
	for (int state = 0; state < 16; state++) {
		int64_t latency, disabled;
		int ret;

		snprintf(path, size, CPU "cpu%d/cpuidle/state%d/latency", cpu, state);
		ret = host_number(facts, path, &latency);
		if (ret == -ENOENT && state)
			return 0;
		if (ret < 0)
			return ret;
		if (latency < 0 || latency > INT32_MAX)
			return -EILSEQ;
		snprintf(path, size, CPU "cpu%d/cpuidle/state%d/disable", cpu, state);
		ret = host_number(facts, path, &disabled);
		if (ret < 0 && ret != -ENOENT)
			return ret;
		if (ret == 0 && (disabled < 0 || disabled > 1))
			return -EILSEQ;
		if ((ret < 0 || !disabled) && latency > *us)
			*us = latency;
	}
	return 0;
}

/* "; cpu_dma_latency: 0 us by NAME (pid N)", where somebody holds it. */
static void holders(struct host_facts *facts, struct host_finding *f, int32_t held, char *text,
		    size_t size)
{
	char who[HOST_HOLDERS];
	bool hidden;

	text[0] = '\0';
	if (held < 0 || held >= NOBODY_US)
		return;
	(void)host_holders(facts, DMA_LATENCY, who, &hidden);
	snprintf(text, size, "; cpu_dma_latency: %d us by %s", held,
		 who[0] ? who : hidden ? "a process of others" : "no process that is seen here");
	if (!who[0] && hidden && !facts->root)
		f->needs_root = true;
}

static void check_cstates(struct host_facts *facts, const struct host_check *check,
			  struct host_finding *f)
{
	char path[128], who[HOST_HOLDERS + 48];
	int64_t us, worst = 0;
	int32_t held = INT32_MAX;
	int cpu = -1, worst_cpu = -1, ret;

	(void)check;
	if (facts->online.err) {
		host_unreadable(facts, f, facts->online.path, facts->online.err);
		return;
	}
	while ((cpu = rtkvm_cpus_next(cpus_of(facts), (unsigned int)(cpu + 1))) >= 0) {
		ret = deepest(facts, cpu, &us, path, sizeof(path));
		if (ret == -ENOENT)
			continue; /* no cpuidle, or offline */
		if (ret < 0) {
			host_unreadable(facts, f, path, ret);
			return;
		}
		if (worst_cpu < 0 || us > worst) {
			worst = us;
			worst_cpu = cpu;
		}
	}
	ret = host_bytes(facts, DMA_LATENCY, 0, &held, sizeof(held));
	holders(facts, f, ret < 0 ? NOBODY_US : held, who, sizeof(who));
	if (worst_cpu < 0 && cpu_folders(facts, f)) {
		host_say(f, HOST_NA, "the kernel has no C-states to choose from here (no cpuidle)%s", who);
	} else if (worst_cpu < 0) {
		return;
	} else if (worst <= IDLE_US) {
		host_say(f, HOST_OK, "deepest C-state: %lld us to wake up (CPU %d)%s", (long long)worst,
			 worst_cpu, who);
	} else if (ret < 0) {
		host_unreadable(facts, f, DMA_LATENCY, ret);
		if (ret == -EACCES && !facts->root)
			host_say(f, HOST_UNKNOWN, "CPU %d has C-states with %lld us to wake up; whether "
				 "they are held off is in /dev/cpu_dma_latency, for root", worst_cpu,
				 (long long)worst);
	} else if (held < 0) {
		host_unreadable(facts, f, DMA_LATENCY, -EILSEQ);
	} else if (held <= IDLE_US) {
		host_say(f, HOST_OK, "C-states of %lld us are held off%s", (long long)worst, who);
	} else {
		host_say(f, HOST_FAIL, "CPU %d takes up to %lld us to wake up%s", worst_cpu,
			 (long long)worst, who[0] ? who : "; nobody holds cpu_dma_latency");
		host_remedy(f, RTKVM_REMEDY_COMMAND,
			    "for s in " CPU "cpu[0-9]*/cpuidle/state[0-9]*; do [ $(cat $s/latency) -le %d ] "
			    "|| echo 1 > $s/disable; done", IDLE_US);
	}
}

/* A text file of each real-time CPU that should be want. */
static void check_cpufreq_text(struct host_facts *facts, struct host_finding *f, const char *file,
			       const char *want, const char *or_else, const char *nothing,
			       const char *means)
{
	unsigned int wrong = 0, seen = 0;
	char first[64] = "";
	int cpu = -1, at = -1;

	if (facts->online.err) {
		host_unreadable(facts, f, facts->online.path, facts->online.err);
		return;
	}
	while ((cpu = rtkvm_cpus_next(cpus_of(facts), (unsigned int)(cpu + 1))) >= 0) {
		char path[128], text[64];
		int ret;

		snprintf(path, sizeof(path), CPU "cpu%d/%s", cpu, file);
		ret = host_text(facts, path, text, sizeof(text));
		if (ret == -ENOENT)
			continue;
		if (ret < 0) {
			host_unreadable(facts, f, path, ret);
			return;
		}
		if (!host_is_word(text)) {
			host_malformed(f, path, text, "a word");
			return;
		}
		seen++;
		if (!strcmp(text, want) || (or_else && !strcmp(text, or_else)))
			continue;
		if (!wrong++) {
			snprintf(first, sizeof(first), "%s", text);
			at = cpu;
		}
	}
	if (!seen) {
		if (cpu_folders(facts, f))
			host_say(f, HOST_NA, "%s", nothing);
	} else if (!wrong) {
		host_say(f, HOST_OK, "%s on %u CPUs", want, seen);
	} else {
		host_say(f, HOST_WARN, "%.30s on CPU %d and %u others: %s", first, at, wrong - 1, means);
		host_remedy(f, RTKVM_REMEDY_COMMAND, "for f in " CPU "cpu[0-9]*/%s; do echo %s > $f; done",
			    file, want);
	}
}

static void check_governor(struct host_facts *facts, const struct host_check *check,
			   struct host_finding *f)
{
	(void)check;
	check_cpufreq_text(facts, f, "cpufreq/scaling_governor", "performance", NULL,
			   "the kernel does not scale frequencies here (no cpufreq)",
			   "the clock rises only after load was seen");
}

static void check_epp(struct host_facts *facts, const struct host_check *check,
		      struct host_finding *f)
{
	(void)check;
	check_cpufreq_text(facts, f, "cpufreq/energy_performance_preference", "performance", "0",
			   "no energy-performance preference here",
			   "the CPU itself holds its clock down");
}

static void check_epb(struct host_facts *facts, const struct host_check *check,
		      struct host_finding *f)
{
	(void)check;
	check_cpufreq_text(facts, f, "power/energy_perf_bias", "0", "performance",
			   "no energy-performance bias here", "the CPU itself saves energy");
}

static void check_smi(struct host_facts *facts, const struct host_check *check,
		      struct host_finding *f)
{
	char text[128], path[64];
	double up = 0;
	uint64_t count;
	int ret, cpu;

	(void)check;
	if (facts->cpuinfo_err) {
		host_unreadable(facts, f, "/proc/cpuinfo", facts->cpuinfo_err);
		return;
	}
	if (facts->vendor != HOST_VENDOR_INTEL) {
		host_say(f, HOST_NA, "only Intel CPUs count SMIs for the kernel");
		return;
	}
	if (host_has_cpuflag(facts, "hypervisor")) {
		host_say(f, HOST_NA, "a VM does not see the SMIs of its host");
		return;
	}
	cpu = facts->online.err ? 0 : rtkvm_cpus_next(cpus_of(facts), 0);
	snprintf(path, sizeof(path), "/dev/cpu/%d/msr", cpu);
	ret = host_bytes(facts, path, MSR_SMI_COUNT, &count, sizeof(count));
	if (ret < 0) {
		host_unreadable(facts, f, path, ret);
		if (ret == -ENOENT && host_exists(facts, "/proc/cpuinfo"))
			host_say(f, HOST_UNKNOWN, "%s is not there; modprobe msr makes it", path);
		return;
	}
	ret = host_text(facts, "/proc/uptime", text, sizeof(text));
	if (ret < 0 || sscanf(text, "%15lf", &up) != 1 || !(up > 0)) {
		host_unreadable(facts, f, "/proc/uptime", ret < 0 ? ret : -EILSEQ);
		return;
	}
	count &= 0xffffffff;
	if ((double)count * 60 <= up * SMI_PER_MINUTE) {
		host_say(f, HOST_OK, "%llu SMIs in %.0f s on CPU %d", (unsigned long long)count, up, cpu);
		return;
	}
	host_say(f, HOST_WARN, "%llu SMIs in %.0f s on CPU %d: firmware stops all CPUs, unseen by the "
		 "kernel", (unsigned long long)count, up, cpu);
	host_remedy(f, RTKVM_REMEDY_MANUAL, "turn off in the firmware's setup what causes them: USB "
		    "legacy support, power capping, ECC polling, fan control by SMM");
}

static int one_bank(struct host_facts *facts, const char *name, void *arg)
{
	char path[128];
	int64_t value;
	int ret;

	if (strncmp(name, "machinecheck", 12))
		return 0;
	snprintf(path, sizeof(path), "/sys/devices/system/machinecheck/%.40s/ignore_ce", name);
	ret = host_number(facts, path, &value);
	if (ret < 0)
		return ret;
	++((unsigned int *)arg)[value == 1];
	return 0;
}

static void check_ignore_ce(struct host_facts *facts, const struct host_check *check,
			    struct host_finding *f)
{
	static const char folder[] = "/sys/devices/system/machinecheck";
	unsigned int n[2] = { 0, 0 };
	int ret = host_each(facts, folder, one_bank, n);

	(void)check;
	if (ret == -ENOENT && host_exists(facts, "/sys/devices/system")) {
		host_say(f, HOST_NA, "the kernel has no machine-check support here");
	} else if (ret < 0) {
		host_unreadable(facts, f, folder, ret);
	} else if (!n[0] && !n[1]) {
		host_say(f, HOST_UNKNOWN, "%s names no CPU", folder);
	} else if (n[0]) {
		host_say(f, HOST_WARN, "%u of %u CPUs poll for corrected errors", n[0], n[0] + n[1]);
		host_remedy(f, RTKVM_REMEDY_COMMAND,
			    "for f in %s/machinecheck*/ignore_ce; do echo 1 > $f; done", folder);
	} else {
		host_say(f, HOST_OK, "no CPU polls for corrected errors (%u CPUs)", n[1]);
	}
}

static const struct host_knob min_perf = {
	.path = CPU "intel_pstate/min_perf_pct",
	.folder = "/sys/devices/system/cpu",
	.absent = "no intel_pstate here",
	.kind = HOST_KNOB_AT_LEAST,
	.bad = HOST_WARN,
	.want = 100,
	.means = "the clock may fall below its maximum",
};

const struct host_check host_checks_power[] = {
	{ "cpu-cstates", "cpu", "no deep C-states", check_cstates,
	  "A CPU that went to a deep C-state takes up to some hundred microseconds to run the next "
	  "instruction; chips sleep deeper than the number says.",
	  "Documentation/admin-guide/pm/cpuidle.rst; Documentation/power/pm_qos_interface.rst", NULL },
	{ "cpu-governor", "cpu", "clock at its maximum", check_governor,
	  "A governor raises the clock after load was seen: the first milliseconds after an idle "
	  "time run at the lowest clock, and changing it stops the core.",
	  "Documentation/admin-guide/pm/cpufreq.rst", NULL },
	{ "cpu-epp", "cpu", "energy preference: performance", check_epp,
	  "With hardware-controlled P-states the CPU itself chooses the clock by this preference.",
	  "Documentation/admin-guide/pm/intel_pstate.rst; amd-pstate.rst", NULL },
	{ "cpu-epb", "cpu", "energy bias: performance", check_epb,
	  "The bias lets the CPU trade wake-up time and clock for energy.",
	  "Documentation/admin-guide/pm/intel_epb.rst", NULL },
	{ "cpu-min-perf", "cpu", "intel_pstate's lower limit", host_check_knob,
	  "The driver may lower the clock down to this percentage of the maximum.",
	  "Documentation/admin-guide/pm/intel_pstate.rst, min_perf_pct", &min_perf },
	{ "cpu-smi", "cpu", "no system-management interrupts", check_smi,
	  "An SMI stops all CPUs for 10 us to some ms, for firmware; no priority helps.",
	  "Intel SDM vol. 3, chapter 32; MSR_SMI_COUNT; tools/power/x86/turbostat", NULL },
	{ "cpu-ignore-ce", "cpu", "no polling for corrected errors", check_ignore_ce,
	  "The machine-check code polls its banks on every CPU by a timer.",
	  "Documentation/ABI/testing/sysfs-mce, ignore_ce", NULL },
	{ .id = NULL },
};
