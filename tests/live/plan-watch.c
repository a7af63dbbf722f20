/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Watches on this machine: threads found and placed by name, those that the
 * kernel makes, and what is left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

#include "live/plan-support.h"

static struct rtkvm *rt;
static struct rtkvm_plan *plan;
static struct rtkvm_watch *watch;
static unsigned int warnings;

static void count_log(int level, const char *message, void *arg)
{
	(void)message;
	(void)arg;
	warnings += level <= RTKVM_LOG_WARNING;
}

static void make_plan(const char *text)
{
	struct rtkvm_options opt;

	rtkvm_options_init(&opt, sizeof(opt));
	opt.log = count_log;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	ck_assert_int_eq(rtkvm_plan_parse(rt, text, &plan), 0);
	ck_assert_int_eq(rtkvm_watch_new(plan, 0, NULL, &watch), 0);
}

static void go(void)
{
	ck_assert_msg(rtkvm_plan_go_realtime(plan, NULL) == 0, "%s", rtkvm_last_error());
	warnings = 0;
}

static void free_plan(void)
{
	rtkvm_watch_free(watch);
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
}

static unsigned int dispatch(void)
{
	unsigned int placed = 99;

	ck_assert_msg(rtkvm_watch_dispatch(watch, &placed) == 0, "%s", rtkvm_last_error());
	return placed;
}

static const char *lowered(void)
{
	return geteuid() ? "OTHER 0 reset" : "OTHER 0";
}

START_TEST(placed_by_name)
{
	struct worker aio, io, helper, entered;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5,aioprio=2");
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, "aio-*", RTKVM_ROLE_HELPER), 0);
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, "aio-[0-9]", RTKVM_ROLE_AIO), 0);
	worker_start(&aio, plan, -1, "aio-1");
	worker_start(&io, plan, -1, "vhost-me");
	worker_start(&helper, plan, -1, "aio-x");
	worker_start(&entered, plan, RTKVM_ROLE_VCPU, "aio-2");
	/* nothing before it is real-time */
	ck_assert_uint_eq(dispatch(), 0);
	ck_assert_str_eq(sched_of(aio.tid), "OTHER 0");
	go();
	ck_assert_str_eq(sched_of(aio.tid), "OTHER 0");
	ck_assert_uint_eq(dispatch(), 2);
	ck_assert_str_eq(sched_of(aio.tid), "FIFO 2 reset");
	ck_assert_str_eq(sched_of(io.tid), "FIFO 5 reset");
	ck_assert_str_eq(sched_of(helper.tid), "OTHER 0");
	/* whoever entered keeps its role, whatever its name says */
	ck_assert_str_eq(sched_of(entered.tid), "FIFO 4 reset");
	ck_assert_uint_eq(dispatch(), 0);
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	ck_assert_str_eq(sched_of(aio.tid), lowered());
	ck_assert_str_eq(sched_of(io.tid), lowered());
	ck_assert_uint_eq(dispatch(), 0);
	worker_stop(&aio);
	worker_stop(&io);
	worker_stop(&helper);
	worker_stop(&entered);
	free_plan();
}
END_TEST

static void rename_helper(struct worker *w)
{
	(void)w;
	prctl(PR_SET_NAME, "tidy");
}

START_TEST(another_name_is_another_role)
{
	struct worker w;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5,aioprio=2");
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, "aio-*", RTKVM_ROLE_AIO), 0);
	worker_start(&w, plan, -1, "aio-1");
	go();
	ck_assert_uint_eq(dispatch(), 1);
	ck_assert_str_eq(sched_of(w.tid), "FIFO 2 reset");
	worker_act(&w, rename_helper);
	ck_assert_uint_eq(dispatch(), 1);
	ck_assert_str_eq(sched_of(w.tid), "OTHER 0");
	/* a rule made later places it again */
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, "tidy", RTKVM_ROLE_IO), 0);
	ck_assert_uint_eq(dispatch(), 1);
	ck_assert_str_eq(sched_of(w.tid), "FIFO 5 reset");
	worker_stop(&w);
	free_plan();
}
END_TEST

