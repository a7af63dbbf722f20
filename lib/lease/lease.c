/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The owner's side of a lease: journal, change, read back, release. What is
 * left of owners that died is restore.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cpulist.h"
#include "core/file.h"
#include "lease_priv.h"

#define DMA_LATENCY "/dev/cpu_dma_latency"

static int fill_owner(struct rtkvm *rt, const char *name, struct rtkvm_journal_owner *o)
{
	int ret;

	memset(o, 0, sizeof(*o));
	ret = rtkvm_boot_id(rt, o->boot_id);
	if (ret < 0)
		return ret;
	o->uid = geteuid();
	o->pidns = rtkvm_pidns();
	o->pid = getpid();
	/* for people: whether the owner lives is known from the lock */
	if (rt->made_up || rtkvm_thread_start(rt, o->pid, &o->start) < 0)
		o->start = 0;
	o->made_up = rt->made_up;
	snprintf(o->name, sizeof(o->name), "%s", name);
	return 0;
}

int rtkvm_lease_new(struct rtkvm *rt, const char *name, struct rtkvm_lease **out)
{
	struct rtkvm_journal_owner owner;
	struct rtkvm_lease *lease;
	int ret;

	if (out)
		*out = NULL;
	if (!rt || !out)
		return rtkvm_fail(rt, EINVAL, "rtkvm_lease_new", NULL, "%s is NULL",
				  rt ? "lease" : "rt");
	if (!name || !rtkvm_lease_name_ok(name))
		return rtkvm_fail(rt, EINVAL, "rtkvm_lease_new",
				  "give 1 to 31 characters of [a-z0-9-]",
				  "not a name for a lease: \"%s\"", name ? name : "(null)");
	ret = fill_owner(rt, name, &owner);
	if (ret < 0)
		return ret;
	lease = calloc(1, sizeof(*lease));
	if (!lease)
		return rtkvm_fail(rt, ENOMEM, NULL, NULL, "no memory for a lease");
	lease->rt = rt;
	lease->cstate_fd = -1;
	lease->dir_fd = rtkvm_statedir_open(rt, true);
	ret = lease->dir_fd < 0 ? lease->dir_fd :
				  rtkvm_store_create(rt, lease->dir_fd, &owner, &lease->store);
	if (ret < 0) {
		if (lease->dir_fd >= 0)
			close(lease->dir_fd);
		free(lease);
		return ret;
	}
	*out = lease;
	return 0;
}

uint64_t rtkvm_lease_id(const struct rtkvm_lease *lease)
{
	return strtoull(lease->store.file, NULL, 16);
}

int rtkvm_lease_fd(const struct rtkvm_lease *lease)
{
	if (!lease)
		return -EINVAL;
	/* the one thing of a lease that asking changes */
	((struct rtkvm_lease *)(uintptr_t)lease)->shared = true;
	return lease->store.fd;
}

static int fail_change(struct rtkvm *rt, const struct rtkvm_change *c, int err, const char *what)
{
	char where[RTKVM_PATH_MAX];

	rtkvm_change_where(c, where, sizeof(where));
	return rtkvm_fail(rt, err, where, rtkvm_change_remedy(c, err), "%s: %s", what,
			  strerror(err));
}

/* A change that did not come about: make sure that nothing of it is left. */
int rtkvm_lease_roll_back(struct rtkvm_lease *lease, struct rtkvm_change *c)
{
	char now[RTKVM_VALUE_MAX];
	int ret = rtkvm_change_read(lease->rt, c, now);

	if (ret == 0 && !rtkvm_change_equal(c, now, c->before)) {
		ret = rtkvm_change_write(lease->rt, c, c->before);
		if (ret == 0)
			ret = rtkvm_change_read(lease->rt, c, now);
	}
	if (ret != -ESRCH && (ret < 0 || !rtkvm_change_equal(c, now, c->before)))
		return -EIO; /* it stays open, for the release to try again */
	rtkvm_store_undone(&lease->store, c);
	return 0;
}

/* The kernel's errnos of a write, as the header promises them. */
static int set_errno(const struct rtkvm_change *c, int err)
{
	/* CPUs beyond those of this host */
	if (err == ERANGE || err == EOVERFLOW)
		return EINVAL;
	/* an IRQ that the kernel manages says EIO or EPERM, by its version */
	if (err == EPERM && c->kind == RTKVM_CHANGE_KNOB &&
	    c->knob == RTKVM_KNOB_IRQ_AFFINITY && geteuid() == 0)
		return EIO;
	return err;
}

