// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Samples of the time stamp counter and of the clock around system calls and
 * wake-ups: what differs between two runs of an emulated host that is not
 * deterministic, and must not in one that is.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

int main(void)
{
	struct timespec now, nap = { .tv_nsec = 200000 };
	uint64_t begin, end;

	for (int i = 0; i < 200; i++) {
		begin = __rdtsc();
		if (i % 4 == 0)
			nanosleep(&nap, NULL);
		else
			(void)!write(-1, "", 1);
		end = __rdtsc();
		clock_gettime(CLOCK_MONOTONIC, &now);
		printf("%d %llu %llu %lld.%09ld\n", i, (unsigned long long)begin,
		       (unsigned long long)(end - begin), (long long)now.tv_sec, now.tv_nsec);
	}
	return 0;
}
