/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file lease.h
 * Changes to the host that are always given back.
 *
 * A lease groups changes to things that outlive the calling process: knobs of
 * the kernel and threads of other processes. Each change is written to the
 * lease's journal and synced before it is made, read back after, and undone
 * in reverse order by rtkvm_lease_release(), or, when the owner died, by
 * rtkvm_restore(). What somebody else changed since is left alone and
 * reported.
 *
 * Journals hold a closed table of kinds and numbers, never paths, and belong
 * to one boot of one machine (boot_id). The owner of a lease is whoever has
 * its descriptor (rtkvm_lease_fd()) open: the kernel drops the lock with the
 * last copy of it.
 *
 * The caller's own threads need no lease: their scheduling ends with them
 * (see plan.h).
 */
#ifndef RTKVM_LEASE_H
#define RTKVM_LEASE_H

#include <stdint.h>
#include <sys/types.h>

#include <rtkvm/context.h>
#include <rtkvm/report.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A group of journaled host changes. Opaque. */
struct rtkvm_lease;

/**
 * Knobs of the host that a lease can turn: the closed table. A number never
 * changes its meaning. "index" is 0 where the table does not say otherwise.
 */
enum {
	RTKVM_KNOB_IRQ_AFFINITY = 1,         /**< index: IRQ number; value: CPU list */
	RTKVM_KNOB_IRQ_DEFAULT_AFFINITY = 2, /**< value: CPU list */
	RTKVM_KNOB_WORKQUEUE_CPUMASK = 3,    /**< unbound workqueues; value: CPU list */
	RTKVM_KNOB_TIMER_MIGRATION = 4,      /**< kernel.timer_migration; 0 or 1 */
	RTKVM_KNOB_KSM_RUN = 5,              /**< KSM; 0, 1 or 2 */
	RTKVM_KNOB_STAT_INTERVAL = 6,        /**< vm.stat_interval; 1 to 3600 s */
	RTKVM_KNOB_NUMA_BALANCING = 7,       /**< kernel.numa_balancing; 0 to 3 */
	RTKVM_KNOB_HUGEPAGES_2M = 8,         /**< index: NUMA node; value: persistent pages */
	RTKVM_KNOB_HUGEPAGES_1G = 9          /**< index: NUMA node; value: persistent pages */
};

/** Scheduling policies, with the kernel's numbers (sched(7)). */
enum {
	RTKVM_POLICY_TS = 0, /**< SCHED_OTHER */
	RTKVM_POLICY_FF = 1, /**< SCHED_FIFO */
	RTKVM_POLICY_RR = 2  /**< SCHED_RR */
};

/**
 * Open a lease without changes.
 *
 * @param rt the context
 * @param name a label for rtkvm_status(), 1 to 31 characters of [a-z0-9-]
 * @param lease receives the lease, owned by the caller; NULL on error
 * @return 0, or
 *         - -EINVAL: rt or lease is NULL, or the name is not of that form
 *         - -EACCES, -EPERM: the state directory cannot be made, belongs to
 *           another user, or others may write to it
 *         - -ELOOP: the state directory is a symbolic link
 *         - -ENOSPC, -EDQUOT, -EROFS, -EIO: the journal cannot be written
 *         - -ENOMEM, -EMFILE
 *
 * RT class: set-up. Thread safety: any thread; a lease is used by one thread
 * at a time.
 */
RTKVM_API int rtkvm_lease_new(struct rtkvm *rt, const char *name, struct rtkvm_lease **lease);

/**
 * The descriptor whose kernel lock makes its holder the owner. It is
 * close-on-exec; a copy made with F_DUPFD, inherited over fork or passed with
 * SCM_RIGHTS keeps the lease alive. The lease still owns this one.
 *
 * @return the descriptor, or -EINVAL for NULL
 */
RTKVM_API int rtkvm_lease_fd(const struct rtkvm_lease *lease);

