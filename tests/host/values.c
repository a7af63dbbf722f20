/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values that the kernel does not write, or writes seldom: out of range, of
 * another spelling, half, with a carriage return, not of this locale. What
 * cannot be is unknown, never a guess.
 */
#include <stdio.h>
#include <string.h>

#include <rtkvm/host.h>

#include "host/sim.h"
#include "support/test.h"

#define OK RTKVM_VERDICT_OK
#define WARN RTKVM_VERDICT_WARN
#define FAIL RTKVM_VERDICT_FAIL
#define UNKNOWN RTKVM_VERDICT_UNKNOWN
#define CPU "sys/devices/system/cpu/"
#define SYSCTL "proc/sys/"

static const struct {
	const char *path, *text, *id;
	int verdict;
} values[] = {
	{ CPU "isolated", "4-7\r\n", "cpu-isolated", OK },
	{ CPU "isolated", "4-7,\n", "cpu-isolated", UNKNOWN },
	{ CPU "isolated", "7-4\n", "cpu-isolated", UNKNOWN },
	{ CPU "isolated", "4-99999\n", "cpu-isolated", UNKNOWN },
	{ CPU "isolated", "4-7:1/2\n", "cpu-isolated", FAIL },
	{ CPU "online", "0-3,5-7\n", "cpu-online", FAIL },
	{ CPU "online", "\xff\xfe\n", "cpu-online", UNKNOWN },
	{ CPU "cpu5/cpufreq/scaling_governor", "performance\r\n", "cpu-governor", OK },
	{ CPU "cpu5/cpufreq/scaling_governor", "", "cpu-governor", UNKNOWN },
	{ CPU "cpu5/cpufreq/scaling_governor", "performance\nperformance\n", "cpu-governor", UNKNOWN },
	{ CPU "cpu5/cpufreq/scaling_governor", "\xc3\xa9\n", "cpu-governor", UNKNOWN },
	{ CPU "cpu5/cpuidle/state3/latency", "-1\n", "cpu-cstates", UNKNOWN },
	{ CPU "cpu5/cpuidle/state3/latency", "99999999999\n", "cpu-cstates", UNKNOWN },
	{ CPU "cpu5/cpuidle/state3/disable", "5\n", "cpu-cstates", UNKNOWN },
	{ "dev/cpu_dma_latency", "\xff\xff\xff\xff", "cpu-cstates", UNKNOWN },
	{ "dev/cpu_dma_latency", "\x01", "cpu-cstates", UNKNOWN },
	{ CPU "cpu4/topology/thread_siblings_list", "4,99\n", "cpu-smt", OK },
	{ "sys/devices/system/node/node0/cpulist", "0-4\n", "cpu-numa", UNKNOWN },
	{ "sys/devices/system/node/node0/cpulist", "0-3\r\n", "cpu-numa", OK },
	{ "sys/devices/system/node/node1/cpulist", "4-6\n", "cpu-numa", UNKNOWN },
	{ "sys/devices/system/node/node1/cpulist", "4-6,\n", "cpu-numa", UNKNOWN },
	{ "proc/cmdline", "isolcpus=managed_irq,4-N\n", "cpu-managed-irq", OK },
	{ "proc/cmdline", "isolcpus=managed_irq,5-N\n", "cpu-managed-irq", WARN },
	{ "proc/cmdline", "isolcpus=4-7,managed_irq\n", "cpu-managed-irq", UNKNOWN },
	{ "proc/cmdline", "isolcpus=\n", "cpu-managed-irq", UNKNOWN },
	{ "proc/cmdline", "\"isolcpus=managed_irq,4-7\" -- isolcpus=1\n", "cpu-managed-irq", OK },
	{ "proc/cmdline", "skew_tick=1 skew_tick=0\n", "cpu-skew-tick", WARN },
	{ SYSCTL "kernel/sched_rt_runtime_us", "-1\r\n", "sched-throttle", OK },
	{ SYSCTL "kernel/sched_rt_runtime_us", "-2\n", "sched-throttle", UNKNOWN },
	{ SYSCTL "kernel/sched_rt_runtime_us", "2000000\n", "sched-throttle", UNKNOWN },
	{ SYSCTL "kernel/sched_rt_runtime_us", "99999999999999999999\n", "sched-throttle", UNKNOWN },
	{ SYSCTL "kernel/sched_rt_runtime_us", "0x10\n", "sched-throttle", UNKNOWN },
	{ SYSCTL "kernel/hung_task_timeout_secs", "-1\n", "sched-hung-task", UNKNOWN },
	{ SYSCTL "kernel/timer_migration", "1 0\n", "sched-timer-migration", UNKNOWN },
	{ SYSCTL "kernel/timer_migration", "-1\n", "sched-timer-migration", UNKNOWN },
	{ SYSCTL "kernel/osrelease", "6.x\n", "sched-fair-server", UNKNOWN },
	{ SYSCTL "vm/swappiness", "-5\n", "mem-swappiness", UNKNOWN },
	{ SYSCTL "vm/stat_interval", "4294967296\n", "mem-stat-interval", UNKNOWN },
	{ "sys/kernel/mm/ksm/run", "3\n", "mem-ksm", UNKNOWN },
	{ "sys/kernel/mm/ksm/run", "1\r\n", "mem-ksm", FAIL },
	{ "sys/kernel/mm/transparent_hugepage/enabled", "[bogus] never\n", "mem-thp", UNKNOWN },
	{ "sys/kernel/mm/transparent_hugepage/enabled", "[]\n", "mem-thp", UNKNOWN },
	{ "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "-5\n", "mem-hugepages", UNKNOWN },
	{ "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "9223372036854775807\n", "mem-hugepages",
	  UNKNOWN },
	{ "proc/swaps", "Filename\r\n/dev/x\r\n", "mem-swap", WARN },
	{ "proc/irq/default_smp_affinity", "0\n", "irq-default-affinity", UNKNOWN },
	{ "proc/irq/default_smp_affinity", "00000000,0000000f\r\n", "irq-default-affinity", OK },
	{ "proc/irq/12345/smp_affinity_list", "2\n", "irq-affinity", OK },
	{ "proc/irq/12345/smp_affinity_list", "9-\n", "irq-affinity", UNKNOWN },
	{ "sys/class/iommu/dmar0/intel-iommu/cap", "123456789012345678901\n", "virt-posted", UNKNOWN },
	{ "dev/kvm", "143 -22\n", "kvm-cap-disable-exits", UNKNOWN },
	{ "dev/kvm", "99999999999999999999 1\n", "kvm-cap-disable-exits", UNKNOWN },
	{ "proc/self/status", "CapEff:\tzz\n", "mem-memlock", UNKNOWN },
	{ "proc/4000/task/4001/status", "Cpus_allowed_list:\t\n", "vm-vcpu-pinned", UNKNOWN },
	/* where the vCPUs are is not known, so neither is who is beside them */
	{ "proc/4000/task/4001/status", "Cpus_allowed_list:\t4-\n", "vm-other-threads", UNKNOWN },
	{ "proc/4000/stat", "4000 (q) S 1 0 0 0 -1 0 9 0 18446744073709551616 0\n", "vm-faults", UNKNOWN },
	{ "proc/4000/stat", "4000 (q) S\n", "vm-faults", UNKNOWN },
	{ "sys/kernel/debug/kvm/4000-14/io_exits", "-1\n", "vm-exits", UNKNOWN },
	{ "proc/4000/status", "VmLck:\t -1 kB\nVmRSS:\t 5 kB\nVmSwap:\t 0 kB\n", "vm-locked", UNKNOWN },
	{ "proc/4000/status", "VmLck:\t 9 kB\r\nVmRSS:\t 5 kB\r\nVmSwap:\t 0 kB\r\n", "vm-locked", OK },
};

START_TEST(judged)
{
	const char *dir = test_fast_tmpdir();
	struct rtkvm_host_options opt;
	struct rtkvm_options options;
	const struct rtkvm_check *check;
	struct rtkvm_host *host;
	struct rtkvm *rt;

	ck_assert_int_eq(sim_make(dir, sim_named("intel")), 0);
	(void)sim_write(dir, values[_i].path, NULL);
	ck_assert_int_eq(sim_write_bytes(dir, values[_i].path, 0, values[_i].text, strlen(values[_i].text)), 0);
	rtkvm_options_init(&options, sizeof(options));
	options.root = dir;
	ck_assert_int_eq(rtkvm_new(&options, &rt), 0);
	rtkvm_host_options_init(&opt, sizeof(opt));
	opt.only = values[_i].id;
	opt.pid = strncmp(opt.only, "vm-", 3) ? 0 : SIM_VM;
	/* what is isolated may be what is malformed */
	opt.cpus = strcmp(values[_i].path, CPU "isolated") ? "4-7" : NULL;
	ck_assert_int_eq(rtkvm_host_probe(rt, &opt, &host), 0);
	check = rtkvm_host_next(host, NULL);
	ck_assert_msg(rtkvm_check_verdict(check) == values[_i].verdict, "%s with %s \"%s\": %s: %s",
		      values[_i].id, values[_i].path, values[_i].text,
		      rtkvm_verdict_name(rtkvm_check_verdict(check)), rtkvm_check_value(check));
	for (const char *p = rtkvm_check_value(check); *p; p++)
		ck_assert(*p >= ' ' && *p <= '~');
	rtkvm_host_free(host);
	rtkvm_free(rt);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("host-values");
	TCase *tcase = tcase_create("values");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, judged, 0, (int)(sizeof(values) / sizeof(values[0])));
	suite_add_tcase(suite, tcase);
	return suite;
}
