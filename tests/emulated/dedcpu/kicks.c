// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A kick at a chosen moment: one point of the way into the guest is made wide, and the
 * only signal of the run comes while the CPU is there. The guest has taken all its page
 * faults before and has interrupts off, so nothing else leads out of it; one that is busy
 * has exits that the CPU handles itself all the time.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

#define DELAYS "/sys/kernel/debug/dedicated_cpu"

static void delay(const char *point, unsigned int us)
{
	char command[64];
	int fd = open(DELAYS, O_WRONLY | O_CLOEXEC);
	int n = snprintf(command, sizeof(command), "delay %.20s %u", point, us);

	if (fd < 0 || write(fd, command, (size_t)n) != n)
		err(1, "%s: %s", DELAYS, command);
	close(fd);
}

void kicked(int cpu, const char *point, unsigned int us, int busy)
{
	/* cli; out %al, $PORT; jmp . */
	static const uint8_t spins[] = { 0xfa, 0xe6, PORT, 0xeb, 0xfe };
	/* cli; out %al, $PORT; 1: xor %eax, %eax; cpuid; jmp 1b */
	static const uint8_t asks[] = { 0xfa, 0xe6, PORT, 0x66, 0x31, 0xc0, 0x0f, 0xa2, 0xeb, 0xf9 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerspec in = { .it_value = { .tv_sec = us / 2000000,
					       .tv_nsec = us / 2 % 1000000 * 1000L } };
	/* a signal that comes early waits for KVM_RUN: the kernel's set is of 8 bytes */
	struct {
		struct kvm_signal_mask head;
		uint8_t set[8];
	} mask = { .head = { .len = 8 } };
	uint64_t begin, entries;
	struct machine m;
	timer_t timer;
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	make(&m, 1);
	cpuid_table(&m);
	start(&m, busy ? asks : spins, busy ? sizeof(asks) : sizeof(spins));
	set(&m, cpu);
	if (sigaction(SIGUSR1, &action, NULL) || sigprocmask(SIG_BLOCK, &block, NULL) ||
	    timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    ioctl(m.vcpu, KVM_SET_SIGNAL_MASK, &mask))
		err(1, "a timer");
	expect(next(&m) == 1, "the guest's first access");
	entries = statistic(&m, "ded_entries");
	delay(point, us);
	if (timer_settime(timer, 0, &in, NULL))
		err(1, "a timer");
	begin = now_ns();
	expect(ioctl(m.vcpu, KVM_RUN, 0) < 0 && errno == EINTR, "KVM_RUN ends by the signal");
	begin = now_ns() - begin;
	delay(point, 0);
	printf("ms %llu\nentries %llu\n", (unsigned long long)(begin / 1000000),
	       (unsigned long long)(statistic(&m, "ded_entries") - entries));
	/* it was at the point when the signal came, and nowhere for long afterwards */
	expect(begin >= us / 2 * 1000ULL, "the signal came at the point");
	destroy(&m);
}