START_TEST(above_its_role_is_lowered)
{
	struct worker rogue, aio;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5,aioprio=2");
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, "aio-*", RTKVM_ROLE_AIO), 0);
	worker_start(&rogue, plan, -1, "rogue");
	worker_start(&aio, plan, -1, "aio-1");
	set_sched(rogue.tid, SCHED_FIFO, 4);
	set_sched(aio.tid, SCHED_RR, 5);
	go();
	ck_assert_uint_eq(dispatch(), 2);
	ck_assert_str_eq(sched_of(rogue.tid), "OTHER 0");
	ck_assert_str_eq(sched_of(aio.tid), "FIFO 2 reset");
	/* someone wants it otherwise now: their word, told once */
	set_sched(rogue.tid, SCHED_FIFO, 3);
	ck_assert_uint_eq(dispatch(), 0);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_uint_eq(dispatch(), 0);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_str_eq(sched_of(rogue.tid), "FIFO 3");
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	ck_assert_str_eq(sched_of(rogue.tid), "FIFO 3");
	ck_assert_str_eq(sched_of(aio.tid), "RR 5");
	worker_stop(&rogue);
	worker_stop(&aio);
	free_plan();
}
END_TEST

static struct worker child;

static void make_child(struct worker *w)
{
	worker_start(&child, w->plan, -1, NULL);
}

START_TEST(a_borrowed_name_does_not_raise)
{
	struct worker parent;
	const struct timespec settled = { 0, 60 * 1000000L };
	struct pollfd ready;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5,aioprio=2");
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, "aio-*", RTKVM_ROLE_AIO), 0);
	ck_assert_int_eq(rtkvm_watch_set_interval(watch, 60000), 0);
	worker_start(&parent, plan, -1, "aio-1");
	go();
	ck_assert_uint_eq(dispatch(), 1);
	/*
	 * A child made by a raised thread starts at the bottom and with its
	 * maker's name. Whether the dispatch still finds it young depends on
	 * the machine: either it waits, and the descriptor tells when to look
	 * again, or the name counts as its own.
	 */
	worker_act(&parent, make_child);
	ck_assert_str_eq(sched_of(child.tid), "OTHER 0");
	if (dispatch() == 0) {
		ck_assert_str_eq(sched_of(child.tid), "OTHER 0");
		ready.fd = rtkvm_watch_fd(watch);
		ready.events = POLLIN;
		ck_assert_int_eq(poll(&ready, 1, 30000), 1);
		nanosleep(&settled, NULL);
		ck_assert_uint_eq(dispatch(), 1);
	}
	ck_assert_str_eq(sched_of(child.tid), "FIFO 2 reset");
	worker_stop(&child);
	sem_post(&parent.go);
	worker_stop(&parent);
	free_plan();
}
END_TEST

START_TEST(ended_threads_are_forgotten)
{
	struct worker w[20];

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5,aioprio=2");
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, "aio-*", RTKVM_ROLE_AIO), 0);
	go();
	for (int round = 0; round < 3; round++) {
		char name[20][16];

		for (int i = 0; i < 20; i++) {
			snprintf(name[i], sizeof(name[i]), "aio-%d-%d", round, i);
			worker_start(&w[i], plan, -1, name[i]);
		}
		ck_assert_uint_eq(dispatch(), 20);
		for (int i = 0; i < 20; i++)
			worker_stop(&w[i]);
		ck_assert_uint_eq(dispatch(), 0);
	}
	ck_assert_uint_eq(warnings, 0);
	free_plan();
}
END_TEST

