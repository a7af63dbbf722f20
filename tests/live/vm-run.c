/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Live tests of lib/kvm, part two: threads, kicks, going real-time and back.
 * On the real /dev/kvm; what raises threads needs the right to.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "live/guest.h"
#include "live/runner.h"
#include "live/vm-support.h"
#include "support/test.h"

#define PLAN "maxprio=3,policy=ff"
#define VCPU_PRIORITY 2
#define LATENCY "/dev/cpu_dma_latency"

#define NEED_PLAN(rt, plan)                                                         \
	do {                                                                        \
		struct rlimit lock_;                                                \
		plan = new_plan(rt);                                                \
		if (rtkvm_plan_check(plan, 1, NULL) < 0)                            \
			SKIP_TEST("may not raise threads (CAP_SYS_NICE or rtprio)"); \
		getrlimit(RLIMIT_MEMLOCK, &lock_);                                  \
		if (geteuid() && lock_.rlim_cur != RLIM_INFINITY)                   \
			SKIP_TEST("may not lock memory (RLIMIT_MEMLOCK)");          \
	} while (0)

static struct rtkvm_plan *new_plan(struct rtkvm *rt)
{
	struct rtkvm_plan *plan;

	ck_assert_int_eq(rtkvm_plan_parse(rt, PLAN, &plan), 0);
	/* these tests are about this module: no guard of the plan's */
	ck_assert_int_eq(rtkvm_plan_allow(plan, RTKVM_GUARD_ALL & ~RTKVM_GUARD_PRIVILEGE), 0);
	return plan;
}

static struct rtkvm_vm *take_up_with(struct rtkvm *rt, const struct guest *g,
				     struct rtkvm_plan *plan, uint32_t features, int kick_signal)
{
	struct rtkvm_vm_options opt;
	struct rtkvm_vm *vm;

	rtkvm_vm_options_init(&opt, sizeof(opt));
	opt.features = features;
	opt.kick_signal = kick_signal;
	ck_assert_int_eq(rtkvm_vm_new(rt, g->vm, plan, &opt, &vm), 0);
	return vm;
}

static struct rtkvm_vcpu *add_vcpu(struct rtkvm_vm *vm, struct guest *g, int i,
				   enum guest_program program)
{
	struct rtkvm_vcpu *vcpu;

	guest_add_vcpu(g, i, program, NULL);
	ck_assert_int_eq(rtkvm_vcpu_new(vm, (unsigned int)i, g->vcpu[i], &vcpu), 0);
	return vcpu;
}

/* Priority of a thread, 0 for SCHED_OTHER; read without the library. */
static int priority_of(int tid)
{
	struct sched_param param;
	int policy = sched_getscheduler(tid);

	ck_assert_int_ge(policy, 0);
	ck_assert_int_eq(sched_getparam(tid, &param), 0);
	ck_assert_int_eq((policy & ~SCHED_RESET_ON_FORK) == SCHED_OTHER, param.sched_priority == 0);
	return param.sched_priority;
}

/* Exit latency in force on the host, us; read without the library. -1: cannot. */
static int latency_now(void)
{
	int fd = open(LATENCY, O_RDONLY), v = -1;

	if (fd >= 0 && read(fd, &v, sizeof(v)) != (ssize_t)sizeof(v))
		v = -1;
	if (fd >= 0)
		close(fd);
	return v;
}

/*
 * Descriptors of it that this process has open. The value in force afterwards
 * proves nothing: others on this host may ask for one as well, or stop to.
 */
static int latency_held(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while ((e = readdir(dir))) {
		char target[64] = "";

		if (readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1) > 0)
			n += !strcmp(target, LATENCY);
	}
	closedir(dir);
	return n;
}

