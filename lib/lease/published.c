/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which CPUs root's leases have, where everybody can read it: one file per
 * lease, /run/rtkvm/leased/<number of its journal>, with a CPU list. Ordinary
 * users cannot look into root's state directory, and must not get its CPUs.
 * A file of an owner that died stays until root's next call reclaims it:
 * until then its CPUs are not as they were.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "lease_priv.h"

#define RUN "/run"
#define DIR_NAME RUN "/rtkvm/leased"

static void file_name(uint64_t id, char out[RTKVM_PATH_MAX])
{
	snprintf(out, RTKVM_PATH_MAX, DIR_NAME "/%016llx", (unsigned long long)id);
}

int rtkvm_claim_read(struct rtkvm *rt, uint64_t id, char out[RTKVM_VALUE_MAX])
{
	char path[RTKVM_PATH_MAX];
	struct rtkvm_cpus cpus;
	ssize_t len;

	file_name(id, path);
	len = rtkvm_file_read_quiet(rt, path, out, RTKVM_VALUE_MAX);
	if (len == -ENOENT) {
		strcpy(out, "-");
		return 0;
	}
	if (len < 0)
		return (int)len;
	/* empty: killed between making and writing it */
	if (!len)
		strcpy(out, "-");
	return !len || !rtkvm_cpus_parse_list(out, &cpus, NULL) ? 0 : -EILSEQ;
}

static int make_dir(struct rtkvm *rt, const char *parent, const char *name)
{
	int at = rtkvm_open_quiet(rt, parent, O_RDONLY | O_DIRECTORY), ret = 0;

	if (at < 0)
		return at;
	if (mkdirat(at, name, 0755) == 0)
		(void)fchmodat(at, name, 0755, 0);
	else if (errno != EEXIST)
		ret = -errno;
	close(at);
	return ret;
}

/* The directory, opened; made when it is missing. */
static int open_dir(struct rtkvm *rt, bool create)
{
	int fd = rtkvm_open_quiet(rt, DIR_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), ret;

	if (fd != -ENOENT || !create)
		return fd;
	ret = rt->made_up ? make_dir(rt, "/", "run") : 0;
	if (ret == 0)
		ret = make_dir(rt, RUN, "rtkvm");
	if (ret == 0)
		ret = make_dir(rt, RUN "/rtkvm", "leased");
	return ret < 0 ? ret : rtkvm_open_quiet(rt, DIR_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

int rtkvm_claim_write(struct rtkvm *rt, uint64_t id, const char *text)
{
	bool remove = !strcmp(text, "-");
	int dir = open_dir(rt, !remove), fd, ret = 0;
	size_t len = strlen(text);
	char name[32];

	if (dir < 0)
		return dir == -ENOENT && remove ? 0 : dir;
	snprintf(name, sizeof(name), "%016llx", (unsigned long long)id);
	if (remove) {
		if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
			ret = -errno;
		close(dir);
		return ret;
	}
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0 || write(fd, text, len) != (ssize_t)len ||
	    ftruncate(fd, (off_t)len) < 0)
		ret = errno ? -errno : -EIO;
	if (fd >= 0)
		close(fd);
	close(dir);
	return ret;
}

int rtkvm_claims_published(struct rtkvm *rt, struct rtkvm_cpus *cpus)
{
	int fd = open_dir(rt, false);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return fd == -ENOENT ? 0 : fd < 0 ? fd : -ENOMEM;
	}
	while ((e = readdir(dir))) {
		char text[RTKVM_VALUE_MAX], *end;
		struct rtkvm_cpus more;
		uint64_t id = strtoull(e->d_name, &end, 16);

		if (strlen(e->d_name) != 16 || *end || rtkvm_claim_read(rt, id, text) < 0 ||
		    *text == '-' || rtkvm_cpus_parse_list(text, &more, NULL) < 0)
			continue;
		for (int cpu = -1; (cpu = rtkvm_cpus_next(&more, (unsigned int)cpu + 1)) >= 0;)
			rtkvm_cpus_add(cpus, (unsigned int)cpu);
	}
	closedir(dir);
	return 0;
}
