// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Guests of random instructions on a dedicated CPU: registers of the model and of
 * control, ports, memory that is not there, the local APIC, halts with interrupts off,
 * triple faults, exits in a row, endless loops that a signal ends. Beside them a VM
 * calculates and must come to right results throughout.
 */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

static uint32_t seed;
static uint8_t code[512];
static size_t used;

static uint32_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static uint32_t pick(const uint32_t *list, size_t n)
{
	uint32_t value = list[any() % n];

	return any() % 4 ? value : value ^ 1u << any() % 32;
}
#define PICK(list) pick(list, sizeof(list) / sizeof(*(list)))

static void byte(unsigned int b)
{
	if (used < sizeof(code))
		code[used++] = (uint8_t)b;
}

static void bytes(const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		byte((uint8_t)b[i]);
}
#define BYTES(b) bytes(b, sizeof(b) - 1)

static void word(uint32_t w)
{
	for (int i = 0; i < 4; i++)
		byte(w >> 8 * i & 0xff);
}

static const uint32_t values[] = { 0, 1, 0x7fffffff, 0xffffffff, 0x80000000, 0x500, 0xfee00d00,
	0xfee00900, CODE, 0x80050033, 0x6f0, 0x12345678 };
static const uint32_t msrs[] = { 0x10, 0x1b, 0x3a, 0x48, 0x49, 0x10b, 0x174, 0x176, 0x186, 0x1a0, 0x1d9,
	0x200, 0x277, 0x2ff, 0x345, 0x38f, 0x480, 0x6e0, 0x802, 0x808, 0x80b, 0x80f, 0x830, 0x832, 0x838,
	0x83f, 0xc80, 0xda0, 0x40000000, 0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04,
	0xc0000080, 0xc0000081, 0xc0000101, 0xc0000102, 0xc0000103, 0xc0010015, 0xc0010114, 0xc0010117 };
static const uint32_t places[] = { 0xfee00000, 0xfee00020, 0xfee00080, 0xfee000b0, 0xfee000f0, 0xfee00300,
	0xfee00310, 0xfee00320, 0xfee00380, 0xfee003e0, 0xfec00000, 0xfec00010, 0xe0000000, 0x5000, IN,
	0xfffffffc };
static const uint32_t commands[] = { 0x40020, 0x80020, 0xc0020, 0x500, 0xc0500, 0x601, 0xc0601, 0x200, 0x400,
	0x840400, 0xc0400, 0xfe, 0x4000 };
/* at most eight bytes: CPUID to CLGI, in no order */
static const char *const odd[] = { "\x0f\xa2", "\x0f\x31", "\x0f\x33", "\x0f\x08", "\x0f\x09", "\x0f\x0b",
	"\x0f\xaa", "\x0f\x34", "\x0f\x05", "\x0f\x01\xc1", "\x0f\x01\xd9", "\x0f\x01\xd8", "\x0f\x01\xdd",
	"\x0f\x01\xdc", "\x0f\x01\xdf", "\x0f\x01\xc8", "\x0f\x01\xc9", "\x0f\x01\xd1", "\x0f\x01\xc2",
	"\x0f\x01\xc4", "\xf3\x90", "\xcc", "\xf4", "\xfa\xf4", "\xfb\xf4", "\xf3\x6e", "\x0f\xc7\xf0",
	"\x0f\x77", "\x9b\xdb\xe3", "\x0f\x01\xf9", "\x0f\xae\xf0", "\xf1" };

