/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Editing a CPUID table: pure functions, no KVM. The KVM leaves are found by
 * their signature, as a guest finds them: with Hyper-V leaves at 0x40000000
 * they are at 0x40000100.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>

#include "cpuid.h"

#define HYPERVISOR_FIRST 0x40000000U
#define HYPERVISOR_LAST 0x40010000U
#define HYPERVISOR_STEP 0x100U

#define SIGNATURE_EBX 0x4b4d564bU /* "KVMK" */
#define SIGNATURE_ECX 0x564b4d56U /* "VMKV" */
#define SIGNATURE_EDX 0x0000004dU /* "M" */

int rtkvm_cpuid_check(const struct kvm_cpuid2 *cpuid, uint32_t max)
{
	if (!cpuid || !max || cpuid->nent > max)
		return -EINVAL;
	return 0;
}

static uint32_t find(const struct kvm_cpuid2 *cpuid, uint32_t function)
{
	uint32_t i;

	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function)
			break;
	return i;
}

static bool is_kvm(const struct kvm_cpuid_entry2 *e)
{
	return e->ebx == SIGNATURE_EBX && e->ecx == SIGNATURE_ECX && e->edx == SIGNATURE_EDX;
}

/*
 * Base of the KVM leaves, 0 when there is none; *free_base: the first base
 * that no hypervisor uses.
 */
static uint32_t find_pv(const struct kvm_cpuid2 *cpuid, uint32_t *free_base)
{
	*free_base = 0;
	for (uint32_t base = HYPERVISOR_FIRST; base < HYPERVISOR_LAST; base += HYPERVISOR_STEP) {
		uint32_t i = find(cpuid, base);

		if (i == cpuid->nent) {
			if (!*free_base)
				*free_base = base;
		} else if (is_kvm(&cpuid->entries[i])) {
			return base;
		}
	}
	return 0;
}

void rtkvm_cpuid_read(const struct kvm_cpuid2 *cpuid, struct rtkvm_cpuid_bits *bits)
{
	uint32_t i, base, unused;

	memset(bits, 0, sizeof(*bits));
	i = find(cpuid, 1);
	if (i < cpuid->nent)
		bits->leaf1_ecx = cpuid->entries[i].ecx;
	i = find(cpuid, 0x80000007);
	if (i < cpuid->nent)
		bits->power_edx = cpuid->entries[i].edx;
	base = find_pv(cpuid, &unused);
	if (!base)
		return;
	i = find(cpuid, base + 1);
	if (i == cpuid->nent)
		return;
	bits->has_pv = true;
	bits->pv_eax = cpuid->entries[i].eax;
	bits->pv_edx = cpuid->entries[i].edx;
}

static struct kvm_cpuid_entry2 *add(struct kvm_cpuid2 *cpuid, uint32_t function)
{
	struct kvm_cpuid_entry2 *e = &cpuid->entries[cpuid->nent++];

	memset(e, 0, sizeof(*e));
	e->function = function;
	return e;
}

static void edit_pv(struct kvm_cpuid2 *cpuid, uint32_t base, const struct rtkvm_cpuid_rules *rules)
{
	uint32_t i = find(cpuid, base);
	struct kvm_cpuid_entry2 *e;

	/* a highest leaf of 0 is an old spelling of base + 1 (kvm/x86/cpuid.rst) */
	if (cpuid->entries[i].eax && cpuid->entries[i].eax < base + 1)
		cpuid->entries[i].eax = base + 1;
	e = &cpuid->entries[find(cpuid, base + 1)];
	e->eax = (e->eax | rules->set_pv_eax) & ~rules->clear_pv_eax;
	e->edx = (e->edx | rules->set_pv_edx) & ~rules->clear_pv_edx;
}

/*
 * What a guest on a dedicated CPU cannot have (dedicated-cpu.rst of the kernel
 * series): nested guests, a PMU, XFD and AMX, which is not used without.
 */
static void make_plain(struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case 1:
		e->ecx &= ~(1U << 5 | 1U << 15); /* VMX, PDCM */
		break;
	case 7:
		if (e->index == 0)
			e->edx &= ~(1U << 22 | 1U << 24 | 1U << 25); /* AMX */
		break;
	case 0xa: /* PMU of Intel */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0xd:
		if (e->index == 1)
			e->eax &= ~(1U << 4); /* XFD */
		break;
	case 0x80000001:
		e->ecx &= ~(1U << 2 | 1U << 23); /* SVM, PMU of AMD */
		break;
	case 0x80000022: /* PMU of AMD, version 2 */
		e->eax &= ~1U;
		break;
	}
}

int rtkvm_cpuid_edit(struct kvm_cpuid2 *cpuid, uint32_t max, const struct rtkvm_cpuid_rules *rules)
{
	uint32_t base, free_base, i, missing = 0;
	int ret = rtkvm_cpuid_check(cpuid, max);

	if (ret < 0)
		return ret;
	base = find_pv(cpuid, &free_base);
	if (rules->add_pv) {
		if (!base)
			missing = 2;
		else if (find(cpuid, base + 1) == cpuid->nent)
			missing = 1;
		if (missing > max - cpuid->nent || (!base && !free_base))
			return -E2BIG;
	}
	if (missing == 2) {
		struct kvm_cpuid_entry2 *e = add(cpuid, free_base);

		base = free_base;
		e->eax = base + 1;
		e->ebx = SIGNATURE_EBX;
		e->ecx = SIGNATURE_ECX;
		e->edx = SIGNATURE_EDX;
	}
	if (missing)
		add(cpuid, base + 1);
	if (rules->pv && base && find(cpuid, base + 1) < cpuid->nent)
		edit_pv(cpuid, base, rules);
	for (i = 0; rules->plain && i < cpuid->nent; i++)
		make_plain(&cpuid->entries[i]);
	i = find(cpuid, 1);
	if (i < cpuid->nent)
		cpuid->entries[i].ecx |= rules->set_leaf1_ecx;
	i = find(cpuid, 0x80000007);
	if (i < cpuid->nent)
		cpuid->entries[i].edx |= rules->set_power_edx;
	return 0;
}
