/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * irqbalance, which would move interrupts back: told of the leased CPUs by its
 * socket; where it has none, what to write into its environment file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu_priv.h"

static int record(struct rtkvm_cpu_lease *l, struct rtkvm_change **made)
{
	struct rtkvm_change c = { .kind = RTKVM_CHANGE_IRQBALANCE, .start = l->id };
	struct rtkvm_journal *j = &l->lease->store.journal;
	char cpus[RTKVM_VALUE_MAX];
	int ret;

	if (rtkvm_cpus_print_list(&l->cpus, cpus, sizeof(cpus)) <= 0)
		return -EINVAL;
	for (size_t i = 0; i < j->count; i++)
		if (j->changes[i].kind == c.kind && !j->changes[i].undone) {
			*made = &j->changes[i]; /* it is told once more */
			j->changes[i].time = rtkvm_boottime();
			return 0;
		}
	c.before = strdup("-");
	c.after = strdup(cpus);
	ret = c.before && c.after ? rtkvm_store_add(l->rt, &l->lease->store, &c) : -ENOMEM;
	rtkvm_change_clear(&c);
	*made = &j->changes[j->count - 1];
	return ret;
}

int cpu_irqbalance_tell(struct rtkvm_cpu_lease *l, const struct rtkvm_cpus *others)
{
	struct rtkvm_cpus all = l->cpus, banned;
	struct rtkvm_change *made;
	unsigned int seconds;
	int ret;

	if (geteuid() != 0 && !l->rt->made_up)
		return 0;
	/* is it there? */
	if (rtkvm_irqbalance_banned(l->rt, &banned, &seconds) == -ENODEV)
		return 0;
	ret = record(l, &made);
	if (ret < 0)
		return ret;
	cpus_or(&all, others);
	ret = rtkvm_irqbalance_tell(l->rt, &all);
	if (ret < 0) {
		rtkvm_store_undone(&l->lease->store, made);
		cpu_note(l, "irqbalance", true, "cannot be told: %s; it will move interrupts back",
			 strerror(-ret));
	}
	return 0;
}

void cpu_irqbalance_report(struct rtkvm_cpu_lease *l, struct rtkvm_report *report)
{
	const struct rtkvm_journal *j = l->lease ? &l->lease->store.journal : NULL;
	char cpus[RTKVM_VALUE_MAX] = "";
	struct rtkvm_cpus banned;
	unsigned int seconds;
	int ret = rtkvm_irqbalance_banned(l->rt, &banned, &seconds);
	bool told = false, coming = false;

	rtkvm_cpus_print_list(&l->cpus, cpus, sizeof(cpus));
	for (size_t i = 0; j && i < j->count; i++)
		if (j->changes[i].kind == RTKVM_CHANGE_IRQBALANCE && !j->changes[i].undone) {
			told = true;
			coming = ret == 0 && rtkvm_boottime() < j->changes[i].time +
							 (2ULL * seconds + 1) * 1000000000ULL;
		}
	if (ret == 0 && rtkvm_cpus_subset(&l->cpus, &banned))
		rtkvm_report_add(report, "irqbalance", RTKVM_STATE_VERIFIED, false,
				 "keeps away from the CPUs");
	else if (ret == 0 && told && coming)
		rtkvm_report_add(report, "irqbalance", RTKVM_STATE_ACCEPTED, false,
				 "told to keep away, which it does from its next look on (every %u s)",
				 seconds);
	else if (ret == 0 && l->lease)
		rtkvm_report_add(report, "irqbalance", RTKVM_STATE_OFF, true,
				 "does not keep away from the CPUs: it was started, or told otherwise, "
				 "since; a repair tells it again");
	else if (ret == -ENODEV && l->irqbalance)
		rtkvm_report_add(report, "irqbalance", RTKVM_STATE_OFF, true,
				 "runs without a socket to tell it by: set "
				 "IRQBALANCE_BANNED_CPULIST=%.200s in /etc/default/irqbalance and "
				 "restart it", cpus);
}
