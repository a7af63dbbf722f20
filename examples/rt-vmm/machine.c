/* SPDX-License-Identifier: MIT */
/*
 * Making the virtual machine on /dev/kvm: an interrupt controller in the
 * kernel, memory, vCPUs and their CPUID. Nothing here knows of real time, nor
 * which guest it is for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
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

/* Pages of 2 MiB that the host has set aside (vm.nr_hugepages), all of them now. */
static unsigned char *map_huge(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
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

int machine_new(struct machine *m, int kvm_fd, unsigned int vcpus, size_t ram_size, bool huge)
{
	struct kvm_userspace_memory_region region = { .slot = 0 };
	int size;

	memset(m, 0, sizeof(*m));
	m->vm_fd = -1;
	m->vcpus = vcpus;
	for (unsigned int i = 0; i < GUEST_MAX_VCPUS; i++)
		m->vcpu[i].fd = m->vcpu[i].stats_fd = -1;
	m->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (m->vm_fd < 0)
		return fail("KVM_CREATE_VM: %m");
	if (ioctl(m->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return fail("KVM_CREATE_IRQCHIP: %m");
	size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return fail("KVM_GET_VCPU_MMAP_SIZE: %m");
	m->run_size = (size_t)size;

	m->ram_size = ram_size;
	m->ram = huge ? map_huge(m->ram_size) : map_ram(m->ram_size);
	if (!m->ram && huge)
		return fail("%zu bytes of guest memory in huge pages: %m; set aside %zu of 2 MiB "
			    "(sysctl vm.nr_hugepages)", m->ram_size, m->ram_size / ALIGN_2M);
	if (!m->ram)
		return fail("%zu bytes of guest memory: %m", m->ram_size);
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
	/*
	 * KVM leaves to the VMM, which has an irqchip for them, the bits of the
	 * TSC-deadline timer and of x2APIC, and the one that says that there is a
	 * hypervisor, without which Linux does not look for KVM's leaves.
	 */
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= 1U << 31 | 1U << 24 | 1U << 21;
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
	return 0;
}

/* The APIC id is the vCPU's own; all else is the same for all of them. */
int machine_set_cpuid(struct machine *m, unsigned int index, const struct kvm_cpuid2 *cpuid)
{
	struct vcpu *v = &m->vcpu[index];
	size_t size = sizeof(*cpuid) + cpuid->nent * sizeof(cpuid->entries[0]);
	struct kvm_cpuid2 *own = malloc(size);
	int rc, khz;

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
	if (rc < 0)
		return fail("KVM_SET_CPUID2 of vCPU %u: %m", v->index);
	khz = ioctl(v->fd, KVM_GET_TSC_KHZ, 0);
	if (khz <= 0)
		return fail("KVM_GET_TSC_KHZ: %m");
	m->tsc_khz = (uint32_t)khz;
	return 0;
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
