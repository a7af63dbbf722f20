/* SPDX-License-Identifier: MIT */
/*
 * Making the virtual machine on /dev/kvm: an interrupt controller in the
 * kernel, memory with the guest's image, and vCPUs in front of its first
 * instruction. Nothing here knows of real time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "image.h"
#include "machine.h"

#define ALIGN_2M 0x200000UL

static const char *kvm_remedy(int err)
{
	switch (err) {
	case ENOENT:
		return "load the module of this processor (modprobe kvm_intel or kvm_amd), enable "
		       "virtualisation in the firmware, or allow nested virtualisation";
	case EACCES:
	case EPERM:
		return "join its group (usermod -aG kvm $USER, then log in again) or run as root";
	case ENXIO:
	case ENODEV:
		return "load the module of this processor (modprobe kvm_intel or kvm_amd)";
	default:
		return "see dmesg";
	}
}

int kvm_open(const char *path)
{
	int fd, version;

	if (!strncmp(path, "fd:", 3)) {
		fd = atoi(path + 3);
	} else {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			int err = errno;

			return fail("no KVM: %s: %s; %s", path, strerror(err), kvm_remedy(err));
		}
	}
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION)
		return fail("no KVM: %s is not a KVM device of API version %d", path,
			    KVM_API_VERSION);
	if (ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) <= 0)
		return fail("this KVM has no TSC-deadline timer, which the guest needs");
	if (ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0)
		return fail("this KVM has no immediate_exit (Linux 4.13 or later has it)");
	return fd;
}

/* Memory on a 2 MiB boundary, so that the host can back it with large pages. */
static unsigned char *map_ram(size_t size)
{
	unsigned char *map, *ram;

	map = mmap(NULL, size + ALIGN_2M, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	ram = (unsigned char *)(((uintptr_t)map + ALIGN_2M - 1) & ~(ALIGN_2M - 1));
	if (ram > map)
		munmap(map, (size_t)(ram - map));
	munmap(ram + size, ALIGN_2M - (size_t)(ram - map));
	return ram;
}

int machine_new(struct machine *m, int kvm_fd, unsigned int vcpus)
{
	const struct guest_image *image = (const void *)guest_image;
	struct kvm_userspace_memory_region region = { .slot = 0 };
	int size;

	memset(m, 0, sizeof(*m));
	m->vm_fd = -1;
	m->vcpus = vcpus;
	for (unsigned int i = 0; i < GUEST_MAX_VCPUS; i++)
		m->vcpu[i].fd = m->vcpu[i].stats_fd = -1;
	if (image->magic != GUEST_MAGIC)
		return fail("the guest's image in this program is damaged");
	m->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (m->vm_fd < 0)
		return fail("KVM_CREATE_VM: %m");
	if (ioctl(m->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return fail("KVM_CREATE_IRQCHIP: %m");
	size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return fail("KVM_GET_VCPU_MMAP_SIZE: %m");
	m->run_size = (size_t)size;

	m->ram_size = GUEST_RAM((size_t)vcpus);
	m->ram = map_ram(m->ram_size);
	if (!m->ram)
		return fail("%zu bytes of guest memory: %m", m->ram_size);
	memcpy(m->ram + GUEST_IMAGE, guest_image, guest_image_size);
	tables_write_idt(m->ram, image);
	region.memory_size = m->ram_size;
	region.userspace_addr = (uintptr_t)m->ram;
	if (ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return fail("KVM_SET_USER_MEMORY_REGION: %m");
	return 0;
}

struct kvm_cpuid2 *machine_cpuid(int kvm_fd)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2));

	if (!cpuid)
		return NULL;
	cpuid->nent = CPUID_ENTRIES;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
		fail("KVM_GET_SUPPORTED_CPUID: %m");
		free(cpuid);
		return NULL;
	}
	/* KVM leaves the TSC-deadline bit to the VMM, which has an irqchip for it */
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= 1U << 24 | 1U << 21;
	return cpuid;
}

int machine_add_vcpu(struct machine *m, unsigned int index)
{
	struct vcpu *v = &m->vcpu[index];

	v->index = index;
	v->fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, index);
	if (v->fd < 0)
		return fail("KVM_CREATE_VCPU %u: %m", index);
	v->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return fail("mmap of vCPU %u: %m", index);
	}
	v->stats_fd = ioctl(v->fd, KVM_GET_STATS_FD, 0);
	v->ctl = (void *)(m->ram + GUEST_DATA + (size_t)index * GUEST_DATA_SIZE);
	v->ring = (void *)((unsigned char *)v->ctl + GUEST_RING - GUEST_DATA);
	tables_write(m->ram, index);
	return 0;
}