/* c->before was read; c->after is set. Takes the texts. */
static int make_change(struct rtkvm_lease *lease, struct rtkvm_change *c)
{
	char now[RTKVM_VALUE_MAX], what[192], want[64], got[64];
	int ret = rtkvm_store_add(lease->rt, &lease->store, c);

	if (ret < 0)
		return ret;
	c = &lease->store.journal.changes[lease->store.journal.count - 1];
	ret = rtkvm_change_write(lease->rt, c, c->after);
	if (ret < 0) {
		rtkvm_lease_roll_back(lease, c);
		return fail_change(lease->rt, c, set_errno(c, -ret), "cannot be set");
	}
	ret = rtkvm_change_read(lease->rt, c, now);
	if (ret == 0 && rtkvm_change_equal(c, now, c->after)) {
		rtkvm_log(lease->rt, RTKVM_LOG_INFO, "lease \"%s\": %s -> %s",
			  lease->store.journal.owner.name, c->before, c->after);
		return 0;
	}
	rtkvm_change_say(c, c->after, want, sizeof(want));
	rtkvm_change_say(c, now, got, sizeof(got));
	rtkvm_lease_roll_back(lease, c);
	if (ret == -ESRCH)
		return fail_change(lease->rt, c, ESRCH, "the thread has ended");
	snprintf(what, sizeof(what), "asked for %s, the kernel shows %s", want, got);
	return fail_change(lease->rt, c, EIO, what);
}

/* Read what is there now, and make the change. after is copied. */
static int change_from(struct rtkvm_lease *lease, struct rtkvm_change *c, const char *before,
		       const char *after)
{
	int ret;

	c->before = strdup(before);
	c->after = strdup(after);
	if (!c->before || !c->after)
		ret = rtkvm_fail(lease->rt, ENOMEM, NULL, NULL, "no memory for a change");
	else
		ret = make_change(lease, c);
	rtkvm_change_clear(c); /* nothing, once the journal has the texts */
	return ret;
}

static int change(struct rtkvm_lease *lease, struct rtkvm_change *c, const char *after)
{
	char before[RTKVM_VALUE_MAX];
	int ret = rtkvm_change_read(lease->rt, c, before);

	if (ret == 0 && c->kind == RTKVM_CHANGE_KNOB)
		ret = rtkvm_knob_writable(lease->rt, c->knob, c->index);
	if (ret < 0)
		return fail_change(lease->rt, c, -ret, "cannot be leased");
	return change_from(lease, c, before, after);
}

int rtkvm_lease_set_knob(struct rtkvm_lease *lease, int knob, unsigned int index,
			 const char *value)
{
	struct rtkvm_change c = { .kind = RTKVM_CHANGE_KNOB, .knob = knob, .index = index };
	char after[RTKVM_VALUE_MAX];

	if (!lease || !value)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_lease_set_knob", NULL, "%s is NULL",
				  lease ? "value" : "lease");
	if (!rtkvm_knob_name(knob))
		return rtkvm_fail(lease->rt, EINVAL, "rtkvm_lease_set_knob", "use RTKVM_KNOB_*",
				  "unknown knob %d", knob);
	if (!rtkvm_knob_index_ok(knob, index))
		return rtkvm_fail(lease->rt, EINVAL, "rtkvm_lease_set_knob",
				  rtkvm_knob_indexed(knob) ? "give a smaller one" : "use 0",
				  "%s has no index %u", rtkvm_knob_name(knob), index);
	if (!rtkvm_knob_spell(knob, value, after))
		return rtkvm_fail(lease->rt, EINVAL, "rtkvm_lease_set_knob",
				  "see RTKVM_KNOB_* in rtkvm/lease.h", "not a value for %s: \"%s\"",
				  rtkvm_knob_name(knob), value);
	return change(lease, &c, after);
}

/* What both thread calls ask first: is it there, and which one is it. */
static int identify(struct rtkvm_lease *lease, struct rtkvm_change *c)
{
	int ret;

	rtkvm_lease_compact(lease);
	if (lease->rt->made_up)
		return rtkvm_fail(lease->rt, EOPNOTSUPP, lease->rt->root,
				  "use a context without the root option",
				  "a made-up tree has no threads");
	ret = c->tid > 0 ? rtkvm_thread_start(lease->rt, c->tid, &c->start) : -ESRCH;
	return ret < 0 ? fail_change(lease->rt, c, -ret, "cannot be leased") : 0;
}

