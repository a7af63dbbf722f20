/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Texts of the kernel taken apart: no file, no verdict. Each is fuzzed.
 */
#ifndef RTKVM_HOST_PARSE_H
#define RTKVM_HOST_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cpulist.h"

/*
 * Value of the last "key=value" of a kernel command line (blanks may be quoted,
 * what follows "--" is init's). 1: copied; 0: not there; -EILSEQ: too long.
 * "key" alone gives "".
 */
int host_cmdline_get(const char *cmdline, const char *key, char *value, size_t size);

/* isolcpus=[flag,]...list. flags: bits below. 0 or -EINVAL. */
#define HOST_ISOL_NOHZ 1u
#define HOST_ISOL_DOMAIN 2u
#define HOST_ISOL_MANAGED_IRQ 4u
int host_isolcpus_parse(const char *text, unsigned int *flags, struct rtkvm_cpus *cpus);

/* The word in brackets of "a [b] c"; false: there is none, or it does not fit. */
bool host_bracketed(const char *text, char *word, size_t size);

/*
 * Soft limit of a line of /proc/PID/limits, such as "Max locked memory".
 * 0, -ENOENT or -EILSEQ; unlimited is UINT64_MAX.
 */
int host_limit_get(const char *limits, const char *name, uint64_t *value);

/* "Key:   value" of status, smaps_rollup or cpuinfo. false: not there or too long. */
bool host_key_get(const char *text, const char *key, char *value, size_t size);

/* The same, a number that may be followed by " kB". 0, -ENOENT, -EILSEQ. */
int host_key_number(const char *text, const char *key, uint64_t *value);

/* Major and minor of a release "6.12.9-rt1". */
bool host_release_parse(const char *text, unsigned int *major, unsigned int *minor);

/*
 * One row of debugfs' irq/domains/VECTOR: "  CPU  avl man mac act vectors".
 * Calls fn for each; number of rows, or -EILSEQ if there is none.
 */
int host_vectors_parse(const char *text,
		       void (*fn)(unsigned int cpu, unsigned int available, void *arg), void *arg);

/* One word of letters, digits, '_', '-', '+' and '.', as names of policies are. */
bool host_is_word(const char *text);

/* A word of a list separated by blanks or commas. */
bool host_has_word(const char *text, const char *word);

/* Swap areas of /proc/swaps; -EILSEQ when it has no head line. */
int host_swaps_parse(const char *text, unsigned int *areas);

/* Value of NAME=value or export NAME="value" of a shell's file (irqbalance). 1, 0, -EILSEQ. */
int host_shell_get(const char *text, const char *name, char *value, size_t size);

/*
 * The mask after the word BANNED that ends irqbalance's answer to "setup".
 * false: there is none, or one that was cut off.
 */
bool host_banned_parse(const char *answer, struct rtkvm_cpus *cpus);

/* A hexadecimal number, whole text. */
bool host_hex_parse(const char *text, uint64_t *value);

#endif
