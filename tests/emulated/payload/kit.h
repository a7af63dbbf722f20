/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a payload has: one CPU in long mode and ring 0 with interrupts closed,
 * a table of interrupt handlers, the local APIC, further CPUs, arguments, and
 * ports to tell results. A payload is one C file with payload(); it has no
 * libc. doc/testing-payloads.md tells how to write one.
 *
 * On some KVM back ends ring 0 is emulated at about 1 us per instruction: keep
 * loops short, and take counts and times from arguments.
 */
#ifndef RTKVM_PAYLOAD_KIT_H
#define RTKVM_PAYLOAD_KIT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto.h"

typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#define MSR_APIC_BASE 0x1b
#define MSR_TSC_DEADLINE 0x6e0

/* Registers of the local APIC, as offsets of its page. */
#define APIC_ID 0x20
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_ICR 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVTT 0x320
#define APIC_TMICT 0x380
#define APIC_TMCCT 0x390
#define APIC_TDCR 0x3e0
#define APIC_SELF_IPI 0x3f0
#define APIC_LVT_MASKED 0x10000
#define APIC_LVTT_PERIODIC 0x20000
#define APIC_LVTT_DEADLINE 0x40000

/* ---- the CPU */

/* Without a fence: back ends that emulate ring 0 know none, and none is needed there. */
static inline u64 rdtsc(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return low | (u64)high << 32;
}

static inline void wrmsr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

/*
 * Loading SS ends the block of instructions that QEMU translates at once. With
 * an instruction counter as its clock, QEMU dies ("Bad icount read") when the
 * clock is read in the middle of a block, as reading APIC_TMCCT does.
 */
static inline u64 rdmsr(u32 msr)
{
	u32 low, high;

	__asm__ volatile("movl %%ss, %%eax; movl %%eax, %%ss; rdmsr"
			 : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return low | (u64)high << 32;
}

static inline void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void cpuid(u32 leaf, u32 out[4])
{
	__asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(0));
}

static inline void interrupts_open(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void interrupts_close(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void pause_once(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* ---- arguments: "name=value name=value" */

/* The number of that argument, decimal or 0x; or the default. */
u64 kit_arg(const char *name, u64 otherwise);
/* Is there an argument name=value? With value == otherwise also when there is none. */
bool kit_arg_is(const char *name, const char *value, const char *otherwise);

/* ---- results */

void kit_figure(const char *name, u64 value); /* a line "NAME VALUE" */
void kit_signed(const char *name, long long value);
void kit_say(const char *name, const char *text);
_Noreturn void kit_end(u32 status);
_Noreturn void kit_fail(const char *why);
_Noreturn void kit_skip(const char *why); /* cannot be done on this machine */

/* Samples, at most KIT_SAMPLES (more are not kept); not from two CPUs at once. */
#define KIT_SAMPLES 10000
void kit_sample(long long value);
/* Argument dump=K: the first K as NAME.sample. Then NAME.n, .min, .median, .p90, .max and .hash (of all, in their order). */
void kit_samples_reset(void);
void kit_samples_report(const char *name);

/* ---- interrupts */

extern bool kit_x2apic; /* else xAPIC; argument apic=x2apic (default, where there is) or xapic */
extern bool kit_kvm; /* the hypervisor signs as KVM; else a bare machine, or an emulated one */

/* tsc: read at the entry. The handler ends the interrupt by apic_eoi(). */
typedef void kit_handler(u64 tsc);
void kit_irq(u32 vector, kit_handler *handler);
u64 kit_unexpected(void); /* interrupts that had no handler; their names are told */

void apic_write(u32 reg, u32 value);
u32 apic_read(u32 reg);
u32 apic_id(void);
void apic_ipi(u32 to, u32 vector);
void apic_self_ipi(u32 vector);

static inline void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

/*
 * Wait until *flag is not zero, and take interrupts meanwhile: argument
 * wait=hlt (default) or spin. Interrupts are closed afterwards, and before with
 * hlt: an interrupt that came before it would be waited for in vain.
 */
void kit_wait(volatile u32 *flag);
/* To be called before an event is caused: opens interrupts if kit_wait() will spin. */
void kit_wait_ready(void);

/* ---- the timer */

enum kit_timer { KIT_ONESHOT, KIT_PERIODIC, KIT_DEADLINE };

/* Argument timer=oneshot, periodic or deadline; skips when there is no such timer. */
enum kit_timer kit_timer_mode(void);
void kit_timer_set(enum kit_timer mode, u32 vector); /* on this CPU, not armed */
/*
 * The timer counts 1000000 ticks while the TSC counts this many: argument ratio
 * (the test VMM gives KVM's), else measured.
 */
u64 kit_timer_ratio(void);
void kit_timer_off(void);

/* ---- CPUs */

/* How many CPUs there are: argument cpus (default 1). */
u32 kit_cpus(void);
/* Start them; each runs main_of(its number from 1), then waits for ever. Returns when all run. */
void kit_start_cpus(void (*main_of)(u32 cpu));

/* ---- what is counted */

/* Every CPU that was started calls both. Exits between them are counted. */
void kit_count_begin(void);
void kit_count_end(void);

/* Have the event source of the VMM interrupt (vector PAYLOAD_VECTOR_MSI). */
static inline void kit_fire(u32 times)
{
	outl(PAYLOAD_PORT_FIRE, times);
}

/* The payload itself, on the first CPU. Returns PAYLOAD_*. */
u32 payload(void);

#endif
