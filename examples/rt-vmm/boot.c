/* SPDX-License-Identifier: MIT */
/* Memory and registers of a Linux guest at its 64-bit entry point. */
#include <string.h>

#include "boot.h"

/* Below 640 KiB, out of each other's way; Linux reads or copies all of it early. */
#define GDT_AT 0x500
#define ZERO_PAGE_AT 0x7000
#define STACK_TOP 0x9000
#define PML4_AT 0x9000
#define PDPT_AT 0xa000
#define PD_AT 0xb000         /* four pages: 4 GiB in large pages */
#define CMDLINE_AT 0x20000

#define LOW_RAM_END 0x9fc00  /* the rest of 640 KiB is the BIOS's: the MP table is there */
#define BIOS_AT 0xf0000
#define HIGH_RAM 0x100000

#define E820_RAM 1
#define E820_RESERVED 2
#define LOADER_UNKNOWN 0xff

#define PTE_PRESENT 0x001ULL
#define PTE_WRITE 0x002ULL
#define PTE_LARGE 0x080ULL

/* The boot protocol wants these selectors: flat code, flat data. */
#define BOOT_CS 0x10
#define BOOT_DS 0x18
#define GDT_CODE 0x00af9b000000ffffULL
#define GDT_DATA 0x00cf93000000ffffULL

#define CR0_PE 0x1ULL
#define CR0_ET 0x10ULL
#define CR0_NE 0x20ULL
#define CR0_PG 0x80000000ULL
#define CR4_PAE 0x20ULL
#define EFER_LME 0x100ULL
#define EFER_LMA 0x400ULL

static void put64(unsigned char *ram, uint64_t at, uint64_t value)
{
	memcpy(ram + at, &value, sizeof(value));
}

/* The first 4 GiB at their own addresses. */
static void write_paging(unsigned char *ram)
{
	put64(ram, PML4_AT, PDPT_AT | PTE_PRESENT | PTE_WRITE);
	for (uint64_t gib = 0; gib < 4; gib++)
		put64(ram, PDPT_AT + gib * 8, (PD_AT + gib * 0x1000) | PTE_PRESENT | PTE_WRITE);
	for (uint64_t page = 0; page < 4 * 512; page++)
		put64(ram, PD_AT + page * 8, page << 21 | PTE_PRESENT | PTE_WRITE | PTE_LARGE);
}

static void add_range(struct boot_params *params, uint64_t from, uint64_t to, uint32_t type)
{
	struct boot_e820_entry *entry = &params->e820_table[params->e820_entries++];

	entry->addr = from;
	entry->size = to - from;
	entry->type = type;
}

static void write_zero_page(unsigned char *ram, uint64_t ram_size, const struct kernel *kernel,
			    const struct kernel_place *place)
{
	static struct boot_params params; /* 4 KiB */

	memset(&params, 0, sizeof(params));
	params.hdr = kernel->header;
	params.hdr.type_of_loader = LOADER_UNKNOWN;
	params.hdr.cmd_line_ptr = CMDLINE_AT;
	params.hdr.ramdisk_image = (uint32_t)place->initrd;
	params.hdr.ramdisk_size = (uint32_t)place->initrd_size;
	add_range(&params, 0, LOW_RAM_END, E820_RAM);
	add_range(&params, LOW_RAM_END, 0xa0000, E820_RESERVED);
	add_range(&params, BIOS_AT, HIGH_RAM, E820_RESERVED);
	add_range(&params, HIGH_RAM, ram_size, E820_RAM);
	memcpy(ram + ZERO_PAGE_AT, &params, sizeof(params));
}

void boot_write(unsigned char *ram, uint64_t ram_size, unsigned int vcpus,
		const struct kernel *kernel, const unsigned char *file,
		const struct kernel_place *place, const char *cmdline)
{
	for (unsigned int i = 0; i < kernel->segments; i++)
		memcpy(ram + kernel->segment[i].address, file + kernel->segment[i].offset,
		       kernel->segment[i].size);
	memcpy(ram + CMDLINE_AT, cmdline, strnlen(cmdline, BOOT_CMDLINE_MAX - 1));
	put64(ram, GDT_AT + BOOT_CS, GDT_CODE);
	put64(ram, GDT_AT + BOOT_DS, GDT_DATA);
	write_paging(ram);
	write_zero_page(ram, ram_size, kernel, place);
	mptable_write(ram, vcpus);
}

void boot_set_sregs(struct kvm_sregs *sregs)
{
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = BOOT_CS, .type = 0xb, .present = 1, .s = 1,
		.l = 1, .g = 1,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = BOOT_DS, .type = 0x3, .present = 1, .s = 1,
		.db = 1, .g = 1,
	};

	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->gdt.base = GDT_AT;
	sregs->gdt.limit = BOOT_DS + 7;
	sregs->idt.base = 0;
	sregs->idt.limit = 0;
	sregs->cr3 = PML4_AT;
	sregs->cr4 = CR4_PAE;
	sregs->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	sregs->efer = EFER_LME | EFER_LMA;
}

void boot_set_regs(struct kvm_regs *regs, const struct kernel *kernel)
{
	memset(regs, 0, sizeof(*regs));
	regs->rflags = 2;
	regs->rip = kernel->entry;
	regs->rsi = ZERO_PAGE_AT;
	regs->rsp = STACK_TOP;
}
