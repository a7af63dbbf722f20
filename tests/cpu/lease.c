/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whole leases on a made-up machine: what is moved, modes by what cgroups
 * there are, others who change things meanwhile, and descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

#define IRQ1 "proc/irq/1/smp_affinity_list"
#define IRQ2 "proc/irq/2/smp_affinity_list"
#define IRQ3 "proc/irq/3/smp_affinity_list"
#define DEFAULT "proc/irq/default_smp_affinity"
#define WORKERS "sys/devices/virtual/workqueue/cpumask"
#define RX "sys/class/net/eth0/queues/rx-1/rps_cpus"
#define TX "sys/class/net/eth0/queues/tx-0/xps_cpus"
#define LATENCY "sys/devices/system/cpu/cpu6/power/pm_qos_resume_latency_us"

static struct machine m;

static void setup(void)
{
	machine_make(&m, 8, 6, 2, CGROUP_NONE);
}

static void teardown(void)
{
	machine_free(&m);
}

static struct rtkvm_cpu_lease *lease_of(const char *cpus, int mode)
{
	struct rtkvm_cpu_request r = request_of(1);
	struct rtkvm_cpu_lease *lease;

	r.cpus = cpus;
	r.mode = mode;
	machine_lease(&m, &r, 0, &lease);
	return lease;
}

static void assert_file(const char *path, const char *text)
{
	char now[4096];

	snprintf(now, sizeof(now), "%s", test_read(m.root, path));
	now[strcspn(now, "\n")] = '\0';
	ck_assert_msg(!strcmp(now, text), "%s is \"%s\", not \"%s\"", path, now, text);
}

static void release(struct rtkvm_cpu_lease *lease, size_t problems)
{
	struct rtkvm_report *report;

	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, &report), 0);
	ck_assert_uint_eq(rtkvm_report_problems(report), problems);
	rtkvm_report_free(report);
}

static struct rtkvm_report *report_of(struct rtkvm_cpu_lease *lease, size_t problems)
{
	const struct rtkvm_report_item *item = NULL;
	struct rtkvm_report *report;

	ck_assert_int_eq(rtkvm_cpu_lease_report(lease, &report), 0);
	if (rtkvm_report_problems(report) != problems)
		while ((item = rtkvm_report_next(report, item)))
			printf("# %s: %s\n", rtkvm_report_item_feature(item),
			       rtkvm_report_item_reason(item));
	ck_assert_uint_eq(rtkvm_report_problems(report), problems);
	return report;
}

START_TEST(everything_moves)
{
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_report *report;

	test_write(m.root, IRQ2, "6\n");   /* only a leased one */
	test_write(m.root, IRQ3, "0-1\n"); /* none */
	free(m.before);
	m.before = machine_text(&m);
	lease = lease_of("6-7", RTKVM_CPU_AFFINITY);
	assert_file(IRQ1, "0-5");
	assert_file(IRQ2, "0-5");
	assert_file(IRQ3, "0-1");
	assert_file(DEFAULT, "3f");
	assert_file(WORKERS, "3f");
	assert_file(RX, "3f");
	assert_file(TX, "3f");
	assert_file(LATENCY, "n/a");
	assert_file("sys/devices/system/cpu/cpu7/cpufreq/scaling_governor", "performance");
	assert_file("sys/devices/system/cpu/cpu5/cpufreq/scaling_governor", "powersave");
	assert_file("proc/sys/kernel/timer_migration", "0");
	report = report_of(lease, 0);
	ck_assert_ptr_nonnull(strstr(rtkvm_report_item_reason(rtkvm_report_find(report, "irqs")),
				     "5 moved"));
	ck_assert_ptr_nonnull(strstr(rtkvm_report_item_reason(rtkvm_report_find(report, "tick")),
				     "nohz_full"));
	rtkvm_report_free(report);
	release(lease, 0);
	machine_assert_as_before(&m);
}
END_TEST

/* Whichever of two ends first takes nothing from the other, and leaves nothing. */
START_TEST(any_order)
{
	struct rtkvm_cpu_lease *a = lease_of("2", 0), *b = lease_of("3", 0), *c = lease_of("4", 0);

	assert_file(IRQ1, "0-1,5-7");
	release(_i & 1 ? b : a, 0);
	assert_file(IRQ1, _i & 1 ? "0-1,3,5-7" : "0-2,5-7");
	assert_file("proc/sys/kernel/timer_migration", "0");
	release(_i & 1 ? a : c, 0);
	assert_file(IRQ1, _i & 1 ? "0-3,5-7" : "0-2,4-7");
	release(_i & 1 ? c : b, 0);
	machine_assert_as_before(&m);
}
END_TEST

