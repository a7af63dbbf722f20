// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A device of an emulated host through VFIO, without a guest: bound to vfio-pci, its
 * configuration read, memory given to it, its MSI or MSI-X turned on, and interrupts
 * that it raises counted where they arrive. How each device is made to raise one is
 * in raise_*(). Prints figures, "NAME VALUE".
 *
 *   probe edu|ivshmem|igb|e1000e COUNT [off]
 *
 * With "off", interrupts are not turned on: then none must arrive, and the exit
 * status is 3 (the tests' control).
 */
#include <err.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ivshmem.h"
#include "vfio.h"

#define DMA_SIZE (1 << 20)
#define DMA_IOVA 0x100000
#define ARRIVES_MS 20000
#define REPEATS_MS 20

static volatile uint32_t *registers;

static void write_register(unsigned int offset, uint32_t value)
{
	registers[offset / 4] = value;
}

/* QEMU's educational device: 0x60 raises the bits written, 0x64 takes them back. */
static void raise_edu(void)
{
	write_register(0x60, 1);
}

static void lower_edu(void)
{
	write_register(0x64, 1);
}

/* Somebody else raises it: the server that the runner has started. */
static void raise_ivshmem(void)
{
	((volatile struct ivshmem_page *)registers)->asked++;
}

/* Intel 82576: several vectors (GPIE bit 4), vector 0 enabled (EIMS), set (EICS). */
static void prepare_igb(void)
{
	write_register(0x1514, 1 << 4);
	write_register(0x1524, 1);
}

static void raise_igb(void)
{
	write_register(0x1520, 1);
}

static void lower_igb(void)
{
	write_register(0x1580, 1); /* EICR: write one to clear */
	write_register(0x1524, 1);
}

/* Intel 82574: cause "other" goes to vector 0 (IVAR), is enabled (IMS), set (ICS). */
static void prepare_e1000e(void)
{
	write_register(0xe4, 0x8 << 16);
	write_register(0xd0, 1 << 24);
}

static void raise_e1000e(void)
{
	write_register(0xc8, 1 << 24);
}

static void lower_e1000e(void)
{
	write_register(0xc0, 1 << 24); /* ICR: write one to clear */
	write_register(0xd0, 1 << 24);
}

static const struct kind {
	const char *name;
	uint16_t vendor, device;
	unsigned int bar;
	void (*prepare)(void), (*raise)(void), (*lower)(void);
	/*
	 * QEMU's e1000e cannot be told not to throttle, and when the 128 us of a
	 * throttled vector are over, it sends the vector once more even if nothing
	 * was held back: how many come for one is a matter of time.
	 */
	bool repeats;
} kinds[] = {
	{ "edu", 0x1234, 0x11e8, 0, NULL, raise_edu, lower_edu, false },
	{ "ivshmem", IVSHMEM_VENDOR, IVSHMEM_DEVICE, 2, NULL, raise_ivshmem, NULL, false },
	{ "igb", 0x8086, 0x10c9, 0, prepare_igb, raise_igb, lower_igb, false },
	{ "e1000e", 0x8086, 0x10d3, 0, prepare_e1000e, raise_e1000e, lower_e1000e, true },
};

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	errx(2, "no device '%s'", name);
}

/* Interrupts that have arrived within the time; 0 when none has. */
static uint64_t arrived(int eventfd, int ms)
{
	struct pollfd p = { .fd = eventfd, .events = POLLIN };
	uint64_t n = 0;

	if (poll(&p, 1, ms) == 1 && read(eventfd, &n, sizeof(n)) != sizeof(n))
		err(1, "eventfd");
	return n;
}

int main(int argc, char **argv)
{
	bool off = argc == 4 && !strcmp(argv[3], "off");
	unsigned long count, taken = 0;
	const struct kind *kind;
	struct vfio_device d;
	uint16_t ids[2];
	char address[32];
	size_t size;
	void *memory;
	int event;

	if (argc != 3 && !off)
		errx(2, "usage: probe DEVICE COUNT [off]");
	kind = find_kind(argv[1]);
	count = strtoul(argv[2], NULL, 0);
	memory = mmap(NULL, DMA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	event = eventfd(0, EFD_CLOEXEC);
	if (memory == MAP_FAILED || event < 0)
		err(1, "memory and an eventfd");
	if (vfio_find(kind->vendor, kind->device, address) < 0 || vfio_open(&d, address) < 0 ||
	    vfio_read_config(&d, 0, ids, sizeof(ids)) < 0 ||
	    vfio_map_dma(&d, memory, DMA_SIZE, DMA_IOVA) < 0)
		errx(1, "%s: %s", kind->name, vfio_error());
	printf("address %s\ndriver %s\ngroup %d\nids %04x:%04x\nvectors %u\n", d.address,
	       d.driver[0] ? d.driver : "none", d.group_number, ids[0], ids[1], d.irqs);
	registers = vfio_map_bar(&d, kind->bar, &size);
	if (!registers || (!off && vfio_set_irqs(&d, &event, 1) < 0))
		errx(1, "%s: %s", kind->name, vfio_error());
	if (!off)
		printf("irq %d\n", vfio_irq_number(&d, 0));
	if (kind->prepare)
		kind->prepare();
	for (unsigned long i = 0; i < count; i++) {
		uint64_t n;

		kind->raise();
		n = arrived(event, off ? 200 : ARRIVES_MS);
		while (n && kind->repeats && arrived(event, REPEATS_MS))
			;
		if (kind->lower)
			kind->lower();
		if (n != 1 && !(n && kind->repeats)) {
			printf("interrupt %lu: %lu arrived\n", i, (unsigned long)n);
			break;
		}
		taken++;
	}
	if (taken == count && arrived(event, 50))
		errx(1, "%s: more interrupts than were raised", kind->name);
	printf("raised %lu\ntaken %lu\n", count, taken);
	vfio_close(&d);
	return taken == count ? 0 : taken ? 1 : 3;
}
