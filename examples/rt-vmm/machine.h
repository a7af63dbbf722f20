/* SPDX-License-Identifier: MIT */
/*
 * The virtual machine: KVM descriptors, guest memory, vCPUs. What is done with
 * it, and when, is in run.c.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/kvm.h>

#include "guest.h"

/* Room in the CPUID table; the library may add a few entries of its own. */
#define CPUID_ENTRIES 256

struct vcpu {
	unsigned int index;
	int fd;
	int stats_fd;               /* -1: this KVM has none */
	struct kvm_run *run;
	struct guest_ctl *ctl;      /* of the built-in guest, in its memory */
	struct guest_sample *ring;
};

struct machine {
	int vm_fd;
	unsigned int vcpus;
	unsigned char *ram;
	size_t ram_size;
	size_t run_size;
	uint32_t tsc_khz;
	struct vcpu vcpu[GUEST_MAX_VCPUS];
};

/* Open /dev/kvm (or take "fd:N"); -1 after saying what is wrong and what helps. */
int kvm_open(const char *path);

/* Make the VM with its interrupt controller and empty memory; huge: in pages of 2 MiB. */
int machine_new(struct machine *m, int kvm_fd, unsigned int vcpus, size_t ram_size, bool huge);

/* The CPUID table for machine_set_cpuid(), to be freed; NULL on error. */
struct kvm_cpuid2 *machine_cpuid(int kvm_fd);

int machine_add_vcpu(struct machine *m, unsigned int index);

/* Give the vCPU its CPUID; its registers are the guest's affair (see run.h). */
int machine_set_cpuid(struct machine *m, unsigned int index, const struct kvm_cpuid2 *cpuid);

void machine_free(struct machine *m);

/* Of the built-in guest. Tables of a vCPU: paging, segments, TSS; and the IDT for all (tables.c). */
void tables_write(unsigned char *ram, unsigned int index);
void tables_write_idt(unsigned char *ram, const struct guest_image *image);
void tables_set_sregs(struct kvm_sregs *sregs, unsigned int index);

/* A counter of KVM by name, -1 when there is none (kvmstats.c). */
int64_t kvm_stat(int stats_fd, const char *name);

#endif
