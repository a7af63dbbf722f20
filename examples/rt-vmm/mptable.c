/* SPDX-License-Identifier: MIT */
/*
 * The MP table (Intel MultiProcessor Specification 1.4): one processor per vCPU,
 * the ISA bus, KVM's I/O APIC, and its 16 ISA interrupts each at the pin of its
 * number, which is how KVM routes them. It is all of the firmware that this
 * machine has: there is no ACPI.
 */
#include <string.h>

#include "boot.h"

#define POINTER_AT 0x9fc00   /* in the last KiB of base memory, where Linux looks */
#define TABLE_AT 0x9fc10

#define LAPIC 0xfee00000U
#define IOAPIC 0xfec00000U
#define APIC_VERSION 0x14
#define IOAPIC_VERSION 0x11
#define ISA_IRQS 16

enum { PROCESSOR, BUS, IO_APIC, IO_INTERRUPT, LOCAL_INTERRUPT };
enum { INT, NMI, SMI, EXTINT };

#define CPU_ENABLED 1
#define CPU_BOOT 2
#define CPU_FEATURES 0x201   /* FPU and APIC, as CPUID says */
#define CPU_SIGNATURE 0x600
#define ALL_LAPICS 0xff

struct pointer {
	char signature[4];
	uint32_t table;
	uint8_t length, revision, checksum, feature[5];
} __attribute__((packed));

struct table {
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_size, entries;
	uint32_t lapic;
	uint16_t extended_length;
	uint8_t extended_checksum, reserved;
} __attribute__((packed));

struct processor {
	uint8_t type, apic_id, version, flags;
	uint32_t signature, features, reserved[2];
} __attribute__((packed));

struct bus {
	uint8_t type, id;
	char name[6];
} __attribute__((packed));

struct io_apic {
	uint8_t type, id, version, flags;
	uint32_t address;
} __attribute__((packed));

struct interrupt {
	uint8_t type, kind;
	uint16_t flags;
	uint8_t bus, irq, apic, pin;
} __attribute__((packed));

static uint8_t checksum(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (size--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

static void append(unsigned char *base, struct table *table, const void *entry, size_t size)
{
	memcpy(base + table->length, entry, size);
	table->length = (uint16_t)(table->length + size);
	table->entries++;
}

void mptable_write(unsigned char *ram, unsigned int vcpus)
{
	struct pointer pointer = {
		.signature = { '_', 'M', 'P', '_' }, .table = TABLE_AT, .length = 1, .revision = 4,
	};
	struct table table = {
		.signature = { 'P', 'C', 'M', 'P' }, .length = sizeof(table), .revision = 4,
		.oem = { 'L', 'I', 'B', 'R', 'T', 'K', 'V', 'M' },
		.product = { 'R', 'T', '-', 'V', 'M', 'M', ' ', ' ', ' ', ' ', ' ', ' ' },
		.lapic = LAPIC,
	};
	struct bus isa = { .type = BUS, .name = { 'I', 'S', 'A', ' ', ' ', ' ' } };
	struct io_apic ioapic = {
		.type = IO_APIC, .id = (uint8_t)vcpus, .version = IOAPIC_VERSION, .flags = 1,
		.address = IOAPIC,
	};
	struct interrupt pic = { .type = LOCAL_INTERRUPT, .kind = EXTINT, .apic = 0, .pin = 0 };
	struct interrupt nmi = { .type = LOCAL_INTERRUPT, .kind = NMI, .apic = ALL_LAPICS, .pin = 1 };
	unsigned char *base = ram + TABLE_AT;

	for (unsigned int i = 0; i < vcpus; i++) {
		struct processor cpu = {
			.type = PROCESSOR, .apic_id = (uint8_t)i, .version = APIC_VERSION,
			.flags = i ? CPU_ENABLED : CPU_ENABLED | CPU_BOOT,
			.signature = CPU_SIGNATURE, .features = CPU_FEATURES,
		};

		append(base, &table, &cpu, sizeof(cpu));
	}
	append(base, &table, &isa, sizeof(isa));
	append(base, &table, &ioapic, sizeof(ioapic));
	for (uint8_t irq = 0; irq < ISA_IRQS; irq++) {
		struct interrupt entry = {
			.type = IO_INTERRUPT, .kind = INT, .irq = irq, .apic = (uint8_t)vcpus, .pin = irq,
		};

		append(base, &table, &entry, sizeof(entry));
	}
	append(base, &table, &pic, sizeof(pic));
	append(base, &table, &nmi, sizeof(nmi));

	memcpy(base, &table, sizeof(table));
	table.checksum = checksum(base, table.length);
	memcpy(base, &table, sizeof(table));
	pointer.checksum = checksum(&pointer, sizeof(pointer));
	memcpy(ram + POINTER_AT, &pointer, sizeof(pointer));
}
