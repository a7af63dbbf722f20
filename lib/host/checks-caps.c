/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of what KVM can do for a VM: capabilities on a VM's descriptor,
 * paravirtual CPUID bits, and the features of the project's own kernel.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <string.h>

#include "caps.h"
#include "kvm.h"
#include "read.h"

/* The project's kernel patches (doc/design/doctor.md). */
#define CAP_DEDICATED_CPU 0x52540001
#define CAP_PVSCHED 0x52540002

enum {
	DISABLE_EXITS, HALT_POLL, X2APIC_API, DEADLINE, IMMEDIATE_EXIT, IRQFD, STATS, SPLIT,
	DEDICATED, PVSCHED
};

const struct host_cap_rule host_cap_rules[] = {
	[DISABLE_EXITS] = { "KVM_CAP_X86_DISABLE_EXITS", KVM_CAP_X86_DISABLE_EXITS,
		KVM_X86_DISABLE_EXITS_HLT, HOST_WARN, "a guest's HLT exits, and its wake-up goes through "
		"the scheduler" },
	[HALT_POLL] = { "KVM_CAP_HALT_POLL", KVM_CAP_HALT_POLL, 0, HOST_WARN,
		"halt polling can be set for all VMs only" },
	[X2APIC_API] = { "KVM_CAP_X2APIC_API", KVM_CAP_X2APIC_API, 0, HOST_WARN,
		"APIC ids above 254 cannot be routed to" },
	[DEADLINE] = { "KVM_CAP_TSC_DEADLINE_TIMER", KVM_CAP_TSC_DEADLINE_TIMER, 0, HOST_FAIL,
		"guests have no deadline timer" },
	[IMMEDIATE_EXIT] = { "KVM_CAP_IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT, 0, HOST_WARN,
		"a vCPU cannot be kicked without a race" },
	[IRQFD] = { "KVM_CAP_IRQFD", KVM_CAP_IRQFD, 0, HOST_FAIL,
		"interrupts of devices go through the VMM" },
	[STATS] = { "KVM_CAP_BINARY_STATS_FD", KVM_CAP_BINARY_STATS_FD, 0, HOST_WARN,
		"what a vCPU did cannot be counted" },
	[SPLIT] = { "KVM_CAP_SPLIT_IRQCHIP", KVM_CAP_SPLIT_IRQCHIP, 0, HOST_WARN,
		"PIC, IOAPIC and PIT cannot be kept out of the kernel, nor the kvm-pit thread" },
	[DEDICATED] = { "KVM_CAP_X86_DEDICATED_CPU", CAP_DEDICATED_CPU, 0, HOST_WARN,
		"a vCPU cannot run on a CPU that has left Linux" },
	[PVSCHED] = { "KVM_CAP_PVSCHED", CAP_PVSCHED, 0, HOST_WARN,
		"a guest cannot tell the host the priority of what it runs" },
	{ .name = NULL },
};

static bool have_kvm(struct host_facts *facts, struct host_finding *f, const struct host_kvm **kvm)
{
	*kvm = host_kvm(facts);
	if (!*kvm) {
		host_say(f, HOST_UNKNOWN, "out of memory");
	} else if ((*kvm)->err) {
		host_unreadable(facts, f, (*kvm)->step, (*kvm)->err);
		/* an answer, if the folder of devices is there */
		if ((*kvm)->err == -ENOENT && host_exists(facts, "/dev"))
			host_say(f, HOST_NA, "no /dev/kvm");
	}
	return *kvm && !(*kvm)->err;
}

static void check_kvm(struct host_facts *facts, const struct host_check *check,
		      struct host_finding *f)
{
	const struct host_kvm *kvm;

	(void)check;
	if (have_kvm(facts, f, &kvm)) {
		host_say(f, HOST_OK, "usable: a VM was made");
	} else if (f->verdict == HOST_NA) {
		host_say(f, HOST_FAIL, "no /dev/kvm");
		host_remedy(f, RTKVM_REMEDY_COMMAND, "modprobe %s", facts->vendor == HOST_VENDOR_AMD ?
			    "kvm_amd" : "kvm_intel");
	}
}

static void check_cap(struct host_facts *facts, const struct host_check *check,
		      struct host_finding *f)
{
	const struct host_cap_rule *rule = check->arg;
	const struct host_kvm *kvm;
	int64_t value;

