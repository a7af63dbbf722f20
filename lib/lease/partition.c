/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cpuset of one lease, below the root of its hierarchy: with cgroup v2 a
 * threaded one that is an isolated (or a root) partition, where v1 has the
 * controller an exclusive one without load balancing. Its name is made of the
 * number of the lease's journal, so whatever has that name is the lease's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/cpulist.h"
#include "core/file.h"
#include "lease_priv.h"

enum kind { ISOLATED, ROOT, V1 };

static const char *const kinds[] = { "isolated", "root", "v1" };

struct text {
	enum kind kind;
	char cpus[RTKVM_VALUE_MAX];
	char nodes[RTKVM_VALUE_MAX];
};

static bool parse(const char *text, struct text *t)
{
	const char *colon = strchr(text, ':'), *second = colon ? strchr(colon + 1, ':') : NULL;
	struct rtkvm_cpus set;

	if (!second || strlen(text) >= RTKVM_VALUE_MAX)
		return false;
	for (t->kind = ISOLATED; t->kind <= V1; t->kind++)
		if (strlen(kinds[t->kind]) == (size_t)(colon - text) &&
		    !memcmp(kinds[t->kind], text, (size_t)(colon - text)))
			break;
	if (t->kind > V1)
		return false;
	snprintf(t->cpus, sizeof(t->cpus), "%.*s", (int)(second - colon - 1), colon + 1);
	snprintf(t->nodes, sizeof(t->nodes), "%s", second + 1);
	return t->cpus[0] && t->nodes[0] && !rtkvm_cpus_parse_list(t->cpus, &set, NULL) &&
	       !rtkvm_cpus_parse_list(t->nodes, &set, NULL);
}

bool rtkvm_partition_ok(const char *text)
{
	struct text t;

	return parse(text, &t);
}

struct place {
	struct rtkvm *rt;
	bool v1;
	char base[RTKVM_PATH_MAX / 2];
	char name[32];
};

/* Of that kind; 0 or -errno. */
static int find(struct rtkvm *rt, uint64_t id, bool v1, struct place *p)
{
	p->rt = rt;
	p->v1 = v1;
	snprintf(p->name, sizeof(p->name), "rtkvm-%016llx", (unsigned long long)id);
	return rtkvm_cgroup_mount(rt, v1 ? 1 : 2, p->base);
}

