/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A look at a process: its threads, and those that the kernel made in its
 * name or for its devices. Reads only.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/file.h"
#include "watch.h"

/*
 * A listing of /proc/PID/task may leave out threads that were there all the
 * time when others end meanwhile (proc_task_readdir() finds its place by
 * counting). So it is repeated until it shows nothing new.
 */
#define PASSES_MIN 2
#define PASSES_MAX 16

/* After so many looks all kernel threads are read again: numbers are reused. */
#define KNOWN_LOOKS 64

static bool set_put(struct plan_tid_set *set, pid_t tid)
{
	size_t i = (size_t)tid & (set->size - 1);

	while (set->slot[i] && set->slot[i] != tid)
		i = (i + 1) & (set->size - 1);
	if (set->slot[i])
		return false;
	set->slot[i] = tid;
	set->count++;
	return true;
}

/* 1: added, 0: was there, -ENOMEM. */
static int set_add(struct plan_tid_set *set, pid_t tid)
{
	if (set->count * 2 >= set->size) {
		struct plan_tid_set larger = { .size = set->size ? set->size * 2 : 256 };

		larger.slot = calloc(larger.size, sizeof(*larger.slot));
		if (!larger.slot)
			return -ENOMEM;
		for (size_t i = 0; i < set->size; i++)
			if (set->slot[i])
				set_put(&larger, set->slot[i]);
		free(set->slot);
		*set = larger;
	}
	return set_put(set, tid);
}

static int look_add(struct plan_look *look, const struct rtkvm_task *task)
{
	if (look->count == look->room) {
		size_t room = look->room ? look->room * 2 : 64;
		struct rtkvm_task *tasks = realloc(look->tasks, room * sizeof(*tasks));

		if (!tasks)
			return -ENOMEM;
		look->tasks = tasks;
		look->room = room;
	}
	look->tasks[look->count++] = *task;
	return 0;
}

/* One pass over the listing. 1: something new, 0, -errno. */
static int pass(struct rtkvm *rt, pid_t pid, DIR *dir, struct plan_look *look)
{
	struct dirent *entry;
	struct rtkvm_task task;
	int news = 0, ret;
	int64_t tid;

	rewinddir(dir);
	while ((entry = readdir(dir))) {
		if (!rtkvm_parse_i64(entry->d_name, 1, INT32_MAX, &tid))
			continue;
		ret = set_add(&look->seen, (pid_t)tid);
		if (ret <= 0) {
			if (ret < 0)
				return ret;
			continue;
		}
		news = 1;
		if (rtkvm_task_read(rt, pid, (pid_t)tid, &task) < 0)
			continue; /* it ended */
		ret = look_add(look, &task);
		if (ret < 0)
			return ret;
	}
	return news;
}

static int take_own(struct rtkvm *rt, pid_t pid, struct plan_look *look)
{
	char path[64];
	int ret;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	ret = rtkvm_opendir_quiet(rt, path, &dir);
	if (ret < 0)
		return ret == -ENOENT ? -ESRCH : ret;
	ret = 1;
	if (look->seen.size)
		memset(look->seen.slot, 0, look->seen.size * sizeof(*look->seen.slot));
	look->seen.count = 0;
	for (int i = 0; i < PASSES_MAX && (i < PASSES_MIN || ret > 0) && ret >= 0; i++)
		ret = pass(rt, pid, dir, look);
	closedir(dir);
	look->own = look->count;
	if (ret >= 0 && !look->count)
		return -ESRCH;
	return ret < 0 ? ret : 0;
}

static int by_pid(const void *key, const void *entry)
{
	pid_t a = *(const pid_t *)key, b = ((const struct plan_known *)entry)->pid;

	return (a > b) - (a < b);
}

static struct plan_known know(struct rtkvm *rt, pid_t pid)
{
	struct plan_known known = { .pid = pid };
	struct rtkvm_task task;

	/* anybody may call a thread kvm-pit/1 */
	if (rtkvm_task_read(rt, pid, pid, &task) == 0 && task.kthread) {
		known.owner = rtkvm_kthread_owner(task.comm);
		known.device = plan_devices_named(task.comm);
	}
	return known;
}

static int known_grow(struct plan_look *look, size_t count)
{
	struct plan_known *known;

	if (count <= look->known_room)
		return 0;
	count += count / 2;
	known = realloc(look->known, count * sizeof(*known));
	if (!known)
		return -ENOMEM;
	look->known = known;
	known = realloc(look->known_next, count * sizeof(*known));
	if (!known)
		return -ENOMEM;
	look->known_next = known;
	look->known_room = count;
	return 0;
}