START_TEST(kick_ends_kvm_run)
{
	static const enum guest_program programs[] = { GUEST_HALTS, GUEST_SPINS };
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct runner r;
	struct guest g;

	NEED_KVM();
	runner_handle_signal();
	guest_open(&g, true);
	vm = take_up_with(rt, &g, NULL, 0, RUNNER_SIGNAL);
	ASSERT_STATE(vm, "kick", RTKVM_STATE_ACCEPTED);
	vcpu = add_vcpu(vm, &g, 0, programs[_i]);
	ASSERT_STATE(vm, "immediate-exit", RTKVM_STATE_ACCEPTED);
	runner_start(&r, &g, 0, vcpu);
	ASSERT_STATE(vm, "immediate-exit", RTKVM_STATE_VERIFIED);
	/* without a kick it stays in */
	usleep(100000);
	ck_assert_uint_eq(atomic_load(&r.ended), 0);
	ck_assert_uint_eq(atomic_load(&r.exits), 0);
	ck_assert_int_eq(rtkvm_vcpu_kick(vcpu), 0);
	WAIT_UNTIL(atomic_load(&r.ended) > 0);
	if (state(vm, "stats") == RTKVM_STATE_VERIFIED)
		ASSERT_STATE(vm, "kick", RTKVM_STATE_VERIFIED);
	runner_stop(&r);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* Negative control: a kick without a signal does not reach a vCPU that is in KVM_RUN. */
START_TEST(kick_without_a_signal_waits)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct runner r;
	struct guest g;

	NEED_KVM();
	runner_handle_signal();
	guest_open(&g, true);
	vm = take_up_with(rt, &g, NULL, 0, 0);
	vcpu = add_vcpu(vm, &g, 0, GUEST_HALTS);
	runner_start(&r, &g, 0, vcpu);
	usleep(50000);
	ck_assert_int_eq(rtkvm_vcpu_kick(vcpu), 0);
	usleep(100000);
	ck_assert_uint_eq(atomic_load(&r.ended), 0);
	ASSERT_STATE(vm, "kick", RTKVM_STATE_OFF);
	runner_stop(&r);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

START_TEST(kick_keeps_from_entering)
{
	struct rtkvm *rt = context("/");
	struct kvm_regs before, after;
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct guest g;

	NEED_KVM();
	guest_open(&g, true);
	vm = take_up_with(rt, &g, NULL, 0, 0);
	vcpu = add_vcpu(vm, &g, 0, GUEST_PORTS);
	ck_assert_int_eq(ioctl(g.vcpu[0], KVM_GET_REGS, &before), 0);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu), 0);
	/* entering looked at immediate_exit and did not run the guest */
	ck_assert_int_eq(ioctl(g.vcpu[0], KVM_GET_REGS, &after), 0);
	ck_assert_uint_eq(before.rip, after.rip);
	ck_assert_uint_eq(g.run[0]->immediate_exit, 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(rtkvm_vcpu_kick(vcpu), 0);
		ck_assert_int_eq(ioctl(g.vcpu[0], KVM_RUN, 0), -1);
		ck_assert_int_eq(errno, EINTR);
		ck_assert_int_eq(rtkvm_vcpu_sync(vcpu), 0);
		/* negative control: after the sync it enters */
		ck_assert_int_eq(ioctl(g.vcpu[0], KVM_RUN, 0), 0);
		ck_assert_int_eq(g.run[0]->exit_reason, KVM_EXIT_IO);
	}
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* Kicks at random moments: each ends a KVM_RUN or keeps from one; none leaves the vCPU spinning. */
START_TEST(no_kick_is_lost)
{
	unsigned int seed = (unsigned int)getpid(), rest;
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct runner r;
	struct guest g;

	NEED_KVM();
	printf("# seed %u\n", seed);
	runner_handle_signal();
	guest_open(&g, true);
	vm = take_up_with(rt, &g, NULL, 0, RUNNER_SIGNAL);
	vcpu = add_vcpu(vm, &g, 0, GUEST_HALTS);
	runner_start(&r, &g, 0, vcpu);
	for (int i = 0; i < 500; i++) {
		unsigned int syncs = atomic_load(&r.syncs), waited = 0;

		/* up to three in a row, while it is on its way out or in */
		for (int n = rand_r(&seed) % 3; n >= 0; n--)
			ck_assert_int_eq(rtkvm_vcpu_kick(vcpu), 0);
		while (atomic_load(&r.syncs) == syncs) {
			ck_assert_msg(waited++ < 200000, "kick %d was lost", i);
			usleep(rand_r(&seed) % 100);
		}
	}
	usleep(100000);
	rest = atomic_load(&r.syncs);
	usleep(100000);
	ck_assert_uint_eq(atomic_load(&r.syncs), rest);
	runner_stop(&r);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* A signal whose default action would end the process is not sent. */
START_TEST(kick_signal_without_handler)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct guest g;

	NEED_KVM();
	guest_open(&g, true);
	signal(SIGUSR2, SIG_DFL);
	vm = take_up_with(rt, &g, NULL, 0, SIGUSR2);
	vcpu = add_vcpu(vm, &g, 0, GUEST_PORTS);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu), 0);
	ck_assert_int_eq(rtkvm_vcpu_kick(vcpu), 0);
	ASSERT_STATE(vm, "kick", RTKVM_STATE_OFF);
	ck_assert_ptr_nonnull(strstr(reason, "handler"));
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

