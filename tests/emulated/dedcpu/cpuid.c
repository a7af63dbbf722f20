// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Exits that a dedicated CPU handles itself: a guest that does CPUID all the time. What
 * the CPU says is what the table of the vCPU says; the thread is not asked; and the
 * guest is left all the same for whoever wants the vCPU.
 */
#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../marker.h"
#include "machine.h"

/* Leaves that KVM has nothing to add to, of two indices; and one that is the thread's. */
#define OWN 4
#define THREAD 7

static const struct kvm_cpuid_entry2 table[] = {
	{ .function = 0, .eax = 0xb, .ebx = 1, .ecx = 2, .edx = 3 },
	{ .function = OWN, .index = 0, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
	  .eax = 0x10000001, .ebx = 0x2003, .ecx = 0x30000005, .edx = 0x4007 },
	{ .function = OWN, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
	  .eax = 0x11, .ebx = 0x20000013, .ecx = 0x3017, .edx = 0x40000019 },
	{ .function = THREAD, .index = 0, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
	  .eax = 0, .ebx = 0x2001, .ecx = 0, .edx = 0 },
	{ .function = THREAD, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
	  .eax = 0x21, .ebx = 0x2003, .ecx = 0, .edx = 0 },
};

void cpuid_table(const struct machine *m)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[sizeof(table) / sizeof(table[0])];
	} all = { .head = { .nent = sizeof(table) / sizeof(table[0]) } };

	memcpy(all.entries, table, sizeof(table));
	if (ioctl(m->vcpu, KVM_SET_CPUID2, &all))
		err(1, "KVM_SET_CPUID2");
}

/* What the guest adds up in N times CPUID, by turns of both indices, the last of 1. */
static void sums(uint32_t leaf, uint32_t n, uint32_t sum[4])
{
	memset(sum, 0, 4 * sizeof(sum[0]));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint32_t times = (n + table[i].index) / 2;

		if (table[i].function != leaf)
			continue;
		sum[0] += times * table[i].eax;
		sum[1] += times * table[i].ebx;
		sum[2] += times * table[i].ecx;
		sum[3] += times * table[i].edx;
	}
}

void identify(int cpu, uint32_t n, const char *by)
{
	/*
	 * 0:	mov $n, %ebp
	 * 1:	mov $leaf, %eax; mov %ebp, %ecx; and $1, %ecx
	 *	cpuid
	 *	add %eax, OUT; add %ebx, OUT + 4; add %ecx, OUT + 8; add %edx, OUT + 12
	 *	dec %ebp; jnz 1b
	 *	out %al, $END; jmp 0b
	 */
	uint8_t code[] = { 0x66, 0xbd, 0, 0, 0, 0,
		0x66, 0xb8, OWN, 0, 0, 0, 0x66, 0x89, 0xe9, 0x66, 0x83, 0xe1, 0x01, 0x0f, 0xa2,
		0x66, 0x01, 0x06, 0x00, 0x20, 0x66, 0x01, 0x1e, 0x04, 0x20,
		0x66, 0x01, 0x0e, 0x08, 0x20, 0x66, 0x01, 0x16, 0x0c, 0x20,
		0x66, 0x4d, 0x75, 0xd9, 0xe6, END, 0xeb, 0xcf };
	unsigned long label = 2UL * (unsigned long)getpid();
	int here = !strcmp(by, "cpu");
	struct machine m;

	memcpy(code + 2, &n, sizeof(n));
	make(&m, 1);
	cpuid_table(&m);
	start(&m, code, sizeof(code));
	/* there, of the thread there, as an ordinary vCPU, there again, and with a debugger */
	for (int phase = 0; phase < 5; phase++) {
		static const char *const names[] = { "own", "thread", "ordinary", "again", "debugged" };
		uint32_t leaf = phase == 1 ? THREAD : OWN, want[4], *out = (uint32_t *)(m.memory + OUT);
		uint64_t fast, dispatches, entries, exits;
		int there = cpu >= 0 && phase != 2;
		struct kvm_guest_debug debug = { .control = 0 };

		if (there)
			set(&m, cpu);
		m.memory[CODE + 8] = (uint8_t)leaf;
		debug.control = phase == 4 ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP : 0;
		if (ioctl(m.vcpu, KVM_SET_GUEST_DEBUG, &debug))
			err(1, "KVM_SET_GUEST_DEBUG");
		memset(out, 0, sizeof(want));
		fast = statistic(&m, "ded_fastpath");
		dispatches = statistic(&m, "ded_dispatches");
		entries = statistic(&m, "ded_entries");
		exits = statistic(&m, "exits");
		if (phase == 0)
			rtkvm_marker(label);
		expect(!next(&m), "the end of the guest's work");
		if (phase == 0)
			rtkvm_marker(label + 1);
		sums(leaf, n, want);
		expect(!memcmp(out, want, sizeof(want)), "what CPUID says");
		fast = statistic(&m, "ded_fastpath") - fast;
		dispatches = statistic(&m, "ded_dispatches") - dispatches;
		entries = statistic(&m, "ded_entries") - entries;
		exits = statistic(&m, "exits") - exits;
		printf("%s.ded_fastpath %llu\n%s.ded_dispatches %llu\n%s.ded_entries %llu\n%s.exits %llu\n",
		       names[phase], (unsigned long long)fast, names[phase], (unsigned long long)dispatches,
		       names[phase], (unsigned long long)entries, names[phase], (unsigned long long)exits);
		expect(exits > n, "exits");
		expect(entries == (there ? exits : 0), "all of them there, or none");
		if (there && here && phase != 1 && phase != 4) {
			/* page faults and a host that kicks are few; NMIs of such kicks are the CPU's too */
			expect(fast >= n && fast <= n + n / 10, "as many handled there as the guest did");
			expect(dispatches <= n / 10, "dispatches do not move");
		} else {
			expect(fast <= n / 10, "handled there, though it is the thread's");
			expect(dispatches >= (there ? n : 0), "the thread's dispatches");
		}
		if (there)
			set(&m, -1);
	}
	printf("meter.label %lu\n", label);
	destroy(&m);
}

