/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the live tests of lib/kvm share: a context, a VM of the library's, and the
 * state of a feature in its report. No test of anything is here.
 */
#ifndef RTKVM_TEST_VM_SUPPORT_H
#define RTKVM_TEST_VM_SUPPORT_H

#include <stdint.h>

#include <rtkvm/rtkvm.h>

#include "live/guest.h"

#define NEED_KVM()                                          \
	do {                                                \
		if (guest_impossible())                     \
			SKIP_TEST("%s", guest_impossible()); \
	} while (0)

/* A context with that root. Below a made-up one there is no /dev/cpu_dma_latency. */
struct rtkvm *context(const char *root);

/* The guest's VM, without a plan. */
struct rtkvm_vm *take_up(struct rtkvm *rt, const struct guest *g, uint32_t features, int kvm_fd);

/* State of a feature now; its reason is left in the buffer below. */
int state(struct rtkvm_vm *vm, const char *feature);
extern char reason[512];

#define ASSERT_STATE(vm, feature, expected)                                             \
	do {                                                                            \
		int s_ = state(vm, feature);                                            \
		ck_assert_msg(s_ == (expected), "%s is %s: %s", feature,                \
			      rtkvm_report_state_name(s_), reason);                     \
	} while (0)

#endif