START_TEST(one_thread_each)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct runner r;
	struct guest g;

	NEED_KVM();
	runner_handle_signal();
	guest_open(&g, true);
	vm = take_up_with(rt, &g, NULL, 0, RUNNER_SIGNAL);
	vcpu = add_vcpu(vm, &g, 0, GUEST_HALTS);
	runner_start(&r, &g, 0, vcpu);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu), -EBUSY);
	ck_assert_int_eq(rtkvm_vcpu_leave(vcpu), -EINVAL);
	runner_stop(&r);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu), 0);
	ck_assert_int_eq(rtkvm_vcpu_leave(vcpu), 0);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

START_TEST(realtime_and_back)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_plan *plan;
	struct rtkvm_vm *vm;
	int can_hold;
	struct runner r;
	struct guest g;

	NEED_KVM();
	NEED_PLAN(rt, plan);
	runner_handle_signal();
	can_hold = access(LATENCY, R_OK | W_OK) == 0;
	guest_open(&g, true);
	vm = take_up_with(rt, &g, plan, RTKVM_VM_CSTATE_HOLD, RUNNER_SIGNAL);
	vcpu = add_vcpu(vm, &g, 0, GUEST_HALTS);
	runner_start(&r, &g, 0, vcpu);
	ck_assert_int_eq(atomic_load(&r.enter_ret), 0);
	/* not before it is asked for: the guest boots first */
	ck_assert_int_eq(priority_of(r.tid), 0);
	ASSERT_STATE(vm, "vcpu-threads", RTKVM_STATE_OFF);
	ASSERT_STATE(vm, "cstate-hold", RTKVM_STATE_OFF);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
		ck_assert_int_eq(priority_of(r.tid), VCPU_PRIORITY);
		/* kicked out of HLT to look at itself */
		WAIT_UNTIL(state(vm, "vcpu-threads") == RTKVM_STATE_VERIFIED);
		ck_assert_int_eq(atomic_load(&r.sync_ret), 0);
		if (can_hold) {
			ck_assert_int_eq(latency_held(), 1);
			ck_assert_int_eq(latency_now(), 0);
			ASSERT_STATE(vm, "cstate-hold", RTKVM_STATE_VERIFIED);
		} else {
			ASSERT_STATE(vm, "cstate-hold", RTKVM_STATE_OFF);
		}
		ck_assert_int_eq(rtkvm_vm_leave_realtime(vm), 0);
		ck_assert_int_eq(priority_of(r.tid), 0);
		ck_assert_int_eq(latency_held(), 0);
		ck_assert_int_eq(rtkvm_plan_is_realtime(plan), 0);
		ASSERT_STATE(vm, "vcpu-threads", RTKVM_STATE_OFF);
	}
	/* freeing lowers, too */
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
	ck_assert_int_eq(priority_of(r.tid), VCPU_PRIORITY);
	ck_assert_int_eq(rtkvm_vm_leave_realtime(vm), 0);
	runner_stop(&r);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
	rtkvm_vm_free(vm);
	ck_assert_int_eq(rtkvm_plan_is_realtime(plan), 0);
	ck_assert_int_eq(latency_held(), 0);
	rtkvm_plan_free(plan);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* A made-up host without /dev/cpu_dma_latency: that feature is off, whoever runs the test. */
