/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of features: enable what is wanted, look at what became of it. How
 * each one works is in its own file.
 */
#include <stdarg.h>
#include <stdio.h>

#include "kvm.h"

void rtkvm_find(struct rtkvm_finding *finding, int state, bool problem, const char *fmt, ...)
{
	va_list ap;

	finding->state = state;
	finding->problem = problem;
	va_start(ap, fmt);
	vsnprintf(finding->reason, sizeof(finding->reason), fmt, ap);
	va_end(ap);
}

/* In the order of the report. */
static const struct {
	uint32_t bit;
	const char *name;
	/* NULL: nothing is done to the VM at phase 1 */
	void (*enable)(struct rtkvm_vm *vm, uint32_t bit, struct rtkvm_finding *finding);
	void (*look)(const struct rtkvm_vm *vm, uint32_t bit, struct rtkvm_finding *finding);
} table[] = {
	{ RTKVM_VM_NOEXIT_HLT, "noexit-hlt", rtkvm_exits_enable, rtkvm_exits_look },
	{ RTKVM_VM_NOEXIT_PAUSE, "noexit-pause", rtkvm_exits_enable, rtkvm_exits_look },
	{ RTKVM_VM_NOEXIT_MWAIT, "noexit-mwait", rtkvm_exits_enable, rtkvm_exits_look },
	{ RTKVM_VM_NOEXIT_CSTATE, "noexit-cstate", rtkvm_exits_enable, rtkvm_exits_look },
	{ RTKVM_VM_HALT_POLL, "halt-poll", rtkvm_haltpoll_enable, rtkvm_haltpoll_look },
	{ RTKVM_VM_X2APIC, "x2apic", rtkvm_x2apic_enable, rtkvm_x2apic_look },
	{ RTKVM_VM_PV_CPUID, "pv-cpuid", NULL, rtkvm_pv_look },
	{ RTKVM_VM_TSC, "tsc", NULL, rtkvm_tsc_look },
	{ RTKVM_VM_CSTATE_HOLD, "cstate-hold", NULL, rtkvm_cstate_look },
	{ RTKVM_VM_DEDICATED_CPU, "dedicated-cpu", rtkvm_dedicated_enable, rtkvm_dedicated_look },
};

_Static_assert(sizeof(table) / sizeof(table[0]) == RTKVM_VM_FEATURES, "one line per feature");

void rtkvm_features_enable(struct rtkvm_vm *vm)
{
	rtkvm_exits_disable(vm);
	for (unsigned int i = 0; i < RTKVM_VM_FEATURES; i++) {
		rtkvm_find(&vm->base[i], RTKVM_STATE_OFF, false, "not asked for");
		if ((vm->opt.features & table[i].bit) && table[i].enable)
			table[i].enable(vm, table[i].bit, &vm->base[i]);
	}
}

const char *rtkvm_feature_name(unsigned int i)
{
	return table[i].name;
}

void rtkvm_feature_look(const struct rtkvm_vm *vm, unsigned int i, struct rtkvm_finding *finding)
{
	*finding = vm->base[i];
	if (vm->opt.features & table[i].bit)
		table[i].look(vm, table[i].bit, finding);
}

int rtkvm_features_first_off(const struct rtkvm_vm *vm, struct rtkvm_finding *finding)
{
	for (unsigned int i = 0; i < RTKVM_VM_FEATURES; i++) {
		rtkvm_feature_look(vm, i, finding);
		if (finding->state == RTKVM_STATE_OFF && finding->problem)
			return (int)i;
	}
	return -1;
}