static void operation(void)
{
	switch (any() % 14) {
	case 0: /* wrmsr */
	case 1: /* rdmsr */
		byte(0xb9), word(PICK(msrs));
		byte(0xb8), word(PICK(values));
		byte(0xba), word(any() % 2 ? 0 : any());
		byte(0x0f), byte(any() % 3 ? 0x30 : 0x32);
		break;
	case 2: /* mov %eax, %crN or %drN */
		byte(0xb8), word(PICK(values));
		byte(0x0f), byte(0x22 + any() % 2), byte(0xc0 | (any() % 8) << 3);
		break;
	case 3: /* in and out */
		byte(0xba), word(any() & 0xffff);
		byte(0xec + any() % 4);
		break;
	case 4: /* somewhere */
		byte(any() % 2 ? 0xa3 : 0xa1), word(PICK(places));
		break;
	case 5: /* ICR */
		BYTES("\xc7\x05\x10\x03\xe0\xfe"), word(any());
		BYTES("\xc7\x05\x00\x03\xe0\xfe"), word(PICK(commands));
		break;
	case 6: /* int N */
		byte(0xcd), byte(any());
		break;
	case 7: /* lgdt, lidt, invlpg, lmsw */
		BYTES("\x0f\x01"), byte(((2 + any() % 6) << 3 & 0x38) | 5), word(CODE + any() % 64);
		break;
	case 8:
		for (unsigned int n = any() % 8; n; n--)
			byte(any());
		break;
	case 9: /* exits in a row */
		BYTES("\xb9\x20\x00\x00\x00\xe6\x10\xe2\xfc");
		break;
	case 10:
		if (any() % 4 == 0)
			BYTES("\xfa\xeb\xfe");
		break;
	default:
		for (unsigned int n = 1 + any() % 3; n; n--) {
			const char *b = odd[any() % (sizeof(odd) / sizeof(*odd))];

			bytes(b, strlen(b));
		}
	}
}

/* 32 bits, flat, with a handler for everything or with none. */
static void begin(const struct machine *m, const struct kvm_sregs *clean)
{
	struct kvm_segment flat = { .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1,
		.db = 1, .s = 1, .g = 1 };
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = { .rip = CODE, .rflags = any() % 2 ? 0x202 : 2, .rsp = IN + 0x800 };
	struct kvm_vcpu_events events = { 0 };
	struct kvm_sregs sregs = *clean;

	sregs.ds = sregs.es = sregs.ss = sregs.cs = flat;
	sregs.cs.selector = 8;
	sregs.cs.type = 11;
	sregs.cr0 |= 1;
	sregs.cr4 |= 0x600;
	sregs.idt.base = OUT;
	sregs.idt.limit = any() % 2 ? 0x7ff : 0;
	sregs.gdt.base = OUT + 0xf00;
	sregs.gdt.limit = 23;
	for (unsigned int i = 0; i < 256; i++) {
		uint32_t gate[2] = { 8 << 16 | (CODE + 0x300), 0x8e00 };

		memcpy(m->memory + OUT + 8 * i, gate, 8);
	}
	memcpy(m->memory + OUT + 0xf00,
	       "\0\0\0\0\0\0\0\0\xff\xff\0\0\0\x9b\xcf\0\xff\xff\0\0\0\x93\xcf\0", 24);
	memcpy(m->memory + CODE, code, sizeof(code));
	memcpy(m->memory + CODE + 0x300, "\xe6\x11\xeb\xfe", 4);
	if (ioctl(m->vcpu, KVM_SET_VCPU_EVENTS, &events) || ioctl(m->vcpu, KVM_SET_MP_STATE, &mp) ||
	    ioctl(m->vcpu, KVM_SET_SREGS, &sregs) || ioctl(m->vcpu, KVM_SET_REGS, &regs))
		err(1, "registers of the hostile guest");
}

/* Beside: a VM whose guest calculates. Its results are counted in what is shared. */
static void __attribute__((noreturn)) calculate(volatile uint32_t *results)
{
	/*
	 * 0:	mov $20000, %ecx; 1: imul $1664525, %eax, %eax; add $1013904223, %eax
	 *	dec %ecx; jnz 1b; mov %eax, OUT; out %al, $PORT; jmp 0b
	 */
	static const uint8_t sum[] = { 0x66, 0xb9, 0x20, 0x4e, 0x00, 0x00, 0x66, 0x69, 0xc0, 0x0d, 0x66, 0x19,
		0x00, 0x66, 0x05, 0x5f, 0xf3, 0x6e, 0x3c, 0x66, 0x49, 0x75, 0xef, 0x66, 0xa3, 0x00, 0x20,
		0xe6, PORT, 0xeb, 0xe1 };
	uint32_t want = 0, is;
	struct machine m;

	make(&m, 1);
	start(&m, sum, sizeof(sum));
	for (;;) {
		if (!next(&m))
			_exit(1);
		for (int i = 0; i < 20000; i++)
			want = want * 1664525u + 1013904223u;
		memcpy(&is, m.memory + OUT, sizeof(is));
		if (is != want)
			_exit(1);
		++*results;
	}
}

