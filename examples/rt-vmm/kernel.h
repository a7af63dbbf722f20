/* SPDX-License-Identifier: MIT */
/*
 * A Linux kernel of x86-64 as a file, a bzImage or a vmlinux: what it says of
 * itself, checked, and where it and an initrd go in memory. The file is not
 * trusted. Nothing here knows of KVM.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include <asm/bootparam.h>

#define KERNEL_WHY 160     /* room for the reason of a refusal */
#define KERNEL_SEGMENTS 16

#define KERNEL_LOW_END 0x100000      /* nothing of it is loaded below, */
#define KERNEL_HIGH_END (1ULL << 32) /* nor above */

/* Bytes of the file that go to an address. */
struct kernel_segment {
	size_t offset, size;
	uint64_t address;           /* guest-physical */
};

struct kernel {
	struct setup_header header; /* of a vmlinux, which has none: as its bzImage's */
	struct kernel_segment segment[KERNEL_SEGMENTS];
	unsigned int segments;
	uint64_t load;              /* first address */
	uint64_t end;               /* first one that it does not need */
	uint64_t entry;             /* in 64-bit mode */
};

struct kernel_place {
	uint64_t initrd;            /* guest-physical; 0: none */
	uint64_t initrd_size;
};

/*
 * Look at the file. Returns 0, or -1 with the reason in why (KERNEL_WHY bytes):
 * no kernel, one that cannot be entered in 64-bit mode, damaged or cut off.
 */
int kernel_parse(struct kernel *kernel, const unsigned char *file, size_t size, char *why);

/*
 * Find room for all of it in ram_size bytes of memory from 0, without a hole.
 * Returns 0, or -1 with the reason.
 */
int kernel_place(const struct kernel *kernel, uint64_t ram_size, uint64_t initrd_size,
		 size_t cmdline_size, struct kernel_place *place, char *why);

/* Parts of kernel_parse(): bzimage.c, vmlinux.c. The kernel is all 0. */
int kernel_parse_bzimage(struct kernel *kernel, const unsigned char *file, size_t size, char *why);
int kernel_parse_vmlinux(struct kernel *kernel, const unsigned char *file, size_t size, char *why);

/* Say why not; returns -1. */
int kernel_refuse(char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
