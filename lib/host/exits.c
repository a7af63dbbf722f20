/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Exits of a running VM by reason; see exits.h.
 *
 * KVM hands its binary statistics out only to the VM's own process (its ioctls
 * compare the address space), but a descriptor of them can be read by whoever
 * has it. VMMs that keep one open for each vCPU (QEMU, librtkvm) can be asked
 * so, by pidfd_getfd(2), which takes the right to trace them. The others are in
 * debugfs, which is root's and absent under lockdown.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/kvm-stats.h"
#include "exits.h"
#include "read.h"
#include "vm.h"

#define DEBUGFS "/sys/kernel/debug/kvm"
#define SAMPLE_NS 250000000L
#define VCPUS_MAX 1024

static void sample(void)
{
	const struct timespec t = { .tv_nsec = SAMPLE_NS };

	nanosleep(&t, NULL);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Counters of exits, and of what makes them. */
static bool is_reason(const char *name)
{
	size_t len = strlen(name);

	return !strcmp(name, "exits") || (len > 6 && !strcmp(name + len - 6, "_exits")) ||
	       !strcmp(name, "hypercalls") || !strcmp(name, "pf_taken") ||
	       !strcmp(name, "insn_emulation");
}

static void add(struct host_exits *e, const char *name, uint64_t value, bool minus)
{
	unsigned int i = 0;

	while (i < e->count && strcmp(e->reason[i].name, name))
		i++;
	if (i == HOST_EXITS_MAX || strlen(name) >= HOST_EXITS_NAME)
		return;
	if (i == e->count) {
		strcpy(e->reason[e->count++].name, name);
		e->reason[i].value = 0;
	}
	e->reason[i].value += minus ? -value : value;
}

int64_t host_exits_get(const struct host_exits *exits, const char *name)
{
	for (unsigned int i = 0; i < exits->count; i++)
		if (!strcmp(exits->reason[i].name, name))
			return (int64_t)exits->reason[i].value;
	return -1;
}

/* ---- descriptors of the VMM ------------------------------------------------------- */

struct vcpus {
	struct rtkvm_stats stats[VCPUS_MAX];
	unsigned int count;
};

/* Take copies of the process's descriptors of statistics. 0 or -errno. */
static int take(pid_t pid, struct vcpus *v)
{
	char path[64], to[64];
	struct dirent *entry;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), ret = 0;
	DIR *dir;

	if (pidfd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		ret = -errno;
	while (dir && ret == 0 && v->count < VCPUS_MAX && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, to, sizeof(to) - 1);
		int fd;

		if (len <= 0)
			continue;
		to[len] = '\0';
		if (strncmp(to, "anon_inode:kvm-vcpu-stats", 25))
			continue;
		fd = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(entry->d_name), 0);
		if (fd < 0)
			ret = errno == EBADF ? 0 : -errno; /* closed in between */
		else if (rtkvm_stats_adopt(&v->stats[v->count], fd) == 0)
			v->count++;
	}
	if (dir)
		closedir(dir);
	close(pidfd);
	return ret < 0 ? ret : v->count ? 0 : -ENOENT;
}

static void add_all(const struct vcpus *v, struct host_exits *e, bool minus)
{
	for (unsigned int i = 0; i < v->count; i++) {
		const struct rtkvm_stats *s = &v->stats[i];
		const char *name;
		uint64_t value;

		for (unsigned int k = 0; (name = rtkvm_stats_name(s, k)); k++)
			if (is_reason(name) && rtkvm_stats_get(s, name, &value) == 0)
				add(e, name, value, minus);
	}
}

static int from_descriptors(pid_t pid, struct host_exits *e)
{
	struct vcpus *v = calloc(1, sizeof(*v));
	double start;
	int ret;

	if (!v)
		return -ENOMEM;
	ret = take(pid, v);
	if (ret == 0) {
		start = now();
		add_all(v, e, true);
		sample();
		add_all(v, e, false);
		e->seconds = now() - start;
		e->live = true;
		e->source = "KVM's counters";
	}
	while (v->count)
		rtkvm_stats_close(&v->stats[--v->count]);
	free(v);
	return ret;
}

