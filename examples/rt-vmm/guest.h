/* SPDX-License-Identifier: MIT */
/*
 * What the VMM and its guest agree on: the memory map, the I/O ports and the
 * structures in shared guest memory. Nothing else belongs here; the file is
 * included by the VMM, by the freestanding guest and by its assembly.
 *
 * Guest-physical                      guest-virtual, on every vCPU
 *   0x000000  tables, ring-0 stacks     the same, supervisor only
 *   0x200000  image: code, constants    the same, read-only for ring 3
 *   0x400000 + 2 MiB * vCPU: its data   0x400000 (each vCPU sees its own)
 *
 * Each vCPU has page tables of its own which map its own data at the same
 * address. So the guest is written as if there were one vCPU.
 */
#ifndef GUEST_H
#define GUEST_H

#define GUEST_MAX_VCPUS 8

#define GUEST_IDT 0x1000         /* shared by all vCPUs */
#define GUEST_SYSTEM 0x10000     /* per vCPU from here: see below */
#define GUEST_SYSTEM_SIZE 0x10000
#define GUEST_PML4 0x0000        /* offsets in a vCPU's part */
#define GUEST_PDPT 0x1000
#define GUEST_PD 0x2000
#define GUEST_GDT 0x3000
#define GUEST_TSS 0x4000
#define GUEST_STACK0_TOP 0x10000 /* 32 KiB above the TSS page */

#define GUEST_IMAGE 0x200000
#define GUEST_DATA 0x400000
#define GUEST_DATA_SIZE 0x200000
#define GUEST_RING 0x401000      /* after the control page */
#define GUEST_RING_ENTRIES 32768 /* 1 MiB */
#define GUEST_STACK3_TOP 0x600000
#define GUEST_RAM(vcpus) (GUEST_DATA + (vcpus) * GUEST_DATA_SIZE)

#define GUEST_CODE0 0x08
#define GUEST_DATA0 0x10
#define GUEST_DATA3 0x18
#define GUEST_CODE3 0x20
#define GUEST_TSS_SEL 0x28

#define GUEST_VECTOR_TIMER 0x40
#define GUEST_VECTOR_CALL 3         /* int3: the two calls that ring 3 can make */
#define GUEST_CALL_WAIT 0           /* rsi; rdi: deadline to sleep until */
#define GUEST_CALL_PORT 1           /* rsi; rdi: I/O port to write to */
#define GUEST_VECTOR_SPURIOUS 0xff

#define GUEST_PORT_UP 0x510      /* booted; ticking without recording */
#define GUEST_PORT_START 0x514   /* the measured part begins */
#define GUEST_PORT_DONE 0x518    /* it has ended */
#define GUEST_PORT_TRAP 0x51c    /* a CPU exception; value: its vector */

#define GUEST_MAGIC 0x31766d6d5674724bUL

/* Words of struct guest_ctl that the assembly uses. */
#define GUEST_CTL_STAMP (GUEST_DATA + 0)
#define GUEST_CTL_FIRED (GUEST_DATA + 8)

#ifndef __ASSEMBLER__
typedef unsigned long long guest_u64;
typedef unsigned int guest_u32;

/* First bytes of the image: addresses in the guest. */
struct guest_image {
	guest_u64 magic;
	guest_u64 entry;
	guest_u64 timer;
	guest_u64 call;
	guest_u64 spurious;
	guest_u64 exception[32];
};

/* Control page of a vCPU. Times are TSC ticks. */
struct guest_ctl {
	guest_u64 stamp;    /* guest: TSC at the entry of the last interrupt */
	guest_u32 fired;    /* guest: the interrupt came */
	guest_u32 go;       /* VMM: 1 = measure, 2 = end now */
	guest_u64 interval; /* VMM */
	guest_u64 work;     /* VMM: computation per tick; 0: none */
	guest_u64 ticks;    /* VMM: ticks of the measured part */
	guest_u32 head;     /* guest: samples written, free running */
	guest_u32 tail;     /* VMM: samples read, free running */
	guest_u64 lost;     /* guest: ticks whose time had passed before they could be armed */
	guest_u64 dropped;  /* guest: samples lost because the ring was full */
	guest_u64 loops;    /* guest: iterations that make up the work of a tick */
	guest_u64 result;   /* guest: what was computed, so that it is not optimised away */
};

/* One wake-up. */
struct guest_sample {
	guest_u64 tick;     /* its place on the grid, from 1 */
	guest_u64 deadline; /* when the timer should fire */
	guest_u64 isr;      /* first instruction of the interrupt handler */
	guest_u64 task;     /* ring 3 is running again */
};
#endif

#endif
