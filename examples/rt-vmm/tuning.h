/* SPDX-License-Identifier: MIT */
/*
 * The ways in which a run can be tuned, behind one interface: not at all, by
 * hand (hand.c), by librtkvm (rt.c). The hooks are the phases that KVM
 * dictates; a NULL hook does nothing. Hooks return 0 or, after fail(), -1.
 */
#ifndef TUNING_H
#define TUNING_H

#include <stdbool.h>

struct run;
struct kvm_cpuid2;

struct tuning {
	const char *name;
	int (*begin)(struct run *run);       /* main thread, before the VM is made */
	int (*vm_created)(struct run *run);  /* before the first vCPU */
	int (*edit_cpuid)(struct run *run, struct kvm_cpuid2 *cpuid, unsigned int max_entries);
	int (*vcpu_created)(struct run *run, unsigned int index);
	int (*vcpu_enter)(struct run *run, unsigned int index); /* its thread, before KVM_RUN */
	int (*vcpu_sync)(struct run *run, unsigned int index);  /* its thread, between KVM_RUNs */
	void (*vcpu_leave)(struct run *run, unsigned int index);
	int (*guest_up)(struct run *run);    /* main thread: real-time from now */
	int (*watch_fd)(struct run *run);    /* to be polled; -1: none */
	void (*watch)(struct run *run);      /* it was readable */
	void (*describe)(struct run *run, bool final); /* settings, read back */
	void (*end)(struct run *run);        /* main thread, vCPU threads are gone */
};

extern const struct tuning tuning_plain;
extern const struct tuning tuning_hand;
extern const struct tuning tuning_rt;

#endif
