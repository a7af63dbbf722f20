/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The allocator: a lease that claims CPUs. All that decides is done under the
 * lock of the state directory, by which all processes that use it take turns:
 * what dead owners left is given back, the claims of the living are read,
 * CPUs are chosen, and the new journal gets its claim. There is no other
 * list of CPUs that could differ from the journals.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cpulist.h"
#include "lease_priv.h"

/* Root publishes; the claim of an ordinary user is its record alone. */
static int record(struct rtkvm_lease *lease, const struct rtkvm_cpus *cpus)
{
	struct rtkvm_batch_item item = { .change.kind = RTKVM_CHANGE_CLAIM };
	struct rtkvm_change *c = &item.change;
	char text[RTKVM_VALUE_MAX];
	int ret;

	if (rtkvm_cpus_print_list(cpus, text, sizeof(text)) <= 0)
		return rtkvm_fail(lease->rt, EINVAL, NULL, NULL, "too many CPUs in pieces");
	c->start = rtkvm_lease_id(lease);
	c->before = strdup("-");
	c->after = strdup(text);
	if (!c->before || !c->after) {
		rtkvm_change_clear(c);
		return rtkvm_fail(lease->rt, ENOMEM, NULL, NULL, "no memory for a claim");
	}
	if (geteuid() != 0 && !lease->rt->made_up) {
		ret = rtkvm_store_add(lease->rt, &lease->store, c);
		rtkvm_change_clear(c);
		return ret;
	}
	ret = rtkvm_lease_apply(lease, &item, 1);
	if (ret == 0 && item.result < 0)
		ret = rtkvm_fail(lease->rt, -item.result, "/run/rtkvm/leased",
				 rtkvm_remedy_for(-item.result), "cannot publish the CPUs: %s",
				 strerror(-item.result));
	return ret;
}

/* What is taken, with the lock held; dead leases are given back first. */
static int look(struct rtkvm *rt, int dir_fd, struct rtkvm_cpus *taken)
{
	struct rtkvm_report *report = rtkvm_report_new();
	struct rtkvm_scan scan = { 0 };
	char boot_id[37];
	int ret = rtkvm_boot_id(rt, boot_id);

	rtkvm_cpus_clear(taken);
	if (ret == 0)
		ret = rtkvm_scan(rt, dir_fd, boot_id, NULL, true, &scan);
	if (ret == 0 && rtkvm_restore_found(rt, &scan, report) < 0)
		rtkvm_log(rt, RTKVM_LOG_WARNING, "leases of dead owners: %s", rtkvm_last_error());
	if (ret == 0)
		rtkvm_scan_claims(&scan, taken);
	/* not given back: still as that lease left them */
	for (size_t i = 0; i < scan.count; i++) {
		const struct rtkvm_journal *j = &scan.found[i].store.journal;
		struct rtkvm_cpus set;

		for (size_t k = 0; scan.found[i].what == RTKVM_FOUND_DEAD && k < j->count; k++) {
			if (j->changes[k].kind != RTKVM_CHANGE_CLAIM || j->changes[k].undone ||
			    rtkvm_cpus_parse_list(j->changes[k].after, &set, NULL) < 0)
				continue;
			for (unsigned int w = 0; w < RTKVM_CPULIST_WORDS; w++)
				taken->bits[w] |= set.bits[w];
		}
	}
	rtkvm_scan_free(&scan);
	rtkvm_report_free(report);
	if (ret == 0 && geteuid() != 0)
		ret = rtkvm_claims_published(rt, taken);
	return ret;
}

int rtkvm_lease_claim(struct rtkvm *rt, const char *name, rtkvm_choose_fn *choose, void *arg,
		      struct rtkvm_lease **out)
{
	struct rtkvm_lease *lease = NULL;
	struct rtkvm_cpus taken, cpus;
	struct rtkvm_error saved;
	int dir_fd = rtkvm_statedir_open(rt, true), ret;

	*out = NULL;
	if (dir_fd < 0)
		return dir_fd;
	ret = rtkvm_statedir_lock(rt, dir_fd, true);
	if (ret == 0)
		ret = look(rt, dir_fd, &taken);
	if (ret == 0)
		ret = choose(arg, &taken, &cpus);
	if (ret == 0)
		ret = rtkvm_lease_new(rt, name, &lease);
	if (ret == 0)
		ret = record(lease, &cpus);
	rtkvm_statedir_unlock(dir_fd);
	close(dir_fd);
	if (ret < 0 && lease) {
		rtkvm_error_save(&saved);
		rtkvm_lease_release(lease, NULL);
		rtkvm_error_restore(&saved);
		return ret;
	}
	*out = lease;
	return ret;
}
