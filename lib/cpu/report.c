/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a CPU lease came to, looked at anew: nothing here relies on what an
 * earlier call returned. Changes nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cpu_priv.h"

static void add_cpus(struct rtkvm_cpu_lease *l, struct rtkvm_report *report)
{
	char text[RTKVM_VALUE_MAX], gone[256];
	struct rtkvm_cpus online, left = l->cpus;

	rtkvm_cpus_print_list(&l->cpus, text, sizeof(text));
	if (cpu_topology_list(l->rt, "/sys/devices/system/cpu/online", &online) == 0)
		cpus_without(&left, &online);
	if (l->mode == RTKVM_CPU_OFFLINE || !rtkvm_cpus_count(&left)) {
		rtkvm_report_add(report, "cpus", RTKVM_STATE_VERIFIED, false, "%s", text);
		return;
	}
	if (rtkvm_cpus_print_list(&left, gone, sizeof(gone)) < 0)
		strcpy(gone, "some");
	rtkvm_report_add(report, "cpus", RTKVM_STATE_OFF, true, "%s, of which %s went offline",
			 text, gone);
}

static void add_mode(struct rtkvm_cpu_lease *l, struct rtkvm_report *report)
{
	char now[RTKVM_VALUE_MAX];
	struct rtkvm_cpus online, offline;

	switch (l->mode) {
	case RTKVM_CPU_PARTITION:
		if (rtkvm_partition_read(l->rt, l->id, now) < 0)
			strcpy(now, "unreadable");
		if (!strncmp(now, l->partition, strlen(l->partition)) &&
		    now[strlen(l->partition)] == ':')
			rtkvm_report_add(report, "mode", RTKVM_STATE_VERIFIED, false,
					 "partition (%s)", l->partition);
		else
			rtkvm_report_add(report, "mode", RTKVM_STATE_OFF, true,
					 "partition was %s, and is %.200s", l->partition, now);
		break;
	case RTKVM_CPU_OFFLINE:
		offline = l->cpus;
		cpus_without(&offline, &l->back);
		rtkvm_cpus_print_list(&l->back, now, sizeof(now));
		if (cpu_topology_list(l->rt, "/sys/devices/system/cpu/online", &online) < 0 ||
		    cpus_meet(&online, &offline))
			rtkvm_report_add(report, "mode", RTKVM_STATE_OFF, true,
					 "somebody took a leased CPU online again");
		else if (*now)
			rtkvm_report_add(report, "mode", RTKVM_STATE_VERIFIED, false,
					 "offline, but for %.200s, brought online for vCPUs", now);
		else
			rtkvm_report_add(report, "mode", RTKVM_STATE_VERIFIED, false, "offline");
		break;
	default:
		rtkvm_report_add(report, "mode", RTKVM_STATE_VERIFIED, false, "affinity");
	}
}

/* What a finder finds now should not be there. */
static size_t add_found(struct rtkvm_cpu_lease *l, struct rtkvm_report *report,
			struct cpu_batch *batch, enum cpu_sort sort)
{
	size_t count = 0, movable = 0;

	for (size_t i = 0; i < batch->count; i++) {
		const struct rtkvm_change *c = &batch->items[i].change;
		char label[RTKVM_LABEL_MAX], feature[64];
		const struct cpu_note *note;

		if (batch->sorts[i] != sort || !strcmp(c->before, c->after))
			continue;
		count++;
		if (sort == CPU_IRQS)
			snprintf(feature, sizeof(feature), "irq %u", c->index);
		else
			rtkvm_change_label(c, feature);
		for (note = l->notes; note; note = note->next)
			if (!strcmp(note->feature, feature))
				break;
		if (note || (l->refused[sort] && geteuid() != 0))
			continue; /* it is known that it stays */
		movable++;
		rtkvm_change_label(c, label);
		if (movable <= 20)
			rtkvm_report_add(report, label, RTKVM_STATE_OFF, true,
					 "on leased CPUs: %.100s", c->before);
	}
	if (movable > 20)
		rtkvm_report_add(report, cpu_sort_names[sort], RTKVM_STATE_OFF, true,
				 "%zu more are on leased CPUs", movable - 20);
	return movable;
}

