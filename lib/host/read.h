/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading for checks: file access of core/file.h with verdicts. What is not
 * there is "not applicable" only when the folder that would hold it is; an
 * empty tree tells nothing.
 */
#ifndef RTKVM_HOST_READ_H
#define RTKVM_HOST_READ_H

#include "core/file.h"
#include "host.h"

/* A small text; 0 or -errno, quiet. */
int host_text(struct host_facts *facts, const char *path, char *buf, size_t size);

/* At most size - 1 bytes from the start of a text file; length or -errno. */
ssize_t host_head(struct host_facts *facts, const char *path, char *buf, size_t size);

/* A whole text of unknown length, allocated; at most max bytes. 0 or -errno. */
int host_long_text(struct host_facts *facts, const char *path, size_t max, char **text);

/*
 * A whole file that may hold NUL bytes, allocated and ended by one more; some
 * four times max bytes at most. 0 or -errno.
 */
int host_blob(struct host_facts *facts, const char *path, size_t max, char **data, size_t *len);

/* Bytes at an offset of a device or file (msr(4), cpu_dma_latency). 0 or -errno. */
int host_bytes(struct host_facts *facts, const char *path, off_t offset, void *buf, size_t size);

/* A whole number, decimal. 0, -EILSEQ or -errno. */
int host_number(struct host_facts *facts, const char *path, int64_t *value);

/* Is there something at that path? 1, 0, or -errno where that cannot be seen. */
int host_look(struct host_facts *facts, const char *path);

/* The same; what cannot be seen counts as there: its absence tells nothing. */
bool host_exists(struct host_facts *facts, const char *path);

/* May the file be written by its owner at all (module parameters)? */
bool host_writable(struct host_facts *facts, const char *path);

/* A set of CPUs; err in it. "(null)" is the kernel's empty set. */
void host_cpu_list(struct host_facts *facts, const char *path, struct host_cpus *cpus);
void host_cpu_mask(struct host_facts *facts, const char *path, struct host_cpus *cpus);

/*
 * The same for a check that can go on only with the value. false: the finding
 * is filled in. folder: what shows that the file is left out by this kernel or
 * machine (then: not applicable, "ABSENT"); NULL: missing is unknown.
 */
bool host_need_text(struct host_facts *facts, struct host_finding *f, const char *path,
		    const char *folder, const char *absent, char *buf, size_t size);
bool host_need_number(struct host_facts *facts, struct host_finding *f, const char *path,
		      const char *folder, const char *absent, int64_t *value);
bool host_need_mask(struct host_facts *facts, struct host_finding *f, const char *path,
		    const char *folder, const char *absent, struct rtkvm_cpus *cpus);

/*
 * Walk a folder: fn is called with each name but those that begin with a dot,
 * sorted by number, then by name, until it returns something else than 0.
 * Returns that, or -errno. At most 65536 names.
 */
int host_each(struct host_facts *facts, const char *path,
	      int (*fn)(struct host_facts *facts, const char *name, void *arg), void *arg);

#endif
