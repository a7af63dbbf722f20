/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm_restore(): what owners that died left to be undone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lease_priv.h"

static void add_journal(struct rtkvm_report *report, const struct rtkvm_found *f, int state,
			bool problem, const char *why)
{
	char feature[96];

	snprintf(feature, sizeof(feature), "journal %s", f->store.file);
	rtkvm_report_add(report, feature, state, problem, "%s", why);
}

/* Only part of a journal: what is there is undone, the rest has to be said. */
static void add_torn(struct rtkvm_report *report, const struct rtkvm_found *f)
{
	const struct rtkvm_journal *j = &f->store.journal;
	char why[RTKVM_WHY_MAX + 192];

	snprintf(why, sizeof(why),
		 "its end is missing after record %u%s%s%s: whether lease \"%s\" changed more than "
		 "what is given back here cannot be known",
		 j->next_seq - 1, j->tail[0] ? " (\"" : "", j->tail, j->tail[0] ? "\")" : "",
		 j->owner.name);
	add_journal(report, f, RTKVM_STATE_OFF, true, why);
}

/* What needs no undoing. False: it needs attention. */
static bool settle(struct rtkvm_found *f, struct rtkvm_report *report)
{
	char why[RTKVM_WHY_MAX + 96];

	switch (f->what) {
	case RTKVM_FOUND_LIVE:
		snprintf(why, sizeof(why), "owner lives (made by pid %d): left alone",
			 (int)f->store.journal.owner.pid);
		rtkvm_report_add(report, f->store.journal.owner.name, RTKVM_STATE_VERIFIED, false,
				 "%s", why);
		return true;
	case RTKVM_FOUND_HEADLESS:
		/* a kill leaves an empty one, never a part of the header */
		add_journal(report, f, RTKVM_STATE_OFF, f->store.size > 0,
			    f->store.size ?
				    "dropped: it ends within its header: what it changed cannot be known" :
				    "dropped: it is empty; its owner was killed before its first change, "
				    "or the file lost all, then what it changed cannot be known");
		rtkvm_store_remove(&f->store);
		return true;
	case RTKVM_FOUND_OTHER_BOOT:
		snprintf(why, sizeof(why),
			 "dropped: lease \"%s\" was of another boot, whose end undid it",
			 f->store.journal.owner.name);
		add_journal(report, f, RTKVM_STATE_VERIFIED, false, why);
		rtkvm_store_remove(&f->store);
		return true;
	case RTKVM_FOUND_REFUSED:
		snprintf(why, sizeof(why),
			 "refused, nothing changed for it: %s; look at it, then remove it", f->why);
		add_journal(report, f, RTKVM_STATE_OFF, true, why);
		return false;
	default:
		return true;
	}
}

/* Undo all dead ones; true: all is well. */
static int undo_dead(struct rtkvm *rt, struct rtkvm_scan *scan, struct rtkvm_report *report)
{
	struct rtkvm_undo u = { .rt = rt, .others = scan, .report = report };
	int ret;

	u.stores = calloc(scan->count + 1, sizeof(struct rtkvm_store *));
	if (!u.stores)
		return rtkvm_fail(rt, ENOMEM, NULL, NULL, "no memory to restore");
	for (size_t i = 0; i < scan->count; i++) {
		struct rtkvm_found *f = &scan->found[i];

		if (f->what != RTKVM_FOUND_DEAD)
			continue;
		if (f->store.journal.torn)
			add_torn(report, f);
		rtkvm_store_mend(&f->store);
		u.stores[u.count++] = &f->store;
	}
	ret = rtkvm_undo(&u);
	for (size_t i = 0; i < u.count; i++) {
		if (!rtkvm_journal_open_changes(&u.stores[i]->journal) &&
		    rtkvm_store_remove(u.stores[i]) < 0)
			ret = -EIO;
		else if (!u.stores[i]->journal.count)
			rtkvm_report_add(report, u.stores[i]->journal.owner.name,
					 RTKVM_STATE_VERIFIED, false,
					 "its owner ended before its first change");
	}
	free(u.stores);
	return ret;
}

