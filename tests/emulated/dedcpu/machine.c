// SPDX-License-Identifier: LGPL-2.1-or-later
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

int kvm, bad;

void expect(int held, const char *what)
{
	if (held)
		return;
	printf("FAILED %s\n", what);
	bad = 1;
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t statistic(const struct machine *m, const char *name)
{
	struct kvm_stats_header header;
	struct {
		struct kvm_stats_desc d;
		char name[256];
	} entry;
	uint64_t value;

	if (pread(m->stats, &header, sizeof(header), 0) != sizeof(header))
		err(1, "the header of KVM's statistics");
	for (uint32_t i = 0; i < header.num_desc; i++) {
		ssize_t size = (ssize_t)(sizeof(entry.d) + header.name_size);

		if (header.name_size > sizeof(entry.name) ||
		    pread(m->stats, &entry, (size_t)size, header.desc_offset + i * size) != size)
			err(1, "a description of KVM's statistics");
		if (strcmp(entry.name, name) != 0)
			continue;
		if (pread(m->stats, &value, sizeof(value), header.data_offset + entry.d.offset) !=
		    sizeof(value))
			err(1, "the data of KVM's statistics");
		return value;
	}
	errx(1, "KVM has no statistic %s", name);
}

void make_vcpu(const struct machine *first, struct machine *m, unsigned int id)
{
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	m->vm = first->vm;
	m->memory = first->memory;
	m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, id);
	if (m->vcpu < 0 || size < 0)
		err(1, "a vCPU");
	m->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	m->stats = ioctl(m->vcpu, KVM_GET_STATS_FD, 0);
	if (m->run == MAP_FAILED || m->stats < 0)
		err(1, "state of the vCPU");
	if (id && ioctl(m->vcpu, KVM_SET_MP_STATE, &runnable))
		err(1, "the state of a further vCPU");
}

void make(struct machine *m, int irqchip)
{
	m->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	m->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (m->vm < 0 || m->memory == MAP_FAILED)
		err(1, "a VM");
	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY,
		.userspace_addr = (uintptr_t)m->memory,
	};
	if ((irqchip && ioctl(m->vm, KVM_CREATE_IRQCHIP, 0)) ||
	    ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region))
		err(1, "parts of the VM");
	make_vcpu(m, m, 0);
}

void destroy(struct machine *m)
{
	close(m->stats);
	munmap(m->run, (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(m->vcpu);
	close(m->vm);
	munmap(m->memory, MEMORY);
}

void start(const struct machine *m, const uint8_t *code, size_t n)
{
	start_at(m, CODE, code, n);
}

void start_at(const struct machine *m, unsigned int at, const uint8_t *code, size_t n)
{
	struct kvm_regs regs = { .rip = at, .rflags = 2 };
	struct kvm_sregs sregs;

	memcpy(m->memory + at, code, n);
	if (ioctl(m->vcpu, KVM_GET_SREGS, &sregs))
		err(1, "registers of the vCPU");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	sregs.cr4 |= 0x600; /* SSE */
	if (ioctl(m->vcpu, KVM_SET_SREGS, &sregs) || ioctl(m->vcpu, KVM_SET_REGS, &regs))
		err(1, "registers of the vCPU");
}

void stack_at(const struct machine *m, unsigned int at)
{
	struct kvm_regs regs;

	if (ioctl(m->vcpu, KVM_GET_REGS, &regs))
		err(1, "registers of the vCPU");
	regs.rsp = at;
	if (ioctl(m->vcpu, KVM_SET_REGS, &regs))
		err(1, "registers of the vCPU");
}

void refused(const struct machine *m, unsigned long request, unsigned long argument,
		    int want, const char *what)
{
	int got = ioctl(m->vcpu, request, argument) < 0 ? errno : 0;

	if (got == want)
		return;
	printf("FAILED %s: %s, not %s\n", what, strerror(got), strerror(want));
	bad = 1;
}

struct kvm_dedicated_cpu wanted(int cpu)
{
	return (struct kvm_dedicated_cpu){ .cpu = cpu, .cpu_fd = -1, .features = KVM_DEDICATED_CPU_RUN };
}

void set(const struct machine *m, int cpu)
{
	/* A mask of more than RUN, for kernels that have it. */
	const char *features = getenv("DEDCPU_FEATURES");
	struct kvm_dedicated_cpu d = wanted(cpu);

	d.flags = KVM_DEDICATED_CPU_STRICT;
	if (features)
		d.features |= strtoull(features, NULL, 0);
	if (features && cpu >= 0 ? ioctl(m->vcpu, KVM_SET_DEDICATED_CPU, &d) :
				   ioctl(m->vcpu, KVM_SET_SLAVE_CPU, cpu)) {
		printf("FAILED to set CPU %d: %s\n", cpu, strerror(errno));
		exit(1);
	}
}

int next(const struct machine *m)
{
	for (;;) {
		if (ioctl(m->vcpu, KVM_RUN, 0)) {
			if (errno == EINTR)
				continue;
			err(1, "KVM_RUN");
		}
		if (m->run->exit_reason != KVM_EXIT_IO)
			errx(1, "exit reason %u, error %u", m->run->exit_reason, m->run->internal.suberror);
		return m->run->io.port == PORT;
	}
}

void on_signal(int signal)
{
	(void)signal;
}

void sleep_ms(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

void read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (n <= 0)
		err(1, "%s", path);
	close(fd);
	text[n] = 0;
}

uint64_t proc(const char *file, int index)
{
	char text[1024], *at = text;

	read_text(file, text, sizeof(text));
	if (strrchr(text, ')'))
		at = strrchr(text, ')') + 2;
	while (index--)
		at = strchr(at, ' ') + 1;
	return strtoull(at, NULL, 10);
}
