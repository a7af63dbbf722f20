/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tests' own guest; see guest.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

#define MEM_SIZE 0x10000
#define CODE 0x1000
#define IDT 0x2000
#define GDT 0x3000
#define STACK 0x8000 /* of vCPU 0; vCPU 1 has 0x1000 more */

#define MUST(what)                                                              \
	({                                                                      \
		long must_ = (long)(what);                                      \
		if (must_ < 0) {                                                \
			printf("# guest.c:%d: %s: %s\n", __LINE__, #what, strerror(errno)); \
			abort();                                                \
		}                                                               \
		must_;                                                          \
	})

/* Loaded at CODE; jumps are relative, the timer's vector is 0x50. */
asm(".pushsection .rodata\n"
    ".globl guest_code, guest_halts, guest_spins, guest_ports, guest_ticks, guest_isr, guest_end\n"
    ".code32\n"
    "guest_code:\n"
    "guest_halts: hlt; jmp guest_halts\n"
    "guest_spins: jmp guest_spins\n"
    "guest_ports: out %al, $0x42; jmp guest_ports\n"
    "guest_ticks:\n"
    "	movl $0x1ff, 0xfee000f0\n"   /* local APIC on */
    "	movl $0xb, 0xfee003e0\n"     /* divide by 1 */
    "	movl $0x50, 0xfee00320\n"   /* one-shot: KVM makes periodic ones 200 us at least */
    "	xorl %esi, %esi\n"
    "1:	movl $50000, 0xfee00380\n"  /* KVM's local APIC timer counts ns */
    "	sti; hlt; cli\n"
    "	cmpl $200, %esi\n"
    "	jb 1b\n"
    "	movl $0x10000, 0xfee00320\n"
    "	jmp guest_ports\n"
    "guest_isr:\n"
    "	incl %esi\n"
    "	movl $0, 0xfee000b0\n" /* EOI */
    "	popl %eax\n"	       /* an iret by hand: KVM's emulator has none in this mode */
    "	addl $4, %esp\n"
    "	popf\n"
    "	jmp *%eax\n"
    "guest_end:\n"
    ".code64\n"
    ".popsection\n");
extern const uint8_t guest_code[], guest_halts[], guest_spins[], guest_ports[], guest_ticks[],
	guest_isr[], guest_end[];

static uint32_t entry(enum guest_program program)
{
	const uint8_t *at = program == GUEST_HALTS ? guest_halts :
			    program == GUEST_SPINS ? guest_spins :
			    program == GUEST_PORTS ? guest_ports :
						     guest_ticks;

	return CODE + (uint32_t)(at - guest_code);
}

const char *guest_impossible(void)
{
	static char why[128];
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	if (fd < 0) {
		snprintf(why, sizeof(why), "/dev/kvm: %s", strerror(errno));
		return why;
	}
	vm = ioctl(fd, KVM_CREATE_VM, 0);
	if (vm < 0)
		snprintf(why, sizeof(why), "KVM_CREATE_VM: %s", strerror(errno));
	else
		close(vm);
	close(fd);
	return vm < 0 ? why : NULL;
}

static void write_tables(uint8_t *mem)
{
	/* flat code and data */
	static const uint64_t gdt[] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
	uint32_t isr = CODE + (uint32_t)(guest_isr - guest_code);
	uint16_t gate[] = { (uint16_t)isr, 8, 0x8e00, (uint16_t)(isr >> 16) };

	memcpy(mem + CODE, guest_code, (size_t)(guest_end - guest_code));
	memcpy(mem + GDT, gdt, sizeof(gdt));
	for (int v = 0; v < 256; v++)
		memcpy(mem + IDT + v * 8, gate, sizeof(gate));
}

void guest_open(struct guest *g, bool irqchip)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEM_SIZE };

	memset(g, 0, sizeof(*g));
	for (int i = 0; i < GUEST_VCPUS; i++)
		g->vcpu[i] = -1;
	g->kvm = (int)MUST(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	g->vm = (int)MUST(ioctl(g->kvm, KVM_CREATE_VM, 0));
	g->run_size = (unsigned int)MUST(ioctl(g->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	(void)ioctl(g->vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	if (irqchip)
		MUST(ioctl(g->vm, KVM_CREATE_IRQCHIP, 0));
	g->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (g->mem == MAP_FAILED)
		abort();
	write_tables(g->mem);
	region.userspace_addr = (uintptr_t)g->mem;
	MUST(ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region));
}

static void set_state(const struct guest *g, int i, enum guest_program program)
{
	struct kvm_segment cs = { .limit = 0xffffffff, .selector = 8, .type = 11,
				  .present = 1, .db = 1, .s = 1, .g = 1 };
	struct kvm_segment ds = cs;
	struct kvm_regs regs = { .rflags = 2, .rip = entry(program),
				 .rsp = STACK + 0x1000 * (unsigned int)i };
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs s;

	ds.selector = 16;
	ds.type = 3;
	MUST(ioctl(g->vcpu[i], KVM_GET_SREGS, &s));
	s.cs = cs;
	s.ds = s.es = s.fs = s.gs = s.ss = ds;
	s.cr0 |= 1;
	s.idt.base = IDT;
	s.idt.limit = 256 * 8 - 1;
	s.gdt.base = GDT;
	s.gdt.limit = 23;
	MUST(ioctl(g->vcpu[i], KVM_SET_SREGS, &s));
	MUST(ioctl(g->vcpu[i], KVM_SET_REGS, &regs));
	MUST(ioctl(g->vcpu[i], KVM_SET_MP_STATE, &runnable));
}

void guest_add_vcpu(struct guest *g, int i, enum guest_program program,
		    const struct kvm_cpuid2 *cpuid)
{
	struct kvm_cpuid2 *own = cpuid ? NULL : guest_supported(g);

	g->vcpu[i] = (int)MUST(ioctl(g->vm, KVM_CREATE_VCPU, i));
	g->run[i] = mmap(NULL, g->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu[i], 0);
	if (g->run[i] == MAP_FAILED)
		abort();
	MUST(ioctl(g->vcpu[i], KVM_SET_CPUID2, cpuid ? cpuid : own));
	set_state(g, i, program);
	free(own);
}

static struct kvm_cpuid2 *table(int fd, unsigned long request)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + GUEST_CPUID_ROOM * sizeof(t->entries[0]));

	if (!t)
		abort();
	t->nent = GUEST_CPUID_ROOM;
	MUST(ioctl(fd, request, t));
	return t;
}