int rtkvm_restore_found(struct rtkvm *rt, struct rtkvm_scan *scan, struct rtkvm_report *report)
{
	bool refused = false;
	int ret;

	for (size_t i = 0; i < scan->count; i++)
		if (!settle(&scan->found[i], report))
			refused = true;
	if (scan->overflow[0]) {
		rtkvm_report_add(report, "journals", RTKVM_STATE_OFF, true, "%s", scan->overflow);
		refused = true;
	}
	ret = undo_dead(rt, scan, report);
	if (ret == -EIO || (ret == 0 && refused))
		ret = rtkvm_fail(rt, EIO, rt->state_dir, "see the report",
				 refused ? "some journals were refused" :
					   "not everything could be given back");
	return ret;
}

/* A lease of that name must be there, and be without a descriptor. */
static int check_name(struct rtkvm *rt, const struct rtkvm_scan *scan, const char *name)
{
	bool there = false;

	for (size_t i = 0; i < scan->count; i++) {
		const struct rtkvm_found *f = &scan->found[i];

		if (strcmp(f->store.journal.owner.name, name) != 0)
			continue;
		if (f->what == RTKVM_FOUND_LIVE)
			return rtkvm_fail(rt, EBUSY, name, "end the program that has it",
					  "lease \"%s\" is owned by a descriptor that is open (made "
					  "by pid %d)",
					  name, (int)f->store.journal.owner.pid);
		there = there || f->what == RTKVM_FOUND_DEAD;
	}
	return there ? 0 :
		       rtkvm_fail(rt, ENOENT, name, "see rtkvm status", "no lease \"%s\"", name);
}

/* ended: a name whose target does not count; NULL: none. */
static int restore(struct rtkvm *rt, int dir_fd, const char *ended, struct rtkvm_report *report)
{
	struct rtkvm_scan scan = { 0 };
	char boot_id[37];
	int ret = rtkvm_boot_id(rt, boot_id);

	if (ret == 0)
		ret = rtkvm_statedir_lock(rt, dir_fd, true);
	if (ret == 0)
		ret = ended ? rtkvm_scan_ended(rt, dir_fd, boot_id, ended, &scan) :
			      rtkvm_scan(rt, dir_fd, boot_id, NULL, true, &scan);
	if (ret < 0)
		return ret;
	if (ended)
		ret = check_name(rt, &scan, ended);
	if (ret == 0)
		ret = rtkvm_restore_found(rt, &scan, report);
	rtkvm_scan_free(&scan);
	return ret;
}

static int run(struct rtkvm *rt, const char *ended, struct rtkvm_report **out)
{
	struct rtkvm_report *report;
	int dir_fd, ret, given;

	dir_fd = rtkvm_statedir_open(rt, false);
	if (dir_fd < 0 && dir_fd != -ENOENT)
		return dir_fd;
	if (dir_fd < 0 && ended)
		return rtkvm_fail(rt, ENOENT, ended, "see rtkvm status", "no lease \"%s\"", ended);
	report = rtkvm_report_new();
	ret = 0;
	if (dir_fd >= 0) {
		ret = restore(rt, dir_fd, ended, report);
		rtkvm_statedir_unlock(dir_fd);
		close(dir_fd);
	}
	given = rtkvm_report_finish(report, out);
	return ret < 0 || !out ? ret : given;
}

int rtkvm_restore(struct rtkvm *rt, struct rtkvm_report **out)
{
	if (out)
		*out = NULL;
	if (!rt)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_restore", NULL, "rt is NULL");
	return run(rt, NULL, out);
}

int rtkvm_lease_end(struct rtkvm *rt, const char *name, struct rtkvm_report **out)
{
	if (out)
		*out = NULL;
	if (!rt || !name || !rtkvm_lease_name_ok(name))
		return rtkvm_fail(rt, EINVAL, "rtkvm_lease_end", "give the name of a lease",
				  rt ? "not a name" : "rt is NULL");
	return run(rt, name, out);
}
