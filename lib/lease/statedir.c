/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state directory: opened one component after the other without ever
 * following a symbolic link, and used only when nobody else could have put a
 * journal there. Also what ties a journal to one boot, and the lock by which
 * those who look at all journals take turns.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/file.h"
#include "lease_priv.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

#define LOCK_WAIT_MS 10000
#define LOCK_POLL_MS 5

static int fail(struct rtkvm *rt, int err, const char *remedy, const char *what)
{
	if (!remedy)
		remedy = rtkvm_remedy_for(err);
	return rtkvm_fail(rt, err, rt->state_dir,
			  remedy ? remedy : "give another one with the state_dir option",
			  "state directory: %s", what);
}

/* A directory that was just made must outlive a crash like what is in it. */
static void sync_dir(int path_fd)
{
	int fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

static int open_nofollow(int at, const char *name)
{
	struct stat st;
	int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = errno;
	else if (S_ISLNK(st.st_mode))
		err = ELOOP;
	else if (!S_ISDIR(st.st_mode))
		err = ENOTDIR;
	if (!err)
		return fd;
	close(fd);
	return -err;
}

/* Go one down; at is closed in any case. */
static int step(int at, const char *name, bool create)
{
	int fd = open_nofollow(at, name);

	if (fd == -ENOENT && create) {
		if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
			fd = -errno;
		else
			fd = open_nofollow(at, name);
		sync_dir(at);
	}
	close(at);
	return fd;
}

/* Descriptor to start from, and the rest of the path. */
static int start(struct rtkvm *rt, const char **rest)
{
	size_t len = strlen(rt->root);

	*rest = rt->state_dir;
	if (rt->made_up && !strncmp(*rest, rt->root, len) && (*rest)[len] == '/') {
		*rest += len;
		return openat(rt->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int walk(struct rtkvm *rt, bool create)
{
	const char *path;
	char name[256];
	int fd = start(rt, &path);

	if (fd < 0)
		return -errno;
	while (path += strspn(path, "/"), *path) {
		size_t len = strcspn(path, "/");

		if (len >= sizeof(name) || (len == 2 && !memcmp(path, "..", 2))) {
			close(fd);
			return len == 2 ? -EINVAL : -ENAMETOOLONG;
		}
		memcpy(name, path, len);
		name[len] = '\0';
		path += len;
		fd = step(fd, name, create);
		if (fd < 0)
			return fd;
	}
	return fd;
}

/* Whoever else can write there could make this process write where it wants. */
static int check_private(struct rtkvm *rt, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(rt, errno, NULL, strerror(errno));
	if (st.st_uid != geteuid())
		return fail(rt, EPERM, "give one of your own as state directory",
			    "it belongs to another user");
	if (st.st_mode & 022)
		return fail(rt, EPERM, "look what others put there, then chmod 0700",
			    "others may write to it");
	return 0;
}

static int open_checked(struct rtkvm *rt, int path_fd, bool create)
{
	int ret = check_private(rt, path_fd), fd;

	if (ret < 0) {
		close(path_fd);
		return ret;
	}
	path_fd = step(path_fd, "leases", create);
	if (path_fd < 0)
		return path_fd == -ENOENT && !create ? -ENOENT :
						       fail(rt, -path_fd, NULL, strerror(-path_fd));
	ret = check_private(rt, path_fd);
	if (ret < 0) {
		close(path_fd);
		return ret;
	}
	fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		ret = fail(rt, errno, NULL, strerror(errno));
	close(path_fd);
	return fd < 0 ? ret : fd;
}

int rtkvm_statedir_open(struct rtkvm *rt, bool create)
{
	int fd;

	if (!rt->state_dir[0])
		return rtkvm_fail(rt, EINVAL, "HOME", "set HOME, or the state_dir option",
				  "no state directory is known");
	fd = walk(rt, create);
	if (fd == -ENOENT && !create)
		return fd;
	if (fd == -ELOOP)
		return fail(rt, ELOOP, "give its real path",
			    "it, or a directory above it, is a symbolic link");
	if (fd < 0)
		return fail(rt, -fd, NULL, strerror(-fd));
	return open_checked(rt, fd, create);
}

int rtkvm_statedir_lock(struct rtkvm *rt, int dir_fd, bool exclusive)
{
	const struct timespec poll = { .tv_nsec = LOCK_POLL_MS * 1000000L };

	for (int ms = 0; ms < LOCK_WAIT_MS; ms += LOCK_POLL_MS) {
		if (flock(dir_fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return fail(rt, errno, NULL, strerror(errno));
		nanosleep(&poll, NULL);
	}
	return fail(rt, EBUSY, "wait for the other rtkvm command, or end it",
		    "another restore has been running for 10 s");
}

/* Not left to close(2): a fork may have made a copy of the descriptor. */
void rtkvm_statedir_unlock(int dir_fd)
{
	flock(dir_fd, LOCK_UN);
}

int rtkvm_boot_id(struct rtkvm *rt, char out[37])
{
	char text[64];
	ssize_t len = rtkvm_file_read(rt, BOOT_ID, text, sizeof(text));

	if (len < 0)
		return (int)len;
	if (!rtkvm_boot_id_ok(text))
		return rtkvm_fail(rt, EILSEQ, BOOT_ID, NULL, "\"%s\" is not a boot id", text);
	memcpy(out, text, 37);
	return 0;
}
