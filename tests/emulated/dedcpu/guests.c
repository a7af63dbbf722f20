// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Guests on a dedicated CPU, for the tests of the kernel's patches: raw ioctls, a
 * guest of a few instructions, one vCPU. Prints "NAME VALUE"; exits 0 when all held,
 * 1 when something did not, 3 when the kernel has no dedicated CPUs.
 *
 *   guests errors CPU ONLINE   what is refused, and with which errno
 *   guests user CPU            without CAP_SYS_ADMIN
 *   guests exits CPU N POLL    N accesses of a port there, N as an ordinary vCPU, N there
 *                              again: registers, SSE and TSC go on through all of it.
 *                              CPU -1: ordinary all the time
 *   guests time CPU MS         a guest that never exits, for so long: where the time is
 *   guests map CPU N           a guest that never exits sees N changes of its memory
 *   guests spin|halt CPU       with interrupts off, until it is killed
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../../kernel/uapi/linux/kvm_dedicated.h"
#include "../marker.h"

#define PORT 0x10
#define END 0x11
/* Guest-physical: code, then what it writes, then what only the host writes. */
#define CODE 0x1000
#define OUT 0x2000
#define IN 0x3000
#define MEMORY 0x4000

struct machine {
	int vm, vcpu, stats;
	struct kvm_run *run;
	uint8_t *memory; /* guest-physical 0 */
};

static int kvm, bad;

static void expect(int held, const char *what)
{
	if (held)
		return;
	printf("FAILED %s\n", what);
	bad = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The value of one of KVM's binary statistics of the vCPU. */
static uint64_t statistic(const struct machine *m, const char *name)
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

static void make(struct machine *m, int irqchip)
{
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	m->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	m->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (m->vm < 0 || size < 0 || m->memory == MAP_FAILED)
		err(1, "a VM");
	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY,
		.userspace_addr = (uintptr_t)m->memory,
	};
	if ((irqchip && ioctl(m->vm, KVM_CREATE_IRQCHIP, 0)) ||
	    ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region))
		err(1, "parts of the VM");
	m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
	if (m->vcpu < 0)
		err(1, "a vCPU");
	m->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	m->stats = ioctl(m->vcpu, KVM_GET_STATS_FD, 0);
	if (m->run == MAP_FAILED || m->stats < 0)
		err(1, "state of the vCPU");
}