static unsigned int count_of(const struct rtkvm_report *report, const char *feature)
{
	const struct rtkvm_report_item *item = NULL;
	unsigned int count = 0;

	while ((item = rtkvm_report_next(report, item)))
		count += !strcmp(rtkvm_report_item_feature(item), feature);
	return count;
}

START_TEST(others_change_things)
{
	struct rtkvm_cpu_lease *lease = lease_of("6-7", RTKVM_CPU_AFFINITY);
	struct rtkvm_report *report;

	test_write(m.root, IRQ1, "0\n");         /* moved elsewhere: stays there */
	test_write(m.root, IRQ2, "7\n");         /* moved onto a leased CPU: drift */
	test_write(m.root, "proc/irq/9/smp_affinity_list", "0-7\n"); /* a new one */
	test_write(m.root, LATENCY, "50\n");
	report = report_of(lease, 4); /* IRQ 2, IRQ 9, their sum, and the latency */
	ck_assert_ptr_nonnull(rtkvm_report_find(report, "irq-affinity 9"));
	ck_assert_ptr_nonnull(rtkvm_report_find(report, "irq-affinity 2"));
	ck_assert_ptr_nonnull(rtkvm_report_find(report, "cpu-latency 6"));
	ck_assert_uint_eq(count_of(report, "kernel timers"), 1);
	rtkvm_report_free(report);
	/* what was noted when the lease was taken stays so, and is there once */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(rtkvm_cpu_lease_repair(lease, &report), 0);
		ck_assert_uint_eq(count_of(report, "kernel timers"), 1);
		rtkvm_report_free(report);
	}
	assert_file("proc/irq/9/smp_affinity_list", "0-5");
	assert_file(IRQ2, "0-5");
	assert_file(LATENCY, "50");
	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, &report), 0);
	ck_assert_uint_ge(rtkvm_report_problems(report), 2); /* IRQ 1, the latency */
	rtkvm_report_free(report);
	assert_file(IRQ1, "0");
	assert_file(LATENCY, "50");
	assert_file("proc/irq/9/smp_affinity_list", "0-7");
	assert_file(RX, "ff");
	ck_assert_uint_eq(machine_journals(&m), 0);
}
END_TEST

static const struct {
	int cgroup, mode, err, came_to;
} modes[] = {
	{ CGROUP_NONE, RTKVM_CPU_BEST, 0, RTKVM_CPU_AFFINITY },
	{ CGROUP_NONE, RTKVM_CPU_AFFINITY, 0, RTKVM_CPU_AFFINITY },
	{ CGROUP_NONE, RTKVM_CPU_PARTITION, EOPNOTSUPP, 0 },
	{ CGROUP_NONE, RTKVM_CPU_OFFLINE, 0, RTKVM_CPU_OFFLINE },
	{ CGROUP_V1, RTKVM_CPU_BEST, 0, RTKVM_CPU_PARTITION },
	{ CGROUP_V1, RTKVM_CPU_PARTITION, 0, RTKVM_CPU_PARTITION },
	{ CGROUP_V2, RTKVM_CPU_BEST, 0, RTKVM_CPU_PARTITION },
	{ CGROUP_V2, RTKVM_CPU_PARTITION, 0, RTKVM_CPU_PARTITION },
	{ CGROUP_V2, RTKVM_CPU_AFFINITY, 0, RTKVM_CPU_AFFINITY },
};

START_TEST(mode)
{
	struct rtkvm_cpu_request r = request_of(2);
	struct rtkvm_cpu_lease *lease;

	machine_free(&m);
	machine_make(&m, 8, 6, 2, modes[_i].cgroup);
	r.mode = modes[_i].mode;
	machine_lease(&m, &r, modes[_i].err, &lease);
	if (lease) {
		char *now = machine_text(&m);

		ck_assert_int_eq(rtkvm_cpu_lease_get_mode(lease), modes[_i].came_to);
		ck_assert_ptr_nonnull(strstr(now, "run/rtkvm/leased/"));
		ck_assert(!strstr(now, "partition:isolated") ==
			  !(modes[_i].came_to == RTKVM_CPU_PARTITION &&
			    modes[_i].cgroup == CGROUP_V2));
		ck_assert(!strstr(now, "cpu_exclusive:1") ==
			  !(modes[_i].came_to == RTKVM_CPU_PARTITION &&
			    modes[_i].cgroup == CGROUP_V1));
		ck_assert(!strstr(now, "cpu7/online:0") ==
			  (modes[_i].came_to != RTKVM_CPU_OFFLINE));
		free(now);
		release(lease, 0);
	}
	machine_assert_as_before(&m);
}
END_TEST

