/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Timer interrupts of the local APIC, and how late each is.
 *
 * timer=oneshot|periodic|deadline  wait=hlt|spin  n=1000  warmup=16
 * period=200000 (ticks of the APIC timer, or of the TSC for deadline)
 * access=K: after every K-th interrupt an access of PAYLOAD_PORT_COUNT
 * lose=K: mask the K-th interrupt (not with periodic), which must be noticed
 *
 * Lateness is the TSC at the entry of the handler minus the time that was asked
 * for: the deadline itself; for one-shot the TSC before the write that arms it,
 * plus the period; for periodic the same, and then one period more each time. Ticks
 * of the periodic timer that came together as one are told as "merged".
 * more=K: a period is K ticks longer than was asked for (QEMU's own APIC: 1).
 */
#include "kit.h"

static volatile u32 fired;
static volatile u64 at, taken;

static void on_timer(u64 tsc)
{
	at = tsc;
	taken++;
	fired = 1;
	apic_eoi();
}

static u64 arm(enum kit_timer mode, u64 period, u64 ratio)
{
	u64 now = rdtsc(), when = now + period * ratio / 1000000;

	if (mode == KIT_DEADLINE)
		wrmsr(MSR_TSC_DEADLINE, when);
	else
		apic_write(APIC_TMICT, (u32)period);
	return when;
}

/* The timer counts, but its interrupt will not come: wait long enough, and say so. */
static void wait_for_lost(enum kit_timer mode, u64 period, u64 ratio)
{
	u64 when, start;

	apic_write(APIC_LVTT, PAYLOAD_VECTOR_TIMER | APIC_LVT_MASKED |
			      (mode == KIT_DEADLINE ? APIC_LVTT_DEADLINE : 0));
	when = arm(mode, period, ratio);
	start = rdtsc();
	interrupts_open();
	while (rdtsc() < when || rdtsc() - start < 50000000)
		pause_once();
	interrupts_close();
	if (!fired)
		kit_fail("a timer interrupt was lost");
}

/* One period on; and more when the interrupt stands for several. */
static u64 next_tick(u64 start, u64 *tick, u64 ticks_of_period, u64 *merged)
{
	u64 when = start + ++*tick * ticks_of_period / 1000000;

	while (at > when && at - when >= ticks_of_period / 1000000) {
		when = start + ++*tick * ticks_of_period / 1000000;
		++*merged;
	}
	return when;
}

u32 payload(void)
{
	enum kit_timer mode = kit_timer_mode();
	u64 period = kit_arg("period", 200000), n = kit_arg("n", 1000), warmup = kit_arg("warmup", 16);
	u64 ratio = mode == KIT_DEADLINE ? 1000000 : kit_timer_ratio(), lose = kit_arg("lose", 0);
	u64 access = kit_arg("access", 0);
	u64 exact = (period + kit_arg("more", 0)) * ratio; /* of a period, in millionths */
	u32 accesses = 0;
	u64 when = 0, start = 0, tick = 0, before = 0, merged = 0;

	kit_irq(PAYLOAD_VECTOR_TIMER, on_timer);
	kit_timer_set(mode, PAYLOAD_VECTOR_TIMER);
	kit_figure("x2apic", kit_x2apic);
	kit_figure("ratio", ratio);
	if (mode == KIT_PERIODIC)
		start = arm(mode, period, ratio) - period * ratio / 1000000;
	for (u64 i = 0; i < warmup + n; i++) {
		if (i == warmup) {
			kit_count_begin();
			before = taken;
			merged = 0;
		}
		if (lose && i + 1 == warmup + lose)
			wait_for_lost(mode, period, ratio);
		else if (mode != KIT_PERIODIC)
			when = arm(mode, period, ratio);
		kit_wait(&fired);
		fired = 0;
		if (mode == KIT_PERIODIC)
			when = next_tick(start, &tick, exact, &merged);
		if (i >= warmup)
			kit_sample((long long)(at - when));
		if (access && i >= warmup && (i - warmup + 1) % access == 0)
			outl(PAYLOAD_PORT_COUNT, ++accesses);
	}
	kit_count_end();
	kit_timer_off();
	/* "events": one for each that was waited for; an emulator may deliver one twice */
	kit_figure("events", n);
	kit_figure("taken", taken - before);
	kit_figure("accesses", accesses);
	if (mode == KIT_PERIODIC)
		kit_figure("merged", merged);
	kit_samples_report("lateness");
	if (taken - before < n)
		kit_fail("fewer timer interrupts than were asked for");
	return PAYLOAD_OK;
}
