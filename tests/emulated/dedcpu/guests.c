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
 *   guests cpuid CPU N BY     N times CPUID there, of leaves that the CPU may handle itself and
 *                              of others; as an ordinary vCPU; there again. BY says who handles
 *                              the first: cpu or thread. CPU -1: ordinary all the time
 *   guests asked CPU N         a guest that does nothing but CPUID takes N NMIs
 *   guests time CPU MS         a guest that never exits, for so long: where the time is
 *   guests map CPU N           a guest that never exits sees N changes of its memory
 *   guests busymap CPU N       the same, one that does CPUID all the time
 *   guests both CPU N          two threads make changes, N each
 *   guests merged CPU N        the same, and KSM merges its page with another each time
 *   guests beside CPU OTHER N  a second vCPU, on OTHER, writes; the one that never exits
 *                              answers, N times, while mappings change; then without
 *   guests registers CPU N     AVX, N times; the vCPU is saved and made anew on the way
 *   guests ends CPU HOW        what may happen to a process whose guest has interrupts off:
 *                              see ends.c
 *   guests kicked CPU POINT US one signal, when the CPU waits so long at POINT: see kicks.c
 *   guests busy CPU POINT US   the same, for a guest that does nothing but CPUID
 *   guests hostile CPU N SEED  N guests of random instructions beside a VM that calculates
 *   guests spin|halt CPU       with interrupts off, until it is killed
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "../marker.h"
#include "machine.h"

void errors(int cpu, int online)
{
	const uint64_t have = (uint64_t)ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_X86_DEDICATED_CPU);
	struct kvm_dedicated_cpu d;
	struct machine m, other;
	uint64_t active;

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
	WRONG(cpu_fd = m.vcpu, EINVAL);
	WRONG(cpu_fd = 4000, EBADF);
	WRONG(cpu_fd = -2, EINVAL);
	d = wanted(-1);
	d.cpu_fd = m.vcpu;
	refused(&m, KVM_SET_DEDICATED_CPU, (unsigned long)&d, EINVAL, "give back, with a descriptor");
	WRONG(cpu = online, EINVAL);
	for (int bit = 1; bit < 10; bit++) {
		if (have >> bit & 1)
			continue;
		d = wanted(cpu);
		d.flags = KVM_DEDICATED_CPU_STRICT;
		d.features |= 1ULL << bit;
		refused(&m, KVM_SET_DEDICATED_CPU, (unsigned long)&d, EOPNOTSUPP, "a feature, strictly");
	}

	d = wanted(cpu);
	d.features = KVM_DEDICATED_CPU_FEATURES;
	d.poll_ns = 1234;
	refused(&m, KVM_SET_DEDICATED_CPU, (unsigned long)&d, 0, "all features, not strictly");
	active = d.features;
	expect(!(active & ~have) && (active & KVM_DEDICATED_CPU_RUN) && d.version == 1,
	       "what there is can be active, nothing else");
	memset(&d, 0xff, sizeof(d));
	refused(&m, KVM_GET_DEDICATED_CPU, (unsigned long)&d, 0, "get");
	expect(d.cpu == cpu && d.features == active && d.poll_ns == 1234 && !d.pad,
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

void user(int cpu)
{
	static const uint8_t code[] = { 0xe6, END };
	int device = open("/dev/dedicated_cpu", O_RDWR | O_CLOEXEC), claimed;
	struct kvm_dedicated_cpu d;
	struct machine m, other;

	if (device < 0)
		err(1, "/dev/dedicated_cpu");
	if (ioctl(device, DEDICATED_CPU_CLAIM, 4095) >= 0 || errno != EINVAL ||
	    ioctl(device, DEDICATED_CPU_CLAIM, -1) >= 0 || errno != EINVAL)
		expect(0, "no such CPU to claim");
	claimed = ioctl(device, DEDICATED_CPU_CLAIM, cpu);
	if (claimed < 0)
		err(1, "DEDICATED_CPU_CLAIM");
	if (ioctl(device, DEDICATED_CPU_CLAIM, cpu) >= 0 || errno != EBUSY)
		expect(0, "a CPU is claimed twice");
	expect(ioctl(claimed, DEDICATED_CPU_NUMBER, 0) == cpu, "the number of a descriptor");
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		err(1, "setresuid");
	make(&m, 1);
	refused(&m, KVM_SET_SLAVE_CPU, (unsigned long)cpu, EPERM, "without CAP_SYS_ADMIN");
	if (ioctl(device, DEDICATED_CPU_CLAIM, cpu) >= 0 || errno != EPERM)
		expect(0, "a claim without CAP_SYS_ADMIN");

	/* with a descriptor from somebody who has it */
	d = wanted(cpu);
	d.cpu_fd = claimed;
	refused(&m, KVM_SET_DEDICATED_CPU, (unsigned long)&d, 0, "by a descriptor");
	d = wanted(cpu);
	d.cpu_fd = claimed;
	make(&other, 1);
	refused(&other, KVM_SET_DEDICATED_CPU, (unsigned long)&d, EBUSY, "a descriptor in use");
	start(&m, code, sizeof(code));
	expect(!next(&m) && statistic(&m, "ded_entries"), "a guest there");
	refused(&m, KVM_SET_SLAVE_CPU, (unsigned long)-1, 0, "give back");
	d = wanted(cpu + 1);
	d.cpu_fd = claimed;
	refused(&other, KVM_SET_DEDICATED_CPU, (unsigned long)&d, EINVAL, "of another CPU");
	d = wanted(cpu);
	d.cpu_fd = claimed;
	refused(&other, KVM_SET_DEDICATED_CPU, (unsigned long)&d, 0, "the next to use it");
	close(claimed);
	expect(ioctl(other.vcpu, KVM_GET_SLAVE_CPU, 0) == cpu, "closed, but in use");
	destroy(&other);
}

void exits(int cpu, uint32_t n, uint32_t poll_ns)
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

void timing(int cpu, unsigned int ms)
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
	       (unsigned long long)ticks * (1000000000u / (unsigned long)sysconf(_SC_CLK_TCK)));
	printf("dispatches %llu\nkicks %llu\n", (unsigned long long)statistic(&m, "ded_dispatches"),
	       (unsigned long long)statistic(&m, "exits"));
	destroy(&m);
}

