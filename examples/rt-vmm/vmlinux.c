/* SPDX-License-Identifier: MIT */
/*
 * A vmlinux: the kernel as an ELF file, what a bzImage has packed in it. It need
 * not unpack itself, which on an emulated machine is a quarter of its boot or more. Its
 * entry point is that of the 64-bit boot protocol, too.
 */
#include <elf.h>
#include <string.h>

#include "kernel.h"

#define HEADER_MAGIC 0x53726448          /* "HdrS" */
#define PROTOCOL 0x020c
#define BOOT_FLAG 0xaa55
#define CMDLINE_MAX 2047          /* COMMAND_LINE_SIZE of x86, without its end */
#define INITRD_MAX 0x7fffffff     /* as in the header of every 64-bit bzImage */

/* What the kernel reads in the zero page of the one who loaded it. */
static void make_header(struct setup_header *header)
{
	header->boot_flag = BOOT_FLAG;
	header->header = HEADER_MAGIC;
	header->version = PROTOCOL;
	header->loadflags = LOADED_HIGH;
	header->initrd_addr_max = INITRD_MAX;
	header->cmdline_size = CMDLINE_MAX;
}

static int check_elf(const Elf64_Ehdr *header, size_t size, char *why)
{
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != EM_X86_64)
		return kernel_refuse(why, "an ELF file, but not of x86-64");
	if (header->e_type != ET_EXEC)
		return kernel_refuse(why, "an ELF file, but not an executable at a fixed address: "
				     "no vmlinux");
	if (header->e_phentsize != sizeof(Elf64_Phdr) || !header->e_phnum)
		return kernel_refuse(why, "damaged: %u program headers of %u bytes", header->e_phnum,
				     header->e_phentsize);
	if (header->e_phoff > size ||
	    (size - header->e_phoff) / sizeof(Elf64_Phdr) < header->e_phnum)
		return kernel_refuse(why, "cut off: %zu bytes do not hold its program headers", size);
	return 0;
}

static int add_segment(struct kernel *kernel, const Elf64_Phdr *p, size_t size, char *why)
{
	struct kernel_segment *segment = &kernel->segment[kernel->segments];

	if (kernel->segments == KERNEL_SEGMENTS)
		return kernel_refuse(why, "damaged: more than %d segments", KERNEL_SEGMENTS);
	if (p->p_paddr < KERNEL_LOW_END || p->p_paddr >= KERNEL_HIGH_END ||
	    p->p_memsz > KERNEL_HIGH_END - p->p_paddr)
		return kernel_refuse(why, "%llu bytes of it want to be loaded at 0x%llx: no vmlinux",
				     (unsigned long long)p->p_memsz, (unsigned long long)p->p_paddr);
	if (p->p_filesz > p->p_memsz)
		return kernel_refuse(why, "damaged: %llu bytes of the file for %llu bytes of memory",
				     (unsigned long long)p->p_filesz, (unsigned long long)p->p_memsz);
	if (p->p_offset > size || p->p_filesz > size - p->p_offset)
		return kernel_refuse(why, "cut off: %zu bytes do not hold its segments", size);
	segment->offset = p->p_offset;
	segment->size = p->p_filesz;
	segment->address = p->p_paddr;
	if (!kernel->segments || p->p_paddr < kernel->load)
		kernel->load = p->p_paddr;
	if (p->p_paddr + p->p_memsz > kernel->end)
		kernel->end = p->p_paddr + p->p_memsz;
	kernel->segments++;
	return 0;
}

int kernel_parse_vmlinux(struct kernel *kernel, const unsigned char *file, size_t size, char *why)
{
	Elf64_Ehdr header;

	if (size < sizeof(header))
		return kernel_refuse(why, "cut off: %zu bytes of an ELF file", size);
	memcpy(&header, file, sizeof(header));
	if (check_elf(&header, size, why) < 0)
		return -1;
	for (size_t i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, file + header.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_LOAD && p.p_memsz && add_segment(kernel, &p, size, why) < 0)
			return -1;
	}
	if (header.e_entry < kernel->load || header.e_entry >= kernel->end)
		return kernel_refuse(why, "its entry point, 0x%llx, is in none of its segments: no "
				     "vmlinux", (unsigned long long)header.e_entry);
	kernel->entry = header.e_entry;
	make_header(&kernel->header);
	return 0;
}
