/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A PCI device of an emulated host as a VMM has it: bound to vfio-pci, its memory
 * and interrupts in the hands of a program. Raw ioctls and sysfs, so that a defect
 * of the library cannot hide itself. For tests, which run as root in a host that is
 * thrown away: nothing is given back to its driver.
 */
#ifndef RTKVM_TESTS_EMULATED_VFIO_H
#define RTKVM_TESTS_EMULATED_VFIO_H

#include <stddef.h>
#include <stdint.h>

struct vfio_device {
	char address[32];       /* 0000:00:03.0 */
	char driver[32];        /* that it had before vfio-pci; "" for none */
	int container, group, group_number, fd;
	uint16_t vendor, device;
	unsigned int irq_index; /* VFIO_PCI_MSI_IRQ_INDEX or VFIO_PCI_MSIX_IRQ_INDEX */
	unsigned int irqs;      /* vectors of it */
};

/* All return 0, or -1 with what went wrong in vfio_error(). */
const char *vfio_error(void);

/* Address of the first device of these ids. */
int vfio_find(uint16_t vendor, uint16_t device, char address[32]);

/* Binds it to vfio-pci and opens it through its group, memory and bus mastering on. */
int vfio_open(struct vfio_device *d, const char *address);
void vfio_close(struct vfio_device *d);

/* The device may reach this memory of the program at the address iova. */
int vfio_map_dma(struct vfio_device *d, void *at, size_t size, uint64_t iova);

int vfio_read_config(struct vfio_device *d, unsigned int offset, void *to, size_t size);

/* Registers of the device; NULL on error. */
void *vfio_map_bar(struct vfio_device *d, unsigned int bar, size_t *size);

/* MSI-X if it has that, else MSI: vector i writes eventfd[i]; n = 0 turns them off. */
int vfio_set_irqs(struct vfio_device *d, const int *eventfd, unsigned int n);

/* Number of the interrupt in the host, or -1; and the CPU that takes it there. */
int vfio_irq_number(struct vfio_device *d, unsigned int vector);
int vfio_irq_affinity(struct vfio_device *d, unsigned int vector, int cpu);

#endif
