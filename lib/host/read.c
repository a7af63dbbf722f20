/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading for checks; see read.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "read.h"

/* More names than this no folder of the kernel has. */
#define NAMES_MAX 65536

int host_text(struct host_facts *facts, const char *path, char *buf, size_t size)
{
	ssize_t len = rtkvm_file_read_quiet(facts->rt, path, buf, size);

	return len < 0 ? (int)len : 0;
}

/* A regular file; anything else could block or never end. */
static int open_regular(struct host_facts *facts, const char *path)
{
	int fd = rtkvm_open_quiet(facts->rt, path, O_RDONLY);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EBADF;
	}
	return fd;
}

ssize_t host_head(struct host_facts *facts, const char *path, char *buf, size_t size)
{
	int fd = open_regular(facts, path);
	size_t len = 0;
	ssize_t n = 1;

	buf[0] = '\0';
	if (fd < 0)
		return fd;
	while (len < size - 1 && n > 0) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			len += (size_t)n;
	}
	n = n < 0 ? -errno : 0;
	close(fd);
	if (n < 0 || memchr(buf, '\0', len)) {
		buf[0] = '\0';
		return n < 0 ? n : -EILSEQ;
	}
	buf[len] = '\0';
	return (ssize_t)len;
}

int host_long_text(struct host_facts *facts, const char *path, size_t max, char **text)
{
	ssize_t len = -E2BIG;

	*text = NULL;
	for (size_t size = 4096; len == -E2BIG && size <= max; size *= 4) {
		char *more = realloc(*text, size);

		if (!more) {
			len = -ENOMEM;
			break;
		}
		*text = more;
		len = rtkvm_file_read_quiet(facts->rt, path, *text, size);
	}
	if (len < 0) {
		free(*text);
		*text = NULL;
	}
	return len < 0 ? (int)len : 0;
}

/* All of a file into a buffer that grows. 0 or -errno. */
static int slurp(int fd, size_t max, char **buf, size_t *len)
{
	size_t size = 0;
	ssize_t n = 1;

	while (n > 0) {
		if (*len + 1 >= size) {
			char *more;

			if (size > max)
				return -E2BIG;
			size = size ? size * 4 : 4096;
			more = realloc(*buf, size);
			if (!more)
				return -ENOMEM;
			*buf = more;
		}
		do
			n = read(fd, *buf + *len, size - *len - 1);
		while (n < 0 && errno == EINTR);
		if (n > 0)
			*len += (size_t)n;
	}
	(*buf)[*len] = '\0';
	return n < 0 ? -errno : 0;
}

int host_blob(struct host_facts *facts, const char *path, size_t max, char **data, size_t *len)
{
	int fd = open_regular(facts, path), ret;

	*data = NULL;
	*len = 0;
	if (fd < 0)
		return fd;
	ret = slurp(fd, max, data, len);
	close(fd);
	if (ret < 0) {
		free(*data);
		*data = NULL;
	}
	return ret;
}

int host_bytes(struct host_facts *facts, const char *path, off_t offset, void *buf, size_t size)
{
	int fd = rtkvm_open_quiet(facts->rt, path, O_RDONLY);
	struct stat st;
	ssize_t n;
	int ret = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISCHR(st.st_mode))) {
		close(fd);
		return -EBADF;
	}
	n = pread(fd, buf, size, offset);
	if (n != (ssize_t)size)
		ret = n < 0 ? -errno : -EILSEQ;
	close(fd);
	return ret;
}

int host_number(struct host_facts *facts, const char *path, int64_t *value)
{
	char text[64];
	int ret = host_text(facts, path, text, sizeof(text));

	if (ret < 0)
		return ret;
	return rtkvm_parse_i64(text, INT64_MIN, INT64_MAX, value) ? 0 : -EILSEQ;
}

int host_look(struct host_facts *facts, const char *path)
{
	int fd = rtkvm_open_quiet(facts->rt, path, O_PATH);

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	close(fd);
	return 1;
}

bool host_exists(struct host_facts *facts, const char *path)
{
	int ret = host_look(facts, path);

	return ret > 0 || ret == -EACCES || ret == -EPERM;
}

