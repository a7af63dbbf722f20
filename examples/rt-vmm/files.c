/* SPDX-License-Identifier: MIT */
/* Histogram files of a run, those of the demo and its plot, by the library's exports. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "demo.h"
#include "files.h"

static int format_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (dot && !strcmp(dot, ".hgrm"))
		return RTKVM_LATENCY_HGRM;
	if (dot && !strcmp(dot, ".json"))
		return RTKVM_LATENCY_JSON;
	if (dot && !strcmp(dot, ".txt"))
		return RTKVM_LATENCY_TEXT;
	return RTKVM_LATENCY_CYCLICTEST;
}

int file_write(const struct rtkvm_latency *latency, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int rc;

	if (fd < 0)
		return fail("%s: %m", path);
	rc = rtkvm_latency_export(latency, format_of(path), fd);
	close(fd);
	return rc < 0 ? fail("%s: %s", path, rtkvm_last_error()) : 0;
}

int files_write(struct demo *demo)
{
	const struct rtkvm_latency *all[CASES];
	const char *dir = demo->config->output;
	char path[512];

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return fail("%s: %m", dir);
	for (int i = 0; i < CASES; i++) {
		const struct demo_case *c = &demo->cases[i];

		all[i] = c->all.task;
		snprintf(path, sizeof(path), "%.400s/%s.hgrm", dir, c->file);
		if (file_write(c->all.task, path) < 0)
			return -1;
		snprintf(path, sizeof(path), "%.400s/%s.hist", dir, c->file);
		if (file_write(c->all.task, path) < 0)
			return -1;
	}
	snprintf(demo->plot, sizeof(demo->plot), "%.400s/latency.png", dir);
	demo->plotted = rtkvm_latency_plot(all, CASES, demo->plot) == 0;
	if (!demo->plotted)
		snprintf(demo->plot, sizeof(demo->plot), "%s", rtkvm_last_error());
	return 0;
}
