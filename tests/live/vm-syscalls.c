/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The run-time functions of lib/kvm make the system calls that their
 * docstrings list, and no other: each runs in a child under a seccomp filter
 * that kills on anything else.
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

static void filter(int listed)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		/* the end of the child, and of the signal that a kick sends to its own thread */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)listed, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(99);
}

static void child(int i, struct rtkvm_plan *plan, struct rtkvm *rt)
{
	struct rtkvm_vm_options opt;
	struct under_test t;
	struct guest g;

	runner_handle_signal();
	guest_open(&g, true);
	rtkvm_vm_options_init(&opt, sizeof(opt));
	opt.kick_signal = RUNNER_SIGNAL;
	opt.features = 0;
	if (rtkvm_vm_new(rt, g.vm, plan, &opt, &t.vm))
		_exit(90);
	guest_add_vcpu(&g, 0, GUEST_PORTS, NULL);
	if (rtkvm_vcpu_new(t.vm, 0, g.vcpu[0], &t.vcpu) || rtkvm_vcpu_enter(t.vcpu))
		_exit(91);
	if (cases[i].realtime && rtkvm_vm_go_realtime(t.vm, 0))
		_exit(92);
	/* bound by now, so that the first call is like every other */
	filter(cases[i].listed);
	/* not _exit(): a sanitizer's makes system calls of its own */
	syscall(SYS_exit_group, cases[i].call(&t) ? 93 : 0);
}

START_TEST(listed_system_calls)
{
	struct rtkvm_plan *plan;
	struct rtkvm *rt;
	int status;
	pid_t pid;

	if (guest_impossible())
		SKIP_TEST("%s", guest_impossible());
	ck_assert_int_eq(rtkvm_new(NULL, &rt), 0);
	/* a plan that raises nothing needs no privilege */
	ck_assert_int_eq(rtkvm_plan_parse(rt, "maxprio=0,policy=ts", &plan), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid)
		child(_i, plan, rt);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
		SKIP_TEST("no seccomp filters here");
	if (cases[_i].killed)
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status 0x%x",
			      cases[_i].name, status);
	else
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status 0x%x",
			      cases[_i].name, status);
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("vm-syscalls");
	TCase *tc = tcase_create("seccomp");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, listed_system_calls, 0, sizeof(cases) / sizeof(cases[0]));
	suite_add_tcase(suite, tc);
	return suite;
}
