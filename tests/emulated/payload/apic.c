/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kit, second part: interrupt table, exceptions, the local APIC in both of
 * its modes, its timer, and how further CPUs are woken.
 */
#include "internal.h"

#define APIC_PAGE 0xfee00000UL
#define APIC_BASE_ENABLE (1 << 11)
#define APIC_BASE_EXTD (1 << 10)
#define APIC_SVR_ENABLE (1 << 8)
#define APIC_ICR_BUSY (1 << 12)
#define APIC_TDCR_1 0xb
#define ICR_INIT 0x4500
#define ICR_SIPI 0x4600
#define ICR_FIXED 0x4000

struct gate {
	u16 low, selector;
	u8 ist, type;
	u16 middle;
	u32 high, reserved;
};

extern char interrupt_entries[], exception_entries[];

bool kit_x2apic, kit_kvm;
static bool has_deadline, wait_spins;
static struct gate idt[256];
static kit_handler *handlers[256];
static volatile u64 unexpected;

static void gate_set(u32 vector, u64 address)
{
	idt[vector] = (struct gate){
		.low = (u16)address, .selector = PAYLOAD_CODE64, .type = 0x8e,
		.middle = (u16)(address >> 16), .high = (u32)(address >> 32),
	};
}

void kit_interrupts_init(void)
{
	for (u32 i = 0; i < 32; i++)
		gate_set(i, (u64)exception_entries + i * 16);
	for (u32 i = 32; i < 256; i++)
		gate_set(i, (u64)interrupt_entries + (i - 32) * 16);
}

void kit_interrupts_load(void)
{
	struct __attribute__((packed)) {
		u16 limit;
		u64 base;
	} d = { sizeof(idt) - 1, (u64)idt };

	__asm__ volatile("lidt %0" : : "m"(d));
}

void kit_irq(u32 vector, kit_handler *handler)
{
	handlers[vector] = handler;
}

u64 kit_unexpected(void)
{
	return unexpected;
}

void kit_interrupt(u64 tsc, u32 vector)
{
	if (handlers[vector]) {
		handlers[vector](tsc);
		return;
	}
	unexpected++;
	kit_figure("unexpected", vector);
	if (vector != PAYLOAD_VECTOR_SPURIOUS)
		apic_eoi();
}

_Noreturn void kit_exception(u32 vector, const u64 *stack, u64 cr2)
{
	const u32 with_code = 1U << 8 | 1U << 10 | 1U << 11 | 1U << 12 | 1U << 13 | 1U << 14 |
			      1U << 17 | 1U << 21;

	if (with_code >> vector & 1)
		kit_figure("trap.code", *stack++);
	kit_figure("trap.rip", stack[0]);
	kit_figure("trap.cr2", cr2);
	kit_figure("trap", vector);
	kit_end(PAYLOAD_TRAP);
}

void apic_write(u32 reg, u32 value)
{
	if (kit_x2apic)
		wrmsr(0x800 + (reg >> 4), value);
	else
		*(volatile u32 *)(APIC_PAGE + reg) = value;
}

u32 apic_read(u32 reg)
{
	return kit_x2apic ? (u32)rdmsr(0x800 + (reg >> 4)) : *(volatile u32 *)(APIC_PAGE + reg);
}

u32 apic_id(void)
{
	u32 id = apic_read(APIC_ID);

	return kit_x2apic ? id : id >> 24;
}

static void icr(u32 to, u32 what)
{
	if (kit_x2apic) {
		wrmsr(0x830, (u64)to << 32 | what);
		return;
	}
	apic_write(APIC_ICR_HIGH, to << 24);
	apic_write(APIC_ICR, what);
	while (apic_read(APIC_ICR) & APIC_ICR_BUSY)
		pause_once();
}

void apic_ipi(u32 to, u32 vector)
{
	icr(to, ICR_FIXED | vector);
}

/* In xAPIC mode there is no register for it: the shorthand "self". */
void apic_self_ipi(u32 vector)
{
	if (kit_x2apic)
		apic_write(APIC_SELF_IPI, vector);
	else
		icr(0, 0x40000 | ICR_FIXED | vector);
}

