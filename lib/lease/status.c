/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm_status(): what is leased now. Changes nothing, and takes no lock
 * longer than a look.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lease_priv.h"

static void add_change(struct rtkvm *rt, struct rtkvm_report *report, const char *lease,
		       const struct rtkvm_change *c, bool live, bool here)
{
	char label[RTKVM_LABEL_MAX], full[RTKVM_LABEL_MAX + RTKVM_NAME_MAX + 2];
	char now[RTKVM_VALUE_MAX] = "", before[128], after[128], shown[128];
	int ret;

	if (c->kind == RTKVM_CHANGE_WATCH)
		return; /* of the lease as a whole */
	rtkvm_change_label(c, label);
	snprintf(full, sizeof(full), "%s/%s", lease, label);
	if (c->kind == RTKVM_CHANGE_HOLD) {
		rtkvm_report_add(report, full, live ? RTKVM_STATE_ACCEPTED : RTKVM_STATE_OFF, false,
				 live ? "at most %s us to leave a C-state" :
					"the kernel ended it with its owner (was %s us)",
				 c->after);
		return;
	}
	if (c->kind == RTKVM_CHANGE_TARGET ||
	    (c->kind == RTKVM_CHANGE_CLAIM && geteuid() != 0 && !rt->made_up)) {
		rtkvm_report_add(report, full, RTKVM_STATE_VERIFIED, false, "%s",
				 c->kind == RTKVM_CHANGE_TARGET ? "owns the lease as long as it lives" :
								  c->after);
		return;
	}
	rtkvm_change_say(c, c->before, before, sizeof(before));
	rtkvm_change_say(c, c->after, after, sizeof(after));
	ret = here || (c->kind != RTKVM_CHANGE_CPUS && c->kind != RTKVM_CHANGE_SCHED) ? rtkvm_change_read(rt, c, now) : -EXDEV;
	rtkvm_change_say(c, now, shown, sizeof(shown));
	if (ret == -ESRCH)
		rtkvm_report_add(report, full, RTKVM_STATE_OFF, false, "the thread has ended");
	else if (ret == -EXDEV)
		rtkvm_report_add(report, full, RTKVM_STATE_UNVERIFIABLE, false,
				 "thread of another pid namespace; %s, %s before", after, before);
	else if (ret == -ENODEV)
		rtkvm_report_add(report, full, RTKVM_STATE_OFF, false, "the device is gone");
	else if (ret < 0)
		rtkvm_report_add(report, full, RTKVM_STATE_UNVERIFIABLE, true,
				 "cannot be read: %s", strerror(-ret));
	else if (rtkvm_change_equal(c, now, c->after))
		rtkvm_report_add(report, full, RTKVM_STATE_VERIFIED, false, "%s; %s before", shown,
				 before);
	else
		rtkvm_report_add(report, full, RTKVM_STATE_OFF, live,
				 "is %s, the lease set %s; %s before", shown, after, before);
}

/* Did the same lease change the same thing again? Then that one says how it is. */
static bool changed_again(const struct rtkvm_journal *j, size_t i)
{
	for (size_t k = i + 1; k < j->count; k++)
		if (!j->changes[k].undone &&
		    rtkvm_change_same_target(&j->changes[k], &j->changes[i]))
			return true;
	return false;
}

static void add_lease(struct rtkvm *rt, struct rtkvm_report *report, const struct rtkvm_found *f,
		      uint64_t pidns)
{
	const struct rtkvm_journal *j = &f->store.journal;
	bool live = f->what == RTKVM_FOUND_LIVE;

	if (live)
		rtkvm_report_add(report, j->owner.name, RTKVM_STATE_VERIFIED, false,
				 "held; made by pid %d", (int)j->owner.pid);
	else
		rtkvm_report_add(report, j->owner.name, RTKVM_STATE_OFF, true,
				 "its owner (pid %d) is gone: run rtkvm restore",
				 (int)j->owner.pid);
	if (live)
		rtkvm_lease_watch_status(rt, j, j->owner.pidns == pidns, report);
	for (size_t i = 0; i < j->count; i++)
		if (!j->changes[i].undone && !changed_again(j, i))
			add_change(rt, report, j->owner.name, &j->changes[i], live,
				   j->owner.pidns == pidns);
}

