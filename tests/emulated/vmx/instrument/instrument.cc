// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The meter of the vmx host, in Bochs: counts VM entries, VM exits by reason,
 * interrupts that reach a guest, and instructions, on each CPU. It looks at the
 * emulated CPU and knows nothing of KVM, whose own counts are held against it.
 *
 * Whoever executes the marker of ../../marker.h, in the machine or in a guest of it,
 * has the counts of all CPUs appended to the file named by RTKVM_METER, one line
 * with the label given; the end of the machine adds one with label 0, and "end".
 * Counts never go back: what a section took is a difference. For each CPU N:
 *
 *	cpuN.instructions	executed
 *	cpuN.guest		those of them that a guest began
 *	cpuN.entries		VMLAUNCH and VMRESUME that entered a guest
 *	cpuN.failed		those that did not because of the guest's state
 *	cpuN.exits		VM exits
 *	cpuN.exit-R		of them, with basic reason R of the manual's appendix C
 *	cpuN.injected-V		entries that injected external interrupt V
 *	cpuN.direct-V		interrupts V that reached a guest without an exit
 *
 * and of the machine: ticks, its clock. RTKVM_MISCOUNT=N leaves out every Nth entry.
 *
 * What a bare payload writes to its ports goes to the file named by RTKVM_TEXT: its
 * text, and at the end "status N".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bochs.h"
#include "cpu/cpu.h"
#include "pc_system.h"
#include "marker.h"
#include "rtkvm.h"

#define MAX_CPUS	8
#define MAX_REASONS	128
#define IS_MARKER	0x5a	/* no kind of prefetch: those are 0 to 7 */
#define DISPLACEMENT	0x4d4b5452

static struct counters {
	Bit64u guest;		/* instructions up to the last exit */
	Bit64u entered;		/* instructions when the guest was entered */
	Bit64u entries, failed, exits;
	Bit64u exit[MAX_REASONS];
	Bit64u injected[256];
	Bit64u direct[256];
	bool in_guest;
} counters[MAX_CPUS];

static FILE *out, *text;
static Bit64u marks, all_entries, miscount;
static Bit64s status = -1; /* none yet */

static void one(unsigned cpu, const char *what, Bit64u value)
{
	fprintf(out, " cpu%u.%s=%llu", cpu, what, (unsigned long long)value);
}

static void many(unsigned cpu, const char *what, const Bit64u *values, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (values[i])
			fprintf(out, " cpu%u.%s-%u=%llu", cpu, what, i, (unsigned long long)values[i]);
}

static void write_counts(Bit64u label, unsigned by)
{
	if (!out)
		return;
	fprintf(out, "mark=%llu label=%llu by=%u cpus=%u ticks=%llu", (unsigned long long)marks++,
		(unsigned long long)label, by, BX_SMP_PROCESSORS,
		(unsigned long long)bx_pc_system.time_ticks());
	for (unsigned cpu = 0; cpu < BX_SMP_PROCESSORS; cpu++) {
		const struct counters *c = &counters[cpu];
		Bit64u now = BX_CPU(cpu)->get_icount();

		one(cpu, "instructions", now);
		one(cpu, "guest", c->guest + (c->in_guest ? now - c->entered : 0));
		one(cpu, "entries", c->entries);
		one(cpu, "failed", c->failed);
		one(cpu, "exits", c->exits);
		many(cpu, "exit", c->exit, MAX_REASONS);
		many(cpu, "injected", c->injected, 256);
		many(cpu, "direct", c->direct, 256);
	}
	fputc('\n', out);
	fflush(out);
}

static void at_end(void)
{
	write_counts(0, 0);
	if (out) {
		fputs("end\n", out);
		fclose(out);
	}
	if (text && status >= 0)
		fprintf(text, "status %lld\n", (long long)status);
}

/*
 * Bochs counts an instruction when it is done. The VMLAUNCH or VMRESUME of this
 * entry is still to be counted and is none of the guest's.
 */
static void entry(unsigned cpu)
{
	struct counters *c = &counters[cpu];
	Bit32u info = BX_CPU(cpu)->vmcs.vmentry_interr_info;

	c->in_guest = true;
	c->entered = BX_CPU(cpu)->get_icount() + 1;
	if (!miscount || ++all_entries % miscount)
		c->entries++;
	if ((info & 0x80000700) == 0x80000000)
		c->injected[info & 0xff]++;
}

