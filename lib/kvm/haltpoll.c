/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Halt polling of one VM (KVM_CAP_HALT_POLL): how long the vCPU's thread spins
 * in the host after HLT before it sleeps. Observed by KVM's counters.
 */
#include <linux/kvm.h>
#include <string.h>

#include "kvm.h"

/* What polling did so far, all vCPUs together. */
struct polling {
	bool known;	  /* there are statistics */
	uint64_t halts;	  /* HLT exits since the vCPUs were taken up */
	uint64_t polls;	  /* polls tried since then */
	uint64_t slept;	  /* ns that vCPUs slept in the kernel */
	uint64_t fails;	  /* polls that ended without a wake-up */
	uint64_t fail_ns; /* and how long they took */
};

void rtkvm_haltpoll_enable(struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding)
{
	int err;

	(void)feature;
	if (!rtkvm_vm_cap(vm, KVM_CAP_HALT_POLL)) {
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "this VM has no KVM_CAP_HALT_POLL (Linux 5.11): set the kvm module's "
			   "halt_poll_ns, which is for all VMs of the host");
		return;
	}
	err = -rtkvm_vm_enable_cap(vm, KVM_CAP_HALT_POLL, vm->opt.halt_poll_ns);
	if (err)
		rtkvm_find(finding, RTKVM_STATE_OFF, true, "KVM_CAP_HALT_POLL refused %u ns: %s",
			   vm->opt.halt_poll_ns, strerror(err));
	else
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false, "KVM took %u ns",
			   vm->opt.halt_poll_ns);
}

static void add_up(const struct rtkvm_vm *vm, struct polling *p)
{
	memset(p, 0, sizeof(*p));
	p->known = vm->stats_err == 0;
	for (const struct rtkvm_vcpu *v = vm->vcpus; v && p->known; v = v->next) {
		uint64_t halts, polls, won, slept, fail_ns;

		p->known = !rtkvm_stats_get(&v->stats, "halt_exits", &halts) &&
			   !rtkvm_stats_get(&v->stats, "halt_attempted_poll", &polls) &&
			   !rtkvm_stats_get(&v->stats, "halt_successful_poll", &won) &&
			   !rtkvm_stats_get(&v->stats, "halt_wait_ns", &slept) &&
			   !rtkvm_stats_get(&v->stats, "halt_poll_fail_ns", &fail_ns);
		if (!p->known)
			break;
		p->halts += halts - v->halts0;
		p->polls += polls - v->polls0;
		p->slept += slept;
		p->fails += polls > won ? polls - won : 0;
		p->fail_ns += fail_ns;
	}
}

void rtkvm_haltpoll_look(const struct rtkvm_vm *vm, uint32_t feature,
			 struct rtkvm_finding *finding)
{
	uint32_t limit = vm->opt.halt_poll_ns;
	struct polling p;

	(void)feature;
	if (finding->state == RTKVM_STATE_OFF)
		return;
	add_up(vm, &p);
	if (!p.known) {
		rtkvm_find(finding, RTKVM_STATE_UNVERIFIABLE, false,
			   "KVM took %u ns; there are no statistics to tell by", limit);
	} else if (limit == 0 && p.polls) {
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "KVM took 0 ns, but polled %llu times after %llu halts",
			   (unsigned long long)p.polls, (unsigned long long)p.halts);
	} else if (limit == 0 && p.halts && p.slept) {
		/* without an in-kernel local APIC halts go to the VMM: nothing sleeps */
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "0 ns: %llu halts so far, none polled", (unsigned long long)p.halts);
	} else if (limit && p.fails && p.fail_ns / p.fails > 2ULL * limit) {
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false,
			   "KVM took %u ns, but %llu polls took %llu ns each on average", limit,
			   (unsigned long long)p.fails, (unsigned long long)(p.fail_ns / p.fails));
	} else if (limit && p.polls) {
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "at most %u ns: polled %llu times after %llu halts", limit,
			   (unsigned long long)p.polls, (unsigned long long)p.halts);
	} else {
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false,
			   "KVM took %u ns; no vCPU has %s yet", limit,
			   limit ? "polled" : "slept in a halt");
	}
}
