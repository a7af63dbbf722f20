/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lister of kernel threads. The file of kthreadd's children costs one read; a
 * walk over /proc is the fallback.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "kthreads.h"
#include "task.h"

#define KTHREADD 2

/* Room for the file of children: at first, and at most. */
#define TEXT_SIZE 4096
#define TEXT_MAX (1024 * 1024)

static int add(struct rtkvm_kthread_list *list, pid_t pid)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 256;
		pid_t *pids = realloc(list->pids, room * sizeof(*pids));

		if (!pids)
			return -ENOMEM;
		list->pids = pids;
		list->room = room;
	}
	list->pids[list->count++] = pid;
	return 0;
}

/* Read the children into list->text, which grows to hold them. */
static ssize_t read_children(struct rtkvm *rt, struct rtkvm_kthread_list *list)
{
	ssize_t len = -E2BIG;

	for (size_t size = TEXT_SIZE; len == -E2BIG && size <= TEXT_MAX; size *= 2) {
		if (size > list->text_size) {
			char *text = realloc(list->text, size);

			if (!text)
				return -ENOMEM;
			list->text = text;
			list->text_size = size;
		} else if (size < list->text_size) {
			continue;
		}
		len = rtkvm_file_read_quiet(rt, "/proc/2/task/2/children", list->text,
					    list->text_size);
	}
	return len;
}

static int from_children(struct rtkvm *rt, struct rtkvm_kthread_list *list)
{
	ssize_t len = read_children(rt, list);
	char *word, *save = NULL;
	int64_t pid;
	int ret = 0;

	if (len < 0)
		return (int)len;
	for (word = strtok_r(list->text, " \n", &save); word && ret == 0;
	     word = strtok_r(NULL, " \n", &save))
		if (rtkvm_parse_i64(word, 1, INT32_MAX, &pid))
			ret = add(list, (pid_t)pid);
	return ret;
}

static int from_proc(struct rtkvm *rt, struct rtkvm_kthread_list *list)
{
	struct dirent *entry;
	int64_t pid;
	DIR *dir;
	int ret = rtkvm_opendir_quiet(rt, "/proc", &dir);

	if (ret < 0)
		return ret;
	while (ret == 0 && (entry = readdir(dir)))
		if (rtkvm_parse_i64(entry->d_name, 1, INT32_MAX, &pid))
			ret = add(list, (pid_t)pid);
	closedir(dir);
	return ret;
}

static int by_number(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

int rtkvm_kthreads_list(struct rtkvm *rt, struct rtkvm_kthread_list *list)
{
	struct rtkvm_task kthreadd;
	int ret;

	list->count = 0;
	/* in a PID namespace of its own number 2 is somebody else */
	ret = rtkvm_task_read(rt, KTHREADD, KTHREADD, &kthreadd);
	if (ret < 0 || !kthreadd.kthread)
		return ret == -ESRCH ? 0 : ret;
	ret = from_children(rt, list);
	if (ret < 0 && ret != -ENOMEM) {
		list->count = 0;
		ret = from_proc(rt, list);
	}
	if (ret == 0 && list->count)
		qsort(list->pids, list->count, sizeof(*list->pids), by_number);
	return ret;
}

void rtkvm_kthreads_free(struct rtkvm_kthread_list *list)
{
	free(list->pids);
	free(list->text);
	memset(list, 0, sizeof(*list));
}

pid_t rtkvm_kthread_owner(const char *comm)
{
	static const char *const made[] = { "kvm-pit/", "vhost-", "kvm-nx-lpage-recovery-" };
	int64_t pid;

	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		size_t len = strlen(made[i]);

		if (!strncmp(comm, made[i], len) &&
		    rtkvm_parse_i64(comm + len, 1, INT32_MAX, &pid))
			return (pid_t)pid;
	}
	return 0;
}
