/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the vCPUs of a VM tell about their threads, about kicks and about
 * immediate_exit: the report's items that are not features to ask for.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "kvm.h"

void rtkvm_vcpus_look_threads(const struct rtkvm_vm *vm, struct rtkvm_finding *finding)
{
	unsigned int seen = 0, waiting = 0;

	if (!vm->plan) {
		rtkvm_find(finding, RTKVM_STATE_OFF, false,
			   "no plan: the threads are the VMM's own affair");
		return;
	}
	if (!atomic_load(&vm->realtime)) {
		rtkvm_find(finding, RTKVM_STATE_OFF, false, "raised when the VM goes real-time");
		return;
	}
	for (const struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next) {
		int found = atomic_load(&v->sched_seen);

		if (found == RTKVM_SCHED_DIFFERS) {
			rtkvm_find(finding, RTKVM_STATE_OFF, true,
				   "the thread of vCPU %u runs with policy %d and priority %d, which "
				   "is not what the plan says",
				   v->index, atomic_load(&v->sched_policy),
				   atomic_load(&v->sched_priority));
			return;
		}
		seen += found == RTKVM_SCHED_AS_PLANNED;
		waiting += found == RTKVM_SCHED_UNSEEN;
	}
	if (seen && !waiting)
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "each vCPU thread saw itself scheduled as planned (%u)", seen);
	else
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false,
			   "the plan is real-time; vCPUs that came to rtkvm_vcpu_sync() since: %u of "
			   "%u",
			   seen, seen + waiting);
}

void rtkvm_vcpus_look_kick(const struct rtkvm_vm *vm, struct rtkvm_finding *finding)
{
	unsigned long long sent = 0, ended = 0;
	bool counted = vm->stats_err == 0;
	int sig = vm->opt.kick_signal;

	if (!sig) {
		rtkvm_find(finding, RTKVM_STATE_OFF, false,
			   "no kick_signal: a kick waits until the vCPU exits by itself");
		return;
	}
	for (const struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next) {
		uint64_t n = 0;

		if (v->signal_unhandled) {
			rtkvm_find(finding, RTKVM_STATE_OFF, true,
				   "signal %d had no handler when vCPU %u was entered: install one "
				   "before",
				   sig, v->index);
			return;
		}
		sent += atomic_load(&v->kicks);
		if (rtkvm_stats_get(&v->stats, "signal_exits", &n) < 0)
			counted = false;
		ended += n - v->signals0;
	}
	if (!counted)
		rtkvm_find(finding, RTKVM_STATE_UNVERIFIABLE, false,
			   "signal %d; there are no statistics to tell whether it ends KVM_RUN", sig);
	else if (sent && ended)
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "signal %d: kicks sent %llu, KVM_RUNs ended by a signal %llu", sig, sent,
			   ended);
	else
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false,
			   "signal %d: kicks sent %llu, none met a vCPU in KVM_RUN yet", sig, sent);
}

void rtkvm_vcpus_look_immediate_exit(const struct rtkvm_vm *vm, struct rtkvm_finding *finding)
{
	unsigned int seen = 0;

	if (!vm->has_immediate_exit) {
		rtkvm_find(finding, RTKVM_STATE_OFF, true,
			   "this VM has no KVM_CAP_IMMEDIATE_EXIT (Linux 4.13): a kick just before "
			   "KVM_RUN is lost");
		return;
	}
	for (const struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next) {
		if (!v->run_errno)
			continue;
		if (v->run_errno != EINTR) {
			rtkvm_find(finding, RTKVM_STATE_OFF, true,
				   "KVM_RUN of vCPU %u did not come back with EINTR: %s", v->index,
				   v->run_errno < 0 ? "it ran the guest" : strerror(v->run_errno));
			return;
		}
		seen++;
	}
	if (seen)
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "KVM_RUN came back without running the guest (vCPUs: %u)", seen);
	else
		rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false, "no vCPU has entered yet");
}
