/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libFuzzer entry: the parser of KVM's binary statistics. What it accepts must
 * be safe to use as it is used: names are strings within the buffer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/kvm-stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rtkvm_stats stats = { .fd = -1 };
	struct rtkvm_stat stat[RTKVM_STATS_MAX];
	int n = rtkvm_stats_parse(data, size, stat, RTKVM_STATS_MAX);
	const char *name;

	if (rtkvm_stats_vcpu_id(data, size) < -1)
		abort();
	if (n < 0)
		return 0;
	if (n > RTKVM_STATS_MAX || rtkvm_stats_span(data) > (int64_t)size)
		abort();
	stats.count = (unsigned int)n;
	stats.stat = stat;
	for (unsigned int i = 0; (name = rtkvm_stats_name(&stats, i)); i++) {
		if (name < (const char *)data || name + strlen(name) >= (const char *)data + size)
			abort();
		if (rtkvm_stats_find(&stats, name) < 0)
			abort();
	}
	return 0;
}
