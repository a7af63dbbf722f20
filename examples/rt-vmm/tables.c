/* SPDX-License-Identifier: MIT */
/*
 * What the processor wants in memory before the first instruction in long
 * mode: page tables, segments, TSS, IDT; and the system registers that point
 * there. The memory map is in guest.h.
 */
#include <string.h>

#include "machine.h"

#define PTE_PRESENT 0x001ULL
#define PTE_WRITE 0x002ULL
#define PTE_USER 0x004ULL
#define PTE_LARGE 0x080ULL

#define SEG_CODE 0xb   /* execute, read, accessed */
#define SEG_DATA 0x3   /* read, write, accessed */
#define SEG_TSS_BUSY 0xb

#define CR0_PE 0x1ULL
#define CR0_ET 0x10ULL
#define CR0_NE 0x20ULL
#define CR0_WP 0x10000ULL
#define CR0_PG 0x80000000ULL
#define CR4_PAE 0x20ULL
#define EFER_LME 0x100ULL
#define EFER_LMA 0x400ULL

static uint64_t system_base(unsigned int index)
{
	return GUEST_SYSTEM + (uint64_t)index * GUEST_SYSTEM_SIZE;
}

static void put64(unsigned char *ram, uint64_t at, uint64_t value)
{
	memcpy(ram + at, &value, sizeof(value));
}

/* The 8 bytes of a flat segment descriptor. */
static uint64_t descriptor(const struct kvm_segment *s)
{
	uint64_t flags = s->type | (uint64_t)s->s << 4 | (uint64_t)s->dpl << 5 |
			 (uint64_t)s->present << 7 | (uint64_t)s->l << 13 | (uint64_t)s->db << 14 |
			 (uint64_t)s->g << 15;
	uint64_t limit = s->g ? s->limit >> 12 : s->limit;

	return (limit & 0xffff) | (s->base & 0xffffff) << 16 | flags << 40 |
	       (limit >> 16 & 0xf) << 48 | (s->base >> 24 & 0xff) << 56;
}

static struct kvm_segment flat(uint16_t selector, uint8_t type, uint8_t dpl)
{
	struct kvm_segment s = {
		.limit = 0xffffffff, .selector = selector, .type = type, .present = 1,
		.dpl = dpl, .db = type == SEG_DATA, .s = 1, .l = type == SEG_CODE, .g = 1,
	};

	return s;
}

static struct kvm_segment task_segment(unsigned int index)
{
	struct kvm_segment s = {
		.base = system_base(index) + GUEST_TSS, .limit = 0x67, .selector = GUEST_TSS_SEL,
		.type = SEG_TSS_BUSY, .present = 1,
	};

	return s;
}

void tables_write(unsigned char *ram, unsigned int index)
{
	uint64_t base = system_base(index);
	uint64_t data = GUEST_DATA + (uint64_t)index * GUEST_DATA_SIZE;
	struct kvm_segment code0 = flat(GUEST_CODE0, SEG_CODE, 0);
	struct kvm_segment data0 = flat(GUEST_DATA0, SEG_DATA, 0);
	struct kvm_segment code3 = flat(GUEST_CODE3, SEG_CODE, 3);
	struct kvm_segment data3 = flat(GUEST_DATA3, SEG_DATA, 3);
	struct kvm_segment tss = task_segment(index);

	put64(ram, base + GUEST_PML4, (base + GUEST_PDPT) | PTE_PRESENT | PTE_WRITE | PTE_USER);
	put64(ram, base + GUEST_PDPT, (base + GUEST_PD) | PTE_PRESENT | PTE_WRITE | PTE_USER);
	/* three large pages: tables and ring-0 stacks; image; this vCPU's data */
	put64(ram, base + GUEST_PD, 0 | PTE_PRESENT | PTE_WRITE | PTE_LARGE);
	put64(ram, base + GUEST_PD + 8, GUEST_IMAGE | PTE_PRESENT | PTE_USER | PTE_LARGE);
	put64(ram, base + GUEST_PD + 16, data | PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_LARGE);

	put64(ram, base + GUEST_GDT + GUEST_CODE0, descriptor(&code0));
	put64(ram, base + GUEST_GDT + GUEST_DATA0, descriptor(&data0));
	put64(ram, base + GUEST_GDT + GUEST_CODE3, descriptor(&code3));
	put64(ram, base + GUEST_GDT + GUEST_DATA3, descriptor(&data3));
	put64(ram, base + GUEST_GDT + GUEST_TSS_SEL, descriptor(&tss));
	put64(ram, base + GUEST_GDT + GUEST_TSS_SEL + 8, tss.base >> 32);

	put64(ram, base + GUEST_TSS + 4, base + GUEST_STACK0_TOP); /* RSP0 */
}

static void gate(unsigned char *ram, unsigned int vector, uint64_t handler, unsigned int dpl)
{
	uint64_t low = (handler & 0xffff) | (uint64_t)GUEST_CODE0 << 16 |
		       (uint64_t)(0x8e | dpl << 5) << 40 | (handler >> 16 & 0xffff) << 48;

	put64(ram, GUEST_IDT + vector * 16, low);
	put64(ram, GUEST_IDT + vector * 16 + 8, handler >> 32);
}

void tables_write_idt(unsigned char *ram, const struct guest_image *image)
{
	for (unsigned int vector = 0; vector < 32; vector++)
		gate(ram, vector, image->exception[vector], 0);
	gate(ram, GUEST_VECTOR_TIMER, image->timer, 0);
	gate(ram, GUEST_VECTOR_SPURIOUS, image->spurious, 0);
	gate(ram, GUEST_VECTOR_CALL, image->call, 3); /* ring 3 may call it */
}

void tables_set_sregs(struct kvm_sregs *sregs, unsigned int index)
{
	uint64_t base = system_base(index);
	struct kvm_segment data = flat(GUEST_DATA0, SEG_DATA, 0);

	sregs->cs = flat(GUEST_CODE0, SEG_CODE, 0);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->tr = task_segment(index);
	sregs->gdt.base = base + GUEST_GDT;
	sregs->gdt.limit = GUEST_TSS_SEL + 15;
	sregs->idt.base = GUEST_IDT;
	sregs->idt.limit = 256 * 16 - 1;
	sregs->cr3 = base + GUEST_PML4;
	sregs->cr4 = CR4_PAE;
	sregs->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs->efer = EFER_LME | EFER_LMA;
}
