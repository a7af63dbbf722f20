/* SPDX-License-Identifier: MIT */
/*
 * Ring 0 of the guest: boot, the timer interrupt, what ring 3 calls for, and
 * exceptions. Kept as short as it can be: some KVM back ends emulate ring 0
 * instruction by instruction. All else is in guest.c and runs in ring 3.
 */
#include "guest.h"

#define MSR_APIC_BASE 0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC_TPR 0x808
#define MSR_X2APIC_EOI 0x80b
#define MSR_X2APIC_SVR 0x80f
#define MSR_X2APIC_LVTT 0x832

#define APIC_BASE_EXTD (1 << 10)
#define APIC_BASE_ENABLE (1 << 11)
#define APIC_SVR_ENABLE (1 << 8)
#define APIC_LVTT_TSC_DEADLINE (2 << 17)

#define RFLAGS_FIXED 2

	.section .header, "a"
	.quad GUEST_MAGIC
	.quad guest_entry
	.quad isr_timer
	.quad ring0_call
	.quad isr_spurious
	.set vector, 0
	.rept 32
	.quad exceptions + vector * 16
	.set vector, vector + 1
	.endr

	.text
	.code64

/* The VMM starts each vCPU here: long mode, ring 0, interrupts closed. */
guest_entry:
	movl $MSR_APIC_BASE, %ecx	/* xAPIC, then x2APIC */
	rdmsr
	orl $(APIC_BASE_ENABLE | APIC_BASE_EXTD), %eax
	wrmsr
	xorl %edx, %edx
	movl $MSR_X2APIC_SVR, %ecx
	movl $(APIC_SVR_ENABLE | GUEST_VECTOR_SPURIOUS), %eax
	wrmsr
	movl $MSR_X2APIC_TPR, %ecx
	xorl %eax, %eax
	wrmsr
	movl $MSR_X2APIC_LVTT, %ecx
	movl $(APIC_LVTT_TSC_DEADLINE | GUEST_VECTOR_TIMER), %eax
	wrmsr
	pushq $(GUEST_DATA3 | 3)
	pushq $GUEST_STACK3_TOP - 8	/* as after a call */
	pushq $RFLAGS_FIXED
	pushq $(GUEST_CODE3 | 3)
	pushq $guest_main
	iretq

/*
 * int3 in ring 3: what is wanted in rsi, its argument in rdi (guest.h). Not a
 * numbered INT: KVM's instruction emulator knows none in long mode. Changes
 * rax, rcx, rdx.
 *
 * The gate closed interrupts, and they are open between sti and cli alone:
 * this is the only place where the timer interrupt is taken, so that its
 * handler need not save these registers.
 */
ring0_call:
	testl %esi, %esi
	jnz 2f
	movl %edi, %eax
	movq %rdi, %rdx
	shrq $32, %rdx
	movl $MSR_TSC_DEADLINE, %ecx
	wrmsr
1:	sti
	hlt
	cli
	cmpl $0, GUEST_CTL_FIRED
	je 1b
	iretq
2:	movl %edi, %edx
	outl %eax, %dx
	iretq

/* The time first, before anything else. */
isr_timer:
	rdtsc
	movl %eax, GUEST_CTL_STAMP
	movl %edx, GUEST_CTL_STAMP + 4
	xorl %eax, %eax
	xorl %edx, %edx
	movl $MSR_X2APIC_EOI, %ecx
	wrmsr
	movl $1, GUEST_CTL_FIRED
	iretq

isr_spurious:
	iretq

/* An exception ends the guest: tell the VMM which one, then do no more. */
	.balign 16
exceptions:
	.set vector, 0
	.rept 32
	.balign 16
	movl $vector, %eax
	jmp trap
	.set vector, vector + 1
	.endr
trap:
	movl $GUEST_PORT_TRAP, %edx
	outl %eax, %dx
3:	hlt
	jmp 3b

	.section .note.GNU-stack, "", @progbits
