// SPDX-License-Identifier: MIT
//! The guest: some 70 instructions of long mode. On each tick it sleeps until its
//! timer, then rings a doorbell and sleeps until that was answered. It notes the
//! time stamp counter at four places; what that means is for main.rs.
//!
//! All of it is ring 0, in one thread, with interrupts open only where it sleeps: its
//! interrupt handlers may use rax, rcx and rdx.
use std::arch::global_asm;

use crate::kvm::{Regs, Segment, Sregs, Table};
use crate::sys::Mapping;

/// Constants for Rust and for the assembler, and the assembly.
macro_rules! guest {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)* => $text:literal) => {
        // some are the assembler's alone
        $($(#[$doc])* #[allow(dead_code)] pub const $name: usize = $value;)*
        global_asm!(
            $(concat!(".set ", stringify!($name), ", ", $value),)*
            $text,
            options(att_syntax)
        );
    };
}

guest! {
    PML4 = 0x1000;
    PDPT = 0x2000;
    PD = 0x3000;
    GDT = 0x4000;
    IDT = 0x5000;
    TSS = 0x6000;
    STACK_TOP = 0x10000;
    CODE = 0x20000;
    TIMER_AT = 0x30000;
    ANSWER_AT = 0x30008;
    FIRED = 0x30010;
    ANSWERED = 0x30014;
    /// 64 bits, of the VMM: between two ticks, in units of the TSC.
    INTERVAL = 0x30018;
    /// 32 bits, of the VMM: not 0: record.
    GO = 0x30020;
    /// 32 bits, of the VMM: so many.
    TICKS = 0x30024;
    /// 32 bits, of the guest: recorded so far.
    DONE = 0x30028;
    /// struct Sample for each tick.
    SAMPLES = 0x100000;

    VECTOR_TIMER = 0x40;
    VECTOR_ANSWER = 0x41;
    /// It is up, and ticks without being recorded.
    PORT_UP = 0x510;
    /// All ticks are recorded.
    PORT_DONE = 0x514;
    /// An exception; value: its vector.
    PORT_TRAP = 0x518;
    /// The doorbell.
    PORT_BELL = 0x520;

    => "
	.pushsection .rodata
	.balign 16
rust_vmm_guest:
	movl $0x1b, %ecx		# APIC base: x2APIC
	rdmsr
	orl $0xc00, %eax
	wrmsr
	xorl %edx, %edx
	movl $0x80f, %ecx		# on, spurious vector 255
	movl $0x1ff, %eax
	wrmsr
	movl $0x808, %ecx		# all priorities
	xorl %eax, %eax
	wrmsr
	movl $0x832, %ecx		# timer: TSC deadline
	movl $(2 << 17 | VECTOR_TIMER), %eax
	wrmsr

	movl $10, %ebp			# once through all of it
1:	call 5f
	call 7f
	decl %ebp
	jnz 1b
	movl $PORT_UP, %edx
	outl %eax, %dx
2:	call 5f
	call 7f
	cmpl $0, GO
	je 2b
	movl $SAMPLES, %edi
3:	call 5f
	call 7f
	movq %r8, (%rdi)
	movq TIMER_AT, %rax
	movq %rax, 8(%rdi)
	movq %r9, 16(%rdi)
	movq ANSWER_AT, %rax
	movq %rax, 24(%rdi)
	addq $32, %rdi
	incl %ebp
	movl %ebp, DONE
	cmpl TICKS, %ebp
	jb 3b
4:	movl $PORT_DONE, %edx
	outl %eax, %dx
	jmp 4b

5:	rdtsc				# a tick; r8: when the timer shall fire
	shlq $32, %rdx
	orq %rdx, %rax
	addq INTERVAL, %rax
	movq %rax, %r8
	movl $0, FIRED
	movq %rax, %rdx
	shrq $32, %rdx
	movl $0x6e0, %ecx
	wrmsr
6:	sti
	hlt
	cli
	cmpl $0, FIRED
	je 6b
	ret

7:	movl $0, ANSWERED		# the doorbell; r9: when it was rung
	rdtsc
	shlq $32, %rdx
	orq %rdx, %rax
	movq %rax, %r9
	movl $PORT_BELL, %edx
	outl %eax, %dx
8:	cmpl $0, ANSWERED
	jne 9f
	sti
	hlt
	cli
	jmp 8b
9:	ret

rust_vmm_timer:
	rdtsc
	movl %eax, TIMER_AT
	movl %edx, TIMER_AT + 4
	movl $1, FIRED
	xorl %eax, %eax
	xorl %edx, %edx
	movl $0x80b, %ecx		# end of interrupt
	wrmsr
	iretq
rust_vmm_answer:
	rdtsc
	movl %eax, ANSWER_AT
	movl %edx, ANSWER_AT + 4
	movl $1, ANSWERED
	xorl %eax, %eax
	xorl %edx, %edx
	movl $0x80b, %ecx
	wrmsr
	iretq
rust_vmm_spurious:
	iretq

	.balign 16
rust_vmm_traps:
	.set vector, 0
	.rept 32
	.balign 16
	movl $vector, %eax
	movl $PORT_TRAP, %edx
	outl %eax, %dx
	hlt
	.set vector, vector + 1
	.endr
rust_vmm_guest_end:
	.popsection
"
}

extern "C" {
    static rust_vmm_guest: u8;
    static rust_vmm_timer: u8;
    static rust_vmm_answer: u8;
    static rust_vmm_spurious: u8;
    static rust_vmm_traps: u8;
    static rust_vmm_guest_end: u8;
}

pub const RAM: usize = 0x200000;
pub const MAX_TICKS: u32 = ((RAM - SAMPLES) / std::mem::size_of::<Sample>()) as u32;

/// One tick, in units of the guest's TSC.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sample {
    pub deadline: u64,
    pub timer: u64,  // first instruction of the timer's handler
    pub rung: u64,   // before the doorbell
    pub answer: u64, // first instruction of the answer's handler
}

