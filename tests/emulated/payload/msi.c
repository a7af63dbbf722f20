/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interrupts that come from outside, by whatever event source the VMM was told.
 *
 * n=1000  warmup=16  wait=hlt|spin
 * by=fire: asked for by a port write each time (one exit of its own)
 * by=outside: they come by themselves
 *
 * Samples are TSC ticks from before the port write to the handler.
 */
#include "kit.h"

static volatile u32 fired;
static volatile u64 at, taken;

static void on_msi(u64 tsc)
{
	at = tsc;
	taken++;
	fired = 1;
	apic_eoi();
}

u32 payload(void)
{
	u64 n = kit_arg("n", 1000), warmup = kit_arg("warmup", 16), before = 0, asked = 0;
	bool fire = kit_arg_is("by", "fire", "fire");

	if (!kit_kvm)
		kit_skip("nobody to send interrupts");
	kit_irq(PAYLOAD_VECTOR_MSI, on_msi);
	kit_figure("x2apic", kit_x2apic);
	for (u64 i = 0; i < warmup + n; i++) {
		if (i == warmup) {
			kit_count_begin();
			before = taken;
		}
		if (fire) {
			kit_wait_ready();
			asked = rdtsc();
			kit_fire(1);
		}
		kit_wait(&fired);
		fired = 0;
		if (fire && i >= warmup)
			kit_sample((long long)(at - asked));
	}
	kit_count_end();
	kit_figure("events", n);
	kit_figure("taken", taken - before);
	if (fire)
		kit_samples_report("delivery");
	if (taken - before < n)
		kit_fail("fewer interrupts than were waited for");
	return PAYLOAD_OK;
}
