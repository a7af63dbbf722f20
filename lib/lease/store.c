/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A journal as a file of the state directory: made, locked, added to, removed.
 * What is in it is journal.c's; finding those of others is scan.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lease_priv.h"

uint64_t rtkvm_boottime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int fail(struct rtkvm *rt, const struct rtkvm_store *s, int err, const char *what)
{
	char where[512];

	snprintf(where, sizeof(where), "%s/leases/%s", rt->state_dir, s->file);
	return rtkvm_fail(rt, err, where, rtkvm_remedy_for(err), "cannot %s the journal: %s", what,
			  strerror(err));
}

static int write_all(const struct rtkvm_store *s, const char *text, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(s->fd, text + done, len - done, (off_t)(s->size + done));

		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			return -EIO;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* Cut off what is behind the whole records, and put the end mark there. */
static void cut(struct rtkvm_store *s)
{
	if (ftruncate(s->fd, (off_t)s->size) < 0 ||
	    (s->size && write_all(s, RTKVM_JOURNAL_END, strlen(RTKVM_JOURNAL_END)) < 0))
		s->broken = true;
}

/*
 * A record in place of the end mark, and the mark after it, in one write: all
 * of it or -errno; what was written of it is cut off again.
 */
static int append(struct rtkvm_store *s, const char *line, size_t len)
{
	char text[RTKVM_LINE_MAX + sizeof(RTKVM_JOURNAL_END)];
	int ret;

	if (s->broken)
		return -EIO;
	memcpy(text, line, len);
	memcpy(text + len, RTKVM_JOURNAL_END, sizeof(RTKVM_JOURNAL_END));
	ret = write_all(s, text, len + strlen(RTKVM_JOURNAL_END));
	if (ret < 0)
		cut(s);
	else
		s->size += len;
	return ret;
}

/* After a failed sync nobody knows what is on the disk: add no more to it. */
static int append_synced(struct rtkvm_store *s, const char *line, size_t len)
{
	int ret = append(s, line, len), err;

	if (ret < 0)
		return ret;
	if (fdatasync(s->fd) == 0)
		return 0;
	err = errno;
	s->size -= len;
	cut(s);
	s->broken = true;
	return -err;
}

/* Is the locked file still the one of that name? A restore may have removed it. */
static bool still_there(const struct rtkvm_store *s)
{
	struct stat a, b;

	return fstat(s->fd, &a) == 0 &&
	       fstatat(s->dir_fd, s->file, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int create_file(struct rtkvm_store *s)
{
	uint64_t id;
	int ret;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return -EIO;
	snprintf(s->file, sizeof(s->file), "%016llx.journal", (unsigned long long)id);
	s->fd = openat(s->dir_fd, s->file,
		       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->fd < 0)
		return -errno;
	do
		ret = flock(s->fd, LOCK_EX);
	while (ret < 0 && errno == EINTR);
	if (ret < 0 || fchmod(s->fd, 0600) < 0) {
		ret = -errno;
		unlinkat(s->dir_fd, s->file, 0);
		close(s->fd);
		s->fd = -1;
		return ret;
	}
	if (still_there(s))
		return 0;
	/* a restore saw it before it was locked, and took it for a dead one */
	close(s->fd);
	s->fd = -1;
	return -EEXIST;
}

int rtkvm_store_create(struct rtkvm *rt, int dir_fd, const struct rtkvm_journal_owner *owner,
		       struct rtkvm_store *s)
{
	char line[RTKVM_LINE_MAX];
	int ret, tries = 100;

	memset(s, 0, sizeof(*s));
	s->dir_fd = dir_fd;
	s->fd = -1;
	do
		ret = create_file(s);
	while (ret == -EEXIST && --tries);
	if (ret < 0)
		return fail(rt, s, -ret, "make");
	ret = append_synced(s, line, rtkvm_journal_format_header(owner, line));
	if (ret == 0 && fsync(dir_fd) < 0)
		ret = -errno;
	if (ret < 0) {
		fail(rt, s, -ret, "write");
		rtkvm_store_remove(s);
		rtkvm_store_close(s);
		return ret;
	}
	s->journal.owner = *owner;
	s->journal.next_seq = 1;
	return 0;
}

static int add(struct rtkvm *rt, struct rtkvm_store *s, struct rtkvm_change *c, bool sync)
{
	char line[RTKVM_LINE_MAX];
	size_t len;
	int ret;

	c->seq = s->journal.next_seq;
	len = rtkvm_journal_format_change(c, line);
	/* half of it is for the records of undoing */
	if (!len || s->size + len > RTKVM_JOURNAL_MAX / 2)
		return rtkvm_fail(rt, ENOSPC, s->file, "release this lease, or use another one",
				  "the journal is full");
	/* first the memory: a change that is journaled must not be forgotten */
	ret = rtkvm_journal_add(&s->journal, c);
	if (ret < 0)
		return rtkvm_fail(rt, -ret, s->file, NULL, "no memory for a record");
	ret = sync ? append_synced(s, line, len) : append(s, line, len);
	if (ret < 0) {
		*c = s->journal.changes[--s->journal.count];
		return fail(rt, s, -ret, "write");
	}
	s->journal.next_seq++;
	return 0;
}

int rtkvm_store_add(struct rtkvm *rt, struct rtkvm_store *s, struct rtkvm_change *c)
{
	c->time = rtkvm_boottime();
	return add(rt, s, c, true);
}

int rtkvm_store_add_more(struct rtkvm *rt, struct rtkvm_store *s, struct rtkvm_change *c)
{
	c->time = rtkvm_boottime();
	return add(rt, s, c, false);
}

int rtkvm_store_add_again(struct rtkvm *rt, struct rtkvm_store *s, struct rtkvm_change *c)
{
	return add(rt, s, c, false);
}

int rtkvm_store_sync(struct rtkvm *rt, struct rtkvm_store *s)
{
	if (fdatasync(s->fd) == 0)
		return 0;
	s->broken = true;
	return fail(rt, s, errno, "sync");
}

/*
 * Not synced, and failure is not one: without this record the next restore
 * finds the old value and is content. It makes a kill between two steps of a
 * chain of changes, or a change by somebody else, tell apart from our own.
 * Only a crash of the kernel could lose it, and with it goes the boot.
 */
void rtkvm_store_undone(struct rtkvm_store *s, struct rtkvm_change *c)
{
	char line[RTKVM_LINE_MAX];
	size_t len;

	c->undone = true;
	len = rtkvm_journal_format_undone(s->journal.next_seq, rtkvm_boottime(), c->seq, line);
	if (len && append(s, line, len) == 0)
		s->journal.next_seq++;
}

void rtkvm_store_mend(struct rtkvm_store *s)
{
	struct rtkvm_journal *j = &s->journal;

	s->size = j->valid;
	if (j->unterminated && append(s, "\n", 1) < 0)
		s->broken = true;
	else if (!j->unterminated && j->torn)
		cut(s);
	j->unterminated = false;
}

int rtkvm_store_remove(struct rtkvm_store *s)
{
	if (unlinkat(s->dir_fd, s->file, 0) < 0 && errno != ENOENT)
		return -errno;
	return fsync(s->dir_fd) < 0 ? -errno : 0;
}

void rtkvm_store_close(struct rtkvm_store *s)
{
	if (s->fd >= 0) {
		/* also for copies that a fork made: nobody owns it any more */
		flock(s->fd, LOCK_UN);
		close(s->fd);
	}
	s->fd = -1;
	rtkvm_journal_clear(&s->journal);
}
