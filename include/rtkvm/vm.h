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
 *  3. rtkvm_vcpu_new()       after KVM_CREATE_VCPU, before the first KVM_RUN;
 *     rtkvm_vcpu_dedicate()  for a vCPU that gets a CPU of a lease
 *  4. rtkvm_vcpu_enter()     in the vCPU's thread, before its first KVM_RUN
 *  5. rtkvm_vm_go_realtime() when the guest is up, from any thread
 *  6. rtkvm_vcpu_sync()      in the vCPU's thread between two KVM_RUNs
 *
 * Capabilities are read from the VM descriptor (what a VM can is not what
 * /dev/kvm says). The library never opens /dev/kvm for a VMM.
 *
 * The run loop of a vCPU's thread, in this order:
 *
 *     rtkvm_vcpu_enter(vcpu);
 *     for (;;) {
 *             rtkvm_vcpu_sync(vcpu);          // clears immediate_exit
 *             if (own_request())              // looked at after the sync
 *                     break;
 *             ioctl(vcpu_fd, KVM_RUN, 0);     // EINTR: once more
 *             ...
 *     }
 *     rtkvm_vcpu_leave(vcpu);
 *
 * A VMM may set immediate_exit and signal the thread for purposes of its own:
 * what it asks for must be written before immediate_exit is set, and is then
 * never missed by a loop of that order.
 *
 * A VMM that clears immediate_exit itself when KVM_RUN came back with EINTR, and
 * looks at its own requests only after that (QEMU), has rtkvm_vcpu_sync() there,
 * instead of clearing it, and not before each KVM_RUN: there it would take away
 * an immediate_exit that such a VMM does not look behind.
 *
 * A VMM that has its own idea of what it tells KVM must know what is changed:
 * after rtkvm_vm_edit_cpuid() it reads the table back (which MSRs are there to be
 * saved and reset), and it leaves RTKVM_VM_X2APIC out if it uses KVM_SET_LAPIC,
 * GSI routes or MSIs in the format of APIC ids of 8 bits.
 */
#ifndef RTKVM_VM_H
#define RTKVM_VM_H

#include <stddef.h>
#include <stdint.h>

