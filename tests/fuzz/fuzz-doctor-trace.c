/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzzer of the reader of timerlat's trace: lines.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* it is the command's, not the library's */
#include "../../tools/doctor-trace.c" /* NOLINT(bugprone-suspicious-include) */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trace_result result;
	char *text = malloc(size + 1);
	size_t len = size;

	if (!text)
		return 0;
	memset(&result, 0, sizeof(result));
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	feed(text, &len, &result);
	if (len > size || result.noises > TRACE_NAMES)
		abort();
	for (unsigned int i = 0; i < result.noises; i++)
		if (result.noise[i].cpu >= TRACE_CPUS || !result.noise[i].count ||
		    result.noise[i].max_ns > result.noise[i].total_ns)
			abort();
	free(text);
	return 0;
}
