/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file host.h
 * What this host, and a VM that runs on it, is like for real-time: a list of
 * checks, each with its verdict, the value that was measured, why it matters
 * and what to do.
 *
 * A probe reads; it changes nothing. It reads procfs, sysfs, debugfs where it
 * is mounted, /dev/kvm (it makes an empty VM and ends it), the model-specific
 * registers that msr(4) shows, all below the root of the context. What cannot
 * be read or understood is RTKVM_VERDICT_UNKNOWN with the reason, never a
 * guess. It works without privilege; a check says when root would see more.
 */
#ifndef RTKVM_HOST_H
#define RTKVM_HOST_H

#include <stddef.h>
#include <stdint.h>

#include <rtkvm/context.h>
#include <rtkvm/plan.h>
#include <rtkvm/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A probe and its results. Opaque; made by rtkvm_host_probe(). */
struct rtkvm_host;

/** The result of one check. Lives as long as its probe. */
struct rtkvm_check;

/** Verdicts of a check. */
enum {
	RTKVM_VERDICT_OK = 0,	      /**< as real-time wants it */
	RTKVM_VERDICT_WARN = 1,	      /**< costs latency now and then, or may */
	RTKVM_VERDICT_FAIL = 2,	      /**< real-time cannot be had this way */
	RTKVM_VERDICT_NOT_APPLICABLE = 3, /**< nothing here that it could be asked of */
	RTKVM_VERDICT_UNKNOWN = 4     /**< could not be found out; the reason says why */
};

/** What the text of a remedy is. */
enum {
	RTKVM_REMEDY_NONE = 0,	  /**< there is none, or none is needed */
	RTKVM_REMEDY_COMMAND = 1, /**< for a shell of root, as it stands */
	RTKVM_REMEDY_BOOT = 2,	  /**< to append to the kernel's command line, as it stands */
	RTKVM_REMEDY_MANUAL = 3	  /**< a sentence: firmware, kernel build, the VMM's configuration */
};

/** Sets of CPUs of rtkvm_host_get_cpus(). */
enum {
	RTKVM_CPUS_ONLINE = 0,
	RTKVM_CPUS_ISOLATED = 1,  /**< isolcpus= and isolated cpuset partitions */
	RTKVM_CPUS_NOHZ_FULL = 2,
	RTKVM_CPUS_REALTIME = 3,  /**< those that the checks are about; see rtkvm_host_options */
	RTKVM_CPUS_HOUSEKEEPING = 4 /**< online and not real-time */
};

/** Options of rtkvm_host_probe(). Initialise with rtkvm_host_options_init(). */
struct rtkvm_host_options {
	size_t size;	  /**< set by rtkvm_host_options_init() */
	uint32_t flags;	  /**< 0; none is defined yet */
	int32_t pid;	  /**< process of a running VM to look at; 0: none */
	const char *cpus; /**< CPUs meant for real-time, such as "2-3"; NULL: those that are
			   *   isolated or free of the tick */
	const struct rtkvm_plan *plan; /**< what the VM's threads should be; NULL: any real-time
					*   policy for vCPUs will do */
	const char *vm_facts; /**< what else the caller knows of the VM, lines "KEY=VALUE" as
			       *   rtkvm(1) lists them; NULL: nothing */
	const char *only;     /**< id of the only check to run; NULL: all */
	uint64_t reserved[4]; /**< 0 */
};

/**
 * Fill in the defaults: no VM, CPUs as isolated, all checks.
 *
 * @param options the struct; NULL is ignored
 * @param size sizeof(struct rtkvm_host_options) as the caller was compiled
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API void rtkvm_host_options_init(struct rtkvm_host_options *options, size_t size);

/**
 * Look at the host and run the checks.
 *
 * @param rt the context
 * @param options what to look at; NULL for the defaults. May be freed after
 *        the call; the plan is not kept.
 * @param host receives the results, owned by the caller; NULL on error
 * @return 0 (whatever the verdicts are), or a negative errno:
 *         - -EINVAL: rt or host is NULL, a flag is unknown, a CPU list or a
 *           fact is malformed, pid is negative, or options were not initialised
 *         - -ENOENT: there is no check of the name in only
 *         - -ESRCH: there is no process of that pid
 *         - -E2BIG: the options are newer than the library
 *         - -ENOMEM: out of memory
 *
 * System calls: open, read, fstat, readlink and directory reads, a number of
 * them that grows linearly with CPUs, IRQs and kernel threads; ioctl on
 * /dev/kvm.
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_host_probe(struct rtkvm *rt, const struct rtkvm_host_options *options,
			       struct rtkvm_host **host);

/** Free a probe and its results; NULL is ignored. RT class: set-up. */
RTKVM_API void rtkvm_host_free(struct rtkvm_host *host);

