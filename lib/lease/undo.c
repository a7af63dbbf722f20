/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Giving back: the one place that undoes changes, for the owner that releases
 * and for who comes after a dead one. Undoing is done so that it can be cut
 * off anywhere and begun again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lease_priv.h"

/* What became of one change. */
enum outcome {
	AS_BEFORE,   /* written and read back */
	WAS_BEFORE,  /* had its old value already */
	ALMOST,      /* all but a flag that needs privilege to clear */
	ENDED,       /* the thread has ended, the hold with its owner */
	FOREIGN,     /* somebody else changed it since: left alone */
	HELD,        /* another lease turned it since: waits for that one */
	NOT_HERE,    /* thread of another pid namespace */
	WAITS,       /* for a later change of the same thing that is none of the above */
	FAILED,
};

static const char *const outcome_names[FAILED + 1] = {
	"as before",	  "was as before", "as before but for a flag", "has ended",
	"changed since",  "held since",	   "not of this namespace",    "waits for a later one",
	"not given back",
};

struct step {
	struct rtkvm *rt;
	const struct rtkvm_cpus *leased; /* by live leases of others */
	struct rtkvm_store *store;
	struct rtkvm_change *change;
	const struct rtkvm_scan *others;
	const char *holder;
	char now[RTKVM_VALUE_MAX];
	int err;
};

const char *rtkvm_undo_held_by(const struct rtkvm_change *c, const struct rtkvm_scan *others)
{
	for (size_t i = 0; others && i < others->count; i++) {
		const struct rtkvm_found *f = &others->found[i];
		const struct rtkvm_journal *j = &f->store.journal;

		if (f->what != RTKVM_FOUND_LIVE)
			continue;
		for (size_t k = 0; k < j->count; k++)
			if (!j->changes[k].undone && j->changes[k].time > c->time &&
			    !(c->take && j->changes[k].take) &&
			    rtkvm_change_same_target(&j->changes[k], c))
				return j->owner.name;
	}
	return NULL;
}

/*
 * Clearing SCHED_RESET_ON_FORK needs CAP_SYS_NICE, setting it does not. The
 * policy is given back at least.
 */
static enum outcome write_sched_without_flag(struct step *s)
{
	struct rtkvm_change *c = s->change;
	struct rtkvm_sched want, now;
	char text[32];

	if (c->kind != RTKVM_CHANGE_SCHED || s->err != EPERM ||
	    !rtkvm_sched_parse(c->before, false, &want) ||
	    !rtkvm_sched_parse(s->now, false, &now) || want.reset_on_fork || !now.reset_on_fork)
		return FAILED;
	want.reset_on_fork = true;
	rtkvm_sched_print(&want, text, sizeof(text));
	if (rtkvm_change_write(s->rt, c, text) < 0 || rtkvm_change_read(s->rt, c, s->now) < 0)
		return FAILED;
	return rtkvm_change_equal(c, s->now, text) ? ALMOST : FAILED;
}

static enum outcome write_back(struct step *s, const char *before)
{
	struct rtkvm_change *c = s->change;
	int ret = rtkvm_change_write(s->rt, c, before);

	/* a thread in the lease's partition cannot have CPUs outside of it */
	if (ret == -EINVAL && c->kind == RTKVM_CHANGE_CPUS &&
	    rtkvm_partition_leave(s->rt, strtoull(s->store->file, NULL, 16), c->tid) == 0)
		ret = rtkvm_change_write(s->rt, c, before);
	if (ret == 0)
		ret = rtkvm_change_read(s->rt, c, s->now);
	s->err = -ret;
	if (ret == -ESRCH)
		return ENDED;
	if (ret < 0)
		return write_sched_without_flag(s);
	if (rtkvm_change_equal(c, s->now, before))
		return AS_BEFORE;
	s->err = EIO;
	return FAILED;
}

/* Nothing of the host: it ends with its owner. */
static bool ends_alone(const struct step *s)
{
	int kind = s->change->kind;

	return kind == RTKVM_CHANGE_HOLD || kind == RTKVM_CHANGE_TARGET ||
	       kind == RTKVM_CHANGE_WATCH ||
	       (kind == RTKVM_CHANGE_CLAIM && geteuid() != 0 && !s->rt->made_up);
}