/// A gate of the IDT: 64-bit interrupt gate, ring 0.
fn gate(handler: usize) -> [u8; 16] {
    let (low, middle, high) = (handler & 0xffff, handler >> 16 & 0xffff, handler >> 32);
    let words = [low as u64 | 8 << 16 | 0x8e00 << 32 | (middle as u64) << 48, high as u64];
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&words[0].to_le_bytes());
    bytes[8..].copy_from_slice(&words[1].to_le_bytes());
    bytes
}

/// Put the guest into its memory.
pub fn load(ram: &Mapping) {
    let (start, end) = unsafe { (&rust_vmm_guest as *const u8, &rust_vmm_guest_end as *const u8) };
    let code = unsafe { std::slice::from_raw_parts(start, end as usize - start as usize) };
    let at = |symbol: &u8| CODE + (symbol as *const u8 as usize - start as usize);

    ram.write(CODE, code);
    let (timer, answer, spurious, traps) = unsafe {
        (at(&rust_vmm_timer), at(&rust_vmm_answer), at(&rust_vmm_spurious), at(&rust_vmm_traps))
    };
    for vector in 0..32 {
        ram.write(IDT + vector * 16, &gate(traps + vector * 16));
    }
    ram.write(IDT + VECTOR_TIMER * 16, &gate(timer));
    ram.write(IDT + VECTOR_ANSWER * 16, &gate(answer));
    ram.write(IDT + 255 * 16, &gate(spurious));
    // null, 64-bit code, data
    for (i, entry) in [0, 0x00af9b000000ffffu64, 0x00cf93000000ffff].iter().enumerate() {
        ram.write(GDT + i * 8, &entry.to_le_bytes());
    }
    // one large page, identity mapped
    ram.write(PML4, &(PDPT as u64 | 3).to_le_bytes());
    ram.write(PDPT, &(PD as u64 | 3).to_le_bytes());
    ram.write(PD, &0x83u64.to_le_bytes());
}

/// In front of its first instruction.
pub fn registers() -> Regs {
    let mut regs = Regs { rip: CODE as u64, rsp: STACK_TOP as u64, ..Default::default() };
    regs.rflags = 2;
    regs
}

pub fn set_sregs(sregs: &mut Sregs) {
    let flat = Segment { limit: 0xffffffff, present: 1, s: 1, g: 1, ..Default::default() };
    sregs.cs = Segment { selector: 8, kind: 11, l: 1, ..flat };
    sregs.data = [Segment { selector: 16, kind: 3, db: 1, ..flat }; 5];
    sregs.tr = Segment { base: TSS as u64, limit: 103, kind: 11, present: 1, ..Default::default() };
    sregs.ldt = Segment { unusable: 1, ..Default::default() };
    sregs.gdt = Table { base: GDT as u64, limit: 23, ..Default::default() };
    sregs.idt = Table { base: IDT as u64, limit: 256 * 16 - 1, ..Default::default() };
    sregs.cr0 = 0x80000011; // paging, protection, extension type
    sregs.cr3 = PML4 as u64;
    sregs.cr4 = 0x20; // PAE
    sregs.efer = 0x500; // long mode, active
}
