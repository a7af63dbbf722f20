/* SPDX-License-Identifier: MIT */
/*
 * The guest's program, in ring 3: a periodic real-time task as cyclictest
 * measures it. At each tick of a fixed grid it wakes up, notes how late it is
 * and computes for a while. It has neither data of its own nor a libc: all it
 * knows is in its control page (guest.h).
 */
#include "guest.h"

/* Ticks without recording before the VMM is told that the guest is up. */
#define BOOT_TICKS 20

static inline guest_u64 rdtsc(void)
{
	guest_u32 low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return low | (guest_u64)high << 32;
}

static inline void call_ring0(guest_u64 what, guest_u64 arg)
{
	__asm__ volatile("int3" : : "S"(what), "D"(arg) : "rax", "rcx", "rdx", "memory");
}

/* Sleep until the TSC reads at least the deadline. */
static inline void wait_until(guest_u64 deadline)
{
	call_ring0(GUEST_CALL_WAIT, deadline);
}

/* Tell the VMM. */
static inline void tell(guest_u32 port)
{
	call_ring0(GUEST_CALL_PORT, port);
}

static guest_u64 compute(guest_u64 loops, guest_u64 value)
{
	while (loops--)
		value = value * 6364136223846793005ULL + 1442695040888963407ULL;
	return value;
}

/*
 * How many iterations take "work" ticks: from the fastest of several tries,
 * so that being preempted by the host meanwhile does no harm.
 */
static guest_u64 calibrate(guest_u64 work, volatile struct guest_ctl *ctl)
{
	guest_u64 best = ~0ULL;

	for (int i = 0; i < 32; i++) {
		guest_u64 start = rdtsc();

		ctl->result = compute(2000, ctl->result);
		start = rdtsc() - start;
		if (start < best)
			best = start;
	}
	return best ? work * 2000 / best : 0;
}

/* Touch the ring once, as a real-time program locks its memory. */
static void prefault(volatile struct guest_sample *ring)
{
	for (guest_u32 i = 0; i < GUEST_RING_ENTRIES; i += 64)
		ring[i].tick = 0;
}

/* One tick: sleep, note the time, work. */
static guest_u64 tick(volatile struct guest_ctl *ctl, guest_u64 deadline)
{
	guest_u64 task;

	ctl->fired = 0;
	wait_until(deadline);
	task = rdtsc();
	ctl->result = compute(ctl->loops, ctl->result);
	return task;
}

static void record(volatile struct guest_ctl *ctl, volatile struct guest_sample *ring,
		   const struct guest_sample *sample)
{
	guest_u32 head = ctl->head;
	volatile struct guest_sample *slot = &ring[head % GUEST_RING_ENTRIES];

	if (head - ctl->tail >= GUEST_RING_ENTRIES) {
		ctl->dropped++;
		return;
	}
	slot->tick = sample->tick;
	slot->deadline = sample->deadline;
	slot->isr = sample->isr;
	slot->task = sample->task;
	__asm__ volatile("" : : : "memory"); /* x86 keeps the order of stores */
	ctl->head = head + 1;
}

/*
 * The measured part. A tick whose time has passed before it can be armed is
 * lost, and the grid stays what it is, as with cyclictest.
 */
static void measure(volatile struct guest_ctl *ctl, volatile struct guest_sample *ring)
{
	guest_u64 interval = ctl->interval, ticks = ctl->ticks;
	guest_u64 start = rdtsc() + interval; /* room for the first */
	struct guest_sample sample;

	for (guest_u64 i = 1; i <= ticks && ctl->go != 2; i++) {
		sample.tick = i;
		sample.deadline = start + i * interval;
		if (rdtsc() >= sample.deadline) {
			ctl->lost++;
			continue;
		}
		sample.task = tick(ctl, sample.deadline);
		sample.isr = ctl->stamp;
		record(ctl, ring, &sample);
	}
}

void guest_main(void);
void guest_main(void)
{
	volatile struct guest_ctl *ctl = (struct guest_ctl *)GUEST_DATA;
	volatile struct guest_sample *ring = (struct guest_sample *)GUEST_RING;

	prefault(ring);
	ctl->loops = calibrate(ctl->work, ctl);
	for (int i = 0; i < BOOT_TICKS; i++)
		tick(ctl, rdtsc() + ctl->interval);
	tell(GUEST_PORT_UP);
	while (!ctl->go)
		tick(ctl, rdtsc() + ctl->interval);
	tell(GUEST_PORT_START);
	measure(ctl, ring);
	for (;;)
		tell(GUEST_PORT_DONE);
}
