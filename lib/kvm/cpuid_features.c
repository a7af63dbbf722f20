/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUID bits as features: which ones a VM gets (phase 2), and whether the
 * vCPUs show them. Only bits that KVM can keep are ever set: those of the
 * VMM's own table, or of KVM_GET_SUPPORTED_CPUID when the VMM lent /dev/kvm.
 * How a table is edited is in cpuid.c.
 */
#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm.h"

static const struct {
	uint32_t bit;
	const char *name;
} pv_bits[] = {
	{ RTKVM_PV_STEAL_TIME, "steal-time" }, { RTKVM_PV_UNHALT, "pv-unhalt" },
	{ RTKVM_PV_TLB_FLUSH, "pv-tlb-flush" }, { RTKVM_PV_SEND_IPI, "pv-send-ipi" },
	{ RTKVM_PV_SCHED_YIELD, "pv-sched-yield" },
};

static struct kvm_cpuid2 *table_new(void)
{
	struct kvm_cpuid2 *table;

	table = calloc(1, sizeof(*table) + RTKVM_CPUID_MAX * sizeof(table->entries[0]));
	if (table)
		table->nent = RTKVM_CPUID_MAX;
	return table;
}

/* 0 or -errno. */
static int ask(int fd, unsigned long request, struct rtkvm_cpuid_bits *bits)
{
	struct kvm_cpuid2 *table = table_new();
	int ret = 0;

	if (!table)
		return -ENOMEM;
	if (ioctl(fd, request, table) < 0)
		ret = -errno;
	else
		ret = rtkvm_cpuid_check(table, RTKVM_CPUID_MAX);
	if (ret == 0)
		rtkvm_cpuid_read(table, bits);
	free(table);
	return ret;
}

void rtkvm_cpuid_ask_supported(struct rtkvm_vm *vm)
{
	vm->has_supported = vm->opt.kvm_fd >= 0 &&
			    ask(vm->opt.kvm_fd, KVM_GET_SUPPORTED_CPUID, &vm->supported) == 0;
}

void rtkvm_cpuid_read_vcpu(struct rtkvm_vcpu *vcpu)
{
	vcpu->cpuid_err = -ask(vcpu->fd, KVM_GET_CPUID2, &vcpu->cpuid);
	vcpu->has_cpuid = vcpu->cpuid_err == 0;
}

static bool keeps_hlt(const struct rtkvm_vm *vm)
{
	return vm->exits_taken & KVM_X86_DISABLE_EXITS_HLT;
}

static bool host_tsc_is_invariant(const struct rtkvm_vm *vm)
{
	unsigned int a, b, c, d;

	if (vm->has_supported)
		return vm->supported.power_edx & RTKVM_CPUID_INVARIANT_TSC;
	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & RTKVM_CPUID_INVARIANT_TSC);
}

static void rules_pv(const struct rtkvm_vm *vm, const struct rtkvm_cpuid_bits *table,
		     struct rtkvm_cpuid_rules *rules)
{
	uint32_t offered = vm->has_supported ? vm->supported.pv_eax : table->pv_eax;

	rules->pv = true;
	rules->set_pv_eax = offered & RTKVM_PV_WANTED;
	rules->add_pv = vm->has_supported && rules->set_pv_eax;
	/* a vCPU that halts in the guest cannot be woken by a hypercall: KVM clears it too */
	if (keeps_hlt(vm))
		rules->clear_pv_eax = RTKVM_PV_UNHALT;
	if (vm->opt.dedicated)
		rules->set_pv_edx = RTKVM_PV_HINT_REALTIME;
	else
		rules->clear_pv_edx = RTKVM_PV_HINT_REALTIME;
}

static void make_rules(const struct rtkvm_vm *vm, const struct rtkvm_cpuid_bits *table,
		       struct rtkvm_cpuid_rules *rules)
{
	bool lapic = rtkvm_vm_has_lapic(vm);

	memset(rules, 0, sizeof(*rules));
	rules->plain = vm->ded_features != 0;
	if (vm->opt.features & RTKVM_VM_PV_CPUID)
		rules_pv(vm, table, rules);
	if (vm->opt.features & RTKVM_VM_TSC) {
		if (lapic && rtkvm_vm_cap(vm, KVM_CAP_TSC_DEADLINE_TIMER))
			rules->set_leaf1_ecx |= RTKVM_CPUID_TSC_DEADLINE;
		if (host_tsc_is_invariant(vm))
			rules->set_power_edx |= RTKVM_CPUID_INVARIANT_TSC;
	}
	if ((vm->opt.features & RTKVM_VM_X2APIC) && lapic && vm->has_supported)
		rules->set_leaf1_ecx |= vm->supported.leaf1_ecx & RTKVM_CPUID_X2APIC;
}