#include <rtkvm/context.h>
#include <rtkvm/cpu.h>
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
	RTKVM_VM_NOEXIT_MWAIT = 4,    /**< "noexit-mwait": MWAIT does not exit */
	RTKVM_VM_NOEXIT_CSTATE = 8,   /**< "noexit-cstate": guest reads C-state MSRs */
	RTKVM_VM_HALT_POLL = 16,      /**< "halt-poll": this VM's own halt polling time */
	RTKVM_VM_X2APIC = 32,         /**< "x2apic": 32-bit APIC ids, no broadcast quirk. Changes
				       *   how KVM reads MSI addresses, GSI routes and
				       *   KVM_GET/SET_LAPIC of this VM: the ids' upper 24 bits
				       *   are in the upper address (KVM_CAP_X2APIC_API) */
	RTKVM_VM_PV_CPUID = 64,       /**< "pv-cpuid": paravirtual bits that shorten latency:
				       *   steal time, wake-up of spinners, TLB flush, IPI, yield */
	RTKVM_VM_TSC = 128,           /**< "tsc": invariant TSC and TSC-deadline timer in CPUID */
	RTKVM_VM_CSTATE_HOLD = 256,   /**< "cstate-hold": no deep C-state while real-time */
	RTKVM_VM_ALL = 511,           /**< those above */
	RTKVM_VM_DEDICATED_CPU = 512  /**< "dedicated-cpu": vCPUs named by rtkvm_vcpu_dedicate() run
				       *   on CPUs that have left Linux. Needs our kernel. What
				       *   such a guest cannot have is taken from this VM: its
				       *   PMU (KVM_CAP_PMU_CAPABILITY), and PMU, VMX, SVM and XFD
				       *   in CPUID */
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
	int32_t max_exit_us;   /**< for cstate-hold: longest C-state exit latency, 0 or more us.
				*   Default 0 */
	int32_t kick_signal;   /**< signal that gets a vCPU thread out of KVM_RUN: any but SIGKILL,
				*   SIGSTOP and the C library's own. The VMM has a handler for
				*   it, or the vCPU threads block it and KVM_SET_SIGNAL_MASK
				*   does not. 0: rtkvm_vcpu_kick() only sets immediate_exit.
				*   Default 0 */
	int32_t kvm_fd;        /**< /dev/kvm, for what the host's KVM offers in CPUID and, with
				*   noexit-hlt, for a probe VM of at most 50 ms; -1: not at hand.
				*   Default -1. Used during rtkvm_vm_new() only, not closed */
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
 * @param vm_fd the VM, from KVM_CREATE_VM, no vCPU made yet (else what needs
 *        that is off); its interrupt controllers made already if it has them
 *        in the kernel (else "x2apic" cannot be verified). Duplicated; the VMM
 *        keeps its own, and the VM lives on until rtkvm_vm_free()
 * @param plan the thread plan; NULL: threads are the VMM's own affair.
 *        Must live longer than the VM
 * @param options NULL for the defaults
 * @param vm receives the VM, owned by the caller; NULL on error
 * @return 0, or
 *         - -EINVAL: NULL, an option out of its range, or vm_fd is no KVM VM
 *           of this process
 *         - -EBADF: vm_fd is not open
 *         - -E2BIG: option struct of a newer library
 *         - -ENOMEM, -EMFILE: out of memory, of descriptors
 *         A feature that the kernel refuses is not an error here: see
 *         rtkvm_vm_report().
 *
 * System calls: fcntl, ioctl, pread, eventfd2, close; with kvm_fd and
 * noexit-hlt also mmap, munmap, rt_sigprocmask, rt_sigpending, rt_sigaction,
 * rt_sigtimedwait, gettid, timer_create, timer_settime, timer_delete (of a
 * real-time signal that the program does not use; none is left pending).
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_vm_new(struct rtkvm *rt, int vm_fd, struct rtkvm_plan *plan,
			   const struct rtkvm_vm_options *options, struct rtkvm_vm **vm);

/**
 * End a VM and its vCPUs; lowers what it raised. NULL is ignored.
 *
 * System calls: close, munmap, and those of rtkvm_vm_leave_realtime().
 * RT class: set-up. Thread safety: no other thread may use the VM or one of
 * its vCPUs any more.
 */
RTKVM_API void rtkvm_vm_free(struct rtkvm_vm *vm);

