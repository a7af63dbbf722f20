/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * No deep C-state while a VM is real-time: PM QoS through
 * /dev/cpu_dma_latency. The kernel drops the request when the descriptor is
 * closed, also when the process dies: no journal is needed.
 */
#ifndef RTKVM_KVM_CSTATE_H
#define RTKVM_KVM_CSTATE_H

#include <stdint.h>

#include "core/core.h"

#define RTKVM_CSTATE_FILE "/dev/cpu_dma_latency"

/* Ask for an exit latency of at most max_us. A descriptor, or -errno; records no error. */
int rtkvm_cstate_hold(struct rtkvm *rt, int32_t max_us);

/* What is in force on the host now, us, as the descriptor tells. 0 or -errno. */
int rtkvm_cstate_read(int fd, int32_t *us);

#endif