static void destroy(struct machine *m)
{
	close(m->stats);
	munmap(m->run, (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(m->vcpu);
	close(m->vm);
	munmap(m->memory, MEMORY);
}

static void start(struct machine *m, const uint8_t *code, size_t n)
{
	struct kvm_regs regs = { .rip = CODE, .rflags = 2 };
	struct kvm_sregs sregs;

	memcpy(m->memory + CODE, code, n);
	if (ioctl(m->vcpu, KVM_GET_SREGS, &sregs))
		err(1, "registers of the vCPU");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	sregs.cr4 |= 0x600; /* SSE */
	if (ioctl(m->vcpu, KVM_SET_SREGS, &sregs) || ioctl(m->vcpu, KVM_SET_REGS, &regs))
		err(1, "registers of the vCPU");
}

/* A call that has to fail with this errno; 0: to succeed. */
static void refused(const struct machine *m, unsigned long request, unsigned long argument,
		    int want, const char *what)
{
	int got = ioctl(m->vcpu, request, argument) < 0 ? errno : 0;

	if (got == want)
		return;
	printf("FAILED %s: %s, not %s\n", what, strerror(got), strerror(want));
	bad = 1;
}

static struct kvm_dedicated_cpu wanted(int cpu)
{
	return (struct kvm_dedicated_cpu){ .cpu = cpu, .cpu_fd = -1, .features = KVM_DEDICATED_CPU_RUN };
}

static void set(struct machine *m, int cpu)
{
	if (ioctl(m->vcpu, KVM_SET_SLAVE_CPU, cpu)) {
		printf("FAILED KVM_SET_SLAVE_CPU %d: %s\n", cpu, strerror(errno));
		exit(1);
	}
}

static void errors(int cpu, int online)
{
	struct kvm_dedicated_cpu d;
	struct machine m, other;

	make(&m, 0);
	refused(&m, KVM_SET_SLAVE_CPU, (unsigned long)cpu, EOPNOTSUPP, "no local APIC in the kernel");
	destroy(&m);
	make(&m, 1);
	make(&other, 1);
	refused(&m, KVM_GET_SLAVE_CPU, 0, ENOENT, "get, none bound");
	refused(&m, KVM_SET_SLAVE_CPU, (unsigned long)-1, ENOENT, "give back, none bound");
	refused(&m, KVM_SET_SLAVE_CPU, (unsigned long)online, EINVAL, "an online CPU");
	refused(&m, KVM_SET_SLAVE_CPU, 4095, EINVAL, "a CPU that does not exist");
	refused(&m, KVM_SET_SLAVE_CPU, (unsigned long)-2, EINVAL, "a negative CPU");
	refused(&m, KVM_SET_DEDICATED_CPU, 1, EFAULT, "no struct");

	/* each change of a good struct makes it a bad one */
#define WRONG(change, errno_) do { \
	d = wanted(cpu); \
	d.change; \
	refused(&m, KVM_SET_DEDICATED_CPU, (unsigned long)&d, errno_, #change); \
} while (0)
	WRONG(pad = 1, EINVAL);
	WRONG(reserved[3] = 1, EINVAL);
	WRONG(flags = 2, EINVAL);
	WRONG(version = 2, EINVAL);
	WRONG(poll_ns = 1000000001, EINVAL);
	WRONG(features = 0, EINVAL);
	WRONG(features = KVM_DEDICATED_CPU_IRQ, EINVAL);
	WRONG(features |= 1ULL << 40, EINVAL);
	WRONG(cpu_fd = 0, EOPNOTSUPP);
	WRONG(cpu = online, EINVAL);
	for (int bit = 1; bit < 10; bit++) {
		d = wanted(cpu);
		d.flags = KVM_DEDICATED_CPU_STRICT;
		d.features |= 1ULL << bit;
		refused(&m, KVM_SET_DEDICATED_CPU, (unsigned long)&d, EOPNOTSUPP, "a feature, strictly");
	}

	d = wanted(cpu);
	d.features = KVM_DEDICATED_CPU_FEATURES;
	d.poll_ns = 1234;
	refused(&m, KVM_SET_DEDICATED_CPU, (unsigned long)&d, 0, "all features, not strictly");
	expect(d.features == KVM_DEDICATED_CPU_RUN && d.version == 1, "only RUN is active");
	memset(&d, 0xff, sizeof(d));
	refused(&m, KVM_GET_DEDICATED_CPU, (unsigned long)&d, 0, "get");
	expect(d.cpu == cpu && d.features == KVM_DEDICATED_CPU_RUN && d.poll_ns == 1234 && !d.pad,
	       "what get says");
	expect(ioctl(m.vcpu, KVM_GET_SLAVE_CPU, 0) == cpu, "the number of the CPU");
	expect(statistic(&m, "ded_active") == 1, "ded_active");
	refused(&m, KVM_SET_SLAVE_CPU, (unsigned long)cpu, EBUSY, "a vCPU that has one");
	refused(&other, KVM_SET_SLAVE_CPU, (unsigned long)cpu, EBUSY, "a CPU that is claimed");
	struct kvm_cpuid2 cpuid = { .nent = 0 };
	refused(&m, KVM_SET_CPUID2, (unsigned long)&cpuid, EBUSY, "CPUID while bound");
	refused(&m, KVM_SET_SLAVE_CPU, (unsigned long)-1, 0, "give back");
	expect(statistic(&m, "ded_active") == 0, "ded_active afterwards");
	refused(&other, KVM_SET_SLAVE_CPU, (unsigned long)cpu, 0, "then the other may have it");
	destroy(&other); /* gives it back */
	refused(&m, KVM_SET_SLAVE_CPU, (unsigned long)cpu, 0, "given back by the end of a VM");
	destroy(&m);
}

static void user(int cpu)
{
	struct machine m;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		err(1, "setresuid");
	make(&m, 1);
	refused(&m, KVM_SET_SLAVE_CPU, (unsigned long)cpu, EPERM, "without CAP_SYS_ADMIN");
}

/* One access of the port, or the end. Returns 0 at the end. */
static int next(struct machine *m)
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

static void exits(int cpu, uint32_t n, uint32_t poll_ns)
{
	/*
	 *	mov $1, %eax; movd %eax, %xmm1; pxor %xmm0, %xmm0
	 * 0:	mov $n, %ecx
	 * 1:	paddd %xmm1, %xmm0; movd %xmm0, %eax; mov %eax, OUT
	 *	rdtsc; mov %eax, OUT + 8; mov %edx, OUT + 12
	 *	out %al, $PORT; dec %ecx; jnz 1b
	 *	out %al, $END; jmp 0b
	 */
	uint8_t code[] = { 0x66, 0xb8, 1, 0, 0, 0, 0x66, 0x0f, 0x6e, 0xc8, 0x66, 0x0f, 0xef, 0xc0,
		0x66, 0xb9, 0, 0, 0, 0, 0x66, 0x0f, 0xfe, 0xc1, 0x66, 0x0f, 0x7e, 0xc0,
		0x66, 0xa3, 0x00, 0x20, 0x0f, 0x31, 0x66, 0xa3, 0x08, 0x20, 0x66, 0x89, 0x16, 0x0c, 0x20,
		0xe6, PORT, 0x66, 0x49, 0x75, 0xe3, 0xe6, END, 0xeb, 0xd9 };
	struct kvm_dedicated_cpu d = wanted(cpu);
	unsigned long label = 2UL * (unsigned long)getpid();
	volatile uint32_t *out;
	uint64_t last = 0, total = 0;
	volatile double mine = 1; /* SSE of this thread */
	struct machine m;

	memcpy(code + 16, &n, sizeof(n));
	make(&m, 1);
	start(&m, code, sizeof(code));
	out = (volatile uint32_t *)(m.memory + OUT);
	d.poll_ns = poll_ns;
	for (int phase = 0; phase < 3; phase++) {
		uint64_t before = statistic(&m, "ded_entries"), begin;
		int there = cpu >= 0 && phase != 1;

		if (there) {
			d.cpu = cpu;
			d.features = KVM_DEDICATED_CPU_RUN;
			if (ioctl(m.vcpu, KVM_SET_DEDICATED_CPU, &d))
				err(1, "KVM_SET_DEDICATED_CPU");
		}
		if (phase == 0)
			rtkvm_marker(label);
		begin = now_ns();
		while (next(&m)) {
			uint64_t tsc = out[2] | (uint64_t)out[3] << 32;

			total++;
			mine = mine * 1.5 - (double)(total % 7);
			if (out[0] != total)
				expect(0, "SSE registers");
			if (tsc <= last)
				expect(0, "TSC goes backwards");
			last = tsc;
			if (bad)
				exit(1);
		}
		if (phase == 0)
			rtkvm_marker(label + 1);
		printf("phase%d.ns_per_exit %llu\n", phase, (unsigned long long)((now_ns() - begin) / n));
		expect(total == (uint64_t)n * (unsigned int)(phase + 1), "accesses of the port");
		before = statistic(&m, "ded_entries") - before;
		if (there ? before < n + 1 : before != 0)
			expect(0, "entries there");
		printf("phase%d.ded_entries %llu\n", phase, (unsigned long long)before);
		if (there)
			set(&m, -1);
	}
	printf("meter.label %lu\nexits %llu\n", label, (unsigned long long)statistic(&m, "exits"));
	destroy(&m);
	expect(mine != 0, "arithmetic");
}

static const uint8_t spin_code[] = { 0xfa, 0xeb, 0xfe };
static const uint8_t halt_code[] = { 0xfa, 0xf4, 0xeb, 0xfd };

static void on_signal(int signal)
{
	(void)signal;
}

/* "a b c": the number of that index in a file of /proc/thread-self. */
static uint64_t proc(const char *file, int index)
{
	char text[1024], *at = text;
	int fd = open(file, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		err(1, "%s", file);
	close(fd);
	text[n] = 0;
	if (strrchr(text, ')'))
		at = strrchr(text, ')') + 2;
	while (index--)
		at = strchr(at, ' ') + 1;
	return strtoull(at, NULL, 10);
}

static void timing(int cpu, unsigned int ms)
{
	struct itimerspec in = { .it_value = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct sigaction action = { .sa_handler = on_signal };
	uint64_t begin, cpu_ns, guest, ticks;
	struct machine m;
	timer_t timer;

	make(&m, 1);
	start(&m, spin_code, sizeof(spin_code));
	if (cpu >= 0)
		set(&m, cpu);
	if (sigaction(SIGUSR1, &action, NULL) || timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &in, NULL))
		err(1, "a timer");
	ticks = proc("/proc/thread-self/stat", 40); /* guest_time, the 43rd */
	cpu_ns = proc("/proc/thread-self/schedstat", 0);
	begin = now_ns();
	expect(ioctl(m.vcpu, KVM_RUN, 0) < 0 && errno == EINTR, "KVM_RUN ends by the signal");
	begin = now_ns() - begin;
	cpu_ns = proc("/proc/thread-self/schedstat", 0) - cpu_ns;
	ticks = proc("/proc/thread-self/stat", 40) - ticks;
	guest = statistic(&m, "ded_guest_ns");
	printf("wall_ns %llu\nthread_ns %llu\nguest_ns %llu\nthread_guest_ns %llu\n",
	       (unsigned long long)begin, (unsigned long long)cpu_ns, (unsigned long long)guest,
	       (unsigned long long)(ticks * (1000000000u / (unsigned long)sysconf(_SC_CLK_TCK))));
	printf("dispatches %llu\nkicks %llu\n", (unsigned long long)statistic(&m, "ded_dispatches"),
	       (unsigned long long)statistic(&m, "exits"));
	destroy(&m);
}

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

static void map(int cpu, uint32_t n)
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

/* Until somebody ends it. */
static void forever(int cpu, const uint8_t *code, size_t n)
{
	struct machine m;

	make(&m, 1);
	start(&m, code, n);
	if (cpu >= 0)
		set(&m, cpu);
	printf("running\n");
	fflush(stdout);
	for (;;) {
		if (ioctl(m.vcpu, KVM_RUN, 0) && errno != EINTR)
			err(1, "KVM_RUN");
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int cpu = argc > 2 ? atoi(argv[2]) : 0;
	unsigned int n = argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 0) : 0;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		err(1, "/dev/kvm");
	if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_X86_DEDICATED_CPU) != KVM_DEDICATED_CPU_RUN) {
		printf("KVM has no dedicated CPUs\n");
		return 3;
	}
	if (!strcmp(what, "errors") && argc == 4)
		errors(cpu, (int)n);
	else if (!strcmp(what, "user"))
		user(cpu);
	else if (!strcmp(what, "exits") && argc == 5)
		exits(cpu, n, (uint32_t)strtoul(argv[4], NULL, 0));
	else if (!strcmp(what, "time") && argc == 4)
		timing(cpu, n);
	else if (!strcmp(what, "map") && argc == 4)
		map(cpu, n);
	else if (!strcmp(what, "spin"))
		forever(cpu, spin_code, sizeof(spin_code));
	else if (!strcmp(what, "halt"))
		forever(cpu, halt_code, sizeof(halt_code));
	else
		errx(2, "no '%s'; see the head of guests.c", what);
	return bad;
}
