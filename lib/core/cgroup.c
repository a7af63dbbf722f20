/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a process's cgroups are mounted; see cgroup.h.
 */
#include <stdio.h>
#include <string.h>

#include "cgroup.h"
#include "file.h"

/* Is "cpu" one of the words of a list "cpu,cpuacct"? */
static bool names_cpu(const char *list, size_t len)
{
	while (len) {
		const char *comma = memchr(list, ',', len);
		size_t word = comma ? (size_t)(comma - list) : len;

		if (word == 3 && !memcmp(list, "cpu", 3))
			return true;
		word += comma ? 1 : 0;
		list += word;
		len -= word;
	}
	return false;
}

/* Path of the process in the hierarchy with the cpu controller. */
static bool cgroup_path(const char *text, char *path, size_t size)
{
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		const char *list = memchr(line, ':', len);
		const char *at = list ? memchr(list + 1, ':', len - (size_t)(list + 1 - line)) : NULL;

		if (at && names_cpu(list + 1, (size_t)(at - list - 1))) {
			len -= (size_t)(at + 1 - line);
			if (len >= size)
				return false;
			memcpy(path, at + 1, len);
			path[len] = '\0';
			return true;
		}
		line += len + (line[len] == '\n');
	}
	return false;
}

/* Copy a field of mountinfo, where blanks are written in octal: \040. */
static bool copy_field(const char *from, char *to, size_t size)
{
	size_t n = 0;

	while (*from && *from != ' ' && *from != '\n') {
		if (n + 1 >= size)
			return false;
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
		    from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			to[n++] = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
					 (from[3] - '0'));
			from += 4;
		} else {
			to[n++] = *from++;
		}
	}
	to[n] = '\0';
	return n > 0;
}

/* The n-th field, counted from 0, of a line; NULL if it has fewer. */
static const char *field(const char *line, unsigned int n)
{
	while (n--) {
		line += strcspn(line, " \n");
		if (*line != ' ')
			return NULL;
		line++;
	}
	return line;
}

/* "ID PARENT DEV ROOT MOUNTPOINT OPTIONS [OPTIONAL]... - TYPE SOURCE OPTIONS" */
static bool is_cpu_mount(const char *line)
{
	size_t len = strcspn(line, "\n");
	const char *dash = memmem(line, len, " - ", 3), *options;

	if (!dash || strncmp(dash + 3, "cgroup ", 7))
		return false;
	options = field(dash + 3, 2);
	return options && names_cpu(options, strcspn(options, "\n"));
}

bool rtkvm_cgroup_rt_file(const char *cgroup, const char *mountinfo, char *path, size_t size)
{
	char own[RTKVM_PATH_MAX], root[RTKVM_PATH_MAX], mount[RTKVM_PATH_MAX];
	const char *tail = own;
	size_t len;

	if (!cgroup_path(cgroup, own, sizeof(own)))
		return false;
	for (const char *line = mountinfo; *line;) {
		const char *f = is_cpu_mount(line) ? field(line, 3) : NULL;

		if (f && copy_field(f, root, sizeof(root)) && root[0] == '/' &&
		    copy_field(field(f, 1) ? field(f, 1) : "", mount, sizeof(mount)) &&
		    mount[0] == '/')
			goto found;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return false;
found:
	len = strcmp(root, "/") ? strlen(root) : 0;
	if (!strncmp(own, root, len) && (own[len] == '/' || !own[len]))
		tail = own + len;
	if (strstr(tail, "/.."))
		tail = ""; /* outside of what this cgroup namespace shows */
	if (!strcmp(tail, "/"))
		tail = "";
	return snprintf(path, size, "%s%s/cpu.rt_runtime_us", mount, tail) < (int)size &&
	       !strstr(path, "/../");
}
