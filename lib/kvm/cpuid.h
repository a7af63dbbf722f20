/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Editing a CPUID table: pure functions over struct kvm_cpuid2. Which bits are
 * wanted and what became of them is cpuid_features.c.
 */
#ifndef RTKVM_KVM_CPUID_H
#define RTKVM_KVM_CPUID_H

#include <stdbool.h>
#include <stdint.h>

struct kvm_cpuid2;

/* KVM_MAX_CPUID_ENTRIES of Linux. */
#define RTKVM_CPUID_MAX 256

/* 1:ECX */
#define RTKVM_CPUID_X2APIC (1U << 21)
#define RTKVM_CPUID_TSC_DEADLINE (1U << 24)
/* 0x80000007:EDX */
#define RTKVM_CPUID_INVARIANT_TSC (1U << 8)
/* KVM base + 1, EAX (Documentation/virt/kvm/x86/cpuid.rst) */
#define RTKVM_PV_STEAL_TIME (1U << 5)
#define RTKVM_PV_UNHALT (1U << 7)
#define RTKVM_PV_TLB_FLUSH (1U << 9)
#define RTKVM_PV_SEND_IPI (1U << 11)
#define RTKVM_PV_SCHED_YIELD (1U << 13)
#define RTKVM_PV_WANTED                                                            \
	(RTKVM_PV_STEAL_TIME | RTKVM_PV_UNHALT | RTKVM_PV_TLB_FLUSH | RTKVM_PV_SEND_IPI | \
	 RTKVM_PV_SCHED_YIELD)
/* KVM base + 1, EDX */
#define RTKVM_PV_HINT_REALTIME (1U << 0)

/* The bits of a table that this library looks at. */
struct rtkvm_cpuid_bits {
	bool has_pv;	   /* the KVM leaves are there */
	uint32_t leaf1_ecx;
	uint32_t power_edx; /* 0x80000007:EDX */
	uint32_t pv_eax;
	uint32_t pv_edx;
};

/* What to do to a table. */
struct rtkvm_cpuid_rules {
	bool add_pv;		/* add the KVM leaves when they are missing */
	bool pv;		/* edit the KVM leaves when they are there */
	uint32_t set_leaf1_ecx; /* to be set */
	uint32_t set_power_edx;
	uint32_t set_pv_eax;
	uint32_t clear_pv_eax;
	uint32_t set_pv_edx;
	uint32_t clear_pv_edx;
	bool plain; /* clear what a guest on a dedicated CPU cannot have */
};

/* 0; -EINVAL: nent > max, or no table at all. */
int rtkvm_cpuid_check(const struct kvm_cpuid2 *cpuid, uint32_t max);

/* Read the bits of a table that rtkvm_cpuid_check() passed. */
void rtkvm_cpuid_read(const struct kvm_cpuid2 *cpuid, struct rtkvm_cpuid_bits *bits);

/*
 * Edit a table in place. 0, -EINVAL (malformed) or -E2BIG (no room for the KVM
 * leaves); then it is as it was. Doing it twice changes nothing more.
 */
int rtkvm_cpuid_edit(struct kvm_cpuid2 *cpuid, uint32_t max, const struct rtkvm_cpuid_rules *rules);

#endif
