/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM of one vCPU and 16 KiB of memory, by raw ioctls, for the guests of
 * dedicated.sh; what they print and how they tell that something did not hold.
 */
#ifndef RTKVM_TESTS_EMULATED_DEDCPU_MACHINE_H
#define RTKVM_TESTS_EMULATED_DEDCPU_MACHINE_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "linux/dedicated_cpu.h"
#include "linux/kvm_dedicated.h"

#define PORT 0x10
#define END 0x11
/* Guest-physical: code, then what it writes, then what only the host writes. */
#define CODE 0x1000
#define OUT 0x2000
#define IN 0x3000
#define MEMORY 0x4000

struct machine {
	int vm, vcpu, stats;
	struct kvm_run *run;
	uint8_t *memory; /* guest-physical 0 */
};

extern int kvm; /* /dev/kvm */
extern int bad; /* something did not hold */

void expect(int held, const char *what);
uint64_t now_ns(void);
void sleep_ms(unsigned int ms);
/* All of a small file, with a 0 behind it. */
void read_text(const char *path, char *text, size_t size);
/* The index-th number of a file of /proc; behind the name, in one that has a name. */
uint64_t proc(const char *file, int index);
void on_signal(int signal);

void make(struct machine *m, int irqchip);
void destroy(struct machine *m);
/* One more vCPU of a VM; its memory is that of the first. */
void make_vcpu(const struct machine *first, struct machine *m, unsigned int id);
/* Real mode from CODE on. */
void start(const struct machine *m, const uint8_t *code, size_t n);
void start_at(const struct machine *m, unsigned int at, const uint8_t *code, size_t n);
/* Its stack pointer, for interrupts. */
void stack_at(const struct machine *m, unsigned int at);
/* KVM_RUN until the guest uses PORT (1) or END (0). */
int next(const struct machine *m);
/* One of KVM's binary statistics of the vCPU. */
uint64_t statistic(const struct machine *m, const char *name);

/* A table for CPUID, before the first KVM_RUN: see cpuid.c. */
void cpuid_table(const struct machine *m);

struct kvm_dedicated_cpu wanted(int cpu);
/* KVM_SET_SLAVE_CPU, which must not fail; with DEDCPU_FEATURES, more than RUN. */
void set(const struct machine *m, int cpu);
/* A call that has to fail with this errno; 0: to succeed. */
void refused(const struct machine *m, unsigned long request, unsigned long argument, int want,
	     const char *what);

/* The parts: see guests.c. */
void errors(int cpu, int online);
void user(int cpu);
void exits(int cpu, uint32_t n, uint32_t poll_ns);
void identify(int cpu, uint32_t n, const char *by);
void asked(int cpu, uint32_t n);
void timing(int cpu, unsigned int ms);
void map(int cpu, uint32_t n, int busy);
void both(int cpu, uint32_t n);
void merged(int cpu, uint32_t n);
void beside(int cpu, int other, uint32_t n);
void registers(int cpu, uint32_t n);
void ends(int cpu, const char *how);
void kicked(int cpu, const char *point, unsigned int us, int busy);
void hostile(int cpu, uint32_t n, uint32_t seed);
void spin(int cpu);
void halt(int cpu);

#endif
