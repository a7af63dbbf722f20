/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Recording is RT-safe: a million values under a seccomp filter that kills at
 * any system call, with every allocation of the library counted and not a page
 * faulted in. Each meter is shown to see the thing it looks for.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/latency.h>

#include "support/latency-values.h"
#include "support/test.h"
#include "support/valgrind.h"

#define VALUES 1000000

/* The child's exit status says what it saw. */
enum { GOOD = 0, ALLOCATED = 3, FAULTED = 4, NO_FILTER = 5 };

static unsigned long allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *p);

void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	allocations++;
	return __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	allocations++;
	return __real_aligned_alloc(align, size);
}

void __wrap_free(void *p)
{
	allocations++;
	__real_free(p);
}

/* From here on exit_group(2) is allowed, and everything else kills. */
static int allow_exit_only(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { .len = 4, .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static void record_many(struct rtkvm_latency *l)
{
	uint64_t x = 1;

	for (int i = 0; i < VALUES; i++)
		rtkvm_latency_record(l, i % 1000 ? latency_value(&x) : UINT64_MAX);
	/* reading without an allocation is promised as well */
	for (int i = 0; i <= 100; i++)
		(void)rtkvm_latency_percentile(l, i);
}

static void break_no_rule(struct rtkvm_latency *l)
{
	(void)l;
}

static void call_write(struct rtkvm_latency *l)
{
	(void)l;
	(void)!write(-1, "", 0);
}

typedef void act_fn(struct rtkvm_latency *l);

/* The wait status of a child that records under the filter and then does act. */
static int run_filtered(act_fn *act)
{
	struct rtkvm_latency *l;
	int status;
	pid_t pid;

	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, &l), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		unsigned long before = allocations;

		if (allow_exit_only() < 0)
			_exit(NO_FILTER);
		record_many(l);
		act(l);
		/* not _exit(): AddressSanitizer has system calls in it */
		syscall(SYS_exit_group, allocations == before ? GOOD : ALLOCATED);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	rtkvm_latency_free(l);
	return status;
}

START_TEST(no_system_call_no_allocation)
{
	int status;

	if (below_valgrind())
		SKIP_TEST("valgrind makes system calls of its own");
	status = run_filtered(break_no_rule);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FILTER)
		SKIP_TEST("no seccomp filter may be set here");
	ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), GOOD);
	/* the same with a system call in it is killed: the filter is in force */
	status = run_filtered(call_write);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}
END_TEST

START_TEST(allocations_are_seen)
{
	struct rtkvm_latency_summary s = { .size = 0 };
	struct rtkvm_latency *l = NULL;
	unsigned long count[5];

	/* Check allocates as well: no assertion in between */
	count[0] = allocations;
	rtkvm_latency_new(NULL, NULL, &l);
	count[1] = allocations;
	record_many(l);
	count[2] = allocations;
	/* an error is recorded in memory of the thread */
	rtkvm_latency_get_summary(l, &s);
	count[3] = allocations;
	rtkvm_latency_free(l);
	count[4] = allocations;
	ck_assert_ptr_nonnull(l);
	ck_assert_uint_eq(count[1] - count[0], 1);
	ck_assert_uint_eq(count[2] - count[1], 0);
	ck_assert_uint_ge(count[3] - count[2], 1);
	ck_assert_uint_eq(count[4] - count[3], 1);
}
END_TEST

/* Faults of a child that does nothing but count its own. */
static int faults_of(int touch_fresh_memory)
{
	struct rtkvm_latency *l;
	struct rusage before, after;
	char *fresh;
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (rtkvm_latency_new(NULL, NULL, &l) < 0)
			_exit(NO_FILTER);
		record_many(l); /* code and stack pages of the child itself */
		rtkvm_latency_reset(l);
		rtkvm_latency_free(l);
		if (rtkvm_latency_new(NULL, NULL, &l) < 0)
			_exit(NO_FILTER);
		fresh = malloc(1 << 20);
		getrusage(RUSAGE_SELF, &before);
		getrusage(RUSAGE_SELF, &before);
		record_many(l);
		if (touch_fresh_memory)
			for (size_t i = 0; i < 1 << 20; i += 4096)
				((volatile char *)fresh)[i] = 1;
		getrusage(RUSAGE_SELF, &after);
		_exit(after.ru_minflt == before.ru_minflt && after.ru_majflt == before.ru_majflt ?
		      GOOD : FAULTED);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(no_page_fault)
{
	if (below_valgrind())
		SKIP_TEST("valgrind faults in memory of its own");
#ifdef __SANITIZE_ADDRESS__
	SKIP_TEST("AddressSanitizer faults in memory of its own");
#endif
	ck_assert_int_eq(faults_of(0), GOOD);
	ck_assert_int_eq(faults_of(1), FAULTED);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("latency-rt");
	TCase *tc = tcase_create("rt");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, no_system_call_no_allocation);
	tcase_add_test(tc, allocations_are_seen);
	tcase_add_test(tc, no_page_fault);
	suite_add_tcase(suite, tc);
	return suite;
}
