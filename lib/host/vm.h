/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Facts of a running VM: its threads, and what the caller knows of it.
 */
#ifndef RTKVM_HOST_VM_H
#define RTKVM_HOST_VM_H

#include "host.h"

/* Reads what the options name. 0 or negative errno with an error. */
int host_vm_read(struct host_facts *facts, const struct rtkvm_host_options *opt);
void host_vm_free(struct host_vm *vm);

#endif
