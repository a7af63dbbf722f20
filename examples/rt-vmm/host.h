/* SPDX-License-Identifier: MIT */
/*
 * Knobs of the host that help the CPUs of the vCPUs, turned under a lease of
 * the library; and what was left behind, given back.
 */
#ifndef HOST_H
#define HOST_H

#include <rtkvm/rtkvm.h>

#include "config.h"
#include "result.h"

#define HOST_IRQS 512

struct host_moved {
	unsigned int irqs;              /* number of the following */
	unsigned int irq[HOST_IRQS];    /* IRQs that were moved */
	bool default_affinity;
	bool workqueues;
};

/*
 * Move what can be moved off the vCPUs' CPUs: IRQs, the default for new ones,
 * unbound kernel workers. What the host does not let us move is noted.
 */
void host_clear_cpus(struct rtkvm_lease *lease, const struct config *config,
		     struct result *result, struct host_moved *moved);

/* Read back, without the library, what was moved. */
void host_describe(const struct config *config, struct result *result,
		   const struct host_moved *moved);

/* Undo what dead owners left, and say so. Returns an exit status. */
int host_restore(bool quiet);

#endif
