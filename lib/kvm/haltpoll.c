/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Halt polling of one VM (KVM_CAP_HALT_POLL): how long the vCPU's thread spins
 * in the host after HLT before it sleeps. Observed by KVM's counters.
 *
 * That a VM does not poll shows something only if it would poll otherwise: KVM
 * begins to poll after a few halts that are shorter than the host's own limit.
 */
#include <linux/kvm.h>
#include <string.h>

#include "core/file.h"
#include "kvm.h"

#define HOST_LIMIT "/sys/module/kvm/parameters/halt_poll_ns"
#define HOST_LIMIT_DEFAULT 200000 /* KVM_HALT_POLL_NS_DEFAULT of x86 */

/* Halts after which a VM that may poll has polled. */
#define ENOUGH_HALTS 16

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

/* Longest polling of a VM that was not told otherwise, ns. */
static uint64_t host_limit(const struct rtkvm_vm *vm)
{
	char text[32];
	int64_t ns;

	if (rtkvm_file_read_quiet(vm->rt, HOST_LIMIT, text, sizeof(text)) < 0 ||
	    !rtkvm_parse_i64(text, 0, UINT32_MAX, &ns))
		return HOST_LIMIT_DEFAULT;
	return (uint64_t)ns;
}

static void look_at_none(const struct rtkvm_vm *vm, const struct polling *p,
			 struct rtkvm_finding *finding)
{
	uint64_t mean = p->halts ? p->slept / p->halts : 0, host = host_limit(vm);
	unsigned long long halts = p->halts;

	if (p->polls)
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "KVM took 0 ns, but polled %llu times after %llu halts",
			   (unsigned long long)p->polls, halts);
	/* without an in-kernel local APIC halts go to the VMM: nothing sleeps */
	else if (halts < ENOUGH_HALTS || !p->slept)
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false,
			   "KVM took 0 ns; only %llu halts so far, none polled", halts);
	else if (mean > host)
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false,
			   "KVM took 0 ns; %llu halts, none polled, but at %llu ns on average none "
			   "would be (the host's limit is %llu ns)",
			   halts, (unsigned long long)mean, (unsigned long long)host);
	else
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "0 ns: %llu halts of %llu ns on average, none polled; the host's limit "
			   "is %llu ns",
			   halts, (unsigned long long)mean, (unsigned long long)host);
}

static void look_at_some(uint32_t limit, const struct polling *p, struct rtkvm_finding *finding)
{
	uint64_t mean = p->fails ? p->fail_ns / p->fails : 0;

	if (!p->polls)
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false,
			   "KVM took %u ns; no vCPU has polled yet", limit);
	else if (mean > 2ULL * limit)
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false,
			   "KVM took %u ns, but %llu polls took %llu ns each on average", limit,
			   (unsigned long long)p->fails, (unsigned long long)mean);
	else
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "at most %u ns: polled %llu times after %llu halts", limit,
			   (unsigned long long)p->polls, (unsigned long long)p->halts);
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
	if (!p.known)
		rtkvm_find(finding, RTKVM_STATE_UNVERIFIABLE, false,
			   "KVM took %u ns; there are no statistics to tell by", limit);
	else if (limit)
		look_at_some(limit, &p, finding);
	else
		look_at_none(vm, &p, finding);
}
