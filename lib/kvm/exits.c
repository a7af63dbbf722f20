/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest instructions that do not exit (KVM_CAP_X86_DISABLE_EXITS). KVM takes
 * the mask before the first vCPU only; later calls are refused, or, on
 * kernels before 6.3, return 0 and do nothing for the vCPUs there are.
 *
 * That KVM accepts a bit does not mean that the instruction stays in the
 * guest: a software KVM accepts HLT and goes on blocking in the host.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "kvm.h"

static uint32_t kvm_bit(uint32_t feature)
{
	switch (feature) {
	case RTKVM_VM_NOEXIT_HLT:
		return KVM_X86_DISABLE_EXITS_HLT;
	case RTKVM_VM_NOEXIT_PAUSE:
		return KVM_X86_DISABLE_EXITS_PAUSE;
	case RTKVM_VM_NOEXIT_MWAIT:
		return KVM_X86_DISABLE_EXITS_MWAIT;
	default:
		return KVM_X86_DISABLE_EXITS_CSTATE;
	}
}

static const char *instruction(uint32_t feature)
{
	switch (feature) {
	case RTKVM_VM_NOEXIT_HLT:
		return "HLT";
	case RTKVM_VM_NOEXIT_PAUSE:
		return "PAUSE";
	case RTKVM_VM_NOEXIT_MWAIT:
		return "MWAIT";
	default:
		return "reading a C-state MSR";
	}
}

/* One ioctl for all: some kernels forget bits of an earlier one. */
void rtkvm_exits_disable(struct rtkvm_vm *vm)
{
	static const uint32_t features[] = { RTKVM_VM_NOEXIT_HLT, RTKVM_VM_NOEXIT_PAUSE,
					     RTKVM_VM_NOEXIT_MWAIT, RTKVM_VM_NOEXIT_CSTATE };
	uint32_t want = 0;
	int can = rtkvm_vm_cap(vm, KVM_CAP_X86_DISABLE_EXITS);

	for (unsigned int i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (vm->opt.features & features[i])
			want |= kvm_bit(features[i]);
	want &= (uint32_t)can;
	vm->probe = RTKVM_PROBE_NONE;
	if (!want)
		return;
	vm->exits_err = -rtkvm_vm_enable_cap(vm, KVM_CAP_X86_DISABLE_EXITS, want);
	if (vm->exits_err)
		return;
	vm->exits_taken = want;
	if (want & KVM_X86_DISABLE_EXITS_HLT)
		vm->probe = rtkvm_probe_hlt(vm->opt.kvm_fd, vm->probe_why, sizeof(vm->probe_why));
}

void rtkvm_exits_enable(struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding)
{
	int can = rtkvm_vm_cap(vm, KVM_CAP_X86_DISABLE_EXITS);
	uint32_t bit = kvm_bit(feature);

	if (!can)
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "this VM has no KVM_CAP_X86_DISABLE_EXITS");
	else if (!((uint32_t)can & bit))
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "this host's KVM cannot keep %s from exiting "
			   "(KVM_CAP_X86_DISABLE_EXITS has only 0x%x)",
			   instruction(feature), (unsigned int)can);
	else if (!(vm->exits_taken & bit))
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "KVM_CAP_X86_DISABLE_EXITS refused: %s; take the VM up before its first "
			   "vCPU is made",
			   strerror(vm->exits_err));
	else
		rtkvm_find(finding, RTKVM_STATE_UNVERIFIABLE, false,
			   "KVM took it; no counter of KVM tells whether %s exits",
			   instruction(feature));
}

/* Exits by HLT of all vCPUs since they were taken up; false: no statistics. */
static bool count_halts(const struct rtkvm_vm *vm, uint64_t *halts)
{
	*halts = 0;
	for (const struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next) {
		uint64_t n;

		if (rtkvm_stats_get(&v->stats, "halt_exits", &n) < 0)
			return false;
		*halts += n - v->halts0;
	}
	return vm->stats_err == 0;
}

void rtkvm_exits_look(const struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding)
{
	uint64_t halts;
	bool counted;

	/* only HLT has a counter, and a probe */
	if (finding->state == RTKVM_STATE_OFF || feature != RTKVM_VM_NOEXIT_HLT)
		return;
	counted = count_halts(vm, &halts);
	if (counted && halts)
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "accepted by KVM, but HLT exits all the same: %llu times so far",
			   (unsigned long long)halts);
	else if (vm->probe == RTKVM_PROBE_EXITS)
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "accepted by KVM, but HLT exits all the same: seen in a probe VM");
	else if (vm->probe == RTKVM_PROBE_STAYS)
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "HLT of a probe VM stayed in the guest%s",
			   counted ? ", and no vCPU of this one exited by HLT" : "");
	else if (counted)
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false,
			   "KVM took it; no vCPU exited by HLT so far; not probed: %s",
			   vm->probe_why);
	else
		rtkvm_find(finding, RTKVM_STATE_UNVERIFIABLE, false,
			   "KVM took it; there are no statistics to tell by; not probed: %s",
			   vm->probe_why);
}