	if (!have_kvm(facts, f, &kvm))
		return;
	value = host_kvm_cap(kvm, rule->cap);
	if (value == -ENODATA)
		value = 0;
	if (value < 0) {
		host_say(f, HOST_UNKNOWN, "KVM_CHECK_EXTENSION of %s failed", rule->name);
		return;
	}
	if (value > 0 && (value & rule->bits) == rule->bits) {
		host_say(f, HOST_OK, "%s = %lld", rule->name, (long long)value);
		return;
	}
	host_say(f, rule->bad, "%s = %lld: %s", rule->name, (long long)value, rule->means);
	host_remedy(f, RTKVM_REMEDY_MANUAL, rule->cap >= CAP_DEDICATED_CPU ?
		    "boot a kernel with the patches of librtkvm's kernel/" : "use a newer kernel");
}

static void check_pv(struct host_facts *facts, const struct host_check *check,
		     struct host_finding *f)
{
	const uint32_t want = 1u << KVM_FEATURE_CLOCKSOURCE_STABLE_BIT | 1u << KVM_FEATURE_CLOCKSOURCE2 |
			      1u << KVM_FEATURE_STEAL_TIME | 1u << KVM_FEATURE_PV_EOI;
	const struct host_kvm *kvm;

	(void)check;
	if (!have_kvm(facts, f, &kvm))
		return;
	if (!kvm->has_pv) {
		host_say(f, HOST_UNKNOWN, "KVM_GET_SUPPORTED_CPUID has no leaf 0x40000001");
	} else if ((kvm->pv_eax & want) == want) {
		host_say(f, HOST_OK, "0x%08x", kvm->pv_eax);
	} else {
		host_say(f, HOST_WARN, "0x%08x lacks 0x%08x of stable clock, kvmclock, steal time, EOI",
			 kvm->pv_eax, want & ~kvm->pv_eax);
		host_remedy(f, RTKVM_REMEDY_MANUAL, "use a newer kernel; a stable clock needs a host "
						    "that reads its time from the TSC");
	}
}

#define RULE(n) &host_cap_rules[n]

const struct host_check host_checks_caps[] = {
	{ "virt-kvm", "virt", "KVM can be used", check_kvm,
	  "Without KVM there is no VM to make real-time.", "Documentation/virt/kvm/api.rst", NULL },
	{ "kvm-cap-disable-exits", "virt", "HLT can stay in the guest", check_cap,
	  "A HLT that does not exit is woken by the hardware, in a microsecond.",
	  "Documentation/virt/kvm/api.rst, 7.13", RULE(DISABLE_EXITS) },
	{ "kvm-cap-halt-poll", "virt", "halt polling per VM", check_cap,
	  "Real-time VMs want another value than the others.", "Documentation/virt/kvm/api.rst, 7.20",
	  RULE(HALT_POLL) },
	{ "kvm-cap-x2apic", "virt", "x2APIC ids", check_cap,
	  "Guests that use x2APIC reach their APIC by MSR, which costs less.",
	  "Documentation/virt/kvm/api.rst, 7.7", RULE(X2APIC_API) },
	{ "kvm-cap-deadline", "virt", "deadline timer", check_cap,
	  "A one-shot timer with one write instead of three.", "Intel SDM vol. 3, 11.5.4.1",
	  RULE(DEADLINE) },
	{ "kvm-cap-immediate-exit", "virt", "kicks without a race", check_cap,
	  "A kick that comes just before KVM_RUN must not be lost.",
	  "Documentation/virt/kvm/api.rst, 5, immediate_exit", RULE(IMMEDIATE_EXIT) },
	{ "kvm-cap-irqfd", "virt", "interrupts by eventfd", check_cap,
	  "The interrupt is injected where it arises, without the VMM's thread.",
	  "Documentation/virt/kvm/api.rst, 4.75", RULE(IRQFD) },
	{ "kvm-cap-stats", "virt", "KVM's counters", check_cap,
	  "They show exits by reason without tracing.", "Documentation/virt/kvm/api.rst, 4.133",
	  RULE(STATS) },
	{ "kvm-cap-split-irqchip", "virt", "PIT outside of the kernel", check_cap,
	  "The kernel's PIT has a thread of its own that must be placed.",
	  "Documentation/virt/kvm/api.rst, 7.5", RULE(SPLIT) },
	{ "kvm-pv-bits", "virt", "paravirtual features", check_pv,
	  "A stable paravirtual clock, steal time and EOI save a guest exits.",
	  "Documentation/virt/kvm/x86/cpuid.rst", NULL },
	{ "kvm-dedicated-cpu", "virt", "kernel with dedicated CPUs", check_cap,
	  "A vCPU on a CPU that has left Linux is interrupted by nothing of the host.",
	  "kernel/README.md", RULE(DEDICATED) },
	{ "kvm-pvsched", "virt", "kernel with paravirtual scheduling", check_cap,
	  "The host can run the vCPU with the urgent task first.", "kernel/README.md", RULE(PVSCHED) },
	{ .id = NULL },
};
