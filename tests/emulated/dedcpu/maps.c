// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A guest that never exits by itself has to see what changes in its memory and its
 * mappings.
 */
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "machine.h"

static struct machine mapped;

static void *runner(void *unused)
{
	(void)unused;
	for (;;)
		ioctl(mapped.vcpu, KVM_RUN, 0);
	return NULL;
}

/* 0: the guest has seen the number within ten seconds. */
static int seen(uint32_t number)
{
	volatile uint32_t *out = (volatile uint32_t *)(mapped.memory + OUT);
	uint64_t begin = now_ns();

	while (*out != number) {
		if (now_ns() - begin > 10000000000u)
			return -1;
	}
	return 0;
}

void map(int cpu, uint32_t n)
{
	/* 1: mov IN, %eax; mov %eax, OUT; jmp 1b */
	static const uint8_t code[] = { 0x66, 0xa1, 0x00, 0x30, 0x66, 0xa3, 0x00, 0x20, 0xeb, 0xf6 };
	struct kvm_userspace_memory_region region = { 0 };
	volatile uint32_t *in;
	uint64_t entries;
	pthread_t thread;

	make(&mapped, 1);
	start(&mapped, code, sizeof(code));
	in = (volatile uint32_t *)(mapped.memory + IN);
	if (cpu >= 0)
		set(&mapped, cpu);
	if (pthread_create(&thread, NULL, runner, NULL))
		errx(1, "a thread");
	for (uint32_t i = 1; i <= n && !bad; i++) {
		switch (i % 4) {
		case 0: /* another page */
			if (madvise(mapped.memory + IN, 4096, MADV_DONTNEED))
				err(1, "madvise");
			break;
		case 1: /* read-only, and back */
			if (mprotect(mapped.memory + IN, 4096, PROT_READ) ||
			    mprotect(mapped.memory + IN, 4096, PROT_READ | PROT_WRITE))
				err(1, "mprotect");
			break;
		case 2: /* dirty logging on, or off */
			region = (struct kvm_userspace_memory_region){
				.flags = i % 8 == 2 ? KVM_MEM_LOG_DIRTY_PAGES : 0,
				.memory_size = MEMORY,
				.userspace_addr = (uintptr_t)mapped.memory,
			};
			if (ioctl(mapped.vm, KVM_SET_USER_MEMORY_REGION, &region))
				err(1, "dirty logging");
			break;
		default: /* another page at this address, the old one elsewhere */
			if (mmap(mapped.memory + IN, 4096, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
				err(1, "mmap");
		}
		*in = i;
		if (seen(i)) {
			printf("change %u\nseen %u\n", i, *(volatile uint32_t *)(mapped.memory + OUT));
			expect(0, "a change of memory that the guest does not see");
		}
	}
	entries = statistic(&mapped, "ded_entries");
	printf("entries %llu\nkicks %llu\n", (unsigned long long)entries,
	       (unsigned long long)statistic(&mapped, "ded_kicks"));
	if (cpu >= 0)
		expect(entries > n / 2, "the guest ran there");
}

/* ---- two vCPUs ----------------------------------------------------------- */

static struct machine reader, writer;
static int writer_cpu;
static volatile uint32_t said; /* times that the writer has come to its port */

static void *read_on(void *unused)
{
	(void)unused;
	for (;;)
		ioctl(reader.vcpu, KVM_RUN, 0);
	return NULL;
}

static void *write_on(void *unused)
{
	cpu_set_t set;

	(void)unused;
	CPU_ZERO(&set);
	CPU_SET((size_t)writer_cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "affinity");
	for (;;) {
		if (!ioctl(writer.vcpu, KVM_RUN, 0))
			said++;
	}
	return NULL;
}

/* What a vCPU does; the thread is not in KVM_RUN while it is looked at. */
static void tell(const char *who, const struct machine *m)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (ioctl(m->vcpu, KVM_GET_REGS, &regs) || ioctl(m->vcpu, KVM_GET_SREGS, &sregs))
		err(1, "registers");
	printf("%s.rip %#llx\n%s.cr0 %#llx\n%s.rax %#llx\n%s.exits %llu\n%s.ded_entries %llu\n%s.ded_kicks %llu\n",
	       who, regs.rip, who, sregs.cr0, who, regs.rax, who,
	       (unsigned long long)statistic(m, "exits"), who,
	       (unsigned long long)statistic(m, "ded_entries"), who,
	       (unsigned long long)statistic(m, "ded_kicks"));
}

/* Returns 0 when there were n rounds, with mappings that change or without. */
static int rounds(uint32_t n, int change)
{
	uint32_t begin = *(volatile uint32_t *)(writer.memory + IN), last = begin, is;
	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY,
		.userspace_addr = (uintptr_t)writer.memory,
	};
	uint64_t since = now_ns();

	for (unsigned int i = 0;; i++) {
		is = *(volatile uint32_t *)(writer.memory + IN);
		if (is - begin >= n)
			return 0;
		if (is != last)
			since = now_ns();
		else if (now_ns() - since > 20000000000u)
			return -1;
		last = is;
		if (!change) {
			sleep_ms(1);
			continue;
		}
		if (i % 3 == 0 && (mprotect(writer.memory + IN, 4096, PROT_READ) ||
				   mprotect(writer.memory + IN, 4096, PROT_READ | PROT_WRITE)))
			err(1, "mprotect");
		if (i % 3 == 1 && (mprotect(writer.memory + OUT, 4096, PROT_NONE) ||
				   mprotect(writer.memory + OUT, 4096, PROT_READ | PROT_WRITE)))
			err(1, "mprotect");
		region.flags = i % 2 ? KVM_MEM_LOG_DIRTY_PAGES : 0;
		if (i % 3 == 2 && ioctl(writer.vm, KVM_SET_USER_MEMORY_REGION, &region))
			err(1, "dirty logging");
	}
}