static void add_sort(struct rtkvm_cpu_lease *l, struct rtkvm_report *report, enum cpu_sort sort,
		     size_t there)
{
	const char *name = cpu_sort_names[sort];

	if (there)
		rtkvm_report_add(report, name, RTKVM_STATE_OFF, true,
				 "%zu came or were moved back since", there);
	else if (l->refused[sort])
		rtkvm_report_add(report, name, RTKVM_STATE_OFF, false,
				 "%zu moved; %zu take root to move", l->moved[sort],
				 l->refused[sort]);
	else if (!l->lease)
		rtkvm_report_add(report, name, RTKVM_STATE_VERIFIED, false, "none is there");
	else
		rtkvm_report_add(report, name, RTKVM_STATE_VERIFIED, false, "%zu moved or set",
				 l->moved[sort]);
}

/* Knobs with a value instead of CPUs: are they still as the lease set them? */
static size_t changed_since(struct rtkvm_cpu_lease *l, struct rtkvm_report *report)
{
	const struct rtkvm_journal *j = l->lease ? &l->lease->store.journal : NULL;
	char now[RTKVM_VALUE_MAX], label[RTKVM_LABEL_MAX];
	size_t count = 0;

	for (size_t i = 0; j && i < j->count; i++) {
		const struct rtkvm_change *c = &j->changes[i];

		if (c->undone || c->kind != RTKVM_CHANGE_KNOB || rtkvm_knob_is_cpus(c->knob) ||
		    rtkvm_change_read(l->rt, c, now) < 0 || rtkvm_change_equal(c, now, c->after))
			continue;
		rtkvm_change_label(c, label);
		rtkvm_report_add(report, label, RTKVM_STATE_OFF, true,
				 "is %.60s, the lease set %.60s", now, c->after);
		count++;
	}
	return count;
}

static void add_tick(struct rtkvm_cpu_lease *l, struct rtkvm_report *report)
{
	if (l->mode == RTKVM_CPU_OFFLINE)
		rtkvm_report_add(report, "tick", RTKVM_STATE_VERIFIED, false, "the CPUs are offline");
	else if (rtkvm_cpus_subset(&l->cpus, &l->nohz_full))
		rtkvm_report_add(report, "tick", RTKVM_STATE_UNVERIFIABLE, false,
				 "nohz_full: stops while one thread runs");
	else
		rtkvm_report_add(report, "tick", RTKVM_STATE_OFF, false,
				 "stays on the CPUs: boot with nohz_full= and rcu_nocbs= of them");
}

static int build(struct rtkvm_cpu_lease *l, struct rtkvm_report *report)
{
	struct cpu_batch batch = { 0 };
	struct cpu_note *note;
	int ret;

	add_cpus(l, report);
	add_mode(l, report);
	ret = cpu_find_knobs(l, &batch);
	if (ret == 0)
		ret = cpu_find_masks(l, &batch);
	if (ret == 0)
		ret = cpu_find_irqs(l, &batch);
	if (ret == 0)
		ret = cpu_find_queues(l, &batch);
	if (ret == 0)
		ret = cpu_find_threads(l, &batch, false);
	if (ret == 0 && batch.failed)
		ret = -ENOMEM;
	if (ret == 0 && l->mode != RTKVM_CPU_OFFLINE)
		for (int sort = 0; sort <= CPU_THREADS; sort++)
			add_sort(l, report, (enum cpu_sort)sort,
				 add_found(l, report, &batch, (enum cpu_sort)sort));
	cpu_batch_free(&batch);
	if (!changed_since(l, report))
		for (int sort = CPU_TIMERS; sort < CPU_SORTS; sort++)
			if (l->moved[sort] || l->refused[sort])
				add_sort(l, report, (enum cpu_sort)sort, 0);
	add_tick(l, report);
	cpu_claims_report(l, report);
	cpu_irqbalance_report(l, report);
	cpu_resctrl_report(l, report);
	for (note = l->notes; note; note = note->next)
		rtkvm_report_add(report, note->feature, RTKVM_STATE_OFF, note->problem, "%s",
				 note->text);
	return ret;
}

int rtkvm_cpu_lease_report(struct rtkvm_cpu_lease *l, struct rtkvm_report **out)
{
	struct rtkvm_report *report;
	int ret, given;

	if (out)
		*out = NULL;
	if (!l || !out)
		return rtkvm_fail(l ? l->rt : NULL, EINVAL, "rtkvm_cpu_lease_report", NULL,
				  "%s is NULL", l ? "report" : "lease");
	report = rtkvm_report_new();
	ret = build(l, report);
	given = rtkvm_report_finish(report, out);
	return ret < 0 ? ret : given;
}