static bool kvm_signature(void)
{
	u32 r[4];

	cpuid(0x40000000, r);
	return r[1] == 0x4b4d564b && r[2] == 0x564b4d56 && r[3] == 0x4d;
}

void kit_apic_on(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);
	u32 r[4];

	cpuid(1, r);
	kit_kvm = (r[2] >> 31) && kvm_signature();
	has_deadline = r[2] >> 24 & 1;
	wait_spins = kit_arg_is("wait", "spin", "hlt");
	kit_x2apic = (r[2] >> 21 & 1) && kit_arg_is("apic", "x2apic", "x2apic");
	if (!kit_x2apic && kit_arg_is("apic", "x2apic", ""))
		kit_skip("this CPU has no x2APIC");
	wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	if (kit_x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_EXTD);
	outb(0x21, 0xff); /* no interrupts of the old controllers */
	outb(0xa1, 0xff);
	apic_write(APIC_SVR, APIC_SVR_ENABLE | PAYLOAD_VECTOR_SPURIOUS);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_TDCR, APIC_TDCR_1);
	apic_write(APIC_LVTT, APIC_LVT_MASKED);
}

static void delay(u64 ticks)
{
	u64 start = rdtsc();

	while (rdtsc() - start < ticks)
		pause_once();
}

/* SDM vol. 3A, 9.4.4: INIT, 10 ms, SIPI, and once more when it did not come. */
void kit_apic_init_sipi(u32 apic)
{
	u32 before = kit_started;

	icr(apic, ICR_INIT);
	delay(kit_arg("init_delay", 100000));
	for (int i = 0; i < 2 && kit_started == before; i++) {
		icr(apic, ICR_SIPI | PAYLOAD_TRAMPOLINE >> 12);
		for (int j = 0; j < 1000 && kit_started == before; j++)
			delay(10000);
	}
}

void kit_wait_ready(void)
{
	if (wait_spins)
		interrupts_open();
}

void kit_wait(volatile u32 *flag)
{
	if (wait_spins) {
		interrupts_open();
		while (!*flag)
			;
		interrupts_close();
		return;
	}
	while (!*flag)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
}

enum kit_timer kit_timer_mode(void)
{
	if (kit_arg_is("timer", "oneshot", "oneshot"))
		return KIT_ONESHOT;
	if (kit_arg_is("timer", "periodic", "oneshot"))
		return KIT_PERIODIC;
	if (!kit_arg_is("timer", "deadline", "oneshot"))
		kit_fail("timer is oneshot, periodic or deadline");
	if (!has_deadline)
		kit_skip("this CPU has no TSC-deadline timer");
	return KIT_DEADLINE;
}

void kit_timer_set(enum kit_timer mode, u32 vector)
{
	u32 lvt = vector;

	if (mode == KIT_PERIODIC)
		lvt |= APIC_LVTT_PERIODIC;
	if (mode == KIT_DEADLINE)
		lvt |= APIC_LVTT_DEADLINE;
	apic_write(APIC_TDCR, APIC_TDCR_1);
	apic_write(APIC_LVTT, lvt);
	/* SDM vol. 3A, 10.5.4.1: in xAPIC mode the deadline must not overtake this write */
	__asm__ volatile("lock addl $0, -8(%%rsp)" : : : "memory", "cc");
}

void kit_timer_off(void)
{
	apic_write(APIC_LVTT, APIC_LVT_MASKED);
	apic_write(APIC_TMICT, 0);
}

u64 kit_timer_ratio(void)
{
	u64 ratio = kit_arg("ratio", 0), a, b;
	u32 ca, cb;

	if (ratio)
		return ratio;
	apic_write(APIC_LVTT, APIC_LVT_MASKED | PAYLOAD_VECTOR_TIMER);
	apic_write(APIC_TMICT, 0xffffffff);
	ca = apic_read(APIC_TMCCT);
	a = rdtsc();
	delay(kit_arg("calibrate", 20000000));
	cb = apic_read(APIC_TMCCT);
	b = rdtsc();
	apic_write(APIC_TMICT, 0);
	if (ca <= cb)
		kit_fail("the timer does not count");
	return (b - a) * 1000000 / (ca - cb);
}
