/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The boot stage of the vmx host and of the bare machine: an expansion ROM in
 * the place of the VGA BIOS, the first that Bochs' BIOS calls when it has set up
 * memory map, ACPI tables and interrupt routing. It asks the BIOS for the map,
 * asks the emulator for the images (instrument/loader.cc) and enters the first
 * of them as Linux' 64-bit boot protocol says: long mode, memory identity
 * mapped, %rsi at boot_params. It does not return.
 */
	.set	PARAMS, 0x10000
	.set	TABLES, 0x20000		# page tables: PML4, PDPT, 4 PD
	.set	LOAD, 0x1000000
	.set	PORT_LOAD, 0xb6

	.code16
	.globl	_start
_start:	.byte	0x55, 0xaa, 1		# one sector
entry:	cli
	cld
	# boot_params: zeros, and the memory map
	movw	$(PARAMS >> 4), %ax
	movw	%ax, %es
	xorw	%di, %di
	xorl	%eax, %eax
	movw	$1024, %cx
	rep stosl
	movw	$0x2d0, %di		# e820_table
	xorl	%ebx, %ebx
	xorw	%bp, %bp
1:	movl	$0xe820, %eax
	movl	$20, %ecx
	movl	$0x534d4150, %edx
	int	$0x15
	jc	2f
	incw	%bp
	addw	$20, %di
	testl	%ebx, %ebx
	jnz	1b
2:	movw	%bp, %ax
	movb	%al, %es:0x1e8		# e820_entries
	cli
	inb	$0x92, %al		# A20
	orb	$2, %al
	outb	%al, $0x92
	outb	%al, $PORT_LOAD
	# page tables: 2 MiB pages, 4 GiB
	movw	$(TABLES >> 4), %ax
	movw	%ax, %es
	xorw	%di, %di
	xorl	%eax, %eax
	movw	$2048, %cx
	rep stosl
	movl	$(TABLES + 0x1003), %es:0
	movl	$(TABLES + 0x2003), %eax
	movw	$0x1000, %di
	movw	$4, %cx
3:	movl	%eax, %es:(%di)
	addl	$0x1000, %eax
	addw	$8, %di
	loop	3b
	movl	$0x83, %eax
	movw	$0x2000, %di
	movw	$2048, %cx
4:	movl	%eax, %es:(%di)
	movl	$0, %es:4(%di)
	addl	$0x200000, %eax
	addw	$8, %di
	loop	4b
	# the tables of segments, from the ROM itself
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	gdtr - _start
	movl	$TABLES, %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$0x20, %eax		# PAE
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax		# LME
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000001, %eax	# PG, PE
	movl	%eax, %cr0
	ljmpl	$0x10, $(0xc0000 + long - _start)
	.code64
long:	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$PARAMS, %esp
	movl	$PARAMS, %esi
	movl	$LOAD, %eax
	jmp	*%rax

	.balign	8
gdt:	.quad	0, 0			# as Linux has them: 0x10 code, 0x18 data
	.quad	0x00af9a000000ffff
	.quad	0x00cf92000000ffff
gdtr:	.word	. - gdt - 1
	.long	0xc0000 + gdt - _start
	.org	511			# and the checksum, by who makes the image