START_TEST(descriptor_and_arguments)
{
	struct rtkvm_watch *none = (void *)1;
	struct pollfd ready;

	make_plan("maxprio=5");
	ck_assert_int_eq(rtkvm_watch_set_interval(watch, 0), -EINVAL);
	ck_assert_int_eq(rtkvm_watch_set_interval(watch, 60001), -EINVAL);
	ck_assert_int_eq(rtkvm_watch_set_interval(NULL, 1), -EINVAL);
	ck_assert_int_eq(rtkvm_watch_set_interval(watch, 60000), 0);
	ready.fd = rtkvm_watch_fd(watch);
	ready.events = POLLIN;
	ck_assert_int_eq(poll(&ready, 1, 0), 0);
	ck_assert_int_eq(rtkvm_watch_set_interval(watch, 5), 0);
	ck_assert_int_eq(poll(&ready, 1, 30000), 1);
	ck_assert_int_eq(rtkvm_watch_set_interval(watch, 60000), 0);
	dispatch();
	ck_assert_int_eq(poll(&ready, 1, 0), 0);
	ck_assert_int_eq(rtkvm_watch_fd(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_watch_dispatch(NULL, NULL), -EINVAL);
	rtkvm_watch_free(NULL);
	ck_assert_int_eq(rtkvm_watch_new(plan, 0, NULL, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_watch_new(NULL, 0, NULL, &none), -EINVAL);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(rtkvm_watch_new(plan, -1, NULL, &none), -EINVAL);
	/* another process needs a lease */
	ck_assert_int_eq(rtkvm_watch_new(plan, getppid(), NULL, &none), -EINVAL);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "lease"));
	free_plan();
}
END_TEST

