/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file memory.h
 * Memory of a VM without page faults: placed on a NUMA node, kept away from
 * KSM and khugepaged (this memory alone, not the host's), populated, locked; and a count of the page faults of a thread since.
 *
 * The memory is the caller's mapping and stays so; nothing outlives it, so no
 * lease is needed. Huge pages are reserved by a lease (RTKVM_KNOB_HUGEPAGES_2M)
 * and mapped by the caller (MAP_HUGETLB, memfd_create(2)).
 */
#ifndef RTKVM_MEMORY_H
#define RTKVM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <rtkvm/context.h>
#include <rtkvm/report.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What rtkvm_memory_prepare() does, and its report's items. */
enum {
	RTKVM_MEMORY_BIND = 1 << 0,     /**< "bind": pages come from the node of the request */
	RTKVM_MEMORY_NO_KSM = 1 << 1,   /**< "no-ksm": never merged by KSM */
	RTKVM_MEMORY_PREFAULT = 1 << 2, /**< "prefault": every page is there, writable */
	RTKVM_MEMORY_LOCK = 1 << 3,     /**< "lock": no page goes away */
	RTKVM_MEMORY_THP = 1 << 4,      /**< "thp": transparent huge pages, where the kernel has some
					 *   (PREEMPT_RT has none); not with _NO_THP */
	RTKVM_MEMORY_NO_THP = 1 << 5    /**< "no-thp": khugepaged leaves its pages alone, as no
					 *   page of it is to be replaced by a huge one later */
};

/**
 * Called between pieces of 64 MiB.
 *
 * @param done bytes that are populated
 * @param total bytes in all
 * @param arg progress_arg of the request
 * @return 0 to go on; anything else ends it with -ECANCELED
 */
typedef int rtkvm_memory_progress_fn(size_t done, size_t total, void *arg);

/** What is asked for. Always initialise with rtkvm_memory_request_init(). */
struct rtkvm_memory_request {
	size_t size;                        /**< set by rtkvm_memory_request_init() */
	uint32_t features;                  /**< RTKVM_MEMORY_*; default: _NO_KSM, _PREFAULT, _LOCK */
	int32_t node;                       /**< for RTKVM_MEMORY_BIND, 0 to 1023; default -1 */
	rtkvm_memory_progress_fn *progress; /**< NULL: none */
	void *progress_arg;                 /**< handed to progress */
	uint64_t reserved[4];               /**< 0 */
};

/**
 * Fill in the defaults of a request.
 *
 * @param request the struct; NULL is ignored
 * @param size sizeof(struct rtkvm_memory_request) as the caller was compiled
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API void rtkvm_memory_request_init(struct rtkvm_memory_request *request, size_t size);

/**
 * Make a mapping ready for a real-time guest, before it is given to KVM.
 *
 * @param rt the context
 * @param address start of the mapping, a multiple of the page size
 * @param length bytes, a multiple of the page size, not 0
 * @param request what to do; NULL for the defaults
 * @param report receives an item per feature asked for: verified (the kernel
 *        shows it), accepted, or off with the reason; may be NULL
 * @return 0 when everything asked for was done, or the first error, after
 *         which the later features were tried all the same:
 *         - -EINVAL: rt or address is NULL, not page-aligned, a malformed
 *           request, or no such node
 *         - -E2BIG: the request is newer than the library
 *         - -ENOMEM: part of the range is not mapped, RLIMIT_MEMLOCK is too
 *           low, or there is no memory (of that node)
 *         - -EPERM: no right to lock memory
 *         - -EFAULT, -EHWPOISON: pages that cannot be populated
 *         - -EIO: the kernel shows other than asked for
 *         - -EOPNOTSUPP: a kernel without transparent huge pages
 *         - -ECANCELED: progress wanted no more
 *
 * System calls: mbind, get_mempolicy, madvise, mlock, mincore, those of files. Populating
 * and locking take as long as the memory is large.
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_memory_prepare(struct rtkvm *rt, void *address, size_t length,
				   const struct rtkvm_memory_request *request,
				   struct rtkvm_report **report);

/** Page faults of a thread up to a moment. Set size to its sizeof before use. */
struct rtkvm_faults {
	size_t size;    /**< sizeof(struct rtkvm_faults) */
	uint64_t minor; /**< without reading from a disk */
	uint64_t major; /**< with it */
};

/**
 * Page faults of the calling thread since it began. Two calls bracket what
 * must not fault: the difference has to be 0. Faults of a guest that KVM
 * resolves in this thread do not count as its own.
 *
 * @param faults receives the counts
 * @return 0, or -EINVAL: faults is NULL or its size is wrong
 *
 * System calls: getrusage.
 * RT class: RT-safe (one system call, as announced). Thread safety: any thread.
 */
RTKVM_API int rtkvm_faults_get(struct rtkvm_faults *faults);

#ifdef __cplusplus
}
#endif

#endif
