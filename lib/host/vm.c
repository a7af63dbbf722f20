/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Facts of a running VM; see vm.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "vm.h"

int host_vm_read(struct host_facts *facts, const struct rtkvm_host_options *opt)
{
	return rtkvm_fail(facts->rt, ENOSYS, "pid", NULL, "no VM %d", opt->pid);
}

void host_vm_free(struct host_vm *vm)
{
	free(vm);
}

const struct host_check host_checks_vm[] = { { .id = NULL } };
const struct host_check host_checks_vm_config[] = { { .id = NULL } };
