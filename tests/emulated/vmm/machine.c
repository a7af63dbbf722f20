/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VM: interrupt controllers in the kernel, memory, the payload's image with
 * its arguments, and vCPUs in front of its first instruction.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm.h"

#define TSS_ADDRESS 0xfffbd000 /* VMX wants three pages that nobody uses */
#define CPUID_ROOM 256
#define CR0_PE 0x1
#define CR0_ET 0x10
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define EFER_LME_LMA 0x500

static int call(const char *name, int fd, unsigned long request, unsigned long argument)
{
	int ret = ioctl(fd, request, argument);

	if (ret < 0)
		complain("%s: %s", name, strerror(errno));
	return ret;
}
#define CALL(fd, request, argument) call(#request, fd, request, (unsigned long)(argument))

static int load(struct vmm *m)
{
	int khz = ioctl(m->kvm, KVM_CHECK_EXTENSION, KVM_CAP_GET_TSC_KHZ) > 0 ?
			  ioctl(m->vm, KVM_GET_TSC_KHZ, 0) : -1;
	FILE *file = fopen(m->payload, "re");
	size_t n;

	if (!file)
		return complain("%s: %s", m->payload, strerror(errno));
	n = fread(m->ram + PAYLOAD_LOAD, 1, PAYLOAD_RAM - PAYLOAD_LOAD, file);
	fclose(file);
	m->image = (void *)(m->ram + PAYLOAD_LOAD);
	if (n < sizeof(*m->image) || m->image->magic != PAYLOAD_MAGIC)
		return complain("%s is no payload", m->payload);
	n = (size_t)snprintf(m->image->args, sizeof(m->image->args), "%s cpus=%u%s", m->args,
			     m->vcpus, m->direct_aps ? " start=direct" : "");
	/* KVM's local APIC timer counts nanoseconds, or so: this many ticks of the TSC are 1000000 */
	if (m->bus_ns)
		khz *= (int)m->bus_ns;
	if (khz > 0 && n < sizeof(m->image->args))
		n += (size_t)snprintf(m->image->args + n, sizeof(m->image->args) - n, " ratio=%d", khz);
	if (n >= sizeof(m->image->args))
		return complain("the arguments are too long");
	return 0;
}

/* Linux 6.11; newer than the headers of Debian 12. */
#ifndef KVM_CAP_X86_APIC_BUS_CYCLES_NS
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS 237
#endif

static int make_vm(struct vmm *m)
{
	struct kvm_userspace_memory_region memory = { .memory_size = PAYLOAD_RAM };
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	struct kvm_enable_cap noexit = { .cap = KVM_CAP_X86_DISABLE_EXITS,
					 .args = { m->disable_exits } };
	struct kvm_enable_cap bus = { .cap = KVM_CAP_X86_APIC_BUS_CYCLES_NS, .args = { m->bus_ns } };

	m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (m->kvm < 0)
		return complain("/dev/kvm: %s", strerror(errno));
	m->vm = CALL(m->kvm, KVM_CREATE_VM, 0);
	if (m->vm < 0)
		return -1;
	m->ram = mmap(NULL, PAYLOAD_RAM, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->ram == MAP_FAILED) {
		m->ram = NULL;
		return complain("memory of the guest: %s", strerror(errno));
	}
	memory.userspace_addr = (uintptr_t)m->ram;
	(void)ioctl(m->vm, KVM_SET_TSS_ADDR, TSS_ADDRESS);
	if (m->disable_exits && CALL(m->vm, KVM_ENABLE_CAP, &noexit) < 0)
		return -1;
	if (m->split_irqchip ? CALL(m->vm, KVM_ENABLE_CAP, &split) < 0 :
			       CALL(m->vm, KVM_CREATE_IRQCHIP, 0) < 0)
		return -1;
	if (m->bus_ns && CALL(m->vm, KVM_ENABLE_CAP, &bus) < 0)
		return -1;
	return CALL(m->vm, KVM_SET_USER_MEMORY_REGION, &memory) < 0 ? -1 : 0;
}

int machine_map(struct vmm *m, uint64_t guest_physical, void *at, size_t size, bool readonly)
{
	struct kvm_userspace_memory_region memory = {
		.slot = (uint32_t)m->next_slot, .guest_phys_addr = guest_physical,
		.memory_size = size, .userspace_addr = (uintptr_t)at,
		.flags = readonly ? KVM_MEM_READONLY : 0,
	};

	if (CALL(m->vm, KVM_SET_USER_MEMORY_REGION, &memory) < 0)
		return -1;
	m->next_slot++;
	return 0;
}

