/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions of lib/kvm make the system calls that their docstrings list, and no
 * other: each runs in a child under a seccomp filter that kills on anything else.
 * Run-time functions are held to one call or none; those of set-up, which also take
 * memory, to a list, as a VMM in a sandbox has one.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "live/guest.h"
#include "live/runner.h"
#include "support/test.h"

struct under_test {
	struct rtkvm_vm *vm;
	struct rtkvm_vcpu *vcpu;
};

static int sync_idle(struct under_test *t)
{
	return rtkvm_vcpu_sync(t->vcpu);
}

static int kick(struct under_test *t)
{
	return rtkvm_vcpu_kick(t->vcpu);
}

static int kick_and_sync(struct under_test *t)
{
	/* the VM is real-time: what is pending is a look at the own scheduling */
	return rtkvm_vcpu_sync(t->vcpu);
}

static int get_stat(struct under_test *t)
{
	uint64_t v;
	int ret = rtkvm_vcpu_get_stat(t->vcpu, "exits", &v);

	return ret ? ret : rtkvm_vm_get_stat(t->vm, "remote_tlb_flush", &v);
}

static int stat_name(struct under_test *t)
{
	return rtkvm_vcpu_stat_name(t->vcpu, 0) ? 0 : -1;
}

static int unlisted(struct under_test *t)
{
	(void)t;
	return (int)syscall(SYS_getppid) < 0;
}

#define NONE -1

static const struct {
	const char *name;
	int (*call)(struct under_test *t);
	int listed;    /* its one system call */
	bool realtime; /* something is pending */
	bool killed;
} cases[] = {
	{ "sync, idle", sync_idle, NONE, false, false },
	{ "sync, applying", kick_and_sync, SYS_sched_getattr, true, false },
	{ "kick", kick, SYS_tgkill, false, false },
	{ "get_stat", get_stat, SYS_pread64, false, false },
	{ "stat_name", stat_name, NONE, false, false },
	/* negative controls: the filter kills, and each listed call is really made */
	{ "not listed", unlisted, NONE, false, true },
	{ "sync, applying, without its call", kick_and_sync, NONE, true, true },
	{ "kick without its call", kick, NONE, false, true },
	{ "get_stat without its call", get_stat, NONE, false, true },
};

#define MOST_LISTED 32
#define JUMP_IF(nr_, to) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)(nr_), to, 0)

static void filter(const int *listed, unsigned int n)
{
	struct sock_filter code[MOST_LISTED + 8] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		/* the end of the child, and of the signal that a kick sends to its own thread */
		JUMP_IF(SYS_exit_group, (unsigned char)(n + 2)),
		JUMP_IF(SYS_rt_sigreturn, (unsigned char)(n + 1)),
	};
	struct sock_fprog prog = { .len = (unsigned short)(n + 8), .filter = code };

	for (unsigned int i = 0; i < n; i++)
		code[6 + i] = (struct sock_filter)JUMP_IF(listed[i], (unsigned char)(n - i));
	code[6 + n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[7 + n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(99);
}

/* A VM with one vCPU, which this thread has entered. */
static void make_vm(struct under_test *t, struct rtkvm_plan *plan, struct rtkvm *rt)
{
	struct rtkvm_vm_options opt;
	struct guest g;

	runner_handle_signal();
	guest_open(&g, true);
	rtkvm_vm_options_init(&opt, sizeof(opt));
	opt.kick_signal = RUNNER_SIGNAL;
	if (rtkvm_plan_get_maxprio(plan) == 0)
		opt.features = 0;
	if (rtkvm_vm_new(rt, g.vm, plan, &opt, &t->vm))
		_exit(90);
	guest_add_vcpu(&g, 0, GUEST_PORTS, NULL);
	if (rtkvm_vcpu_new(t->vm, 0, g.vcpu[0], &t->vcpu) || rtkvm_vcpu_enter(t->vcpu))
		_exit(91);
}

static void child(int i, struct rtkvm_plan *plan, struct rtkvm *rt)
{
	struct under_test t;

	make_vm(&t, plan, rt);
	if (cases[i].realtime && rtkvm_vm_go_realtime(t.vm, 0))
		_exit(92);
	/* bound by now, so that the first call is like every other */
	filter(&cases[i].listed, 1);
	/* not _exit(): a sanitizer's makes system calls of its own */
	syscall(SYS_exit_group, cases[i].call(&t) ? 93 : 0);
}

/* Runs it in a child: its status, or -1 where there are no filters. */
static int in_child(void (*run)(int i, struct rtkvm_plan *plan, struct rtkvm *rt), int i,
		    const char *option)
{
	struct rtkvm_plan *plan;
	struct rtkvm *rt;
	int status;
	pid_t pid;

	ck_assert_int_eq(rtkvm_new(NULL, &rt), 0);
	ck_assert_int_eq(rtkvm_plan_parse(rt, option, &plan), 0);
	rtkvm_plan_allow(plan, RTKVM_GUARD_KTHREADS | RTKVM_GUARD_OVERCOMMIT);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid)
		run(i, plan, rt);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
	return WIFEXITED(status) && WEXITSTATUS(status) == 99 ? -1 : status;
}

