/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Linux images of examples/rt-vmm: what is accepted lies in the file, and what is
 * placed lies in memory, in order; what is refused has a reason. The first
 * bytes of an input are the sizes of memory and initrd.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/rt-vmm/bzimage.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const struct bzimage *image, uint64_t ram, uint64_t initrd)
{
	struct bzimage_place place;
	char why[BZIMAGE_WHY] = "";

	if (bzimage_place(image, ram, initrd, 100, &place, why) < 0) {
		if (!why[0])
			abort();
		return;
	}
	if (image->load + image->size > image->end || image->end > ram || image->load < LOW_END)
		abort();
	if (initrd && (place.initrd < image->end || place.initrd + initrd > ram))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[BZIMAGE_WHY] = "";
	struct bzimage image;
	uint32_t sizes[2];

	if (size < sizeof(sizes))
		return 0;
	memcpy(sizes, data, sizeof(sizes));
	data += sizeof(sizes);
	size -= sizeof(sizes);
	if (bzimage_parse(&image, data, size, why) < 0) {
		if (!why[0])
			abort();
		return 0;
	}
	if (image.offset > size || image.size > size - image.offset || image.size <= ENTRY_64)
		abort();
	/* as the program allows: memory from 32 MiB to 3 GiB */
	check_place(&image, (32 + sizes[0] % (3072 - 31)) * (1ULL << 20), sizes[1]);
	check_place(&image, 256ULL << 20, sizes[1] % (1U << 24));
	return 0;
}
