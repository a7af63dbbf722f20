// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A guest that never exits by itself has to see what changes in its memory and its
 * mappings.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine.h"

static struct machine mapped;

static void *runner(void *unused)
{
	(void)unused;
	for (;;)
		ioctl(mapped.vcpu, KVM_RUN, 0);
	return NULL;
}

/* Memory slot 0 is all but the page IN, slot 1 that page; of no size: there is none. */
static void slot(unsigned int which, size_t size, unsigned int flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = which,
		.flags = flags,
		.guest_phys_addr = which ? IN : 0,
		.memory_size = size,
		.userspace_addr = (uintptr_t)mapped.memory + (which ? IN : 0),
	};

	if (ioctl(mapped.vm, KVM_SET_USER_MEMORY_REGION, &region))
		err(1, "a memory slot");
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

/*
 * The guest that copies IN to OUT and never exits, but for CPUID if it is busy; IN, with a
 * memory slot of its own, is returned.
 */
static volatile uint32_t *copies(int cpu, int busy)
{
	/* 1: mov IN, %eax; mov %eax, OUT; jmp 1b */
	static const uint8_t code[] = { 0x66, 0xa1, 0x00, 0x30, 0x66, 0xa3, 0x00, 0x20, 0xeb, 0xf6 };
	/* 1: xor %eax, %eax; cpuid; the same; jmp 1b */
	static const uint8_t asks[] = { 0x66, 0x31, 0xc0, 0x0f, 0xa2,
		0x66, 0xa1, 0x00, 0x30, 0x66, 0xa3, 0x00, 0x20, 0xeb, 0xf1 };
	pthread_t thread;

	make(&mapped, 1);
	slot(0, 0, 0); /* one does not become smaller */
	slot(0, IN, 0);
	slot(1, 4096, 0);
	cpuid_table(&mapped);
	start(&mapped, busy ? asks : code, busy ? sizeof(asks) : sizeof(code));
	if (cpu >= 0)
		set(&mapped, cpu);
	if (pthread_create(&thread, NULL, runner, NULL))
		errx(1, "a thread");
	return (volatile uint32_t *)(mapped.memory + IN);
}

static void expect_seen(uint32_t i, const char *what)
{
	if (!seen(i))
		return;
	printf("change %u\nseen %u\n", i, *(volatile uint32_t *)(mapped.memory + OUT));
	expect(0, what);
}

void map(int cpu, uint32_t n, int busy)
{
	volatile uint32_t *in = copies(cpu, busy);
	uint64_t entries;

	for (uint32_t i = 1; i <= n && !bad; i++) {
		switch (i % 5) {
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
			slot(0, IN, i % 2 ? KVM_MEM_LOG_DIRTY_PAGES : 0); /* the guest writes there */
			slot(1, 4096, i % 2 ? KVM_MEM_LOG_DIRTY_PAGES : 0);
			break;
		case 3: /* no memory there, and again */
			slot(1, 0, 0);
			slot(1, 4096, 0);
			break;
		default: /* another page at this address, the old one elsewhere */
			if (mmap(mapped.memory + IN, 4096, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
				err(1, "mmap");
		}
		*in = i;
		expect_seen(i, "a change of memory that the guest does not see");
	}
	entries = statistic(&mapped, "ded_entries");
	printf("entries %llu\nkicks %llu\n", (unsigned long long)entries,
	       (unsigned long long)statistic(&mapped, "ded_kicks"));
	if (cpu >= 0)
		expect(entries > n / 2, "the guest ran there");
}

/* ---- two who change at the same time --------------------------------------- */

static void *log_dirty(void *rounds)
{
	for (uint32_t i = *(uint32_t *)rounds; i; i--)
		slot(1, 4096, i % 2 ? 0 : KVM_MEM_LOG_DIRTY_PAGES);
	return NULL;
}

/* Both wait until the guest was left; a kick may come while it is left for the other. */
void both(int cpu, uint32_t n)
{
	volatile uint32_t *in = copies(cpu, 0);
	pthread_t thread;

	*in = 1;
	expect_seen(1, "the first number");
	if (pthread_create(&thread, NULL, log_dirty, &n))
		errx(1, "a thread");
	for (uint32_t i = 0; i < n; i++) {
		if (mprotect(mapped.memory + IN, 4096, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ))
			err(1, "mprotect");
	}
	pthread_join(thread, NULL);
	if (mprotect(mapped.memory + IN, 4096, PROT_READ | PROT_WRITE))
		err(1, "mprotect");
	*in = 2;
	expect_seen(2, "the last number");
	printf("kicks %llu\n", (unsigned long long)statistic(&mapped, "ded_kicks"));
	expect(statistic(&mapped, "ded_kicks") > n, "kicks by both");
}

/* ---- pages that are merged ------------------------------------------------ */

#define KSM "/sys/kernel/mm/ksm/"

static void ksm_write(const char *file, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), KSM "%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

/* Number of the page frame that is mapped there. */
static uint64_t frame(const volatile void *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, 8, (off_t)((uintptr_t)at / 4096 * 8)) != 8)
		err(1, "/proc/self/pagemap");
	close(fd);
	return entry & ((1ULL << 55) - 1);
}

/* KSM merges the guest's page with another of the same content; then it is written. */
void merged(int cpu, uint32_t n)
{
	volatile uint32_t *in = copies(cpu, 0);
	uint8_t *twin = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t begin;

	if (twin == MAP_FAILED || madvise(twin, 4096, MADV_MERGEABLE) ||
	    madvise(mapped.memory + IN, 4096, MADV_MERGEABLE))
		err(1, "pages that may be merged");
	ksm_write("sleep_millisecs", "1");
	ksm_write("pages_to_scan", "1000");
	/* with it, each page is left out of passes, the one not in those of the other */
	ksm_write("smart_scan", "0");
	ksm_write("run", "1");
	for (uint32_t i = 1; i <= n && !bad; i++) {
		memset(mapped.memory + IN, (int)(i % 250 + 1), 4096);
		memset(twin, (int)(i % 250 + 1), 4096);
		expect(frame(in) != frame(twin), "two pages to merge");
		for (begin = now_ns(); frame(in) != frame(twin); sleep_ms(1)) {
			if (now_ns() - begin > 30000000000u) {
				expect(0, "KSM merges two pages");
				printf("merged %u\nscans %llu\n", i - 1,
				       (unsigned long long)proc(KSM "full_scans", 0));
				return;
			}
		}
		expect_seen(*in, "a page that was merged");
		*in = i << 8;
		expect_seen(i << 8, "a page that is written after it was merged");
	}
	ksm_write("run", "2"); /* unmerge all */
	printf("merged %u\nkicks %llu\n", n,
	       (unsigned long long)statistic(&mapped, "ded_kicks"));
	if (cpu >= 0)
		expect(statistic(&mapped, "ded_kicks") >= n, "a kick at least for each");
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
