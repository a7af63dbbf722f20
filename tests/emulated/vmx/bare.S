/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The smallest payload, for the test of the bare machine: writes its arguments,
 * executes 1000 times two instructions between two markers of the meter, then does
 * what the first letter of its arguments says: 7 ends with status 7, q ends
 * without one, anything else stays in a loop for ever.
 */
	.set	MARKER, 0x4d4b5452
	.globl	_start
_start:	jmp	1f
	.org	64
arguments:
	.skip	256
1:	leaq	arguments(%rip), %rsi
	movw	$0xe9, %dx
2:	lodsb
	testb	%al, %al
	jz	3f
	outb	%al, %dx
	jmp	2b
3:	movb	$'\n', %al
	outb	%al, %dx
	movl	$1000, %ecx
	movl	$1, %eax
	nopl	MARKER(%rax)
4:	decl	%ecx
	jnz	4b
	movl	$2, %eax
	nopl	MARKER(%rax)
	movb	arguments(%rip), %al
	cmpb	$'7', %al
	je	5f
	cmpb	$'q', %al
	je	6f
	jmp	.
5:	movl	$7, %eax
	movw	$0xf4, %dx
	outl	%eax, %dx
	# Bochs ends when it reads this on this port
6:	leaq	shutdown(%rip), %rsi
	movl	$8, %ecx
	movw	$0x8900, %dx
7:	lodsb
	outb	%al, %dx
	loop	7b
	jmp	.
shutdown:
	.ascii	"Shutdown"