/* The APIC id is the vCPU's own; all else is the same for all of them. */
static int set_cpuid(struct vcpu *v, const struct kvm_cpuid2 *cpuid)
{
	size_t size = sizeof(*cpuid) + cpuid->nent * sizeof(cpuid->entries[0]);
	struct kvm_cpuid2 *own = malloc(size);
	int rc;

	if (!own)
		return fail("no memory");
	memcpy(own, cpuid, size);
	for (uint32_t i = 0; i < own->nent; i++) {
		struct kvm_cpuid_entry2 *e = &own->entries[i];

		if (e->function == 1)
			e->ebx = (e->ebx & 0x00ffffff) | v->index << 24;
		if (e->function == 0xb || e->function == 0x1f)
			e->edx = v->index;
	}
	rc = ioctl(v->fd, KVM_SET_CPUID2, own);
	free(own);
	return rc < 0 ? fail("KVM_SET_CPUID2 of vCPU %u: %m", v->index) : 0;
}

int vcpu_set_state(struct machine *m, unsigned int index, const struct kvm_cpuid2 *cpuid)
{
	const struct guest_image *image = (const void *)guest_image;
	struct vcpu *v = &m->vcpu[index];
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;
	int khz;

	if (set_cpuid(v, cpuid) < 0)
		return -1;
	if (ioctl(v->fd, KVM_GET_SREGS, &sregs) < 0)
		return fail("KVM_GET_SREGS: %m");
	tables_set_sregs(&sregs, index);
	if (ioctl(v->fd, KVM_SET_SREGS, &sregs) < 0)
		return fail("KVM_SET_SREGS: %m");
	regs.rip = image->entry;
	regs.rsp = GUEST_SYSTEM + (uint64_t)index * GUEST_SYSTEM_SIZE + GUEST_STACK0_TOP;
	if (ioctl(v->fd, KVM_SET_REGS, &regs) < 0)
		return fail("KVM_SET_REGS: %m");
	/* no INIT and SIPI: a second vCPU starts where it is */
	if (ioctl(v->fd, KVM_SET_MP_STATE, &runnable) < 0)
		return fail("KVM_SET_MP_STATE: %m");
	khz = ioctl(v->fd, KVM_GET_TSC_KHZ, 0);
	if (khz <= 0)
		return fail("KVM_GET_TSC_KHZ: %m");
	m->tsc_khz = (uint32_t)khz;
	return 0;
}

int machine_break(struct machine *m, unsigned int index, const char *how)
{
	static const unsigned char hang[] = { 0xeb, 0xfe };  /* jmp to itself */
	static const unsigned char trap[] = { 0x0f, 0x0b };  /* ud2 */
	const struct guest_image *image = (const void *)guest_image;
	struct kvm_sregs sregs;

	memcpy(m->ram + image->entry, strcmp(how, "hang") == 0 ? hang : trap, sizeof(trap));
	if (!strcmp(how, "hang") || !strcmp(how, "trap"))
		return 0;
	if (strcmp(how, "shutdown") != 0)
		return fail("--break-guest %s: hang, trap or shutdown", how);
	/* without an IDT the exception becomes a triple fault */
	if (ioctl(m->vcpu[index].fd, KVM_GET_SREGS, &sregs) < 0)
		return fail("KVM_GET_SREGS: %m");
	sregs.idt.limit = 0;
	return ioctl(m->vcpu[index].fd, KVM_SET_SREGS, &sregs) < 0 ? fail("KVM_SET_SREGS: %m") : 0;
}

void machine_free(struct machine *m)
{
	for (unsigned int i = 0; i < m->vcpus; i++) {
		struct vcpu *v = &m->vcpu[i];

		if (v->run)
			munmap(v->run, m->run_size);
		if (v->stats_fd >= 0)
			close(v->stats_fd);
		if (v->fd >= 0)
			close(v->fd);
	}
	if (m->vm_fd >= 0)
		close(m->vm_fd);
	if (m->ram)
		munmap(m->ram, m->ram_size);
}
