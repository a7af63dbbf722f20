/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interrupts of a device whose registers the guest has, raised by the guest itself:
 * no exit for the asking, so that what is left is what an interrupt costs. The VMM's
 * event source must be that device.
 *
 * device=edu|ivshmem  n=1000  warmup=16  wait=hlt|spin
 * raise=no: do not, and see it noticed
 *
 * Samples are TSC ticks from before the write to the handler.
 */
#include "kit.h"

static volatile u32 fired;
static volatile u64 at, taken;
static bool edu;

static volatile u32 *reg(u32 offset)
{
	return (volatile u32 *)(PAYLOAD_BAR + (u64)offset);
}

static void on_msi(u64 tsc)
{
	at = tsc;
	taken++;
	fired = 1;
	if (edu)
		*reg(0x64) = 1;
	apic_eoi();
}

u32 payload(void)
{
	u64 n = kit_arg("n", 1000), warmup = kit_arg("warmup", 16), before = 0, asked;
	bool raise = kit_arg_is("raise", "yes", "yes");

	edu = kit_arg_is("device", "edu", "edu");
	if (!kit_kvm)
		kit_skip("nobody has given it a device");
	kit_irq(PAYLOAD_VECTOR_MSI, on_msi);
	kit_figure("x2apic", kit_x2apic);
	for (u64 i = 0; i < warmup + n; i++) {
		if (i == warmup) {
			kit_count_begin();
			before = taken;
		}
		kit_wait_ready();
		asked = rdtsc();
		if (raise && edu)
			*reg(0x60) = 1;
		else if (raise) /* struct ivshmem_page, asked */
			__atomic_add_fetch(reg(0), 1, __ATOMIC_SEQ_CST);
		kit_wait(&fired);
		fired = 0;
		if (i >= warmup)
			kit_sample((long long)(at - asked));
	}
	kit_count_end();
	kit_figure("events", n);
	kit_figure("taken", taken - before);
	kit_samples_report("delivery");
	if (taken - before < n)
		kit_fail("fewer interrupts than were raised");
	return PAYLOAD_OK;
}
