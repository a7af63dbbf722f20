/* SPDX-License-Identifier: MIT */
/*
 * KVM's own counters (KVM_GET_STATS_FD), read in the same way in every case
 * that is compared, with or without the library.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

static int64_t read_value(int fd, uint64_t at)
{
	uint64_t value;

	if (pread(fd, &value, sizeof(value), (off_t)at) != sizeof(value))
		return -1;
	return (int64_t)value;
}

int64_t kvm_stat(int stats_fd, const char *name)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *desc;
	int64_t value = -1;
	size_t size;

	if (stats_fd < 0 || pread(stats_fd, &header, sizeof(header), 0) != sizeof(header))
		return -1;
	size = sizeof(*desc) + header.name_size;
	desc = calloc(1, size + 1);
	for (uint32_t i = 0; desc && i < header.num_desc && value < 0; i++) {
		if (pread(stats_fd, desc, size, (off_t)(header.desc_offset + i * size)) !=
		    (ssize_t)size)
			break;
		if (!strcmp(desc->name, name) && desc->size == 1)
			value = read_value(stats_fd, header.data_offset + desc->offset);
	}
	free(desc);
	return value;
}
