/* SPDX-License-Identifier: MIT */
/*
 * One measured run of the guest: state shared by the main thread (run.c), the
 * vCPU threads (vcpu.c) and the tunings.
 */
#ifndef RUN_H
#define RUN_H

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "config.h"
#include "machine.h"
#include "result.h"
#include "tuning.h"

/* Gets a vCPU thread out of KVM_RUN. */
#define KICK_SIGNAL SIGUSR1

/* Where a vCPU is. A later phase is a larger number. */
enum { PHASE_BOOT, PHASE_UP, PHASE_MEASURING, PHASE_DONE, PHASE_FAILED };

struct vcpu_thread {
	struct run *run;
	unsigned int index;
	pthread_t thread;
	bool started;
	_Atomic pid_t tid;
	atomic_int phase;
	atomic_uint rounds;          /* times round the loop of KVM_RUN */
	int64_t exits, halts, polls; /* counters: at the start, then of the measured part */
};

struct run {
	const struct config *config;
	const struct tuning *tuning;
	void *tuning_state;
	struct result *result;
	sample_fn *sample;
	void *sample_arg;
	struct machine machine;
	int event_fd;                /* a phase has changed */
	atomic_int stop;             /* vCPUs shall leave KVM_RUN for good */
	sem_t leave;                 /* and may then end their threads */
	struct vcpu_thread vcpu[GUEST_MAX_VCPUS];
};

/*
 * Run the guest once, in this process, and fill in the result. Returns
 * STATUS_OK, STATUS_ERROR (said why) or STATUS_INTERRUPTED. In every case the
 * guest is gone and everything undone when it returns.
 */
int run_measured(const struct config *config, const struct tuning *tuning, struct result *result,
		 sample_fn *sample, void *sample_arg);

/* Thread function of a vCPU (vcpu.c); arg: struct vcpu_thread. */
void *vcpu_thread(void *arg);

/*
 * Read back what the kernel says about this process and its threads and note
 * it beside what was asked for (readback.c).
 */
void readback_sched(struct result *result, const char *who, pid_t tid, int policy, int priority);
void readback_cpus(struct result *result, const char *who, pid_t tid, const cpu_set_t *cpus);
void readback_locked(struct result *result, size_t at_least);
void readback_cstate(struct result *result, int max_exit_us);

#endif
