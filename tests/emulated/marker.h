/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One instruction that does nothing, anywhere: in a host or a guest, in any ring,
 * on silicon and under KVM it is a no-op and no exit. The meters of the emulated
 * hosts see it and write their counts down with the label that is in RAX.
 */
#ifndef RTKVM_TESTS_EMULATED_MARKER_H
#define RTKVM_TESTS_EMULATED_MARKER_H

/* nopl 0x4d4b5452(%rax): the displacement is "RTKM" */
#define RTKVM_MARKER_BYTES { 0x0f, 0x1f, 0x80, 0x52, 0x54, 0x4b, 0x4d }

static inline void rtkvm_marker(unsigned long label)
{
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x52, 0x54, 0x4b, 0x4d" : : "a"(label) : "memory");
}

#endif