/** Number of checks that were run; 0 for NULL. */
RTKVM_API size_t rtkvm_host_count(const struct rtkvm_host *host);

/** Number of checks with that verdict; 0 for NULL. */
RTKVM_API size_t rtkvm_host_count_verdict(const struct rtkvm_host *host, int verdict);

/**
 * Walk through the results in the order of the table of checks.
 *
 * @param host the probe; NULL gives NULL
 * @param check the one before; NULL for the first
 * @return the next, or NULL after the last
 *
 * RT class: RT-safe. Thread safety: results do not change.
 */
RTKVM_API const struct rtkvm_check *rtkvm_host_next(const struct rtkvm_host *host,
						    const struct rtkvm_check *check);

/** The result of the check of that name, or NULL. */
RTKVM_API const struct rtkvm_check *rtkvm_host_find(const struct rtkvm_host *host, const char *id);

/**
 * A set of CPUs as the probe found it, as a list such as "0,2-3".
 *
 * @param host the probe
 * @param which one of RTKVM_CPUS_*
 * @param text receives the list
 * @param size room in text, bytes
 * @return length of the list, 0 for an empty one; -EINVAL: an argument is
 *         wrong; -ENODATA: it could not be read; -ENOSPC: text is too small
 *
 * RT class: RT-safe. Thread safety: results do not change.
 */
RTKVM_API int rtkvm_host_get_cpus(const struct rtkvm_host *host, int which, char *text,
				  size_t size);

/** NUMA node of a CPU; -ENODATA when it is not known, -EINVAL for NULL. RT-safe. */
RTKVM_API int rtkvm_host_get_node(const struct rtkvm_host *host, unsigned int cpu);

/** "ok", "warn", "fail", "not applicable", "unknown". Static storage. */
RTKVM_API const char *rtkvm_verdict_name(int verdict);

/** Id of a check, e.g. "cpu-isolated"; it never changes its meaning. "" for NULL, as below. */
RTKVM_API const char *rtkvm_check_id(const struct rtkvm_check *check);

/** "cpu", "sched", "memory", "irq", "virt" or "vm". */
RTKVM_API const char *rtkvm_check_category(const struct rtkvm_check *check);

/** What is checked, in a few words. */
RTKVM_API const char *rtkvm_check_title(const struct rtkvm_check *check);

/** One of RTKVM_VERDICT_*; RTKVM_VERDICT_UNKNOWN for NULL. */
RTKVM_API int rtkvm_check_verdict(const struct rtkvm_check *check);

/** What was measured, in one line of printable ASCII. */
RTKVM_API const char *rtkvm_check_value(const struct rtkvm_check *check);

/** Why it matters: what it does to latency. */
RTKVM_API const char *rtkvm_check_why(const struct rtkvm_check *check);

/** Where that is written: a kernel file, a man page, a paper. */
RTKVM_API const char *rtkvm_check_source(const struct rtkvm_check *check);

/** What to do; "" when nothing is to be done or nothing is known. */
RTKVM_API const char *rtkvm_check_remedy(const struct rtkvm_check *check);

/** What that text is, one of RTKVM_REMEDY_*. */
RTKVM_API int rtkvm_check_remedy_kind(const struct rtkvm_check *check);

/** 1 when root would have seen what this probe could not, else 0. */
RTKVM_API int rtkvm_check_needs_root(const struct rtkvm_check *check);

#ifdef __cplusplus
}
#endif

#endif