/**
 * Phase 2: edit the VMM's CPUID table in place. Once for each vCPU's table;
 * doing it twice changes nothing more. May be called again for a vCPU that is
 * plugged in later.
 *
 * Sets, by feature: the paravirtual bits of 0x40000001:EAX that KVM offers
 * (those of the table itself, or with kvm_fd all that KVM_GET_SUPPORTED_CPUID
 * names, for which the KVM leaves are added if they are missing; beside
 * Hyper-V's they are at 0x40000101), but clears the wake-up of spinners (bit 7)
 * when HLT does not exit; sets 0x40000001:EDX[0] (real-time hint) when
 * dedicated, else clears it; 1:ECX[24] (TSC-deadline timer) when KVM has it
 * and the local APIC is in the kernel; 0x80000007:EDX[8] (invariant TSC) when
 * the host's is; 1:ECX[21] (x2APIC) when KVM offers it. Never sets a bit that
 * KVM cannot keep.
 *
 * @param vm the VM
 * @param cpuid the table, nent valid entries
 * @param max_entries room in it, entries
 * @return 0, or
 *         - -EINVAL: vm or cpuid is NULL, or nent is more than max_entries
 *         - -E2BIG: no room for the KVM leaves: needs up to 2 more entries
 *         On error the table is as it was.
 *
 * System calls: ioctl, eventfd2, close.
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_vm_edit_cpuid(struct rtkvm_vm *vm, struct kvm_cpuid2 *cpuid,
				  uint32_t max_entries);

/**
 * Phase 3: take up a vCPU.
 *
 * @param vm the VM
 * @param index the id given to KVM_CREATE_VCPU
 * @param vcpu_fd the vCPU. Duplicated; the VMM keeps its own
 * @param vcpu receives the vCPU, owned by the VM until rtkvm_vcpu_free();
 *        NULL on error
 * @return 0, or
 *         - -EINVAL: NULL, vcpu_fd is no KVM vCPU of this process, or it is a
 *           vCPU of another index (known with KVM_GET_STATS_FD only)
 *         - -EBADF: vcpu_fd is not open
 *         - -EEXIST: the index is taken
 *         - -ENOMEM, -EMFILE: out of memory, of descriptors
 *
 * Blocks while another thread is in KVM_RUN of that vCPU.
 * System calls: fcntl, ioctl, mmap, pread, close, munmap.
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_vcpu_new(struct rtkvm_vm *vm, unsigned int index, int vcpu_fd,
			     struct rtkvm_vcpu **vcpu);

/** Flags of struct rtkvm_dedicate_options. */
enum {
	RTKVM_DEDICATE_NO_FALLBACK = 1 /**< rtkvm_vm_go_realtime() fails, also without RTKVM_STRICT,
					*   when the CPU cannot be had */
};

/** How a vCPU gets a CPU. Always initialise with rtkvm_dedicate_options_init(). */
struct rtkvm_dedicate_options {
	size_t size;          /**< set by rtkvm_dedicate_options_init() */
	uint64_t features;    /**< wanted of a CPU that is offline, mask of KVM_DEDICATED_CPU_*
			       *   of linux/kvm_dedicated.h, RUN among them. What the kernel has
			       *   not got is left out, see the report. Default: RUN */
	uint32_t poll_ns;     /**< so long the vCPU's thread looks for an exit before it sleeps,
			       *   0 to 1000000000. Default 10000, about what sleeping and waking
			       *   cost: a guest that exits often is served without them, and
			       *   the thread of one that does not, sleeps */
	uint32_t flags;       /**< 0 or RTKVM_DEDICATE_NO_FALLBACK */
	uint64_t reserved[5]; /**< 0 */
};

/** Fill in the defaults. size is sizeof(struct rtkvm_dedicate_options). RT-safe. */
RTKVM_API void rtkvm_dedicate_options_init(struct rtkvm_dedicate_options *options, size_t size);

/**
 * Phase 3, second half: this vCPU gets that CPU when the VM goes real-time.
 *
 * The CPU of an offline lease (RTKVM_CPU_OFFLINE) becomes a dedicated one: the
 * guest runs there, and nothing of Linux does. The vCPU's thread goes on to call
 * KVM_RUN and handles each exit, on the CPUs that the process has left; it sleeps
 * while the guest runs. It is tried in rtkvm_vcpu_enter(), done in the thread's
 * first rtkvm_vcpu_sync() after rtkvm_vm_go_realtime(), and ended by
 * rtkvm_vcpu_leave(), by the first rtkvm_vcpu_sync() after
 * rtkvm_vm_leave_realtime(), or with the vCPU. The plan should have no CPUs for
 * RTKVM_ROLE_VCPU then, or only CPUs that are online. It takes CAP_SYS_ADMIN, or a lease
 * that has the descriptor of that CPU: rtkvm_cpu_lease_claim().
 *
 * Where that trial failed, rtkvm_vm_go_realtime() fails with RTKVM_STRICT or
 * RTKVM_DEDICATE_NO_FALLBACK. Without, it brings the CPU online again (rtkvm_cpu_lease_bring_online()) and puts the
 * thread there: an ordinary vCPU on a leased CPU. With a lease of another mode it
 * puts the thread there at once. "dedicated-cpu N" of the report, for the vCPU
 * with index N, says which of them it is.
 *
 * @param vcpu the vCPU; its thread has not entered yet
 * @param lease the lease; must live longer than the vCPU. Until the VM is freed
 *        it is used by calls on the VM: have no other thread use it meanwhile
 * @param index which CPU, as in rtkvm_cpu_lease_get_cpu()
 * @param options NULL for the defaults
 * @return 0, or
 *         - -EINVAL: NULL, index or an option is out of range, or the VM was made
 *           without RTKVM_VM_DEDICATED_CPU
 *         - -EBUSY: its thread has entered; or another vCPU of the VM has the CPU
 *         - -E2BIG: option struct of a newer library
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_vcpu_dedicate(struct rtkvm_vcpu *vcpu, struct rtkvm_cpu_lease *lease,
				  uint32_t index, const struct rtkvm_dedicate_options *options);

/**
 * Drop a vCPU (hot-unplug); its thread must have left. NULL is ignored.
 *
 * RT class: set-up. Thread safety: no other thread may use the vCPU any more.
 */
