/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which CPUs a lease gets, and that no two get the same: constraints, owners
 * that die, processes that compete.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

static struct machine m;

static void setup(void)
{
	machine_make(&m, 16, 4, 1, CGROUP_NONE);
}

static void teardown(void)
{
	machine_free(&m);
}

/* Of 16 CPUs: nodes 0-7 and 8-15, caches of 4, cores of 2. */
static const struct {
	const char *cpus, *device;
	uint32_t count, flags;
	int node, err;
	const char *got;
} cases[] = {
	{ NULL, NULL, 1, 0, -1, 0, "15" },
	{ NULL, NULL, 2, 0, -1, 0, "14-15" },
	{ NULL, NULL, 3, 0, -1, 0, "13-15" },
	{ NULL, NULL, 3, RTKVM_CPU_WHOLE_CORES, -1, 0, "12-15" },
	{ NULL, NULL, 2, 0, 0, 0, "6-7" },
	{ NULL, NULL, 2, 0, 5, ENODEV, "" },
	{ NULL, "0000:05:00.0", 2, 0, -1, 0, "14-15" },
	{ NULL, "0000:05:00.0", 2, 0, 0, EINVAL, "" },
	{ NULL, "0000:06:00.0", 2, 0, -1, ENODEV, "" },
	{ NULL, "../../../etc", 2, 0, -1, ENODEV, "" },
	{ NULL, NULL, 4, RTKVM_CPU_ONE_CACHE, -1, 0, "12-15" },
	{ NULL, NULL, 5, RTKVM_CPU_ONE_CACHE, -1, EBUSY, "" },
	{ NULL, NULL, 9, 0, -1, 0, "7-15" }, /* more than a node has */
	{ NULL, NULL, 8, 0, 0, EBUSY, "" },  /* CPU 0 is on it */
	{ NULL, NULL, 8, RTKVM_CPU_CPU0, 0, 0, "0-7" },
	{ NULL, NULL, 15, 0, -1, 0, "1-15" },
	{ NULL, NULL, 16, 0, -1, EBUSY, "" },
	{ NULL, NULL, 16, RTKVM_CPU_CPU0, -1, EBUSY, "" }, /* nothing would be left */
	{ NULL, NULL, 0, 0, -1, EINVAL, "" },
	{ "3,5", NULL, 0, 0, -1, 0, "3,5" },
	{ "3,16", NULL, 0, 0, -1, EINVAL, "" },
	{ "0-1", NULL, 0, 0, -1, EINVAL, "" },
	{ "0-1", NULL, 0, RTKVM_CPU_CPU0, -1, 0, "0-1" },
	{ "3", NULL, 0, RTKVM_CPU_WHOLE_CORES, -1, EINVAL, "" },
	{ "2-3", NULL, 0, RTKVM_CPU_WHOLE_CORES, -1, 0, "2-3" },
	{ "x", NULL, 0, 0, -1, EINVAL, "" },
	{ "", NULL, 0, 0, -1, EINVAL, "" },
	{ NULL, NULL, 1, 1U << 31, -1, EINVAL, "" },
};

START_TEST(constraints)
{
	struct rtkvm_cpu_request r = request_of(cases[_i].count);
	struct rtkvm_cpu_lease *lease;

	r.cpus = cases[_i].cpus;
	r.near_device = cases[_i].device;
	r.flags = cases[_i].flags;
	r.node = cases[_i].node;
	ck_assert_str_eq(machine_lease(&m, &r, cases[_i].err, &lease), cases[_i].got);
	rtkvm_cpu_lease_release(lease, NULL);
	machine_assert_as_before(&m);
}
END_TEST

/* What the boot isolated comes first, where it is enough. */
START_TEST(isolated_first)
{
	struct rtkvm_cpu_request r = request_of(2);
	struct rtkvm_cpu_lease *lease;

	test_write(m.root, "sys/devices/system/cpu/isolated", "4-5\n");
	ck_assert_str_eq(machine_lease(&m, &r, 0, &lease), "14-15"); /* one node, the last */
	rtkvm_cpu_lease_release(lease, NULL);
	r.node = 0;
	ck_assert_str_eq(machine_lease(&m, &r, 0, &lease), "4-5");
	rtkvm_cpu_lease_release(lease, NULL);
	test_write(m.root, "sys/devices/system/cpu/isolated", "\n");
	machine_assert_as_before(&m);
}
END_TEST

START_TEST(two_leases)
{
	struct rtkvm_cpu_request r = request_of(2);
	struct rtkvm_cpu_lease *a, *b, *c;

	machine_lease(&m, &r, 0, &a);
	ck_assert_str_eq(machine_lease(&m, &r, 0, &b), "12-13");
	r.cpus = "12";
	machine_lease(&m, &r, EBUSY, &c);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "12"));
	ck_assert_int_eq(rtkvm_cpu_lease_release(a, NULL), 0);
	r.cpus = "15";
	machine_lease(&m, &r, 0, &a);
	ck_assert_int_eq(rtkvm_cpu_lease_release(b, NULL), 0);
	ck_assert_int_eq(rtkvm_cpu_lease_release(a, NULL), 0);
	machine_assert_as_before(&m);
}
END_TEST

