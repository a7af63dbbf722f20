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
 * Leases may overlap: the same knob turned by two of them, in one process or
 * several that share a state directory. Whichever ends first leaves such a
 * knob to the one that turned it later; when that one is released, both are
 * given back. After a crash rtkvm_restore() does the same for all dead owners
 * at once, the latest change first.
 *
 * The caller's own threads need no lease: their scheduling ends with them
 * (see plan.h).
 *
 * In reports the feature of a change is the name of its kind and its number,
 * as long as it has one: "irq-affinity 24", "irq-default-affinity",
 * "workqueue-cpumask", "timer-migration", "ksm-run", "stat-interval",
 * "numa-balancing", "hugepages-2m 0", "hugepages-1g 0", "thread-sched 1234",
 * "thread-cpus 1234", "cstate". rtkvm_restore() and rtkvm_status() put the
 * name of the lease and a slash before it ("demo/irq-affinity 24"), as does
 * rtkvm_lease_release() for changes of other leases that it gave back, too;
 * an item "demo" is about that lease as a whole, and "journal FILE" about a
 * file of the state directory.
 *
 * With a made-up root (rtkvm_options.root) knobs are files of that tree, and
 * calls on threads and C-states fail with -EOPNOTSUPP: there are only those
 * of the real host.
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

/**
 * A group of journaled host changes. Opaque.
 *
 * Copies of its memory made by fork(2) are the caller's to sort out: one
 * process at most may call rtkvm_lease_release().
 */
struct rtkvm_lease;

/**
 * Knobs of the host that a lease can turn: the closed table. A number never
 * changes its meaning. "index" is 0 where the table does not say otherwise. A
 * CPU list must name at least one CPU, each below 8192. Files: doc/design/journal.md.
 */
