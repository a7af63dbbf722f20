/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Live tests of lib/kvm, part three: the edited CPUID, and what the report says of
 * it. On the real /dev/kvm.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <rtkvm/rtkvm.h>

#include "live/guest.h"
#include "live/vm-support.h"
#include "support/test.h"

static void drop(struct kvm_cpuid2 *cpuid, uint32_t function)
{
	struct kvm_cpuid_entry2 *e = guest_cpuid_find(cpuid, function);

	if (e)
		*e = cpuid->entries[--cpuid->nent];
}

/* Edit a table, give it to a vCPU or not, and enter it. */
static void cpuid_round(struct rtkvm *rt, struct rtkvm_vm *vm, struct guest *g,
			struct kvm_cpuid2 *cpuid, bool set_it)
{
	struct rtkvm_vcpu *vcpu;

	(void)rt;
	ck_assert_int_eq(rtkvm_vm_edit_cpuid(vm, cpuid, GUEST_CPUID_ROOM), 0);
	guest_add_vcpu(g, 0, GUEST_HALTS, set_it ? cpuid : NULL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 0, g->vcpu[0], &vcpu), 0);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu), 0);
	ck_assert_int_eq(rtkvm_vcpu_leave(vcpu), 0);
}

#define PV_BITS (1U << 5 | 1U << 7 | 1U << 9 | 1U << 11 | 1U << 13)
#define CPUID_FEATURES (RTKVM_VM_PV_CPUID | RTKVM_VM_TSC)

START_TEST(cpuid_is_verified)
{
	struct rtkvm *rt = context("/");
	struct kvm_cpuid2 *cpuid, *seen;
	struct rtkvm_vm *vm;
	struct guest g;
	uint32_t offered;

	NEED_KVM();
	guest_open(&g, true);
	cpuid = guest_supported(&g);
	offered = guest_cpuid_find(cpuid, 0x40000001)->eax & PV_BITS;
	/* a VMM whose table has no KVM leaves: added with kvm_fd, and only what KVM offers */
	drop(cpuid, 0x40000000);
	drop(cpuid, 0x40000001);
	guest_cpuid_find(cpuid, 1)->ecx &= ~(1U << 24);
	vm = take_up(rt, &g, CPUID_FEATURES, g.kvm);
	ASSERT_STATE(vm, "pv-cpuid", RTKVM_STATE_OFF);
	cpuid_round(rt, vm, &g, cpuid, true);
	seen = guest_cpuid_of(&g, 0);
	ck_assert_uint_eq(guest_cpuid_find(seen, 0x40000001)->eax & PV_BITS, offered);
	ck_assert_uint_eq(guest_cpuid_find(seen, 0x40000001)->edx & 1, 0);
	ck_assert_int_eq((guest_cpuid_find(seen, 1)->ecx >> 24) & 1,
			 ioctl(g.vm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0);
	ASSERT_STATE(vm, "pv-cpuid", offered ? RTKVM_STATE_VERIFIED : RTKVM_STATE_OFF);
	ck_assert_int_eq(state(vm, "tsc") == RTKVM_STATE_VERIFIED,
			 (guest_cpuid_find(seen, 0x80000007)->edx >> 8 & 1) &&
				 (guest_cpuid_find(seen, 1)->ecx >> 24 & 1));
	free(seen);
	free(cpuid);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* Negative control: the VMM edits one table and sets another. */
START_TEST(cpuid_not_set_is_off)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vm_options opt;
	struct kvm_cpuid2 *cpuid;
	struct rtkvm_vm *vm;
	struct guest g;

	NEED_KVM();
	guest_open(&g, true);
	cpuid = guest_supported(&g);
	rtkvm_vm_options_init(&opt, sizeof(opt));
	opt.features = RTKVM_VM_PV_CPUID;
	opt.kvm_fd = g.kvm;
	opt.dedicated = 1; /* a bit that the default table never has */
	ck_assert_int_eq(rtkvm_vm_new(rt, g.vm, NULL, &opt, &vm), 0);
	cpuid_round(rt, vm, &g, cpuid, _i);
	ck_assert_uint_eq(guest_cpuid_find(cpuid, 0x40000001)->edx & 1, 1);
	ASSERT_STATE(vm, "pv-cpuid", _i ? RTKVM_STATE_VERIFIED : RTKVM_STATE_OFF);
	free(cpuid);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

START_TEST(cpuid_without_kvm_fd)
{
	struct rtkvm *rt = context("/");
	struct kvm_cpuid2 *cpuid;
	struct rtkvm_vm *vm;
	struct guest g;

	NEED_KVM();
	guest_open(&g, true);
	vm = take_up(rt, &g, CPUID_FEATURES | RTKVM_VM_NOEXIT_HLT, -1);
	/* nothing is known of what KVM offers: no leaf is made up */
	cpuid = guest_supported(&g);
	drop(cpuid, 0x40000000);
	drop(cpuid, 0x40000001);
	ck_assert_int_eq(rtkvm_vm_edit_cpuid(vm, cpuid, cpuid->nent), 0);
	ck_assert_ptr_null(guest_cpuid_find(cpuid, 0x40000000));
	ASSERT_STATE(vm, "pv-cpuid", RTKVM_STATE_OFF);
	free(cpuid);
	/* a table that has them is trusted, but for the wake-up of a vCPU that halts in the guest */
	cpuid = guest_supported(&g);
	ck_assert_int_eq(rtkvm_vm_edit_cpuid(vm, cpuid, GUEST_CPUID_ROOM), 0);
	if (ioctl(g.vm, KVM_CHECK_EXTENSION, KVM_CAP_X86_DISABLE_EXITS) & KVM_X86_DISABLE_EXITS_HLT)
		ck_assert_uint_eq(guest_cpuid_find(cpuid, 0x40000001)->eax & 1U << 7, 0);
	ASSERT_STATE(vm, "pv-cpuid", RTKVM_STATE_ACCEPTED);
	cpuid->nent = GUEST_CPUID_ROOM + 1;
	ck_assert_int_eq(rtkvm_vm_edit_cpuid(vm, cpuid, GUEST_CPUID_ROOM), -EINVAL);
	free(cpuid);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* Without a local APIC in the kernel there is no TSC-deadline timer to offer. */
START_TEST(tsc_deadline_needs_the_lapic)
{
	struct rtkvm *rt = context("/");
	struct kvm_cpuid2 *cpuid;
	struct rtkvm_vm *vm;
	struct guest g;

	NEED_KVM();
	guest_open(&g, false);
	vm = take_up(rt, &g, RTKVM_VM_TSC, g.kvm);
	cpuid = guest_supported(&g);
	guest_cpuid_find(cpuid, 1)->ecx &= ~(1U << 24);
	ck_assert_int_eq(rtkvm_vm_edit_cpuid(vm, cpuid, GUEST_CPUID_ROOM), 0);
	ck_assert_uint_eq(guest_cpuid_find(cpuid, 1)->ecx >> 24 & 1, 0);
	ASSERT_STATE(vm, "tsc", RTKVM_STATE_OFF);
	ck_assert_ptr_nonnull(strstr(reason, "TSC-deadline"));
	free(cpuid);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("vm-cpuid");
	TCase *tc = tcase_create("cpuid");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, cpuid_is_verified);
	tcase_add_loop_test(tc, cpuid_not_set_is_off, 0, 2);
	tcase_add_test(tc, cpuid_without_kvm_fd);
	tcase_add_test(tc, tsc_deadline_needs_the_lapic);
	suite_add_tcase(suite, tc);
	return suite;
}
