/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The Linux guest of examples/rt-vmm, without a KVM: images that are damaged are
 * refused with the reason, what is written to memory is what Linux looks for,
 * the serial port behaves as Linux's driver wants it, and its output is not lost.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../examples/rt-vmm/boot.h"
#include "../../examples/rt-vmm/kernel.h"
#include "../../examples/rt-vmm/sink.h"
#include "../../examples/rt-vmm/uart.h"
#include "support/test.h"

#define MIB (1ULL << 20)
#define SECTORS 5
#define KERNEL_BYTES 0x4000
#define FILE_BYTES ((SECTORS + 1) * 512 + KERNEL_BYTES)
#define PREF (16 * MIB)
#define RAM (128 * MIB)

static unsigned char file[FILE_BYTES];
static char why[KERNEL_WHY];

static struct setup_header *header(void)
{
	return (void *)(file + 0x1f1);
}

/* A good image: as Linux 6.12's, with a kernel of 16 KiB. */
static void make_image(void)
{
	struct setup_header *h = header();

	memset(file, 0xcc, sizeof(file));
	memset(h, 0, sizeof(*h));
	h->setup_sects = SECTORS;
	h->syssize = KERNEL_BYTES / 16;
	h->boot_flag = 0xaa55;
	file[0x201] = 0x6a;
	h->header = 0x53726448;
	h->version = 0x020f;
	h->loadflags = LOADED_HIGH;
	h->initrd_addr_max = 0x7fffffff;
	h->kernel_alignment = 0x200000;
	h->relocatable_kernel = 1;
	h->xloadflags = XLF_KERNEL_64;
	h->cmdline_size = 0x7ff;
	h->pref_address = PREF;
	h->init_size = 8 * MIB;
	why[0] = '\0';
}

static void refused(size_t size, const char *reason)
{
	struct kernel image;

	why[0] = '\0';
	ck_assert_int_eq(kernel_parse(&image, file, size, why), -1);
	ck_assert_msg(strstr(why, reason), "\"%s\" does not say \"%s\"", why, reason);
	make_image();
}

START_TEST(good_image)
{
	struct kernel_place place;
	struct kernel image;

	make_image();
	ck_assert_msg(kernel_parse(&image, file, sizeof(file), why) == 0, "%s", why);
	ck_assert_uint_eq(image.segment[0].offset, (SECTORS + 1) * 512);
	ck_assert_uint_eq(image.segment[0].size, KERNEL_BYTES);
	ck_assert_uint_eq(image.load, PREF);
	ck_assert_uint_eq(image.entry, PREF + 0x200);
	ck_assert_uint_eq(image.end, PREF + 8 * MIB);
	ck_assert_int_eq(kernel_place(&image, RAM, 5000, 100, &place, why), 0);
	ck_assert_uint_eq(place.initrd, RAM - 8192);
	ck_assert_uint_eq(place.initrd_size, 5000);
	/* no initrd; a header that says 0 setup sectors means 4 */
	ck_assert_int_eq(kernel_place(&image, RAM, 0, 100, &place, why), 0);
	ck_assert_uint_eq(place.initrd, 0);
	header()->setup_sects = 0;
	ck_assert_int_eq(kernel_parse(&image, file, sizeof(file), why), 0);
	ck_assert_uint_eq(image.segment[0].offset, 5 * 512);
}
END_TEST

START_TEST(damaged_images)
{
	make_image();
	refused(0, "too short");
	refused(0x263, "too short");
	refused(0x264, "cut off");
	refused(sizeof(file) - 1, "cut off");
	header()->boot_flag = 0;
	refused(sizeof(file), "neither a bzImage");
	header()->header++;
	refused(sizeof(file), "neither a bzImage");
	header()->version = 0x020b;
	refused(sizeof(file), "boot protocol 2.11");
	file[0x201] = 0x61;
	refused(sizeof(file), "setup header of 97 bytes");
	file[0x201] = 0;
	refused(sizeof(file), "");
	header()->loadflags = 0;
	refused(sizeof(file), "zImage");
	header()->xloadflags = 0;
	refused(sizeof(file), "64-bit entry");
	header()->pref_address = 0x90000;
	refused(sizeof(file), "0x90000");
	header()->pref_address = ~0ULL;
	refused(sizeof(file), "loaded at 0xffffffffffffffff");
	header()->pref_address = PREF + 4096;
	refused(sizeof(file), "alignment");
	header()->kernel_alignment = 0;
	refused(sizeof(file), "alignment 0x0");
	header()->kernel_alignment = 0x300000;
	refused(sizeof(file), "alignment 0x300000");
	header()->syssize = 0;
	refused(sizeof(file), "a kernel of 0 bytes");
	header()->syssize = ~0U;
	refused(sizeof(file), "cut off");
	header()->setup_sects = 255;
	refused(sizeof(file), "cut off");
}
END_TEST