int rtkvm_lease_set_thread_sched(struct rtkvm_lease *lease, pid_t tid, int policy, int priority)
{
	struct rtkvm_change c = { .kind = RTKVM_CHANGE_SCHED, .tid = tid };
	struct rtkvm_sched now, want = { .policy = policy, .priority = priority };
	char text[32];
	int ret;

	if (!lease)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_lease_set_thread_sched", NULL,
				  "lease is NULL");
	rtkvm_sched_print(&want, text, sizeof(text));
	if (!rtkvm_sched_parse(text, true, &want))
		return rtkvm_fail(lease->rt, EINVAL, "rtkvm_lease_set_thread_sched",
				  "give priority 1 to 99 with ff or rr, 0 with ts",
				  "policy %d does not go with priority %d", policy, priority);
	ret = identify(lease, &c);
	if (ret < 0)
		return ret;
	ret = rtkvm_sched_read(tid, &now);
	if (ret < 0)
		return fail_change(lease->rt, &c, -ret, "cannot be leased");
	/* clearing the flag would need privilege, and who set it wanted it */
	want.reset_on_fork = policy != RTKVM_POLICY_TS || now.reset_on_fork;
	rtkvm_sched_print(&want, text, sizeof(text));
	return change(lease, &c, text);
}

int rtkvm_lease_set_thread_cpus(struct rtkvm_lease *lease, pid_t tid, const char *cpus)
{
	struct rtkvm_change c = { .kind = RTKVM_CHANGE_CPUS, .tid = tid };
	char text[RTKVM_VALUE_MAX];
	struct rtkvm_cpus set;
	int ret;

	if (!lease || !cpus)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_lease_set_thread_cpus", NULL, "%s is NULL",
				  lease ? "cpus" : "lease");
	if (rtkvm_cpus_parse_list(cpus, &set, NULL) < 0 || !rtkvm_cpus_count(&set) ||
	    rtkvm_cpus_print_list(&set, text, sizeof(text)) < 0)
		return rtkvm_fail(lease->rt, EINVAL, "rtkvm_lease_set_thread_cpus",
				  "give a list such as 0,2-3", "not a CPU list: \"%s\"", cpus);
	ret = identify(lease, &c);
	return ret < 0 ? ret : change(lease, &c, text);
}

int rtkvm_lease_move_thread(struct rtkvm_lease *lease, pid_t tid, const char *before,
			    const char *cpus)
{
	struct rtkvm_change c = { .kind = RTKVM_CHANGE_CPUS, .tid = tid };
	int ret = identify(lease, &c);

	return ret < 0 ? ret : change_from(lease, &c, before, cpus);
}

/* Open, ask, and see that the host's limit is now no longer than that. */
static int open_cstate(struct rtkvm *rt, int32_t us, int *out)
{
	int fd = rtkvm_open(rt, DMA_LATENCY, O_RDWR);
	int32_t now = 0;

	if (fd < 0)
		return fd;
	if (write(fd, &us, sizeof(us)) != sizeof(us) || pread(fd, &now, sizeof(now), 0) < 0 ||
	    now > us) {
		close(fd);
		return rtkvm_fail(rt, EIO, DMA_LATENCY, NULL,
				  "asked for at most %d us, the kernel shows %d", us, now);
	}
	*out = fd;
	return 0;
}

int rtkvm_lease_hold_cstate(struct rtkvm_lease *lease, int32_t max_exit_us)
{
	struct rtkvm_change c = { .kind = RTKVM_CHANGE_HOLD };
	char text[16];
	int ret, fd = -1;

	if (!lease || max_exit_us < 0)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_lease_hold_cstate", NULL,
				  lease ? "negative latency" : "lease is NULL");
	if (lease->rt->made_up)
		return rtkvm_fail(lease->rt, EOPNOTSUPP, lease->rt->root,
				  "use a context without the root option",
				  "a made-up tree has no C-states");
	if (lease->cstate_fd >= 0)
		return rtkvm_fail(lease->rt, EBUSY, DMA_LATENCY, "use another lease",
				  "this lease holds C-states already");
	snprintf(text, sizeof(text), "%d", max_exit_us);
	c.after = strdup(text);
	if (!c.after)
		return rtkvm_fail(lease->rt, ENOMEM, NULL, NULL, "no memory for a change");
	/* journaled first like all others, so that status never misses one */
	ret = rtkvm_store_add(lease->rt, &lease->store, &c);
	rtkvm_change_clear(&c);
	if (ret < 0)
		return ret;
	ret = open_cstate(lease->rt, max_exit_us, &fd);
	if (ret < 0) {
		struct rtkvm_journal *j = &lease->store.journal;

		rtkvm_store_undone(&lease->store, &j->changes[j->count - 1]);
		return ret;
	}
	lease->cstate_fd = fd;
	return 0;
}

