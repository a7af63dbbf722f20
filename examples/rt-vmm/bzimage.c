/* SPDX-License-Identifier: MIT */
/* Looking at a bzImage that nobody has checked before, and placing it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bzimage.h"

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
#define LOW_END 0x100000           /* nothing of it is loaded below */
#define PAGE 4096ULL
#define RAM_MAX (1ULL << 32)

static int refuse(char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, BZIMAGE_WHY, fmt, ap);
	va_end(ap);
	return -1;
}

/* The header, as much of it as this kernel has and we know. */
static int read_header(struct setup_header *header, const unsigned char *file, size_t size,
		       char *why)
{
	size_t end, length = sizeof(*header);

	memset(header, 0, length);
	if (size < HEADER_MIN)
		return refuse(why, "too short for a bzImage: %zu bytes", size);
	end = MAGIC_AT + (size_t)file[LENGTH_AT];
	if (HEADER_AT + length > end)
		length = end - HEADER_AT;
	if (HEADER_AT + length > size)
		length = size - HEADER_AT;
	memcpy(header, file + HEADER_AT, length);
	if (header->boot_flag != BOOT_FLAG || header->header != MAGIC)
		return refuse(why, "not a bzImage (no \"HdrS\" in its header); a vmlinux is not "
			      "taken, arch/x86/boot/bzImage is");
	if (header->version < VERSION_MIN)
		return refuse(why, "boot protocol %u.%02u; 2.12 or later is needed (Linux 3.8)",
			      header->version >> 8, header->version & 0xffU);
	if (end < HEADER_MIN)
		return refuse(why, "damaged: a setup header of %u bytes", file[LENGTH_AT]);
	return 0;
}

static int check_header(const struct setup_header *header, char *why)
{
	uint32_t align = header->kernel_alignment;

	if (!(header->loadflags & LOADED_HIGH))
		return refuse(why, "a zImage, which is loaded below 1 MiB; a bzImage is needed");
	if (!(header->xloadflags & XLF_KERNEL_64))
		return refuse(why, "without a 64-bit entry point (a 32-bit kernel?)");
	if (header->pref_address < LOW_END || header->pref_address >= RAM_MAX)
		return refuse(why, "damaged: it wants to be loaded at 0x%llx",
			      (unsigned long long)header->pref_address);
	if (!align || (align & (align - 1)) ||
	    (header->relocatable_kernel && header->pref_address % align))
		return refuse(why, "damaged: alignment 0x%x of address 0x%llx", align,
			      (unsigned long long)header->pref_address);
	return 0;
}

int bzimage_parse(struct bzimage *image, const unsigned char *file, size_t size, char *why)
{
	const struct setup_header *header = &image->header;
	unsigned int sectors;
	uint64_t payload, needs;

	memset(image, 0, sizeof(*image));
	if (read_header(&image->header, file, size, why) < 0 || check_header(header, why) < 0)
		return -1;
	sectors = header->setup_sects ? header->setup_sects : SETUP_SECTS_DEFAULT;
	image->offset = (sectors + 1) * SECTOR;
	payload = header->syssize * 16ULL;
	if (payload <= ENTRY_64)
		return refuse(why, "damaged: a kernel of %llu bytes", (unsigned long long)payload);
	if (size < image->offset || size - image->offset < payload)
		return refuse(why, "cut off: %zu bytes of %llu", size,
			      (unsigned long long)(image->offset + payload));
	image->size = payload;
	image->load = header->pref_address;
	/* room to unpack itself, never less than what is loaded */
	needs = header->init_size > payload ? header->init_size : payload;
	image->end = image->load + needs;
	image->entry = image->load + ENTRY_64;
	return 0;
}

int bzimage_place(const struct bzimage *image, uint64_t ram_size, uint64_t initrd_size,
		  size_t cmdline_size, struct bzimage_place *place, char *why)
{
	uint64_t limit = ram_size;

	memset(place, 0, sizeof(*place));
	if (image->end > ram_size)
		return refuse(why, "needs memory up to %llu MiB to boot; the guest has %llu MiB",
			      (unsigned long long)((image->end >> 20) + 1),
			      (unsigned long long)(ram_size >> 20));
	if (cmdline_size > image->header.cmdline_size)
		return refuse(why, "takes a command line of %u bytes; this one has %zu",
			      image->header.cmdline_size, cmdline_size);
	if (!initrd_size)
		return 0;
	if (image->header.initrd_addr_max < limit - 1)
		limit = image->header.initrd_addr_max + 1ULL;
	if (limit < initrd_size || ((limit - initrd_size) & ~(PAGE - 1)) < image->end)
		return refuse(why, "no room for an initrd of %llu bytes above the kernel, which ends "
			      "at %llu MiB; the limit is %llu MiB: give the guest more memory",
			      (unsigned long long)initrd_size,
			      (unsigned long long)(image->end >> 20),
			      (unsigned long long)(limit >> 20));
	place->initrd = (limit - initrd_size) & ~(PAGE - 1);
	place->initrd_size = initrd_size;
	return 0;
}
