/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inner side of a VM and its vCPUs: what the files of lib/kvm share. The
 * public side is rtkvm/vm.h.
 *
 * Locking: vm->lock guards the list of vCPUs and all plain fields; what
 * rtkvm_vcpu_sync() and rtkvm_vcpu_kick() touch is atomic or set once. The
 * plan's own locks are taken below vm->lock.
 */
#ifndef RTKVM_KVM_KVM_H
#define RTKVM_KVM_KVM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rtkvm/vm.h>

#include "core/core.h"
#include "core/kvm-stats.h"
#include "cpuid.h"

struct kvm_run;

/* What is known of one feature; becomes a report item. */
struct rtkvm_finding {
	int state; /* RTKVM_STATE_* */
	bool problem;
	char reason[384];
};

void rtkvm_find(struct rtkvm_finding *finding, int state, bool problem, const char *fmt, ...)
	RTKVM_PRINTF(4, 5);

#define RTKVM_VM_FEATURES 10

/* Outcome of running HLT in a probe VM. */
enum rtkvm_probe {
	RTKVM_PROBE_NONE,  /* not run, or it told nothing */
	RTKVM_PROBE_EXITS, /* HLT exits although KVM was told not to */
	RTKVM_PROBE_STAYS, /* HLT did not exit */
};

struct rtkvm_vm {
	struct rtkvm *rt;
	struct rtkvm_plan *plan;
	struct rtkvm_vm_options opt;
	pthread_mutex_t lock;
	int fd;
	struct rtkvm_vcpu *vcpus;
	struct rtkvm_stats stats;
	int stats_err; /* why there are none, or 0 */
	bool has_immediate_exit;
	struct rtkvm_finding base[RTKVM_VM_FEATURES]; /* as enabled; order of the table */

	/* exits.c */
	uint32_t exits_taken; /* KVM_X86_DISABLE_EXITS_* that KVM accepted */
	int exits_err;	      /* why none, positive errno */
	enum rtkvm_probe probe;
	char probe_why[160]; /* why RTKVM_PROBE_NONE */

	/* cpuid_features.c */
	bool has_supported; /* kvm_fd told what KVM can */
	struct rtkvm_cpuid_bits supported;
	bool cpuid_edited;
	struct rtkvm_cpuid_bits edited; /* the table as it was left */

	/* dedicated.c */
	uint64_t ded_features; /* of KVM's capability; 0: none */

	/* real-time */
	atomic_bool realtime;
	bool raised_plan; /* it was us */
	int cstate_fd;	  /* or -1 */
	int cstate_err;	  /* why it is not held, positive errno */
};

/* What a vCPU's thread found of its own scheduling. */
enum rtkvm_sched_seen {
	RTKVM_SCHED_UNSEEN,
	RTKVM_SCHED_AS_PLANNED,
	RTKVM_SCHED_DIFFERS,
};

/* The CPU that a vCPU gets. */
struct rtkvm_ded {
	struct rtkvm_cpu_lease *lease; /* NULL: none was asked for */
	uint32_t index;
	int cpu;
	uint64_t features;
	uint32_t poll_ns;
	uint32_t flags;
	/* vm->lock */
	int refused;	  /* by the trial: positive errno; 0: not */
	bool tried;
	pid_t ordinary;	  /* the thread that was put there, the CPU being online; 0: none */
	int ordinary_err; /* why it is not, positive errno */
	char why[224];	  /* in words */
	/* written in the vCPU's thread */
	atomic_bool bound;
	atomic_int err; /* of binding, positive errno */
	atomic_ulong active;
	uint64_t entries0;
};

struct rtkvm_vcpu {
	struct rtkvm_vm *vm;
	struct rtkvm_vcpu *next;
	unsigned int index;
	int fd;
	struct kvm_run *run; /* its first page: immediate_exit is in it */
	size_t run_size;
	struct rtkvm_stats stats;

	/* counters when it was taken up */
	uint64_t halts0, polls0, signals0;

	/* set by rtkvm_vcpu_enter() */
	bool has_entered;
	bool has_cpuid;
	int cpuid_err;
	struct rtkvm_cpuid_bits cpuid; /* as the guest sees it */
	int run_errno;		       /* of KVM_RUN with immediate_exit; 0: not tried */
	bool signal_unhandled;	       /* kick_signal would end the process, or be ignored */

	struct rtkvm_ded ded;

