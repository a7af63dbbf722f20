/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Linux kernels of examples/rt-vmm: what is accepted lies in the file, and what is
 * placed lies in memory, in order; what is refused has a reason. The first
 * bytes of an input are the sizes of memory and initrd.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Fuzzers are linked with the library, which an example is no part of. */
#include "../../examples/rt-vmm/bzimage.c" /* NOLINT(bugprone-suspicious-include) */
#include "../../examples/rt-vmm/kernel.c"  /* NOLINT(bugprone-suspicious-include) */
#include "../../examples/rt-vmm/vmlinux.c" /* NOLINT(bugprone-suspicious-include) */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const struct kernel *kernel, uint64_t ram, uint64_t initrd)
{
	struct kernel_place place;
	char why[KERNEL_WHY] = "";

	if (kernel_place(kernel, ram, initrd, 100, &place, why) < 0) {
		if (!why[0])
			abort();
		return;
	}
	if (kernel->end > ram || kernel->load < KERNEL_LOW_END)
		abort();
	if (initrd && (place.initrd < kernel->end || place.initrd + initrd > ram))
		abort();
}

static void check_segments(const struct kernel *kernel, size_t size)
{
	if (!kernel->segments || kernel->segments > KERNEL_SEGMENTS ||
	    kernel->entry < kernel->load || kernel->entry >= kernel->end)
		abort();
	for (unsigned int i = 0; i < kernel->segments; i++) {
		const struct kernel_segment *s = &kernel->segment[i];

		if (s->offset > size || s->size > size - s->offset || s->address < kernel->load ||
		    s->address > kernel->end || s->size > kernel->end - s->address)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[KERNEL_WHY] = "";
	struct kernel kernel;
	uint32_t sizes[2];

	if (size < sizeof(sizes))
		return 0;
	memcpy(sizes, data, sizeof(sizes));
	data += sizeof(sizes);
	size -= sizeof(sizes);
	if (kernel_parse(&kernel, data, size, why) < 0) {
		if (!why[0])
			abort();
		return 0;
	}
	check_segments(&kernel, size);
	/* as the program allows: memory from 32 MiB to 3 GiB */
	check_place(&kernel, (32 + sizes[0] % (3072 - 31)) * (1ULL << 20), sizes[1]);
	check_place(&kernel, 256ULL << 20, sizes[1] % (1U << 24));
	return 0;
}
