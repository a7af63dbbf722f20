/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All journals of the state directory: which are held by somebody, which are
 * left over, and which are no journals of ours. Nothing is changed here, and
 * nothing that is not a plain private file of this user is opened.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lease_priv.h"

/* Per call; what is left over is for the next one. */
#define FILES_MAX 4096
#define LOCKED_MAX 256
#define BYTES_MAX (64U << 20)

#define SUFFIX ".journal"

struct look {
	struct rtkvm *rt;
	struct rtkvm_scan *scan;
	const char *boot_id;
	const char *ended; /* a lease of this name does not live by its target */
	int dir_fd;
	bool take;
	size_t locked;
	size_t bytes;
};

static bool is_journal_name(const char *name)
{
	size_t len = strspn(name, "0123456789abcdef");

	return len == 16 && !strcmp(name + len, SUFFIX);
}

/* Names come from the file system: what is shown of them is text. */
static void copy_name(char *out, size_t size, const char *name)
{
	size_t i;

	for (i = 0; i < size - 1 && name[i]; i++)
		out[i] = name[i] > ' ' && name[i] < 0x7f ? name[i] : '?';
	out[i] = '\0';
}

static struct rtkvm_found *add(struct look *look, const char *name)
{
	struct rtkvm_scan *scan = look->scan;
	struct rtkvm_found *f;

	if (scan->count % 16 == 0) {
		f = realloc(scan->found, (scan->count + 16) * sizeof(*f));
		if (!f)
			return NULL;
		scan->found = f;
	}
	f = &scan->found[scan->count++];
	memset(f, 0, sizeof(*f));
	f->what = RTKVM_FOUND_REFUSED;
	f->store.dir_fd = look->dir_fd;
	f->store.fd = -1;
	copy_name(f->store.file, sizeof(f->store.file), name);
	return f;
}

static void refuse(struct rtkvm_found *f, const char *why)
{
	f->what = RTKVM_FOUND_REFUSED;
	snprintf(f->why, sizeof(f->why), "%s", why);
}

/* What is wrong with a file before it is looked into; NULL: nothing. */
static const char *suspicious(const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return "it is a symbolic link";
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_uid != geteuid())
		return "it belongs to another user";
	if (st->st_mode & 077)
		return "others may use it (its mode is not 0600)";
	if (st->st_nlink > 1)
		return "it has another hard link";
	if (st->st_size > RTKVM_JOURNAL_MAX)
		return "it is too long for a journal";
	return NULL;
}