/* Until somebody ends it. */
static void __attribute__((noreturn)) forever(int cpu, const uint8_t *code, size_t n)
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

void spin(int cpu)
{
	forever(cpu, spin_code, sizeof(spin_code));
}

void halt(int cpu)
{
	forever(cpu, halt_code, sizeof(halt_code));
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int cpu = argc > 2 ? atoi(argv[2]) : 0;
	unsigned int n = argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 0) : 0;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		err(1, "/dev/kvm");
	int have = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_X86_DEDICATED_CPU);
	if (have < 0 || !(have & (int)KVM_DEDICATED_CPU_RUN)) {
		printf("KVM has no dedicated CPUs\n");
		return 3;
	}
	if (!strcmp(what, "errors") && argc == 4)
		errors(cpu, (int)n);
	else if (!strcmp(what, "user"))
		user(cpu);
	else if (!strcmp(what, "exits") && argc == 5)
		exits(cpu, n, (uint32_t)strtoul(argv[4], NULL, 0));
	else if (!strcmp(what, "cpuid") && argc == 5)
		identify(cpu, n, argv[4]);
	else if (!strcmp(what, "asked") && argc == 4)
		asked(cpu, n);
	else if (!strcmp(what, "time") && argc == 4)
		timing(cpu, n);
	else if (!strcmp(what, "map") && argc == 4)
		map(cpu, n, 0);
	else if (!strcmp(what, "busymap") && argc == 4)
		map(cpu, n, 1);
	else if (!strcmp(what, "both") && argc == 4)
		both(cpu, n);
	else if (!strcmp(what, "merged") && argc == 4)
		merged(cpu, n);
	else if (!strcmp(what, "beside") && argc == 5)
		beside(cpu, (int)n, (uint32_t)strtoul(argv[4], NULL, 0));
	else if (!strcmp(what, "registers") && argc == 4)
		registers(cpu, n);
	else if (!strcmp(what, "ends") && argc == 4)
		ends(cpu, argv[3]);
	else if (!strcmp(what, "kicked") && argc == 5)
		kicked(cpu, argv[3], (unsigned int)strtoul(argv[4], NULL, 0), 0);
	else if (!strcmp(what, "busy") && argc == 5)
		kicked(cpu, argv[3], (unsigned int)strtoul(argv[4], NULL, 0), 1);
	else if (!strcmp(what, "hostile") && argc == 5)
		hostile(cpu, n, (uint32_t)strtoul(argv[4], NULL, 0));
	else if (!strcmp(what, "spin"))
		spin(cpu);
	else if (!strcmp(what, "halt"))
		halt(cpu);
	else
		errx(2, "no '%s'; see the head of guests.c", what);
	return bad;
}
