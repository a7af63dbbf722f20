/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kit itself: interrupts only while they are open, in the order of their
 * vectors' priorities, on every CPU that was started, and with the APIC ids
 * that were asked for.
 *
 * cpus=1  trap=1: an exception, which must end the payload  stray=1: an
 * interrupt without a handler, which must be noticed  left=1: some are pending when
 * the guest ends
 */
#include "kit.h"

#define LOW 0x41
#define HIGH 0x81

static volatile u32 got, order[4];
static volatile u32 seen_ids, seen_cpus;

static void on_low(u64 tsc)
{
	(void)tsc;
	order[got++] = LOW;
	apic_eoi();
}

static void on_high(u64 tsc)
{
	(void)tsc;
	order[got++] = HIGH;
	apic_eoi();
}

static void cpu_main(u32 cpu)
{
	__atomic_fetch_or(&seen_ids, 1U << apic_id(), __ATOMIC_SEQ_CST);
	kit_count_begin();
	kit_count_end();
	__atomic_fetch_or(&seen_cpus, 1U << cpu, __ATOMIC_SEQ_CST);
}

static void check_order(void)
{
	apic_self_ipi(LOW);
	apic_self_ipi(HIGH);
	for (u32 i = 0; i < 100; i++)
		pause_once();
	if (got)
		kit_fail("an interrupt came while they were closed");
	interrupts_open();
	for (u32 i = 0; i < 100000 && got < 2; i++)
		pause_once();
	interrupts_close();
	if (got != 2)
		kit_fail("interrupts of its own did not come");
	if (order[0] != HIGH || order[1] != LOW)
		kit_fail("interrupts did not come in the order of their priorities");
}

u32 payload(void)
{
	u32 cpus = kit_cpus(), all = (1U << cpus) - 1;

	kit_irq(LOW, on_low);
	kit_irq(HIGH, on_high);
	check_order();
	if (kit_arg("trap", 0))
		__asm__ volatile("ud2");
	if (kit_arg("stray", 0)) {
		apic_self_ipi(0x99);
		interrupts_open();
		for (u32 i = 0; i < 1000 && !kit_unexpected(); i++)
			pause_once();
		interrupts_close();
	}
	if (kit_arg("left", 0)) /* pending when the guest ends */
		for (u32 i = 0x30; i < 0x40; i++)
			apic_self_ipi(i);
	seen_ids = 1U << apic_id();
	if (cpus > 1)
		kit_start_cpus(cpu_main);
	kit_count_begin();
	kit_count_end();
	while ((seen_cpus | 1) != all)
		pause_once();
	if (seen_ids != all)
		kit_fail("APIC ids are not 0, 1, ...");
	kit_figure("x2apic", kit_x2apic);
	kit_figure("cpus", cpus);
	kit_figure("events", got);
	kit_figure("taken", got);
	return PAYLOAD_OK;
}
