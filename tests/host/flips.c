/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of flips; see flips.h.
 */
#include <stddef.h>

#include <rtkvm/host.h>

#include "flips.h"

#define WARN RTKVM_VERDICT_WARN
#define FAIL RTKVM_VERDICT_FAIL
#define CPU "sys/devices/system/cpu/"
#define SYSCTL "proc/sys/"
#define KVM "sys/module/kvm/parameters/"
#define INTEL "sys/module/kvm_intel/parameters/"
#define AMD "sys/module/kvm_amd/parameters/"
#define FLAGS "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: "
#define CMDLINE "root=/dev/sda1 isolcpus=managed_irq,domain,4-7 nohz_full=4-7 skew_tick=1\n"

/* Everything that a VM can have, without one. */
#define CAP_LINES "143 14\n182 1\n129 15\n72 1\n136 1\n32 1\n203 1\n121 1\n"
#define CAP_OURS "1381236737 1\n1381236738 1\n"
#define PV "pv 01007efb\n"

#define STAT(pid, comm, prio, policy)                                                            \
	#pid " (" comm ") S 2 0 0 0 -1 2097152 7 0 0 0 0 3 0 0 20 0 1 0 17 0 0 1 0 0 0 0 0 0 0 0 0 " \
	     "1 0 0 17 0 " #prio " " #policy " 0 0 0 0 0 0 0 0 0 0 0\n"
#define LIMITS(memlock, rtprio)                                                                  \
	"Limit                     Soft Limit           Hard Limit           Units     \n"        \
	"Max locked memory         " memlock "              unlimited            bytes     \n"    \
	"Max realtime priority     " rtprio "                   99                             \n"

/* Arguments end with \1 here, with NUL in the file. */
#define QEMU(rest) "/usr/bin/qemu-system-x86_64\1" rest

