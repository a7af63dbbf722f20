// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The meter of the vmx host, in Bochs: counts VM entries, VM exits by reason,
 * interrupts that reach a guest, and instructions, on each CPU. It looks at the
 * emulated CPU and knows nothing of KVM, whose own counts are held against it.
 *
 * Each byte written to port 0xb5 is a character of a label; a newline writes a
 * snapshot of all counters under that label to the file named by RTKVM_METER.
 * The end of the machine writes the last one, "end". A snapshot has lines of
 *
 *	LABEL CPU COUNTER VALUE
 *
 * and counters never go back, so what a section took is a difference:
 *
 *	instructions	instructions executed, as Bochs counts them
 *	guest		those of them in VMX non-root mode
 *	entries		VMLAUNCH and VMRESUME that entered a guest
 *	failed		those that passed the checks of control fields and not of
 *			the guest's state (exit reasons with bit 31)
 *	exits		VM exits
 *	exit-N		of them, with basic reason N of the manual's appendix C
 *	injected-V	entries that injected external interrupt V
 *	direct-V	interrupts V that reached a guest without an exit
 *	ticks		the machine's clock (CPU "all")
 *	status		what a bare payload wrote to its exit port (CPU "all", at the end)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bochs.h"
#include "cpu/cpu.h"
#include "pc_system.h"
#include "rtkvm.h"

#define MAX_CPUS	8
#define MAX_REASONS	128

struct counters {
	Bit64u guest;		/* instructions up to the last exit */
	Bit64u entered_at;	/* instruction count of the last entry */
	Bit64u entries, failed, exits;
	Bit64u exit[MAX_REASONS];
	Bit64u injected[256];
	Bit64u direct[256];
	bool inside;
};

static struct counters meter[MAX_CPUS];
static FILE *file;
static long long status = -1; /* none yet */

static void line(const char *label, unsigned cpu, const char *counter, Bit64u value)
{
	fprintf(file, "%s %u %s %llu\n", label, cpu, counter, (unsigned long long)value);
}

static void lines(const char *label, unsigned cpu, const char *counter, const Bit64u *values,
		  unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (values[i])
			fprintf(file, "%s %u %s-%u %llu\n", label, cpu, counter, i,
				(unsigned long long)values[i]);
}

static void snapshot(const char *label)
{
	if (!file)
		return;
	fprintf(file, "%s all ticks %llu\n", label, (unsigned long long)bx_pc_system.time_ticks());
	for (unsigned cpu = 0; cpu < BX_SMP_PROCESSORS && cpu < MAX_CPUS; cpu++) {
		const struct counters *m = &meter[cpu];
		Bit64u now = BX_CPU(cpu)->get_icount();

		line(label, cpu, "instructions", now);
		line(label, cpu, "guest", m->guest + (m->inside ? now - m->entered_at : 0));
		line(label, cpu, "entries", m->entries);
		line(label, cpu, "failed", m->failed);
		line(label, cpu, "exits", m->exits);
		lines(label, cpu, "exit", m->exit, MAX_REASONS);
		lines(label, cpu, "injected", m->injected, 256);
		lines(label, cpu, "direct", m->direct, 256);
	}
	fflush(file);
}

static void last_snapshot(void)
{
	snapshot("end");
	if (status >= 0)
		fprintf(file, "end all status %lld\n", status);
}

/*
 * Loading the guest's state ends in a context switch, seen from inside a VMLAUNCH
 * or VMRESUME before the CPU calls itself in the guest. That of an exit comes
 * when the exit has been counted, and SMM has none of its own in VMX operation.
 */
void rtkvm_meter_context(unsigned cpu, unsigned what)
{
	struct counters *m = &meter[cpu % MAX_CPUS];
	Bit32u info;

	if (what != BX_INSTR_CONTEXT_SWITCH)
		return;
	if (!BX_CPU(cpu)->in_vmx || BX_CPU(cpu)->in_vmx_guest || BX_CPU(cpu)->in_smm)
		return;
	if (m->inside) {
		/* the host's state is loaded: this switch ends the exit */
		m->inside = false;
		return;
	}
	m->inside = true;
	m->entries++;
	m->entered_at = BX_CPU(cpu)->get_icount();
	info = BX_CPU(cpu)->vmcs.vmentry_interr_info;
	if ((info & 0x80000700) == 0x80000000)
		m->injected[info & 0xff]++;
}

void rtkvm_meter_exit(unsigned cpu, Bit32u reason)
{
	struct counters *m = &meter[cpu % MAX_CPUS];

	if (reason & 0x80000000) {
		/* no entry; with bad MSRs it had looked like one */
		m->failed++;
		if (m->inside)
			m->entries--;
		m->inside = true;
		return;
	}
	m->exits++;
	m->exit[reason % MAX_REASONS]++;
	m->guest += BX_CPU(cpu)->get_icount() - m->entered_at;
	m->entered_at = BX_CPU(cpu)->get_icount();
}

void rtkvm_meter_interrupt(unsigned cpu, unsigned vector)
{
	if (BX_CPU(cpu)->in_vmx_guest)
		meter[cpu % MAX_CPUS].direct[vector & 0xff]++;
}

static void open_file(void)
{
	const char *name = getenv("RTKVM_METER");

	if (!name)
		return;
	file = fopen(name, "w");
	if (file)
		atexit(last_snapshot);
	else
		perror(name);
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
	open_file();
}

static void label_byte(unsigned value)
{
	static char label[64];
	static unsigned used;

	if (value != '\n') {
		if (value > ' ' && value < 127 && used < sizeof(label) - 1)
			label[used++] = value;
		return;
	}
	label[used] = '\0';
	used = 0;
	snapshot(label[0] ? label : "-");
}

void rtkvm_port(unsigned port, unsigned len, unsigned value)
{
	if (port == RTKVM_PORT_METER && len == 1)
		label_byte(value);
	else if (port == RTKVM_PORT_LOAD && len == 1)
		rtkvm_load();
	else if (port == RTKVM_PORT_STATUS && len == 4)
		status = value;
}
