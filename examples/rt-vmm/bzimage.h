/* SPDX-License-Identifier: MIT */
/*
 * A bzImage, as Documentation/arch/x86/boot.rst of the kernel describes it: what
 * its setup header says, checked, and where kernel and initrd go in memory.
 * The file is not trusted. Nothing here knows of KVM.
 */
#ifndef BZIMAGE_H
#define BZIMAGE_H

#include <stddef.h>
#include <stdint.h>

#include <asm/bootparam.h>

#define BZIMAGE_WHY 160 /* room for the reason of a refusal */

struct bzimage {
	struct setup_header header; /* as in the file; what is not there is 0 */
	size_t offset;              /* of the protected-mode part in the file */
	size_t size;                /* of it, bytes */
	uint64_t load;              /* guest-physical address it wants */
	uint64_t end;               /* first address that it does not need */
	uint64_t entry;             /* in 64-bit mode */
};

struct bzimage_place {
	uint64_t initrd;            /* guest-physical; 0: none */
	uint64_t initrd_size;
};

/*
 * Look at the file. Returns 0, or -1 with the reason in why (BZIMAGE_WHY
 * bytes): not a bzImage, one that cannot be entered in 64-bit mode, damaged or
 * cut off.
 */
int bzimage_parse(struct bzimage *image, const unsigned char *file, size_t size, char *why);

/*
 * Find room for all of it in ram_size bytes of memory from 0, without a hole.
 * Returns 0, or -1 with the reason.
 */
int bzimage_place(const struct bzimage *image, uint64_t ram_size, uint64_t initrd_size,
		  size_t cmdline_size, struct bzimage_place *place, char *why);

#endif