const struct flip flips[] = {
	{ "cpu-isolated", "intel", CPU "isolated", "\n", FAIL, STRICT, .size = 0 },
	{ "cpu-isolated", "intel", CPU "isolated", "5-7\n", FAIL, STRICT, .size = 0 },
	{ "cpu-online", "intel", CPU "online", "0-3,5-7\n", FAIL, STRICT, .size = 0 },
	{ "cpu-nohz-full", "intel", CPU "nohz_full", "5-7\n", FAIL, STRICT, .size = 0 },
	{ "cpu-rcu-nocbs", "intel", CPU "nohz_full", "5-7\n", WARN, FREE, .size = 0 },
	{ "cpu-managed-irq", "intel", "proc/cmdline", "isolcpus=domain,4-7 nohz_full=4-7\n", WARN,
	  FREE, .size = 0 },
	{ "cpu-smt", "intel", CPU "cpu4/topology/thread_siblings_list", "0,4\n", WARN, STRICT, .size = 0 },
	{ "cpu-numa", "intel", CPU "isolated", "3-7\n", WARN, FREE, .size = 0 },
	{ "cpu-clocksource", "intel", "sys/devices/system/clocksource/clocksource0/current_clocksource",
	  "hpet\n", FAIL, FREE, .size = 0 },
	{ "cpu-tsc", "intel", "proc/cpuinfo", FLAGS "tsc constant_tsc x2apic\n", FAIL, STRICT, .size = 0 },
	{ "cpu-hypervisor", "intel", "proc/cpuinfo", FLAGS "tsc constant_tsc nonstop_tsc hypervisor\n",
	  WARN, STRICT, .size = 0 },
	{ "cpu-skew-tick", "intel", "proc/cmdline", "isolcpus=managed_irq,domain,4-7 skew_tick=0\n",
	  WARN, FREE, .size = 0 },

	{ "cpu-cstates", "intel", "dev/cpu_dma_latency", NULL, FAIL, FREE, .size = 4, .number = 2000000000 },
	{ "cpu-governor", "intel", CPU "cpu5/cpufreq/scaling_governor", "powersave\n", WARN, FREE, .size = 0 },
	{ "cpu-epp", "intel", CPU "cpu4/cpufreq/energy_performance_preference",
	  "balance_performance\n", WARN, FREE, .size = 0 },
	{ "cpu-epb", "intel", CPU "cpu7/power/energy_perf_bias", "6\n", WARN, FREE, .size = 0 },
	{ "cpu-min-perf", "intel", CPU "intel_pstate/min_perf_pct", "20\n", WARN, STRICT, .size = 0 },
	{ "cpu-smi", "intel", "dev/cpu/4/msr", NULL, WARN, FREE, .offset = 0x34, .size = 8, .number = 90000 },
	{ "cpu-ignore-ce", "intel", "sys/devices/system/machinecheck/machinecheck4/ignore_ce", "0\n",
	  WARN, STRICT, .size = 0 },

	{ "sched-preempt", "intel", "proc/version", "Linux version 6.12.9 #1 SMP PREEMPT_DYNAMIC\n",
	  FAIL, STRICT, .size = 0 },
	{ "sched-throttle", "intel", SYSCTL "kernel/sched_rt_runtime_us", "950000\n", FAIL, STRICT, .size = 0 },
	{ "sched-fair-server", "intel", "sys/kernel/debug/sched/fair_server/cpu6/runtime", "50000000\n",
	  FAIL, STRICT, .size = 0 },
	{ "sched-rt-group", "intel", "sys/fs/cgroup/cpu,cpuacct/vmm/cpu.rt_runtime_us", "0\n", FAIL,
	  STRICT, .size = 0 },
	{ "sched-timer-migration", "intel", SYSCTL "kernel/timer_migration", "1\n", WARN, STRICT, .size = 0 },
	{ "sched-nmi-watchdog", "intel", SYSCTL "kernel/nmi_watchdog", "1\n", WARN, STRICT, .size = 0 },
	{ "sched-soft-watchdog", "intel", SYSCTL "kernel/watchdog_cpumask", "0-7\n", WARN, STRICT, .size = 0 },
	{ "sched-hung-task", "intel", SYSCTL "kernel/hung_task_timeout_secs", "120\n", WARN, STRICT, .size = 0 },
	{ "sched-workqueues", "intel", "sys/devices/virtual/workqueue/cpumask", "ff\n", WARN, STRICT, .size = 0 },
	{ "sched-workqueues", "intel", "sys/devices/virtual/workqueue/writeback/cpumask", "1f\n", WARN,
	  STRICT, .size = 0 },
	{ "sched-ktimer-lockless", "intel", "sys/kernel/ktimer_lockless_check", "0\n", WARN, STRICT, .size = 0 },
	{ "sched-tracer", "intel", "sys/kernel/tracing/current_tracer", "function\n", WARN, FREE, .size = 0 },
	{ "sched-debug-kernel", "intel", "proc/lockdep", "all lock classes:\n", WARN, FREE, .size = 0 },
	{ "sched-ksoftirqd", "intel", "proc/22/task/22/stat", STAT(22, "ksoftirqd/4", 0, 0), WARN,
	  STRICT, .size = 0 },
	{ "sched-ktimers", "intel", "proc/23/task/23/stat", STAT(23, "ktimers/4", 1, 1), WARN, STRICT, .size = 0 },
	{ "sched-rcuc", "intel", "proc/24/task/24/stat", STAT(24, "rcuc/4", 1, 1), WARN, STRICT, .size = 0 },
	{ "sched-rcub", "intel", "proc/3000/task/3000/stat", STAT(3000, "rcub/0", 1, 1), WARN, STRICT, .size = 0 },
	{ "sched-rtprio", "intel", "proc/self/limits", LIMITS("unlimited", " 0"), FAIL, STRICT, .size = 0 },

	{ "mem-ksm", "intel", "sys/kernel/mm/ksm/run", "1\n", FAIL, STRICT, .size = 0 },
	{ "mem-thp", "intel", "sys/kernel/mm/transparent_hugepage/enabled",
	  "[always] madvise never\n", WARN, STRICT, .size = 0 },
	{ "mem-thp-defrag", "intel", "sys/kernel/mm/transparent_hugepage/defrag",
	  "[always] defer defer+madvise madvise never\n", WARN, STRICT, .size = 0 },
	{ "mem-swap", "intel", "proc/swaps",
	  "Filename\tType\tSize\tUsed\tPriority\n/dev/dm-1 partition 999420 0 -2\n", WARN, STRICT, .size = 0 },
	{ "mem-swappiness", "intel", SYSCTL "vm/swappiness", "60\n", WARN, STRICT, .size = 0 },
	{ "mem-hugepages", "intel", "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n", WARN,
	  STRICT, .size = 0 },
	{ "mem-memlock", "intel", "proc/self/limits", LIMITS("8388608  ", "95"), FAIL, STRICT, .size = 0 },
	{ "mem-numa-balancing", "intel", SYSCTL "kernel/numa_balancing", "1\n", FAIL, STRICT, .size = 0 },
	{ "mem-compaction", "intel", SYSCTL "vm/compaction_proactiveness", "20\n", WARN, STRICT, .size = 0 },
	{ "mem-compact-locked", "intel", SYSCTL "vm/compact_unevictable_allowed", "1\n", WARN, STRICT, .size = 0 },
	{ "mem-zone-reclaim", "intel", SYSCTL "vm/zone_reclaim_mode", "1\n", WARN, STRICT, .size = 0 },
	{ "mem-stat-interval", "intel", SYSCTL "vm/stat_interval", "1\n", WARN, STRICT, .size = 0 },

	{ "irq-default-affinity", "intel", "proc/irq/default_smp_affinity", "ff\n", FAIL, STRICT, .size = 0 },
	{ "irq-affinity", "intel", "proc/irq/26/effective_affinity_list", "5\n", FAIL, STRICT, .size = 0 },
	{ "irq-irqbalance", "intel", "etc/default/irqbalance", "IRQBALANCE_BANNED_CPULIST=4-6\n", FAIL,
	  FREE, .size = 0 },
	{ "irq-irqbalance", "intel", "proc/812/environ", "A=b\1IRQBALANCE_BANNED_CPULIST=4-6\1", FAIL, FREE,
	  .size = 0 },
	{ "irq-vectors", "intel", "sys/kernel/debug/irq/domains/VECTOR",
	  " | CPU | avl | man | mac | act | vectors\n     0     3     1     1  198  32-229\n", WARN,
	  STRICT, .size = 0 },
	{ "irq-threads", "intel", "proc/3001/task/3001/stat", STAT(3001, "irq/24-eth0", 0, 0), WARN,
	  STRICT, .size = 0 },

	{ "virt-irq-remap", "intel", "sys/kernel/irq/24/chip_name", "PCI-MSI-0000:00:1f.2\n", WARN, FREE, .size = 0 },
	{ "virt-x2apic", "intel", "dev/cpu/0/msr", NULL, WARN, FREE, .offset = 0x1b, .size = 8, .number = 0xfee00900 },
	{ "virt-apicv", "intel", INTEL "enable_apicv", "N\n", WARN, STRICT, .size = 0 },
	{ "virt-apicv", "amd", AMD "avic", "N\n", WARN, STRICT, .size = 0 },
	{ "virt-posted", "intel", "sys/class/iommu/dmar1/intel-iommu/cap", "d2078c106f0466\n", WARN,
	  STRICT, .size = 0 },
	{ "virt-posted", "amd", "sys/class/iommu/ivhd0/amd-iommu/features", "246577efa2254a7a\n", WARN,
	  STRICT, .size = 0 },
	{ "virt-posted", "intel", "proc/cmdline", CMDLINE "intremap=nopost", WARN, FREE, .size = 0 },
	{ "virt-l1tf", "intel", INTEL "vmentry_l1d_flush", "always\n", WARN, STRICT, .size = 0 },

	{ "kvm-clock-sync", "intel", KVM "kvmclock_periodic_sync", "Y\n", WARN, STRICT, .size = 0 },
	{ "kvm-nx-huge-pages", "intel", KVM "nx_huge_pages", "Y\n", FAIL, STRICT, .size = 0 },
	{ "kvm-nx-recovery", "intel", KVM "nx_huge_pages_recovery_ratio", "60\n", WARN, STRICT, .size = 0 },
	{ "kvm-halt-poll", "intel", KVM "halt_poll_ns", "200000\n", WARN, STRICT, .size = 0 },
	{ "kvm-min-timer", "intel", KVM "min_timer_period_us", "1000\n", WARN, STRICT, .size = 0 },
	{ "kvm-timer-advance", "intel", KVM "lapic_timer_advance", "N\n", WARN, STRICT, .size = 0 },
	{ "kvm-timer-advance-ns", "intel", KVM "lapic_timer_advance_ns", "0\n", WARN, STRICT, .size = 0 },
	{ "kvm-vmware-backdoor", "intel", KVM "enable_vmware_backdoor", "Y\n", WARN, STRICT, .size = 0 },
	{ "kvm-tdp-mmu", "intel", KVM "tdp_mmu", "N\n", WARN, STRICT, .size = 0 },
	{ "kvm-eager-split", "intel", KVM "eager_page_split", "N\n", WARN, STRICT, .size = 0 },
	{ "kvm-ple-gap", "intel", INTEL "ple_gap", "128\n", WARN, STRICT, .size = 0 },
	{ "kvm-pause-filter", "amd", AMD "pause_filter_count", "3000\n", WARN, STRICT, .size = 0 },
	{ "kvm-ept", "intel", INTEL "ept", "N\n", FAIL, STRICT, .size = 0 },
	{ "kvm-npt", "amd", AMD "npt", "N\n", FAIL, STRICT, .size = 0 },
	{ "kvm-preemption-timer", "intel", INTEL "preemption_timer", "N\n", WARN, STRICT, .size = 0 },
	{ "kvm-unrestricted-guest", "intel", INTEL "unrestricted_guest", "N\n", WARN, STRICT, .size = 0 },
	{ "kvm-vpid", "intel", INTEL "vpid", "N\n", WARN, STRICT, .size = 0 },
	{ "kvm-flexpriority", "intel", INTEL "flexpriority", "N\n", WARN, STRICT, .size = 0 },
	{ "kvm-pml", "intel", INTEL "pml", "N\n", WARN, STRICT, .size = 0 },
	{ "kvm-ipiv", "intel", INTEL "enable_ipiv", "N\n", WARN, STRICT, .size = 0 },
	{ "kvm-vnmi", "amd", AMD "vnmi", "N\n", WARN, STRICT, .size = 0 },
	{ "kvm-vgif", "amd", AMD "vgif", "0\n", WARN, STRICT, .size = 0 },

	{ "virt-kvm", "intel", "dev/kvm", NULL, FAIL, STRICT, .size = 0 },
	{ "kvm-cap-disable-exits", "intel", "dev/kvm",
	  "143 12\n182 1\n129 15\n72 1\n136 1\n32 1\n203 1\n121 1\n" CAP_OURS PV, WARN, STRICT, .size = 0 },
	{ "kvm-cap-halt-poll", "intel", "dev/kvm",
	  "143 14\n182 0\n129 15\n72 1\n136 1\n32 1\n203 1\n121 1\n" CAP_OURS PV, WARN, STRICT, .size = 0 },
	{ "kvm-cap-x2apic", "intel", "dev/kvm",
	  "143 14\n182 1\n129 0\n72 1\n136 1\n32 1\n203 1\n121 1\n" CAP_OURS PV, WARN, STRICT, .size = 0 },
	{ "kvm-cap-deadline", "intel", "dev/kvm",
	  "143 14\n182 1\n129 15\n72 0\n136 1\n32 1\n203 1\n121 1\n" CAP_OURS PV, FAIL, STRICT, .size = 0 },
	{ "kvm-cap-immediate-exit", "intel", "dev/kvm",
	  "143 14\n182 1\n129 15\n72 1\n136 0\n32 1\n203 1\n121 1\n" CAP_OURS PV, WARN, STRICT, .size = 0 },
	{ "kvm-cap-irqfd", "intel", "dev/kvm",
	  "143 14\n182 1\n129 15\n72 1\n136 1\n32 0\n203 1\n121 1\n" CAP_OURS PV, FAIL, STRICT, .size = 0 },
	{ "kvm-cap-stats", "intel", "dev/kvm",
	  "143 14\n182 1\n129 15\n72 1\n136 1\n32 1\n203 0\n121 1\n" CAP_OURS PV, WARN, STRICT, .size = 0 },
	{ "kvm-cap-split-irqchip", "intel", "dev/kvm",
	  "143 14\n182 1\n129 15\n72 1\n136 1\n32 1\n203 1\n121 0\n" CAP_OURS PV, WARN, STRICT, .size = 0 },
	{ "kvm-pv-bits", "intel", "dev/kvm", CAP_LINES CAP_OURS "pv 00007efb\n", WARN, STRICT, .size = 0 },
	{ "kvm-dedicated-cpu", "intel", "dev/kvm", CAP_LINES "1381236738 1\n" PV, WARN, STRICT, .size = 0 },
	{ "kvm-pvsched", "intel", "dev/kvm", CAP_LINES "1381236737 1\n" PV, WARN, STRICT, .size = 0 },
	{ "vm-vcpu-sched", "intel", "proc/4000/task/4001/stat", "4001 (CPU 0/KVM) S 1 0 0 0 -1 0 7 0 0 0 0 3 0 0 20 "
	  "0 1 0 17 0 0 1 0 0 0 0 0 0 0 0 0 1 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0\n", FAIL,
	  STRICT, .size = 0 },
	{ "vm-plan", "intel", "proc/4000/task/4003/stat", "4003 (IO iothread1) S 1 0 0 0 -1 0 7 0 0 0 0 3 0 0 20 "
	  "0 1 0 17 0 0 1 0 0 0 0 0 0 0 0 0 1 0 0 17 0 1 1 0 0 0 0 0 0 0 0 0 0 0\n", WARN,
	  STRICT, .plan = "maxprio=2,policy=ff" },
	{ "vm-vcpu-pinned", "intel", "proc/4000/task/4002/status", "Cpus_allowed_list:\t4\n", FAIL, STRICT, .size = 0 },
	{ "vm-vcpu-pinned", "intel", "proc/4000/task/4001/status", "Cpus_allowed_list:\t4-7\n", FAIL,
	  STRICT, .size = 0 },
	{ "vm-vcpu-isolated", "intel", "proc/4000/task/4002/status", "Cpus_allowed_list:\t3\n", FAIL, FREE, .size = 0 },
	{ "vm-other-threads", "intel", "proc/4000/task/4003/status", "Cpus_allowed_list:\t0-7\n", FAIL,
	  STRICT, .size = 0 },
	{ "vm-kernel-threads", "intel", "proc/4010/task/4010/status", "Cpus_allowed_list:\t0-7\n", WARN,
	  STRICT, .size = 0 },
	{ "vm-locked", "intel", "proc/4000/status",
	  "VmLck:\t       0 kB\nVmRSS:\t 2100000 kB\nVmSwap:\t 0 kB\n", FAIL, STRICT, .size = 0 },
	{ "vm-locked", "intel", "proc/4000/status",
	  "VmLck:\t 2200000 kB\nVmRSS:\t 2100000 kB\nVmSwap:\t 12 kB\n", FAIL, STRICT, .size = 0 },
	{ "vm-hugepages", "intel", NULL, NULL, WARN, FREE, .facts = "memory=4294967296",
	  .good_facts = "memory=2147483648" },
	{ "vm-hugepages", "intel", "proc/4000/smaps_rollup", "Rss: 2200000 kB\nAnonHugePages: 0 kB\n"
	  "Shared_Hugetlb: 0 kB\nPrivate_Hugetlb: 0 kB\n", WARN, STRICT, .size = 0 },
	{ "vm-faults", "intel", "proc/4000/stat", "4000 (q) S 1 0 0 0 -1 4194560 90000 0 31 0 10 20 0 0 20 "
	  "0 5 0 60025 0\n", WARN, STRICT, .size = 0 },
	{ "vm-exits", "intel", "sys/kernel/debug/kvm/4000-14/exits", "600000000\n", WARN, STRICT, .size = 0 },
	{ "vm-disk-format", "intel", NULL, NULL, WARN, FREE, .facts = "block.cow=yes:qcow2",
	  .good_facts = "block.cow=no" },
	{ "vm-disk-format", "intel", "proc/4000/cmdline", QEMU("-drive\1file=a.qcow2,format=qcow2\1"), WARN,
	  FREE, .size = 0 },
	{ "vm-disk-aio", "intel", "proc/4000/cmdline", QEMU("-drive\1file=/dev/a,aio=threads\1"), WARN,
	  FREE, .size = 0 },
	{ "vm-disk-aio", "intel", "proc/4000/cmdline", QEMU("-drive\1file=/dev/a,format=raw\1"), WARN,
	  FREE, .size = 0 },
	{ "vm-disk-aio", "intel", "proc/4000/cmdline",
	  QEMU("-blockdev\1{\"driver\": \"raw\", \"file\": {\"driver\":\"host_device\", \"filename\":\"/dev/a\"}}\1"),
	  WARN, FREE, .size = 0 },
	{ "vm-display", "intel", "proc/4000/cmdline", QEMU("-m\1" "4G\1"), WARN, FREE, .size = 0 },
	{ "vm-display", "intel", NULL, NULL, WARN, FREE, .facts = "display.local=yes:gtk",
	  .good_facts = "display.local=no" },
	{ "vm-serial", "intel", "proc/4000/cmdline", QEMU("-nographic\1"), WARN, FREE, .size = 0 },
	{ "vm-display", "intel", "proc/4000/cmdline", QEMU("-display\1gtk,gl=on\1"), WARN, FREE, .size = 0 },
	{ "vm-serial", "intel", "proc/4000/cmdline", QEMU("-serial\1mon:stdio\1"), WARN, FREE, .size = 0 },
	{ "vm-hpet", "intel", "proc/4000/cmdline", QEMU("-machine\1pc,hpet=on\1"), WARN, FREE, .size = 0 },
	{ "vm-balloon", "intel", "proc/4000/cmdline", QEMU("-device\1virtio-balloon-pci\1"), WARN, FREE, .size = 0 },
	{ "vm-mem-lock", "intel", "proc/4000/cmdline", QEMU("-overcommit\1mem-lock=off\1"), WARN, FREE, .size = 0 },
	{ "vm-dirty-log", "intel", NULL, NULL, WARN, FREE, .facts = "dirty-logging=yes:migration",
	  .good_facts = "dirty-logging=no" },
	/* a folder, not a file: one IOMMU is there, or none */
	{ "virt-iommu", "intel", "sys/class/iommu", NULL, WARN, FREE, .size = 0 },
	{ .id = NULL },
};
