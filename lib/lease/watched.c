/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who looks after the threads of a lease: a record that says which process
 * does, so that others can see whether new threads will be placed. It changes
 * nothing of the host.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lease_priv.h"
#include "watched.h"

int rtkvm_lease_watch_begin(struct rtkvm_lease *lease)
{
	struct rtkvm_change c = { .kind = RTKVM_CHANGE_WATCH, .tid = getpid() };
	int ret;

	if (lease->rt->made_up)
		return 0; /* it has no processes */
	ret = rtkvm_thread_start(lease->rt, c.tid, &c.start);
	if (ret < 0)
		return rtkvm_fail(lease->rt, -ret, "/proc/self/stat", "mount /proc",
				  "cannot tell which process this is: %s", strerror(-ret));
	c.before = strdup("-");
	c.after = strdup("-");
	if (c.before && c.after)
		ret = rtkvm_store_add(lease->rt, &lease->store, &c);
	else
		ret = rtkvm_fail(lease->rt, ENOMEM, NULL, NULL, "no memory for a record");
	rtkvm_change_clear(&c);
	return ret;
}

static struct rtkvm_change *find_watch(const struct rtkvm_journal *j, bool undone)
{
	for (size_t i = j->count; i > 0; i--)
		if (j->changes[i - 1].kind == RTKVM_CHANGE_WATCH &&
		    j->changes[i - 1].undone == undone)
			return &j->changes[i - 1];
	return NULL;
}

void rtkvm_lease_watch_end(struct rtkvm_lease *lease)
{
	struct rtkvm_change *c = find_watch(&lease->store.journal, false);

	if (c && c->tid == getpid())
		rtkvm_store_undone(&lease->store, c);
}

void rtkvm_lease_watch_status(struct rtkvm *rt, const struct rtkvm_journal *j, bool here,
			      struct rtkvm_report *report)
{
	const struct rtkvm_change *c = find_watch(j, false);
	char feature[RTKVM_NAME_MAX + 16];
	uint64_t start;

	snprintf(feature, sizeof(feature), "%s/watch", j->owner.name);
	if (c && !here)
		rtkvm_report_add(report, feature, RTKVM_STATE_UNVERIFIABLE, false,
				 "by a process of another pid namespace");
	else if (c && rtkvm_thread_start(rt, c->tid, &start) == 0 && start == c->start &&
		 !rtkvm_zombie(rt, c->tid))
		rtkvm_report_add(report, feature, RTKVM_STATE_VERIFIED, false,
				 "by process %d", (int)c->tid);
	else if (c)
		rtkvm_report_add(report, feature, RTKVM_STATE_OFF, true,
				 "not watched: process %d has ended; threads made from now on are "
				 "not placed", (int)c->tid);
	else if (find_watch(j, true))
		rtkvm_report_add(report, feature, RTKVM_STATE_OFF, false,
				 "not watched: threads made from now on are not placed");
}
