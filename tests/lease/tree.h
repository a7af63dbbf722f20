/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A made-up tree with every knob, and what the lease tests do with it.
 */
#ifndef RTKVM_TEST_TREE_H
#define RTKVM_TEST_TREE_H

#include <rtkvm/rtkvm.h>

#include "lease/lease_priv.h"
#include "support/test.h"

#define BOOT_ID "6a1c6cf2-6b0e-4c51-9f3a-0e1a3f4f7a55"
#define OTHER_BOOT "00000000-6b0e-4c51-9f3a-0e1a3f4f7a55"

#define IRQ24 "proc/irq/24/smp_affinity_list"
#define IRQ25 "proc/irq/25/smp_affinity_list"
#define STAT_INTERVAL "proc/sys/vm/stat_interval"
#define TIMER_MIGRATION "proc/sys/kernel/timer_migration"
#define PAGES_2M "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"

/* Write it (again); state is below it. */
void tree_fill(const char *root);
/* All its files as one text, allocated. */
char *tree_text(const char *root);
struct rtkvm *tree_context(const char *root);

struct rtkvm_lease *lease_of(struct rtkvm *rt, const char *name);
void set_knob(struct rtkvm_lease *lease, int knob, unsigned int index, const char *value);

/* Where a test that ends without a release keeps its lease, so that it is no leak. */
extern struct rtkvm_lease *lease_left;

/* In a child that ends without a release: the twelve changes of tree_change(). */
void leave_changes(struct rtkvm *rt, const char *name);
void tree_change(struct rtkvm_lease *lease);

/* The only journal of a tree: its name, and its text with length. */
const char *journal_name(const char *root);
char *journal_text(const char *root, size_t *len);
void journal_write(const char *root, const char *name, const char *text, size_t len, int mode);
unsigned int journal_count(const char *root);

/* Records with their checksum, from a text without it, one per line. */
char *sealed(const char *const *lines, size_t count);
/* A header as this process would write it for a made-up tree. */
const char *header_line(const char *boot_id, unsigned int uid, const char *root, const char *name);

struct rtkvm_report *restored(struct rtkvm *rt, int expected);
/* The item of that feature: aborts unless it is there. */
const struct rtkvm_report_item *item_of(const struct rtkvm_report *r, const char *feature);

#endif
