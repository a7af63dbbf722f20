/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUs that are offline and claimed for a vCPU: the kernel's list of them, and
 * what that means for taking one online again.
 */
#include <errno.h>
#include <time.h>

#include "lease_priv.h"

#define LIST "/sys/devices/system/cpu/dedicated"
#define STEP_MS 20

int rtkvm_dedicated_cpus(struct rtkvm *rt, struct rtkvm_cpus *cpus)
{
	char text[RTKVM_VALUE_MAX];
	ssize_t len;

	rtkvm_cpus_clear(cpus);
	len = rtkvm_file_read_quiet(rt, LIST, text, sizeof(text));
	if (len < 0)
		return (int)len;
	return *text ? rtkvm_cpus_parse_list(text, cpus, NULL) : 0;
}

bool rtkvm_cpu_dedicated(struct rtkvm *rt, unsigned int cpu)
{
	struct rtkvm_cpus cpus;

	return rtkvm_dedicated_cpus(rt, &cpus) == 0 && rtkvm_cpus_has(&cpus, cpu);
}

/*
 * A process that was killed gives its descriptors back one after the other: its
 * lease can be free while its vCPU still is not.
 */
int rtkvm_cpu_online_write(struct rtkvm *rt, unsigned int cpu, const char *path, const char *line)
{
	struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	int ret = rtkvm_file_write_quiet(rt, path, line);

	for (int ms = 0; ret == -EBUSY && rtkvm_cpu_dedicated(rt, cpu) &&
			 ms < RTKVM_DEDICATED_WAIT_MS; ms += STEP_MS) {
		nanosleep(&step, NULL);
		ret = rtkvm_file_write_quiet(rt, path, line);
	}
	return ret;
}
