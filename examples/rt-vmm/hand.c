/* SPDX-License-Identifier: MIT */
/*
 * The run without tuning, and the one tuned by hand as guides tell people to
 * (chrt -f and taskset on the vCPU threads, all other threads away from their
 * CPUs as "emulatorpin" does, mlockall), here by the system calls that these
 * tools make.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "run.h"

#define PRIORITY 80  /* as chrt -f 80 */

const struct tuning tuning_plain = { .name = "plain" };

/* The CPU of a vCPU thread: one each, in order, as long as they last. */
static void one_cpu(const struct config *config, unsigned int index, cpu_set_t *cpus)
{
	int n = (int)index % CPU_COUNT(&config->vcpu_cpus);

	CPU_ZERO(cpus);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &config->vcpu_cpus) && n-- == 0)
			CPU_SET(cpu, cpus);
}

static int hand_guest_up(struct run *r)
{
	struct sched_param param = { .sched_priority = PRIORITY };
	cpu_set_t cpus;

	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		result_left_out(r->result, "memory is not locked: %s (needs CAP_IPC_LOCK or a larger "
				"RLIMIT_MEMLOCK)", strerror(errno));
	if (sched_setaffinity(0, sizeof(cpu_set_t), &r->config->other_cpus) < 0)
		return fail("CPUs of the main thread: %m");
	for (unsigned int i = 0; i < r->machine.vcpus; i++) {
		pid_t tid = atomic_load(&r->vcpu[i].tid);

		one_cpu(r->config, i, &cpus);
		if (sched_setaffinity(tid, sizeof(cpus), &cpus) < 0)
			return fail("CPUs of vCPU %u: %m", i);
		if (sched_setscheduler(tid, SCHED_FIFO, &param) < 0) {
			r->result->degraded = true;
			result_left_out(r->result, "vCPUs are not raised to SCHED_FIFO %d: %s (needs "
					"CAP_SYS_NICE or RLIMIT_RTPRIO >= %d)", PRIORITY,
					strerror(errno), PRIORITY);
		}
	}
	return 0;
}

static void hand_describe(struct run *r, bool final)
{
	cpu_set_t cpus;

	(void)final;
	readback_cpus(r->result, "main thread", getpid(), &r->config->other_cpus);
	for (unsigned int i = 0; i < r->machine.vcpus; i++) {
		pid_t tid = atomic_load(&r->vcpu[i].tid);
		char who[24] = "vCPU 0";

		who[5] = (char)('0' + i);
		one_cpu(r->config, i, &cpus);
		readback_sched(r->result, who, tid, SCHED_FIFO, PRIORITY);
		readback_cpus(r->result, who, tid, &cpus);
	}
	readback_locked(r->result, r->machine.ram_size);
}

/* The threads and the VM end with their process; the rest of it goes on. */
static void hand_end(struct run *r)
{
	munlockall();
	sched_setaffinity(0, sizeof(cpu_set_t), &r->config->usable_cpus);
}

const struct tuning tuning_hand = {
	.name = "by hand",
	.guest_up = hand_guest_up,
	.describe = hand_describe,
	.end = hand_end,
};
