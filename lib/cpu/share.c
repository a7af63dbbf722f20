/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the finders of lib/cpu share: the list of changes to make, what was
 * made of it, and notes about what stayed.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu_priv.h"

const char *const cpu_sort_names[CPU_SORTS] = {
	[CPU_IRQS] = "irqs",		  [CPU_IRQ_DEFAULT] = "irq-default",
	[CPU_WORKQUEUES] = "workqueues",  [CPU_QUEUES] = "net-queues",
	[CPU_THREADS] = "threads",	  [CPU_TIMERS] = "timers",
	[CPU_STATISTICS] = "statistics",  [CPU_WATCHDOG] = "watchdog",
	[CPU_CSTATES] = "cstates",
	[CPU_FREQUENCY] = "frequency",	  [CPU_FAIR_SERVER] = "fair-server",
};

struct rtkvm_change *cpu_batch_add(struct cpu_batch *batch, enum cpu_sort sort)
{
	if (batch->count == batch->room) {
		size_t room = batch->room ? 2 * batch->room : 64;
		struct rtkvm_batch_item *items = realloc(batch->items, room * sizeof(*items));
		unsigned char *sorts;

		if (!items) {
			batch->failed = true;
			return NULL;
		}
		batch->items = items;
		sorts = realloc(batch->sorts, room);
		if (!sorts) {
			batch->failed = true;
			return NULL;
		}
		batch->sorts = sorts;
		batch->room = room;
	}
	memset(&batch->items[batch->count], 0, sizeof(*batch->items));
	batch->sorts[batch->count] = (unsigned char)sort;
	return &batch->items[batch->count++].change;
}

void cpu_batch_knob(struct cpu_batch *batch, enum cpu_sort sort, int knob, unsigned int index,
		    const char *before, const char *after, bool take)
{
	struct rtkvm_change *c = cpu_batch_add(batch, sort);

	if (!c)
		return;
	c->kind = RTKVM_CHANGE_KNOB;
	c->knob = knob;
	c->index = index;
	c->take = take;
	c->before = before ? strdup(before) : NULL;
	c->after = strdup(after);
	if (!c->after || (before && !c->before))
		batch->failed = true;
}

bool cpu_reduce(const struct rtkvm_cpu_lease *l, const struct rtkvm_cpus *is,
		struct rtkvm_cpus *to, bool may_be_empty, bool *take)
{
	if (!cpus_meet(is, &l->cpus))
		return false;
	*to = *is;
	cpus_without(to, &l->cpus);
	*take = true;
	if (!may_be_empty && !cpus_meet(to, &l->rest)) {
		/* nothing of it is left that is online and nobody's */
		*to = l->rest;
		*take = rtkvm_cpus_subset(to, is);
	}
	return true;
}

void cpu_batch_free(struct cpu_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		free(batch->items[i].change.before);
		free(batch->items[i].change.after);
	}
	free(batch->items);
	free(batch->sorts);
	memset(batch, 0, sizeof(*batch));
}

void cpu_note(struct rtkvm_cpu_lease *l, const char *feature, bool problem, const char *fmt, ...)
{
	struct cpu_note *note;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (note = l->notes; note; note = note->next)
		if (!strcmp(note->feature, feature) && !strcmp(note->text, text))
			return;
	note = calloc(1, sizeof(*note) + strlen(text) + 1);
	if (!note)
		return;
	note->problem = problem;
	note->lasting = l->once;
	snprintf(note->feature, sizeof(note->feature), "%s", feature);
	strcpy(note->text, text);
	*l->last = note;
	l->last = &note->next;
}

void cpu_notes_clear(struct rtkvm_cpu_lease *l, bool lasting)
{
	struct cpu_note **at = &l->notes, *note;

	while ((note = *at)) {
		if (note->lasting && !lasting) {
			at = &note->next;
			continue;
		}
		*at = note->next;
		free(note);
	}
	l->last = at;
}

static void note_irq(struct rtkvm_cpu_lease *l, const struct rtkvm_batch_item *item)
{
	unsigned int irq = item->change.index;
	char feature[64], name[96];

	snprintf(feature, sizeof(feature), "irq %u", irq);
	cpu_irq_name(l->rt, irq, name, sizeof(name));
	if (item->result == -ENOSPC)
		cpu_note(l, feature, true,
			 "%s: stays, the other CPUs have no vector left for it: leave more CPUs to "
			 "the rest", name);
	else
		cpu_note(l, feature, false,
			 "%s: stays, the kernel refuses to move it; if it is one that it manages: boot "
			 "with isolcpus=managed_irq", name);
}

/* One that did not come about. Threads and interrupts may have ended. */
static void failed(struct rtkvm_cpu_lease *l, const struct rtkvm_batch_item *item,
		   enum cpu_sort sort)
{
	const struct rtkvm_change *c = &item->change;
	char label[RTKVM_LABEL_MAX];
	int err = -item->result;
	bool once = l->once;

	if (err == ESRCH || err == ENOENT || err == ENODEV)
		return;
	if ((err == EPERM || err == EACCES) && geteuid() != 0) {
		l->refused[sort]++;
		return;
	}
	if (sort == CPU_IRQS) {
		note_irq(l, item);
		return;
	}
	rtkvm_change_label(c, label);
	/* knobs with a value are set once */
	l->once |= c->kind == RTKVM_CHANGE_KNOB && !rtkvm_knob_is_cpus(c->knob);
	cpu_note(l, label, true, "stays: %s%s%s", strerror(err),
		 item->now[0] ? ", the kernel shows " : "", item->now);
	l->once = once;
}

int cpu_batch_apply(struct rtkvm_cpu_lease *l, struct cpu_batch *batch)
{
	int ret;

	if (batch->failed)
		return rtkvm_fail(l->rt, ENOMEM, NULL, NULL, "no memory for changes");
	if (!batch->count)
		return 0;
	ret = rtkvm_lease_apply(l->lease, batch->items, batch->count);
	for (size_t i = 0; i < batch->count && ret == 0; i++) {
		enum cpu_sort sort = batch->sorts[i];

		if (batch->items[i].result == 0)
			l->moved[sort]++;
		else
			failed(l, &batch->items[i], sort);
	}
	return ret;
}
