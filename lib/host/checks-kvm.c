/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of the parameters of kvm, kvm_intel and kvm_amd: each a knob whose
 * remedy depends on whether it is writable at run time.
 */
#include "knob.h"

#define KVM "/sys/module/kvm/parameters/"
#define INTEL "/sys/module/kvm_intel/parameters/"
#define AMD "/sys/module/kvm_amd/parameters/"

#define OF_KVM(name) .path = KVM name, .folder = "/sys/module", .module = "kvm", .parameter = name, \
	.absent = "this kernel's KVM has no such parameter"
#define OF_INTEL(name) .path = INTEL name, .folder = "/sys/module", .module = "kvm_intel", \
	.parameter = name, .absent = "not Intel's KVM, or it has no such parameter"
#define OF_AMD(name) .path = AMD name, .folder = "/sys/module", .module = "kvm_amd", \
	.parameter = name, .absent = "not AMD's KVM, or it has no such parameter"

static const struct host_knob clock_sync = {
	OF_KVM("kvmclock_periodic_sync"), .kind = HOST_KNOB_NO, .bad = HOST_WARN, .write = "0",
	.means = "every 300 s all vCPUs are made to exit to update the guest's clock",
};
static const struct host_knob nx_huge_pages = {
	OF_KVM("nx_huge_pages"), .kind = HOST_KNOB_NO, .bad = HOST_FAIL, .write = "0",
	.means = "hugepages are split when code on them runs, and put together by a thread",
};
static const struct host_knob nx_ratio = {
	OF_KVM("nx_huge_pages_recovery_ratio"), .kind = HOST_KNOB_EQUAL, .bad = HOST_WARN, .want = 0,
	.means = "a thread zaps split pages once an hour: vCPUs fault them in again",
};
static const struct host_knob halt_poll = {
	OF_KVM("halt_poll_ns"), .kind = HOST_KNOB_EQUAL, .bad = HOST_WARN, .want = 0,
	.means = "a halted real-time vCPU spins at its priority; librtkvm sets it per VM",
};
static const struct host_knob min_timer = {
	OF_KVM("min_timer_period_us"), .kind = HOST_KNOB_AT_MOST, .bad = HOST_WARN, .want = 200,
	.means = "a guest's periodic timer is made slower than it asked for",
};
static const struct host_knob timer_advance = {
	OF_KVM("lapic_timer_advance"), .kind = HOST_KNOB_YES, .bad = HOST_WARN, .write = "1",
	.means = "guest timers are late by the time of a VM entry",
};
static const struct host_knob timer_advance_ns = {
	OF_KVM("lapic_timer_advance_ns"), .kind = HOST_KNOB_EQUAL, .bad = HOST_WARN, .want = -1, .low = -1,
	.means = "not adaptive: guest timers are late by the time of a VM entry, or early",
};
static const struct host_knob vmware = {
	OF_KVM("enable_vmware_backdoor"), .kind = HOST_KNOB_NO, .bad = HOST_WARN, .write = "0",
	.means = "each #GP of a guest exits and is emulated",
};
static const struct host_knob tdp_mmu = {
	OF_KVM("tdp_mmu"), .kind = HOST_KNOB_YES, .bad = HOST_WARN, .write = "1",
	.means = "page faults of all vCPUs take one lock",
};
static const struct host_knob eager_split = {
	OF_KVM("eager_page_split"), .kind = HOST_KNOB_YES, .bad = HOST_WARN, .write = "1",
	.means = "with dirty logging, vCPUs split hugepages on their own time",
};
static const struct host_knob ple_gap = {
	OF_INTEL("ple_gap"), .kind = HOST_KNOB_EQUAL, .bad = HOST_WARN, .want = 0,
	.means = "a guest that spins on a lock exits, although its CPU is its own",
};
static const struct host_knob pause_filter = {
	OF_AMD("pause_filter_count"), .kind = HOST_KNOB_EQUAL, .bad = HOST_WARN, .want = 0,
	.means = "a guest that spins on a lock exits, although its CPU is its own",
};
static const struct host_knob ept = {
	OF_INTEL("ept"), .flag = "ept", .kind = HOST_KNOB_YES, .bad = HOST_FAIL, .write = "1",
	.means = "shadow page tables: each change of a guest's page table exits",
};
static const struct host_knob npt = {
	OF_AMD("npt"), .flag = "npt", .kind = HOST_KNOB_YES, .bad = HOST_FAIL, .write = "1",
	.means = "shadow page tables: each change of a guest's page table exits",
};
static const struct host_knob preemption_timer = {
	OF_INTEL("preemption_timer"), .flag = "preemption_timer", .kind = HOST_KNOB_YES, .bad = HOST_WARN, .write = "1",
	.means = "guest timers are timers of the host: an interrupt more for each",
};
static const struct host_knob unrestricted = {
	OF_INTEL("unrestricted_guest"), .flag = "unrestricted_guest", .kind = HOST_KNOB_YES, .bad = HOST_WARN, .write = "1",
	.means = "real mode is emulated instruction by instruction",
};
static const struct host_knob vgif = {
	OF_AMD("vgif"), .flag = "vgif", .kind = HOST_KNOB_YES, .bad = HOST_WARN, .write = "1",
	.means = "nested guests exit for STGI and CLGI",
};