/* ---- debugfs ------------------------------------------------------------------------ */

/* Folder of the VM in debugfs: "PID-FD". */
static int one_vm(struct host_facts *facts, const char *name, void *arg)
{
	char *found = arg;
	char pid[16];
	size_t len;

	snprintf(pid, sizeof(pid), "%d-", facts->vm->pid);
	len = strlen(pid);
	if (strncmp(name, pid, len))
		return 0;
	snprintf(found, 64, "%.63s", name);
	return 1;
}

struct folder {
	struct host_exits *e;
	const char *path;
	bool minus;
};

static int one_counter(struct host_facts *facts, const char *name, void *arg)
{
	struct folder *f = arg;
	char path[160];
	int64_t value;
	int ret;

	if (!is_reason(name))
		return 0;
	snprintf(path, sizeof(path), "%s/%.40s", f->path, name);
	ret = host_number(facts, path, &value);
	if (ret == 0 && value < 0)
		ret = -EILSEQ;
	if (ret < 0) {
		snprintf(f->e->path, sizeof(f->e->path), "%.95s", path);
		return ret;
	}
	add(f->e, name, (uint64_t)value, f->minus);
	return 0;
}

/* Seconds since the process was started. 0: not known. */
static double age(struct host_facts *facts, pid_t pid)
{
	char path[64], text[2048];
	unsigned long long start;
	const char *p;
	double up;

	if (host_text(facts, "/proc/uptime", text, sizeof(text)) < 0 ||
	    sscanf(text, "%15lf", &up) != 1)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (host_text(facts, path, text, sizeof(text)) < 0)
		return 0;
	p = strrchr(text, ')');
	if (!p || sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			 "%*d %llu", &start) != 1)
		return 0;
	up -= (double)start / (double)sysconf(_SC_CLK_TCK);
	return up > 1 ? up : 1;
}

static int from_debugfs(struct host_facts *facts, struct host_exits *e)
{
	struct folder f = { .e = e };
	char name[64] = "", path[96];
	double start;
	int ret;

	snprintf(e->path, sizeof(e->path), "%s", DEBUGFS);
	ret = host_each(facts, DEBUGFS, one_vm, name);
	if (ret < 0 || !name[0])
		return ret < 0 ? ret : -ENOENT;
	snprintf(path, sizeof(path), "%s/%s", DEBUGFS, name);
	memcpy(e->path, path, sizeof(path));
	f.path = path;
	e->source = "debugfs";
	if (facts->rt->made_up) {
		/* its counters stand still: there is an average only */
		e->seconds = age(facts, facts->vm->pid);
		snprintf(e->path, sizeof(e->path), "/proc/uptime");
		return e->seconds > 0 ? host_each(facts, path, one_counter, &f) : -EILSEQ;
	}
	start = now();
	f.minus = true;
	ret = host_each(facts, path, one_counter, &f);
	if (ret < 0)
		return ret;
	sample();
	f.minus = false;
	ret = host_each(facts, path, one_counter, &f);
	e->seconds = now() - start;
	e->live = true;
	return ret;
}

int host_exits_read(struct host_facts *facts, struct host_exits *e)
{
	int ret = -ENOENT;

	memset(e, 0, sizeof(*e));
	if (!facts->rt->made_up) {
		ret = from_descriptors(facts->vm->pid, e);
		snprintf(e->path, sizeof(e->path), "/proc/%d/fd", (int)facts->vm->pid);
	}
	if (ret < 0) {
		int first = ret;

		e->count = 0;
		ret = from_debugfs(facts, e);
		/* what root would see counts for more than what is not there */
		if (ret == -ENOENT && (first == -EPERM || first == -EACCES)) {
			snprintf(e->path, sizeof(e->path), "/proc/%d/fd", (int)facts->vm->pid);
			ret = first;
		}
	}
	if (ret == 0 && host_exits_get(e, "exits") < 0)
		ret = -ENOENT;
	e->err = ret;
	return ret;
}