RTKVM_API void rtkvm_vcpu_free(struct rtkvm_vcpu *vcpu);

/**
 * Phase 4: the calling thread is the vCPU's. Enters RTKVM_ROLE_VCPU of the
 * plan and remembers the thread for kicks. Looks at what the guest will see in
 * CPUID (KVM_SET_CPUID2 is done by then), and, when it is entered for the
 * first time, at immediate_exit: one KVM_RUN that comes back at once without
 * running the guest. Tries whether the CPU of rtkvm_vcpu_dedicate() can be had,
 * and gives it back. Entering again with the same thread does nothing.
 *
 * @return 0, or
 *         - -EINVAL: vcpu is NULL
 *         - -EBUSY: another live thread has it
 *         - -EPERM, -ENOMEM: as rtkvm_thread_enter(); then the thread has not
 *           entered the plan either
 *
 * System calls: gettid, getpid, tgkill (with signal 0), ioctl,
 * rt_sigprocmask, rt_sigaction, and those of rtkvm_thread_enter().
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_vcpu_enter(struct rtkvm_vcpu *vcpu);

/**
 * The vCPU's thread is about to end or to do something else: it gets back what
 * it had before rtkvm_vcpu_enter(), and is not kicked any more.
 *
 * @return 0, -EINVAL (NULL, or called in another thread), or -EIO as
 *         rtkvm_thread_leave()
 *
 * System calls: those of rtkvm_thread_leave(), and ioctl with a dedicated CPU.
 * RT class: set-up. Thread safety: the vCPU's thread only.
 */
RTKVM_API int rtkvm_vcpu_leave(struct rtkvm_vcpu *vcpu);

