/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A resctrl group of one lease, "rtkvm-ID": its CPUs, and their share of caches
 * and memory bandwidth. Its text is CPUS:SCHEMATA, the lines of the schemata
 * joined by '|'; "-": there is none. The kernel gives the CPUs of a group that is
 * removed to the default group, so they must come from there.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cpulist.h"
#include "core/file.h"
#include "lease_priv.h"

#define BASE "/sys/fs/resctrl"

static const char *const files[] = { "cpus_list", "schemata" };

static _Thread_local char why[128];

const char *rtkvm_resctrl_why(void)
{
	return why;
}

static bool split(const char *text, char cpus[RTKVM_VALUE_MAX], const char **schemata)
{
	const char *colon = strchr(text, ':');
	struct rtkvm_cpus set;

	if (!colon || strlen(text) >= RTKVM_VALUE_MAX)
		return false;
	snprintf(cpus, RTKVM_VALUE_MAX, "%.*s", (int)(colon - text), text);
	*schemata = colon + 1;
	return cpus[0] && !rtkvm_cpus_parse_list(cpus, &set, NULL);
}

bool rtkvm_resctrl_ok(const char *text)
{
	char cpus[RTKVM_VALUE_MAX];
	const char *schemata;

	if (!split(text, cpus, &schemata) || !*schemata)
		return false;
	for (const char *p = schemata; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr(":=;,_|", *p))
			return false;
	return true;
}

static void path_of(uint64_t id, const char *file, char out[RTKVM_PATH_MAX])
{
	snprintf(out, RTKVM_PATH_MAX, BASE "/rtkvm-%016llx%s%s", (unsigned long long)id,
		 *file ? "/" : "", file);
}

/* RESOURCE:DOMAIN=VALUE of a schemata file with this value? Masks are hexadecimal. */
static bool has_value(const char *shown, const char *resource, size_t len, unsigned long domain,
		      const char *value)
{
	int base = !strncmp(resource, "MB", 2) ? 10 : 16;

	for (const char *line = shown; line; line = strchr(line, '\n')) {
		line += strspn(line, " \n");
		if (strncmp(line, resource, len) != 0 || line[len] != ':')
			continue;
		for (const char *p = line + len + 1; p;) {
			char *end;

			if (strtoul(p, &end, 10) == domain && *end == '=')
				return strtoul(end + 1, NULL, base) == strtoul(value, NULL, base);
			p = strpbrk(p, ";\n");
			p = p && *p == ';' ? p + 1 : NULL;
		}
		return false;
	}
	return false;
}

/* Does the kernel show all that was asked for? */
static bool same_schemata(const char *wanted, const char *shown)
{
	for (const char *line = wanted; *line;) {
		size_t all = strcspn(line, "|"), len = strcspn(line, ":");

		for (const char *p = line + len; p < line + all && (*p == ':' || *p == ';');) {
			char *end;
			unsigned long domain = strtoul(p + 1, &end, 10);

			if (*end != '=' || !has_value(shown, line, len, domain, end + 1))
				return false;
			p = end + strcspn(end, ";|");
		}
		line += all + (line[all] == '|');
	}
	return true;
}

int rtkvm_resctrl_read(struct rtkvm *rt, const struct rtkvm_change *c, char out[RTKVM_VALUE_MAX])
{
	char path[RTKVM_PATH_MAX], cpus[RTKVM_VALUE_MAX], list[RTKVM_VALUE_MAX / 2], shown[4096];
	struct rtkvm_cpus want, is;
	const char *schemata;
	ssize_t len;
	int dir;

	path_of(c->start, "", path);
	dir = rtkvm_open_quiet(rt, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (dir < 0) {
		strcpy(out, "-");
		return dir == -ENOENT ? 0 : dir;
	}
	close(dir);
	path_of(c->start, "cpus_list", path);
	len = rtkvm_file_read_quiet(rt, path, list, sizeof(list));
	path_of(c->start, "schemata", path);
	if (len < 0 || rtkvm_file_read_quiet(rt, path, shown, sizeof(shown)) < 0 ||
	    !split(c->after, cpus, &schemata)) {
		strcpy(out, "half-made");
		return 0;
	}
	if (!rtkvm_cpus_parse_list(cpus, &want, NULL) && !rtkvm_cpus_parse_list(list, &is, NULL) &&
	    rtkvm_cpus_equal(&want, &is) && same_schemata(schemata, shown)) {
		snprintf(out, RTKVM_VALUE_MAX, "%s", c->after);
		return 0;
	}
	for (char *p = shown; *p; p++)
		if (*p == '\n' || *p == ' ')
			*p = '|';
	snprintf(out, RTKVM_VALUE_MAX, "%.1000s:%.2000s", *list ? list : "none", shown);
	return 0;
}

/* The kernel says there what it did not like. */
static void ask_why(struct rtkvm *rt)
{
	if (rtkvm_file_read_quiet(rt, BASE "/info/last_cmd_status", why, sizeof(why)) <= 0)
		why[0] = '\0';
}

static int put(struct rtkvm *rt, uint64_t id, const char *file, const char *text)
{
	char path[RTKVM_PATH_MAX], line[RTKVM_VALUE_MAX + 2];

	path_of(id, file, path);
	snprintf(line, sizeof(line), "%s\n", text);
	for (char *p = line; *p; p++)
		if (*p == '|')
			*p = '\n';
	return rtkvm_file_write_quiet(rt, path, line);
}

/* A made-up tree has no kernel that makes the files of a folder. */
static void made_up_files(int at, const char *name, bool make)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "%s/%s", name, files[i]);
		if (!make) {
			(void)unlinkat(at, path, 0);
			continue;
		}
		fd = openat(at, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd >= 0)
			close(fd);
	}
}

static int make(struct rtkvm *rt, uint64_t id, const char *name, int at, const char *text)
{
	char cpus[RTKVM_VALUE_MAX];
	const char *schemata;
	int ret;

	if (!split(text, cpus, &schemata))
		return -EINVAL;
	ret = mkdirat(at, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
	if (ret == 0 && rt->made_up)
		made_up_files(at, name, true);
	if (ret == 0)
		ret = put(rt, id, "schemata", schemata);
	if (ret == 0)
		ret = put(rt, id, "cpus_list", cpus);
	if (ret < 0)
		ask_why(rt);
	return ret;
}

int rtkvm_resctrl_write(struct rtkvm *rt, uint64_t id, const char *text)
{
	int at = rtkvm_open_quiet(rt, BASE, O_RDONLY | O_DIRECTORY), ret = 0;
	char name[32];

	if (at < 0)
		return strcmp(text, "-") != 0 ? at : 0;
	snprintf(name, sizeof(name), "rtkvm-%016llx", (unsigned long long)id);
	if (strcmp(text, "-") != 0) {
		why[0] = '\0';
		ret = make(rt, id, name, at, text);
	} else {
		if (rt->made_up)
			made_up_files(at, name, false);
		ret = unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
	}
	close(at);
	return ret;
}
