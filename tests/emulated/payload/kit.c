/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kit, first part: start of the CPUs, arguments, lines of text, the end.
 * Interrupts are apic.c's, samples are samples.c's.
 */
#include "kit.h"
#include "internal.h"

extern char image_args[];
extern char trampoline[], trampoline_end[];
extern u32 image_cpus;

volatile u32 kit_go, kit_started = 1;
static void (*volatile cpu_main)(u32 cpu);
static volatile u32 cpus_running;

/* ---- text */

static void text_out(const char *text, size_t n)
{
	__asm__ volatile("cld; rep outsb"
			 : "+S"(text), "+c"(n) : "d"(PAYLOAD_PORT_TEXT) : "memory");
}

static size_t text_add(char *line, size_t at, const char *text)
{
	while (*text && at < KIT_LINE - 2)
		line[at++] = *text++;
	return at;
}

static void text_line(const char *name, const char *value)
{
	char line[KIT_LINE];
	size_t n = text_add(line, 0, name);

	line[n++] = ' ';
	n = text_add(line, n, value);
	line[n++] = '\n';
	text_out(line, n);
}

void kit_say(const char *name, const char *text)
{
	text_line(name, text);
}

static void number(const char *name, u64 value, bool negative)
{
	char digits[24];
	u32 at = sizeof(digits) - 1;

	digits[at] = 0;
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	if (negative)
		digits[--at] = '-';
	text_line(name, digits + at);
}

void kit_figure(const char *name, u64 value)
{
	number(name, value, false);
}

void kit_signed(const char *name, long long value)
{
	number(name, value < 0 ? -(u64)value : (u64)value, value < 0);
}

_Noreturn void kit_end(u32 status)
{
	static const char off[] = "Shutdown";

	kit_figure("end", status);
	outl(PAYLOAD_PORT_END, status);
	for (u32 i = 0; i < sizeof(off) - 1; i++)
		outb(PAYLOAD_PORT_OFF, (u8)off[i]);
	for (;;)
		__asm__ volatile("cli; hlt");
}

_Noreturn void kit_fail(const char *why)
{
	kit_say("failed", why);
	kit_end(PAYLOAD_FAILED);
}

_Noreturn void kit_skip(const char *why)
{
	kit_say("skipped", why);
	kit_end(PAYLOAD_SKIPPED);
}

/* What the compiler may call. */
void *memcpy(void *to, const void *from, size_t n)
{
	u8 *t = to;
	const u8 *f = from;

	while (n--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int value, size_t n)
{
	u8 *t = to;

	while (n--)
		*t++ = (u8)value;
	return to;
}

/* ---- arguments */

/* The text behind "name=", or NULL. */
static const char *find(const char *name)
{
	const char *at = image_args;

	while (*at) {
		const char *n = name;

		while (*at == ' ')
			at++;
		while (*n && *at == *n) {
			at++;
			n++;
		}
		if (!*n && *at == '=')
			return at + 1;
		while (*at && *at != ' ')
			at++;
	}
	return NULL;
}

u64 kit_arg(const char *name, u64 otherwise)
{
	const char *at = find(name);
	u64 value = 0;
	u32 base = 10;

	if (!at)
		return otherwise;
	if (at[0] == '0' && at[1] == 'x') {
		base = 16;
		at += 2;
	}
	if (!*at || *at == ' ')
		kit_fail("an argument has no value");
	for (; *at && *at != ' '; at++) {
		u32 digit = *at >= '0' && *at <= '9' ? (u32)(*at - '0') :
			    *at >= 'a' && *at <= 'f' ? (u32)(*at - 'a' + 10) : 99;

		if (digit >= base)
			kit_fail("an argument is no number");
		value = value * base + digit;
	}
	return value;
}

bool kit_arg_is(const char *name, const char *value, const char *otherwise)
{
	const char *at = find(name);

	if (!at)
		at = otherwise;
	while (*value && *at == *value) {
		at++;
		value++;
	}
	return !*value && (!*at || *at == ' ');
}

/* ---- CPUs */

u32 kit_cpus(void)
{
	u64 cpus = kit_arg("cpus", 1);

	if (cpus < 1 || cpus > PAYLOAD_MAX_CPUS)
		kit_fail("cpus is 1 to 8");
	return (u32)cpus;
}

_Noreturn void kit_cpu_main(u32 cpu)
{
	kit_interrupts_load();
	kit_apic_on();
	__atomic_fetch_add(&cpus_running, 1, __ATOMIC_SEQ_CST);
	cpu_main(cpu);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void wait_running(u32 how_many)
{
	u64 start = rdtsc();

	while (cpus_running < how_many) {
		if (rdtsc() - start > KIT_PATIENCE)
			kit_fail("a CPU did not start");
		pause_once();
	}
}

/* argument start=sipi (default), or direct: a VMM has put them in front of the image */
void kit_start_cpus(void (*main_of)(u32 cpu))
{
	u32 cpus = kit_cpus();

	cpu_main = main_of;
	if (kit_arg_is("start", "direct", "sipi")) {
		kit_go = 1;
		wait_running(cpus - 1);
		return;
	}
	memcpy((void *)PAYLOAD_TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
	for (u32 cpu = 1; cpu < cpus; cpu++) {
		kit_apic_init_sipi(cpu);
		wait_running(cpu);
	}
}

/* ---- counting */

void kit_count_begin(void)
{
	outl(PAYLOAD_PORT_MARK, PAYLOAD_MARK_BEGIN);
}

void kit_count_end(void)
{
	outl(PAYLOAD_PORT_MARK, PAYLOAD_MARK_END);
}

_Noreturn void kit_main(void)
{
	u32 status;

	kit_interrupts_init();
	kit_interrupts_load();
	kit_apic_on();
	status = payload();
	if (kit_unexpected())
		kit_fail("an interrupt came that has no handler");
	kit_end(status);
}