/* ---- requests -------------------------------------------------------------- */

static struct machine asking;

static void *runner(void *unused)
{
	(void)unused;
	for (;;)
		ioctl(asking.vcpu, KVM_RUN, 0);
	return NULL;
}

/* NMIs for a guest that does nothing but CPUID: each is one more request to its thread. */
void asked(int cpu, uint32_t n)
{
	/* 1: xor %eax, %eax; cpuid; jmp 1b */
	static const uint8_t code[] = { 0x66, 0x31, 0xc0, 0x0f, 0xa2, 0xeb, 0xf9 };
	/* incl OUT; iret */
	static const uint8_t handler[] = { 0x66, 0xff, 0x06, 0x00, 0x20, 0xcf };
	struct kvm_lapic_state lapic;
	struct kvm_msi nmi = { .address_lo = 0xfee00000, .data = 0x400 };
	volatile uint32_t *out;
	uint64_t begin, dispatches;
	pthread_t thread;

	make(&asking, 1);
	cpuid_table(&asking);
	start(&asking, code, sizeof(code));
	memcpy(asking.memory + 0x1800, handler, sizeof(handler));
	*(uint32_t *)(asking.memory + 8) = 0x1800; /* vector 2 */
	stack_at(&asking, 0x3f00);
	/* written once, it is on KVM's map of those that an interrupt can be sent to */
	if (ioctl(asking.vcpu, KVM_GET_LAPIC, &lapic) || ioctl(asking.vcpu, KVM_SET_LAPIC, &lapic))
		err(1, "the local APIC");
	out = (volatile uint32_t *)(asking.memory + OUT);
	set(&asking, cpu);
	if (pthread_create(&thread, NULL, runner, NULL))
		errx(1, "a thread");
	while (statistic(&asking, "ded_entries") < 100)
		sleep_ms(1);
	sleep_ms(100);
	dispatches = statistic(&asking, "ded_dispatches");
	for (uint32_t i = 1; i <= n && !bad; i++) {
		if (ioctl(asking.vm, KVM_SIGNAL_MSI, &nmi) != 1)
			err(1, "KVM_SIGNAL_MSI");
		begin = now_ns();
		while (*out != i && now_ns() - begin < 10000000000u)
			;
		expect(*out == i, "an NMI that the guest does not see");
	}
	printf("nmis %u\nded_dispatches %llu\nded_fastpath %llu\nded_kicks %llu\n", *out,
	       (unsigned long long)(statistic(&asking, "ded_dispatches") - dispatches),
	       (unsigned long long)statistic(&asking, "ded_fastpath"),
	       (unsigned long long)statistic(&asking, "ded_kicks"));
	expect(statistic(&asking, "ded_dispatches") - dispatches >= n, "each is a way to the thread");
}
