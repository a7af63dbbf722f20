/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file cpu.h
 * CPU leases: CPUs taken out of Linux's way for a VM, and given back.
 *
 * A CPU lease is a lease (lease.h) that claims CPUs: of all processes that
 * use the same state directory only one gets a CPU. There is no daemon: who
 * asks takes turns by a kernel lock, gives back what dead owners left, and
 * reads the claims of the living from their journals. An ordinary user has a
 * state directory of his own and gets no CPU that root leased.
 *
 * What can be moved off the CPUs is moved: threads and movable kernel threads,
 * interrupts and the default for new ones, unbound kernel workers (writeback
 * among them), RPS and XPS. Timers of other CPUs stay away, the CPUs stay
 * out of C-states and at full frequency. Each change is journaled first, read
 * back, and undone by the release. What cannot be moved is named in the report, with the
 * boot parameter that would.
 *
 * On release CPUs are put back into each set that they were taken out of. A
 * set that somebody else changed meanwhile is left alone and reported.
 *
 * In reports: "cpus", "mode", "irqs", "threads", "workqueues", ... one item
 * each for what was moved; "claims" for CPUs claimed ahead; "irq 24", "kernel threads", "kernel timers", "tick" for
 * what was not; "irqbalance" where it runs, "resctrl" where it was asked for.
 */
#ifndef RTKVM_CPU_H
#define RTKVM_CPU_H

#include <stdint.h>
#include <sys/types.h>

#include <rtkvm/context.h>
#include <rtkvm/lease.h>
#include <rtkvm/report.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A CPU lease. Opaque. */
struct rtkvm_cpu_lease;

/** How far CPUs are taken away. */
enum {
	RTKVM_CPU_BEST = 0,      /**< partition where there is one, else affinity */
	RTKVM_CPU_AFFINITY = 1,  /**< everything that can be is moved; new threads may come */
	RTKVM_CPU_PARTITION = 2, /**< also a cpuset of their own: an isolated partition of
				  *   cgroup v2, or an exclusive cpuset of v1 */
	RTKVM_CPU_OFFLINE = 3    /**< taken offline: nothing of Linux runs there. A vCPU does by
				  *   rtkvm_vcpu_dedicate() with a kernel that has dedicated CPUs;
				  *   with another it brings its CPU online again */
};

/** Flags of a request. */
enum {
	RTKVM_CPU_WHOLE_CORES = 1 << 0, /**< with all SMT siblings; they count */
	RTKVM_CPU_CPU0 = 1 << 1,        /**< CPU 0 may be among them, which otherwise never is:
					 *   much of the kernel's own work is tied to it */
	RTKVM_CPU_ONE_CACHE = 1 << 2,   /**< all below the same last-level cache */
	RTKVM_CPU_STRICT = 1 << 3,      /**< fail when something that is in the way stays */
	RTKVM_CPU_NO_FAIR_SERVER = 1 << 4, /**< switch the fair server of these CPUs off: a
					    *   real-time thread may then starve the others
					    *   there for ever. Not for the whole host. */
	RTKVM_CPU_ALLOW_CSTATES = 1 << 5, /**< leave C-states and frequencies as they are */
	RTKVM_CPU_HOTPLUG = 1 << 6       /**< take each CPU offline and online again: the kernel's
					  *   own timers that start again and again where they
					  *   are leave it, which nothing else does. Stops
					  *   all CPUs of the host for a moment (stop_machine).
					  *   Not with cgroup v1, which would take the CPU out
					  *   of all cpusets for good. */
};

/** What is asked for. Always initialise with rtkvm_cpu_request_init(). */
struct rtkvm_cpu_request {
	size_t size;             /**< set by rtkvm_cpu_request_init() */
	const char *name;        /**< of the lease, as in rtkvm_lease_new(); default "cpus" */
	const char *cpus;        /**< exactly these (CPU list); NULL: see count */
	const char *near_device; /**< PCI address "0000:05:00.0": on its NUMA node; NULL: any */
	uint32_t count;          /**< how many, if cpus is NULL; default 1, at most 8191 */
	int32_t node;            /**< NUMA node; default -1: any, but one if possible */
	int32_t mode;            /**< RTKVM_CPU_*; default RTKVM_CPU_BEST */
	uint32_t flags;          /**< RTKVM_CPU_WHOLE_CORES and so on */
	int32_t target;          /**< process that owns the lease as long as it lives, so that
				  *   the descriptor may be closed; default 0: the descriptor */
	uint32_t pad;            /**< 0 */
	const char *schemata;    /**< resctrl group for the CPUs: lines as of its file "schemata",
				  *   "L3:0=ff0\nMB:0=50", joined by line feeds or '|';
				  *   default NULL: none */
	uint64_t reserved[3];    /**< 0 */
};