/* An offline lease whose CPUs come online one by one becomes what it would have been. */
static const struct {
	int cgroup, came_to;
} online_again[] = {
	{ CGROUP_NONE, RTKVM_CPU_AFFINITY },
	{ CGROUP_V1, RTKVM_CPU_PARTITION },
	{ CGROUP_V2, RTKVM_CPU_PARTITION },
};

START_TEST(brought_online)
{
	struct rtkvm_cpu_lease *lease, *copy;

	machine_free(&m);
	machine_make(&m, 8, 6, 2, online_again[_i].cgroup);
	lease = lease_of("6-7", RTKVM_CPU_OFFLINE);
	assert_file("sys/devices/system/cpu/cpu6/online", "0");
	ck_assert_int_eq(rtkvm_cpu_lease_bring_online(NULL, 0), -EINVAL);
	ck_assert_int_eq(rtkvm_cpu_lease_bring_online(lease, 2), -EINVAL);
	ck_assert_int_eq(rtkvm_cpu_lease_from_fd(m.rt, rtkvm_cpu_lease_fd(lease), &copy), 0);
	ck_assert_int_eq(rtkvm_cpu_lease_bring_online(copy, 0), -EPERM);
	ck_assert_int_eq(rtkvm_cpu_lease_release(copy, NULL), 0);
	ck_assert_int_eq(rtkvm_cpu_lease_bring_online(lease, 0), 0);
	ck_assert_int_eq(rtkvm_cpu_lease_bring_online(lease, 0), 0);
	assert_file("sys/devices/system/cpu/cpu6/online", "1");
	assert_file("sys/devices/system/cpu/cpu7/online", "0");
	assert_file(IRQ1, "0-5"); /* still leased */
	ck_assert_int_eq(rtkvm_cpu_lease_get_mode(lease), RTKVM_CPU_OFFLINE);
	ck_assert_int_eq(rtkvm_cpu_lease_bring_online(lease, 1), 0);
	assert_file("sys/devices/system/cpu/cpu7/online", "1");
	assert_file(IRQ1, "0-5");
	ck_assert_int_eq(rtkvm_cpu_lease_get_mode(lease), online_again[_i].came_to);
	rtkvm_report_free(report_of(lease, 0));
	release(lease, 0);
	machine_assert_as_before(&m);
}
END_TEST

/* Someone dissolves the partition: seen, and its remains are still removed. */
START_TEST(lost_partition)
{
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_report *report;

	machine_free(&m);
	machine_make(&m, 8, 6, 2, CGROUP_V2);
	lease = lease_of("6-7", RTKVM_CPU_PARTITION);
	report = report_of(lease, 0);
	rtkvm_report_free(report);
	{
		char command[4400];

		snprintf(command, sizeof(command),
			 "for f in %s/sys/fs/cgroup/rtkvm-*/cpuset.cpus.partition; do "
			 "echo isolated invalid > $f; done", m.root);
		ck_assert_int_eq(system(command), 0);
	}
	report = report_of(lease, 1);
	ck_assert_ptr_nonnull(strstr(rtkvm_report_item_reason(rtkvm_report_find(report, "mode")),
				     "invalid"));
	rtkvm_report_free(report);
	release(lease, 0);
	machine_assert_as_before(&m);
}
END_TEST

