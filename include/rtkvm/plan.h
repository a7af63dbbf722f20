/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file plan.h
 * The thread plan: policy, priority and CPUs of every thread of a VMM, those
 * that exist and those that will.
 *
 * The option string is that of the reference QEMU (Kiszka, "Towards Linux as
 * a Real-Time Hypervisor", 2009):
 *
 *     maxprio=P[,policy=ff|rr|ts][,aioprio=P][,aiopolicy=ff|rr|ts][,pvsched=on|off]
 *
 * Main and I/O threads run at maxprio, vCPUs one below, AIO workers at aioprio
 * (like main when nothing is said), helpers as SCHED_OTHER. Nothing is raised
 * before rtkvm_plan_go_realtime(): a guest that is real-time before it is up
 * starves its own boot.
 *
 * Real-time threads carry SCHED_RESET_ON_FORK, so that none of their children
 * inherits it. A child process made by fork(2) starts with the same plan and
 * without threads, not real-time; it never undoes what its parent did.
 *
 * What someone else changed is theirs: a thread whose policy, priority or CPUs
 * are not as the plan last set or saw them is left alone, when it is raised
 * and when it is undone, and reported. It is the plan's again when it enters a
 * role again.
 */
#ifndef RTKVM_PLAN_H
#define RTKVM_PLAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <rtkvm/context.h>
#include <rtkvm/lease.h>
#include <rtkvm/report.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A thread plan. Opaque. */
struct rtkvm_plan;

/** Watches a process and places its threads. Opaque. */
struct rtkvm_watch;

/** Roles of a VMM's threads. */
enum {
	RTKVM_ROLE_MAIN = 0,   /**< the main loop */
	RTKVM_ROLE_IO = 1,     /**< I/O threads; of the kernel vhost, kvm-pit, irq, napi */
	RTKVM_ROLE_VCPU = 2,   /**< threads that call KVM_RUN */
	RTKVM_ROLE_AIO = 3,    /**< asynchronous disk I/O workers that come and go */
	RTKVM_ROLE_HELPER = 4, /**< all the rest: always SCHED_OTHER */
	RTKVM_ROLE_COUNT = 5   /**< number of roles, not a role */
};

/** Guards, each of which refuses or warns; a mask for rtkvm_plan_allow(). */
enum {
	RTKVM_GUARD_OVERCOMMIT = 1,  /**< refuses: more vCPU threads than CPUs for them */
	RTKVM_GUARD_KTHREADS = 2,    /**< refuses: PREEMPT_RT with timer, softirq or RCU threads
				      *   of those CPUs below the plan (the guest would livelock) */
	RTKVM_GUARD_THROTTLE = 4,    /**< warns: RT throttling or the fair server will interrupt a
				      *   thread that does not sleep */
	RTKVM_GUARD_PRIVILEGE = 8,   /**< refuses: capability, rlimit or RT cgroup runtime missing */
	RTKVM_GUARD_TOP = 16,        /**< warns: maxprio 99, where the kernel's watchdog and
				      *   migration work runs */
	RTKVM_GUARD_ALL = 31
};

/** What a role runs as. */
struct rtkvm_role_sched {
	size_t size;      /**< sizeof(struct rtkvm_role_sched), set by the caller */
	int32_t policy;   /**< one of RTKVM_POLICY_* */
	int32_t priority; /**< 1 to 99, 0 for RTKVM_POLICY_TS */
	uint64_t reserved[2]; /**< 0 */
};

/**
 * Read a plan from its option string.
 *
 * Options come in any order, each once. Also understood: "paioprio" for
 * aioprio, "fifo" for ff, "other" for ts. The policy is ff when it is not
 * given. With an RT policy maxprio is 2 to 99 (a vCPU needs a level below it),
 * with ts 0 to 99 (then it only bounds pvsched). AIO has the policy of main
 * when nothing is said. aioprio is 1 to maxprio with an RT policy for AIO,
 * maxprio when nothing is said; it has to be given when main is ts and AIO is
 * not. With ts for AIO it is 0 or not given. Numbers are plain decimals: no
 * sign, no blanks, no leading zeros.
 *
 * @param rt the context; the plan keeps using it
 * @param text the option string
 * @param plan receives the plan, owned by the caller; NULL on error
 * @return 0, or -EINVAL (the error names the position, counted from 1, and
 *         what was expected there), -ENOMEM
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_plan_parse(struct rtkvm *rt, const char *text, struct rtkvm_plan **plan);

/**
 * Write a plan as an option string, in the reference spelling and order.
 * Reading it again gives an equal plan.
 *
 * @param plan the plan
 * @param buf receives the text, terminated; may be NULL if len is 0
 * @param len size of buf, bytes
 * @return length of the whole text without the terminator, as snprintf(3);
 *         -EINVAL if plan is NULL
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API int rtkvm_plan_print(const struct rtkvm_plan *plan, char *buf, size_t len);

/**
 * Undo the plan (rtkvm_plan_undo()) and free it; NULL is ignored. Watches of
 * the plan must have been freed before.
 */
RTKVM_API void rtkvm_plan_free(struct rtkvm_plan *plan);

/**
 * What a role runs as once the plan is real-time.
 *
 * @param plan the plan
 * @param role one of RTKVM_ROLE_*
 * @param sched its size field set by the caller; receives the rest
 * @return 0, or -EINVAL
 */
RTKVM_API int rtkvm_plan_get_role(const struct rtkvm_plan *plan, int role,
				  struct rtkvm_role_sched *sched);

/**
 * The ceiling of a mutex that threads of the given roles use: the highest of
 * their priorities (rtkvm_mutex_init()).
 *
 * @param plan the plan
 * @param roles a mask: 1 << RTKVM_ROLE_MAIN and so on
 * @return 1 to 99, or
 *         - -EINVAL: plan is NULL, or no or an unknown role is in the mask
 *         - -ENOENT: none of the roles is real-time, so that there is no
 *           ceiling
 *
 * RT class: RT-safe when it succeeds. Thread safety: any thread.
 */
RTKVM_API int rtkvm_plan_get_ceiling(const struct rtkvm_plan *plan, unsigned int roles);

/** Top priority of the plan (maxprio), 0 to 99; -EINVAL for NULL. */
RTKVM_API int rtkvm_plan_get_maxprio(const struct rtkvm_plan *plan);

/** 1 if the plan asks for paravirtual scheduling, else 0; -EINVAL for NULL. */
RTKVM_API int rtkvm_plan_get_pvsched(const struct rtkvm_plan *plan);

/**
 * CPUs that the threads of a role run on; without it they keep theirs. CPUs
 * that a thread's cpuset does not have are told of in the report of
 * rtkvm_plan_go_realtime().
 *
 * @param plan the plan, not yet real-time
 * @param role one of RTKVM_ROLE_*
 * @param cpus CPU list, e.g. "2-3,5"; NULL: do not care
 * @return 0, -EINVAL (malformed, or no CPU of it is online), -EBUSY (already
 *         real-time), -ENOMEM
 */
RTKVM_API int rtkvm_plan_set_role_cpus(struct rtkvm_plan *plan, int role, const char *cpus);

/**
 * Place threads by name: a rule for rtkvm_watch_dispatch().
 *
 * The built-in rules give "kvm-pit/PID", "vhost-*", "irq/N-..." and
 * "napi/..." the role io and "kvm-nx-lpage-re*" the role helper; rules added
 * later win. A thread that no
 * rule names is a helper. Names are the VMM's word: whoever can name a thread
 * of it chooses its role.
 *
 * @param plan the plan
 * @param pattern shell pattern (fnmatch(3)) for /proc/PID/task/TID/comm, 1 to
 *        63 characters
 * @param role one of RTKVM_ROLE_*
 * @return 0, -EINVAL, -ENOMEM
 */
RTKVM_API int rtkvm_plan_add_rule(struct rtkvm_plan *plan, const char *pattern, int role);

/**
 * Override guards: what refused only warns, what warned is silent.
 *
 * @param plan the plan
 * @param guards mask of RTKVM_GUARD_*
 * @return 0, or -EINVAL for an unknown bit
 */
RTKVM_API int rtkvm_plan_allow(struct rtkvm_plan *plan, unsigned int guards);

/**
 * Ask the guards without raising anything. They look at vCPUs only when those
 * are real-time. Facts are read below the context's root directory, privileges
 * are those of the process.
 *
 * @param plan the plan
 * @param vcpus number of vCPU threads that there will be; 0: those that
 *        entered so far. Those whose guests run on dedicated CPUs
 *        (rtkvm_vcpu_dedicate()) are not counted: they sleep meanwhile
 * @param report receives an item per guard: "guard-overcommit",
 *        "guard-kthreads", "guard-throttle", "guard-privilege", "guard-top".
 *        verified: nothing to object; off: it objects (a problem unless a
 *        warning is overridden); unverifiable: the facts cannot be read. May
 *        be NULL
 * @return 0 when rtkvm_plan_go_realtime() would go ahead;
 *         -EPERM when it would be refused (the error names the first guard),
 *         -EINVAL, -ENOMEM
 *
 * System calls: getpid, capget, prlimit64, openat, newfstatat, read, close, and
 * those of memory.
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_plan_check(struct rtkvm_plan *plan, unsigned int vcpus,
			       struct rtkvm_report **report);

/**
 * Enter a role with the calling thread: the first thing in each thread of a
 * VMM. While the plan is not real-time this registers the thread; afterwards
 * it also places it at once.
 *
 * @param plan the plan
 * @param role one of RTKVM_ROLE_*
 * @return 0, or
 *         - -EINVAL: plan is NULL or the role unknown
 *         - -EPERM: may not be raised; the error names the capability, rlimit
 *           or cgroup. The thread stays registered.
 *         - -EINVAL, -EIO: cannot run on the CPUs of the role, or the kernel
 *           did not do as it said. The thread stays registered.
 *         - -ENOMEM
 *
 * What the thread has when it enters is what undoing gives back. A thread
 * with SCHED_DEADLINE is registered and left alone.
 *
 * System calls: getpid, gettid, prctl(PR_GET_NAME), sched_getattr, futex when
 * another thread has the plan, and open, read, close of its stat in /proc
 * (which may be missing, in a jail); each time that the number of known threads
 * has doubled, tgkill and those of files for each, to forget those that ended;
 * once the plan is real-time also sched_setscheduler, sched_setaffinity,
 * sched_getaffinity.
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_thread_enter(struct rtkvm_plan *plan, int role);

/**
 * Leave the role: the calling thread gets back what it had, unless someone
 * else changed it since. A thread that just ends need not call it.
 *
 * @return 0, -ENOENT (did not enter), -EINVAL, -EIO (could not be given back;
 *         the role is left all the same)
 *
 * System calls: getpid, gettid, sched_getattr, openat, read, close of its stat in
 * /proc; once the plan is real-time also sched_setscheduler, sched_setaffinity,
 * sched_getaffinity; futex when another thread has the plan.
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_thread_leave(struct rtkvm_plan *plan);

/**
 * Real-time from now: asks the guards, locks memory (mlockall(2), current and
 * future, with an RT policy only), and raises every thread that entered, vCPUs
 * last. Threads that ended are forgotten.
 *
 * Call it from a thread of the plan, or one above its vCPUs: while it holds
 * the plan a vCPU thread that spins could hold it off.
 *
 * @param plan the plan
 * @param report receives an item per guard, per role that has threads
 *        ("role-vcpu"), and "memory"; may be NULL; given also on error
 * @return 0, or
 *         - -EPERM: a guard refused, and nothing was changed; or, with that
 *           guard overridden, the kernel did
 *         - -EALREADY: it is real-time already
 *         - -ENOMEM: memory cannot be locked (RLIMIT_MEMLOCK); nothing changed
 *         - -EINVAL: plan is NULL, or no CPU of a role is in a thread's cpuset
 *         - -EIO: the kernel did not do as it said
 *         On every error what was raised has been lowered again.
 *
 * System calls: those of rtkvm_plan_check(); mlockall, and per thread gettid, tgkill
 * (with signal 0), sched_getattr, sched_setscheduler, sched_getaffinity,
 * sched_setaffinity.
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_plan_go_realtime(struct rtkvm_plan *plan, struct rtkvm_report **report);

/**
 * 1 while the plan is real-time, else 0, also in a forked child.
 *
 * System calls: getpid. RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API int rtkvm_plan_is_realtime(const struct rtkvm_plan *plan);

/** A thread that entered a role or that a watch found. */
struct rtkvm_thread_info {
	size_t size;          /**< sizeof(struct rtkvm_thread_info), set by the caller */
	int32_t tid;          /**< its number */
	int32_t role;         /**< one of RTKVM_ROLE_* */
	int32_t policy;       /**< the kernel's number, now: RTKVM_POLICY_* or another (sched(7));
			       *   -1: cannot be read */
	int32_t priority;     /**< now: 1 to 99, 0 where the policy has none */
	int32_t as_planned;   /**< 1: the plan is real-time and these are the role's; else 0 */
	uint32_t pad;         /**< 0 */
	char name[64];        /**< its name when it entered or was found */
	uint64_t reserved[4]; /**< 0 */
};

/**
 * Walk through the threads of the plan, in the order of their numbers:
 *
 *     struct rtkvm_thread_info info = { .size = sizeof(info) };
 *
 *     while (rtkvm_plan_next_thread(plan, info.tid, &info) == 0)
 *             ...
 *
 * Threads that ended are left out. Threads of another process, and those that
 * neither entered a role nor were found by a watch, are not among them.
 *
 * @param plan the plan
 * @param after the thread before; 0 for the first
 * @param info its size field set by the caller; receives the rest
 * @return 0; -ENOENT: there are no more (no error text is left);
 *         -EINVAL: plan or info is NULL, after is negative, or size is wrong
 *
 * System calls: tgkill, sched_getattr, and those of files in /proc.
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_plan_next_thread(struct rtkvm_plan *plan, pid_t after,
				     struct rtkvm_thread_info *info);

/**
 * Give every placed thread back what it had, unless someone else changed it
 * since (then it is left alone and reported), and unlock memory if this plan
 * locked it. vCPUs first. Afterwards the plan can go real-time again.
 *
 * - Threads of other processes are not touched: their lease gives them back.
 * - Without CAP_SYS_NICE a thread keeps SCHED_RESET_ON_FORK, which only that
 *   capability may take off; it has no effect on a SCHED_OTHER thread whose
 *   nice value is not negative.
 * - Memory is unlocked with munlockall(2), which also drops what the process
 *   locked by itself after the plan went real-time. When it had locked or
 *   pinned memory before (VmLck; VFIO counts), only new mappings are left
 *   unlocked, and what is locked stays so; when it had locked future mappings
 *   itself, nothing is unlocked. The item "memory" says which.
 *
 * @param plan the plan
 * @param report receives what was done, and an item "thread-TID" for each that
 *        was left alone; may be NULL
 * @return 0; -EIO if a thread could not be given back (it can be tried again);
 *         -EINVAL, -ENOMEM
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_plan_undo(struct rtkvm_plan *plan, struct rtkvm_report **report);

/**
 * Watch a process, so that threads which do not enter a role themselves are
 * found and placed: AIO workers, library threads, and those the kernel makes
 * in the VMM's name.
 *
 * @param plan the plan
 * @param pid the process; 0: the caller's own
 * @param lease journals changes to another process (rtkvm_restore() undoes
 *        them), and must outlive the watch; may be NULL only for the caller's
 *        own process, where it is not used
 * @param watch receives the watch, owned by the caller; NULL on error
 * @return 0, or
 *         - -EINVAL: an argument is NULL or negative, pid is another process
 *           and there is no lease, or it is a thread's number
 *         - -ESRCH: no such process
 *         - -EACCES: may not look at it
 *         - -EMFILE, -ENFILE, -ENOMEM
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_watch_new(struct rtkvm_plan *plan, pid_t pid, struct rtkvm_lease *lease,
			      struct rtkvm_watch **watch);

/**
 * Let a watch place the kernel's threads of a PCI device of the VM as well:
 * those of its interrupts ("irq/NUMBER-*"; with PREEMPT_RT vfio-pci's have
 * them, too) and the NAPI threads ("napi/INTERFACE-*") of its network
 * interfaces. Without a device, threads of interrupts and NAPI are nobody's.
 *
 * Which there are is read anew by each dispatch: a guest makes interrupts
 * when its driver starts. An interrupt stays on the CPUs of its affinity; that
 * is a matter of the CPU lease. When it is changed the kernel moves the thread
 * there, off the CPUs of the role, and it is then left where it is.
 *
 * @param watch the watch
 * @param device address as in /sys/bus/pci/devices, such as "0000:05:00.0";
 *        copied. One that the watch has already changes nothing. A device that
 *        goes away later has no threads.
 * @return 0, or
 *         - -EINVAL: an argument is NULL, or it is no address
 *         - -ENODEV: no such PCI device
 *         - -ENOMEM
 *
 * RT class: set-up. Thread safety: one thread at a time per watch.
 */
RTKVM_API int rtkvm_watch_add_device(struct rtkvm_watch *watch, const char *device);

/**
 * Descriptor that polls readable (POLLIN) when rtkvm_watch_dispatch() should
 * be called: the interval is over, or another process has ended. Owned by the
 * watch. -EINVAL for NULL.
 */
RTKVM_API int rtkvm_watch_fd(const struct rtkvm_watch *watch);

/**
 * Time between two looks at the process, 1 to 60000 ms; 100 at first.
 *
 * @return 0 or -EINVAL
 */
RTKVM_API int rtkvm_watch_set_interval(struct rtkvm_watch *watch, unsigned int ms);

/**
 * Say which role a thread has, when the caller knows it better than its name
 * does: QMP tells the threads of vCPUs, for instance. Wins over rules, not over
 * a role that the thread entered itself. Takes effect at the next dispatch, and
 * ends with the thread.
 *
 * @param watch the watch
 * @param tid the thread, one of the process that is watched
 * @param role one of RTKVM_ROLE_*
 * @return 0, or
 *         - -EINVAL: watch is NULL, or the role unknown
 *         - -ESRCH: the process has no such thread
 *         - -EACCES: may not look at it
 *         - -ENOMEM
 *
 * RT class: set-up. Thread safety: one thread at a time per watch.
 */
RTKVM_API int rtkvm_watch_set_role(struct rtkvm_watch *watch, pid_t tid, int role);

/**
 * Real-time from now, for the threads of another process: as
 * rtkvm_plan_go_realtime(), but the guards are asked about that process (its
 * user's and its own limits, its cgroup, the CPUs of each of its vCPU threads), no
 * memory is locked (one process cannot lock another's), and it ends with a
 * dispatch. What is changed is the lease's.
 *
 * @param watch a watch of another process
 * @param report receives an item per guard, and "threads"; may be NULL; given
 *        also on error
 * @return 0, or
 *         - -EPERM: a guard refused, and nothing was changed
 *         - -EALREADY: the plan is real-time already
 *         - -EINVAL: watch is NULL, or of the caller's own process
 *         - -ESRCH: the process is gone
 *         - -EACCES, -ENOMEM: its threads cannot be listed
 *         - those of rtkvm_watch_dispatch(); what was placed is given back by
 *           the lease
 *         On error the plan is not real-time.
 *
 * RT class: set-up. Thread safety: one thread at a time per watch.
 */
RTKVM_API int rtkvm_watch_go_realtime(struct rtkvm_watch *watch, struct rtkvm_report **report);

/**
 * Look at the threads of the process now and place those that are not yet as
 * planned, once the plan is real-time. Those that existed when the call began
 * are placed when it returns, except as below.
 *
 * - A thread that entered a role keeps it; the others have one by
 *   rtkvm_watch_set_role(), or by their name (rtkvm_plan_add_rule()). A thread found above its role is lowered to it.
 *   SCHED_BATCH and SCHED_IDLE count as SCHED_OTHER.
 * - No thread is put above its role. A new thread has its maker's name at
 *   first, so a name that an older thread of the process has as well raises it
 *   only once it is 20 ms old and past its start (asleep in a system call, or
 *   50 ms of CPU time used); the descriptor gets readable for it after 20 ms.
 *   A thread that is renamed has its new role from the next dispatch on.
 * - What someone else changed after it was placed, and SCHED_DEADLINE threads,
 *   are left alone, and logged once.
 * - The kernel's threads "kvm-pit/PID", "vhost-PID" and
 *   "kvm-nx-lpage-recovery-PID" belong to the process if PID is its number or
 *   that of one of its threads, and those of devices by
 *   rtkvm_watch_add_device(). Placing them needs CAP_SYS_NICE.
 *
 * @param watch the watch
 * @param placed receives the number of threads placed by this call; may be
 *        NULL
 * @return 0, or
 *         - -ESRCH: the process is gone, or the caller is a forked child
 *         - -EPERM, -EINVAL, -EIO: a thread could not be placed (the error is
 *           of the first one); the others were. It is not tried again, so the
 *           next call does not fail because of it.
 *         - -EINVAL: watch is NULL
 *         - -EACCES, -ENOMEM: the threads cannot be listed
 *
 * RT class: set-up. Thread safety: one thread at a time per watch.
 */
RTKVM_API int rtkvm_watch_dispatch(struct rtkvm_watch *watch, unsigned int *placed);

/** End a watch; what it placed stays until rtkvm_plan_undo(). NULL is ignored. */
RTKVM_API void rtkvm_watch_free(struct rtkvm_watch *watch);

#ifdef __cplusplus
}
#endif

#endif