	/* run time */
	pid_t pid;
	atomic_int tid;		/* 0: no thread has entered */
	atomic_uint pending;	/* RTKVM_PENDING_* */
	atomic_uint kicks;	/* signals sent */
	atomic_int sched_seen;	/* enum rtkvm_sched_seen */
	atomic_int sched_policy, sched_priority;
};

/* Work for rtkvm_vcpu_sync(). */
#define RTKVM_PENDING_REALTIME 1U

/* Value of a capability on the VM's descriptor; 0 when it has not got it. */
int rtkvm_vm_cap(const struct rtkvm_vm *vm, int cap);

/* KVM_ENABLE_CAP; 0 or -errno. */
int rtkvm_vm_enable_cap(const struct rtkvm_vm *vm, uint32_t cap, uint64_t arg);

/* Does the kernel emulate the local APIC? Asks by adding and removing an irqfd. */
bool rtkvm_vm_has_lapic(const struct rtkvm_vm *vm);

/* features.c: enable all that is wanted; look at one, or at all. */
void rtkvm_features_enable(struct rtkvm_vm *vm);
const char *rtkvm_feature_name(unsigned int i);
void rtkvm_feature_look(const struct rtkvm_vm *vm, unsigned int i, struct rtkvm_finding *finding);
/* Index of the first wanted feature that is off and ought not to be, or -1. */
int rtkvm_features_first_off(const struct rtkvm_vm *vm, struct rtkvm_finding *finding);

/* Each feature: enable fills in the base finding, look refines it. */
void rtkvm_exits_disable(struct rtkvm_vm *vm); /* once, before the next four */
void rtkvm_exits_enable(struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding);
void rtkvm_exits_look(const struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding);
void rtkvm_haltpoll_enable(struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding);
void rtkvm_haltpoll_look(const struct rtkvm_vm *vm, uint32_t feature,
			 struct rtkvm_finding *finding);
void rtkvm_x2apic_enable(struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding);
void rtkvm_x2apic_look(const struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding);
void rtkvm_pv_look(const struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding);
void rtkvm_tsc_look(const struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding);
void rtkvm_cstate_look(const struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding);

/*
 * dedicated.c. vm->lock held but for _apply(), which is of the vCPU's thread between
 * two KVM_RUNs, and _end(), of the thread that frees it or has left it.
 */
void rtkvm_dedicated_enable(struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding);
void rtkvm_dedicated_look(const struct rtkvm_vm *vm, uint32_t feature,
			  struct rtkvm_finding *finding);
void rtkvm_dedicated_look_vcpu(const struct rtkvm_vcpu *vcpu, struct rtkvm_finding *finding);
void rtkvm_dedicated_try(struct rtkvm_vcpu *vcpu);
/* The plan's guards count its thread then, or not. */
void rtkvm_dedicated_tell(struct rtkvm_vcpu *vcpu, pid_t tid);
/* The first vCPU that was refused and is not to have anything else, or NULL. */
const struct rtkvm_vcpu *rtkvm_dedicated_missing(const struct rtkvm_vm *vm,
						 struct rtkvm_finding *finding);
/* Those that were refused get an ordinary place. */
void rtkvm_dedicated_fall_back(struct rtkvm_vm *vm);
void rtkvm_dedicated_place(struct rtkvm_vcpu *vcpu, pid_t tid);
int rtkvm_dedicated_apply(struct rtkvm_vcpu *vcpu);
void rtkvm_dedicated_end(struct rtkvm_vcpu *vcpu);

/* cpuid_features.c */
void rtkvm_cpuid_ask_supported(struct rtkvm_vm *vm);
void rtkvm_cpuid_read_vcpu(struct rtkvm_vcpu *vcpu);

/* probe.c: run HLT in a VM of our own, at most 50 ms. why: when NONE. */
enum rtkvm_probe rtkvm_probe_hlt(int kvm_fd, char *why, size_t size);

/* vcpu.c: things of each vCPU for the report and for phase 5. vm->lock held. */
void rtkvm_vcpu_set_pending(struct rtkvm_vcpu *vcpu, unsigned int what);
void rtkvm_vcpus_look_kick(const struct rtkvm_vm *vm, struct rtkvm_finding *finding);
void rtkvm_vcpus_look_immediate_exit(const struct rtkvm_vm *vm, struct rtkvm_finding *finding);
void rtkvm_vcpus_look_threads(const struct rtkvm_vm *vm, struct rtkvm_finding *finding);

#endif
