/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The PCI devices of a watched VM: which of the kernel's threads are theirs.
 * An interrupt's thread is "irq/NUMBER-..." (irq/manage.c: setup_irq_thread()),
 * under PREEMPT_RT nearly every interrupt has one; that of NAPI is
 * "napi/INTERFACE-NUMBER" (net/core/dev.c: napi_kthread_create()).
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "devices.h"

#define REMEDY "an address as in /sys/bus/pci/devices, such as 0000:05:00.0"

/* Hexadecimal digits, at least as many as that, then that character. */
static const char *hex(const char *text, size_t least, size_t most, char then)
{
	size_t len = strspn(text, "0123456789abcdef");

	return len >= least && len <= most && text[len] == then ? text + len + 1 : NULL;
}

static bool is_address(const char *text)
{
	const char *p = hex(text, 4, 8, ':');

	p = p ? hex(p, 2, 2, ':') : NULL;
	p = p ? hex(p, 2, 2, '.') : NULL;
	return p && *p >= '0' && *p <= '7' && !p[1];
}

int plan_devices_add(struct rtkvm *rt, struct plan_devices *devices, const char *address)
{
	char path[RTKVM_PATH_MAX], (*grown)[PLAN_PCI_TEXT];
	DIR *dir;
	int ret;

	if (strlen(address) >= PLAN_PCI_TEXT || !is_address(address))
		return rtkvm_fail(rt, EINVAL, "rtkvm_watch_add_device", "give " REMEDY,
				  "'%.40s' is not the address of a PCI device", address);
	for (size_t i = 0; i < devices->count; i++)
		if (!strcmp(devices->address[i], address))
			return 0;
	rtkvm_path(rt, path, "/sys/bus/pci/devices/%s", address);
	ret = rtkvm_opendir_quiet(rt, path, &dir);
	if (ret < 0)
		return rtkvm_fail(rt, ENODEV, path, "lspci -D shows which there are",
				  "no PCI device %s", address);
	closedir(dir);
	grown = realloc(devices->address, (devices->count + 1) * sizeof(*grown));
	if (!grown)
		return rtkvm_fail(rt, ENOMEM, NULL, NULL, "no memory for a device");
	devices->address = grown;
	memcpy(grown[devices->count++], address, strlen(address) + 1);
	return 0;
}

static int add_irq(struct plan_devices *devices, int64_t irq)
{
	if (devices->irq_count == devices->irq_room) {
		size_t room = devices->irq_room ? devices->irq_room * 2 : 16;
		unsigned int *grown = realloc(devices->irqs, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		devices->irqs = grown;
		devices->irq_room = room;
	}
	devices->irqs[devices->irq_count++] = (unsigned int)irq;
	return 0;
}

static int add_interface(struct plan_devices *devices, const char *name)
{
	size_t len = strlen(name);

	if (len >= PLAN_INTERFACE_TEXT || name[0] == '.')
		return 0;
	if (devices->interface_count == devices->interface_room) {
		size_t room = devices->interface_room ? devices->interface_room * 2 : 4;
		char (*grown)[PLAN_INTERFACE_TEXT] =
			realloc(devices->interfaces, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		devices->interfaces = grown;
		devices->interface_room = room;
	}
	memcpy(devices->interfaces[devices->interface_count++], name, len + 1);
	return 0;
}

/* The names in a folder of a device; none if there is no such folder. */
static int each(struct rtkvm *rt, const char *address, const char *folder,
		struct plan_devices *devices, int (*found)(struct plan_devices *, const char *))
{
	char path[RTKVM_PATH_MAX];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	rtkvm_path(rt, path, "/sys/bus/pci/devices/%s/%s", address, folder);
	if (rtkvm_opendir_quiet(rt, path, &dir) < 0)
		return 0;
	while (ret == 0 && (entry = readdir(dir)))
		ret = found(devices, entry->d_name);
	closedir(dir);
	return ret;
}

static int found_irq(struct plan_devices *devices, const char *name)
{
	int64_t irq;

	return rtkvm_parse_i64(name, 1, INT32_MAX, &irq) ? add_irq(devices, irq) : 0;
}

int plan_devices_read(struct rtkvm *rt, struct plan_devices *devices)
{
	int ret = 0;

	devices->irq_count = devices->interface_count = 0;
	for (size_t i = 0; i < devices->count && ret == 0; i++) {
		char path[RTKVM_PATH_MAX], text[32];
		int64_t irq;

		ret = each(rt, devices->address[i], "msi_irqs", devices, found_irq);
		if (ret == 0)
			ret = each(rt, devices->address[i], "net", devices, add_interface);
		/* INTx; with MSI the kernel shows the first of msi_irqs there */
		rtkvm_path(rt, path, "/sys/bus/pci/devices/%s/irq", devices->address[i]);
		if (ret == 0 && rtkvm_file_read_quiet(rt, path, text, sizeof(text)) > 0 &&
		    rtkvm_parse_i64(text, 1, INT32_MAX, &irq))
			ret = add_irq(devices, irq);
	}
	return ret;
}

void plan_devices_free(struct plan_devices *devices)
{
	free(devices->address);
	free(devices->irqs);
	free(devices->interfaces);
	memset(devices, 0, sizeof(*devices));
}

/* The number in "irq/NUMBER-..."; 0: another name. */
static unsigned int irq_of(const char *comm)
{
	char *end;
	unsigned long irq;

	if (strncmp(comm, "irq/", 4) || comm[4] < '1' || comm[4] > '9')
		return 0;
	irq = strtoul(comm + 4, &end, 10);
	return *end == '-' && irq <= INT32_MAX ? (unsigned int)irq : 0;
}

/* Is it "napi/INTERFACE-NUMBER"? An interface's name may have a '-', too. */
static bool is_napi_of(const char *comm, const char *name)
{
	size_t len = strlen(name);
	int64_t id;

	return !strncmp(comm, "napi/", 5) && !strncmp(comm + 5, name, len) &&
	       comm[5 + len] == '-' && rtkvm_parse_i64(comm + 6 + len, 0, INT32_MAX, &id);
}

bool plan_devices_thread(const struct plan_devices *devices, const char *comm)
{
	unsigned int irq = irq_of(comm);

	for (size_t i = 0; irq && i < devices->irq_count; i++)
		if (devices->irqs[i] == irq)
			return true;
	for (size_t i = 0; i < devices->interface_count; i++)
		if (is_napi_of(comm, devices->interfaces[i]))
			return true;
	return false;
}

bool plan_devices_named(const char *comm)
{
	return irq_of(comm) || !strncmp(comm, "napi/", 5);
}
