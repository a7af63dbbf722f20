/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tracing instances (Documentation/trace/ftrace.rst, Instances): a folder that
 * the kernel fills when it is made, and whose tracer and events end when it is
 * removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "lease_priv.h"

int rtkvm_tracefs(struct rtkvm *rt, char out[RTKVM_PATH_MAX / 2])
{
	static const char *const mounts[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	int fd = -ENOENT;

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		char path[RTKVM_PATH_MAX];

		snprintf(out, RTKVM_PATH_MAX / 2, "%s", mounts[i]);
		snprintf(path, sizeof(path), "%s/instances", mounts[i]);
		fd = rtkvm_open_quiet(rt, path, O_PATH | O_DIRECTORY);
		if (fd >= 0) {
			close(fd);
			return 0;
		}
	}
	return fd;
}

/* The folder of all instances, open. */
static int instances(struct rtkvm *rt)
{
	char base[RTKVM_PATH_MAX / 2], path[RTKVM_PATH_MAX];
	int ret = rtkvm_tracefs(rt, base);

	if (ret < 0)
		return ret;
	snprintf(path, sizeof(path), "%s/instances", base);
	return rtkvm_open_quiet(rt, path, O_RDONLY | O_DIRECTORY);
}

static void name_of(unsigned int index, char name[32])
{
	snprintf(name, 32, "rtkvm-%u", index);
}

int rtkvm_trace_instance_read(struct rtkvm *rt, unsigned int index, char out[RTKVM_VALUE_MAX])
{
	int dir = instances(rt), ret = 0;
	struct stat st;
	char name[32];

	if (dir < 0)
		return dir;
	name_of(index, name);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		ret = errno == ENOENT ? 0 : -errno;
	else
		ret = S_ISDIR(st.st_mode) ? 1 : -ENOTDIR;
	close(dir);
	snprintf(out, RTKVM_VALUE_MAX, "%d", ret > 0);
	return ret < 0 ? ret : 0;
}

int rtkvm_trace_instance_write(struct rtkvm *rt, unsigned int index, const char *text)
{
	int dir = instances(rt), ret;
	char name[32];

	if (dir < 0)
		return dir;
	name_of(index, name);
	if (*text == '1')
		ret = mkdirat(dir, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
	else
		ret = unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
	close(dir);
	return ret;
}