int rtkvm_vm_edit_cpuid(struct rtkvm_vm *vm, struct kvm_cpuid2 *cpuid, uint32_t max_entries)
{
	struct rtkvm_cpuid_bits table;
	struct rtkvm_cpuid_rules rules;
	int ret;

	if (!vm || rtkvm_cpuid_check(cpuid, max_entries) < 0)
		return rtkvm_fail(vm ? vm->rt : NULL, EINVAL, "rtkvm_vm_edit_cpuid",
				  "give a table with nent <= max_entries",
				  vm && cpuid ? "CPUID table of %u entries with room for %u" :
						"vm or cpuid is NULL",
				  cpuid ? cpuid->nent : 0, max_entries);
	pthread_mutex_lock(&vm->lock);
	rtkvm_cpuid_read(cpuid, &table);
	make_rules(vm, &table, &rules);
	ret = rtkvm_cpuid_edit(cpuid, max_entries, &rules);
	if (ret == 0) {
		rtkvm_cpuid_read(cpuid, &vm->edited);
		vm->cpuid_edited = true;
	}
	pthread_mutex_unlock(&vm->lock);
	if (ret < 0)
		return rtkvm_fail(vm->rt, -ret, "rtkvm_vm_edit_cpuid",
				  "give a table with room for 2 more entries",
				  "no room for the KVM leaves: %u of %u entries are in use",
				  cpuid->nent, max_entries);
	return 0;
}

/* "a, b" of those bits; "none" for 0. */
static const char *pv_names(uint32_t bits, char buf[96])
{
	size_t len = 0;

	snprintf(buf, 96, "none");
	for (unsigned int i = 0; i < sizeof(pv_bits) / sizeof(pv_bits[0]); i++)
		if (bits & pv_bits[i].bit)
			len += (size_t)snprintf(buf + len, 96 - len, "%s%s", len ? ", " : "",
						pv_bits[i].name);
	return buf;
}

/*
 * The look that all CPUID features share. want: the bits that the edited table
 * has. Fills the finding in and returns false when it is settled; true: every
 * vCPU that has entered shows them.
 */
static bool shown(const struct rtkvm_vm *vm, const struct rtkvm_cpuid_bits *want,
		  struct rtkvm_finding *finding)
{
	unsigned int seen = 0;

	for (const struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next) {
		if (v->cpuid_err) {
			rtkvm_find(finding, RTKVM_STATE_UNVERIFIABLE, false,
				   "in the edited table; KVM_GET_CPUID2 of vCPU %u: %s", v->index,
				   strerror(v->cpuid_err));
			return false;
		}
		if (!v->has_cpuid)
			continue;
		seen++;
		if ((want->leaf1_ecx & ~v->cpuid.leaf1_ecx) ||
		    (want->power_edx & ~v->cpuid.power_edx) ||
		    (want->pv_eax & ~v->cpuid.pv_eax) ||
		    (want->has_pv &&
		     ((want->pv_edx ^ v->cpuid.pv_edx) & RTKVM_PV_HINT_REALTIME))) {
			rtkvm_find(finding, RTKVM_STATE_OFF, true,
				   "CPUID of vCPU %u is not the edited table: edit it before "
				   "KVM_SET_CPUID2, and that before rtkvm_vcpu_enter()",
				   v->index);
			return false;
		}
	}
	if (!seen)
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false,
			   "in the edited table; no vCPU has entered yet");
	return seen;
}

static bool was_edited(const struct rtkvm_vm *vm, struct rtkvm_finding *finding)
{
	if (!vm->cpuid_edited)
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "rtkvm_vm_edit_cpuid() has not been called");
	return vm->cpuid_edited;
}

void rtkvm_pv_look(const struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding)
{
	struct rtkvm_cpuid_bits want = {
		.has_pv = true,
		.pv_eax = vm->edited.pv_eax & RTKVM_PV_WANTED,
		.pv_edx = vm->edited.pv_edx & RTKVM_PV_HINT_REALTIME,
	};
	uint32_t lacks = RTKVM_PV_WANTED & ~want.pv_eax;
	char have[96], rest[96];

	(void)feature;
	if (!was_edited(vm, finding))
		return;
	if (keeps_hlt(vm))
		lacks &= ~RTKVM_PV_UNHALT;
	if (!want.pv_eax)
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   vm->has_supported ?
				   "this host's KVM offers none of the paravirtual bits" :
				   "the VMM's table has none of the paravirtual bits; with the kvm_fd "
				   "option those that KVM offers are added");
	else if (shown(vm, &want, finding))
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "CPUID of the vCPUs has %s; real-time hint %s; not %s: %s",
			   pv_names(want.pv_eax, have), want.pv_edx ? "set" : "clear",
			   vm->has_supported ? "offered by KVM" : "in the VMM's table",
			   pv_names(lacks, rest));
}

void rtkvm_tsc_look(const struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding)
{
	struct rtkvm_cpuid_bits want = {
		.leaf1_ecx = RTKVM_CPUID_TSC_DEADLINE,
		.power_edx = RTKVM_CPUID_INVARIANT_TSC,
	};

	(void)feature;
	if (!was_edited(vm, finding))
		return;
	if (!(vm->edited.leaf1_ecx & want.leaf1_ecx))
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "no TSC-deadline timer: it needs KVM_CAP_TSC_DEADLINE_TIMER and a local "
			   "APIC in the kernel, made before rtkvm_vm_edit_cpuid()");
	else if (!(vm->edited.power_edx & want.power_edx))
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "TSC-deadline timer only: this host's TSC is not invariant, or the "
			   "table has no leaf 0x80000007");
	else if (shown(vm, &want, finding))
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "CPUID of the vCPUs has the TSC-deadline timer and an invariant TSC");
}