/* Does a dead journal wait for one of the changes of this lease to go? */
static bool waits_for(const struct rtkvm_journal *dead, const struct rtkvm_journal *own)
{
	for (size_t i = 0; i < dead->count; i++)
		for (size_t k = 0; k < own->count && !dead->changes[i].undone; k++)
			if (!own->changes[k].undone &&
			    rtkvm_change_same_target(&dead->changes[i], &own->changes[k]))
				return true;
	return false;
}

/*
 * Leases of different owners may turn the same knob and end in any order. Who
 * ends first leaves it to the later one (undo.c), and the later one then gives
 * back for both.
 */
static int undo_with_others(struct rtkvm_lease *lease, struct rtkvm_report *report)
{
	struct rtkvm_store *alone[] = { &lease->store }, **stores = NULL;
	struct rtkvm_undo u = {
		.rt = lease->rt, .stores = alone, .count = 1, .own = &lease->store,
		.report = report,
	};
	struct rtkvm_scan scan = { 0 };
	bool locked;
	int ret;

	/* without the lock or the list: as if there were no others */
	locked = rtkvm_statedir_lock(lease->rt, lease->dir_fd, true) == 0;
	if (locked && rtkvm_scan(lease->rt, lease->dir_fd, lease->store.journal.owner.boot_id,
				 lease->store.file, true, &scan) == 0) {
		u.others = &scan;
		stores = calloc(scan.count + 1, sizeof(struct rtkvm_store *));
	}
	if (stores) {
		u.stores = stores;
		stores[0] = &lease->store;
		for (size_t i = 0; i < scan.count; i++) {
			struct rtkvm_store *s = &scan.found[i].store;

			if (scan.found[i].what != RTKVM_FOUND_DEAD ||
			    !waits_for(&s->journal, &lease->store.journal))
				continue;
			rtkvm_store_mend(s);
			stores[u.count++] = s;
		}
	}
	ret = rtkvm_undo(&u);
	for (size_t i = 0; i < u.count; i++)
		if (!rtkvm_journal_open_changes(&u.stores[i]->journal))
			rtkvm_store_remove(u.stores[i]);
	rtkvm_scan_free(&scan);
	free(stores);
	rtkvm_statedir_unlock(lease->dir_fd);
	return ret;
}

int rtkvm_lease_set_target(struct rtkvm_lease *lease, pid_t pid)
{
	struct rtkvm_change c = { .kind = RTKVM_CHANGE_TARGET, .tid = pid };
	int ret;

	if (!lease || pid <= 0)
		return rtkvm_fail(lease ? lease->rt : NULL, EINVAL, "rtkvm_lease_set_target", NULL,
				  lease ? "not the number of a process" : "lease is NULL");
	if (lease->rt->made_up)
		return rtkvm_fail(lease->rt, EOPNOTSUPP, lease->rt->root, NULL,
				  "a made-up tree has no processes");
	ret = rtkvm_thread_start(lease->rt, pid, &c.start);
	if (ret < 0)
		return rtkvm_fail(lease->rt, -ret, "target", "name a process that runs",
				  "no process %d", (int)pid);
	c.before = strdup("-");
	c.after = strdup("-");
	if (c.before && c.after)
		ret = rtkvm_store_add(lease->rt, &lease->store, &c);
	else
		ret = rtkvm_fail(lease->rt, ENOMEM, NULL, NULL, "no memory for a record");
	rtkvm_change_clear(&c);
	return ret;
}

void rtkvm_lease_leave(struct rtkvm_lease *lease)
{
	if (!lease)
		return;
	if (lease->cstate_fd >= 0)
		close(lease->cstate_fd);
	/* not rtkvm_store_close(), which unlocks: copies of the descriptor stay owners */
	close(lease->store.fd);
	rtkvm_journal_clear(&lease->store.journal);
	close(lease->dir_fd);
	free(lease);
}

int rtkvm_lease_release(struct rtkvm_lease *lease, struct rtkvm_report **out)
{
	struct rtkvm_report *report = rtkvm_report_new();
	struct rtkvm *rt;
	int ret, given;

	if (!lease) {
		given = rtkvm_report_finish(report, out);
		return out ? given : 0;
	}
	rt = lease->rt;
	if (lease->cstate_fd >= 0)
		close(lease->cstate_fd);
	ret = undo_with_others(lease, report);
	rtkvm_store_close(&lease->store);
	close(lease->dir_fd);
	free(lease);
	given = rtkvm_report_finish(report, out);
	if (ret < 0)
		return rtkvm_fail(rt, -ret, rt->state_dir,
				  "see the report; then run rtkvm restore",
				  "not everything could be given back");
	return out ? given : 0;
}
