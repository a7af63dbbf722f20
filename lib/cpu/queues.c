/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which CPUs work for network queues: RPS and XPS masks of every queue of
 * every interface, and the RPS mask of new ones.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu_priv.h"

#define NET "/sys/class/net"

static void find_knob(struct rtkvm_cpu_lease *l, struct cpu_batch *batch, int knob,
		      unsigned int index, const char *path)
{
	char now[RTKVM_VALUE_MAX], to[RTKVM_VALUE_MAX];
	struct rtkvm_cpus is, rest;
	bool take;

	if (rtkvm_file_read_quiet(l->rt, path, now, sizeof(now)) <= 0 ||
	    !rtkvm_knob_cpus(knob, now, &is) || !cpu_reduce(l, &is, &rest, true, &take) ||
	    !rtkvm_knob_print_cpus(knob, &rest, to))
		return;
	cpu_batch_knob(batch, CPU_QUEUES, knob, index, now, to, take);
}

static DIR *open_dir(struct rtkvm *rt, const char *path)
{
	int fd = rtkvm_open_quiet(rt, path, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static void find_queues(struct rtkvm_cpu_lease *l, struct cpu_batch *batch, const char *name)
{
	char path[RTKVM_PATH_MAX], text[32];
	struct dirent *e;
	int64_t ifindex, queue;
	DIR *dir;

	snprintf(path, sizeof(path), NET "/%.63s/ifindex", name);
	if (rtkvm_file_read_quiet(l->rt, path, text, sizeof(text)) < 0 ||
	    !rtkvm_parse_i64(text, 1, UINT32_MAX / RTKVM_NET_QUEUES, &ifindex))
		return;
	snprintf(path, sizeof(path), NET "/%.63s/queues", name);
	dir = open_dir(l->rt, path);
	while (dir && (e = readdir(dir))) {
		bool rx = !strncmp(e->d_name, "rx-", 3);

		if ((!rx && strncmp(e->d_name, "tx-", 3)) ||
		    !rtkvm_parse_i64(e->d_name + 3, 0, RTKVM_NET_QUEUES - 1, &queue))
			continue;
		snprintf(path, sizeof(path), NET "/%.63s/queues/%cx-%d/%cps_cpus", name,
			 rx ? 'r' : 't', (int)queue, rx ? 'r' : 'x');
		find_knob(l, batch, rx ? RTKVM_KNOB_NET_RPS : RTKVM_KNOB_NET_XPS,
			  (unsigned int)(ifindex * RTKVM_NET_QUEUES + queue), path);
	}
	if (dir)
		closedir(dir);
}

int cpu_find_queues(struct rtkvm_cpu_lease *l, struct cpu_batch *batch)
{
	DIR *dir = open_dir(l->rt, NET);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			find_queues(l, batch, e->d_name);
	if (dir)
		closedir(dir);
	find_knob(l, batch, RTKVM_KNOB_NET_RPS_DEFAULT, 0, "/proc/sys/net/core/rps_default_mask");
	return 0;
}
