/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The time until which a call waits, as callers give it: checked once, and
 * in the form that futex.h takes. And counters that cost nothing when off.
 */
#ifndef RTKVM_SYNC_UNTIL_H
#define RTKVM_SYNC_UNTIL_H

#include <errno.h>
#include <stdbool.h>
#include <time.h>

struct sync_until {
	const struct timespec *time; /* NULL: for ever */
	bool realtime;
	struct timespec zero;        /* instead of what the kernel refuses: before 1970 */
};

static inline int sync_until_set(struct sync_until *until, clockid_t clock,
				 const struct timespec *time)
{
	until->time = time;
	until->realtime = clock == CLOCK_REALTIME;
	if (!time)
		return 0;
	if ((clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) || time->tv_nsec < 0 ||
	    time->tv_nsec >= 1000000000L)
		return -EINVAL;
	if (time->tv_sec < 0) {
		until->zero = (struct timespec){ 0, 0 };
		until->time = &until->zero;
	}
	return 0;
}

static inline void sync_count(bool on, uint64_t *counter)
{
	if (__builtin_expect(on, 0))
		__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

#endif
