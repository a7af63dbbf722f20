/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kit, third part: samples and what is told of them. The guest does it
 * itself, so that a bare machine, which has no VMM, tells the same.
 */
#include "internal.h"

static long long samples[KIT_SAMPLES];
static u32 count;
#define HASH_START 14695981039346656037ULL /* FNV-1a */
static u64 hash = HASH_START;

void kit_samples_reset(void)
{
	count = 0;
	hash = HASH_START;
}

void kit_sample(long long value)
{
	for (u32 i = 0; i < 8; i++) {
		hash ^= (u64)value >> i * 8 & 0xff;
		hash *= 1099511628211ULL;
	}
	if (count < KIT_SAMPLES)
		samples[count++] = value;
}

/* Shell sort: small, and fast enough for some thousands. */
static void sort(void)
{
	for (u32 gap = count / 2; gap; gap /= 2) {
		for (u32 i = gap; i < count; i++) {
			long long v = samples[i];
			u32 j = i;

			for (; j >= gap && samples[j - gap] > v; j -= gap)
				samples[j] = samples[j - gap];
			samples[j] = v;
		}
	}
}

static void tell(const char *name, const char *what, long long value)
{
	char full[KIT_LINE];
	u32 n = 0;

	for (; *name && n < KIT_LINE / 2; name++)
		full[n++] = *name;
	full[n++] = '.';
	for (; *what && n < KIT_LINE - 1; what++)
		full[n++] = *what;
	full[n] = 0;
	kit_signed(full, value);
}

void kit_samples_report(const char *name)
{
	tell(name, "n", count);
	if (!count)
		return;
	for (u32 i = 0; i < count && i < kit_arg("dump", 0); i++)
		tell(name, "sample", samples[i]);
	sort();
	tell(name, "min", samples[0]);
	tell(name, "median", samples[count / 2]);
	tell(name, "p90", samples[(u64)count * 90 / 100]);
	tell(name, "max", samples[count - 1]);
	tell(name, "hash", (long long)(hash >> 1));
}