static bool exists(const struct place *p)
{
	char path[RTKVM_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", p->base, p->name);
	fd = rtkvm_open_quiet(p->rt, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* Where it is; -ENOENT: nowhere. */
static int find_existing(struct rtkvm *rt, uint64_t id, struct place *p)
{
	for (int v1 = 0; v1 < 2; v1++)
		if (find(rt, id, v1, p) == 0 && exists(p))
			return 0;
	return -ENOENT;
}

static int put(const struct place *p, const char *file, const char *text)
{
	char path[RTKVM_PATH_MAX], line[RTKVM_VALUE_MAX + 2];

	snprintf(path, sizeof(path), "%s/%s/%s", p->base, p->name, file);
	snprintf(line, sizeof(line), "%s\n", text);
	return rtkvm_file_write_quiet(p->rt, path, line);
}

static ssize_t get(const struct place *p, const char *file, char *out, size_t size)
{
	char path[RTKVM_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/%s", p->base, p->name, file);
	return rtkvm_file_read_quiet(p->rt, path, out, size);
}

/* What the kernel says of a partition: "isolated", or "isolated invalid (why)". */
int rtkvm_partition_read(struct rtkvm *rt, uint64_t id, char out[RTKVM_VALUE_MAX])
{
	char state[256], cpus[RTKVM_VALUE_MAX / 2], nodes[RTKVM_VALUE_MAX / 4];
	struct place p;

	if (find_existing(rt, id, &p) < 0) {
		strcpy(out, "-");
		return 0;
	}
	if (get(&p, "cpuset.cpus", cpus, sizeof(cpus)) < 0 ||
	    get(&p, "cpuset.mems", nodes, sizeof(nodes)) < 0) {
		strcpy(out, "half-made");
		return 0;
	}
	if (p.v1)
		snprintf(state, sizeof(state), "%s",
			 get(&p, "cpuset.cpu_exclusive", state, sizeof(state)) > 0 &&
					 !strcmp(state, "1") ?
				 "v1" :
				 "shared");
	else if (get(&p, "cpuset.cpus.partition", state, sizeof(state)) < 0)
		strcpy(state, "half-made");
	snprintf(out, RTKVM_VALUE_MAX, "%s:%s:%s", state, cpus, nodes);
	return 0;
}

static int make_v2(const struct place *p, const struct text *t)
{
	int ret = put(p, "cgroup.type", "threaded");

	if (ret == 0)
		ret = put(p, "cpuset.cpus", t->cpus);
	if (ret == 0)
		ret = put(p, "cpuset.mems", t->nodes);
	if (ret == 0)
		ret = put(p, "cpuset.cpus.partition", kinds[t->kind]);
	return ret;
}

static int make_v1(const struct place *p, const struct text *t)
{
	int ret = put(p, "cpuset.cpus", t->cpus);

	if (ret == 0)
		ret = put(p, "cpuset.mems", t->nodes);
	if (ret == 0)
		ret = put(p, "cpuset.sched_load_balance", "0");
	if (ret == 0)
		ret = put(p, "cpuset.cpu_exclusive", "1");
	return ret;
}

/* Files of a made-up tree, as the kernel would make them with the folder. */
static void make_files(const struct place *p, int dir)
{
	static const char *const v2[] = { "cgroup.type", "cgroup.threads", "cpuset.cpus",
					  "cpuset.mems", "cpuset.cpus.partition" };
	static const char *const v1[] = { "cpuset.cpus", "cpuset.mems", "cpuset.cpu_exclusive",
					  "cpuset.sched_load_balance", "tasks" };

	for (int i = 0; i < 5; i++) {
		int fd = openat(dir, p->v1 ? v1[i] : v2[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		if (fd >= 0)
			close(fd);
	}
}

static void remove_files(int dir)
{
	static const char *const all[] = { "cgroup.type",	     "cgroup.threads",
					   "cpuset.cpus",	     "cpuset.mems",
					   "cpuset.cpus.partition",  "cpuset.cpu_exclusive",
					   "cpuset.sched_load_balance", "tasks" };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		(void)unlinkat(dir, all[i], 0);
}

static int open_at(const struct place *p, const char *name)
{
	char path[RTKVM_PATH_MAX];

	snprintf(path, sizeof(path), "%s%s%s", p->base, *name ? "/" : "", name);
	return rtkvm_open_quiet(p->rt, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

static int make(struct rtkvm *rt, uint64_t id, const struct text *t)
{
	struct place p;
	int ret = find(rt, id, t->kind == V1, &p), at, dir;

	if (ret < 0)
		return ret;
	at = open_at(&p, "");
	if (at < 0)
		return at;
	ret = mkdirat(at, p.name, 0755) < 0 && errno != EEXIST ? -errno : 0;
	close(at);
	if (ret < 0)
		return ret;
	if (rt->made_up) {
		dir = open_at(&p, p.name);
		if (dir < 0)
			return dir;
		make_files(&p, dir);
		close(dir);
	}
	return p.v1 ? make_v1(&p, t) : make_v2(&p, t);
}

/* Those in it go to the root of the hierarchy: there they came from. */
static void empty(const struct place *p)
{
	const char *file = p->v1 ? "tasks" : "cgroup.threads";
	char to[RTKVM_PATH_MAX], *save = NULL;
	size_t size = 1 << 20;
	char *text = malloc(size);

	snprintf(to, sizeof(to), "%s/%s", p->base, file);
	if (text && get(p, file, text, size) > 0)
		for (char *tid = strtok_r(text, "\n", &save); tid; tid = strtok_r(NULL, "\n", &save))
			(void)rtkvm_file_write_quiet(p->rt, to, tid);
	free(text);
}

static int unmake(struct rtkvm *rt, uint64_t id)
{
	const struct timespec wait = { .tv_nsec = 2000000 };
	struct place p;
	int ret = find_existing(rt, id, &p), at;

	if (ret < 0)
		return 0;
	if (!p.v1)
		(void)put(&p, "cpuset.cpus.partition", "member");
	at = open_at(&p, "");
	if (at < 0)
		return at;
	/* a thread that ends is in it for a moment longer */
	for (int tries = 0; tries < 100; tries++) {
		empty(&p);
		if (rt->made_up) {
			int dir = open_at(&p, p.name);

			if (dir >= 0) {
				remove_files(dir);
				close(dir);
			}
		}
		ret = unlinkat(at, p.name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
		if (ret != -EBUSY)
			break;
		nanosleep(&wait, NULL);
	}
	close(at);
	return ret;
}

int rtkvm_partition_write(struct rtkvm *rt, uint64_t id, const char *text)
{
	struct text t;

	if (!strcmp(text, "-"))
		return unmake(rt, id);
	return parse(text, &t) ? make(rt, id, &t) : -EINVAL;
}

int rtkvm_partition_enter(struct rtkvm *rt, uint64_t id, pid_t tid)
{
	struct place p;
	char text[16];
	int ret = find_existing(rt, id, &p);

	if (ret < 0)
		return ret;
	snprintf(text, sizeof(text), "%d", (int)tid);
	return put(&p, p.v1 ? "tasks" : "cgroup.threads", text);
}

int rtkvm_partition_leave(struct rtkvm *rt, uint64_t id, pid_t tid)
{
	char path[64], where[4096], to[RTKVM_PATH_MAX], text[16];
	struct place p;
	int ret = find_existing(rt, id, &p);

	if (ret < 0)
		return ret;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)tid);
	if (rtkvm_file_read_quiet(rt, path, where, sizeof(where)) < 0 || !strstr(where, p.name))
		return -ENOENT;
	snprintf(to, sizeof(to), "%s/%s", p.base, p.v1 ? "tasks" : "cgroup.threads");
	snprintf(text, sizeof(text), "%d", (int)tid);
	return rtkvm_file_write_quiet(rt, to, text);
}