static pid_t start(int count, bool die)
{
	int ready[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct rtkvm_cpu_request r = request_of((uint32_t)count);
		struct rtkvm_cpu_lease *lease;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (rtkvm_cpu_lease_acquire(m.rt, &r, &lease) < 0)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		if (die)
			raise(SIGKILL);
		pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

/* The next caller reclaims what a dead owner had, and nobody else's. */
START_TEST(dead_owner)
{
	struct rtkvm_cpu_request r = request_of(15);
	struct rtkvm_cpu_lease *lease;
	pid_t pid = start(2, false);

	machine_lease(&m, &r, EBUSY, &lease);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_uint_eq(machine_journals(&m), 1);
	ck_assert_str_eq(machine_lease(&m, &r, 0, &lease), "1-15");
	rtkvm_cpu_lease_release(lease, NULL);
	machine_assert_as_before(&m);
}
END_TEST

#define FIGHTERS 100

struct arena {
	int owner[16]; /* process that has the CPU, 0: none */
	unsigned int grants, doubles, errors;
};

static void fight(struct arena *arena, int seconds)
{
	struct timespec now, end;
	struct rtkvm *rt = machine_context(&m);
	int me = getpid();

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	do {
		struct rtkvm_cpu_request r = request_of(1);
		struct rtkvm_cpu_lease *lease;
		int ret, cpu, none = 0;

		r.cpus = NULL;
		ret = rtkvm_cpu_lease_acquire(rt, &r, &lease);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (ret == -EBUSY) {
			usleep(1000 + me % 50 * 100);
			continue;
		}
		if (ret < 0) {
			fprintf(stderr, "# %s\n", rtkvm_last_error());
			__atomic_add_fetch(&arena->errors, 1, __ATOMIC_RELAXED);
			break;
		}
		cpu = rtkvm_cpu_lease_get_cpu(lease, 0);
		__atomic_add_fetch(&arena->grants, 1, __ATOMIC_RELAXED);
		if (!__atomic_compare_exchange_n(&arena->owner[cpu], &none, me, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			__atomic_add_fetch(&arena->doubles, 1, __ATOMIC_RELAXED);
		usleep(500);
		/* one in eight dies with its lease: somebody reclaims it */
		none = random() % 8 == 0;
		__atomic_store_n(&arena->owner[cpu], 0, __ATOMIC_SEQ_CST);
		if (none)
			raise(SIGKILL);
		if (rtkvm_cpu_lease_release(lease, NULL) < 0)
			__atomic_add_fetch(&arena->errors, 1, __ATOMIC_RELAXED);
	} while (now.tv_sec < end.tv_sec);
	rtkvm_free(rt);
}

/* Many processes want three CPUs; some are killed with theirs, and come again. */
START_TEST(many_fight_for_three)
{
	int seconds = getenv("RTKVM_LONG_TESTS") ? 60 : 4, status;
	unsigned int killed = 0, failed = 0;
	struct arena *arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec begin, now;
	int running = 0;

	machine_free(&m);
	machine_make(&m, 4, 4, 1, CGROUP_V2); /* CPUs 1 to 3 can be leased */
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < FIGHTERS || running; ) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (i < FIGHTERS) {
			if (fork() == 0) {
				srandom((unsigned int)getpid());
				fight(arena, seconds - (int)(now.tv_sec - begin.tv_sec));
				_exit(0);
			}
			running++;
			i++;
			continue;
		}
		ck_assert_int_gt(wait(&status), 0);
		running--;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
			killed++;
			i -= now.tv_sec - begin.tv_sec < seconds - 1; /* another in its place */
		} else if (status) {
			failed++;
		}
	}
	printf("# %u leases, %u processes killed with theirs\n", arena->grants, killed);
	ck_assert_uint_eq(arena->doubles, 0);
	ck_assert_uint_eq(arena->errors, 0);
	ck_assert_uint_eq(failed, 0);
	ck_assert_uint_gt(arena->grants, FIGHTERS);
	ck_assert_uint_gt(killed, 5);
	ck_assert_int_eq(rtkvm_restore(m.rt, NULL), 0);
	machine_assert_as_before(&m);
	munmap(arena, sizeof(*arena));
}
END_TEST

/* The control: a library that forgets the claims of others would be seen. */
START_TEST(claims_are_what_is_asked)
{
	struct rtkvm_cpu_request r = request_of(2);
	struct rtkvm_cpu_lease *a, *b;

	ck_assert_str_eq(machine_lease(&m, &r, 0, &a), "14-15");
	ck_assert_uint_eq(machine_journals(&m), 1);
	/* another state directory: does not see it, and gets the same CPUs */
	{
		struct rtkvm_options opt;
		char dir[4300];
		struct rtkvm *rt;

		snprintf(dir, sizeof(dir), "%s/state/other", m.root);
		rtkvm_options_init(&opt, sizeof(opt));
		opt.root = m.root;
		opt.state_dir = dir;
		ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
		ck_assert_int_eq(rtkvm_cpu_lease_acquire(rt, &r, &b), 0);
		if (geteuid() == 0)
			ck_assert_str_eq(cpus_of_lease(b), "14-15");
		else /* an ordinary user sees what root published, and this tree is his */
			ck_assert_str_eq(cpus_of_lease(b), "12-13");
		rtkvm_cpu_lease_release(b, NULL);
		rtkvm_free(rt);
	}
	rtkvm_cpu_lease_release(a, NULL);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("allocator");
	TCase *tc = tcase_create("choice");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, constraints, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, isolated_first);
	suite_add_tcase(suite, tc);
	tc = tcase_create("owners");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 200);
	tcase_add_test(tc, two_leases);
	tcase_add_test(tc, dead_owner);
	tcase_add_test(tc, many_fight_for_three);
	tcase_add_test(tc, claims_are_what_is_asked);
	suite_add_tcase(suite, tc);
	return suite;
}
