/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Things that the kernel does not keep at a fixed path: interfaces by their
 * number, and where cgroups are mounted. Found anew each time, so that a
 * journal needs no path.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "lease_priv.h"

static bool name_ok(const char *name)
{
	return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) < RTKVM_IFNAME_MAX;
}

/* A made-up tree has its own interfaces. */
static int find_made_up(struct rtkvm *rt, unsigned int ifindex, char out[RTKVM_IFNAME_MAX])
{
	int fd = rtkvm_open_quiet(rt, "/sys/class/net", O_RDONLY | O_DIRECTORY), ret = -ENODEV;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir)
		return fd < 0 ? fd : -ENOMEM;
	while (ret < 0 && (e = readdir(dir))) {
		char path[RTKVM_PATH_MAX], text[32];
		int64_t v;

		if (!name_ok(e->d_name))
			continue;
		snprintf(path, sizeof(path), "/sys/class/net/%s/ifindex", e->d_name);
		if (rtkvm_file_read_quiet(rt, path, text, sizeof(text)) < 0 ||
		    !rtkvm_parse_i64(text, 1, INT32_MAX, &v) || v != (int64_t)ifindex)
			continue;
		snprintf(out, RTKVM_IFNAME_MAX, "%.63s", e->d_name);
		ret = 0;
	}
	closedir(dir);
	return ret;
}

int rtkvm_ifname(struct rtkvm *rt, unsigned int ifindex, char out[RTKVM_IFNAME_MAX])
{
	char name[IF_NAMESIZE];

	if (rt->made_up)
		return find_made_up(rt, ifindex, out);
	if (!if_indextoname(ifindex, name) || !name_ok(name))
		return -ENODEV; /* it is gone, and its queues with it */
	snprintf(out, RTKVM_IFNAME_MAX, "%s", name);
	return 0;
}

/*
 * One line of mountinfo (proc_pid_mountinfo(5)): the fifth word is the mount
 * point; after " - " come the type, the source and the options.
 */
static bool is_mount(char *line, int version, char out[RTKVM_PATH_MAX / 2])
{
	char *tail = strstr(line, " - "), *p = line, *end;
	char options[1024], type[16];

	if (!tail || sscanf(tail + 3, "%15s %*s %1023s", type, options) != 2)
		return false;
	if (version == 2 ? strcmp(type, "cgroup2") != 0 :
			   strcmp(type, "cgroup") != 0)
		return false;
	if (version == 1) {
		char padded[1030];

		snprintf(padded, sizeof(padded), ",%s,", options);
		if (!strstr(padded, ",cpuset,"))
			return false;
	}
	for (int i = 0; i < 3; i++) {
		p = strchr(p, ' ');
		if (!p)
			return false;
		p++;
	}
	/* the root of the hierarchy: part of one (a container's) cannot be partitioned */
	if (strncmp(p, "/ ", 2))
		return false;
	p += 2;
	end = strchr(p, ' ');
	if (!end || end - p >= RTKVM_PATH_MAX / 2 || memchr(p, '\\', (size_t)(end - p)))
		return false;
	snprintf(out, RTKVM_PATH_MAX / 2, "%.*s", (int)(end - p), p);
	return true;
}

int rtkvm_cgroup_mount(struct rtkvm *rt, int version, char out[RTKVM_PATH_MAX / 2])
{
	size_t size = 256 * 1024;
	char *text = malloc(size), *save = NULL;
	int ret = -ENOENT;

	out[0] = '\0';
	if (!text)
		return -ENOMEM;
	if (rtkvm_file_read_quiet(rt, "/proc/self/mountinfo", text, size) >= 0)
		for (char *line = strtok_r(text, "\n", &save); line && ret < 0;
		     line = strtok_r(NULL, "\n", &save))
			if (is_mount(line, version, out))
				ret = 0;
	free(text);
	return ret;
}
