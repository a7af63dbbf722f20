/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Timer interrupts of the local APIC, and how late each is.
 *
 * timer=oneshot|periodic|deadline  wait=hlt|spin  n=1000  warmup=16
 * period=200000 (ticks of the APIC timer, or of the TSC for deadline)
 * lose=K: mask the K-th interrupt (not with periodic), which must be noticed
 *
 * Lateness is the TSC at the entry of the handler minus the time that was asked
 * for: the deadline itself; for one-shot the TSC before the write that arms it,
 * plus the period; for periodic the same, and then one period more each time.
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
	u64 now = rdtsc(), when = now + period * ratio / 1000;

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

u32 payload(void)
{
	enum kit_timer mode = kit_timer_mode();
	u64 period = kit_arg("period", 200000), ratio = mode == KIT_DEADLINE ? 1000 : kit_timer_ratio();
	u64 n = kit_arg("n", 1000), warmup = kit_arg("warmup", 16), lose = kit_arg("lose", 0);
	u64 when = 0, before = 0;

	kit_irq(PAYLOAD_VECTOR_TIMER, on_timer);
	kit_timer_set(mode, PAYLOAD_VECTOR_TIMER);
	kit_figure("x2apic", kit_x2apic);
	kit_figure("ratio", ratio);
	if (mode == KIT_PERIODIC)
		when = arm(mode, period, ratio) - period * ratio / 1000;
	for (u64 i = 0; i < warmup + n; i++) {
		if (i == warmup) {
			kit_count_begin();
			before = taken;
		}
		if (mode == KIT_PERIODIC)
			when += period * ratio / 1000;
		else if (lose && i + 1 == warmup + lose)
			wait_for_lost(mode, period, ratio);
		else
			when = arm(mode, period, ratio);
		kit_wait(&fired);
		fired = 0;
		if (i >= warmup)
			kit_sample((long long)(at - when));
	}
	kit_count_end();
	kit_timer_off();
	/* "events": one for each that was waited for; an emulator may deliver one twice */
	kit_figure("events", n);
	kit_figure("taken", taken - before);
	kit_samples_report("lateness");
	if (taken - before < n)
		kit_fail("fewer timer interrupts than were asked for");
	return PAYLOAD_OK;
}
