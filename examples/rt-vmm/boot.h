/* SPDX-License-Identifier: MIT */
/*
 * What Linux finds in memory before its first instruction, in 64-bit mode: the
 * zero page with the memory map, its command line, page tables, segments, and
 * an MP table that names the CPUs and the interrupt controller.
 */
#ifndef BOOT_H
#define BOOT_H

#include <linux/kvm.h>

#include "kernel.h"

#define BOOT_CMDLINE_MAX 4096

/*
 * Write all of that and the kernel. The kernel has been parsed and placed, so
 * it fits; the initrd's bytes are the caller's to put where place says. The
 * memory is zero so far.
 */
void boot_write(unsigned char *ram, uint64_t ram_size, unsigned int vcpus,
		const struct kernel *kernel, const unsigned char *file,
		const struct kernel_place *place, const char *cmdline);

/* The first vCPU's registers at the kernel's entry; general ones that are not set are 0. */
void boot_set_sregs(struct kvm_sregs *sregs);
void boot_set_regs(struct kvm_regs *regs, const struct kernel *kernel);

/* The MP table, 1 MiB of low memory given (mptable.c). */
void mptable_write(unsigned char *ram, unsigned int vcpus);

#endif
