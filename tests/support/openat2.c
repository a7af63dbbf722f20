/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * openat2(2) for memcheck: valgrind before 3.22 does not know the call, and
 * then no test on a made-up tree could run under it. Preloaded by "make
 * valgrind" only. Resolves below the root directory step by step; unlike the
 * kernel's it is no defence against somebody who changes the tree meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINKS_MAX 40

long syscall(long number, ...);

static long raw(long n, const long a[6])
{
	register long r10 __asm__("r10") = a[3];
	register long r8 __asm__("r8") = a[4];
	register long r9 __asm__("r9") = a[5];
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	if (ret < 0 && ret > -4096) {
		errno = (int)-ret;
		return -1;
	}
	return ret;
}

/* Put the link's target in front of what is left. */
static int prepend(char *rest, size_t size, const char *target, size_t len)
{
	size_t left = strlen(rest);

	if (len + 1 + left + 1 > size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memmove(rest + len + 1, rest, left + 1);
	memcpy(rest, target, len);
	rest[len] = '/';
	return 0;
}

static void pop(char *done)
{
	char *slash = strrchr(done, '/');

	if (slash)
		*slash = '\0';
	else
		done[0] = '\0';
}

static int open_in_root(int root, const char *path, const struct open_how *how)
{
	char done[4096] = "", rest[4096], target[4096];
	unsigned int links = 0;

	if (strlen(path) >= sizeof(rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(rest, path, strlen(path) + 1);
	while (rest[0]) {
		size_t skip = strspn(rest, "/"), len = strcspn(rest + skip, "/"), at;
		ssize_t link = -1;
		int last;

		memmove(rest, rest + skip, strlen(rest + skip) + 1);
		if (len == 0)
			break;
		last = rest[len + strspn(rest + len, "/")] == '\0';
		if (len == 2 && !strncmp(rest, "..", 2)) {
			pop(done);
		} else if (len != 1 || rest[0] != '.') {
			at = strlen(done);
			if (at + len + 2 > sizeof(done)) {
				errno = ENAMETOOLONG;
				return -1;
			}
			if (at)
				done[at++] = '/';
			memcpy(done + at, rest, len);
			done[at + len] = '\0';
			if (!last || !(how->flags & O_NOFOLLOW) ||
			    (how->resolve & RESOLVE_NO_SYMLINKS))
				link = readlinkat(root, done, target, sizeof(target) - 1);
		}
		memmove(rest, rest + len, strlen(rest + len) + 1);
		if (link < 0)
			continue;
		if (++links > LINKS_MAX || (how->resolve & RESOLVE_NO_SYMLINKS)) {
			errno = ELOOP;
			return -1;
		}
		if (target[0] == '/')
			done[0] = '\0';
		else
			pop(done);
		if (prepend(rest, sizeof(rest), target, (size_t)link) < 0)
			return -1;
	}
	return openat(root, done[0] ? done : ".", (int)how->flags, (mode_t)how->mode);
}

long syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_openat2)
		return open_in_root((int)a[0], (const char *)a[1], (const struct open_how *)a[2]);
	return raw(number, a);
}