static void no_room(uint64_t ram, uint64_t initrd, size_t cmdline, const char *reason)
{
	struct kernel_place place;
	struct kernel image;

	ck_assert_int_eq(kernel_parse(&image, file, sizeof(file), why), 0);
	ck_assert_int_eq(kernel_place(&image, ram, initrd, cmdline, &place, why), -1);
	ck_assert_msg(strstr(why, reason), "\"%s\" does not say \"%s\"", why, reason);
	make_image();
}

START_TEST(no_room_in_memory)
{
	make_image();
	no_room(16 * MIB, 0, 0, "the guest has 16 MiB");
	header()->init_size = ~0U;
	no_room(RAM, 0, 0, "to boot");
	no_room(RAM, 0, 0x800, "command line of 2047 bytes; this one has 2048");
	no_room(RAM, RAM, 0, "no room for an initrd");
	no_room(RAM, ~0ULL, 0, "no room for an initrd");
	no_room(RAM, RAM - PREF - 8 * MIB + 1, 0, "no room for an initrd");
	header()->initrd_addr_max = 0;
	no_room(RAM, 1, 0, "no room for an initrd");
	header()->initrd_addr_max = PREF;
	no_room(RAM, 4096, 0, "limit is 16 MiB");
	/* the kernel says less than it is: its own size counts */
	header()->init_size = 0;
	no_room(PREF + KERNEL_BYTES - 1, 0, 0, "to boot");
}
END_TEST

static Elf64_Ehdr *elf(void)
{
	return (void *)file;
}

static Elf64_Phdr *program(unsigned int n)
{
	return (Elf64_Phdr *)(void *)(file + sizeof(Elf64_Ehdr)) + n;
}

/* A good vmlinux: a note, text, and data with as much again of bss. */
static void make_vmlinux(void)
{
	memset(file, 0xcc, sizeof(file));
	memset(file, 0, sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr));
	memcpy(elf()->e_ident, "\177ELF\2\1\1", 7);
	elf()->e_type = ET_EXEC;
	elf()->e_machine = EM_X86_64;
	elf()->e_entry = PREF;
	elf()->e_phoff = sizeof(Elf64_Ehdr);
	elf()->e_phentsize = sizeof(Elf64_Phdr);
	elf()->e_phnum = 3;
	*program(0) = (Elf64_Phdr){ .p_type = PT_NOTE, .p_filesz = ~0ULL };
	*program(1) = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = 0x1000, .p_paddr = PREF,
				    .p_filesz = 0x1000, .p_memsz = 0x1000 };
	*program(2) = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = 0x2000, .p_paddr = PREF + 2 * MIB,
				    .p_filesz = 0x2000, .p_memsz = 0x4000 };
}

static void refused_elf(size_t size, const char *reason)
{
	refused(size, reason);
	make_vmlinux();
}

START_TEST(vmlinux)
{
	struct kernel_place place;
	struct kernel image;

	make_vmlinux();
	ck_assert_msg(kernel_parse(&image, file, sizeof(file), why) == 0, "%s", why);
	ck_assert_uint_eq(image.segments, 2);
	ck_assert_uint_eq(image.segment[1].offset, 0x2000);
	ck_assert_uint_eq(image.segment[1].size, 0x2000);
	ck_assert_uint_eq(image.segment[1].address, PREF + 2 * MIB);
	ck_assert_uint_eq(image.load, PREF);
	ck_assert_uint_eq(image.entry, PREF);
	ck_assert_uint_eq(image.end, PREF + 2 * MIB + 0x4000);
	ck_assert_int_eq(kernel_place(&image, RAM, 5000, 2047, &place, why), 0);
	ck_assert_int_eq(kernel_place(&image, RAM, 5000, 2048, &place, why), -1);
	ck_assert_int_eq(kernel_place(&image, image.end - 1, 0, 0, &place, why), -1);
}
END_TEST

