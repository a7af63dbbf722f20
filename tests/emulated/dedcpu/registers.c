// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The guest counts in all lanes of an AVX register. On the way the vCPU is saved,
 * its VM ended, and another made of what was saved: there, as an ordinary vCPU, and
 * there again.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "machine.h"

#define ENTRIES 256
#define CR4_OSXSAVE 0x40000u

static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[ENTRIES];
} cpuid;

/* What KVM has, without what is refused on a dedicated CPU. False: no AVX. */
static int choose(void)
{
	int avx = 0;

	cpuid.head.nent = ENTRIES;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid))
		err(1, "KVM_GET_SUPPORTED_CPUID");
	for (unsigned int i = 0; i < cpuid.head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid.entry[i];

		switch (e->function) {
		case 1:
			e->ecx &= ~(1u << 5); /* VMX */
			avx = e->ecx >> 28 & 1;
			break;
		case 10: /* PMU */
			e->eax = e->ebx = e->ecx = e->edx = 0;
			break;
		case 13: /* XFD */
			if (e->index == 1)
				e->eax &= ~(1u << 4);
			break;
		case 0x80000001:
			e->ecx &= ~(1u << 2); /* SVM */
			break;
		}
	}
	return avx;
}

struct saved {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	struct kvm_mp_state mp;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[1];
	} msrs; /* the TSC */
	uint8_t memory[MEMORY];
};

#define ALL(direction) \
	(ioctl(m->vcpu, KVM_##direction##_SREGS, &s->sregs) || \
	 ioctl(m->vcpu, KVM_##direction##_REGS, &s->regs) || \
	 ioctl(m->vcpu, KVM_##direction##_XCRS, &s->xcrs) || \
	 ioctl(m->vcpu, KVM_##direction##_XSAVE, &s->xsave) || \
	 ioctl(m->vcpu, KVM_##direction##_LAPIC, &s->lapic) || \
	 ioctl(m->vcpu, KVM_##direction##_DEBUGREGS, &s->debug) || \
	 ioctl(m->vcpu, KVM_##direction##_MP_STATE, &s->mp) || \
	 ioctl(m->vcpu, KVM_##direction##_VCPU_EVENTS, &s->events) || \
	 ioctl(m->vcpu, KVM_##direction##_MSRS, &s->msrs) != 1)

static void save(const struct machine *m, struct saved *s)
{
	/* the last access of the port is completed by the next KVM_RUN */
	m->run->immediate_exit = 1;
	if (!ioctl(m->vcpu, KVM_RUN, 0) || errno != EINTR)
		err(1, "KVM_RUN that exits at once");
	m->run->immediate_exit = 0;
	s->msrs.head.nmsrs = 1;
	s->msrs.entry[0].index = 0x10;
	memcpy(s->memory, m->memory, MEMORY);
	if (ALL(GET))
		err(1, "to save the vCPU");
}

static void restore(const struct machine *m, struct saved *s)
{
	memcpy(m->memory, s->memory, MEMORY);
	if (ioctl(m->vcpu, KVM_SET_CPUID2, &cpuid) || ALL(SET))
		err(1, "to restore the vCPU");
}

/* 32 bits, flat. */
static void protect(const struct machine *m)
{
	struct kvm_segment flat = { .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1,
		.db = 1, .s = 1, .g = 1 };
	struct kvm_xcrs xcrs = { .nr_xcrs = 1 };
	struct kvm_sregs sregs;

	if (ioctl(m->vcpu, KVM_GET_SREGS, &sregs))
		err(1, "KVM_GET_SREGS");
	sregs.ds = sregs.es = sregs.ss = sregs.cs = flat;
	sregs.cs.selector = 8;
	sregs.cs.type = 11;
	sregs.cr0 |= 1;
	sregs.cr4 |= 0x600 | CR4_OSXSAVE;
	xcrs.xcrs[0].value = 7;
	if (ioctl(m->vcpu, KVM_SET_SREGS, &sregs) || ioctl(m->vcpu, KVM_SET_XCRS, &xcrs))
		err(1, "protected mode");
}

void registers(int cpu, uint32_t n)
{
	/*
	 *	mov $1.0f, %eax; mov %eax, OUT + 64; vbroadcastss OUT + 64, %ymm1
	 *	vxorps %ymm0, %ymm0, %ymm0
	 * 1:	vaddps %ymm1, %ymm0, %ymm0; vmovups %ymm0, OUT; out %al, $PORT; jmp 1b
	 */
	static const uint8_t code[] = { 0xb8, 0x00, 0x00, 0x80, 0x3f, 0xa3, 0x40, 0x20, 0x00, 0x00,
		0xc4, 0xe2, 0x7d, 0x18, 0x0d, 0x40, 0x20, 0x00, 0x00, 0xc5, 0xfc, 0x57, 0xc0,
		0xc5, 0xfc, 0x58, 0xc1, 0xc5, 0xfc, 0x11, 0x05, 0x00, 0x20, 0x00, 0x00,
		0xe6, PORT, 0xeb, 0xf0 };
	static struct saved s;
	uint32_t total = 0, there = 0;
	uint64_t tsc = 0;
	struct machine m;

	if (!choose())
		errx(1, "this host has no AVX");
	make(&m, 1);
	if (ioctl(m.vcpu, KVM_SET_CPUID2, &cpuid))
		err(1, "KVM_SET_CPUID2");
	start(&m, code, sizeof(code));
	protect(&m);
	for (int phase = 0; phase < 6 && !bad; phase++) {
		uint64_t before = statistic(&m, "ded_entries");

		if (cpu >= 0 && phase % 3 != 1)
			set(&m, cpu);
		for (uint32_t i = 0; i < n && !bad; i++) {
			float lane[8];

			if (!next(&m))
				expect(0, "the guest uses its port");
			total++;
			memcpy(lane, m.memory + OUT, sizeof(lane));
			for (int l = 0; l < 8; l++)
				if (lane[l] < (float)total || lane[l] > (float)total)
					expect(0, "AVX registers");
		}
		there += statistic(&m, "ded_entries") - before >= n;
		memset(&s, 0, sizeof(s));
		save(&m, &s);
		if (s.msrs.entry[0].data <= tsc)
			expect(0, "the TSC goes on");
		tsc = s.msrs.entry[0].data;
		if (phase % 2) { /* another VM */
			destroy(&m);
			make(&m, 1);
			restore(&m, &s);
		} else if (cpu >= 0 && phase % 3 != 1) {
			set(&m, -1);
		}
	}
	printf("exits %u\nphases_there %u\n", total, there);
	if (cpu >= 0)
		expect(there == 4, "four phases there");
	destroy(&m);
}
