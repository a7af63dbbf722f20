/* SPDX-License-Identifier: MIT */
/* Which kind of kernel a file is, and room for it in memory. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel.h"

#define PAGE 4096ULL

int kernel_refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, KERNEL_WHY, fmt, ap);
	va_end(ap);
	return -1;
}

int kernel_parse(struct kernel *kernel, const unsigned char *file, size_t size, char *why)
{
	memset(kernel, 0, sizeof(*kernel));
	if (size >= 4 && !memcmp(file, "\177ELF", 4))
		return kernel_parse_vmlinux(kernel, file, size, why);
	return kernel_parse_bzimage(kernel, file, size, why);
}

int kernel_place(const struct kernel *kernel, uint64_t ram_size, uint64_t initrd_size,
		 size_t cmdline_size, struct kernel_place *place, char *why)
{
	uint64_t limit = ram_size, needs_mib = (kernel->end >> 20) + 1;

	memset(place, 0, sizeof(*place));
	if (kernel->end > ram_size)
		return kernel_refuse(why, "needs memory up to %llu MiB to boot; the guest has %llu MiB",
				     (unsigned long long)needs_mib,
				     (unsigned long long)(ram_size >> 20));
	if (cmdline_size > kernel->header.cmdline_size)
		return kernel_refuse(why, "takes a command line of %u bytes; this one has %zu",
				     kernel->header.cmdline_size, cmdline_size);
	if (!initrd_size)
		return 0;
	if (kernel->header.initrd_addr_max < limit - 1)
		limit = kernel->header.initrd_addr_max + 1ULL;
	if (limit < initrd_size || ((limit - initrd_size) & ~(PAGE - 1)) < kernel->end)
		return kernel_refuse(why, "no room for an initrd of %llu bytes above the kernel, "
				     "which ends at %llu MiB; the limit is %llu MiB: give the guest "
				     "more memory", (unsigned long long)initrd_size,
				     (unsigned long long)(kernel->end >> 20),
				     (unsigned long long)(limit >> 20));
	place->initrd = (limit - initrd_size) & ~(PAGE - 1);
	place->initrd_size = initrd_size;
	return 0;
}