START_TEST(forked_child_has_no_watch)
{
	int status;
	pid_t pid;

	make_plan("maxprio=5");
	pid = fork();
	if (pid == 0)
		_exit(rtkvm_watch_dispatch(watch, NULL) == -ESRCH ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	free_plan();
}
END_TEST

/* A VM whose timer the kernel serves with a thread named kvm-pit/PID; -1: none. */
static int vm_with_pit(int *kvm)
{
	struct kvm_pit_config pit = { .flags = 0 };
	int vm;

	*kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = *kvm < 0 ? -1 : ioctl(*kvm, KVM_CREATE_VM, 0);
	if (vm >= 0 && (ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0 ||
			ioctl(vm, KVM_CREATE_PIT2, &pit) < 0)) {
		close(vm);
		vm = -1;
	}
	return vm;
}

/* Number of the kernel's thread of that name, found by the test itself; 0: none. */
static pid_t find_process(const char *name)
{
	char command[128], text[32] = "";
	FILE *f;

	snprintf(command, sizeof(command), "grep -lxs '%s' /proc/[0-9]*/comm | cut -d/ -f3", name);
	f = popen(command, "r");
	if (f && !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		pclose(f);
	return atoi(text);
}

START_TEST(the_kernels_threads)
{
	int kvm = -1, vm;
	char name[32];
	pid_t pit;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	if (geteuid() != 0)
		SKIP_TEST("needs root to place threads of the kernel");
	vm = vm_with_pit(&kvm);
	if (vm < 0)
		SKIP_TEST("no VM with a PIT (/dev/kvm)");
	snprintf(name, sizeof(name), "kvm-pit/%d", getpid());
	pit = find_process(name);
	ck_assert_int_gt(pit, 0);
	make_plan("maxprio=5");
	go();
	ck_assert_uint_eq(dispatch(), 1);
	ck_assert_str_eq(sched_of(pit), "FIFO 5 reset");
	ck_assert_uint_eq(dispatch(), 0);
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	ck_assert_str_eq(sched_of(pit), "OTHER 0");
	/* the VM goes, and its thread with it */
	go();
	ck_assert_uint_eq(dispatch(), 1);
	close(vm);
	close(kvm);
	ck_assert_uint_eq(dispatch(), 0);
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	free_plan();
}
END_TEST

START_TEST(names_of_others_do_not_count)
{
	int kvm = -1, vm, status, told[2];
	pid_t pid, pit;
	char name[32], c = 0;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	if (geteuid() != 0)
		SKIP_TEST("needs root to place threads of the kernel");
	/* another process's kvm-pit, and a process that calls itself like ours */
	ck_assert_int_eq(pipe(told), 0);
	pid = fork();
	if (pid == 0) {
		snprintf(name, sizeof(name), "kvm-pit/%d", getppid());
		prctl(PR_SET_NAME, name);
		vm = vm_with_pit(&kvm);
		c = vm >= 0 ? 'k' : '-';
		if (write(told[1], &c, 1) != 1)
			_exit(1);
		pause();
	}
	ck_assert_int_eq(read(told[0], &c, 1), 1);
	make_plan("maxprio=5");
	go();
	ck_assert_uint_eq(dispatch(), 0);
	ck_assert_str_eq(sched_of(pid), "OTHER 0");
	if (c == 'k') {
		snprintf(name, sizeof(name), "kvm-pit/%d", pid);
		pit = find_process(name);
		ck_assert_int_gt(pit, 0);
		ck_assert_str_eq(sched_of(pit), "OTHER 0");
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	free_plan();
}
END_TEST

/* A process with a thread named aio-1; told[0] gets a byte when it is there. */
static pid_t start_process(int told)
{
	struct worker w;
	pid_t pid = fork();

	if (pid)
		return pid;
	worker_start(&w, NULL, -1, "aio-1");
	if (write(told, &w.tid, sizeof(w.tid)) != sizeof(w.tid))
		_exit(1);
	for (;;)
		pause();
}

START_TEST(another_process)
{
	struct rtkvm_watch *other;
	struct rtkvm_report *report;
	struct rtkvm_lease *lease;
	struct rtkvm_options opt;
	struct pollfd ready;
	unsigned int placed;
	int told[2], status;
	pid_t pid, aio;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	ck_assert_int_eq(pipe(told), 0);
	pid = start_process(told[1]);
	ck_assert_int_eq(read(told[0], &aio, sizeof(aio)), sizeof(aio));
	rtkvm_options_init(&opt, sizeof(opt));
	opt.state_dir = test_tmpdir();
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	ck_assert_int_eq(rtkvm_plan_parse(rt, "maxprio=5,aioprio=2", &plan), 0);
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, "aio-*", RTKVM_ROLE_AIO), 0);
	ck_assert_msg(rtkvm_lease_new(rt, "watch", &lease) == 0, "%s", rtkvm_last_error());
	ck_assert_int_eq(rtkvm_watch_new(plan, aio, lease, &other), -EINVAL);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "is a thread of process"));
	ck_assert_int_eq(rtkvm_watch_new(plan, pid, lease, &other), 0);
	ck_assert_int_eq(rtkvm_watch_set_interval(other, 60000), 0);
	go();
	ck_assert_msg(rtkvm_watch_dispatch(other, &placed) == 0, "%s", rtkvm_last_error());
	ck_assert_uint_eq(placed, 1);
	ck_assert_str_eq(sched_of(aio), "FIFO 2 reset");
	ck_assert_str_eq(sched_of(pid), "OTHER 0");
	ck_assert_int_eq(rtkvm_watch_dispatch(other, &placed), 0);
	ck_assert_uint_eq(placed, 0);
	/* what was done there is the lease's to undo, and it is in its journal */
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	ck_assert_str_eq(sched_of(aio), "FIFO 2 reset");
	ck_assert_int_eq(rtkvm_status(rt, &report), 0);
	ck_assert_uint_ge(rtkvm_report_count(report), 1);
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
	ck_assert_str_eq(sched_of(aio), lowered());
	/* its end wakes the caller, who learns of it, waited for or not */
	ready.fd = rtkvm_watch_fd(other);
	ready.events = POLLIN;
	ck_assert_int_eq(poll(&ready, 1, 0), 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(poll(&ready, 1, 30000), 1);
	ck_assert_int_eq(rtkvm_watch_dispatch(other, NULL), -ESRCH);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(rtkvm_watch_dispatch(other, NULL), -ESRCH);
	rtkvm_watch_free(other);
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
}
END_TEST