START_TEST(damaged_vmlinux)
{
	make_vmlinux();
	refused_elf(sizeof(Elf64_Ehdr) - 1, "cut off");
	refused_elf(sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr) - 1, "program headers");
	refused_elf(0x3fff, "do not hold its segments");
	elf()->e_ident[EI_CLASS] = ELFCLASS32;
	refused_elf(sizeof(file), "not of x86-64");
	elf()->e_machine = EM_AARCH64;
	refused_elf(sizeof(file), "not of x86-64");
	elf()->e_type = ET_DYN;
	refused_elf(sizeof(file), "no vmlinux");
	elf()->e_phentsize--;
	refused_elf(sizeof(file), "3 program headers of 55 bytes");
	elf()->e_phnum = 0;
	refused_elf(sizeof(file), "0 program headers");
	elf()->e_phnum = 0xffff;
	refused_elf(sizeof(file), "cut off");
	elf()->e_phoff = ~0ULL;
	refused_elf(sizeof(file), "cut off");
	program(1)->p_paddr = 0x1000;
	refused_elf(sizeof(file), "loaded at 0x1000");
	program(1)->p_paddr = ~0ULL;
	refused_elf(sizeof(file), "loaded at 0xffffffffffffffff");
	program(1)->p_memsz = ~0ULL;
	refused_elf(sizeof(file), "want to be loaded");
	program(1)->p_memsz = 0xfff;
	refused_elf(sizeof(file), "4096 bytes of the file for 4095");
	program(2)->p_offset = ~0ULL;
	refused_elf(sizeof(file), "cut off");
	elf()->e_entry = PREF - 1;
	refused_elf(sizeof(file), "entry point, 0xffffff,");
	elf()->e_entry = PREF + 2 * MIB + 0x4000;
	refused_elf(sizeof(file), "entry point");
	program(1)->p_type = program(2)->p_type = PT_NULL;
	refused_elf(sizeof(file), "entry point");
}
END_TEST

static uint8_t sum(const unsigned char *p, size_t size)
{
	uint8_t s = 0;

	while (size--)
		s = (uint8_t)(s + *p++);
	return s;
}

START_TEST(memory_at_entry)
{
	static const char cmdline[] = "console=ttyS0 quiet";
	unsigned char *ram = calloc(1, RAM);
	struct boot_params *params = (void *)(ram + 0x7000);
	struct kernel_place place;
	struct kernel image;
	struct kvm_sregs sregs = { 0 };
	struct kvm_regs regs;
	uint64_t pml4, pdpt, pd;
	const unsigned char *mp;
	uint16_t length;

	make_image();
	ck_assert_int_eq(kernel_parse(&image, file, sizeof(file), why), 0);
	ck_assert_int_eq(kernel_place(&image, RAM, 5000, sizeof(cmdline), &place, why), 0);
	boot_write(ram, RAM, 2, &image, file, &place, cmdline);
	boot_set_sregs(&sregs);
	boot_set_regs(&regs, &image);

	ck_assert_mem_eq(ram + PREF, file + image.segment[0].offset, KERNEL_BYTES);
	ck_assert_uint_eq(regs.rsi, 0x7000);
	ck_assert_uint_eq(regs.rip, PREF + 0x200);
	ck_assert_uint_eq(params->hdr.type_of_loader, 0xff);
	ck_assert_uint_eq(params->hdr.ramdisk_image, place.initrd);
	ck_assert_uint_eq(params->hdr.ramdisk_size, 5000);
	ck_assert_str_eq((char *)ram + params->hdr.cmd_line_ptr, cmdline);
	/* the zero page ends where the header does: nothing of the file beside it */
	ck_assert_uint_eq(params->sentinel, 0);
	ck_assert_uint_eq(params->e820_entries, 4);
	ck_assert_uint_eq(params->e820_table[3].addr, MIB);
	ck_assert_uint_eq(params->e820_table[3].size, RAM - MIB);

	/* the kernel's address is mapped to itself, in 2 MiB pages */
	memcpy(&pml4, ram + sregs.cr3, 8);
	memcpy(&pdpt, ram + (pml4 & ~0xfffULL), 8);
	memcpy(&pd, ram + (pdpt & ~0xfffULL) + PREF / (2 * MIB) * 8, 8);
	ck_assert_uint_eq(pd, PREF | 0x83);

	/* where Linux scans for it, with right sums */
	mp = ram + 0x9fc00;
	ck_assert_mem_eq(mp, "_MP_", 4);
	ck_assert_uint_eq(sum(mp, 16), 0);
	ck_assert_mem_eq(mp + 16, "PCMP", 4);
	memcpy(&length, mp + 16 + 4, 2);
	ck_assert_uint_eq(sum(mp + 16, length), 0);
	ck_assert_uint_le(16 + length, 0x400);
	/* two processors first, one of them the boot processor, enabled */
	ck_assert_uint_eq(mp[16 + 44 + 3], 3);
	ck_assert_uint_eq(mp[16 + 44 + 20 + 1], 1);
	ck_assert_uint_eq(mp[16 + 44 + 20 + 3], 1);
	free(ram);
}
END_TEST

static void out(struct uart *u, unsigned int reg, uint8_t value)
{
	uint8_t sent;

	ck_assert(!uart_write(u, reg, value, &sent));
}