static bool add_found(struct rtkvm *rt, struct rtkvm_report *report, const struct rtkvm_found *f,
		      uint64_t pidns)
{
	char feature[96];

	snprintf(feature, sizeof(feature), "journal %s", f->store.file);
	switch (f->what) {
	case RTKVM_FOUND_REFUSED:
		rtkvm_report_add(report, feature, RTKVM_STATE_OFF, true, "refused: %s", f->why);
		return false;
	case RTKVM_FOUND_OTHER_BOOT:
		rtkvm_report_add(report, feature, RTKVM_STATE_OFF, false,
				 "lease \"%s\" of another boot, whose end undid it: rtkvm restore "
				 "drops it",
				 f->store.journal.owner.name);
		return true;
	case RTKVM_FOUND_HEADLESS:
		rtkvm_report_add(report, feature, RTKVM_STATE_OFF, f->store.size > 0,
				 "%s: rtkvm restore drops it",
				 f->store.size ? "ends within its header" : "empty");
		return true;
	default:
		add_lease(rt, report, f, pidns);
		return true;
	}
}

/* Whose claim has the CPU; NULL: nobody's that can be seen. */
static const struct rtkvm_found *claimed_by(const struct rtkvm_scan *scan, unsigned int cpu)
{
	for (size_t i = 0; i < scan->count; i++) {
		const struct rtkvm_found *f = &scan->found[i];
		const struct rtkvm_journal *j = &f->store.journal;
		struct rtkvm_cpus set;

		if (f->what != RTKVM_FOUND_LIVE && f->what != RTKVM_FOUND_DEAD)
			continue;
		for (size_t k = 0; k < j->count; k++)
			if (j->changes[k].kind == RTKVM_CHANGE_CLAIM && !j->changes[k].undone &&
			    rtkvm_cpus_parse_list(j->changes[k].after, &set, NULL) == 0 &&
			    rtkvm_cpus_has(&set, cpu))
				return f;
	}
	return NULL;
}

/* CPUs on which vCPUs run while Linux has them offline. */
static void add_dedicated(struct rtkvm *rt, struct rtkvm_report *report,
			  const struct rtkvm_scan *scan)
{
	struct rtkvm_cpus cpus;
	int cpu = -1;

	if (rtkvm_dedicated_cpus(rt, &cpus) < 0)
		return; /* a kernel without, or none of our business */
	while ((cpu = rtkvm_cpus_next(&cpus, (unsigned int)cpu + 1)) >= 0) {
		const struct rtkvm_found *f = claimed_by(scan, (unsigned int)cpu);
		char feature[32];

		snprintf(feature, sizeof(feature), "dedicated-cpu %d", cpu);
		if (f)
			rtkvm_report_add(report, feature, RTKVM_STATE_VERIFIED, false,
					 "a vCPU runs there; of lease \"%s\" (pid %d)",
					 f->store.journal.owner.name,
					 (int)f->store.journal.owner.pid);
		else
			rtkvm_report_add(report, feature, RTKVM_STATE_VERIFIED, false,
					 "a vCPU runs there; of no lease that is seen here");
	}
}

static int status(struct rtkvm *rt, int dir_fd, struct rtkvm_report *report)
{
	struct rtkvm_scan scan = { 0 };
	char boot_id[37];
	bool refused = false;
	int ret = rtkvm_boot_id(rt, boot_id);

	if (ret == 0)
		ret = rtkvm_statedir_lock(rt, dir_fd, false);
	if (ret == 0)
		ret = rtkvm_scan(rt, dir_fd, boot_id, NULL, false, &scan);
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < scan.count; i++)
		if (!add_found(rt, report, &scan.found[i], rtkvm_pidns()))
			refused = true;
	if (scan.overflow[0]) {
		rtkvm_report_add(report, "journals", RTKVM_STATE_OFF, true, "%s", scan.overflow);
		refused = true;
	}
	add_dedicated(rt, report, &scan);
	rtkvm_scan_free(&scan);
	return refused ? rtkvm_fail(rt, EIO, rt->state_dir, "see the report",
				    "some journals cannot be read") :
			 0;
}

int rtkvm_status(struct rtkvm *rt, struct rtkvm_report **out)
{
	const struct rtkvm_scan none = { 0 };
	struct rtkvm_report *report;
	int dir_fd, ret = 0, given;

	if (out)
		*out = NULL;
	if (!rt || !out)
		return rtkvm_fail(rt, EINVAL, "rtkvm_status", NULL, "%s is NULL",
				  rt ? "report" : "rt");
	dir_fd = rtkvm_statedir_open(rt, false);
	if (dir_fd < 0 && dir_fd != -ENOENT)
		return dir_fd;
	report = rtkvm_report_new();
	if (dir_fd >= 0) {
		ret = status(rt, dir_fd, report);
		rtkvm_statedir_unlock(dir_fd);
		close(dir_fd);
	} else {
		add_dedicated(rt, report, &none);
	}
	given = rtkvm_report_finish(report, out);
	return ret < 0 ? ret : given;
}