static const struct host_knob vpid = {
	OF_INTEL("vpid"), .flag = "vpid", .kind = HOST_KNOB_YES, .bad = HOST_WARN, .write = "1",
	.means = "each VM entry and exit flushes the TLB",
};
static const struct host_knob flexpriority = {
	OF_INTEL("flexpriority"), .flag = "flexpriority", .kind = HOST_KNOB_YES, .bad = HOST_WARN, .write = "1",
	.means = "a guest's accesses to its task priority exit",
};
static const struct host_knob pml = {
	OF_INTEL("pml"), .flag = "pml", .kind = HOST_KNOB_YES, .bad = HOST_WARN, .write = "1",
	.means = "with dirty logging, the first write to each page exits",
};
static const struct host_knob ipiv = {
	OF_INTEL("enable_ipiv"), .flag = "ipi_virt", .kind = HOST_KNOB_YES, .bad = HOST_WARN, .write = "1",
	.means = "IPIs between vCPUs exit",
};
static const struct host_knob vnmi = {
	OF_AMD("vnmi"), .flag = "vnmi", .kind = HOST_KNOB_YES, .bad = HOST_WARN, .write = "1",
	.means = "NMIs to a guest take single steps and exits",
};

const struct host_check host_checks_kvm[] = {
	{ "kvm-clock-sync", "virt", "no periodic sync of kvmclock", host_check_knob,
	  "The update makes all vCPUs exit at once.",
	  "arch/x86/kvm/x86.c, kvmclock_sync_fn(); tuned, realtime-virtual-host", &clock_sync },
	{ "kvm-nx-huge-pages", "virt", "no splitting of hugepages for iTLB multihit", host_check_knob,
	  "The mitigation splits a hugepage at the first instruction fetched from it; turn it off "
	  "only where all guests are trusted or the CPU is not affected.",
	  "Documentation/admin-guide/hw-vuln/multihit.rst", &nx_huge_pages },
	{ "kvm-nx-recovery", "virt", "no recovery of split hugepages", host_check_knob,
	  "kvm-nx-lpage-recovery zaps pages while the guest runs.",
	  "Documentation/admin-guide/kernel-parameters.txt, kvm.nx_huge_pages_recovery_ratio",
	  &nx_ratio },
	{ "kvm-halt-poll", "virt", "no host-wide halt polling", host_check_knob,
	  "Polling is good on a CPU of its own and starves others elsewhere; it is better set per VM "
	  "(KVM_CAP_HALT_POLL).",
	  "Documentation/virt/kvm/halt-polling.rst", &halt_poll },
	{ "kvm-min-timer", "virt", "guest timers as fast as asked for", host_check_knob,
	  "KVM slows periodic guest timers down to this period.",
	  "arch/x86/kvm/lapic.c, limit_periodic_timer_frequency()", &min_timer },
	{ "kvm-timer-advance", "virt", "guest timers fire ahead", host_check_knob,
	  "KVM lets the timer expire early by the measured time of a VM entry.",
	  "arch/x86/kvm/lapic.c, adjust_lapic_timer_advance()", &timer_advance },
	{ "kvm-timer-advance-ns", "virt", "guest timers fire ahead, adaptively", host_check_knob,
	  "The same in kernels before 6.10: -1 measures it.",
	  "Documentation/admin-guide/kernel-parameters.txt, kvm.lapic_timer_advance_ns",
	  &timer_advance_ns },
	{ "kvm-vmware-backdoor", "virt", "no VMware backdoor", host_check_knob,
	  "It intercepts all general-protection faults.",
	  "Documentation/admin-guide/kernel-parameters.txt, kvm.enable_vmware_backdoor", &vmware },
	{ "kvm-tdp-mmu", "virt", "page faults in parallel", host_check_knob,
	  "The older MMU code serialises the faults of all vCPUs.",
	  "Documentation/virt/kvm/locking.rst; arch/x86/kvm/mmu/tdp_mmu.c", &tdp_mmu },
	{ "kvm-eager-split", "virt", "hugepages split ahead for dirty logging", host_check_knob,
	  "Migration and snapshots turn dirty logging on; hugepages are then split by whoever writes.",
	  "Documentation/admin-guide/kernel-parameters.txt, kvm.eager_page_split", &eager_split },
	{ "kvm-ple-gap", "virt", "no pause-loop exits (Intel)", host_check_knob,
	  "The exit is meant for overcommitted CPUs.",
	  "Intel SDM vol. 3, 26.1.3; tuned, realtime-virtual-host", &ple_gap },
	{ "kvm-pause-filter", "virt", "no pause exits (AMD)", host_check_knob,
	  "The exit is meant for overcommitted CPUs.", "AMD APM vol. 2, 15.14.4", &pause_filter },
	{ "kvm-ept", "virt", "extended page tables (Intel)", host_check_knob,
	  "Without them the host follows each change of a guest's page tables.",
	  "Intel SDM vol. 3, 29.3", &ept },
	{ "kvm-npt", "virt", "nested page tables (AMD)", host_check_knob,
	  "Without them the host follows each change of a guest's page tables.",
	  "AMD APM vol. 2, 15.25", &npt },
	{ "kvm-preemption-timer", "virt", "guest timers by the VMX timer", host_check_knob,
	  "It counts while the guest runs and needs no interrupt of the host.",
	  "Intel SDM vol. 3, 26.5.1", &preemption_timer },
	{ "kvm-unrestricted-guest", "virt", "real mode without emulation", host_check_knob,
	  "Emulated firmware and boot loaders take seconds, at the vCPU's priority.",
	  "Intel SDM vol. 3, 26.6", &unrestricted },
	{ "kvm-vpid", "virt", "TLB entries kept over exits (Intel)", host_check_knob,
	  "Without tags, each VM entry begins with an empty TLB.", "Intel SDM vol. 3, 29.1", &vpid },
	{ "kvm-flexpriority", "virt", "task priority without exits (Intel)", host_check_knob,
	  "Guests that use the task-priority register write it often.", "Intel SDM vol. 3, 30.1.2",
	  &flexpriority },
	{ "kvm-pml", "virt", "dirty pages logged by the CPU (Intel)", host_check_knob,
	  "Otherwise a migration write-protects pages, and each first write exits.",
	  "Intel SDM vol. 3, 29.3.6; Documentation/virt/kvm/api.rst, 4.8", &pml },
	{ "kvm-ipiv", "virt", "IPIs without exits (Intel)", host_check_knob,
	  "A guest wakes its other CPUs by IPIs.", "Intel SDM vol. 3, 30.1.6", &ipiv },
	{ "kvm-vnmi", "virt", "virtual NMIs (AMD)", host_check_knob,
	  "Without them KVM steps through IRET to see when the next NMI may come.",
	  "AMD APM vol. 2, 15.21.10", &vnmi },
	{ "kvm-vgif", "virt", "virtual GIF (AMD)", host_check_knob,
	  "For guests that run guests.", "AMD APM vol. 2, 15.33", &vgif },
	{ .id = NULL },
};
