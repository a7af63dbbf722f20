/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reader of /proc/PID/task/TID/stat; see task.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "task.h"

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

/* Numbers of the fields that are needed, counted from 1. */
enum {
	FIELD_PPID = 4,
	FIELD_FLAGS = 9,
	FIELD_UTIME = 14,
	FIELD_STIME = 15,
	FIELD_START = 22,
	FIELD_PRIO = 40,
	FIELD_POLICY = 41
};

/* Where the kernel wrote a backslash or a line feed of the name it wrote \\ or \n. */
static void copy_comm(char *to, const char *from, const char *end)
{
	size_t len = 0;

	while (from < end && len + 1 < RTKVM_COMM_MAX) {
		if (from[0] == '\\' && end - from > 1) {
			from++;
			to[len++] = *from == 'n' ? '\n' : *from;
		} else {
			to[len++] = *from;
		}
		from++;
	}
	to[len] = '\0';
}

int rtkvm_task_parse(const char *text, struct rtkvm_task *task)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	unsigned long long value;
	const char *p;
	char *end;
	long tid;

	tid = strtol(text, &end, 10);
	if (end == text || tid <= 0 || tid > INT32_MAX || !open || !close || close < open)
		return -EILSEQ;
	memset(task, 0, sizeof(*task));
	task->tid = (pid_t)tid;
	copy_comm(task->comm, open + 1, close);
	if (close[1] != ' ' || !close[2])
		return -EILSEQ;
	p = close + 3; /* after the state, field 3 */
	for (int field = FIELD_PPID; field <= FIELD_POLICY; field++, p = end) {
		errno = 0;
		value = strtoull(p, &end, 10); /* negative ones wrap around; none is used */
		if (end == p || errno)
			return -EILSEQ;
		if (field == FIELD_PPID)
			task->ppid = (pid_t)value;
		else if (field == FIELD_FLAGS)
			task->kthread = value & PF_KTHREAD;
		else if (field == FIELD_UTIME || field == FIELD_STIME)
			task->cpu += value;
		else if (field == FIELD_START)
			task->start = value;
		else if (field == FIELD_PRIO)
			task->priority = (int)value;
		else if (field == FIELD_POLICY)
			task->policy = (int)value;
	}
	return 0;
}

int rtkvm_task_read(struct rtkvm *rt, pid_t tgid, pid_t tid, struct rtkvm_task *task)
{
	char path[64], text[RTKVM_STAT_TEXT];
	ssize_t len;
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", tgid, tid);
	len = rtkvm_file_read_quiet(rt, path, text, sizeof(text));
	if (len < 0)
		return len == -ENOENT ? -ESRCH : (int)len;
	ret = rtkvm_task_parse(text, task);
	return ret == 0 && task->tid != tid ? -EILSEQ : ret;
}

int rtkvm_task_start(pid_t tgid, pid_t tid, uint64_t *start)
{
	char path[64], text[RTKVM_STAT_TEXT];
	struct rtkvm_task task;
	ssize_t len;
	int fd, ret;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", tgid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT && access("/proc/self/stat", R_OK) == 0 ? -ESRCH : -errno;
	len = read(fd, text, sizeof(text) - 1);
	ret = len < 0 ? -errno : 0;
	close(fd);
	if (ret < 0)
		return ret;
	text[len] = '\0';
	ret = rtkvm_task_parse(text, &task);
	if (ret == 0)
		*start = task.start;
	return ret;
}
