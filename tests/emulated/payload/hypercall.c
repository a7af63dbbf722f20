/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hypercalls of KVM: one that it does not know and answers (n times, counted),
 * by the instruction of this CPU's vendor.
 *
 * n=1000
 */
#include "kit.h"

#define KVM_ENOSYS 1000
#define UNKNOWN_HYPERCALL 999

static bool amd;

static long long hypercall(u64 nr)
{
	long long result;

	if (amd)
		__asm__ volatile("vmmcall" : "=a"(result) : "a"(nr), "b"(0) : "memory");
	else
		__asm__ volatile("vmcall" : "=a"(result) : "a"(nr), "b"(0) : "memory");
	return result;
}

u32 payload(void)
{
	u64 n = kit_arg("n", 1000);
	u32 r[4];

	if (!kit_kvm)
		kit_skip("no KVM to call");
	cpuid(0, r);
	amd = r[1] == 0x68747541 || r[1] == 0x6f677948; /* Auth.., Hygo.. */
	kit_count_begin();
	for (u64 i = 0; i < n; i++) {
		if (hypercall(UNKNOWN_HYPERCALL) != -KVM_ENOSYS)
			kit_fail("an unknown hypercall was not answered with ENOSYS");
	}
	kit_count_end();
	kit_figure("events", n);
	kit_figure("taken", n);
	return PAYLOAD_OK;
}
