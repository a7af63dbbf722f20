/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sets of CPUs in the kernel's two spellings: list "0,2-3" and mask
 * "3,ffffffff". Not libnuma's parser: that prints to stderr, and reads the
 * real /sys also when the context has a made-up tree.
 */
#ifndef RTKVM_CPULIST_H
#define RTKVM_CPULIST_H

#include <sched.h>

#include "core.h"

/* The kernel's largest CONFIG_NR_CPUS on x86. */
#define RTKVM_MAX_CPUS 8192
#define RTKVM_CPULIST_WORDS (RTKVM_MAX_CPUS / 64)

/* Room for any set spelled as a mask; a list of more is refused by _print. */
#define RTKVM_CPULIST_TEXT 4096

struct rtkvm_cpus {
	unsigned long bits[RTKVM_CPULIST_WORDS];
};

void rtkvm_cpus_clear(struct rtkvm_cpus *cpus);
void rtkvm_cpus_add(struct rtkvm_cpus *cpus, unsigned int cpu);
bool rtkvm_cpus_has(const struct rtkvm_cpus *cpus, unsigned int cpu);
bool rtkvm_cpus_equal(const struct rtkvm_cpus *a, const struct rtkvm_cpus *b);
bool rtkvm_cpus_subset(const struct rtkvm_cpus *part, const struct rtkvm_cpus *whole);
void rtkvm_cpus_and(struct rtkvm_cpus *cpus, const struct rtkvm_cpus *other);
unsigned int rtkvm_cpus_count(const struct rtkvm_cpus *cpus);

/* The lowest CPU >= from, or -1. */
int rtkvm_cpus_next(const struct rtkvm_cpus *cpus, unsigned int from);

/*
 * Parsers: 0, or -EINVAL with *position (may be NULL) the offset of the
 * first wrong character. An empty text is the empty set. List elements are
 * N or N-M; the kernel's N-M:used/group is understood as well.
 */
int rtkvm_cpus_parse_list(const char *text, struct rtkvm_cpus *cpus, size_t *position);
int rtkvm_cpus_parse_mask(const char *text, struct rtkvm_cpus *cpus, size_t *position);

/* Printers: the length, or -ENOSPC. */
int rtkvm_cpus_print_list(const struct rtkvm_cpus *cpus, char *buf, size_t size);
int rtkvm_cpus_print_mask(const struct rtkvm_cpus *cpus, char *buf, size_t size);

#endif