/* What Linux's 8250 driver does to find out that it is a 16550A. */
START_TEST(uart_probe)
{
	struct uart u = { 0 };

	out(&u, 1, 0);
	ck_assert_uint_eq(uart_read(&u, 1), 0);
	out(&u, 1, 0x0f);
	ck_assert_uint_eq(uart_read(&u, 1), 0x0f);
	out(&u, 1, 0);
	out(&u, 4, 0x1a); /* loop */
	ck_assert_uint_eq(uart_read(&u, 6) & 0xf0, 0x90);
	out(&u, 4, 0);
	out(&u, 7, 0xa5);
	ck_assert_uint_eq(uart_read(&u, 7), 0xa5);
	out(&u, 2, 1);
	ck_assert_uint_eq(uart_read(&u, 2) >> 6, 3);
	out(&u, 3, 0x80); /* the divisor, which is no data */
	out(&u, 0, 1);
	out(&u, 1, 0);
	ck_assert_uint_eq(uart_read(&u, 0), 1);
	out(&u, 3, 3);
	ck_assert_uint_eq(uart_read(&u, 1), 0);
	ck_assert_uint_eq(uart_read(&u, 5) & 0x60, 0x60);
}
END_TEST

START_TEST(uart_interrupt)
{
	struct uart u = { 0 };
	uint8_t sent = 0;

	ck_assert(!uart_irq(&u));
	ck_assert(uart_write(&u, 0, 'a', &sent));
	ck_assert_uint_eq(sent, 'a');
	ck_assert(!uart_irq(&u)); /* not asked for */
	ck_assert_uint_eq(uart_read(&u, 2), 0xc1);
	out(&u, 1, 2);
	ck_assert(uart_irq(&u)); /* asked for, and it is empty */
	ck_assert_uint_eq(uart_read(&u, 2), 0xc2);
	ck_assert(!uart_irq(&u)); /* told */
	ck_assert_uint_eq(uart_read(&u, 2), 0xc1);
	ck_assert(uart_write(&u, 0, 'b', &sent));
	ck_assert(uart_irq(&u)); /* empty again */
	out(&u, 1, 0);
	ck_assert(!uart_irq(&u));
	out(&u, 4, 0x10); /* in a loop nothing is sent */
	ck_assert(!uart_write(&u, 0, 'c', &sent));
}
END_TEST

static void put(struct sink *sink, const char *text)
{
	while (*text)
		sink_put(sink, *text++);
}

START_TEST(sink_marker)
{
	struct sink *sink = calloc(1, sizeof(*sink));

	sink->fd = -1;
	sink->marker = "is up";
	put(sink, "the guest is u\nis\nup\nit is up");
	sink_drain(sink);
	ck_assert(!sink->seen); /* the line is not finished */
	put(sink, " now\r\n");
	sink_drain(sink);
	ck_assert(sink->seen);
	free(sink);
}
END_TEST

START_TEST(sink_full)
{
	struct sink *sink = calloc(1, sizeof(*sink));
	char path[512], *back = malloc(SINK_SIZE + 1);
	int fd;

	snprintf(path, sizeof(path), "%s/sink", test_tmpdir());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	sink->fd = fd;
	/* not from the start of the ring, so that it wraps */
	put(sink, "xyz");
	sink_drain(sink);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	for (int i = 0; i < SINK_SIZE + 5; i++)
		sink_put(sink, (char)('a' + i % 26));
	ck_assert_uint_eq(sink->lost, 5);
	sink_drain(sink);
	ck_assert_int_eq(pread(fd, back, SINK_SIZE + 1, 0), SINK_SIZE);
	for (int i = 0; i < SINK_SIZE; i++)
		ck_assert_int_eq(back[i], 'a' + i % 26);
	ck_assert(!sink_put(sink, 'a')); /* room again */
	ck_assert(sink_put(sink, '\n')); /* a line is worth a wake-up */
	ck_assert_uint_eq(sink->lost, 5);
	close(fd);
	free(back);
	free(sink);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("linux-guest");
	TCase *t = tcase_create("linux-guest");

	tcase_add_test(t, good_image);
	tcase_add_test(t, damaged_images);
	tcase_add_test(t, no_room_in_memory);
	tcase_add_test(t, vmlinux);
	tcase_add_test(t, damaged_vmlinux);
	tcase_add_test(t, memory_at_entry);
	tcase_add_test(t, uart_probe);
	tcase_add_test(t, uart_interrupt);
	tcase_add_test(t, sink_marker);
	tcase_add_test(t, sink_full);
	suite_add_tcase(s, t);
	return s;
}
