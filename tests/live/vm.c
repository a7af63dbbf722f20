/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Live tests of lib/kvm, part one: phases, foreign descriptors, features and
 * what the report says of them. On the real /dev/kvm.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "live/guest.h"
#include "live/runner.h"
#include "live/vm-support.h"
#include "support/test.h"

START_TEST(options_are_checked)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vm_options opt;
	struct rtkvm_vm *vm;
	struct guest g;

	NEED_KVM();
	guest_open(&g, true);
#define REFUSED(field, value, err)                                              \
	do {                                                                    \
		rtkvm_vm_options_init(&opt, sizeof(opt));                       \
		opt.field = (value);                                            \
		vm = (void *)1;                                                 \
		ck_assert_int_eq(rtkvm_vm_new(rt, g.vm, NULL, &opt, &vm), err); \
		ck_assert_ptr_null(vm);                                         \
	} while (0)
	REFUSED(features, 1024, -EINVAL);
	REFUSED(max_exit_us, -1, -EINVAL);
	REFUSED(kick_signal, SIGKILL, -EINVAL);
	REFUSED(kick_signal, SIGSTOP, -EINVAL);
	REFUSED(kick_signal, 65, -EINVAL);
	REFUSED(kick_signal, 33, -EINVAL);
	REFUSED(kick_signal, -1, -EINVAL);
	REFUSED(dedicated, 2, -EINVAL);
	REFUSED(kvm_fd, g.vm, -EINVAL);
	REFUSED(kvm_fd, -7, -EINVAL);
	REFUSED(reserved[5], 1, -E2BIG);
	REFUSED(size, 0, -EINVAL);
#undef REFUSED
	ck_assert_int_eq(rtkvm_vm_new(NULL, g.vm, NULL, NULL, &vm), -EINVAL);
	ck_assert_int_eq(rtkvm_vm_new(rt, g.vm, NULL, NULL, NULL), -EINVAL);
	/* none of them left anything: the VM is still to be had */
	ck_assert_int_eq(rtkvm_vm_new(rt, g.vm, NULL, NULL, &vm), 0);
	rtkvm_vm_free(vm);
	rtkvm_vm_free(NULL);
	rtkvm_vcpu_free(NULL);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

START_TEST(foreign_descriptors)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	int null, event, closed;
	struct guest g;

	NEED_KVM();
	guest_open(&g, true);
	null = open("/dev/null", O_RDWR);
	event = eventfd(0, 0);
	closed = fcntl(null, F_DUPFD, 500);
	close(closed); /* too high to be given out again */
	guest_add_vcpu(&g, 1, GUEST_HALTS, NULL);
	ck_assert_int_eq(rtkvm_vm_new(rt, null, NULL, NULL, &vm), -EINVAL);
	ck_assert_int_eq(rtkvm_vm_new(rt, event, NULL, NULL, &vm), -EINVAL);
	ck_assert_int_eq(rtkvm_vm_new(rt, g.kvm, NULL, NULL, &vm), -EINVAL);
	ck_assert_int_eq(rtkvm_vm_new(rt, g.vcpu[1], NULL, NULL, &vm), -EINVAL);
	ck_assert_int_eq(rtkvm_vm_new(rt, closed, NULL, NULL, &vm), -EBADF);
	ck_assert_int_eq(rtkvm_vm_new(rt, -1, NULL, NULL, &vm), -EBADF);
	ck_assert_int_eq(rtkvm_vm_new(rt, g.vm, NULL, NULL, &vm), 0);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 1, null, &vcpu), -EINVAL);
	ck_assert_ptr_null(vcpu);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 1, event, &vcpu), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 1, g.kvm, &vcpu), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 1, g.vm, &vcpu), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 1, closed, &vcpu), -EBADF);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 1, g.vcpu[1], NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_new(NULL, 1, g.vcpu[1], &vcpu), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 1, g.vcpu[1], &vcpu), 0);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 1, g.vcpu[1], &vcpu), -EEXIST);
	ck_assert_ptr_null(vcpu);
	rtkvm_vm_free(vm);
	close(null);
	close(event);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* A vCPU is taken up under the number that it was made with. */