START_TEST(strict_failure_leaves_nothing_raised)
{
	struct rtkvm *rt = context(test_tmpdir()), *real = context("/");
	struct rtkvm_plan *plan;
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct runner r;
	struct guest g;

	NEED_KVM();
	plan = new_plan(real);
	runner_handle_signal();
	guest_open(&g, true);
	vm = take_up_with(rt, &g, plan, RTKVM_VM_CSTATE_HOLD, RUNNER_SIGNAL);
	vcpu = add_vcpu(vm, &g, 0, GUEST_HALTS);
	runner_start(&r, &g, 0, vcpu);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, RTKVM_STRICT), -EOPNOTSUPP);
	ck_assert_str_eq(rtkvm_last_error_where(), "cstate-hold");
	ck_assert_int_eq(priority_of(r.tid), 0);
	ck_assert_int_eq(rtkvm_plan_is_realtime(plan), 0);
	ASSERT_STATE(vm, "vcpu-threads", RTKVM_STATE_OFF);
	ck_assert_uint_eq(atomic_load(&r.ended), 0);
	/* negative control: the same without STRICT goes ahead, where threads may be raised */
	if (rtkvm_plan_check(plan, 1, NULL) == 0 && geteuid() == 0) {
		ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
		ck_assert_int_eq(priority_of(r.tid), VCPU_PRIORITY);
		ASSERT_STATE(vm, "cstate-hold", RTKVM_STATE_OFF);
		ck_assert_int_eq(strncmp(reason, "problem: ", 9), 0);
		ck_assert_int_eq(rtkvm_vm_leave_realtime(vm), 0);
		ck_assert_int_eq(priority_of(r.tid), 0);
	}
	runner_stop(&r);
	rtkvm_vm_free(vm);
	rtkvm_plan_free(plan);
	guest_close(&g);
	rtkvm_free(rt);
	rtkvm_free(real);
}
END_TEST

START_TEST(strict_success)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vm *vm;
	struct guest g;

	NEED_KVM();
	guest_open(&g, true);
	vm = take_up_with(rt, &g, NULL, RTKVM_VM_HALT_POLL | RTKVM_VM_X2APIC, 0);
	if (state(vm, "halt-poll") == RTKVM_STATE_OFF || state(vm, "x2apic") == RTKVM_STATE_OFF)
		SKIP_TEST("KVM has no KVM_CAP_HALT_POLL or no KVM_CAP_X2APIC_API");
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, RTKVM_STRICT), 0);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* HLT that exits although KVM accepted it: found by the probe, STRICT refuses. */
START_TEST(strict_refuses_what_is_only_accepted)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vm_options opt;
	struct rtkvm_vm *vm;
	struct guest g;
	int off;

	NEED_KVM();
	guest_open(&g, true);
	rtkvm_vm_options_init(&opt, sizeof(opt));
	opt.features = RTKVM_VM_NOEXIT_HLT;
	opt.kvm_fd = g.kvm;
	ck_assert_int_eq(rtkvm_vm_new(rt, g.vm, NULL, &opt, &vm), 0);
	off = state(vm, "noexit-hlt") == RTKVM_STATE_OFF;
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, RTKVM_STRICT), off ? -EOPNOTSUPP : 0);
	rtkvm_vm_free(vm);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* Somebody lowers the thread between raising and its sync: sync says so, and the report. */
START_TEST(sync_sees_its_own_thread)
{
	struct sched_param zero = { 0 };
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_plan *plan;
	struct rtkvm_vm *vm;
	struct guest g;

	NEED_KVM();
	NEED_PLAN(rt, plan);
	guest_open(&g, true);
	vm = take_up_with(rt, &g, plan, 0, 0);
	vcpu = add_vcpu(vm, &g, 0, GUEST_PORTS);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu), 0);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
	ck_assert_int_eq(priority_of(0), VCPU_PRIORITY);
	ASSERT_STATE(vm, "vcpu-threads", RTKVM_STATE_ACCEPTED);
	if (_i)
		ck_assert_int_eq(sched_setscheduler(0, SCHED_OTHER, &zero), 0);
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu), _i ? -EPERM : 0);
	ASSERT_STATE(vm, "vcpu-threads", _i ? RTKVM_STATE_OFF : RTKVM_STATE_VERIFIED);
	ck_assert_int_eq(rtkvm_vcpu_leave(vcpu), 0);
	ck_assert_int_eq(priority_of(0), 0);
	rtkvm_vm_free(vm);
	rtkvm_plan_free(plan);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* A vCPU comes, goes and comes again while the VM is real-time; the other one goes on. */