/**
 * Fill in the defaults of a request.
 *
 * @param request the struct; NULL is ignored
 * @param size sizeof(struct rtkvm_cpu_request) as the caller was compiled
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API void rtkvm_cpu_request_init(struct rtkvm_cpu_request *request, size_t size);

/**
 * Lease CPUs. CPUs that the boot isolated (isolcpus, nohz_full) come first,
 * then those with the highest numbers. One CPU at least is left to the rest.
 *
 * @param rt the context
 * @param request what is asked for; NULL: one CPU
 * @param lease receives the lease, owned by the caller; NULL on error
 * @return 0, also when something stays on the CPUs that cannot be moved (see
 *         rtkvm_cpu_lease_report()); else a negative errno, and the host as
 *         it was:
 *         - -EINVAL: rt or lease is NULL; the request is malformed, names CPUs
 *           that are not online, or CPU 0 without RTKVM_CPU_CPU0
 *         - -E2BIG: the request is newer than the library
 *         - -EBUSY: too few free CPUs of that kind, or one of those named is
 *           leased; or another process held the state directory for 10 s
 *         - -ENODEV: no such PCI device or NUMA node
 *         - -ESRCH: no such target
 *         - -EOPNOTSUPP: RTKVM_CPU_PARTITION without a cpuset controller
 *         - -EPERM, -EACCES: RTKVM_CPU_PARTITION or _OFFLINE without root
 *         - -EIO: the kernel refused the partition, or to take a CPU offline;
 *           with RTKVM_CPU_STRICT: something stayed
 *         - those of rtkvm_lease_new() and rtkvm_lease_set_knob()
 *
 * Without root: threads of this user are moved off the CPUs, as far as the
 * kernel allows; the rest is reported as off.
 *
 * The calling process is moved off the CPUs like all others: its vCPU threads
 * get there by rtkvm_cpu_lease_add_thread().
 *
 * System calls: those of files; flock, fdatasync, fsync, getrandom,
 * sched_getaffinity, sched_setaffinity; socket, connect, sendmsg and read where
 * irqbalance runs; about 45 per thing moved and given back.
 * RT class: set-up. Thread safety: any thread; a lease is used by one thread
 * at a time.
 */
RTKVM_API int rtkvm_cpu_lease_acquire(struct rtkvm *rt, const struct rtkvm_cpu_request *request,
				      struct rtkvm_cpu_lease **lease);

