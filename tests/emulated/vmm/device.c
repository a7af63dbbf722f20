/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interrupts of a real device (of the host's, as the host sees it): through VFIO to
 * an eventfd, which is KVM's irqfd, to the guest. The guest has the device's
 * registers at PAYLOAD_BAR and raises its interrupts by them, without an exit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../vfio/ivshmem.h"
#include "../vfio/vfio.h"
#include "vmm.h"

#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8

static struct vfio_device device = { .container = -1, .group = -1, .fd = -1 };
static int event = -1;
static void *registers;

/* argument: CPU of the host that takes the device's interrupts; "" for any */
static int setup(struct vmm *m, const char *argument, uint16_t vendor, uint16_t id, unsigned int bar)
{
	char address[32];
	size_t size;
	int gsi;

	if (vfio_find(vendor, id, address) < 0 || vfio_open(&device, address) < 0 ||
	    vfio_map_dma(&device, m->ram, PAYLOAD_RAM, 0) < 0)
		return complain("%s", vfio_error());
	gsi = event_route_msi(m, 0, PAYLOAD_VECTOR_MSI);
	event = gsi < 0 ? -1 : event_irqfd(m, gsi);
	if (event < 0)
		return -1;
	registers = vfio_map_bar(&device, bar, &size);
	if (!registers || vfio_set_irqs(&device, &event, 1) < 0 ||
	    (*argument && vfio_irq_affinity(&device, 0, atoi(argument)) < 0))
		return complain("%s", vfio_error());
	return machine_map(m, PAYLOAD_BAR, registers, size, false);
}

static void report(struct vmm *m)
{
	(void)m;
	printf("device.address %s\ndevice.group %d\ndevice.irq %d\n", device.address,
	       device.group_number, vfio_irq_number(&device, 0));
}

static void close_device(struct vmm *m)
{
	(void)m;
	if (device.fd >= 0)
		vfio_set_irqs(&device, NULL, 0);
	vfio_close(&device);
	if (event >= 0)
		close(event);
	event = -1;
}

/* ---- edu: MSI when its register 0x60 is written; 0x64 takes it back */

static int edu_setup(struct vmm *m, const char *argument)
{
	return setup(m, argument, EDU_VENDOR, EDU_DEVICE, 0);
}

static int edu_fire(struct vmm *m)
{
	(void)m;
	((volatile uint32_t *)registers)[0x60 / 4] = 1;
	return 0;
}

const struct event_source edu_source = {
	.name = "edu", .help = "QEMU's edu device by VFIO; argument: host CPU of its interrupt",
	.setup = edu_setup, .fire = edu_fire, .report = report, .close = close_device,
};

/* ---- ivshmem: MSI-X from another process, for each time that a word is incremented */

static int ivshmem_setup(struct vmm *m, const char *argument)
{
	struct ivshmem_page *page;

	if (setup(m, argument, IVSHMEM_VENDOR, IVSHMEM_DEVICE, 2) < 0)
		return -1;
	page = registers;
	return page->magic == IVSHMEM_MAGIC ? 0 : complain("nobody serves ivshmem");
}

static int ivshmem_fire(struct vmm *m)
{
	struct ivshmem_page *page = registers;

	(void)m;
	__atomic_add_fetch(&page->asked, 1, __ATOMIC_SEQ_CST);
	return 0;
}

const struct event_source ivshmem_source = {
	.name = "ivshmem", .help = "an ivshmem-doorbell by VFIO; argument: as of edu",
	.setup = ivshmem_setup, .fire = ivshmem_fire, .report = report, .close = close_device,
};
