/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the live tests of lib/kvm share; see vm-support.h.
 */
#include <signal.h>
#include <stdio.h>

#include "live/runner.h"
#include "live/vm-support.h"
#include "support/test.h"

char reason[512];

struct rtkvm *context(const char *root)
{
	struct rtkvm_options opt;
	struct rtkvm *rt;

	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = root;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	return rt;
}

struct rtkvm_vm *take_up(struct rtkvm *rt, const struct guest *g, uint32_t features, int kvm_fd)
{
	struct rtkvm_vm_options opt;
	struct rtkvm_vm *vm;

	rtkvm_vm_options_init(&opt, sizeof(opt));
	opt.features = features;
	opt.kvm_fd = kvm_fd;
	opt.kick_signal = RUNNER_SIGNAL;
	ck_assert_int_eq(rtkvm_vm_new(rt, g->vm, NULL, &opt, &vm), 0);
	return vm;
}

int state(struct rtkvm_vm *vm, const char *feature)
{
	const struct rtkvm_report_item *item;
	struct rtkvm_report *report;
	int s;

	ck_assert_int_eq(rtkvm_vm_report(vm, &report), 0);
	item = rtkvm_report_find(report, feature);
	ck_assert_msg(item != NULL, "no item %s", feature);
	s = rtkvm_report_item_state(item);
	snprintf(reason, sizeof(reason), "%s%s", rtkvm_report_item_problem(item) ? "problem: " : "",
		 rtkvm_report_item_reason(item));
	ck_assert_str_ne(rtkvm_report_item_reason(item), "");
	rtkvm_report_free(report);
	return s;
}