bool host_writable(struct host_facts *facts, const char *path)
{
	int fd = rtkvm_open_quiet(facts->rt, path, O_PATH);
	struct stat st;
	bool writable = false;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0)
		writable = st.st_mode & S_IWUSR;
	close(fd);
	return writable;
}

static void cpus_from(struct host_facts *facts, const char *path, struct host_cpus *cpus,
		      int (*parse)(const char *, struct rtkvm_cpus *, size_t *))
{
	char text[RTKVM_CPULIST_TEXT];

	snprintf(cpus->path, sizeof(cpus->path), "%s", path);
	rtkvm_cpus_clear(&cpus->set);
	cpus->err = host_text(facts, path, text, sizeof(text));
	if (cpus->err == 0 && strcmp(text, "(null)") && parse(text, &cpus->set, NULL) < 0) {
		rtkvm_cpus_clear(&cpus->set);
		cpus->err = -EILSEQ;
	}
}

void host_cpu_list(struct host_facts *facts, const char *path, struct host_cpus *cpus)
{
	cpus_from(facts, path, cpus, rtkvm_cpus_parse_list);
}

void host_cpu_mask(struct host_facts *facts, const char *path, struct host_cpus *cpus)
{
	cpus_from(facts, path, cpus, rtkvm_cpus_parse_mask);
}

/* The finding of a file that could not be read. */
static void lacking(struct host_facts *facts, struct host_finding *f, const char *path,
		    const char *folder, const char *absent, int err)
{
	if (err == -ENOENT && folder && host_exists(facts, folder))
		host_say(f, HOST_NA, "%s", absent);
	else
		host_unreadable(facts, f, path, err);
}

bool host_need_text(struct host_facts *facts, struct host_finding *f, const char *path,
		    const char *folder, const char *absent, char *buf, size_t size)
{
	int ret = host_text(facts, path, buf, size);

	if (ret < 0)
		lacking(facts, f, path, folder, absent, ret);
	return ret == 0;
}

bool host_need_number(struct host_facts *facts, struct host_finding *f, const char *path,
		      const char *folder, const char *absent, int64_t *value)
{
	char text[64];

	if (!host_need_text(facts, f, path, folder, absent, text, sizeof(text)))
		return false;
	if (rtkvm_parse_i64(text, INT64_MIN, INT64_MAX, value))
		return true;
	host_malformed(f, path, text, "a number");
	return false;
}

bool host_need_mask(struct host_facts *facts, struct host_finding *f, const char *path,
		    const char *folder, const char *absent, struct rtkvm_cpus *cpus)
{
	char text[RTKVM_CPULIST_TEXT];

	if (!host_need_text(facts, f, path, folder, absent, text, sizeof(text)))
		return false;
	if (text[0] && rtkvm_cpus_parse_mask(text, cpus, NULL) == 0 && !host_empty(cpus))
		return true;
	host_malformed(f, path, text, "a mask of CPUs");
	return false;
}

static int by_name(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	long m = strtol(x, NULL, 10), n = strtol(y, NULL, 10);

	return m != n ? (m > n) - (m < n) : strcmp(x, y);
}

static int collect(DIR *dir, char ***names, size_t *count)
{
	size_t room = 0;
	struct dirent *entry;

	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		if (entry->d_name[0] == '.')
			continue;
		if (*count == room) {
			char **more;

			room = room ? room * 2 : 64;
			if (room > NAMES_MAX)
				return -E2BIG;
			more = realloc(*names, room * sizeof(**names));
			if (!more)
				return -ENOMEM;
			*names = more;
		}
		(*names)[*count] = strdup(entry->d_name);
		if (!(*names)[*count])
			return -ENOMEM;
		++*count;
	}
	return -errno;
}

int host_each(struct host_facts *facts, const char *path,
	      int (*fn)(struct host_facts *facts, const char *name, void *arg), void *arg)
{
	char **names = NULL;
	size_t count = 0;
	DIR *dir;
	int ret = rtkvm_opendir_quiet(facts->rt, path, &dir);

	if (ret < 0)
		return ret;
	ret = collect(dir, &names, &count);
	closedir(dir);
	if (ret == 0 && count)
		qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++) {
		if (ret == 0)
			ret = fn(facts, names[i], arg);
		free(names[i]);
	}
	free(names);
	return ret;
}
