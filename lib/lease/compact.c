/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lease of threads that come and go (AIO workers, for weeks) would fill its
 * journal with threads that ended. So it is written anew, as another file, from
 * what is still to be undone, and takes the old one's name: at any moment one of
 * the two, or both, say all that has to be undone. To undo the same twice does
 * no harm: the second time it is as before already.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lease_priv.h"

/* Smaller ones are left; larger ones when they are twice what they were. */
#define COMPACT_MIN (64U << 10)

static bool needed(struct rtkvm *rt, const struct rtkvm_change *c)
{
	uint64_t start;
	int ret;

	if (c->undone)
		return false;
	if (c->kind != RTKVM_CHANGE_SCHED && c->kind != RTKVM_CHANGE_CPUS)
		return true;
	ret = rtkvm_thread_start(rt, c->tid, &start);
	/* what cannot be known is kept */
	return ret < 0 ? ret != -ESRCH : start == c->start;
}

static int copy_change(struct rtkvm *rt, struct rtkvm_store *to, const struct rtkvm_change *from)
{
	struct rtkvm_change c = *from;
	int ret = -ENOMEM;

	c.before = from->before ? strdup(from->before) : NULL;
	c.after = from->after ? strdup(from->after) : NULL;
	if ((c.before || !from->before) && (c.after || !from->after))
		ret = rtkvm_store_add_again(rt, to, &c);
	rtkvm_change_clear(&c); /* nothing, once the journal has the texts */
	return ret;
}

static int write_anew(struct rtkvm_lease *lease, struct rtkvm_store *to)
{
	const struct rtkvm_journal *j = &lease->store.journal;
	int ret = 0;

	for (size_t i = 0; i < j->count && ret == 0; i++)
		if (needed(lease->rt, &j->changes[i]))
			ret = copy_change(lease->rt, to, &j->changes[i]);
	if (ret == 0)
		ret = rtkvm_store_sync(lease->rt, to);
	if (ret == 0 && renameat(lease->dir_fd, to->file, lease->dir_fd, lease->store.file) < 0)
		ret = -errno;
	if (ret == 0)
		(void)fsync(lease->dir_fd);
	return ret;
}

static bool claims(const struct rtkvm_journal *j)
{
	for (size_t i = 0; i < j->count; i++)
		if (j->changes[i].kind == RTKVM_CHANGE_CLAIM)
			return true;
	return false;
}

void rtkvm_lease_compact(struct rtkvm_lease *lease)
{
	struct rtkvm_store to, old = lease->store;
	struct rtkvm_error saved;
	size_t size = old.size;
	int ret;

	/* of copies of the descriptor the new file would know nothing; CPU leases are short */
	if (old.size < COMPACT_MIN || old.size < 2 * lease->compacted || lease->shared ||
	    old.broken || claims(&old.journal))
		return;
	rtkvm_error_save(&saved);
	/* who looks for owners meanwhile must not miss this one */
	ret = rtkvm_statedir_lock(lease->rt, lease->dir_fd, true);
	if (ret == 0) {
		ret = rtkvm_store_create(lease->rt, lease->dir_fd, &old.journal.owner, &to);
		if (ret == 0) {
			ret = write_anew(lease, &to);
			if (ret < 0) {
				rtkvm_store_remove(&to);
				rtkvm_store_close(&to);
			}
		}
		rtkvm_statedir_unlock(lease->dir_fd);
	}
	lease->compacted = old.size;
	if (ret == 0) {
		memcpy(to.file, old.file, sizeof(to.file));
		lease->store = to;
		lease->compacted = to.size;
		rtkvm_store_close(&old);
	}
	rtkvm_log(lease->rt, RTKVM_LOG_DEBUG, "lease \"%s\": journal of %zu bytes %s",
		  lease->store.journal.owner.name, size, ret == 0 ? "written anew" : "left as it is");
	rtkvm_error_restore(&saved);
}
