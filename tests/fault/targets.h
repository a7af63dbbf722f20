/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What killpoints changes: files of a made-up tree, or a few harmless things
 * of this host. It remembers by itself how they were, without the library.
 */
#ifndef RTKVM_TARGETS_H
#define RTKVM_TARGETS_H

#include <stdbool.h>

/* cpus: a machine for CPU leases. */
void targets_tree(const char *work, bool cpus);
/* false: nothing of this host may be changed. */
bool targets_host(void);

/*
 * Wait until no other test changes this host and nobody leases anything of it;
 * false: in vain, for two minutes.
 */
bool targets_host_turn(void);
bool targets_leased_by_others(void);

/* Before each round: the tree as it was; on the host nothing. */
void targets_reset(void);

/* The trap: whatever a failed test left. Safe to call at any time. */
void targets_give_back(void);

/* Append arguments; the new count. */
int targets_root_args(char **args, int n, char *option);
int targets_operations(char **args, int n, int max);

char *const *targets_snapshot_args(char *script);

/* Make two snapshots comparable that differ by what others do. */
void targets_normalise(char *text);

#endif