struct kvm_cpuid2 *guest_supported(const struct guest *g)
{
	return table(g->kvm, KVM_GET_SUPPORTED_CPUID);
}

struct kvm_cpuid2 *guest_cpuid_of(const struct guest *g, int i)
{
	return table(g->vcpu[i], KVM_GET_CPUID2);
}

struct kvm_cpuid_entry2 *guest_cpuid_find(struct kvm_cpuid2 *cpuid, uint32_t function)
{
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function)
			return &cpuid->entries[i];
	return NULL;
}

uint64_t guest_stat(const struct guest *g, int i, const char *name)
{
	struct kvm_stats_header h;
	int fd = (int)MUST(ioctl(g->vcpu[i], KVM_GET_STATS_FD, NULL));
	uint64_t value = 0;
	bool found = false;

	MUST(pread(fd, &h, sizeof(h), 0));
	for (uint32_t k = 0; k < h.num_desc && !found; k++) {
		char buf[sizeof(struct kvm_stats_desc) + 256] = { 0 };
		struct kvm_stats_desc *d = (void *)buf;
		size_t size = sizeof(*d) + h.name_size;

		MUST(pread(fd, buf, size, (off_t)(h.desc_offset + k * size)));
		found = !strcmp(d->name, name);
		if (found)
			MUST(pread(fd, &value, sizeof(value), (off_t)h.data_offset + d->offset));
	}
	close(fd);
	if (!found)
		abort();
	return value;
}

void guest_remove_vcpu(struct guest *g, int i)
{
	if (g->vcpu[i] < 0)
		return;
	munmap(g->run[i], g->run_size);
	close(g->vcpu[i]);
	g->vcpu[i] = -1;
}

void guest_close(struct guest *g)
{
	for (int i = 0; i < GUEST_VCPUS; i++)
		guest_remove_vcpu(g, i);
	close(g->vm);
	close(g->kvm);
	munmap(g->mem, MEM_SIZE);
}
