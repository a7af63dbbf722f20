/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many changes at once: all records are written, then synced once, then the
 * changes are made. A machine with thousands of interrupts would otherwise
 * wait for the disk thousands of times.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease_priv.h"

/* What is there now; before and after belong to the item. */
static int look(struct rtkvm_lease *lease, struct rtkvm_batch_item *item)
{
	struct rtkvm_change *c = &item->change;
	char now[RTKVM_VALUE_MAX];
	int ret;

	if (c->before)
		return 0; /* the caller has looked */
	ret = rtkvm_change_read(lease->rt, c, now);
	if (ret < 0)
		return ret;
	c->before = strdup(now);
	return c->before ? 0 : -ENOMEM;
}

/* The journal has it, and so the texts. */
static int make(struct rtkvm_lease *lease, struct rtkvm_batch_item *item, struct rtkvm_change *c)
{
	char now[RTKVM_VALUE_MAX] = "";
	int ret = rtkvm_change_write(lease->rt, c, c->after);

	if (ret == 0)
		ret = rtkvm_change_read(lease->rt, c, now);
	if (ret == 0 && rtkvm_change_equal(c, now, c->after))
		return 0;
	snprintf(item->now, sizeof(item->now), "%.95s", now);
	rtkvm_lease_roll_back(lease, c);
	return ret < 0 ? ret : -EIO;
}

static void clear(struct rtkvm_batch_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(items[i].change.before);
		free(items[i].change.after);
		items[i].change.before = items[i].change.after = NULL;
	}
}

int rtkvm_lease_apply(struct rtkvm_lease *lease, struct rtkvm_batch_item *items, size_t count)
{
	size_t *at = calloc(count + 1, sizeof(*at)), first = lease->store.journal.count;
	int ret = 0;

	if (!at) {
		clear(items, count);
		return rtkvm_fail(lease->rt, ENOMEM, NULL, NULL, "no memory for changes");
	}
	for (size_t i = 0; i < count && ret == 0; i++) {
		struct rtkvm_change *c = &items[i].change, copy;

		items[i].result = look(lease, &items[i]);
		if (items[i].result < 0)
			continue;
		copy = *c;
		ret = rtkvm_store_add_more(lease->rt, &lease->store, &copy);
		if (ret < 0)
			break;
		c->before = c->after = NULL;
		at[i] = lease->store.journal.count;
	}
	if (ret == 0 && lease->store.journal.count > first)
		ret = rtkvm_store_sync(lease->rt, &lease->store);
	/* nothing was changed for these records */
	for (size_t k = first; ret < 0 && k < lease->store.journal.count; k++)
		rtkvm_store_undone(&lease->store, &lease->store.journal.changes[k]);
	for (size_t i = 0; i < count && ret == 0; i++)
		if (at[i])
			items[i].result = make(lease, &items[i],
					       &lease->store.journal.changes[at[i] - 1]);
	clear(items, count);
	free(at);
	return ret;
}