/* CPUs that were taken out of a set, which may have changed otherwise since. */
static enum outcome put_back(struct step *s)
{
	char text[RTKVM_VALUE_MAX];
	int ret = rtkvm_change_put_back(s->change, s->now, s->leased, text);

	if (ret == 0)
		return WAS_BEFORE;
	return ret < 0 ? FOREIGN : write_back(s, text);
}

static enum outcome undo_change(struct step *s)
{
	struct rtkvm_change *c = s->change;
	int ret;

	if (ends_alone(s))
		return ENDED;
	if (c->kind == RTKVM_CHANGE_IRQBALANCE) {
		ret = rtkvm_irqbalance_tell(s->rt, s->leased);
		s->err = -ret;
		return ret == 0 ? AS_BEFORE : ret == -ENODEV ? ENDED : FAILED;
	}
	s->holder = rtkvm_undo_held_by(c, s->others);
	if (s->holder && rtkvm_change_equal(c, c->before, c->after))
		return WAS_BEFORE; /* it changed nothing: an earlier lease waits for that one */
	if (s->holder)
		return HELD;
	ret = rtkvm_change_read(s->rt, c, s->now);
	s->err = -ret;
	if (ret == -ESRCH)
		return ENDED;
	if (ret == -EPERM && c->kind == RTKVM_CHANGE_SCHED)
		return FOREIGN; /* a deadline thread now */
	if (ret == -ENODEV)
		return ENDED;
	if (ret < 0)
		return FAILED;
	if (c->take && !rtkvm_change_equal(c, s->now, c->after))
		return put_back(s);
	if (rtkvm_change_equal(c, s->now, c->before)) {
		/* a kill within a write to a made-up tree left line feeds: see file.c */
		if (s->rt->made_up)
			(void)rtkvm_change_write(s->rt, c, c->before);
		return WAS_BEFORE;
	}
	/* what has the lease's number in its name is the lease's, in any state */
	if (!rtkvm_change_equal(c, s->now, c->after) && c->kind != RTKVM_CHANGE_CLAIM &&
	    c->kind != RTKVM_CHANGE_PARTITION && c->kind != RTKVM_CHANGE_RESCTRL)
		return FOREIGN;
	return write_back(s, c->before);
}

static void report_outcome(struct rtkvm_report *report, const struct step *s, const char *label,
			   enum outcome outcome)
{
	const struct rtkvm_change *c = s->change;
	char before[128], now[128], where[128];
	const char *remedy = rtkvm_change_remedy(c, s->err);

	rtkvm_change_say(c, c->before ? c->before : "", before, sizeof(before));
	rtkvm_change_say(c, s->now, now, sizeof(now));
	rtkvm_change_where(c, where, sizeof(where));
	switch (outcome) {
	case AS_BEFORE:
	case WAS_BEFORE:
		if (c->kind == RTKVM_CHANGE_IRQBALANCE) {
			rtkvm_report_add(report, label, RTKVM_STATE_ACCEPTED, false,
					 "told that the CPUs are its again");
			break;
		}
		rtkvm_report_add(report, label, RTKVM_STATE_VERIFIED, false, "as before: %s",
				 before);
		break;
	case ALMOST:
		rtkvm_report_add(report, label, RTKVM_STATE_ACCEPTED, true,
				 "as before but for the reset-on-fork flag, which takes "
				 "CAP_SYS_NICE to clear");
		break;
	case ENDED:
		rtkvm_report_add(report, label, RTKVM_STATE_VERIFIED, false, "%s",
				 c->kind == RTKVM_CHANGE_CPUS || c->kind == RTKVM_CHANGE_SCHED ?
					 "the thread has ended" :
				 c->kind == RTKVM_CHANGE_KNOB ?
					 "the device is gone" :
				 c->kind == RTKVM_CHANGE_IRQBALANCE ?
					 "it does not run any more" :
					 "it ended with its owner");
		break;
	case FOREIGN:
		rtkvm_report_add(report, label, RTKVM_STATE_OFF, true,
				 "changed by someone else since, left alone: it is %s, was %s "
				 "before the lease",
				 s->now[0] ? now : "something else", before);
		break;
	case HELD:
		rtkvm_report_add(report, label, RTKVM_STATE_OFF, false,
				 "lease \"%s\" has changed it since and still lives: becomes %s "
				 "when that one ends",
				 s->holder, before);
		break;
	case NOT_HERE:
		rtkvm_report_add(report, label, RTKVM_STATE_OFF, true,
				 "thread %d of another pid namespace cannot be known here: run "
				 "rtkvm restore there",
				 (int)c->tid);
		break;
	case WAITS:
		rtkvm_report_add(report, label, RTKVM_STATE_OFF, true,
				 "a later change of it is not undone yet");
		break;
	case FAILED:
		rtkvm_report_add(report, label, RTKVM_STATE_OFF, true,
				 "%s: cannot be made %s again: %s%s%s", where, before,
				 strerror(s->err), remedy ? "; " : "", remedy ? remedy : "");
		break;
	}
}

