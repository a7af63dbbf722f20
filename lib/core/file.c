/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Access to small text files below the context's root; see file.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file.h"

int rtkvm_path(struct rtkvm *rt, char out[RTKVM_PATH_MAX], const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(out, RTKVM_PATH_MAX, fmt, ap);
	va_end(ap);
	if (len < 0 || len >= RTKVM_PATH_MAX)
		return rtkvm_fail(rt, ENAMETOOLONG, NULL, NULL, "path of %d bytes", len);
	return 0;
}

int rtkvm_open_quiet(struct rtkvm *rt, const char *path, int flags)
{
	int fd;

	/* openat2(2) refuses the last two with O_PATH, which opens nothing */
	flags |= flags & O_PATH ? O_CLOEXEC : O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	if (rt->made_up) {
		struct open_how how = {
			.flags = (unsigned int)flags,
			.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
		};

		fd = (int)syscall(SYS_openat2, rt->root_fd, path, &how, sizeof(how));
	} else {
		fd = open(path, flags);
	}
	return fd < 0 ? -errno : fd;
}

static int fail_access(struct rtkvm *rt, int err, const char *path, const char *verb)
{
	return rtkvm_fail(rt, err, path, rtkvm_remedy_for(err), "cannot %s: %s", verb,
			  strerror(err));
}

int rtkvm_open(struct rtkvm *rt, const char *path, int flags)
{
	int fd = rtkvm_open_quiet(rt, path, flags);

	return fd < 0 ? fail_access(rt, -fd, path, "open") : fd;
}

static ssize_t read_all(int fd, char *buf, size_t size)
{
	struct stat st;
	size_t len = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EBADF;
	for (;;) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len == size)
			return -E2BIG;
	}
	if (memchr(buf, '\0', len))
		return -EILSEQ;
	while (len && strchr(" \t\r\n", buf[len - 1]))
		len--;
	buf[len] = '\0';
	return (ssize_t)len;
}

ssize_t rtkvm_file_read_quiet(struct rtkvm *rt, const char *path, char *buf, size_t size)
{
	int fd = rtkvm_open_quiet(rt, path, O_RDONLY);
	ssize_t len;

	buf[0] = '\0';
	if (fd < 0)
		return fd;
	len = read_all(fd, buf, size);
	if (len < 0)
		buf[0] = '\0';
	close(fd);
	return len;
}

int rtkvm_opendir_quiet(struct rtkvm *rt, const char *path, DIR **dir)
{
	int fd = rtkvm_open_quiet(rt, path, O_RDONLY | O_DIRECTORY);

	*dir = fd < 0 ? NULL : fdopendir(fd);
	if (!*dir && fd >= 0) {
		close(fd);
		return -ENOMEM;
	}
	return fd < 0 ? fd : 0;
}

ssize_t rtkvm_file_read(struct rtkvm *rt, const char *path, char *buf, size_t size)
{
	ssize_t len = rtkvm_file_read_quiet(rt, path, buf, size);

	return len < 0 ? fail_access(rt, (int)-len, path, "read") : len;
}

bool rtkvm_parse_i64(const char *text, int64_t min, int64_t max, int64_t *value)
{
	char *end;
	long long v;

	/* strtoll() would skip white space and take a '+' */
	if (!(text[0] >= '0' && text[0] <= '9') &&
	    !(text[0] == '-' && text[1] >= '0' && text[1] <= '9'))
		return false;
	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || *end || v < min || v > max)
		return false;
	*value = v;
	return true;
}

int rtkvm_file_read_i64(struct rtkvm *rt, const char *path, int64_t *value)
{
	char buf[64];
	ssize_t len = rtkvm_file_read(rt, path, buf, sizeof(buf));

	if (len < 0)
		return (int)len;
	if (!rtkvm_parse_i64(buf, INT64_MIN, INT64_MAX, value))
		return rtkvm_fail(rt, EILSEQ, path, NULL, "\"%s\" is not a number", buf);
	return 0;
}

/*
 * A regular file (made-up trees) must never be seen empty or mixed, not even
 * by who comes after a kill: the new text goes over the old one in one
 * write(2), padded with line feeds, which readers cut off; then the file is
 * cut. Kernel files have no length: there it is a plain write.
 */
static int write_text(int fd, bool made_up, const char *text, size_t len)
{
	size_t padded = len;
	const char *from = text;
	char *copy = NULL;
	struct stat st;
	ssize_t n;
	int ret = 0;

	if (made_up && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > (off_t)len) {
		padded = (size_t)st.st_size;
		copy = malloc(padded);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, text, len);
		memset(copy + len, '\n', padded - len);
		from = copy;
	}
	do
		n = write(fd, from, padded);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		ret = -errno;
	else if ((size_t)n != padded)
		ret = -EIO;
	else if (padded > len && ftruncate(fd, (off_t)len) < 0)
		ret = -errno;
	free(copy);
	return ret;
}

int rtkvm_file_write_quiet(struct rtkvm *rt, const char *path, const char *text)
{
	int fd = rtkvm_open_quiet(rt, path, O_WRONLY);
	int ret;

	if (fd < 0)
		return fd;
	ret = write_text(fd, rt->made_up, text, strlen(text));
	if (close(fd) < 0 && ret == 0)
		ret = -errno;
	return ret;
}

int rtkvm_file_write(struct rtkvm *rt, const char *path, const char *text)
{
	int err = -rtkvm_file_write_quiet(rt, path, text);

	if (!err)
		return 0;
	return rtkvm_fail(rt, err, path, rtkvm_remedy_for(err), "cannot write \"%.*s\": %s",
			  (int)strcspn(text, "\n"), text, strerror(err));
}
