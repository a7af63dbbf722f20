/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * KVM: a vCPU that runs on a CPU which has left Linux. See
 * Documentation/virt/kvm/x86/dedicated-cpu.rst.
 */
#ifndef _UAPI_LINUX_KVM_DEDICATED_H
#define _UAPI_LINUX_KVM_DEDICATED_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Of a VM or the system, by KVM_CHECK_EXTENSION: mask of the features there are. */
#define KVM_CAP_X86_DEDICATED_CPU	0x52540001

/* Features. Those that a kernel does not have are refused or left out. */
#define KVM_DEDICATED_CPU_RUN		(1ULL << 0)	/* the guest runs there */
#define KVM_DEDICATED_CPU_IRQ		(1ULL << 1)	/* interrupts reach it without an exit */
#define KVM_DEDICATED_CPU_EOI		(1ULL << 2)
#define KVM_DEDICATED_CPU_TPR		(1ULL << 3)
#define KVM_DEDICATED_CPU_SELF_IPI	(1ULL << 4)
#define KVM_DEDICATED_CPU_TIMER		(1ULL << 5)
#define KVM_DEDICATED_CPU_TSC_DEADLINE	(1ULL << 6)
#define KVM_DEDICATED_CPU_MSI		(1ULL << 7)
#define KVM_DEDICATED_CPU_IPI		(1ULL << 8)
#define KVM_DEDICATED_CPU_POST		(1ULL << 9)
#define KVM_DEDICATED_CPU_FEATURES	((1ULL << 10) - 1)

/* Flags. */
#define KVM_DEDICATED_CPU_STRICT	(1U << 0)	/* all wanted features, or EOPNOTSUPP */

#define KVM_DEDICATED_CPU_VERSION	1

struct kvm_dedicated_cpu {
	__s32 cpu;		/* number of an offline CPU; -1: none */
	__s32 cpu_fd;		/* of DEDICATED_CPU_CLAIM, for that CPU; -1: claim it */
	__u32 flags;
	__u32 pad;		/* has to be 0 */
	__u64 features;		/* in: wanted; out: active */
	__u32 poll_ns;		/* an exit is waited for that long before sleeping */
	__u32 version;		/* in: 0 or that of this header; out: the kernel's */
	__u64 reserved[4];	/* have to be 0 */
};

/* ioctls of a vCPU. */
#define KVM_SET_DEDICATED_CPU	_IOWR(0xAE, 0xf0, struct kvm_dedicated_cpu)
#define KVM_GET_DEDICATED_CPU	_IOR(0xAE, 0xf1, struct kvm_dedicated_cpu)

/* The same without the struct; encodings of 2012. The CPU is the argument. */
#define KVM_SET_SLAVE_CPU	_IO(0xAE, 0xaf)
#define KVM_GET_SLAVE_CPU	_IO(0xAE, 0xae)

#endif