/**
 * Phase 5: real-time from now. Holds C-states, raises the threads of the
 * plan, and has each vCPU look at its own scheduling at its next
 * rtkvm_vcpu_sync() (kicked). vCPUs get their CPUs (rtkvm_vcpu_dedicate()). A plan that is real-time already, raised by the
 * caller or by another VM that shares it, stays theirs to lower.
 *
 * @param vm the VM
 * @param flags 0 or RTKVM_STRICT
 * @return 0, or
 *         - -EPERM, -ENOMEM: as rtkvm_plan_go_realtime()
 *         - -EOPNOTSUPP: RTKVM_STRICT and a wanted feature is off, or
 *           RTKVM_DEDICATE_NO_FALLBACK and a vCPU cannot have its CPU; the error
 *           names it (rtkvm_last_error_where()). What is accepted or
 *           unverifiable does not count as off
 *         - -EALREADY: the VM is real-time already
 *         - -EINVAL: vm is NULL, or an unknown flag
 *         On error nothing is left raised.
 *
 * System calls: those of rtkvm_plan_go_realtime(); openat, write and read of
 * /dev/cpu_dma_latency; tgkill of kicks. Those of rtkvm_cpu_lease_bring_online() where
 * a vCPU cannot have its CPU.
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_vm_go_realtime(struct rtkvm_vm *vm, unsigned int flags);

/**
 * Undo phase 5: lowers the threads of the plan if this VM raised it, and lets
 * C-states go; vCPUs give their dedicated CPUs back. The features of phases 1 and 2
 * stay: KVM cannot take them back.
 *
 * @return 0, also when the VM is not real-time; -EINVAL for NULL; -EIO as
 *         rtkvm_plan_undo()
 *
 * System calls: close, tgkill, and of the plan mlockall or munlockall, openat, read,
 * getpid, gettid, sched_getattr, sched_setscheduler, sched_getaffinity,
 * sched_setaffinity.
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_vm_leave_realtime(struct rtkvm_vm *vm);

/**
 * Phase 6: apply what is pending for this vCPU, and clear immediate_exit. In
 * its thread, between two KVM_RUNs. One atomic load, no system call, when
 * immediate_exit is not set.
 *
 * @return 0, or
 *         - -EINVAL: vcpu is NULL
 *         - -EPERM: after rtkvm_vm_go_realtime(), this thread is not scheduled
 *           as the plan says, or may not look (told once; see the report)
 *         - -EIO: the CPU of rtkvm_vcpu_dedicate(), which could be had in
 *           rtkvm_vcpu_enter(), is refused now (told once; see the report)
 *
 * System calls: none when idle; sched_getattr once after
 * rtkvm_vm_go_realtime(), and ioctl where a dedicated CPU is bound or given back,
 * which waits for the kernel (some 10 ms).
 * RT class: RT-safe, but for that. Thread safety: the vCPU's thread only.
 */
RTKVM_API int rtkvm_vcpu_sync(struct rtkvm_vcpu *vcpu);

/**
 * Get the vCPU out of KVM_RUN, or keep it from entering: sets immediate_exit
 * and, with a kick_signal, signals its thread. rtkvm_vcpu_sync() clears it.
 * No kick is lost: after it the thread comes to the end of an
 * rtkvm_vcpu_sync(). The signal is not sent when it had no handler as the
 * thread entered (it would end the process; see "kick" in the report).
 *
 * System calls: tgkill(2), with a kick_signal only.
 * RT class: RT-safe. Thread safety: any thread. Async-signal-safe.
 *
 * @return 0, -EINVAL (NULL), -ESRCH (no thread has entered, or it ended
 *         without rtkvm_vcpu_leave())
 */
RTKVM_API int rtkvm_vcpu_kick(struct rtkvm_vcpu *vcpu);

/**
 * A counter of KVM by name (KVM_GET_STATS_FD), e.g. "exits", "halt_exits".
 *
 * @param vcpu the vCPU
 * @param name name of the counter in KVM's binary statistics
 * @param value receives it, as KVM counts (times in ns); unchanged on error
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
 * Names of the counters of a vCPU that rtkvm_vcpu_get_stat() can read.
 *
 * @param vcpu the vCPU
 * @param index from 0
 * @return the name, owned by the vCPU, or NULL after the last
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API const char *rtkvm_vcpu_stat_name(const struct rtkvm_vcpu *vcpu, unsigned int index);

/**
 * What became of each feature, looked at now. After the features, in the
 * order of RTKVM_VM_*, come "dedicated-cpu N" for each vCPU of
 * rtkvm_vcpu_dedicate(), "vcpu-threads" (scheduling as each vCPU's thread
 * saw it), "kick", "immediate-exit" and "stats". A feature that was not asked
 * for is off and no problem.
 *
 * @param vm the VM
 * @param report receives the report, owned by the caller
 * @return 0, -EINVAL, -ENOMEM
 *
 * System calls: pread64, openat, newfstatat, read, close, and those of memory.
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_vm_report(struct rtkvm_vm *vm, struct rtkvm_report **report);

#ifdef __cplusplus
}
#endif

#endif
