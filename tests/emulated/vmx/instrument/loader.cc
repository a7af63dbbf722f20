// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Puts what the machine boots into its memory, as firmware with a disk would,
 * when the boot stage (boot.S) asks for it: the file named by RTKVM_KERNEL at
 * LOAD, where it is entered; RTKVM_INITRD at the end of memory; RTKVM_APPEND as
 * command line. They are described in the boot_params of Linux' 64-bit boot
 * protocol (Documentation/arch/x86/boot.rst), of which the boot stage has
 * filled in the memory map.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bochs.h"
#include "memory/memory-bochs.h"
#include "param_names.h"
#include "rtkvm.h"

#define LOAD		0x1000000
#define PARAMS		0x10000		/* struct boot_params */
#define COMMAND_LINE	0x12000
#define COMMAND_SIZE	0x1000
#define TOP		0x80000000	/* below the hole of the devices */
#define ACPI		0x100000	/* the BIOS has its tables at the end of memory */

/* Memory is in blocks that lie anywhere, none smaller than a page. */
static void store(Bit64u address, const void *data, size_t size)
{
	const char *from = (const char *)data;

	while (size) {
		size_t n = 4096 - address % 4096;

		if (n > size)
			n = size;
		memcpy(BX_MEM(0)->get_vector(address), from, n);
		address += n;
		from += n;
		size -= n;
	}
}

static void store32(Bit64u address, Bit32u value)
{
	store(address, &value, sizeof(value));
}

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

/* At the address, or so that it ends at the page below it; returns where. */
static Bit64u load(const char *name, Bit64u address, bool below, size_t *size)
{
	struct stat st;
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	char page[4096];
	ssize_t n;
	Bit64u at;

	if (fd < 0 || fstat(fd, &st))
		fail(name);
	*size = st.st_size;
	if (below)
		address = (address - *size) & ~(Bit64u)4095;
	if (address < LOAD || address + *size > BX_MEM(0)->get_memory_len()) {
		fprintf(stderr, "%s does not fit into memory\n", name);
		_exit(1);
	}
	for (at = address; (n = read(fd, page, sizeof(page))) > 0; at += n)
		store(at, page, n);
	if (n || at != address + *size)
		fail(name);
	close(fd);
	return address;
}

void rtkvm_load(void)
{
	const char *kernel = getenv("RTKVM_KERNEL");
	const char *initrd = getenv("RTKVM_INITRD");
	const char *append = getenv("RTKVM_APPEND");
	Bit64u top = BX_MEM(0)->get_memory_len(), at;
	size_t size;

	if (!kernel) {
		fprintf(stderr, "RTKVM_KERNEL names no file to boot\n");
		_exit(1);
	}
	load(kernel, LOAD, false, &size);
	store32(PARAMS + 0x1fe, 0xaa55);		/* boot_flag */
	store32(PARAMS + 0x202, 0x53726448);	/* header */
	store32(PARAMS + 0x206, 0x020f);	/* version of the protocol */
	store32(PARAMS + 0x210, 0x01ff);	/* another loader; kernel is high */
	if (initrd) {
		at = load(initrd, (top < TOP ? top : TOP) - ACPI, true, &size);
		store32(PARAMS + 0x218, at);
		store32(PARAMS + 0x21c, size);
	}
	if (append) {
		size = strlen(append) + 1;
		if (size > COMMAND_SIZE) {
			fprintf(stderr, "the command line is longer than %d\n", COMMAND_SIZE - 1);
			_exit(1);
		}
		store(COMMAND_LINE, append, size);
		store32(PARAMS + 0x228, COMMAND_LINE);
		store32(PARAMS + 0x238, COMMAND_SIZE - 1);
	}
}
