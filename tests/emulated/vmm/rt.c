/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --plan: the VMM made real-time by librtkvm, in the phases that vm.h names; and the
 * library's own reading of KVM's counters held against the raw one. Nothing else
 * of the VMM calls the library.
 */
#include <stdio.h>
#include <string.h>

#include <rtkvm/rtkvm.h>

#include "vmm.h"

static struct rtkvm *rt;
static struct rtkvm_plan *plan;
static struct rtkvm_vm *vm;
static struct rtkvm_vcpu *vcpus[PAYLOAD_MAX_CPUS];
static uint64_t exits[PAYLOAD_MAX_CPUS];

static int say(int ret)
{
	return ret < 0 ? complain("%s", rtkvm_last_error()) : 0;
}

int rt_open(struct vmm *m)
{
	struct rtkvm_vm_options options;

	if (!m->plan)
		return 0;
	rtkvm_vm_options_init(&options, sizeof(options));
	options.kvm_fd = m->kvm;
	if (rtkvm_new(NULL, &rt) < 0 || rtkvm_plan_parse(rt, m->plan, &plan) < 0)
		return say(-1);
	return say(rtkvm_vm_new(rt, m->vm, plan, &options, &vm));
}

int rt_cpuid(struct kvm_cpuid2 *cpuid, unsigned int room)
{
	return vm ? say(rtkvm_vm_edit_cpuid(vm, cpuid, room)) : 0;
}

int rt_vcpu(struct vcpu *v)
{
	return vm ? say(rtkvm_vcpu_new(vm, v->index, v->fd, &vcpus[v->index])) : 0;
}

int rt_enter(struct vcpu *v)
{
	return vm ? say(rtkvm_vcpu_enter(vcpus[v->index])) : 0;
}

void rt_sync(struct vcpu *v)
{
	if (vm && rtkvm_vcpu_sync(vcpus[v->index]) < 0)
		complain("vCPU %u: rtkvm_vcpu_sync() failed", v->index);
}

void rt_leave(struct vcpu *v)
{
	if (vm)
		rtkvm_vcpu_leave(vcpus[v->index]);
}

int rt_realtime(void)
{
	return vm ? say(rtkvm_vm_go_realtime(vm, 0)) : 0;
}

int rt_count(struct vmm *m, bool begin)
{
	for (unsigned int i = 0; vm && i < m->vcpus; i++) {
		uint64_t now;

		if (rtkvm_vcpu_get_stat(vcpus[i], "exits", &now) < 0)
			return say(-1);
		exits[i] = begin ? now : now - exits[i];
		if (!begin && m->broken && !strcmp(m->broken, "misread"))
			exits[i]++;
	}
	return 0;
}

int rt_compare(struct vmm *m)
{
	int differ = 0;

	for (unsigned int i = 0; vm && i < m->vcpus; i++) {
		/* the raw one without the exit of the end mark, see figures.c */
		if (m->vcpu[i].stats.there && exits[i] != m->vcpu[i].stats.exits + 1) {
			complain("vCPU %u: the library reads %llu exits, raw they are %llu", i,
				 (unsigned long long)exits[i],
				 (unsigned long long)m->vcpu[i].stats.exits + 1);
			differ++;
		}
	}
	return differ;
}

void rt_report(void)
{
	struct rtkvm_report *report;
	const struct rtkvm_report_item *item = NULL;

	if (!vm || say(rtkvm_vm_report(vm, &report)) < 0)
		return;
	while ((item = rtkvm_report_next(report, item))) {
		char name[64];

		snprintf(name, sizeof(name), "library.%.50s", rtkvm_report_item_feature(item));
		figures_add(name, rtkvm_report_state_name(rtkvm_report_item_state(item)));
	}
	rtkvm_report_free(report);
}

void rt_close(void)
{
	if (vm)
		rtkvm_vm_free(vm);
	if (plan)
		rtkvm_plan_free(plan);
	if (rt)
		rtkvm_free(rt);
	vm = NULL;
	plan = NULL;
	rt = NULL;
}
