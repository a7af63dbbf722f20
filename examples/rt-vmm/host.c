/* SPDX-License-Identifier: MIT */
/*
 * The host's own interrupts and kernel workers, off the vCPUs' CPUs: journaled
 * by a lease of the library, so that they come back even after SIGKILL.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define DEFAULT_AFFINITY "/proc/irq/default_smp_affinity"
#define WORKQUEUES "/sys/devices/virtual/workqueue/cpumask"

static bool read_line(const char *path, char *line, int size)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(line, size, f);

	if (f)
		fclose(f);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

/* CPU mask in the kernel's spelling, "3" or "ff,ffffffff". */
static bool parse_mask(const char *text, cpu_set_t *cpus)
{
	int bit = 0;

	CPU_ZERO(cpus);
	for (size_t i = strlen(text); i-- > 0;) {
		char digit[2] = { text[i], '\0' };
		char *end;
		unsigned long value;

		if (text[i] == ',')
			continue;
		value = strtoul(digit, &end, 16);
		if (*end || end == digit)
			return false;
		for (int b = 0; b < 4; b++, bit++)
			if (value >> b & 1 && bit < CPU_SETSIZE)
				CPU_SET(bit, cpus);
	}
	return bit > 0;
}

static bool read_mask(const char *path, cpu_set_t *cpus)
{
	char line[4096];

	return read_line(path, line, sizeof(line)) && parse_mask(line, cpus);
}

static bool irq_cpus(unsigned int irq, cpu_set_t *cpus)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity", irq);
	return read_mask(path, cpus);
}

static bool overlaps(const cpu_set_t *a, const cpu_set_t *b)
{
	cpu_set_t both;

	CPU_AND(&both, a, b);
	return CPU_COUNT(&both) > 0;
}

/* All IRQs that may now arrive on a vCPU's CPU. */
static void move_irqs(struct rtkvm_lease *lease, const struct config *config,
		      struct result *result, struct host_moved *moved, const char *others)
{
	DIR *dir = opendir("/proc/irq");
	unsigned int stuck = 0;
	struct dirent *entry;
	cpu_set_t cpus;

	while (dir && (entry = readdir(dir))) {
		char *end;
		unsigned long irq = strtoul(entry->d_name, &end, 10);

		if (*end || end == entry->d_name || !irq_cpus((unsigned int)irq, &cpus) ||
		    !overlaps(&cpus, &config->vcpu_cpus))
			continue;
		if (moved->irqs == HOST_IRQS ||
		    rtkvm_lease_set_knob(lease, RTKVM_KNOB_IRQ_AFFINITY, (unsigned int)irq,
					 others) < 0)
			stuck++;
		else
			moved->irq[moved->irqs++] = (unsigned int)irq;
	}
	if (dir)
		closedir(dir);
	if (stuck)
		result_left_out(result, "IRQs that stay where they are: %u (%s)", stuck,
				rtkvm_last_error());
}

void host_clear_cpus(struct rtkvm_lease *lease, const struct config *config,
		     struct result *result, struct host_moved *moved)
{
	const char *others = cpus_text(&config->other_cpus);
	cpu_set_t cpus;

	if (read_mask(DEFAULT_AFFINITY, &cpus) && overlaps(&cpus, &config->vcpu_cpus)) {
		moved->default_affinity = rtkvm_lease_set_knob(
			lease, RTKVM_KNOB_IRQ_DEFAULT_AFFINITY, 0, others) == 0;
		if (!moved->default_affinity)
			result_left_out(result, "CPUs of new IRQs: %s", rtkvm_last_error());
	}
	if (read_mask(WORKQUEUES, &cpus) && overlaps(&cpus, &config->vcpu_cpus)) {
		moved->workqueues = rtkvm_lease_set_knob(lease, RTKVM_KNOB_WORKQUEUE_CPUMASK, 0,
							 others) == 0;
		if (!moved->workqueues)
			result_left_out(result, "CPUs of kernel workers: %s", rtkvm_last_error());
	}
	move_irqs(lease, config, result, moved, others);
}

static void describe_mask(const struct config *config, struct result *result, const char *what,
			  const char *path)
{
	char asked[48];
	cpu_set_t cpus;
	bool known = read_mask(path, &cpus);

	snprintf(asked, sizeof(asked), "%.40s", cpus_text(&config->other_cpus));
	result_setting(result, what, asked, known ? cpus_text(&cpus) : "unreadable",
		       known && CPU_EQUAL(&cpus, &config->other_cpus));
}

void host_describe(const struct config *config, struct result *result,
		   const struct host_moved *moved)
{
	unsigned int there = 0;
	char asked[48], got[64];
	cpu_set_t cpus;

	if (moved->default_affinity)
		describe_mask(config, result, "CPUs of new IRQs", DEFAULT_AFFINITY);
	if (moved->workqueues)
		describe_mask(config, result, "CPUs of kernel workers", WORKQUEUES);
	if (!moved->irqs)
		return;
	for (unsigned int i = 0; i < moved->irqs; i++)
		there += irq_cpus(moved->irq[i], &cpus) && CPU_EQUAL(&cpus, &config->other_cpus);
	snprintf(asked, sizeof(asked), "%u on CPUs %.24s", moved->irqs,
		 cpus_text(&config->other_cpus));
	snprintf(got, sizeof(got), "%u there (/proc/irq)", there);
	result_setting(result, "IRQs", asked, got, there == moved->irqs);
}

int host_restore(bool quiet)
{
	const struct rtkvm_report_item *item = NULL;
	struct rtkvm_report *report = NULL;
	struct rtkvm *ctx;
	int rc;

	if (rtkvm_new(NULL, &ctx) < 0) {
		fail("%s", rtkvm_last_error());
		return STATUS_ERROR;
	}
	rc = rtkvm_restore(ctx, &report);
	while ((item = rtkvm_report_next(report, item)))
		if (!quiet || rtkvm_report_item_problem(item))
			say("left by a run that was killed: %s: %s: %s",
			    rtkvm_report_item_feature(item),
			    rtkvm_report_state_name(rtkvm_report_item_state(item)),
			    rtkvm_report_item_reason(item));
	if (rc < 0 && !quiet)
		fail("%s", rtkvm_last_error());
	rtkvm_report_free(report);
	rtkvm_free(ctx);
	return rc < 0 ? STATUS_ERROR : STATUS_OK;
}
