/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Timer interrupts of the local APIC, and how late each is.
 *
 * timer=oneshot|periodic|deadline  wait=hlt|spin  n=1000  warmup=16
 * period=200000 (ticks of the APIC timer, or of the TSC for deadline)
 * lose=K: mask the K-th interrupt, which must be noticed
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

/*
 * Wait, but not for ever. The limit is counted in passes, so that waiting by HLT
 * for an interrupt that never comes ends by the limit of who runs the payload.
 */
static void wait_or_fail(u64 limit)
{
	u64 start = rdtsc();

	interrupts_open();
	while (!fired) {
		if (rdtsc() - start > limit)
			kit_fail("a timer interrupt was lost");
	}
	interrupts_close();
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
		else
			when = arm(mode, period, ratio);
		if (lose && i == warmup + lose - 1)
			apic_write(APIC_LVTT, APIC_LVT_MASKED | PAYLOAD_VECTOR_TIMER);
		if (lose)
			wait_or_fail(period * ratio / 1000 * 4 + 50000000);
		else
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