START_TEST(descriptor)
{
	struct rtkvm_cpu_lease *lease = lease_of("2,5", RTKVM_CPU_AFFINITY), *other;
	struct rtkvm_cpu_request r = request_of(1);
	struct rtkvm_report *report;
	int null = open("/dev/null", O_RDONLY);

	ck_assert_int_eq(rtkvm_cpu_lease_from_fd(m.rt, null, &other), -EBADMSG);
	ck_assert_int_eq(rtkvm_cpu_lease_from_fd(m.rt, -1, &other), -EBADF);
	ck_assert_int_eq(rtkvm_cpu_lease_from_fd(m.rt, rtkvm_cpu_lease_fd(lease), &other), 0);
	ck_assert_str_eq(cpus_of_lease(other), "2,5");
	ck_assert_int_eq(rtkvm_cpu_lease_get_mode(other), RTKVM_CPU_AFFINITY);
	ck_assert_int_eq(rtkvm_cpu_lease_get_cpu(other, 1), 5);
	ck_assert_int_eq(rtkvm_cpu_lease_get_cpu(other, 2), -EINVAL);
	ck_assert_int_eq(rtkvm_cpu_lease_repair(other, NULL), -EPERM);
	rtkvm_report_free(report_of(other, 0));
	/* the launcher goes: the lease lives by the copy */
	rtkvm_cpu_lease_leave(lease);
	ck_assert_int_eq(rtkvm_restore(m.rt, &report), 0);
	rtkvm_report_free(report);
	assert_file(IRQ1, "0-1,3-4,6-7");
	r.cpus = "5";
	machine_lease(&m, &r, EBUSY, &lease);
	/* and ends with it */
	ck_assert_int_eq(rtkvm_cpu_lease_release(other, NULL), 0);
	machine_lease(&m, &r, 0, &lease);
	release(lease, 0);
	machine_assert_as_before(&m);
	close(null);
}
END_TEST

