/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A made-up machine: two NUMA nodes, two threads per core, two caches per
 * node, interrupts, network queues, and the cgroup hierarchy asked for.
 */
#ifndef RTKVM_TEST_MACHINE_H
#define RTKVM_TEST_MACHINE_H

#include <rtkvm/rtkvm.h>

#include "lease/lease_priv.h"
#include "support/test.h"

enum { CGROUP_NONE, CGROUP_V1, CGROUP_V2 };

struct machine {
	const char *root;
	unsigned int cpus, irqs, queues;
	char *before; /* all files but those of the state directory */
	struct rtkvm *rt;
};

void machine_make(struct machine *m, unsigned int cpus, unsigned int irqs, unsigned int queues,
		  int cgroup);
void machine_free(struct machine *m);
struct rtkvm *machine_context(const struct machine *m);
/* Every file of the tree but the state's, with its text. */
char *machine_text(const struct machine *m);
void machine_assert_as_before(const struct machine *m);
unsigned int machine_journals(const struct machine *m);

/* The CPUs of a new lease as a list; "": refused with err. */
const char *machine_lease(const struct machine *m, const struct rtkvm_cpu_request *r, int err,
			  struct rtkvm_cpu_lease **lease);
const char *cpus_of_lease(const struct rtkvm_cpu_lease *lease);
struct rtkvm_cpu_request request_of(uint32_t count);

#endif