static int set_cpuid(struct vcpu *v)
{
	struct vmm *m = v->m;
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + CPUID_ROOM * sizeof(c->entries[0]));
	int ret;

	if (!c)
		return complain("out of memory");
	c->nent = CPUID_ROOM;
	ret = CALL(m->kvm, KVM_GET_SUPPORTED_CPUID, c);
	for (unsigned int i = 0; ret >= 0 && i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		dedicate_cpuid(v, e);
		if (e->function == 1) {
			e->ebx = (e->ebx & 0xffffff) | v->index << 24;
			e->ecx |= 1U << 31; /* there is a hypervisor: a VMM says it, not KVM */
			/* KVM offers the TSC-deadline timer by a capability, not here */
			if (ioctl(m->vm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
				e->ecx |= 1U << 24;
			if (m->no_x2apic)
				e->ecx &= ~(1U << 21);
		}
	}
	if (ret >= 0)
		ret = rt_cpuid(c, CPUID_ROOM);
	if (ret >= 0)
		ret = CALL(v->fd, KVM_SET_CPUID2, c);
	free(c);
	return ret;
}

/* Long mode, the image's page tables and descriptors. */
static int set_entry(struct vcpu *v, uint64_t entry)
{
	struct vmm *m = v->m;
	struct kvm_regs regs = { .rip = entry, .rflags = 2 };
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct kvm_segment code = { .limit = ~0U, .selector = PAYLOAD_CODE64, .type = 11,
				    .present = 1, .s = 1, .l = 1, .g = 1 };
	struct kvm_segment data = { .limit = ~0U, .selector = PAYLOAD_DATA, .type = 3,
				    .present = 1, .s = 1, .db = 1, .g = 1 };
	struct kvm_sregs sregs;

	if (CALL(v->fd, KVM_GET_SREGS, &sregs) < 0)
		return -1;
	sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
	sregs.cr3 = m->image->pml4;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME_LMA;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = m->image->gdt;
	sregs.gdt.limit = 31;
	if (CALL(v->fd, KVM_SET_SREGS, &sregs) < 0 || CALL(v->fd, KVM_SET_REGS, &regs) < 0)
		return -1;
	return CALL(v->fd, KVM_SET_MP_STATE, &runnable);
}

static int tsc_of_host(struct vcpu *v)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
					.addr = (uintptr_t)&offset };

	return CALL(v->fd, KVM_SET_DEVICE_ATTR, &attr);
}

static int make_vcpu(struct vcpu *v)
{
	struct vmm *m = v->m;
	int size = CALL(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	v->fd = CALL(m->vm, KVM_CREATE_VCPU, v->index);
	if (size < 0 || v->fd < 0)
		return -1;
	m->run_size = (size_t)size;
	v->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return complain("kvm_run: %s", strerror(errno));
	}
	if (set_cpuid(v) < 0 || rt_vcpu(v) < 0 || (m->tsc_of_host && tsc_of_host(v) < 0))
		return -1;
	if (m->stats_wanted && stats_open(v) < 0)
		return -1;
	if (v->index == 0)
		return set_entry(v, m->image->entry64);
	return m->direct_aps ? set_entry(v, m->image->direct) : 0;
}

int machine_make(struct vmm *m)
{
	if (make_vm(m) < 0 || load(m) < 0 || rt_open(m) < 0)
		return -1;
	for (unsigned int i = 0; i < m->vcpus; i++) {
		if (make_vcpu(&m->vcpu[i]) < 0)
			return -1;
	}
	return 0;
}

void machine_free(struct vmm *m)
{
	rt_close();
	for (unsigned int i = 0; i < PAYLOAD_MAX_CPUS; i++) {
		struct vcpu *v = &m->vcpu[i];

		if (v->run)
			munmap(v->run, m->run_size);
		if (v->stats_fd >= 0)
			close(v->stats_fd);
		if (v->fd >= 0)
			close(v->fd);
	}
	if (m->vm >= 0)
		close(m->vm);
	if (m->ram)
		munmap(m->ram, PAYLOAD_RAM);
	if (m->kvm >= 0)
		close(m->kvm);
}
