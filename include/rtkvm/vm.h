/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file vm.h
 * A VM and its vCPUs, made real-time on the VMM's own descriptors.
 *
 * The VMM keeps its fds, its threads and its run loop. KVM dictates phases,
 * and the calls follow them:
 *
 *  1. rtkvm_vm_new()         before the first KVM_CREATE_VCPU
 *  2. rtkvm_vm_edit_cpuid()  before KVM_SET_CPUID2 of each vCPU
 *  3. rtkvm_vcpu_new()       after KVM_CREATE_VCPU, before the first KVM_RUN
 *  4. rtkvm_vcpu_enter()     in the vCPU's thread, before its first KVM_RUN
 *  5. rtkvm_vm_go_realtime() when the guest is up, from any thread
 *  6. rtkvm_vcpu_sync()      in the vCPU's thread between two KVM_RUNs
 *
 * Capabilities are read from the VM descriptor (what a VM can is not what
 * /dev/kvm says). The library never opens /dev/kvm for a VMM.
 */
#ifndef RTKVM_VM_H
#define RTKVM_VM_H

#include <stddef.h>
#include <stdint.h>

#include <rtkvm/context.h>
#include <rtkvm/plan.h>
#include <rtkvm/report.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kvm_cpuid2; /* <linux/kvm.h> */

/** A VM. Opaque. */
struct rtkvm_vm;

/** A vCPU. Opaque; belongs to its VM. */
struct rtkvm_vcpu;

/** Features of a VM that can be asked for; a mask. Names in reports are in quotes. */
enum {
	RTKVM_VM_NOEXIT_HLT = 1,      /**< "noexit-hlt": HLT does not exit; takes a whole CPU */
	RTKVM_VM_NOEXIT_PAUSE = 2,    /**< "noexit-pause": PAUSE loops do not exit */
	RTKVM_VM_NOEXIT_MWAIT = 4,    /**< "noexit-mwait" */
	RTKVM_VM_NOEXIT_CSTATE = 8,   /**< "noexit-cstate": guest reads C-state MSRs */
	RTKVM_VM_HALT_POLL = 16,      /**< "halt-poll": this VM's own halt polling time */
	RTKVM_VM_X2APIC = 32,         /**< "x2apic": 32-bit APIC ids, no broadcast quirk */
	RTKVM_VM_PV_CPUID = 64,       /**< "pv-cpuid": paravirtual bits that shorten latency */
	RTKVM_VM_TSC = 128,           /**< "tsc": invariant TSC and TSC-deadline timer in CPUID */
	RTKVM_VM_CSTATE_HOLD = 256,   /**< "cstate-hold": no deep C-state while real-time */
	RTKVM_VM_ALL = 511
};

/** Flags of rtkvm_vm_go_realtime(). */
enum {
	RTKVM_STRICT = 1 /**< fail, and undo, when a wanted feature is off */
};

/** Options of rtkvm_vm_new(). Always initialise with rtkvm_vm_options_init(). */
struct rtkvm_vm_options {
	size_t size;           /**< set by rtkvm_vm_options_init() */
	uint32_t features;     /**< wanted, mask of RTKVM_VM_*. Default: halt-poll, x2apic,
				*   pv-cpuid, tsc, cstate-hold */
	uint32_t halt_poll_ns; /**< longest halt polling, ns; 0: none. Default 0: a real-time
				*   thread that polls starves others and is throttled */
	int32_t max_exit_us;   /**< for cstate-hold: longest C-state exit latency, us. Default 0 */
	int32_t kick_signal;   /**< signal that gets a vCPU thread out of KVM_RUN; the VMM has a
				*   handler for it. 0: rtkvm_vcpu_kick() only sets
				*   immediate_exit. Default 0 */
	int32_t kvm_fd;        /**< /dev/kvm, for what the host supports; -1: not at hand.
				*   Default -1. Used during calls only, not closed */
	uint32_t dedicated;    /**< 1: each vCPU has a CPU of its own (sets the PV hint), 0: may
				*   be overcommitted (clears it). Default 0 */
	uint64_t reserved[6];  /**< 0 */
};

/** Fill in the defaults. size is sizeof(struct rtkvm_vm_options). RT-safe. */
RTKVM_API void rtkvm_vm_options_init(struct rtkvm_vm_options *options, size_t size);

/**
 * Phase 1: take up a VM. Enables the VM capabilities wanted.
 *
 * @param rt the context
 * @param vm_fd the VM, from KVM_CREATE_VM, no vCPU made yet. Duplicated; the
 *        VMM keeps its own
 * @param plan the thread plan; NULL: threads are the VMM's own affair.
 *        Must live longer than the VM
 * @param options NULL for the defaults
 * @param vm receives the VM, owned by the caller; NULL on error
 * @return 0, or
 *         - -EINVAL: NULL, an unknown feature, or vm_fd is no KVM VM
 *         - -EBADF: vm_fd is not open
 *         - -E2BIG: option struct of a newer library
 *         - -ENOMEM, -EMFILE
 *         A feature that the kernel refuses is not an error here: see
 *         rtkvm_vm_report().
 *
 * RT class: set-up.
 */
RTKVM_API int rtkvm_vm_new(struct rtkvm *rt, int vm_fd, struct rtkvm_plan *plan,
			   const struct rtkvm_vm_options *options, struct rtkvm_vm **vm);

