/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a payload and what starts it agree on: the image, the I/O ports and the
 * memory map. Included by C and by assembly; nothing that only one of them
 * needs belongs here.
 *
 * A payload is a flat image that is loaded at PAYLOAD_LOAD and may be entered
 * in four ways: by a VMM that puts the vCPU in front of it, by a multiboot
 * loader (QEMU -kernel), by a loader that jumps to its first byte in long mode
 * (Bochs' boot sector), and on further CPUs by INIT and SIPI. Its arguments
 * are text in the image itself: whoever starts it writes them there.
 *
 *   0x0000..0x7fff     free
 *   0x8000             where further CPUs start (16-bit code is copied there)
 *   0x1000000          image, data, stacks; identity mapped like all below 4 GiB
 *   0xe0000000         registers of a device (PAYLOAD_BAR), when there is one
 */
#ifndef RTKVM_PAYLOAD_PROTO_H
#define RTKVM_PAYLOAD_PROTO_H

#define PAYLOAD_LOAD 0x1000000
#define PAYLOAD_RAM 0x2000000 /* 32 MiB; whoever starts it gives at least this */
#define PAYLOAD_TRAMPOLINE 0x8000
#define PAYLOAD_BAR 0xe0000000
#define PAYLOAD_MAX_CPUS 8

/* The image's first bytes; offsets are of struct payload_image. */
#define PAYLOAD_MAGIC 0x646c79704d564b52 /* "RKVMpyld" */
#define PAYLOAD_AT_MAGIC 16
#define PAYLOAD_ARGS_SIZE 256

/* Ports. A write that nobody listens to does nothing, on every machine. */
#define PAYLOAD_PORT_TEXT 0xe9   /* characters of lines "NAME VALUE" */
#define PAYLOAD_PORT_END 0xf4    /* 32 bits: exit status; the payload has ended */
#define PAYLOAD_PORT_MARK 0x510  /* 32 bits: PAYLOAD_MARK_*, written by every CPU that runs */
#define PAYLOAD_PORT_FIRE 0x514  /* 32 bits: the event source shall interrupt this often */
#define PAYLOAD_PORT_COUNT 0x518 /* 32 bits: 1, 2, ...: the number of this access */
#define PAYLOAD_PORT_OFF 0x8900  /* "Shutdown" ends Bochs */

#define PAYLOAD_MARK_BEGIN 1 /* all CPUs have written it: counting starts */
#define PAYLOAD_MARK_END 2   /* all CPUs have written it: counting ends */

/* Exit statuses. */
#define PAYLOAD_OK 0
#define PAYLOAD_FAILED 1    /* a line "failed WHY" was written */
#define PAYLOAD_SKIPPED 77  /* a line "skipped WHY" was written */
#define PAYLOAD_TRAP 99     /* an exception; a line "trap ..." was written */

/* Vectors. */
#define PAYLOAD_VECTOR_TIMER 0x50
#define PAYLOAD_VECTOR_MSI 0x60
#define PAYLOAD_VECTOR_IPI 0x70
#define PAYLOAD_VECTOR_SPURIOUS 0xff

/* Selectors. */
#define PAYLOAD_CODE64 0x08
#define PAYLOAD_DATA 0x10
#define PAYLOAD_CODE32 0x18

#ifndef __ASSEMBLER__
struct payload_image {
	unsigned char entry_code[PAYLOAD_AT_MAGIC]; /* a jump to entry64 */
	unsigned long long magic;
	unsigned long long entry64; /* long mode, paging on, any flat segments */
	unsigned long long entry32; /* protected mode, paging off, flat segments */
	unsigned long long pml4;    /* identity map of 4 GiB, ready in the image */
	unsigned long long gdt;     /* PAYLOAD_CODE64, PAYLOAD_DATA, PAYLOAD_CODE32 */
	unsigned long long direct;  /* as entry64, for further CPUs without SIPI */
	char args[PAYLOAD_ARGS_SIZE]; /* "name=value name=value", ends with a zero */
};
#endif

#endif