/*
 * Loading a guest's state ends in a context switch, before the CPU regards itself
 * as in the guest; so does loading the host's at an exit, which has been counted then.
 */
void rtkvm_meter_context(unsigned cpu, unsigned what)
{
	if (what != BX_INSTR_CONTEXT_SWITCH || !BX_CPU(cpu)->in_vmx || BX_CPU(cpu)->in_vmx_guest ||
	    BX_CPU(cpu)->in_smm)
		return;
	if (counters[cpu].in_guest)
		counters[cpu].in_guest = false;
	else
		entry(cpu);
}

/* An exit between instructions, or on one that has been counted. */
static bool between(Bit32u reason)
{
	switch (reason) {
	case VMX_VMEXIT_EXTERNAL_INTERRUPT:
	case VMX_VMEXIT_INIT:
	case VMX_VMEXIT_SIPI:
	case VMX_VMEXIT_INTERRUPT_WINDOW:
	case VMX_VMEXIT_NMI_WINDOW:
	case VMX_VMEXIT_MONITOR_TRAP_FLAG:
	case VMX_VMEXIT_VMX_PREEMPTION_TIMER_EXPIRED:
		return true;
	}
	return false;
}

void rtkvm_meter_exit(unsigned cpu, Bit32u reason)
{
	struct counters *c = &counters[cpu];
	Bit64u now = BX_CPU(cpu)->get_icount();

	if (reason & 0x80000000) {
		/* no entry, though with bad MSRs it had looked like one */
		c->failed++;
		if (c->in_guest)
			c->entries--;
		c->in_guest = true; /* until the host's state is loaded */
		return;
	}
	c->exits++;
	c->exit[reason % MAX_REASONS]++;
	if (!between(reason))
		now++;
	/* an exit that was pending at the entry comes before that is done */
	if (now > c->entered)
		c->guest += now - c->entered;
}

void rtkvm_meter_interrupt(unsigned cpu, unsigned vector)
{
	if (BX_CPU(cpu)->in_vmx_guest)
		counters[cpu].direct[vector & 0xff]++;
}

void rtkvm_meter_decode(bxInstruction_c *i, const Bit8u *opcode, unsigned len)
{
	static const Bit8u marker[] = RTKVM_MARKER_BYTES;

	if (len != sizeof(marker) || memcmp(opcode, marker, len))
		return;
	i->execute1 = &BX_CPU_C::PREFETCH;
	i->setSrcReg(bxInstruction_c::BX_INSTR_METADATA_SRC1, IS_MARKER);
}

void rtkvm_meter_hint(unsigned cpu, unsigned what, Bit64u offset)
{
	if (what == IS_MARKER)
		write_counts(offset - DISPLACEMENT, cpu);
}

static FILE *file(const char *variable)
{
	const char *name = getenv(variable);
	FILE *f = name ? fopen(name, "w") : NULL;

	if (name && !f) {
		perror(name);
		exit(1);
	}
	if (f)
		setlinebuf(f);
	return f;
}

static void begin(void)
{
	const char *value = getenv("RTKVM_MISCOUNT");

	if (BX_SMP_PROCESSORS > MAX_CPUS) {
		fprintf(stderr, "the meter has room for %d CPUs\n", MAX_CPUS);
		exit(1);
	}
	if (value)
		miscount = strtoull(value, NULL, 10);
	out = file("RTKVM_METER");
	text = file("RTKVM_TEXT");
	atexit(at_end);
}

/*
 * Bochs seeds RDRAND by the time of day when it makes its CPUs, and resets them
 * then: that is the moment to seed it again, and to begin.
 */
void rtkvm_reset(void)
{
	const char *seed = getenv("RTKVM_SEED");
	static bool begun;

	if (begun)
		return;
	begun = true;
	if (seed)
		srand(atoi(seed));
	begin();
}

void rtkvm_port(unsigned port, unsigned len, unsigned value)
{
	if (port == RTKVM_PORT_LOAD && len == 1)
		rtkvm_load();
	else if (port == RTKVM_PORT_TEXT && len == 1 && text)
		fputc(value, text);
	else if (port == RTKVM_PORT_STATUS && len == 4)
		status = value;
}
