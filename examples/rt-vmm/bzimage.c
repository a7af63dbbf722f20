/* SPDX-License-Identifier: MIT */
/*
 * A bzImage, as Documentation/arch/x86/boot.rst of the kernel describes it.
 */
#include <string.h>

#include "kernel.h"

#define HEADER_AT 0x1f1            /* of struct setup_header in the file */
#define MAGIC_AT 0x202             /* of "HdrS"; its length counts from here */
#define LENGTH_AT 0x201
#define HEADER_MIN (0x260 + 4)     /* up to init_size, in protocol 2.10 */
#define VERSION_MIN 0x020c         /* the first that knows xloadflags */
#define BOOT_FLAG 0xaa55
#define MAGIC 0x53726448           /* "HdrS" */
#define SECTOR 512
#define SETUP_SECTS_DEFAULT 4
#define ENTRY_64 0x200             /* from the start of the protected-mode part */

/* The header, as much of it as this kernel has and we know. */
static int read_header(struct setup_header *header, const unsigned char *file, size_t size,
		       char *why)
{
	size_t end, length = sizeof(*header);

	memset(header, 0, length);
	if (size < HEADER_MIN)
		return kernel_refuse(why, "too short for a bzImage: %zu bytes", size);
	end = MAGIC_AT + (size_t)file[LENGTH_AT];
	if (HEADER_AT + length > end)
		length = end - HEADER_AT;
	if (HEADER_AT + length > size)
		length = size - HEADER_AT;
	memcpy(header, file + HEADER_AT, length);
	if (header->boot_flag != BOOT_FLAG || header->header != MAGIC)
		return kernel_refuse(why, "neither a bzImage (no \"HdrS\" in its header) nor a vmlinux");
	if (header->version < VERSION_MIN)
		return kernel_refuse(why, "boot protocol %u.%02u; 2.12 or later is needed (Linux 3.8)",
				     header->version >> 8, header->version & 0xffU);
	if (end < HEADER_MIN)
		return kernel_refuse(why, "damaged: a setup header of %u bytes", file[LENGTH_AT]);
	return 0;
}

static int check_header(const struct setup_header *header, char *why)
{
	uint32_t align = header->kernel_alignment;

	if (!(header->loadflags & LOADED_HIGH))
		return kernel_refuse(why, "a zImage, which is loaded below 1 MiB; a bzImage is needed");
	if (!(header->xloadflags & XLF_KERNEL_64))
		return kernel_refuse(why, "without a 64-bit entry point (a 32-bit kernel?)");
	if (header->pref_address < KERNEL_LOW_END || header->pref_address >= KERNEL_HIGH_END)
		return kernel_refuse(why, "damaged: it wants to be loaded at 0x%llx",
				     (unsigned long long)header->pref_address);
	if (!align || (align & (align - 1)) ||
	    (header->relocatable_kernel && header->pref_address % align))
		return kernel_refuse(why, "damaged: alignment 0x%x of address 0x%llx", align,
				     (unsigned long long)header->pref_address);
	return 0;
}

int kernel_parse_bzimage(struct kernel *kernel, const unsigned char *file, size_t size, char *why)
{
	const struct setup_header *header = &kernel->header;
	struct kernel_segment *segment = &kernel->segment[0];
	unsigned int sectors;
	uint64_t payload, needs, whole;

	if (read_header(&kernel->header, file, size, why) < 0 || check_header(header, why) < 0)
		return -1;
	sectors = header->setup_sects ? header->setup_sects : SETUP_SECTS_DEFAULT;
	segment->offset = (sectors + 1) * SECTOR;
	payload = header->syssize * 16ULL;
	if (payload <= ENTRY_64)
		return kernel_refuse(why, "damaged: a kernel of %llu bytes", (unsigned long long)payload);
	whole = segment->offset + payload;
	if (size < whole)
		return kernel_refuse(why, "cut off: %zu bytes of %llu", size,
				     (unsigned long long)whole);
	segment->size = payload;
	segment->address = header->pref_address;
	kernel->segments = 1;
	kernel->load = header->pref_address;
	/* room to unpack itself, never less than what is loaded */
	needs = header->init_size > payload ? header->init_size : payload;
	kernel->end = kernel->load + needs;
	kernel->entry = kernel->load + ENTRY_64;
	return 0;
}
