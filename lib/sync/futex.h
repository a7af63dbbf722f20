/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The system calls of lib/sync, without libc's wrapper: they return -errno,
 * leave errno alone, and are no cancellation point. Only the calls are here,
 * what they are used for is in the files of the objects.
 *
 * A futex is private to the process, or shared; "shared" below says which.
 */
#ifndef RTKVM_SYNC_FUTEX_H
#define RTKVM_SYNC_FUTEX_H

#include <errno.h>
#include <linux/futex.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

#define sync_likely(x) __builtin_expect(!!(x), 1)
#define sync_unlikely(x) __builtin_expect(!!(x), 0)
/* Around a system call: after one the CPU guesses each return to a caller wrong. */
#define sync_inline inline __attribute__((always_inline))

static inline long sync_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline int sync_futex(uint32_t *word, int op, uint32_t value, const void *fourth,
			     uint32_t *word2, uint32_t value3)
{
	return (int)sync_syscall(SYS_futex, (long)word, op, (long)value, (long)fourth, (long)word2,
				 (long)value3);
}

static inline int futex_flag(bool shared)
{
	return shared ? 0 : FUTEX_PRIVATE_FLAG;
}

/*
 * Wait while *word is value; absolute time on CLOCK_MONOTONIC, or on
 * CLOCK_REALTIME with realtime; NULL: for ever. 0 (woken, or not at all),
 * -EAGAIN (another value), -EINTR, -ETIMEDOUT, -EINVAL.
 */
static inline int futex_wait(uint32_t *word, uint32_t value, const struct timespec *until,
			     bool realtime, bool shared)
{
	int op = FUTEX_WAIT_BITSET | futex_flag(shared) | (realtime ? FUTEX_CLOCK_REALTIME : 0);

	return sync_futex(word, op, value, until, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Wake at most count waiters, those of the highest priority first; how many there were. */
static inline int futex_wake(uint32_t *word, int count, bool shared)
{
	return sync_futex(word, FUTEX_WAKE | futex_flag(shared), (uint32_t)count, NULL, NULL, 0);
}

/* The same time on CLOCK_REALTIME, as long as nobody sets that. */
static inline struct timespec futex_realtime(const struct timespec *until)
{
	struct timespec mono, real;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	real.tv_sec += until->tv_sec - mono.tv_sec;
	real.tv_nsec += until->tv_nsec - mono.tv_nsec;
	if (real.tv_nsec < 0) {
		real.tv_nsec += 1000000000;
		real.tv_sec--;
	} else if (real.tv_nsec >= 1000000000) {
		real.tv_nsec -= 1000000000;
		real.tv_sec++;
	}
	return real;
}

/*
 * Acquire a priority-inheriting futex. FUTEX_LOCK_PI counts time on
 * CLOCK_REALTIME alone; FUTEX_LOCK_PI2 (Linux 5.14) on either, and where there is
 * none the time is converted. 0, -ETIMEDOUT, -EAGAIN and -EINTR (once more),
 * -ESRCH (the owner is gone), -EDEADLK, -EINVAL, -ENOMEM, -EPERM.
 */
static inline int futex_lock_pi(uint32_t *word, const struct timespec *until, bool realtime,
				bool shared)
{
	int op = until && !realtime ? FUTEX_LOCK_PI2 : FUTEX_LOCK_PI;
	int ret = sync_futex(word, op | futex_flag(shared), 0, until, NULL, 0);
	struct timespec real;

	if (sync_likely(ret != -ENOSYS || op == FUTEX_LOCK_PI))
		return ret;
	real = futex_realtime(until);
	return sync_futex(word, FUTEX_LOCK_PI | futex_flag(shared), 0, &real, NULL, 0);
}

static inline int futex_trylock_pi(uint32_t *word, bool shared)
{
	return sync_futex(word, FUTEX_TRYLOCK_PI | futex_flag(shared), 0, NULL, NULL, 0);
}

/* 0, -EPERM (someone else's), -EINVAL, -EAGAIN (once more) */
static inline int futex_unlock_pi(uint32_t *word, bool shared)
{
	return sync_futex(word, FUTEX_UNLOCK_PI | futex_flag(shared), 0, NULL, NULL, 0);
}

/*
 * Wait on word until requeued to the PI futex lock and given it. 0: it is the
 * caller's. All else: it is not. -EAGAIN: another value, or interrupted by a
 * signal after the requeue; -ETIMEDOUT: before or after the requeue.
 */
static inline int futex_wait_requeue_pi(uint32_t *word, uint32_t value,
					const struct timespec *until, bool realtime,
					uint32_t *lock, bool shared)
{
	int op = FUTEX_WAIT_REQUEUE_PI | futex_flag(shared) |
		 (realtime ? FUTEX_CLOCK_REALTIME : 0);

	return sync_futex(word, op, value, until, lock, 0);
}

/*
 * Give the PI futex lock to the first waiter of word, or make it wait for lock
 * when that is held, and requeue at most "more" others. The number of threads
 * concerned; -EAGAIN: *word is not value; -EINVAL: they wait for another lock;
 * -ESRCH: lock's owner is gone.
 */
static inline int futex_cmp_requeue_pi(uint32_t *word, uint32_t value, int more, uint32_t *lock,
				       bool shared)
{
	return sync_futex(word, FUTEX_CMP_REQUEUE_PI | futex_flag(shared), 1,
			  (const void *)(long)more, lock, value);
}

/*
 * What the thread sanitizer cannot see: the kernel hands a lock over between
 * two system calls.
 */
#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define sync_tsan_acquire(address) __tsan_acquire(address)
#define sync_tsan_release(address) __tsan_release(address)
#else
#define sync_tsan_acquire(address) ((void)0)
#define sync_tsan_release(address) ((void)0)
#endif

#endif