/* Left over by an earlier try at a later change of the same thing. */
static bool blocked(const struct rtkvm_undo *u, const struct rtkvm_change *c)
{
	for (size_t i = 0; i < u->count; i++) {
		const struct rtkvm_journal *j = &u->stores[i]->journal;

		for (size_t k = u->stores[i]->left; k < j->count; k++)
			if (&j->changes[k] != c && !j->changes[k].undone &&
			    rtkvm_change_same_target(&j->changes[k], c))
				return true;
	}
	return false;
}

static bool of_other_pids(const struct step *s, uint64_t pidns)
{
	return (s->change->kind == RTKVM_CHANGE_SCHED || s->change->kind == RTKVM_CHANGE_CPUS) &&
	       s->store->journal.owner.pidns != pidns;
}

static bool settled(enum outcome outcome)
{
	return outcome != HELD && outcome != NOT_HERE && outcome != WAITS && outcome != FAILED;
}

static void report_step(const struct rtkvm_undo *u, const struct step *s, enum outcome outcome)
{
	char label[RTKVM_LABEL_MAX], full[RTKVM_LABEL_MAX + RTKVM_NAME_MAX + 2];

	rtkvm_change_label(s->change, label);
	snprintf(full, sizeof(full), "%s/%s", s->store->journal.owner.name, label);
	report_outcome(u->report, s, s->store == u->own ? label : full, outcome);
	rtkvm_log(u->rt, settled(outcome) ? RTKVM_LOG_INFO : RTKVM_LOG_WARNING, "undo of %s: %s",
		  full, outcome_names[outcome <= FAILED ? outcome : FAILED]);
}

/* The store with the latest change that was not looked at yet, or NULL. */
static struct rtkvm_store *pick(const struct rtkvm_undo *u)
{
	struct rtkvm_store *best = NULL;
	uint64_t time = 0;

	for (size_t i = 0; i < u->count; i++) {
		struct rtkvm_store *s = u->stores[i];

		while (s->left && s->journal.changes[s->left - 1].undone)
			s->left--;
		if (!s->left || (best && s->journal.changes[s->left - 1].time < time))
			continue;
		best = s;
		time = s->journal.changes[s->left - 1].time;
	}
	return best;
}

int rtkvm_undo(const struct rtkvm_undo *u)
{
	struct rtkvm_cpus leased;
	struct step s = { .rt = u->rt, .others = u->others, .leased = &leased };
	uint64_t pidns = rtkvm_pidns(), asked = 0;
	bool again = false, gone = false;
	int ret = 0;

	rtkvm_cpus_clear(&leased);
	if (u->others)
		rtkvm_scan_claims(u->others, &leased);
	for (size_t i = 0; i < u->count; i++)
		u->stores[i]->left = u->stores[i]->journal.count;
	while ((s.store = pick(u))) {
		enum outcome outcome;

		s.change = &s.store->journal.changes[--s.store->left];
		s.now[0] = '\0';
		s.err = 0;
		if (again && blocked(u, s.change)) {
			outcome = WAITS;
		} else if (of_other_pids(&s, pidns)) {
			if (asked != s.store->journal.owner.pidns)
				gone = rtkvm_pidns_gone(u->rt, s.store->journal.owner.pidns);
			asked = s.store->journal.owner.pidns;
			outcome = gone ? ENDED : NOT_HERE;
		} else {
			outcome = undo_change(&s);
		}
		if (settled(outcome))
			rtkvm_store_undone(s.store, s.change);
		else
			again = true;
		if (!settled(outcome) && outcome != HELD)
			ret = -EIO;
		report_step(u, &s, outcome);
	}
	return ret;
}
