/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzzer of the reader of /proc/PID/stat, whose thread name is anybody's text,
 * and of the names of kernel threads.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/kthreads.h"
#include "core/task.h"
#include "plan/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), value[16];
	struct rtkvm_task task;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (rtkvm_task_parse(text, &task) == 0) {
		if (task.tid <= 0 || !memchr(task.comm, '\0', sizeof(task.comm)))
			abort();
		if (rtkvm_kthread_owner(task.comm) < 0)
			abort();
	}
	if (rtkvm_kthread_owner(text) < 0)
		abort();
	if (plan_status_value(text, "VmLck", value, sizeof(value)) && strchr(value, '\n'))
		abort();
	free(text);
	return 0;
}
