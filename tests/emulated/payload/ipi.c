/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interrupts from CPU to CPU.
 *
 * mode=oneway: CPU 0 sends, CPU 1 takes it and answers in memory (cpus=2)
 * mode=pingpong: CPU 1 answers by an interrupt (cpus=2)
 * mode=self: CPU 0 interrupts itself (with wait=spin, interrupts are open then)
 * n=1000  warmup=16  wait=hlt|spin (how the receiver waits)
 *
 * Samples are TSC ticks from before the write of ICR to the entry of the
 * handler on the other CPU (the TSCs are the same).
 */
#include "kit.h"

static volatile u32 ping, pong, finished;
static volatile u64 ping_at, pong_at, pings, pongs;
static bool answers;

static void on_ping(u64 tsc)
{
	ping_at = tsc;
	pings++;
	apic_eoi();
	ping = 1;
}

static void on_pong(u64 tsc)
{
	pong_at = tsc;
	pongs++;
	apic_eoi();
	pong = 1;
}

static void receiver(u32 cpu)
{
	u64 n = kit_arg("n", 1000), warmup = kit_arg("warmup", 16);

	(void)cpu;
	for (u64 i = 0; i < warmup + n; i++) {
		if (i == warmup)
			kit_count_begin();
		kit_wait(&ping);
		ping = 0;
		if (answers)
			apic_ipi(0, PAYLOAD_VECTOR_IPI + 1);
		else
			pong = 1;
	}
	kit_count_end();
	finished = 1;
}

/* The sender spins for an answer in memory: how it waits is not what is looked at. */
static void wait_pong(void)
{
	if (answers)
		kit_wait(&pong);
	else
		while (!pong)
			pause_once();
	pong = 0;
}

static void send_one(bool self)
{
	u64 sent;

	if (self)
		kit_wait_ready();
	sent = rdtsc();
	if (self) {
		apic_self_ipi(PAYLOAD_VECTOR_IPI);
		kit_wait(&ping);
		ping = 0;
	} else {
		apic_ipi(1, PAYLOAD_VECTOR_IPI);
		wait_pong();
	}
	kit_sample((long long)(ping_at - sent));
}

u32 payload(void)
{
	bool self = kit_arg_is("mode", "self", "oneway");
	u64 n = kit_arg("n", 1000), warmup = kit_arg("warmup", 16), before = 0;

	answers = kit_arg_is("mode", "pingpong", "oneway");
	kit_irq(PAYLOAD_VECTOR_IPI, on_ping);
	kit_irq(PAYLOAD_VECTOR_IPI + 1, on_pong);
	if (!self) {
		if (kit_cpus() != 2)
			kit_fail("this mode needs cpus=2");
		kit_start_cpus(receiver);
	} else if (kit_cpus() != 1) {
		kit_fail("mode=self needs cpus=1");
	}
	kit_figure("x2apic", kit_x2apic);
	for (u64 i = 0; i < warmup + n; i++) {
		if (i == warmup) {
			kit_count_begin();
			before = pings;
			kit_samples_reset();
		}
		send_one(self);
	}
	kit_count_end();
	while (!self && !finished)
		pause_once();
	kit_figure("events", n);
	kit_figure("taken", pings - before);
	if (answers)
		kit_figure("answers", pongs);
	kit_samples_report("delivery");
	if (pings - before < n)
		kit_fail("fewer interrupts than were sent");
	return PAYLOAD_OK;
}
