// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * For the tests of the meter: a guest of a few instructions that leaves it a known
 * number of times, run in the svm host between two marks of the meter. Prints what
 * KVM's statistics and this program itself have counted meanwhile, "NAME VALUE"; what
 * the meter has counted is compared outside. Real ioctls, no library, no payload kit:
 * what meters are measured with has to be simple.
 *
 *   entries LABEL COUNT   marks LABEL and LABEL + 1; COUNT accesses of an I/O port;
 *                         then a loop without a guest, marks LABEL + 2 and LABEL + 3
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../marker.h"

#define PORT 0x10
#define BASE 0x1000

static uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return low | (uint64_t)high << 32;
}

/* The value of one of KVM's binary statistics of the vCPU. */
static uint64_t statistic(int fd, const char *name)
{
	struct kvm_stats_header header;
	struct {
		struct kvm_stats_desc d;
		char name[256];
	} entry;
	uint64_t value;
	uint32_t i;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		err(1, "the header of KVM's statistics");
	if (header.name_size > sizeof(entry.name))
		errx(1, "names of KVM's statistics are longer than expected");
	for (i = 0; i < header.num_desc; i++) {
		ssize_t size = sizeof(entry.d) + header.name_size;

		if (pread(fd, &entry, size, header.desc_offset + i * size) != size)
			err(1, "a description of KVM's statistics");
		if (strcmp(entry.name, name))
			continue;
		if (pread(fd, &value, sizeof(value), header.data_offset + entry.d.offset) !=
		    sizeof(value))
			err(1, "the data of KVM's statistics");
		return value;
	}
	errx(1, "KVM has no statistic %s", name);
}

/*
 *	mov $count, %ecx
 * 1:	out %al, $PORT
 *	dec %ecx
 *	jnz 1b
 *	hlt
 */
static void write_guest(uint8_t *at, uint32_t count)
{
	static const uint8_t loop[] = { 0xe6, PORT, 0x66, 0x49, 0x75, 0xfa, 0xf4 };

	*at++ = 0x66;
	*at++ = 0xb9;
	memcpy(at, &count, sizeof(count));
	memcpy(at + sizeof(count), loop, sizeof(loop));
}

/* The time of a loop that makes no system call and touches no memory. */
static uint64_t spin(unsigned long label)
{
	unsigned long n = 1000000;
	uint64_t tsc = rdtsc();

	rtkvm_marker(label);
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
	rtkvm_marker(label + 1);
	return rdtsc() - tsc;
}

int main(int argc, char **argv)
{
	unsigned long label, count, events = 0;
	int kvm, vm, vcpu, stats, size;
	uint64_t exits;
	struct kvm_run *run;
	struct kvm_sregs sregs;
	uint8_t *memory;

	label = argc == 3 ? strtoul(argv[1], NULL, 0) : 0;
	count = argc == 3 ? strtoul(argv[2], NULL, 0) : 0;
	if (!label || !count)
		errx(2, "usage: entries LABEL COUNT, both from 1");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		err(1, "/dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (vm < 0 || memory == MAP_FAILED)
		err(1, "a VM");
	write_guest(memory, count);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = BASE,
		.memory_size = 4096,
		.userspace_addr = (uintptr_t)memory,
	};
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		err(1, "memory of the guest");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || size < 0)
		err(1, "a vCPU");
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED || ioctl(vcpu, KVM_GET_SREGS, &sregs))
		err(1, "state of the vCPU");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	struct kvm_regs regs = { .rip = BASE, .rflags = 2 };
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) || ioctl(vcpu, KVM_SET_REGS, &regs))
		err(1, "registers of the vCPU");
	stats = ioctl(vcpu, KVM_GET_STATS_FD, 0);
	if (stats < 0)
		err(1, "KVM's statistics");

	exits = statistic(stats, "exits");
	rtkvm_marker(label);
	do {
		if (ioctl(vcpu, KVM_RUN, 0)) {
			if (errno == EINTR)
				continue;
			err(1, "KVM_RUN");
		}
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == PORT)
			events++;
		else if (run->exit_reason != KVM_EXIT_HLT)
			errx(1, "exit reason %u", run->exit_reason);
	} while (run->exit_reason != KVM_EXIT_HLT);
	rtkvm_marker(label + 1);
	exits = statistic(stats, "exits") - exits;
	printf("label %lu\nevents %lu\nexits %lu\n", label, events, (unsigned long)exits);
	printf("label %lu\ntsc %lu\n", label + 2, (unsigned long)spin(label + 2));
	return 0;
}
