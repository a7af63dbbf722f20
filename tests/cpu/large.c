/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a lease costs on a machine of 256 CPUs: user time with 4000 interrupts,
 * and that system calls grow with the number of things moved and not faster.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

/*
 * Goal of the project, on a machine that does nothing else: held to with
 * RTKVM_LONG_TESTS. Else a bound that only another order of growth exceeds.
 */
#define USER_MS 50
#define USER_MS_LOADED 1000

static void lease_once(const struct machine *m)
{
	struct rtkvm_cpu_request r = request_of(4);
	struct rtkvm_cpu_lease *lease;

	if (rtkvm_cpu_lease_acquire(m->rt, &r, &lease) < 0 ||
	    rtkvm_cpu_lease_release(lease, NULL) < 0)
		_exit(1);
}

static double user_ms(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)use.ru_utime.tv_sec * 1e3 + (double)use.ru_utime.tv_usec / 1e3;
}

START_TEST(user_time)
{
	double best = 1e9;
	struct machine m;

	machine_make(&m, 256, 4000, 64, CGROUP_V2);
	for (int i = 0; i < 5; i++) {
		double begin = user_ms();

		lease_once(&m);
		begin = user_ms() - begin;
		if (begin < best)
			best = begin;
	}
	machine_assert_as_before(&m);
	printf("# 4000 interrupts, 256 CPUs: acquire and release take %.1f ms of user time\n", best);
	ck_assert_double_le(best, getenv("RTKVM_LONG_TESTS") ? USER_MS : USER_MS_LOADED);
	machine_free(&m);
}
END_TEST

/* System calls of acquire and release, counted by ptrace; 0: not allowed here. */
static long count_calls(unsigned int irqs)
{
	struct machine m;
	long calls = 0;
	int status;
	pid_t pid;

	machine_make(&m, 256, irqs, 1, CGROUP_NONE);
	pid = fork();
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
			_exit(77);
		raise(SIGSTOP);
		lease_once(&m);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	while (WIFSTOPPED(status)) {
		calls++;
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
		waitpid(pid, &status, 0);
	}
	ck_assert(WIFEXITED(status));
	ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
	machine_assert_as_before(&m);
	machine_free(&m);
	return WEXITSTATUS(status) ? 0 : calls / 2;
}

START_TEST(system_calls)
{
	long none = count_calls(0), some = count_calls(500), many = count_calls(2000);

	if (!none || !some || !many)
		SKIP_TEST("ptrace is not allowed here");
	printf("# system calls: %ld without, %ld with 500, %ld with 2000 interrupts: %.1f each\n",
	       none, some, many, (double)(many - none) / 2000);
	/* the last 1500 cost no more each than the first 500, but for a few of the journal's */
	ck_assert_int_le(many - some, (some - none) * 3 + 50);
	ck_assert_int_le(many - none, 2000 * 50);
	ck_assert_int_ge(many - none, 2000);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("large");
	TCase *tc = tcase_create("cost");

	tcase_set_timeout(tc, 200);
	tcase_add_test(tc, user_time);
	tcase_add_test(tc, system_calls);
	suite_add_tcase(suite, tc);
	return suite;
}