enum {
	RTKVM_KNOB_IRQ_AFFINITY = 1,         /**< index: IRQ number, below 2^20; value: CPU list */
	RTKVM_KNOB_IRQ_DEFAULT_AFFINITY = 2, /**< value: CPU list */
	RTKVM_KNOB_WORKQUEUE_CPUMASK = 3,    /**< unbound workqueues; value: CPU list */
	RTKVM_KNOB_TIMER_MIGRATION = 4,      /**< kernel.timer_migration; 0 or 1 */
	RTKVM_KNOB_KSM_RUN = 5,              /**< KSM; 0, 1 or 2 */
	RTKVM_KNOB_STAT_INTERVAL = 6,        /**< vm.stat_interval; 1 to 3600 s */
	RTKVM_KNOB_NUMA_BALANCING = 7,       /**< kernel.numa_balancing; 0 to 3 */
	RTKVM_KNOB_HUGEPAGES_2M = 8,         /**< index: NUMA node, 0 to 1023; value: persistent
					      *   pages (surplus pages do not count), 0 to 2^32 */
	RTKVM_KNOB_HUGEPAGES_1G = 9,         /**< the same for pages of 1 GiB */
	RTKVM_KNOB_CPU_ONLINE = 10,          /**< index: CPU, below 8192; 0 or 1 */
	RTKVM_KNOB_CPU_LATENCY = 11,         /**< index: CPU; longest exit latency of its
					      *   C-states in us, 0: any, "n/a": no C-state */
	RTKVM_KNOB_CPU_GOVERNOR = 12,        /**< index: CPU; "performance", "powersave",
					      *   "schedutil", "ondemand", "conservative" or
					      *   "userspace" */
	RTKVM_KNOB_CPU_EPP = 13,             /**< index: CPU; "default", "performance",
					      *   "balance_performance", "balance_power" or
					      *   "power" */
	RTKVM_KNOB_FAIR_SERVER = 14,         /**< index: CPU; what its fair server gives to
					      *   others than real-time threads, 0 to 10^9 ns */
	RTKVM_KNOB_NET_RPS = 15,             /**< index: interface number * 4096 + receive
					      *   queue; value: CPU list, may be empty */
	RTKVM_KNOB_NET_XPS = 16,             /**< the same for transmit queues */
	RTKVM_KNOB_NET_RPS_DEFAULT = 17,     /**< of new interfaces; CPU list, may be empty */
	RTKVM_KNOB_CGROUP_CPUSET = 18,       /**< cpuset controller of cgroup v2 for the
					      *   children of the root; 0 or 1 */
	RTKVM_KNOB_WATCHDOG_CPUMASK = 19,    /**< kernel.watchdog_cpumask, the lockup detectors;
					      *   value: CPU list */
	RTKVM_KNOB_TRACE_INSTANCE = 32,      /**< index: a number below 2^22, such as the
					      *   caller's pid; is there a tracing instance
					      *   rtkvm-INDEX: 0 or 1 */
	RTKVM_KNOB_OSNOISE_CPUS = 33         /**< of the osnoise and timerlat tracers, in all
					      *   instances; value: CPU list */
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
 *         - -EINVAL: rt or lease is NULL, the name is not of that form, or no
 *           state directory is known (rtkvm_state_dir())
 *         - -ENOENT, -EILSEQ: /proc/sys/kernel/random/boot_id is missing or no
 *           boot id: a journal must say which boot it belongs to
 *         - -EACCES, -EPERM: the state directory cannot be made, belongs to
 *           another user, or others may write to it
 *         - -ELOOP: the state directory, or one above it, is a symbolic link
 *         - -ENOTDIR, -ENAMETOOLONG: it cannot be a directory
 *         - -ENOSPC, -EDQUOT, -EFBIG, -EROFS, -EIO: the journal cannot be
 *           written
 *         - -ENOMEM, -EMFILE
 *
 * The state directory is made, with mode 0700, when it is missing.
 *
 * System calls: those of files; flock, fdatasync, fsync, getrandom.
 * RT class: set-up. Thread safety: any thread; a lease is used by one thread
 * at a time.
 */
RTKVM_API int rtkvm_lease_new(struct rtkvm *rt, const char *name, struct rtkvm_lease **lease);

/**
 * The descriptor whose kernel lock makes its holder the owner. It is
 * close-on-exec; a copy made with F_DUPFD, inherited over fork or passed with
 * SCM_RIGHTS keeps the lease alive. The lease still owns this one. Nobody may
 * read or write it, or call flock(2) on it. Once it was asked for, the journal is
 * not written anew any more, so it can fill up with threads that have ended; a
 * lease whose descriptor nobody asked for cannot.
 *
 * @return the descriptor, or -EINVAL for NULL
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API int rtkvm_lease_fd(const struct rtkvm_lease *lease);

/**
 * Turn a knob of the host: journal, write, read back. Turned again, the same
 * knob goes back step by step. Setting what is set already is journaled, too:
 * the lease then holds it against earlier ones that end.
 *
 * @param lease the lease
 * @param knob one of RTKVM_KNOB_*
 * @param index which of its kind, see there
 * @param value the new value in the spelling that RTKVM_KNOB_* names
 * @return 0, with the value read back as asked for; else a negative errno and
 *         the host as it was:
 *         - -EINVAL: lease or value is NULL, unknown knob, index or value out
 *           of range or malformed, or none of these CPUs is online
 *         - -ENOENT: this host has no such knob or IRQ
 *         - -EACCES, -EPERM: needs root (the error says so)
 *         - -EIO: the kernel took the write and shows another value (too few
 *           free huge pages), or refuses any (an IRQ that it manages itself);
 *           undone. If even that was not possible, the change stays in the
 *           lease, and its release tries again.
 *         - -EILSEQ: it has a value now that could not be given back
 *         - -ENOSPC, -EDQUOT, -EFBIG, -EROFS, -EIO: the journal cannot be
 *           written or is full (2 MiB; what threads had that have ended does not
 *           count); nothing was changed
 *         - -ENOMEM
 *
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_lease_set_knob(struct rtkvm_lease *lease, int knob, unsigned int index,
				   const char *value);

/**
 * Set policy and priority of a thread, of any process. SCHED_RESET_ON_FORK is
 * set with a real-time policy, so that no thread made by it is raised. Its
 * nice value stays as it is.
 *
 * Clearing that flag takes CAP_SYS_NICE, setting it does not. If the lease is
 * undone without it, the flag stays, and the item of the report is a problem
 * with state RTKVM_STATE_ACCEPTED.
 *
 * @param lease the lease
 * @param tid the thread; > 0
 * @param policy one of RTKVM_POLICY_*
 * @param priority 1 to 99 for RTKVM_POLICY_FF and _RR, 0 for RTKVM_POLICY_TS
 * @return 0, or
 *         - -EINVAL: lease is NULL; policy or priority out of range
 *         - -ESRCH: no such thread
 *         - -EOPNOTSUPP: the root is made up
 *         - -EACCES: /proc hides the thread (hidepid)
 *         - -EPERM: CAP_SYS_NICE or RLIMIT_RTPRIO missing, the thread's
 *           cgroup has no real-time runtime, or its deadline policy may not
 *           be changed
 *         - the journal's errors as in rtkvm_lease_set_knob()
 *
 * System calls: sched_getattr, sched_setscheduler, fdatasync and those of files.
 * RT class: set-up. Thread safety: one thread at a time per lease.
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
 *         the asked CPUs out (undone)
 *
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_lease_set_thread_cpus(struct rtkvm_lease *lease, pid_t tid, const char *cpus);

/**
 * Keep idle CPUs out of C-states that take longer than this to leave, for as
 * long as the lease lives (/dev/cpu_dma_latency, PM QoS).
 *
 * @param lease the lease
 * @param max_exit_us longest exit latency, microseconds; 0: no C-state at all
 * @return 0, with the host's limit read back as no longer than this; or
 *         -ENOENT (no such device here), -EACCES, -EBUSY (this lease holds one
 *         already), -EIO (the kernel shows a longer limit), -EOPNOTSUPP (the
 *         root is made up), -EINVAL, or the journal's errors as in
 *         rtkvm_lease_set_knob()
 *
 * The kernel ends it with the last copy of a descriptor that is internal to
 * the lease and close-on-exec: it does not go with rtkvm_lease_fd().
 *
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_lease_hold_cstate(struct rtkvm_lease *lease, int32_t max_exit_us);

/**
 * Name a process that owns the lease as long as it lives, so that the
 * descriptor may be closed: rtkvm_lease_leave(). Of several targets any keeps
 * it alive.
 *
 * @param lease the lease
 * @param pid the process; > 0
 * @return 0, or
 *         - -EINVAL: lease is NULL, or pid is not positive
 *         - -ESRCH: no such process
 *         - -EACCES: /proc hides it (hidepid)
 *         - -EOPNOTSUPP: the root is made up
 *         - the journal's errors as in rtkvm_lease_set_knob()
 *
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_lease_set_target(struct rtkvm_lease *lease, pid_t pid);

/**
 * Leave a lease to its target or to who has copies of its descriptor: frees
 * the object and changes nothing. rtkvm_lease_end() gives back one that has a
 * target.
 *
 * @param lease the lease; NULL is ignored
 *
 * RT class: set-up. Thread safety: no other thread may use the lease.
 */
RTKVM_API void rtkvm_lease_leave(struct rtkvm_lease *lease);

/**
 * Undo all changes of a lease in reverse order, remove its journal, free it.
 *
 * @param lease the lease; NULL is ignored and gives 0
 * @param report receives one item per change (verified: as before; off: not
 *        undone, with the reason); may be NULL
 * @return 0 when everything is as before, is gone with its thread, waits for
 *         another lease that turned it later, or was changed by someone else
 *         since and so left alone (then its item is a problem in the report);
 *         -EIO when something could not be undone: its journal stays for
 *         rtkvm_restore(); -ENOMEM: all was done, but *report is NULL. The
 *         lease is freed in every case.
 *
 * Waits up to 10 s for a restore that is running.
 *
 * RT class: set-up. Thread safety: no other thread may use the lease.
 */
RTKVM_API int rtkvm_lease_release(struct rtkvm_lease *lease, struct rtkvm_report **report);

/**
 * Undo what dead owners left: every journal of the state directory whose lock
 * nobody holds. Journals of another boot are reported and dropped (the reboot
 * undid their changes); damaged, forged or foreign ones change nothing, stay,
 * and are reported. One that ends within a record is undone up to there: a
 * change is made only after its record is complete.
 *
 * Threads are known by their number and start time, and only in the pid
 * namespace of their journal: those of another one are left for it.
 *
 * @param rt the context
 * @param report receives what was done, also with -EIO; may be NULL
 * @return 0 when all is given back, or left alone because someone else changed
 *         it since (then its item is a problem in the report), also when there
 *         is nothing to do;
 *         - -EIO: something could not be undone or was refused; see report
 *         - -EBUSY: another restore has been running for 10 s
 *         - -EACCES, -EPERM, -ELOOP, -ENOTDIR, -ENOENT, -EILSEQ: state
 *           directory or boot id, as in rtkvm_lease_new()
 *         - -EINVAL: rt is NULL, or no state directory is known
 *         - -ENOMEM
 *
 * It looks at no more than 4096 files and 256 dead leases at once and says so
 * when there were more; then call it again.
 *
 * RT class: set-up. Thread safety: any thread and process; two at once take
 * turns.
 */
RTKVM_API int rtkvm_restore(struct rtkvm *rt, struct rtkvm_report **report);

/**
 * rtkvm_restore() that takes the target of one lease for ended: gives back a
 * lease that belongs to a process by name (struct rtkvm_cpu_request.target)
 * before that process ends.
 *
 * @param rt the context
 * @param name of the lease; all that have it
 * @param report as in rtkvm_restore(); may be NULL
 * @return as rtkvm_restore(); -ENOENT: there is none; -EBUSY: its owner has it
 *         by an open descriptor; -EINVAL: rt or name is NULL, or not a name
 *
 * RT class: set-up. Thread safety: any thread and process.
 */
RTKVM_API int rtkvm_lease_end(struct rtkvm *rt, const char *name, struct rtkvm_report **report);

/**
 * What is leased now: per journal its name, owner and each change, with
 * whether it is still in effect. Changes nothing.
 *
 * @param rt the context
 * @param report receives the items; may not be NULL
 * @return 0, or as rtkvm_restore(); -EIO: some journals were refused, see
 *         report
 *
 * An item is a problem when its owner is gone, when someone else changed what
 * a living lease set, or when it cannot be read. A lease whose threads are or
 * were watched (rtkvm_watch_new()) has an item "NAME/watch": verified with the
 * number of the process that watches, off when none does; then threads made
 * from now on are not placed. It is a problem when that process was killed.
 *
 * RT class: set-up. Thread safety: any thread and process.
 */
RTKVM_API int rtkvm_status(struct rtkvm *rt, struct rtkvm_report **report);

#ifdef __cplusplus
}
#endif

#endif