/* The descriptor wakes by itself; what drifted meanwhile is seen. */
START_TEST(drift_is_noticed)
{
	struct rtkvm_cpu_lease *lease = lease_of("6-7", RTKVM_CPU_AFFINITY);
	struct rtkvm_report *report;
	struct pollfd p = { .events = POLLIN };

	ck_assert_int_eq(rtkvm_cpu_lease_dispatch(lease, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_cpu_lease_watch(lease, 9), -EINVAL);
	p.fd = rtkvm_cpu_lease_watch(lease, 20);
	ck_assert_int_ge(p.fd, 0);
	ck_assert_int_eq(poll(&p, 1, 20000), 1);
	ck_assert_int_eq(rtkvm_cpu_lease_dispatch(lease, NULL), 0);
	test_write(m.root, IRQ1, "0-7\n");
	test_write(m.root, "sys/devices/system/cpu/online", "0-6\n");
	ck_assert_int_eq(poll(&p, 1, 20000), 1);
	ck_assert_int_eq(rtkvm_cpu_lease_dispatch(lease, &report), 1);
	ck_assert_ptr_nonnull(rtkvm_report_find(report, "irq-affinity 1"));
	ck_assert_int_eq(rtkvm_report_item_problem(rtkvm_report_find(report, "cpus")), 1);
	rtkvm_report_free(report);
	test_write(m.root, "sys/devices/system/cpu/online", "0-7\n");
	ck_assert_int_eq(rtkvm_cpu_lease_repair(lease, NULL), 0);
	ck_assert_int_eq(rtkvm_cpu_lease_dispatch(lease, NULL), 0);
	rtkvm_cpu_lease_release(lease, NULL);
	machine_assert_as_before(&m);
}
END_TEST

START_TEST(node_of_cpus)
{
	struct rtkvm_cpu_lease *a = lease_of("6-7", 0), *b = lease_of("2", 0), *c = lease_of("3,4", 0);

	ck_assert_int_eq(rtkvm_cpu_lease_get_node(a), 1);
	ck_assert_int_eq(rtkvm_cpu_lease_get_node(b), 0);
	ck_assert_int_eq(rtkvm_cpu_lease_get_node(c), -EXDEV);
	ck_assert_int_eq(rtkvm_cpu_lease_get_node(NULL), -EINVAL);
	release(a, 0);
	release(b, 0);
	release(c, 0);
}
END_TEST

/* Each CPU goes offline and comes back, and that is all; with cgroup v1 it is not done. */
START_TEST(hotplug)
{
	struct rtkvm_cpu_request r = request_of(1);
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_report *report;

	machine_free(&m);
	machine_make(&m, 8, 6, 2, _i ? CGROUP_V1 : CGROUP_V2);
	r.cpus = "6-7";
	r.flags = RTKVM_CPU_HOTPLUG;
	machine_lease(&m, &r, 0, &lease);
	assert_file("sys/devices/system/cpu/cpu7/online", "1");
	report = report_of(lease, 0);
	ck_assert_int_eq(rtkvm_report_find(report, "kernel timers") != NULL, _i);
	rtkvm_report_free(report);
	release(lease, 0);
	machine_assert_as_before(&m);
	r.flags = 0; /* what was not asked for is said */
	machine_lease(&m, &r, 0, &lease);
	report = report_of(lease, 0);
	ck_assert_ptr_nonnull(rtkvm_report_find(report, "kernel timers"));
	rtkvm_report_free(report);
	release(lease, 0);
}
END_TEST

/* A kernel that cannot hold the C-states of a CPU: said, not silent. */
START_TEST(no_latency_knob)
{
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_report *report;
	char path[4400];

	snprintf(path, sizeof(path), "%s/" LATENCY, m.root);
	ck_assert_int_eq(unlink(path), 0);
	free(m.before);
	m.before = machine_text(&m);
	lease = lease_of("6", RTKVM_CPU_AFFINITY);
	report = report_of(lease, 0);
	ck_assert_ptr_nonnull(strstr(rtkvm_report_item_reason(rtkvm_report_find(report, "cstates")),
				     "pm_qos_resume_latency_us"));
	rtkvm_report_free(report);
	release(lease, 0);
	lease = lease_of("7", RTKVM_CPU_AFFINITY); /* the control: this one has it */
	report = report_of(lease, 0);
	ck_assert_ptr_null(strstr(rtkvm_report_item_reason(rtkvm_report_find(report, "cstates")),
				  "not held"));
	rtkvm_report_free(report);
	release(lease, 0);
	machine_assert_as_before(&m);
}
END_TEST

START_TEST(wrong_arguments)
{
	struct rtkvm_cpu_request r = request_of(1);
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_report *report;

	ck_assert_int_eq(rtkvm_cpu_lease_acquire(NULL, &r, &lease), -EINVAL);
	ck_assert_int_eq(rtkvm_cpu_lease_acquire(m.rt, &r, NULL), -EINVAL);
	r.mode = 4;
	ck_assert_int_eq(rtkvm_cpu_lease_acquire(m.rt, &r, &lease), -EINVAL);
	r = request_of(1);
	r.name = "No Name";
	ck_assert_int_eq(rtkvm_cpu_lease_acquire(m.rt, &r, &lease), -EINVAL);
	r = request_of(1);
	r.target = 1;
	ck_assert_int_eq(rtkvm_cpu_lease_acquire(m.rt, &r, &lease), -EOPNOTSUPP);
	r = request_of(1);
	r.reserved[2] = 1;
	ck_assert_int_ne(rtkvm_cpu_lease_acquire(m.rt, &r, &lease), 0);
	ck_assert_int_eq(rtkvm_cpu_lease_report(NULL, &report), -EINVAL);
	ck_assert_int_eq(rtkvm_cpu_lease_repair(NULL, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_cpu_lease_release(NULL, NULL), 0);
	ck_assert_int_eq(rtkvm_cpu_lease_fd(NULL), -EINVAL);
	ck_assert_uint_eq(rtkvm_cpu_lease_get_count(NULL), 0);
	rtkvm_cpu_lease_leave(NULL);
	lease = lease_of("3", 0);
	ck_assert_int_eq(rtkvm_cpu_lease_add_thread(lease, 0, 0), -EOPNOTSUPP);
	ck_assert_int_eq(rtkvm_cpu_lease_add_thread(lease, 0, 1), -EINVAL);
	ck_assert_int_eq(rtkvm_cpu_lease_add_thread(lease, -1, 0), -EINVAL);
	release(lease, 0);
	machine_assert_as_before(&m);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("cpu-lease");
	TCase *tc = tcase_create("machine");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, everything_moves);
	tcase_add_loop_test(tc, any_order, 0, 2);
	tcase_add_test(tc, others_change_things);
	tcase_add_loop_test(tc, mode, 0, sizeof(modes) / sizeof(modes[0]));
	tcase_add_loop_test(tc, brought_online, 0,
			    sizeof(online_again) / sizeof(online_again[0]));
	tcase_add_test(tc, lost_partition);
	tcase_add_test(tc, descriptor);
	tcase_add_test(tc, drift_is_noticed);
	tcase_add_test(tc, node_of_cpus);
	tcase_add_loop_test(tc, hotplug, 0, 2);
	tcase_add_test(tc, no_latency_knob);
	tcase_add_test(tc, wrong_arguments);
	suite_add_tcase(suite, tc);
	return suite;
}
