/* SPDX-License-Identifier: MIT */
/*
 * One run of a guest: state shared by the main thread (run.c), the vCPU threads
 * (vcpu.c), the tunings, and the guest's own part of the program.
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
	struct observed {
		int64_t at, ran;     /* ns: the time, and what the thread had of a CPU */
		int64_t guest_ns, entries; /* on a dedicated CPU */
	} seen;
};

struct run;

/*
 * What differs between guests: the built-in one (builtin.c) and Linux (linux.c).
 * Hooks return 0 or, after fail(), -1; mmio and shutdown may be NULL, then such
 * an exit is an error.
 */
struct guest {
	size_t (*ram_size)(const struct config *config);
	int (*load)(struct run *run);        /* memory and devices, before the first vCPU */
	int (*set_vcpu)(struct run *run, unsigned int index); /* registers; CPUID is done */
	/* vCPU threads: an exit. 0: back into the guest, -1: this vCPU has ended */
	int (*io)(struct vcpu_thread *thread, struct kvm_run *exit);
	int (*mmio)(struct vcpu_thread *thread, struct kvm_run *exit);
	int (*shutdown)(struct vcpu_thread *thread);
	/* main thread */
	void (*collect)(struct run *run);    /* what the guest has left for us; every 100 ms */
	bool (*reached)(struct run *run, int phase); /* all of it has come that far */
	int (*lead)(struct run *run);        /* vCPUs run; to the end: a STATUS */
};

/* The first five are the caller's to fill in, all else is 0. */
struct run {
	const struct config *config;
	const struct tuning *tuning;
	const struct guest *guest;
	struct result *result;
	void *guest_state;
	void *tuning_state;
	struct machine machine;
	int event_fd;                /* a phase has changed */
	atomic_int stop;             /* vCPUs shall leave KVM_RUN for good */
	sem_t leave;                 /* and may then end their threads */
	struct vcpu_thread vcpu[GUEST_MAX_VCPUS];
};

/*
 * Run a guest once, in this process, and fill in the result. Returns what its
 * lead() said, or STATUS_ERROR (said why). In every case the guest is gone and
 * everything undone when it returns.
 */
int run_guest(struct run *run);

/* The same with the built-in guest, whose wake-ups go to sample. */
int run_measured(const struct config *config, const struct tuning *tuning, struct result *result,
		 sample_fn *sample, void *sample_arg);

/*
 * For lead(): wait until all vCPUs are in that phase, limit_ms at most (0: for
 * ever). STATUS_OK, STATUS_ERROR, STATUS_INTERRUPTED, or STATUS_LIMIT after
 * having said that "what" did not happen.
 */
int run_wait(struct run *run, int phase, int64_t limit_ms, const char *what);

/* For lead(): each vCPU goes once round its loop, which applies what is pending for it. */
int run_apply(struct run *run);

/* Thread function of a vCPU (vcpu.c); arg: struct vcpu_thread. */
void *vcpu_thread(void *arg);

/* For io(), mmio(), shutdown(). The latter returns -1. */
void vcpu_set_phase(struct vcpu_thread *thread, int phase);
int vcpu_failed(struct vcpu_thread *thread);

/*
 * Read back what the kernel says about this process and its threads and note
 * it beside what was asked for (readback.c).
 */
void readback_sched(struct result *result, const char *who, pid_t tid, int policy, int priority);
void readback_cpus(struct result *result, const char *who, pid_t tid, const cpu_set_t *cpus);
void readback_locked(struct result *result, size_t at_least);
void readback_cstate(struct result *result, int max_exit_us);

/* Where the time of the vCPUs goes, from the first call to the final one. */
void readback_time(struct run *run, bool final);

#endif