/**
 * Use a lease that another process took and passed on, by inheritance or
 * SCM_RIGHTS of rtkvm_cpu_lease_fd(). Its owner then is who has the descriptor
 * open last; needs no privilege.
 *
 * @param rt the context
 * @param fd the descriptor; a copy is made
 * @param lease receives the lease, owned by the caller; NULL on error
 * @return 0, or
 *         - -EINVAL: rt or lease is NULL
 *         - -EBADF, -EBADMSG: not the descriptor of a CPU lease
 *         - -ENOMEM, -EMFILE
 *
 * Releasing such a lease closes the copy. What was changed is given back when
 * all copies are closed, by the next caller of any lease function of the user
 * who took it.
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_cpu_lease_from_fd(struct rtkvm *rt, int fd, struct rtkvm_cpu_lease **lease);

/**
 * The descriptor whose open copies own the lease; see rtkvm_lease_fd().
 *
 * @return the descriptor, owned by the lease; -EINVAL for NULL
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API int rtkvm_cpu_lease_fd(const struct rtkvm_cpu_lease *lease);

/**
 * Claim a CPU of an offline lease ahead, for a VMM without privilege: the CPU is a
 * dedicated one from now on, and who has its descriptor may have a vCPU run there
 * (rtkvm_vcpu_dedicate()). Pass it with that of rtkvm_cpu_lease_fd(), by inheritance
 * or SCM_RIGHTS; there it is given to rtkvm_cpu_lease_add_claim(). The CPU is free when
 * the last copy is closed and no vCPU has it.
 *
 * @param lease the lease
 * @param index which CPU, as in rtkvm_cpu_lease_get_cpu()
 * @return the descriptor (close-on-exec), owned by the lease until it ends or is left; the
 *         same when called again; or
 *         - -EINVAL: lease is NULL or index out of range; or somebody brought the CPU
 *           online
 *         - -EOPNOTSUPP: the lease is not offline, or the CPU was brought online again;
 *           the kernel has no dedicated CPUs; the root is made up
 *         - -EPERM, -EACCES: not root (CAP_SYS_ADMIN)
 *         - -EBUSY: something else has the CPU, or the machine is about to suspend
 *         - -ENODEV, -EIO: the CPU was never online; does not answer
 *         - -ENOMEM, -EMFILE
 *
 * System calls: open, ioctl, close; those of files.
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_cpu_lease_claim(struct rtkvm_cpu_lease *lease, uint32_t index);

/**
 * Use a CPU that another process claimed and passed on (rtkvm_cpu_lease_claim()):
 * rtkvm_vcpu_dedicate() with this lease then needs no privilege for it.
 *
 * @param lease the lease, as a rule of rtkvm_cpu_lease_from_fd()
 * @param fd the descriptor; a copy is made, and kept until the lease ends
 * @return the number of the CPU, or
 *         - -EINVAL: lease is NULL
 *         - -EBADF, -EBADMSG: not the descriptor of a claimed CPU
 *         - -EXDEV: it is of a CPU that is not of this lease
 *         - -EEXIST: the lease has one of that CPU
 *         - -ENOMEM, -EMFILE
 *
 * System calls: ioctl, fcntl.
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_cpu_lease_add_claim(struct rtkvm_cpu_lease *lease, int fd);

/** Number of CPUs; 0 for NULL. RT class: RT-safe. Thread safety: any thread. */
RTKVM_API uint32_t rtkvm_cpu_lease_get_count(const struct rtkvm_cpu_lease *lease);

/**
 * The CPU of that index, in ascending order.
 *
 * @return its number; -EINVAL: lease is NULL or index too large
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API int rtkvm_cpu_lease_get_cpu(const struct rtkvm_cpu_lease *lease, uint32_t index);

/**
 * The NUMA node of its CPUs, for rtkvm_memory_prepare() and RTKVM_KNOB_HUGEPAGES_2M.
 *
 * @return the node; -EINVAL: lease is NULL; -EXDEV: they are on more than one;
 *         -ENODEV: the kernel shows no nodes
 *
 * System calls: those of files. RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_cpu_lease_get_node(const struct rtkvm_cpu_lease *lease);

/** The mode that it came to, one of RTKVM_CPU_*; -EINVAL for NULL. RT class: RT-safe. */
RTKVM_API int rtkvm_cpu_lease_get_mode(const struct rtkvm_cpu_lease *lease);