/** End a VM and its vCPUs; lowers what it raised. NULL is ignored. */
RTKVM_API void rtkvm_vm_free(struct rtkvm_vm *vm);

/**
 * Phase 2: edit the VMM's CPUID table in place.
 *
 * @param vm the VM
 * @param cpuid the table, nent valid entries
 * @param max_entries room in it, entries
 * @return 0, -EINVAL, -E2BIG (no room for the KVM leaves: needs 2 more),
 *         -EBUSY (a vCPU of this VM has already entered)
 *
 * RT class: set-up.
 */
RTKVM_API int rtkvm_vm_edit_cpuid(struct rtkvm_vm *vm, struct kvm_cpuid2 *cpuid,
				  uint32_t max_entries);

/**
 * Phase 3: take up a vCPU.
 *
 * @param vm the VM
 * @param index the id given to KVM_CREATE_VCPU
 * @param vcpu_fd the vCPU. Duplicated; the VMM keeps its own
 * @param vcpu receives the vCPU, owned by the VM until rtkvm_vcpu_free()
 * @return 0, -EINVAL (NULL, or not a KVM vCPU), -EBADF, -EEXIST (index taken),
 *         -ENOMEM, -EMFILE
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_vcpu_new(struct rtkvm_vm *vm, unsigned int index, int vcpu_fd,
			     struct rtkvm_vcpu **vcpu);

/** Drop a vCPU (hot-unplug); its thread must have left. NULL is ignored. */
RTKVM_API void rtkvm_vcpu_free(struct rtkvm_vcpu *vcpu);

/**
 * Phase 4: the calling thread is the vCPU's. Enters RTKVM_ROLE_VCPU of the
 * plan and remembers the thread for kicks.
 *
 * @return 0, -EINVAL, -EBUSY (another live thread has it), or as
 *         rtkvm_thread_enter()
 */
RTKVM_API int rtkvm_vcpu_enter(struct rtkvm_vcpu *vcpu);

/** The vCPU's thread is about to end or to do something else. @return 0 or -EINVAL */
RTKVM_API int rtkvm_vcpu_leave(struct rtkvm_vcpu *vcpu);

/**
 * Phase 5: real-time from now. Raises the threads of the plan, holds C-states,
 * and has each vCPU apply the rest at its next rtkvm_vcpu_sync() (kicked).
 *
 * @param vm the VM
 * @param flags 0 or RTKVM_STRICT
 * @return 0, or
 *         - -EPERM, -ENOMEM: as rtkvm_plan_go_realtime()
 *         - -EOPNOTSUPP: RTKVM_STRICT and a wanted feature is off; the error
 *           names it
 *         - -EALREADY, -EINVAL
 *         On error nothing is left raised.
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_vm_go_realtime(struct rtkvm_vm *vm, unsigned int flags);

/** Undo phase 5. @return 0, or as rtkvm_plan_undo() */
RTKVM_API int rtkvm_vm_leave_realtime(struct rtkvm_vm *vm);

/**
 * Phase 6: apply what is pending for this vCPU. In its thread, between two
 * KVM_RUNs. One atomic load when nothing is pending.
 *
 * @return 0, or the negative errno of what could not be applied (see report)
 *
 * RT class: RT-safe when nothing is pending, else set-up.
 */
RTKVM_API int rtkvm_vcpu_sync(struct rtkvm_vcpu *vcpu);

/**
 * Get the vCPU out of KVM_RUN, or keep it from entering: sets immediate_exit
 * and, with a kick_signal, signals its thread. rtkvm_vcpu_sync() clears it.
 *
 * System calls: tgkill(2), with a kick_signal only.
 * RT class: RT-safe. Thread safety: any thread. Async-signal-safe.
 *
 * @return 0, -EINVAL, -ESRCH (no thread has entered)
 */
RTKVM_API int rtkvm_vcpu_kick(struct rtkvm_vcpu *vcpu);

/**
 * A counter of KVM by name (KVM_GET_STATS_FD), e.g. "exits", "halt_exits".
 *
 * @param vcpu the vCPU
 * @param name name of the counter in KVM's binary statistics
 * @param value receives it
 * @return 0, -ENOENT (no such counter, or not a single number), -EOPNOTSUPP
 *         (kernel without KVM_GET_STATS_FD: Linux before 5.14), -EINVAL, -EIO
 *
 * System calls: pread(2). RT class: RT-safe. Thread safety: any thread, also
 * while the vCPU runs.
 */
RTKVM_API int rtkvm_vcpu_get_stat(const struct rtkvm_vcpu *vcpu, const char *name,
				  uint64_t *value);

/** The same for a counter of the VM, e.g. "remote_tlb_flush". */
RTKVM_API int rtkvm_vm_get_stat(const struct rtkvm_vm *vm, const char *name, uint64_t *value);

/**
 * Names of the counters of a vCPU.
 *
 * @param vcpu the vCPU
 * @param index from 0
 * @return the name, owned by the vCPU, or NULL after the last
 */
RTKVM_API const char *rtkvm_vcpu_stat_name(const struct rtkvm_vcpu *vcpu, unsigned int index);

/**
 * What became of each feature, looked at now.
 *
 * @param vm the VM
 * @param report receives the report, owned by the caller
 * @return 0, -EINVAL, -ENOMEM
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_vm_report(struct rtkvm_vm *vm, struct rtkvm_report **report);

#ifdef __cplusplus
}
#endif

#endif