static void assert_status(const char *name, bool killed, int status)
{
	if (killed)
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status 0x%x",
			      name, status);
	else
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status 0x%x",
			      name, status);
}

START_TEST(listed_system_calls)
{
	int status;

	if (guest_impossible())
		SKIP_TEST("%s", guest_impossible());
	/* a plan that raises nothing needs no privilege */
	status = in_child(child, _i, "maxprio=0,policy=ts");
	if (status == -1)
		SKIP_TEST("no seccomp filters here");
	assert_status(cases[_i].name, cases[_i].killed, status);
}
END_TEST

/* ---- set-up: what a VMM in a sandbox must allow -------------------------------------- */

/* Memory of the C library's, and its locks. */
#define MEMORY SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_madvise, SYS_futex
#define FILES SYS_openat, SYS_newfstatat, SYS_close
#define LEAVE FILES, SYS_getpid, SYS_gettid, SYS_tgkill, SYS_sched_getattr, \
		SYS_sched_setscheduler, SYS_sched_setaffinity, SYS_sched_getaffinity

static int go_realtime(struct under_test *t)
{
	return rtkvm_vm_go_realtime(t->vm, 0);
}

static int report(struct under_test *t)
{
	struct rtkvm_report *r;
	int ret = rtkvm_vm_report(t->vm, &r);

	rtkvm_report_free(r);
	return ret;
}

static int leave_realtime(struct under_test *t)
{
	return rtkvm_vm_leave_realtime(t->vm);
}

static int vcpu_leave(struct under_test *t)
{
	return rtkvm_vcpu_leave(t->vcpu);
}

static int free_vm(struct under_test *t)
{
	int ret = rtkvm_vcpu_leave(t->vcpu);

	rtkvm_vm_free(t->vm);
	return ret;
}

static const struct {
	const char *name;
	int (*call)(struct under_test *t);
	bool realtime;
	int listed[MOST_LISTED]; /* 0 is read(2), which all have */
	int without;             /* the control: must be made */
} setups[] = {
	{ "vm_go_realtime", go_realtime, false,
	  { LEAVE, SYS_write, SYS_capget, SYS_prlimit64, SYS_mlockall, MEMORY }, SYS_sched_setscheduler },
	{ "vm_report", report, true, { FILES, SYS_pread64, MEMORY }, SYS_pread64 },
	{ "vm_leave_realtime", leave_realtime, true,
	  { LEAVE, SYS_mlockall, SYS_munlockall, MEMORY }, SYS_sched_setscheduler },
	{ "vcpu_leave", vcpu_leave, true, { LEAVE, MEMORY }, SYS_sched_setscheduler },
	{ "vm_free", free_vm, true, { LEAVE, SYS_mlockall, SYS_munlockall, MEMORY }, SYS_close },
};

static void setup_child(int i, struct rtkvm_plan *plan, struct rtkvm *rt)
{
	int with = i / 2, control = i % 2, listed[MOST_LISTED];
	unsigned int n = 0;
	struct under_test t;

	make_vm(&t, plan, rt);
	if (setups[with].realtime && rtkvm_vm_go_realtime(t.vm, 0))
		_exit(92);
	for (unsigned int k = 0; k < MOST_LISTED; k++)
		if (setups[with].listed[k] && !(control && setups[with].listed[k] == setups[with].without))
			listed[n++] = setups[with].listed[k];
	listed[n++] = SYS_read; /* 0 */
	filter(listed, n);
	syscall(SYS_exit_group, setups[with].call(&t) ? 93 : 0);
}

/* Each with its list, and without one of it. */
START_TEST(listed_setup_calls)
{
	struct rtkvm_plan *plan;
	struct rtkvm *rt;
	int status;

	if (guest_impossible())
		SKIP_TEST("%s", guest_impossible());
	ck_assert_int_eq(rtkvm_new(NULL, &rt), 0);
	ck_assert_int_eq(rtkvm_plan_parse(rt, "maxprio=3,policy=ff", &plan), 0);
	rtkvm_plan_allow(plan, RTKVM_GUARD_KTHREADS | RTKVM_GUARD_OVERCOMMIT);
	status = rtkvm_plan_check(plan, 1, NULL);
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
	if (status)
		SKIP_TEST("may not raise threads here");
	status = in_child(setup_child, _i, "maxprio=3,policy=ff");
	if (status == -1)
		SKIP_TEST("no seccomp filters here");
	assert_status(setups[_i / 2].name, _i % 2, status);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("vm-syscalls");
	TCase *tc = tcase_create("seccomp");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, listed_system_calls, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_loop_test(tc, listed_setup_calls, 0, 2 * sizeof(setups) / sizeof(setups[0]));
	suite_add_tcase(suite, tc);
	return suite;
}
