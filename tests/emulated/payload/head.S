/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first bytes of every payload: the ways in (see proto.h), page tables and
 * descriptors that are ready in the image, and the entries of interrupts and
 * exceptions. All ways end in kit_main() or, on further CPUs, kit_cpu_main().
 */
#include "proto.h"

#define MSR_EFER 0xc0000080
#define EFER_LME (1 << 8)
#define CR0_PE_PG 0x80000001
#define CR4_PAE (1 << 5)
#define STACK_SIZE 0x4000

	.section .head, "ax"
	.code64
	.globl image
image:
	jmp entry64
	.balign PAYLOAD_AT_MAGIC
	.quad PAYLOAD_MAGIC
	.quad entry64
	.quad entry32
	.quad pml4
	.quad gdt
	.quad entry_direct
	.globl image_args
image_args:
	.skip PAYLOAD_ARGS_SIZE

	.balign 4
multiboot:
	.long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
	.long multiboot, image, image_end, bss_end, entry32
	.balign 4
	.globl image_cpus
image_cpus:
	.long 0			/* CPUs that came here without being asked for */

/* 16-bit code of a CPU that got a SIPI; runs at PAYLOAD_TRAMPOLINE. */
	.code16
	.globl trampoline, trampoline_end
trampoline:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl PAYLOAD_TRAMPOLINE + trampoline_gdtr - trampoline
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $PAYLOAD_CODE32, $entry_sipi
	.balign 4
trampoline_gdtr:
	.word gdt_end - gdt - 1
	.long gdt
trampoline_end:

	.code32
entry_sipi:
	movl $1, %ebp
	jmp 1f
entry32:
	cli
	xorl %ebp, %ebp
	lgdtl gdtr
1:	movl $PAYLOAD_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %cr4, %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl %cr0, %eax
	orl $CR0_PE_PG, %eax
	movl %eax, %cr0
	ljmpl $PAYLOAD_CODE64, $in64

	.code64
/* A further CPU that a VMM put here: waits until it is wanted. */
entry_direct:
	cli
	lock incl image_cpus
2:	pause
	cmpl $0, kit_go
	je 2b
	movl $1, %ebp
	jmp 3f
entry64:
	cli
	xorl %ebp, %ebp
3:	movl $pml4, %eax
	movq %rax, %cr3
	lgdt gdtr
	movl $stack_boot, %esp
	pushq $PAYLOAD_CODE64
	pushq $in64
	lretq
in64:
	movl $PAYLOAD_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	testl %ebp, %ebp
	jnz 4f
	movl $stacks + STACK_SIZE, %esp
	call kit_main
	ud2
4:	movl $1, %edi
	lock xaddl %edi, kit_started
	movl %edi, %eax
	imull $STACK_SIZE, %eax
	leal stacks + STACK_SIZE(%eax), %esp
	call kit_cpu_main
	ud2

/*
 * Interrupts: the time first, then the C function of the vector. The stack is
 * what C expects: five words of the CPU and the vector, then ten registers.
 */
	.text
	.globl interrupt_entries
	.balign 16
interrupt_entries:
	.set vector, 32
	.rept 224
	.balign 16
	pushq $vector
	jmp interrupt
	.set vector, vector + 1
	.endr

interrupt:
	pushq %rax
	pushq %rdx
	rdtsc
	pushq %rcx
	pushq %rsi
	pushq %rdi
	shlq $32, %rdx
	orq %rdx, %rax
	movq %rax, %rdi
	movl 40(%rsp), %esi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	cld
	subq $8, %rsp
	call kit_interrupt
	addq $8, %rsp
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rcx
	popq %rdx
	popq %rax
	addq $8, %rsp
	iretq

/* Exceptions: some push an error code; none returns. */
	.globl exception_entries
	.balign 16
exception_entries:
	.set vector, 0
	.rept 32
	.balign 16
	movl $vector, %edi
	jmp exception
	.set vector, vector + 1
	.endr
exception:
	movq %rsp, %rsi
	movq %cr2, %rdx
	andq $-16, %rsp
	call kit_exception
	ud2

	.data
	.balign 4096
pml4:	.quad pdpt + 3
	.fill 511, 8, 0
pdpt:	.quad pd + 3, pd + 0x1003, pd + 0x2003, pd + 0x3003
	.fill 508, 8, 0
pd:	.set address, 0x83	/* 2 MiB pages */
	.rept 2048
	.quad address
	.set address, address + 0x200000
	.endr
gdt:	.quad 0
	.quad 0x00af9b000000ffff	/* PAYLOAD_CODE64 */
	.quad 0x00cf93000000ffff	/* PAYLOAD_DATA */
	.quad 0x00cf9b000000ffff	/* PAYLOAD_CODE32 */
gdt_end:
gdtr:	.word gdt_end - gdt - 1
	.quad gdt

	.bss
	.balign 4096
stacks:
	.skip STACK_SIZE * PAYLOAD_MAX_CPUS
	.skip 256
	.balign 16
stack_boot:			/* shared: nobody returns to it */

	.section .note.GNU-stack, "", @progbits