START_TEST(hot_unplug)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu[2];
	struct rtkvm_plan *plan;
	struct runner r[2];
	struct rtkvm_vm *vm;
	struct guest g;

	NEED_KVM();
	NEED_PLAN(rt, plan);
	runner_handle_signal();
	guest_open(&g, true);
	vm = take_up_with(rt, &g, plan, 0, RUNNER_SIGNAL);
	vcpu[0] = add_vcpu(vm, &g, 0, GUEST_HALTS);
	runner_start(&r[0], &g, 0, vcpu[0]);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
	guest_add_vcpu(&g, 1, GUEST_HALTS, NULL);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(rtkvm_vcpu_new(vm, 1, g.vcpu[1], &vcpu[1]), 0);
		runner_start(&r[1], &g, 1, vcpu[1]);
		ck_assert_int_eq(atomic_load(&r[1].enter_ret), 0);
		ck_assert_int_eq(priority_of(r[1].tid), VCPU_PRIORITY);
		WAIT_UNTIL(state(vm, "vcpu-threads") == RTKVM_STATE_VERIFIED);
		runner_stop(&r[1]);
		rtkvm_vcpu_free(vcpu[1]);
		ck_assert_int_eq(priority_of(r[0].tid), VCPU_PRIORITY);
		ck_assert_int_eq(rtkvm_vcpu_kick(vcpu[0]), 0);
	}
	WAIT_UNTIL(atomic_load(&r[0].ended) >= 2);
	ck_assert_int_eq(rtkvm_vm_leave_realtime(vm), 0);
	runner_stop(&r[0]);
	rtkvm_vm_free(vm);
	rtkvm_plan_free(plan);
	guest_close(&g);
	rtkvm_free(rt);
}
END_TEST

/* Two VMs of one process share a plan: the one that raised it lowers it. */
START_TEST(two_vms)
{
	struct rtkvm *rt = context("/");
	struct rtkvm_vcpu *vcpu[2];
	struct rtkvm_plan *plan;
	struct rtkvm_vm *vm[2];
	struct runner r[2];
	struct guest g[2];

	NEED_KVM();
	NEED_PLAN(rt, plan);
	runner_handle_signal();
	for (int i = 0; i < 2; i++) {
		guest_open(&g[i], true);
		vm[i] = take_up_with(rt, &g[i], plan, 0, RUNNER_SIGNAL);
		vcpu[i] = add_vcpu(vm[i], &g[i], 0, GUEST_HALTS);
		runner_start(&r[i], &g[i], 0, vcpu[i]);
	}
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm[0], 0), 0);
	ck_assert_int_eq(priority_of(r[1].tid), VCPU_PRIORITY);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm[1], 0), 0);
	/* a kick of one does not touch the other */
	usleep(50000);
	{
		unsigned int other = atomic_load(&r[1].ended), mine = atomic_load(&r[0].ended);

		ck_assert_int_eq(rtkvm_vcpu_kick(vcpu[0]), 0);
		WAIT_UNTIL(atomic_load(&r[0].ended) > mine);
		ck_assert_uint_eq(atomic_load(&r[1].ended), other);
	}
	ck_assert_int_eq(rtkvm_vm_leave_realtime(vm[1]), 0);
	ck_assert_int_eq(priority_of(r[0].tid), VCPU_PRIORITY);
	ck_assert_int_eq(rtkvm_vm_leave_realtime(vm[0]), 0);
	ck_assert_int_eq(priority_of(r[0].tid), 0);
	ck_assert_int_eq(priority_of(r[1].tid), 0);
	for (int i = 0; i < 2; i++) {
		runner_stop(&r[i]);
		rtkvm_vm_free(vm[i]);
		guest_close(&g[i]);
	}
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("vm-run");
	TCase *tc = tcase_create("kick");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, kick_ends_kvm_run, 0, 2);
	tcase_add_test(tc, kick_without_a_signal_waits);
	tcase_add_test(tc, kick_keeps_from_entering);
	tcase_add_test(tc, no_kick_is_lost);
	tcase_add_test(tc, kick_signal_without_handler);
	tcase_add_test(tc, one_thread_each);
	suite_add_tcase(suite, tc);
	tc = tcase_create("realtime");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, realtime_and_back);
	tcase_add_test(tc, strict_failure_leaves_nothing_raised);
	tcase_add_test(tc, strict_success);
	tcase_add_test(tc, strict_refuses_what_is_only_accepted);
	tcase_add_loop_test(tc, sync_sees_its_own_thread, 0, 2);
	tcase_add_test(tc, hot_unplug);
	tcase_add_test(tc, two_vms);
	suite_add_tcase(suite, tc);
	return suite;
}