/* Roles by number win over names, and the guards look at that process. */
START_TEST(another_process_by_number)
{
	struct rtkvm_watch *other, *own;
	struct rtkvm_report *report;
	struct rtkvm_lease *lease;
	struct rtkvm_options opt;
	unsigned int placed;
	int told[2], status;
	pid_t pid, aio;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	ck_assert_int_eq(pipe(told), 0);
	pid = start_process(told[1]);
	ck_assert_int_eq(read(told[0], &aio, sizeof(aio)), sizeof(aio));
	rtkvm_options_init(&opt, sizeof(opt));
	opt.state_dir = test_tmpdir();
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	ck_assert_int_eq(rtkvm_plan_parse(rt, "maxprio=5,aioprio=2", &plan), 0);
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, "aio-*", RTKVM_ROLE_AIO), 0);
	ck_assert_msg(rtkvm_lease_new(rt, "watch", &lease) == 0, "%s", rtkvm_last_error());
	ck_assert_int_eq(rtkvm_watch_new(plan, pid, lease, &other), 0);
	ck_assert_int_eq(rtkvm_watch_new(plan, 0, NULL, &own), 0);
	ck_assert_int_eq(rtkvm_watch_go_realtime(NULL, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_watch_go_realtime(own, NULL), -EINVAL);
	rtkvm_watch_free(own);
	ck_assert_int_eq(rtkvm_watch_set_role(NULL, aio, RTKVM_ROLE_VCPU), -EINVAL);
	ck_assert_int_eq(rtkvm_watch_set_role(other, aio, RTKVM_ROLE_COUNT), -EINVAL);
	ck_assert_int_eq(rtkvm_watch_set_role(other, getpid(), RTKVM_ROLE_VCPU), -ESRCH);
	ck_assert_int_eq(rtkvm_watch_set_role(other, 0, RTKVM_ROLE_VCPU), -ESRCH);

	/* two vCPUs on one CPU are refused, and nothing is changed */
	ck_assert_int_eq(rtkvm_lease_set_thread_cpus(lease, pid, "0"), 0);
	ck_assert_int_eq(rtkvm_lease_set_thread_cpus(lease, aio, "0"), 0);
	ck_assert_int_eq(rtkvm_watch_set_role(other, pid, RTKVM_ROLE_VCPU), 0);
	ck_assert_int_eq(rtkvm_watch_set_role(other, aio, RTKVM_ROLE_VCPU), 0);
	ck_assert_int_eq(rtkvm_watch_go_realtime(other, &report), -EPERM);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "guard-overcommit"));
	ck_assert_int_eq(rtkvm_report_item_problem(rtkvm_report_find(report, "guard-overcommit")), 1);
	rtkvm_report_free(report);
	ck_assert_str_eq(sched_of(aio), "OTHER 0");

	ck_assert_int_eq(rtkvm_watch_set_role(other, pid, RTKVM_ROLE_MAIN), 0);
	ck_assert_msg(rtkvm_watch_go_realtime(other, &report) == 0, "%s", rtkvm_last_error());
	ck_assert_int_eq(rtkvm_report_item_state(rtkvm_report_find(report, "threads")),
			 RTKVM_STATE_VERIFIED);
	ck_assert_ptr_null(rtkvm_report_find(report, "memory"));
	rtkvm_report_free(report);
	ck_assert_str_eq(sched_of(pid), "FIFO 5 reset");
	ck_assert_str_eq(sched_of(aio), "FIFO 4 reset");
	ck_assert_int_eq(rtkvm_watch_go_realtime(other, NULL), -EALREADY);
	ck_assert_int_eq(rtkvm_watch_set_role(other, aio, RTKVM_ROLE_HELPER), 0);
	ck_assert_int_eq(rtkvm_watch_dispatch(other, &placed), 0);
	ck_assert_uint_eq(placed, 1);
	ck_assert_int_eq(strncmp(sched_of(aio), "OTHER 0", 7), 0);
	rtkvm_watch_free(other);
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), 0);
	ck_assert_str_eq(sched_of(pid), lowered());
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("plan-watch");
	TCase *tc = tcase_create("watch");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, placed_by_name);
	tcase_add_test(tc, another_name_is_another_role);
	tcase_add_test(tc, above_its_role_is_lowered);
	tcase_add_test(tc, a_borrowed_name_does_not_raise);
	tcase_add_test(tc, ended_threads_are_forgotten);
	tcase_add_test(tc, descriptor_and_arguments);
	tcase_add_test(tc, forked_child_has_no_watch);
	tcase_add_test(tc, another_process);
	tcase_add_test(tc, another_process_by_number);
	tcase_add_test(tc, the_kernels_threads);
	tcase_add_test(tc, names_of_others_do_not_count);
	suite_add_tcase(suite, tc);
	return suite;
}
