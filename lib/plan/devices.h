/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The PCI devices of a watched VM, by what the kernel names threads after: the
 * numbers of their interrupts and the names of their network interfaces.
 */
#ifndef RTKVM_PLAN_DEVICES_H
#define RTKVM_PLAN_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/core.h"

/* "0000:05:00.0", with its terminator; a domain may have eight digits. */
#define PLAN_PCI_TEXT 20
#define PLAN_INTERFACE_TEXT 16 /* IFNAMSIZ */

/* Zero at first. What it has is read anew by each look: vfio-pci asks for interrupts late. */
struct plan_devices {
	char (*address)[PLAN_PCI_TEXT];
	size_t count;
	unsigned int *irqs;
	size_t irq_count, irq_room;
	char (*interfaces)[PLAN_INTERFACE_TEXT];
	size_t interface_count, interface_room;
};

/* -EINVAL, -ENODEV, -ENOMEM, the error recorded; one that it has already is none. */
int plan_devices_add(struct rtkvm *rt, struct plan_devices *devices, const char *address);
/* 0 or -ENOMEM. A device that is gone has neither. */
int plan_devices_read(struct rtkvm *rt, struct plan_devices *devices);
void plan_devices_free(struct plan_devices *devices);

/* Is a kernel thread of that name for an interrupt of theirs, or for NAPI of an interface? */
bool plan_devices_thread(const struct plan_devices *devices, const char *comm);
/* Is that the name of any such thread? */
bool plan_devices_named(const char *comm);

#endif
