/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that does nothing: how often is it disturbed? It waits for one timer
 * interrupt at the end, which is the only event.
 *
 * wait=hlt|spin  period=50000000 (ticks of the APIC timer)
 */
#include "kit.h"

static volatile u32 fired;

static void on_timer(u64 tsc)
{
	(void)tsc;
	fired = 1;
	apic_eoi();
}

u32 payload(void)
{
	u64 start;

	kit_irq(PAYLOAD_VECTOR_TIMER, on_timer);
	kit_timer_set(KIT_ONESHOT, PAYLOAD_VECTOR_TIMER);
	kit_count_begin();
	start = rdtsc();
	apic_write(APIC_TMICT, (u32)kit_arg("period", 50000000));
	kit_wait(&fired);
	kit_count_end();
	kit_figure("events", 1);
	kit_figure("taken", fired);
	kit_figure("ticks", rdtsc() - start);
	return PAYLOAD_OK;
}