/* Bring the table of kernel threads up to date. */
static int update_known(struct rtkvm *rt, struct plan_look *look)
{
	const struct rtkvm_kthread_list *list = &look->kthreads;
	struct plan_known *next;
	int ret = rtkvm_kthreads_list(rt, &look->kthreads);

	if (ret == 0)
		ret = known_grow(look, list->count);
	if (ret < 0)
		return ret;
	if (look->known_looks++ >= KNOWN_LOOKS)
		look->known_looks = look->known_count = 0;
	next = look->known_next;
	for (size_t i = 0; i < list->count; i++) {
		const struct plan_known *old = NULL;

		if (look->known_count)
			old = bsearch(&list->pids[i], look->known, look->known_count, sizeof(*old),
				      by_pid);
		next[i] = old ? *old : know(rt, list->pids[i]);
	}
	look->known_next = look->known;
	look->known = next;
	look->known_count = list->count;
	return 0;
}

static bool is_of(const struct plan_look *look, pid_t pid, pid_t owner)
{
	if (owner == pid)
		return true;
	for (size_t i = 0; i < look->own; i++)
		if (look->tasks[i].tid == owner)
			return true;
	return false;
}

static int take_kernel(struct rtkvm *rt, pid_t pid, struct plan_look *look)
{
	struct rtkvm_task task;
	int ret = update_known(rt, look);

	if (ret == 0 && look->devices.count)
		ret = plan_devices_read(rt, &look->devices);
	if (ret < 0)
		return ret == -ENOMEM ? ret : 0; /* not shown to us: there is nothing to place */
	for (size_t i = 0; i < look->known_count && ret == 0; i++) {
		const struct plan_known *k = &look->known[i];

		if (!(k->owner && is_of(look, pid, k->owner)) && !(k->device && look->devices.count))
			continue;
		if (rtkvm_task_read(rt, k->pid, k->pid, &task) == 0 && task.kthread &&
		    (k->owner || plan_devices_thread(&look->devices, task.comm)))
			ret = look_add(look, &task);
	}
	return ret;
}

int plan_look_take(struct rtkvm *rt, pid_t pid, struct plan_look *look)
{
	int ret;

	look->count = look->own = 0;
	ret = take_own(rt, pid, look);
	return ret < 0 ? ret : take_kernel(rt, pid, look);
}

void plan_look_free(struct plan_look *look)
{
	free(look->tasks);
	free(look->seen.slot);
	rtkvm_kthreads_free(&look->kthreads);
	free(look->known);
	free(look->known_next);
	plan_devices_free(&look->devices);
	memset(look, 0, sizeof(*look));
}

/*
 * Is the thread asleep in a system call other than those with which a C
 * library starts one? A lock of the address space holds up new threads in
 * page faults (number -1) and in the calls that map memory.
 */
static bool asleep(struct rtkvm *rt, pid_t pid, pid_t tid)
{
	static const long starting[] = { SYS_mmap,   SYS_mprotect, SYS_munmap, SYS_brk,
					 SYS_madvise, SYS_mremap,  SYS_prctl,  SYS_rseq };
	char path[64], text[256];
	char *end;
	long nr;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	if (rtkvm_file_read_quiet(rt, path, text, sizeof(text)) < 0)
		return true; /* not shown to us: the name counts */
	nr = strtol(text, &end, 10);
	if (end == text || nr < 0)
		return false; /* "running" */
	for (size_t i = 0; i < sizeof(starting) / sizeof(starting[0]); i++)
		if (nr == starting[i])
			return false;
	return true;
}

static bool has_elder(const struct plan_look *look, const struct rtkvm_task *task)
{
	for (size_t i = 0; i < look->own; i++) {
		const struct rtkvm_task *other = &look->tasks[i];

		if (other->start > task->start || strcmp(other->comm, task->comm))
			continue;
		/* in the same clock tick numbers tell who was first */
		if (other->start < task->start || other->tid < task->tid)
			return true;
	}
	return false;
}

bool plan_look_borrowed(struct rtkvm *rt, pid_t pid, const struct plan_look *look,
			const struct rtkvm_task *task)
{
	long tick_ms = 1000 / sysconf(_SC_CLK_TCK);
	struct timespec now;
	int64_t age_ms;

	clock_gettime(CLOCK_BOOTTIME, &now);
	age_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 -
		 (int64_t)task->start * tick_ms;
	if ((int64_t)task->cpu * tick_ms >= PLAN_SETTLED_MS || !has_elder(look, task))
		return false;
	return age_ms < PLAN_SETTLE_MS + tick_ms || !asleep(rt, pid, task->tid);
}