/* One guest, until it comes to an end, has done enough, or is late. */
static void one(const struct machine *m, uint32_t count[64])
{
	/* again and again: the first may come before KVM_RUN */
	struct itimerspec in = { .it_value.tv_nsec = 20000000, .it_interval.tv_nsec = 20000000 };
	static timer_t timer;
	static int made;

	if (!made++ && timer_create(CLOCK_MONOTONIC,
				    &(struct sigevent){ .sigev_notify = SIGEV_SIGNAL,
							.sigev_signo = SIGUSR1 }, &timer))
		err(1, "timer_create");
	m->run->immediate_exit = 0;
	if (timer_settime(timer, 0, &in, NULL))
		err(1, "timer_settime");
	for (int exits = 0; exits < 200; exits++) {
		if (ioctl(m->vcpu, KVM_RUN, 0)) {
			count[errno == EINTR ? 62 : 63]++;
			if (errno != EINTR && errno != EAGAIN && errno != EFAULT && errno != EINVAL)
				err(1, "KVM_RUN");
			break;
		}
		count[m->run->exit_reason < 61 ? m->run->exit_reason : 61]++;
		if (m->run->exit_reason == KVM_EXIT_IO && m->run->io.port == END)
			break;
		if (m->run->exit_reason != KVM_EXIT_IO && m->run->exit_reason != KVM_EXIT_MMIO)
			break;
	}
	memset(&in, 0, sizeof(in));
	timer_settime(timer, 0, &in, NULL);
}

void hostile(int cpu, uint32_t n, uint32_t start_seed)
{
	volatile uint32_t *results = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sigaction action = { .sa_handler = on_signal };
	static struct kvm_lapic_state lapic;
	uint32_t count[64] = { 0 }, before;
	struct kvm_sregs clean;
	struct machine m;
	int pid, status;

	if (results == MAP_FAILED)
		err(1, "mmap");
	pid = fork();
	if (!pid)
		calculate(results);
	sigaction(SIGUSR1, &action, NULL);
	seed = start_seed ? start_seed : 1;
	make(&m, 1);
	if (ioctl(m.vcpu, KVM_GET_SREGS, &clean) || ioctl(m.vcpu, KVM_GET_LAPIC, &lapic))
		err(1, "a clean vCPU");
	while (!*results)
		sleep_ms(1);
	before = *results;
	for (uint32_t i = 0; i < n; i++) {
		if (cpu >= 0 && i % 100 == 0) {
			if (i)
				set(&m, -1);
			set(&m, cpu);
		}
		printf("seed %u\n", seed);
		fflush(stdout);
		used = 0;
		for (unsigned int ops = 1 + any() % 6; ops; ops--)
			operation();
		if (used > 0x200)
			used = 0x200;
		memset(code + used, 0x90, sizeof(code) - used);
		memcpy(code + sizeof(code) - 4, "\xe6\x11\xeb\xfe", 4);
		if (ioctl(m.vcpu, KVM_SET_LAPIC, &lapic))
			err(1, "KVM_SET_LAPIC");
		begin(&m, &clean);
		one(&m, count);
		if (waitpid(pid, &status, WNOHANG))
			expect(0, "the second VM calculates right");
		if (bad)
			break;
	}
	for (int i = 0; i < 64; i++)
		if (count[i])
			printf("%s%d %u\n", i < 61 ? "exit." : "end.", i, count[i]);
	printf("entries %llu\nresults_beside %u\n", (unsigned long long)statistic(&m, "ded_entries"),
	       *results - before);
	expect(*results > before, "the second VM has calculated meanwhile");
	if (cpu >= 0)
		expect(statistic(&m, "ded_entries") > n / 2, "the guests ran there");
	if (!bad) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	destroy(&m);
}
