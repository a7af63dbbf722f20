/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lease's own resctrl group: a share of caches (CAT) and of memory bandwidth (MBA). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_priv.h"

#define BASE "/sys/fs/resctrl"

int cpu_resctrl_text(const char *cpus, const char *schemata, char out[RTKVM_VALUE_MAX])
{
	size_t len = strlen(schemata);

	while (len && schemata[len - 1] == '\n')
		len--;
	if (snprintf(out, RTKVM_VALUE_MAX, "%s:%.*s", cpus, (int)len, schemata) >= RTKVM_VALUE_MAX)
		return -EINVAL;
	for (char *p = out; *p; p++)
		if (*p == '\n')
			*p = '|';
	return rtkvm_resctrl_ok(out) ? 0 : -EINVAL;
}

int cpu_resctrl_make(struct rtkvm_cpu_lease *l, const char *schemata)
{
	struct rtkvm_batch_item item = { .change.kind = RTKVM_CHANGE_RESCTRL };
	char cpus[RTKVM_VALUE_MAX], text[RTKVM_VALUE_MAX];
	struct rtkvm_cpus free_ones;
	int ret;

	if (!schemata)
		return 0;
	ret = cpu_topology_list(l->rt, BASE "/cpus_list", &free_ones);
	if (ret < 0) {
		cpu_note(l, "resctrl", true, ret == -ENOENT ?
			 "not there: mount -t resctrl resctrl " BASE ", on a CPU with CAT or MBA" :
			 "cannot be looked at: %s", strerror(-ret));
		return 0;
	}
	if (!rtkvm_cpus_subset(&l->cpus, &free_ones)) {
		cpu_note(l, "resctrl", true, "one of the CPUs is in a group of somebody else, which is "
			 "left alone");
		return 0;
	}
	rtkvm_cpus_print_list(&l->cpus, cpus, sizeof(cpus));
	if (cpu_resctrl_text(cpus, schemata, text) < 0)
		return -EINVAL;
	item.change.start = l->id;
	item.change.before = strdup("-");
	item.change.after = strdup(text);
	if (!item.change.before || !item.change.after) {
		rtkvm_change_clear(&item.change);
		return -ENOMEM;
	}
	ret = rtkvm_lease_apply(l->lease, &item, 1);
	if (ret == 0 && item.result < 0)
		cpu_note(l, "resctrl", true, "refused: %s%s%.100s%s%s", strerror(-item.result),
			 *rtkvm_resctrl_why() ? ": " : "", rtkvm_resctrl_why(),
			 item.now[0] ? ", the kernel shows " : "", item.now);
	return ret;
}

void cpu_resctrl_report(struct rtkvm_cpu_lease *l, struct rtkvm_report *report)
{
	const struct rtkvm_journal *j = l->lease ? &l->lease->store.journal : NULL;
	char now[RTKVM_VALUE_MAX] = "";

	for (size_t i = 0; j && i < j->count; i++) {
		const struct rtkvm_change *c = &j->changes[i];

		if (c->kind != RTKVM_CHANGE_RESCTRL || c->undone)
			continue;
		if (rtkvm_change_read(l->rt, c, now) == 0 && rtkvm_change_equal(c, now, c->after))
			rtkvm_report_add(report, "resctrl", RTKVM_STATE_VERIFIED, false, "%.200s", now);
		else
			rtkvm_report_add(report, "resctrl", RTKVM_STATE_OFF, true,
					 "was %.100s, and is %.100s", c->after, now);
	}
}
