/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking for processes; see process.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"
#include "read.h"

struct search {
	const char *name;
	int64_t pid;
	unsigned int seen;
};

static int one_process(struct host_facts *facts, const char *name, void *arg)
{
	struct search *s = arg;
	char path[64], comm[64];
	int64_t pid;

	if (!rtkvm_parse_i64(name, 1, INT32_MAX, &pid))
		return 0;
	snprintf(path, sizeof(path), "/proc/%.20s/comm", name);
	if (host_text(facts, path, comm, sizeof(comm)) < 0)
		return 0;
	s->seen++;
	if (strcmp(comm, s->name))
		return 0;
	s->pid = pid;
	return 1;
}

int host_find_process(struct host_facts *facts, const char *name, pid_t *pid)
{
	struct search s = { .name = name };
	int ret = host_each(facts, "/proc", one_process, &s);

	if (ret < 0 || !s.seen)
		return ret < 0 ? ret : -ENOENT;
	*pid = (pid_t)s.pid;
	return s.pid > 0;
}

struct holders {
	const char *device;
	char *text;
	int count;
	bool hidden;
};

/* Has the process whose fd folder this is the device open? */
static bool has_open(int folder, const char *device)
{
	DIR *dir = fdopendir(folder);
	struct dirent *entry;
	bool found = false;

	if (!dir) {
		close(folder);
		return false;
	}
	while (!found && (entry = readdir(dir))) {
		char to[64];
		ssize_t len;

		if (entry->d_name[0] == '.')
			continue;
		len = readlinkat(folder, entry->d_name, to, sizeof(to) - 1);
		if (len <= 0)
			continue;
		to[len] = '\0';
		found = !strcmp(to, device);
	}
	closedir(dir);
	return found;
}

static int one_holder(struct host_facts *facts, const char *name, void *arg)
{
	struct holders *h = arg;
	char path[64], comm[64];
	size_t len = strlen(h->text);
	int64_t pid;
	int fd;

	if (!rtkvm_parse_i64(name, 1, INT32_MAX, &pid))
		return 0;
	snprintf(path, sizeof(path), "/proc/%.20s/fd", name);
	fd = rtkvm_open_quiet(facts->rt, path, O_RDONLY | O_DIRECTORY);
	if (fd == -EACCES || fd == -EPERM)
		h->hidden = true;
	if (fd < 0 || !has_open(fd, h->device))
		return 0;
	snprintf(path, sizeof(path), "/proc/%.20s/comm", name);
	if (host_text(facts, path, comm, sizeof(comm)) < 0)
		comm[0] = '\0';
	if (h->count++ < 3)
		snprintf(h->text + len, HOST_HOLDERS - len, "%s%.16s (pid %lld)", len ? ", " : "", comm,
			 (long long)pid);
	return 0;
}

int host_holders(struct host_facts *facts, const char *device, char text[HOST_HOLDERS],
		 bool *hidden)
{
	struct holders h = { .device = device, .text = text };
	int ret;

	text[0] = '\0';
	ret = host_each(facts, "/proc", one_holder, &h);
	*hidden = h.hidden;
	return ret < 0 ? ret : h.count;
}

int host_environ(struct host_facts *facts, pid_t pid, const char *name, char *value, size_t size)
{
	size_t want = strlen(name), len;
	char path[64], *text;
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	ret = host_blob(facts, path, 1 << 20, &text, &len);
	if (ret < 0)
		return ret;
	for (const char *p = text; ret == 0 && p < text + len; p += strlen(p) + 1) {
		if (strncmp(p, name, want) || p[want] != '=')
			continue;
		/* getenv(3) takes the first */
		ret = snprintf(value, size, "%s", p + want + 1) < (int)size ? 1 : -EILSEQ;
	}
	free(text);
	return ret;
}
