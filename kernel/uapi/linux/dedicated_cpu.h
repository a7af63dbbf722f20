/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Dedicated CPUs as descriptors: /dev/dedicated_cpu. See
 * Documentation/arch/x86/dedicated-cpu.rst.
 */
#ifndef _UAPI_LINUX_DEDICATED_CPU_H
#define _UAPI_LINUX_DEDICATED_CPU_H

#include <linux/ioctl.h>

/* Of the device. The argument is the number of an offline CPU. Returns a descriptor. */
#define DEDICATED_CPU_CLAIM	_IO(0xBE, 0x00)

/* Of such a descriptor; the argument is 0. Returns the number of its CPU. */
#define DEDICATED_CPU_NUMBER	_IO(0xBE, 0x01)

#endif
