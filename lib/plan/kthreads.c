/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lister of kernel threads. The file of kthreadd's children costs one read; a
 * walk over /proc is the fallback.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "kthreads.h"
#include "task.h"

#define KTHREADD 2

/* Most kthreads have numbers of up to 7 digits; 30 000 of them fit. */
#define CHILDREN_TEXT (256 * 1024)

struct list {
	pid_t *pids;
	size_t count;
	size_t room;
};

static int add(struct list *list, pid_t pid)
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

static int from_children(struct rtkvm *rt, struct list *list)
{
	char *text = malloc(CHILDREN_TEXT), *word, *save = NULL;
	int64_t pid;
	int ret;

	if (!text)
		return -ENOMEM;
	ret = (int)rtkvm_file_read_quiet(rt, "/proc/2/task/2/children", text, CHILDREN_TEXT);
	if (ret > 0) {
		ret = 0;
		for (word = strtok_r(text, " \n", &save); word && ret == 0;
		     word = strtok_r(NULL, " \n", &save))
			if (rtkvm_parse_i64(word, 1, INT32_MAX, &pid))
				ret = add(list, (pid_t)pid);
	}
	free(text);
	return ret;
}

static int from_proc(struct rtkvm *rt, struct list *list)
{
	int fd = rtkvm_open_quiet(rt, "/proc", O_RDONLY | O_DIRECTORY), ret = 0;
	struct dirent *entry;
	int64_t pid;
	DIR *dir;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
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

int plan_kthreads_list(struct rtkvm *rt, pid_t **pids, size_t *count)
{
	struct list list = { NULL, 0, 0 };
	struct plan_task kthreadd;
	int ret;

	*pids = NULL;
	*count = 0;
	/* in a PID namespace of its own number 2 is somebody else */
	ret = plan_task_read(rt, KTHREADD, KTHREADD, &kthreadd);
	if (ret < 0 || !kthreadd.kthread)
		return ret == -ESRCH ? 0 : ret;
	ret = from_children(rt, &list);
	if (ret < 0 && ret != -ENOMEM) {
		list.count = 0;
		ret = from_proc(rt, &list);
	}
	if (ret < 0) {
		free(list.pids);
		return ret;
	}
	if (list.count)
		qsort(list.pids, list.count, sizeof(*list.pids), by_number);
	*pids = list.pids;
	*count = list.count;
	return 0;
}

pid_t plan_kthread_owner(const char *comm)
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
