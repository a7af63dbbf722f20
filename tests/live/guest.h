/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small guest of the tests' own on the real /dev/kvm: a few instructions in
 * 32-bit protected mode, no firmware. It uses no function of the library.
 */
#ifndef RTKVM_TEST_GUEST_H
#define RTKVM_TEST_GUEST_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define GUEST_VCPUS 2
#define GUEST_CPUID_ROOM 256

/* What a vCPU does. */
enum guest_program {
	GUEST_HALTS, /* HLT with interrupts off, for ever */
	GUEST_SPINS, /* a loop, for ever */
	GUEST_PORTS, /* writes to GUEST_PORT, for ever */
	GUEST_TICKS, /* 200 local APIC timer interrupts, each armed for 50 us and waited for in
		      * HLT; then GUEST_PORT */
};

#define GUEST_PORT 0x42
#define GUEST_TICK_COUNT 200

struct guest {
	int kvm, vm;
	int vcpu[GUEST_VCPUS];
	struct kvm_run *run[GUEST_VCPUS];
	unsigned int run_size;
	void *mem;
};

/* NULL, or why there can be no guest here. */
const char *guest_impossible(void);

/* A VM without vCPUs, with interrupt controllers or not. Aborts the test on error. */
void guest_open(struct guest *g, bool irqchip);

/* A vCPU that will run the program. cpuid: NULL for what KVM supports. */
void guest_add_vcpu(struct guest *g, int i, enum guest_program program,
		    const struct kvm_cpuid2 *cpuid);

/* What KVM supports, in a table of GUEST_CPUID_ROOM entries; free() it. */
struct kvm_cpuid2 *guest_supported(const struct guest *g);

/* What vCPU i shows. */
struct kvm_cpuid2 *guest_cpuid_of(const struct guest *g, int i);

/* The first entry of that function, or NULL. */
struct kvm_cpuid_entry2 *guest_cpuid_find(struct kvm_cpuid2 *cpuid, uint32_t function);

/* Value of a vCPU's counter, read without the library. Aborts when there is none. */
uint64_t guest_stat(const struct guest *g, int i, const char *name);

void guest_remove_vcpu(struct guest *g, int i);
void guest_close(struct guest *g);

#endif