/**
 * Turn a knob of the host: journal, write, read back.
 *
 * @param lease the lease
 * @param knob one of RTKVM_KNOB_*
 * @param index which of its kind, see there
 * @param value the new value in the spelling that RTKVM_KNOB_* names
 * @return 0, with the value read back as asked for; else a negative errno and
 *         the host as it was:
 *         - -EINVAL: unknown knob, index or value out of range or malformed
 *         - -ENOENT: this host has no such knob or IRQ
 *         - -EACCES, -EPERM: needs root (the error says so)
 *         - -EIO: the kernel took the write and shows another value (a
 *           managed IRQ, too few free huge pages); undone
 *         - -ENOSPC, -EDQUOT, -EROFS: the journal cannot be written; nothing
 *           was changed
 *
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_lease_set_knob(struct rtkvm_lease *lease, int knob, unsigned int index,
				   const char *value);

/**
 * Set policy and priority of a thread, of any process. SCHED_RESET_ON_FORK is
 * set with a real-time policy, so that no thread made by it is raised.
 *
 * @param lease the lease
 * @param tid the thread; > 0
 * @param policy one of RTKVM_POLICY_*
 * @param priority 1 to 99 for RTKVM_POLICY_FF and _RR, 0 for RTKVM_POLICY_TS
 * @return 0, or
 *         - -EINVAL: policy or priority out of range
 *         - -ESRCH: no such thread
 *         - -EPERM: CAP_SYS_NICE or RLIMIT_RTPRIO missing, the thread's
 *           cgroup has no real-time runtime, or its deadline policy may not
 *           be changed
 *         - the journal's errors as in rtkvm_lease_set_knob()
 *
 * RT class: set-up.
 */
RTKVM_API int rtkvm_lease_set_thread_sched(struct rtkvm_lease *lease, pid_t tid, int policy,
					   int priority);

/**
 * Set the CPUs that a thread, of any process, may run on.
 *
 * @param lease the lease
 * @param tid the thread; > 0
 * @param cpus CPU list, e.g. "0,2-3"
 * @return as rtkvm_lease_set_thread_sched(); -EINVAL also when none of the
 *         CPUs is in the thread's cpuset; -EIO when the kernel kept some of
 *         the asked CPUs out
 *
 * RT class: set-up.
 */
RTKVM_API int rtkvm_lease_set_thread_cpus(struct rtkvm_lease *lease, pid_t tid, const char *cpus);

/**
 * Keep idle CPUs out of C-states that take longer than this to leave, for as
 * long as the lease lives (/dev/cpu_dma_latency, PM QoS).
 *
 * @param lease the lease
 * @param max_exit_us longest exit latency, microseconds; 0: no C-state at all
 * @return 0, or -ENOENT (no such device here), -EACCES, -EBUSY (this lease
 *         holds one already), -EINVAL
 *
 * RT class: set-up.
 */
RTKVM_API int rtkvm_lease_hold_cstate(struct rtkvm_lease *lease, int32_t max_exit_us);

/**
 * Undo all changes of a lease in reverse order, remove its journal, free it.
 *
 * @param lease the lease; NULL is ignored and gives 0
 * @param report receives one item per change (verified: as before; off: not
 *        undone, with the reason); may be NULL
 * @return 0 when everything is as before, is gone with its thread, or was
 *         changed by someone else since and so left alone (its item is a
 *         problem in the report);
 *         -EIO when something could not be undone: its journal stays for
 *         rtkvm_restore(). The lease is freed in every case.
 *
 * RT class: set-up.
 */
RTKVM_API int rtkvm_lease_release(struct rtkvm_lease *lease, struct rtkvm_report **report);

/**
 * Undo what dead owners left: every journal of the state directory whose lock
 * nobody holds. Journals of another boot are reported and dropped (the reboot
 * undid their changes); torn, forged or foreign ones change nothing and are
 * reported.
 *
 * @param rt the context
 * @param report receives what was done; may be NULL
 * @return 0 when nothing needs attention, also when there is nothing to do;
 *         - -EIO: something could not be undone or was refused; see report
 *         - -EACCES, -EPERM, -ELOOP: the state directory, as in
 *           rtkvm_lease_new()
 *         - -EINVAL: rt is NULL
 *
 * RT class: set-up. Thread safety: any thread and process; two at once share
 * the work.
 */
RTKVM_API int rtkvm_restore(struct rtkvm *rt, struct rtkvm_report **report);

/**
 * What is leased now: per journal its name, owner and each change, with
 * whether it is still in effect. Changes nothing.
 *
 * @param rt the context
 * @param report receives the items; may not be NULL
 * @return 0, or as rtkvm_restore()
 */
RTKVM_API int rtkvm_status(struct rtkvm *rt, struct rtkvm_report **report);

#ifdef __cplusplus
}
#endif

#endif
