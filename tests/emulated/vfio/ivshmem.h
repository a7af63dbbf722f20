/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the ivshmem server of the runner and whoever has the device agree on: the
 * first page of the shared memory, which is BAR 2 of the device. For each interrupt
 * wanted, add one to 'asked'; the server sends vector 0 for each and counts them.
 * An ordinary write to memory, so that it costs a guest that has the BAR no exit.
 */
#ifndef RTKVM_TESTS_EMULATED_IVSHMEM_H
#define RTKVM_TESTS_EMULATED_IVSHMEM_H

#include <stdint.h>

#define IVSHMEM_VENDOR 0x1af4
#define IVSHMEM_DEVICE 0x1110
#define IVSHMEM_MAGIC 0x72747672 /* the server is there */
#define IVSHMEM_SIZE 0x10000
#define IVSHMEM_VECTORS 2

struct ivshmem_page {
	uint32_t asked;
	uint32_t magic;
	uint32_t fired;
};

#endif
