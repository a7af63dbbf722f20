/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * 32-bit APIC ids (KVM_CAP_X2APIC_API). KVM cannot be asked whether they are
 * on. But with them it refuses an MSI whose upper address has bits 0-7 set
 * (kvm_msi_route_invalid() of Linux), which it delivers otherwise. Before the
 * first vCPU such an MSI reaches nobody, and is a test that hurts nobody.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm.h"

#define WANTED (KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)

/* KVM takes exits to disable, also none at all, before the first vCPU only (Linux 6.3). */
static bool may_have_vcpus(const struct rtkvm_vm *vm)
{
	return rtkvm_vm_enable_cap(vm, KVM_CAP_X86_DISABLE_EXITS, 0) < 0;
}

/* Is an MSI refused that is invalid with 32-bit ids, and only then? */
static bool refuses_msi(const struct rtkvm_vm *vm)
{
	struct kvm_msi msi = {
		.address_lo = 0xfee00000 | 0xfeU << 12, /* an id that nobody has */
		.address_hi = 1,
		.data = 0xff, /* spurious vector */
	};

	return ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) < 0 && errno == EINVAL;
}

void rtkvm_x2apic_enable(struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding)
{
	int can = rtkvm_vm_cap(vm, KVM_CAP_X2APIC_API);
	/* what the VM's descriptor says: /dev/kvm may offer more than this VM takes */
	uint64_t bits = (uint64_t)can & WANTED;
	bool blind;
	int err;

	(void)feature;
	if (!(bits & KVM_X2APIC_API_USE_32BIT_IDS)) {
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "this VM has no 32-bit APIC ids (KVM_CAP_X2APIC_API is 0x%x)",
			   (unsigned int)can);
		return;
	}
	blind = may_have_vcpus(vm) || !rtkvm_vm_has_lapic(vm) || refuses_msi(vm);
	err = -rtkvm_vm_enable_cap(vm, KVM_CAP_X2APIC_API, bits);
	if (err)
		rtkvm_find(finding, RTKVM_STATE_OFF, true, "KVM_CAP_X2APIC_API refused 0x%x: %s",
			   (unsigned int)bits, strerror(err));
	else if (blind)
		rtkvm_find(finding, RTKVM_STATE_UNVERIFIABLE, false,
			   "KVM took 0x%x; can be looked at only when the VM is taken up after its "
			   "interrupt controller was made and before its first vCPU",
			   (unsigned int)bits);
	else if (refuses_msi(vm))
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "KVM now reads the upper address of an MSI as part of the APIC id%s",
			   bits == WANTED ? "" : "; the broadcast quirk stays");
	else
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "KVM took 0x%x, but goes on ignoring the upper address of an MSI",
			   (unsigned int)bits);
}

void rtkvm_x2apic_look(const struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding)
{
	(void)feature;
	if (finding->state == RTKVM_STATE_OFF)
		return;
	for (const struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next)
		if (v->has_cpuid && !(v->cpuid.leaf1_ecx & RTKVM_CPUID_X2APIC)) {
			rtkvm_find(finding, RTKVM_STATE_OFF, true,
				   "KVM took it, but CPUID of vCPU %u has no x2APIC", v->index);
			return;
		}
}
