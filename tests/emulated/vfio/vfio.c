// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * See vfio.h. sysfs, then the group interface of VFIO with its type 1 IOMMU.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfio.h"

#define DEVICES "/sys/bus/pci/devices"
#define MAX_IRQS 32

static char message[256];

const char *vfio_error(void)
{
	return message;
}

__attribute__((format(printf, 1, 2))) static int failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return -1;
}

static int read_file(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return failed("%s: %s", path, strerror(errno));
	to[n] = 0;
	return 0;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	return err ? failed("'%s' to %s: %s", text, path, strerror(err)) : 0;
}

/* The last component of where a link of the device leads; "" for none. */
static void link_name(const char *address, const char *name, char *to, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", address, name);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = 0;
	snprintf(to, size, "%s", strrchr(target, '/') ? strrchr(target, '/') + 1 : "");
}

static int id_of(const char *address, const char *name, uint16_t *id)
{
	char path[PATH_MAX], text[32];

	snprintf(path, sizeof(path), DEVICES "/%s/%s", address, name);
	if (read_file(path, text, sizeof(text)) < 0)
		return -1;
	*id = (uint16_t)strtoul(text, NULL, 16);
	return 0;
}

int vfio_find(uint16_t vendor, uint16_t device, char address[32])
{
	DIR *dir = opendir(DEVICES);
	struct dirent *entry;
	uint16_t v, d;

	if (!dir)
		return failed(DEVICES ": %s", strerror(errno));
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || id_of(entry->d_name, "vendor", &v) < 0 ||
		    id_of(entry->d_name, "device", &d) < 0)
			continue;
		if (v == vendor && d == device) {
			snprintf(address, 32, "%.31s", entry->d_name);
			closedir(dir);
			return 0;
		}
	}
	closedir(dir);
	return failed("no PCI device %04x:%04x", vendor, device);
}

/* From its driver, if it has one, to vfio-pci. */
static int bind(struct vfio_device *d)
{
	char path[PATH_MAX], driver[32];

	link_name(d->address, "driver", d->driver, sizeof(d->driver));
	if (!strcmp(d->driver, "vfio-pci"))
		return 0;
	snprintf(path, sizeof(path), DEVICES "/%s/driver_override", d->address);
	if (write_file(path, "vfio-pci") < 0)
		return -1;
	if (d->driver[0]) {
		snprintf(path, sizeof(path), DEVICES "/%s/driver/unbind", d->address);
		if (write_file(path, d->address) < 0)
			return -1;
	}
	if (write_file("/sys/bus/pci/drivers_probe", d->address) < 0)
		return -1;
	link_name(d->address, "driver", driver, sizeof(driver));
	if (strcmp(driver, "vfio-pci") != 0)
		return failed("%s has driver '%s', not vfio-pci", d->address, driver);
	return 0;
}

static int open_group(struct vfio_device *d)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char name[64], number[16];

	link_name(d->address, "iommu_group", number, sizeof(number));
	if (!number[0])
		return failed("%s is behind no IOMMU", d->address);
	d->group_number = atoi(number);
	snprintf(name, sizeof(name), "/dev/vfio/%s", number);
	d->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	d->group = open(name, O_RDWR | O_CLOEXEC);
	if (d->container < 0 || d->group < 0)
		return failed("%s: %s", d->container < 0 ? "/dev/vfio/vfio" : name, strerror(errno));
	if (ioctl(d->group, VFIO_GROUP_GET_STATUS, &status) < 0)
		return failed("VFIO_GROUP_GET_STATUS: %s", strerror(errno));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return failed("group %s: another of its devices has its driver", number);
	if (ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &d->container) < 0)
		return failed("VFIO_GROUP_SET_CONTAINER: %s", strerror(errno));
	if (ioctl(d->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		return failed("VFIO_SET_IOMMU: %s", strerror(errno));
	return 0;
}

static int region_info(struct vfio_device *d, unsigned int index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){ .argsz = sizeof(*info), .index = index };
	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, info) < 0)
		return failed("VFIO_DEVICE_GET_REGION_INFO %u: %s", index, strerror(errno));
	return 0;
}

