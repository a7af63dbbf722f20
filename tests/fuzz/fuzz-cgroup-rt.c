/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzzer of the finder of a cgroup's real-time runtime. The input is a
 * /proc/PID/cgroup, a NUL byte and a /proc/PID/mountinfo.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 2), path[512];
	const char *mounts;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = text[size + 1] = '\0';
	mounts = text + strlen(text) + 1;
	if (mounts > text + size)
		mounts = text + size;
	if (rtkvm_cgroup_rt_file(text, mounts, path, sizeof(path)) &&
	    (path[0] != '/' || strstr(path, "/../") || !strstr(path, "/cpu.rt_runtime_us")))
		abort();
	free(text);
	return 0;
}