START_TEST(vcpu_of_another_number)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct guest g;

	NEED_KVM();
	guest_open(&g, true);
	vm = take_up(rt, &g, 0, -1);
	guest_add_vcpu(&g, 1, GUEST_HALTS, NULL);
	if (state(vm, "stats") == RTKVM_STATE_OFF)
		SKIP_TEST("KVM has no KVM_GET_STATS_FD (Linux 5.14)");
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 0, g.vcpu[1], &vcpu), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 1, g.vcpu[1], &vcpu), 0);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

START_TEST(phases_in_wrong_order)
{
	struct rtkvm *rt = context(test_tmpdir());
	struct kvm_cpuid2 *cpuid;
	struct rtkvm_report *report;
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct guest g;
	uint64_t v;

	NEED_KVM();
	guest_open(&g, true);
	vm = take_up(rt, &g, RTKVM_VM_NOEXIT_HLT | RTKVM_VM_X2APIC | RTKVM_VM_PV_CPUID, -1);
	guest_add_vcpu(&g, 0, GUEST_HALTS, NULL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 0, g.vcpu[0], &vcpu), 0);
	ck_assert_int_eq(rtkvm_vcpu_kick(vcpu), -ESRCH);
	ck_assert_int_eq(rtkvm_vcpu_leave(vcpu), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu), 0);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu), 0);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu), 0);
	/* CPUID was set before it was edited: the report says so */
	ASSERT_STATE(vm, "pv-cpuid", RTKVM_STATE_OFF);
	ck_assert_ptr_nonnull(strstr(reason, "rtkvm_vm_edit_cpuid"));
	ck_assert_int_eq(rtkvm_vcpu_leave(vcpu), 0);
	ck_assert_int_eq(rtkvm_vcpu_leave(vcpu), -EINVAL);
	ck_assert_int_eq(rtkvm_vm_leave_realtime(vm), 0);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 2), -EINVAL);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), -EALREADY);
	ck_assert_int_eq(rtkvm_vm_leave_realtime(vm), 0);
	rtkvm_vm_free(vm);

	/* a VM that has a vCPU already: what comes too late is off, not an error */
	vm = take_up(rt, &g, RTKVM_VM_NOEXIT_HLT | RTKVM_VM_X2APIC, -1);
	ASSERT_STATE(vm, "x2apic", RTKVM_STATE_UNVERIFIABLE);
	rtkvm_vm_free(vm);

	/* NULL everywhere */
	cpuid = guest_supported(&g);
	ck_assert_int_eq(rtkvm_vm_edit_cpuid(NULL, cpuid, GUEST_CPUID_ROOM), -EINVAL);
	free(cpuid);
	ck_assert_int_eq(rtkvm_vcpu_enter(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_leave(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_sync(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_kick(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_get_stat(NULL, "exits", &v), -EINVAL);
	ck_assert_int_eq(rtkvm_vm_get_stat(NULL, "exits", &v), -EINVAL);
	ck_assert_ptr_null(rtkvm_vcpu_stat_name(NULL, 0));
	ck_assert_int_eq(rtkvm_vm_go_realtime(NULL, 0), -EINVAL);
	ck_assert_int_eq(rtkvm_vm_leave_realtime(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_vm_report(NULL, &report), -EINVAL);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* HLT that does not exit: whatever KVM says, never "verified" while it does. */
static void hlt_round(struct rtkvm *rt, int lend_kvm_fd)
{
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct runner r;
	struct guest g;
	int before;

	guest_open(&g, true);
	vm = take_up(rt, &g, RTKVM_VM_NOEXIT_HLT, lend_kvm_fd ? g.kvm : -1);
	before = state(vm, "noexit-hlt");
	if (!lend_kvm_fd)
		ck_assert_int_ne(before, RTKVM_STATE_VERIFIED);
	guest_add_vcpu(&g, 0, GUEST_HALTS, NULL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 0, g.vcpu[0], &vcpu), 0);
	runner_start(&r, &g, 0, vcpu);
	usleep(50000);
	/* the counter cannot be read from outside while KVM_RUN holds the vCPU */
	runner_stop(&r);
	if (guest_stat(&g, 0, "halt_exits")) {
		ck_assert_int_ne(before, RTKVM_STATE_VERIFIED);
		ASSERT_STATE(vm, "noexit-hlt", RTKVM_STATE_OFF);
		ck_assert_int_eq(strncmp(reason, "problem: ", 9), 0);
	} else if (before == RTKVM_STATE_VERIFIED) {
		ASSERT_STATE(vm, "noexit-hlt", RTKVM_STATE_VERIFIED);
	}
	rtkvm_vm_free(vm);
	guest_close(&g);
}

START_TEST(hlt_is_never_claimed)
{
	struct rtkvm *rt = context("/");

	NEED_KVM();
	runner_handle_signal();
	hlt_round(rt, _i);
	rtkvm_free(rt);
}
END_TEST

/* The probe and a guest that really halts must tell the same. */
START_TEST(probe_agrees_with_the_guest)
{
	struct rtkvm *rt = context("/");
	sigset_t before = { 0 }, after = { 0 }, pending;
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct runner r;
	struct guest g;
	int probed;

	NEED_KVM();
	runner_handle_signal();
	guest_open(&g, true);
	if (!(ioctl(g.vm, KVM_CHECK_EXTENSION, KVM_CAP_X86_DISABLE_EXITS) &
	      KVM_X86_DISABLE_EXITS_HLT))
		SKIP_TEST("KVM has no KVM_X86_DISABLE_EXITS_HLT");
	sigprocmask(SIG_SETMASK, NULL, &before);
	vm = take_up(rt, &g, RTKVM_VM_NOEXIT_HLT, g.kvm);
	/* the probe's timer signal is gone, and the mask is as it was */
	sigprocmask(SIG_SETMASK, NULL, &after);
	ck_assert_int_eq(memcmp(&before, &after, sizeof(before)), 0);
	ck_assert_int_eq(sigpending(&pending), 0);
	ck_assert_int_eq(sigisemptyset(&pending), 1);
	probed = state(vm, "noexit-hlt");
	ck_assert_int_ne(probed, RTKVM_STATE_ACCEPTED);
	guest_add_vcpu(&g, 0, GUEST_HALTS, NULL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 0, g.vcpu[0], &vcpu), 0);
	runner_start(&r, &g, 0, vcpu);
	usleep(50000);
	runner_stop(&r);
	ck_assert_int_eq(probed == RTKVM_STATE_OFF, guest_stat(&g, 0, "halt_exits") > 0);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

static const struct {
	uint32_t feature, bit;
	const char *name;
} exits[] = {
	{ RTKVM_VM_NOEXIT_HLT, KVM_X86_DISABLE_EXITS_HLT, "noexit-hlt" },
	{ RTKVM_VM_NOEXIT_PAUSE, KVM_X86_DISABLE_EXITS_PAUSE, "noexit-pause" },
	{ RTKVM_VM_NOEXIT_MWAIT, KVM_X86_DISABLE_EXITS_MWAIT, "noexit-mwait" },
	{ RTKVM_VM_NOEXIT_CSTATE, KVM_X86_DISABLE_EXITS_CSTATE, "noexit-cstate" },
};

START_TEST(exits_follow_the_capability)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vm *vm;
	struct guest g;
	int can;

	NEED_KVM();
	guest_open(&g, true);
	can = ioctl(g.vm, KVM_CHECK_EXTENSION, KVM_CAP_X86_DISABLE_EXITS);
	vm = take_up(rt, &g, 15, -1);
	for (int i = 0; i < 4; i++) {
		int s = state(vm, exits[i].name);

		if (!(can & (int)exits[i].bit))
			ck_assert_int_eq(s, RTKVM_STATE_OFF);
		else
			ck_assert_int_eq(s, i ? RTKVM_STATE_UNVERIFIABLE : RTKVM_STATE_ACCEPTED);
	}
	rtkvm_vm_free(vm);
	guest_close(&g);
	/* not asked for: off, and no problem */
	guest_open(&g, true);
	vm = take_up(rt, &g, 0, -1);
	for (int i = 0; i < 4; i++) {
		ASSERT_STATE(vm, exits[i].name, RTKVM_STATE_OFF);
		ck_assert_str_eq(reason, "not asked for");
	}
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* Would a VM that was told nothing have polled those halts? Read without the library. */
static bool would_poll(const struct guest *g)
{
	FILE *f = fopen("/sys/module/kvm/parameters/halt_poll_ns", "r");
	unsigned long limit = 200000;

	if (f) {
		if (fscanf(f, "%lu", &limit) != 1)
			limit = 200000;
		fclose(f);
	}
	return guest_stat(g, 0, "halt_wait_ns") / guest_stat(g, 0, "halt_exits") <= limit;
}

/* 200 halts of 50 us each: with 0 ns none is polled, with 1 ms some are. */
START_TEST(halt_polling)
{
	static const uint32_t limits[] = { 0, 1000000 };
	struct rtkvm *rt = context("/");
	struct rtkvm_vm_options opt;
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct runner r;
	struct guest g;
	uint64_t polls;

	NEED_KVM();
	runner_handle_signal();
	guest_open(&g, true);
	rtkvm_vm_options_init(&opt, sizeof(opt));
	opt.features = RTKVM_VM_HALT_POLL;
	opt.halt_poll_ns = limits[_i];
	ck_assert_int_eq(rtkvm_vm_new(rt, g.vm, NULL, &opt, &vm), 0);
	if (state(vm, "halt-poll") == RTKVM_STATE_OFF)
		SKIP_TEST("KVM has no KVM_CAP_HALT_POLL (Linux 5.11)");
	ASSERT_STATE(vm, "halt-poll", RTKVM_STATE_ACCEPTED);
	guest_add_vcpu(&g, 0, GUEST_TICKS, NULL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 0, g.vcpu[0], &vcpu), 0);
	ASSERT_STATE(vm, "halt-poll", RTKVM_STATE_ACCEPTED);
	runner_start(&r, &g, 0, vcpu);
	WAIT_UNTIL(atomic_load(&r.ports) || atomic_load(&r.stopped));
	runner_stop(&r);
	ck_assert_uint_ge(guest_stat(&g, 0, "halt_exits"), 100);
	polls = guest_stat(&g, 0, "halt_attempted_poll");
	if (limits[_i])
		ck_assert_uint_gt(polls, 0);
	else
		ck_assert_uint_eq(polls, 0);
	ASSERT_STATE(vm, "halt-poll",
		     limits[_i] || would_poll(&g) ? RTKVM_STATE_VERIFIED : RTKVM_STATE_ACCEPTED);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

START_TEST(x2apic)
{
	struct rtkvm *rt = context("/");
	struct kvm_msi odd = { .address_lo = 0xfeefe000, .address_hi = 1, .data = 0xff };
	struct rtkvm_vm *vm;
	struct guest g;
	int refused;

	NEED_KVM();
	/* with its interrupt controller, and before its first vCPU, it can be looked at */
	guest_open(&g, true);
	refused = ioctl(g.vm, KVM_SIGNAL_MSI, &odd) < 0 && errno == EINVAL;
	ck_assert_int_eq(refused, 0);
	vm = take_up(rt, &g, RTKVM_VM_X2APIC, -1);
	refused = ioctl(g.vm, KVM_SIGNAL_MSI, &odd) < 0 && errno == EINVAL;
	ck_assert_int_eq(refused, ioctl(g.vm, KVM_CHECK_EXTENSION, KVM_CAP_X2APIC_API) & 1);
	ck_assert_int_eq(state(vm, "x2apic") == RTKVM_STATE_VERIFIED, refused);
	rtkvm_vm_free(vm);
	guest_close(&g);
	/* without, it cannot */
	guest_open(&g, false);
	vm = take_up(rt, &g, RTKVM_VM_X2APIC, -1);
	ck_assert_int_ne(state(vm, "x2apic"), RTKVM_STATE_VERIFIED);
	rtkvm_vm_free(vm);
	guest_close(&g);
	/* not asked for: the VM is left alone */
	guest_open(&g, true);
	vm = take_up(rt, &g, 0, -1);
	refused = ioctl(g.vm, KVM_SIGNAL_MSI, &odd) < 0 && errno == EINVAL;
	ck_assert_int_eq(refused, 0);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

static unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

START_TEST(no_descriptor_leaks)
{
	struct rtkvm *rt = context(test_tmpdir());
	unsigned int before, raised = 0;

	NEED_KVM();
	before = open_fds();
	if (!before)
		SKIP_TEST("no /proc");
	for (int i = 0; i < 50; i++) {
		struct rtkvm_vcpu *vcpu[2];
		struct rtkvm_vm *vm;
		struct guest g;

		guest_open(&g, true);
		vm = take_up(rt, &g, RTKVM_VM_ALL, i % 10 ? -1 : g.kvm);
		for (unsigned int k = 0; k < 2; k++) {
			guest_add_vcpu(&g, (int)k, GUEST_HALTS, NULL);
			ck_assert_int_eq(rtkvm_vcpu_new(vm, k, g.vcpu[k], &vcpu[k]), 0);
			ck_assert_int_eq(rtkvm_vcpu_enter(vcpu[k]), 0);
		}
		ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
		raised += open_fds() > before;
		if (i % 2)
			rtkvm_vcpu_free(vcpu[0]);
		rtkvm_vm_free(vm);
		guest_close(&g);
	}
	ck_assert_uint_eq(open_fds(), before);
	ck_assert_uint_eq(raised, 50);
	rtkvm_free(rt);
}
END_TEST

START_TEST(stats_by_name)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu;
	const char *name;
	struct rtkvm_vm *vm;
	struct runner r;
	struct guest g;
	uint64_t v = 0;
	unsigned int n;

	NEED_KVM();
	runner_handle_signal();
	guest_open(&g, true);
	vm = take_up(rt, &g, 0, -1);
	if (state(vm, "stats") == RTKVM_STATE_OFF)
		SKIP_TEST("KVM has no KVM_GET_STATS_FD (Linux 5.14)");
	guest_add_vcpu(&g, 0, GUEST_PORTS, NULL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, 0, g.vcpu[0], &vcpu), 0);
	ck_assert_int_eq(rtkvm_vcpu_get_stat(vcpu, "exits", &v), 0);
	ck_assert_uint_eq(v, 0);
	runner_start(&r, &g, 0, vcpu);
	WAIT_UNTIL(atomic_load(&r.ports) >= 100);
	/* also while the vCPU runs */
	ck_assert_int_eq(rtkvm_vcpu_get_stat(vcpu, "exits", &v), 0);
	ck_assert_uint_ge(v, 100);
	runner_stop(&r);
	ck_assert_int_eq(rtkvm_vcpu_get_stat(vcpu, "exits", &v), 0);
	ck_assert_uint_eq(v, guest_stat(&g, 0, "exits"));
	ck_assert_int_eq(rtkvm_vcpu_get_stat(vcpu, "no such thing", &v), -ENOENT);
	ck_assert_int_eq(rtkvm_vcpu_get_stat(vcpu, "halt_wait_hist", &v), -ENOENT);
	ck_assert_int_eq(rtkvm_vm_get_stat(vm, "remote_tlb_flush", &v), 0);
	for (n = 0; (name = rtkvm_vcpu_stat_name(vcpu, n)); n++)
		ck_assert_int_eq(rtkvm_vcpu_get_stat(vcpu, name, &v), 0);
	ck_assert_uint_gt(n, 10);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("vm");
	TCase *tc = tcase_create("phases");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, options_are_checked);
	tcase_add_test(tc, foreign_descriptors);
	tcase_add_test(tc, vcpu_of_another_number);
	tcase_add_test(tc, phases_in_wrong_order);
	tcase_add_test(tc, no_descriptor_leaks);
	tcase_add_test(tc, stats_by_name);
	suite_add_tcase(suite, tc);
	tc = tcase_create("features");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, hlt_is_never_claimed, 0, 2);
	tcase_add_test(tc, probe_agrees_with_the_guest);
	tcase_add_test(tc, exits_follow_the_capability);
	tcase_add_loop_test(tc, halt_polling, 0, 2);
	tcase_add_test(tc, x2apic);
	suite_add_tcase(suite, tc);
	return suite;
}