static char *read_all(int fd, size_t size, size_t *len)
{
	char *text = malloc(size + 1);

	*len = 0;
	while (text && *len < size) {
		ssize_t n = pread(fd, text + *len, size - *len, (off_t)*len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(text);
			return NULL;
		}
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return text;
}

/* Why this context must not replay a journal that reads well; NULL: it may. */
static const char *not_ours(struct rtkvm *rt, const struct rtkvm_journal_owner *o)
{
	if (o->uid != geteuid())
		return "it says that another user wrote it";
	if (o->made_up != rt->made_up)
		return o->made_up ? "it is of a made-up tree" : "it is of the real host";
	return NULL;
}

/*
 * A lease without a descriptor, of a process that was named as its owner. One
 * of another pid namespace cannot be seen from here: nothing is taken from it
 * until the namespace has ended.
 */
static bool target_lives(struct rtkvm *rt, const struct rtkvm_journal *j)
{
	uint64_t start;

	for (size_t i = 0; i < j->count; i++) {
		const struct rtkvm_change *c = &j->changes[i];

		if (c->kind != RTKVM_CHANGE_TARGET || c->undone || rt->made_up)
			continue;
		if (j->owner.pidns != rtkvm_pidns() ?
			    !rtkvm_pidns_gone(rt, j->owner.pidns) :
			    rtkvm_thread_start(rt, c->tid, &start) == 0 && start == c->start &&
				    !rtkvm_zombie(rt, c->tid))
			return true;
	}
	return false;
}

static void judge(struct look *look, struct rtkvm_found *f, bool live, const char *text, size_t len)
{
	struct rtkvm_journal *j = &f->store.journal;
	int ret = rtkvm_journal_parse(text, len, j, f->why);
	const char *why = NULL;

	if (j->next_seq > 0)
		why = not_ours(look->rt, &j->owner);
	f->store.size = len;
	if (why)
		refuse(f, why);
	else if (j->next_seq > 0 && !live && strcmp(j->owner.boot_id, look->boot_id))
		f->what = RTKVM_FOUND_OTHER_BOOT; /* damaged or not: nothing to do for it */
	else if (ret < 0)
		f->what = RTKVM_FOUND_REFUSED;
	else if (live || (target_lives(look->rt, j) &&
			  !(look->ended && !strcmp(look->ended, j->owner.name))))
		f->what = RTKVM_FOUND_LIVE;
	else
		f->what = j->headless ? RTKVM_FOUND_HEADLESS : RTKVM_FOUND_DEAD;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* An open file; false: it went away meanwhile. */
static bool look_into(struct look *look, struct rtkvm_found *f, const char *name)
{
	struct stat st, again;
	bool live = false;
	size_t len;
	char *text;

	/* a look takes the lock for a moment only; owners wait for it */
	if (flock(f->store.fd, (look->take ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK) {
			refuse(f, strerror(errno));
			return true;
		}
		live = true;
	}
	if (fstat(f->store.fd, &st) < 0 ||
	    fstatat(look->dir_fd, name, &again, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !same_file(&st, &again) || st.st_nlink == 0)
		return false;
	if (suspicious(&st)) {
		refuse(f, suspicious(&st));
		return true;
	}
	look->bytes += (size_t)st.st_size;
	if (look->bytes > BYTES_MAX) {
		refuse(f, "too much to read at once: run it again");
		return true;
	}
	text = read_all(f->store.fd, (size_t)st.st_size, &len);
	if (text)
		judge(look, f, live, text, len);
	else
		refuse(f, "it cannot be read");
	free(text);
	/* one that is being made has nothing to say yet */
	return !(f->what == RTKVM_FOUND_LIVE && f->store.journal.headless);
}

static bool keeps_lock(const struct look *look, const struct rtkvm_found *f)
{
	return look->take && f->what != RTKVM_FOUND_LIVE && f->what != RTKVM_FOUND_REFUSED;
}

static int look_at(struct look *look, const char *name)
{
	struct rtkvm_found *f;
	struct stat st;

	if (fstatat(look->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* released just now */
	f = add(look, name);
	if (!f)
		return -ENOMEM;
	if (!is_journal_name(name)) {
		refuse(f, "its name is not that of a journal");
		return 0;
	}
	if (suspicious(&st)) {
		refuse(f, suspicious(&st));
		return 0;
	}
	if (look->locked >= LOCKED_MAX) {
		refuse(f, "too many journals at once: run it again");
		return 0;
	}
	f->store.fd = openat(look->dir_fd, name,
			     O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (f->store.fd < 0) {
		refuse(f, strerror(errno));
		return 0;
	}
	if (!look_into(look, f, name)) {
		rtkvm_store_close(&f->store);
		look->scan->count--;
		return 0;
	}
	if (keeps_lock(look, f)) {
		look->locked++;
	} else {
		close(f->store.fd);
		f->store.fd = -1;
	}
	return 0;
}

static int scan_all(struct look *look, const char *skip)
{
	struct rtkvm_scan *scan = look->scan;
	struct rtkvm *rt = look->rt;
	struct dirent *entry;
	int fd, ret = 0;
	DIR *dir;

	memset(scan, 0, sizeof(*scan));
	fd = openat(look->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		ret = rtkvm_fail(rt, errno, rt->state_dir, rtkvm_remedy_for(errno),
				 "cannot list journals: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return ret;
	}
	while (ret == 0 && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (!strcmp(name, ".") || !strcmp(name, "..") || (skip && !strcmp(name, skip)))
			continue;
		if (scan->count == FILES_MAX) {
			snprintf(scan->overflow, sizeof(scan->overflow),
				 "more than %d files: the rest was not looked at", FILES_MAX);
			break;
		}
		ret = look_at(look, name);
	}
	closedir(dir);
	if (ret == 0)
		return 0;
	rtkvm_scan_free(scan);
	return rtkvm_fail(rt, -ret, rt->state_dir, NULL, "no memory to look at the journals");
}

int rtkvm_scan(struct rtkvm *rt, int dir_fd, const char *boot_id, const char *skip, bool take,
	       struct rtkvm_scan *scan)
{
	struct look look = {
		.rt = rt, .scan = scan, .boot_id = boot_id, .dir_fd = dir_fd, .take = take,
	};

	return scan_all(&look, skip);
}

int rtkvm_scan_ended(struct rtkvm *rt, int dir_fd, const char *boot_id, const char *name,
		     struct rtkvm_scan *scan)
{
	struct look look = {
		.rt = rt, .scan = scan, .boot_id = boot_id, .dir_fd = dir_fd, .take = true,
		.ended = name,
	};

	return scan_all(&look, NULL);
}

void rtkvm_scan_claims(const struct rtkvm_scan *scan, struct rtkvm_cpus *cpus)
{
	for (size_t i = 0; i < scan->count; i++) {
		const struct rtkvm_journal *j = &scan->found[i].store.journal;
		struct rtkvm_cpus set;

		for (size_t k = 0; scan->found[i].what == RTKVM_FOUND_LIVE && k < j->count; k++) {
			if (j->changes[k].kind != RTKVM_CHANGE_CLAIM || j->changes[k].undone ||
			    rtkvm_cpus_parse_list(j->changes[k].after, &set, NULL) < 0)
				continue;
			for (unsigned int w = 0; w < RTKVM_CPULIST_WORDS; w++)
				cpus->bits[w] |= set.bits[w];
		}
	}
}

void rtkvm_scan_free(struct rtkvm_scan *scan)
{
	for (size_t i = 0; i < scan->count; i++)
		rtkvm_store_close(&scan->found[i].store);
	free(scan->found);
	memset(scan, 0, sizeof(*scan));
}