static int choose_irqs(struct vfio_device *d)
{
	static const unsigned int index[] = { VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX };

	for (unsigned int i = 0; i < 2; i++) {
		struct vfio_irq_info info = { .argsz = sizeof(info), .index = index[i] };

		if (ioctl(d->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
			return failed("VFIO_DEVICE_GET_IRQ_INFO: %s", strerror(errno));
		d->irq_index = index[i];
		d->irqs = info.count;
		if (info.count && info.flags & VFIO_IRQ_INFO_EVENTFD)
			return 0;
	}
	return failed("%s has neither MSI-X nor MSI", d->address);
}

int vfio_open(struct vfio_device *d, const char *address)
{
	struct vfio_region_info config;
	uint16_t command;

	*d = (struct vfio_device){ .container = -1, .group = -1, .fd = -1 };
	snprintf(d->address, sizeof(d->address), "%s", address);
	if (id_of(address, "vendor", &d->vendor) < 0 || id_of(address, "device", &d->device) < 0 ||
	    bind(d) < 0 || open_group(d) < 0)
		goto error;
	d->fd = ioctl(d->group, VFIO_GROUP_GET_DEVICE_FD, d->address);
	if (d->fd < 0) {
		failed("VFIO_GROUP_GET_DEVICE_FD %s: %s", address, strerror(errno));
		goto error;
	}
	if (region_info(d, VFIO_PCI_CONFIG_REGION_INDEX, &config) < 0)
		goto error;
	if (pread(d->fd, &command, 2, (off_t)config.offset + 4) != 2) {
		failed("configuration of %s: %s", address, strerror(errno));
		goto error;
	}
	command |= 6; /* memory space, bus master */
	if (pwrite(d->fd, &command, 2, (off_t)config.offset + 4) != 2) {
		failed("configuration of %s: %s", address, strerror(errno));
		goto error;
	}
	if (choose_irqs(d) < 0)
		goto error;
	return 0;
error:
	vfio_close(d);
	return -1;
}

void vfio_close(struct vfio_device *d)
{
	int *fds[] = { &d->fd, &d->group, &d->container };

	for (unsigned int i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

int vfio_map_dma(struct vfio_device *d, void *at, size_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)at,
		.iova = iova,
		.size = size,
	};

	if (ioctl(d->container, VFIO_IOMMU_MAP_DMA, &map) < 0)
		return failed("VFIO_IOMMU_MAP_DMA: %s", strerror(errno));
	return 0;
}

int vfio_read_config(struct vfio_device *d, unsigned int offset, void *to, size_t size)
{
	struct vfio_region_info config;

	if (region_info(d, VFIO_PCI_CONFIG_REGION_INDEX, &config) < 0)
		return -1;
	if (pread(d->fd, to, size, (off_t)(config.offset + offset)) != (ssize_t)size)
		return failed("configuration of %s: %s", d->address, strerror(errno));
	return 0;
}

void *vfio_map_bar(struct vfio_device *d, unsigned int bar, size_t *size)
{
	struct vfio_region_info info;
	void *at;

	if (region_info(d, bar, &info) < 0)
		return NULL;
	if (!info.size || !(info.flags & VFIO_REGION_INFO_FLAG_MMAP)) {
		failed("BAR %u of %s cannot be mapped (size %llu, flags %x)", bar, d->address,
		       (unsigned long long)info.size, info.flags);
		return NULL;
	}
	at = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, (off_t)info.offset);
	if (at == MAP_FAILED) {
		failed("BAR %u of %s: %s", bar, d->address, strerror(errno));
		return NULL;
	}
	*size = info.size;
	return at;
}

int vfio_set_irqs(struct vfio_device *d, const int *eventfd, unsigned int n)
{
	char buffer[sizeof(struct vfio_irq_set) + MAX_IRQS * sizeof(int)];
	struct vfio_irq_set *set = (struct vfio_irq_set *)buffer;

	if (n > MAX_IRQS || n > d->irqs)
		return failed("%s has %u vectors", d->address, d->irqs);
	*set = (struct vfio_irq_set){
		.argsz = (uint32_t)(sizeof(*set) + n * sizeof(int)),
		.flags = (n ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE) |
			 VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = d->irq_index,
		.count = n,
	};
	memcpy(set->data, eventfd, n * sizeof(int));
	if (ioctl(d->fd, VFIO_DEVICE_SET_IRQS, set) < 0)
		return failed("VFIO_DEVICE_SET_IRQS %s: %s", d->address, strerror(errno));
	return 0;
}

int vfio_irq_number(struct vfio_device *d, unsigned int vector)
{
	char want[64], line[512];
	FILE *f = fopen("/proc/interrupts", "re");
	int irq = -1;

	if (!f)
		return failed("/proc/interrupts: %s", strerror(errno));
	/* vfio-msix[0](0000:00:03.0) */
	snprintf(want, sizeof(want), "vfio-msi%s[%u](%s)",
		 d->irq_index == VFIO_PCI_MSIX_IRQ_INDEX ? "x" : "", vector, d->address);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, want))
			irq = atoi(line);
	fclose(f);
	return irq < 0 ? failed("/proc/interrupts has no %s", want) : irq;
}

int vfio_irq_affinity(struct vfio_device *d, unsigned int vector, int cpu)
{
	int irq = vfio_irq_number(d, vector);
	char path[64], text[16];

	if (irq < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/irq/%d/smp_affinity_list", irq);
	snprintf(text, sizeof(text), "%d", cpu);
	return write_file(path, text);
}