/**
 * Put a thread on leased CPUs: with a partition into its cpuset, then by
 * affinity. It stays there until the lease ends.
 *
 * @param lease the lease
 * @param tid the thread; 0: the calling one
 * @param index one CPU of the lease, as in rtkvm_cpu_lease_get_cpu(); -1: all
 * @return 0, with the affinity read back; or
 *         - -EINVAL: lease is NULL, tid or index out of range
 *         - -ESRCH: no such thread
 *         - -EOPNOTSUPP: the CPU is offline; the root is made up; or
 *           the thread's process is in a cgroup below the root, from which
 *           cgroup v2 lets no thread into the partition
 *         - -EPERM, -EACCES: not allowed
 *         - -EIO: the kernel shows another affinity
 *
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_cpu_lease_add_thread(struct rtkvm_cpu_lease *lease, pid_t tid, int index);

/**
 * Take a CPU of an offline lease online again, and keep it leased: for a vCPU
 * that cannot run on a CPU that is offline (rtkvm_vm_go_realtime() does it for
 * one that was refused). The CPU is then as with RTKVM_CPU_AFFINITY. With the
 * last one that was offline the mode of the lease becomes what RTKVM_CPU_BEST
 * gives; until then it stays RTKVM_CPU_OFFLINE.
 *
 * @param lease the lease
 * @param index which CPU, as in rtkvm_cpu_lease_get_cpu()
 * @return 0, also when it is online already; or
 *         - -EINVAL: lease is NULL or index out of range
 *         - -EPERM: the lease came by a descriptor: only who took it can
 *         - -EBUSY: the CPU is dedicated, a vCPU runs there; or another process
 *           held the state directory for 10 s
 *         - -EIO: the kernel refused
 *         - the journal's errors
 *
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_cpu_lease_bring_online(struct rtkvm_cpu_lease *lease, uint32_t index);

/**
 * What became of the lease, and what is on its CPUs now: looked at anew. A
 * thread or an interrupt that has come, a mask that somebody changed, a CPU
 * that went offline are problems.
 *
 * @param lease the lease
 * @param report receives the items; may not be NULL
 * @return 0, -EINVAL (NULL), or -ENOMEM
 *
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_cpu_lease_report(struct rtkvm_cpu_lease *lease, struct rtkvm_report **report);

/**
 * Move away again what came since, and turn back nothing that somebody else
 * changed otherwise. Only by who took the lease.
 *
 * @param lease the lease
 * @param report receives the state after that; may be NULL
 * @return as rtkvm_cpu_lease_report(), and -EPERM for a lease from a descriptor,
 *         or the journal's errors
 *
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_cpu_lease_repair(struct rtkvm_cpu_lease *lease, struct rtkvm_report **report);

/**
 * Notice drift: a descriptor that becomes readable when CPUs come or go
 * (uevents of the kernel) and each interval, as the kernel has no event for a
 * new thread or a changed mask. Then call rtkvm_cpu_lease_dispatch().
 *
 * @param lease the lease
 * @param interval_ms between two looks, milliseconds, 10 to 3600000
 * @return the descriptor, owned by the lease (a later call closes it); or
 *         -EINVAL, -EMFILE, -ENOMEM
 *
 * System calls: epoll_create1, epoll_ctl, timerfd_create, timerfd_settime, socket, bind.
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_cpu_lease_watch(struct rtkvm_cpu_lease *lease, uint32_t interval_ms);

/**
 * Look, after the descriptor of rtkvm_cpu_lease_watch() became readable. Does
 * not block, and repairs nothing (rtkvm_cpu_lease_repair()).
 *
 * @param lease the lease
 * @param report receives the state; may be NULL
 * @return 1: something drifted, see report; 0: all is well; -EINVAL: nothing
 *         is watched; or as rtkvm_cpu_lease_report()
 *
 * RT class: set-up. Thread safety: one thread at a time per lease.
 */
RTKVM_API int rtkvm_cpu_lease_dispatch(struct rtkvm_cpu_lease *lease,
				       struct rtkvm_report **report);

/**
 * End a lease: undo everything, verify it, let others have the CPUs.
 *
 * @param lease the lease; NULL is ignored and gives 0
 * @param report as in rtkvm_lease_release(); may be NULL
 * @return as rtkvm_lease_release()
 *
 * A CPU on which a vCPU still runs cannot come online: it is waited for 5 s,
 * then reported, with -EIO, and left to the next rtkvm_restore(). Free the VM
 * and close its vCPUs first.
 *
 * Threads that were put on the CPUs go back to the CPUs that they had. With a
 * target the lease stays as long as the target lives; use
 * rtkvm_cpu_lease_leave() to let go of it before.
 *
 * RT class: set-up. Thread safety: no other thread may use the lease.
 */
RTKVM_API int rtkvm_cpu_lease_release(struct rtkvm_cpu_lease *lease,
				      struct rtkvm_report **report);

/**
 * Leave a lease to its target or to who has copies of its descriptor: frees
 * the object and changes nothing.
 *
 * @param lease the lease; NULL is ignored
 *
 * RT class: set-up. Thread safety: no other thread may use the lease.
 */
RTKVM_API void rtkvm_cpu_lease_leave(struct rtkvm_cpu_lease *lease);

#ifdef __cplusplus
}
#endif

#endif