void beside(int cpu, int other, uint32_t n)
{
	/* 1: mov IN, %eax; mov %eax, OUT; jmp 1b */
	static const uint8_t answer[] = { 0x66, 0xa1, 0x00, 0x30, 0x66, 0xa3, 0x00, 0x20, 0xeb, 0xf6 };
	/*
	 *	xor %eax, %eax
	 * 1:	inc %eax; mov %eax, IN
	 * 2:	cmp OUT, %eax; jne 2b
	 *	test %al, %al; jnz 1b; out %al, $PORT; jmp 1b
	 */
	static const uint8_t ask[] = { 0x66, 0x31, 0xc0, 0x66, 0x40, 0x66, 0xa3, 0x00, 0x30, 0x66,
		0x3b, 0x06, 0x00, 0x20, 0x75, 0xf9, 0x84, 0xc0, 0x75, 0xef, 0xe6, PORT, 0xeb, 0xeb };
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t reads, writes;
	uint64_t entries;

	sigaction(SIGUSR1, &action, NULL);
	make(&reader, 1);
	make_vcpu(&reader, &writer, 1);
	start(&reader, answer, sizeof(answer));
	start_at(&writer, CODE + 0x100, ask, sizeof(ask));
	if (cpu >= 0)
		set(&reader, cpu);
	writer_cpu = other;
	if (pthread_create(&reads, NULL, read_on, NULL) || pthread_create(&writes, NULL, write_on, NULL))
		errx(1, "threads");
	for (int change = 1; change >= 0; change--) {
		entries = statistic(&reader, "ded_entries");
		if (!rounds(n, change)) {
			printf("%s.rounds %u\n%s.entries %llu\n", change ? "changing" : "waiting", n,
			       change ? "changing" : "waiting",
			       (unsigned long long)(statistic(&reader, "ded_entries") - entries));
			continue;
		}
		printf("stuck %s\nin %u\nout %u\nsaid %u\n", change ? "changing" : "waiting",
		       *(volatile uint32_t *)(reader.memory + IN),
		       *(volatile uint32_t *)(reader.memory + OUT), said);
		tell("reader", &reader);
		tell("writer", &writer);
		expect(0, "two vCPUs go on");
		return;
	}
	if (cpu >= 0)
		expect(statistic(&reader, "ded_entries") > 3, "the reader ran there, and was kicked");
}
