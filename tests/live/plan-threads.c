/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread plan on this machine: roles are entered, raised, read back
 * without the library, and given back.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "live/plan-support.h"
#include "plan/plan.h"

static struct rtkvm *rt;
static struct rtkvm_plan *plan;
static char logged[8192];

static void note_log(int level, const char *message, void *arg)
{
	size_t len = strlen(logged);

	(void)level;
	(void)arg;
	snprintf(logged + len, sizeof(logged) - len, "%s\n", message);
}

static void make_plan(const char *text)
{
	struct rtkvm_options opt;

	logged[0] = '\0';
	rtkvm_options_init(&opt, sizeof(opt));
	opt.log = note_log;
	opt.log_level = RTKVM_LOG_INFO;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	ck_assert_int_eq(rtkvm_plan_parse(rt, text, &plan), 0);
}

static void free_plan(void)
{
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
}

static void has_item(struct rtkvm_report *report, const char *feature, int state, int problem,
		     const char *says)
{
	const struct rtkvm_report_item *item = rtkvm_report_find(report, feature);

	ck_assert_msg(item != NULL, "no item %s", feature);
	ck_assert_msg(rtkvm_report_item_state(item) == state &&
			      rtkvm_report_item_problem(item) == problem &&
			      strstr(rtkvm_report_item_reason(item), says),
		      "%s: %s %s", feature, rtkvm_report_state_name(rtkvm_report_item_state(item)),
		      rtkvm_report_item_reason(item));
}

/* Each role has one thread, listed as the kernel shows it. */
static void are_listed(int threads, int as_planned)
{
	static const char *const real_time[RTKVM_ROLE_COUNT] = {
		"FIFO 5 reset", "FIFO 5 reset", "FIFO 4 reset", "RR 2 reset", "OTHER 0"
	};
	static const int policy[RTKVM_ROLE_COUNT] = { 1, 1, 1, 2, 0 };
	struct rtkvm_thread_info info = { .size = sizeof(info) };
	unsigned int roles = 0;
	int last = 0, count = 0;

	while (rtkvm_plan_next_thread(plan, info.tid, &info) == 0) {
		ck_assert_int_gt(info.tid, last);
		last = info.tid;
		count++;
		roles |= 1U << info.role;
		ck_assert_int_eq(info.as_planned, as_planned);
		ck_assert_int_eq(info.policy, as_planned ? policy[info.role] : 0);
		if (as_planned)
			ck_assert_str_eq(sched_of(info.tid), real_time[info.role]);
		else
			ck_assert_int_eq(info.priority, 0);
		if (info.role == RTKVM_ROLE_VCPU)
			ck_assert_str_eq(info.name, "vcpu");
	}
	ck_assert_int_eq(count, threads);
	ck_assert_uint_eq(roles, (1U << RTKVM_ROLE_COUNT) - 1);
}

START_TEST(real_time_from_now)
{
	struct rtkvm_report *report;
	struct worker io, vcpu, aio, helper;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5,policy=ff,aioprio=2,aiopolicy=rr");
	ck_assert_int_eq(rtkvm_thread_enter(plan, RTKVM_ROLE_MAIN), 0);
	worker_start(&io, plan, RTKVM_ROLE_IO, "io");
	worker_start(&vcpu, plan, RTKVM_ROLE_VCPU, "vcpu");
	worker_start(&aio, plan, RTKVM_ROLE_AIO, "aio");
	worker_start(&helper, plan, RTKVM_ROLE_HELPER, "helper");
	/* the guest boots: nothing is raised yet */
	ck_assert_int_eq(rtkvm_plan_is_realtime(plan), 0);
	ck_assert_str_eq(sched_of(gettid()), "OTHER 0");
	ck_assert_str_eq(sched_of(io.tid), "OTHER 0");
	ck_assert_str_eq(sched_of(vcpu.tid), "OTHER 0");
	ck_assert_str_eq(sched_of(aio.tid), "OTHER 0");
	ck_assert_int_eq(status_kb("VmLck"), 0);

	ck_assert_msg(rtkvm_plan_go_realtime(plan, &report) == 0, "%s", rtkvm_last_error());
	ck_assert_int_eq(rtkvm_plan_is_realtime(plan), 1);
	ck_assert_str_eq(sched_of(gettid()), "FIFO 5 reset");
	ck_assert_str_eq(sched_of(io.tid), "FIFO 5 reset");
	ck_assert_str_eq(sched_of(vcpu.tid), "FIFO 4 reset");
	ck_assert_str_eq(sched_of(aio.tid), "RR 2 reset");
	ck_assert_str_eq(sched_of(helper.tid), "OTHER 0");
	has_item(report, "role-main", RTKVM_STATE_VERIFIED, 0, "1 of 1 threads at SCHED_FIFO 5");
	has_item(report, "role-vcpu", RTKVM_STATE_VERIFIED, 0, "SCHED_FIFO 4");
	has_item(report, "role-aio", RTKVM_STATE_VERIFIED, 0, "SCHED_RR 2");
	has_item(report, "guard-privilege", RTKVM_STATE_VERIFIED, 0, "");
	if (MLOCKALL_WORKS) {
		has_item(report, "memory", RTKVM_STATE_VERIFIED, 0, "locked");
		ck_assert_int_gt(status_kb("VmLck"), 0);
	}
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, NULL), -EALREADY);
	are_listed(5, 1);

	ck_assert_int_eq(rtkvm_plan_undo(plan, &report), 0);
	are_listed(5, 0);
	has_item(report, "role-vcpu", RTKVM_STATE_VERIFIED, 0, "1 threads given back");
	ck_assert_uint_eq(rtkvm_report_problems(report), 0);
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_plan_is_realtime(plan), 0);
	ck_assert_str_eq(sched_of(gettid()), geteuid() ? "OTHER 0 reset" : "OTHER 0");
	ck_assert_str_eq(sched_of(vcpu.tid), geteuid() ? "OTHER 0 reset" : "OTHER 0");
	ck_assert_str_eq(sched_of(aio.tid), geteuid() ? "OTHER 0 reset" : "OTHER 0");
	ck_assert_int_eq(status_kb("VmLck"), 0);

	/* and once more */
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, NULL), 0);
	ck_assert_str_eq(sched_of(vcpu.tid), "FIFO 4 reset");
	worker_stop(&io);
	worker_stop(&vcpu);
	worker_stop(&aio);
	worker_stop(&helper);
	free_plan();
	ck_assert_str_eq(sched_of(gettid()), geteuid() ? "OTHER 0 reset" : "OTHER 0");
}
END_TEST

START_TEST(list_of_threads)
{
	struct rtkvm_thread_info info = { .size = sizeof(info) };
	struct sched_param other = { 0 };
	struct worker io, vcpu;
	int tid;

	ck_assert_int_eq(rtkvm_plan_next_thread(NULL, 0, &info), -EINVAL);
	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5");
	ck_assert_int_eq(rtkvm_plan_next_thread(plan, 0, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_next_thread(plan, -1, &info), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_next_thread(plan, 0, &info), -ENOENT);
	worker_start(&io, plan, RTKVM_ROLE_IO, "io");
	worker_start(&vcpu, plan, RTKVM_ROLE_VCPU, "vcpu");
	info.size--;
	ck_assert_int_eq(rtkvm_plan_next_thread(plan, 0, &info), -EINVAL);
	info.size++;
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, NULL), 0);
	/* somebody else lowers one: it is shown as it is */
	ck_assert_int_eq(sched_setscheduler(vcpu.tid, SCHED_OTHER, &other), 0);
	ck_assert_int_eq(rtkvm_plan_next_thread(plan, vcpu.tid - 1, &info), 0);
	ck_assert_int_eq(info.tid, vcpu.tid);
	ck_assert_int_eq(info.role, RTKVM_ROLE_VCPU);
	ck_assert_int_eq(info.policy, RTKVM_POLICY_TS);
	ck_assert_int_eq(info.as_planned, 0);
	/* one that ended is none */
	tid = io.tid;
	worker_stop(&io);
	for (info.tid = 0; rtkvm_plan_next_thread(plan, info.tid, &info) == 0;)
		ck_assert_int_ne(info.tid, tid);
	worker_stop(&vcpu);
	free_plan();
}
END_TEST

/* Workers that come and go, and never leave: those that ended are forgotten. */
START_TEST(ended_threads_are_forgotten)
{
	struct rtkvm_thread_info info = { .size = sizeof(info) };
	struct worker here, gone;
	unsigned int most = 0;

	make_plan("maxprio=5,policy=ts,aioprio=0");
	worker_start(&here, plan, RTKVM_ROLE_IO, "here");
	for (int i = 0; i < 4 * PLAN_BUCKETS; i++) {
		worker_start(&gone, plan, RTKVM_ROLE_AIO, "gone");
		worker_stop(&gone);
		most = plan->threads.count > most ? plan->threads.count : most;
	}
	/* more than one at a time, as looking for them is not free */
	ck_assert_uint_gt(most, PLAN_BUCKETS / 2);
	ck_assert_uint_le(most, PLAN_BUCKETS + 1);
	ck_assert_int_eq(rtkvm_plan_next_thread(plan, 0, &info), 0);
	ck_assert_int_eq(info.tid, here.tid);
	ck_assert_int_eq(rtkvm_plan_next_thread(plan, info.tid, &info), -ENOENT);
	worker_stop(&here);
	free_plan();
}
END_TEST

static void leave(struct worker *w)
{
	w->result = rtkvm_thread_leave(w->plan);
}

START_TEST(enter_when_real_time)
{
	struct worker vcpu;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5");
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, NULL), 0);
	ck_assert_str_eq(sched_of(gettid()), "OTHER 0");
	worker_start(&vcpu, plan, RTKVM_ROLE_VCPU, NULL);
	ck_assert_str_eq(sched_of(vcpu.tid), "FIFO 4 reset");
	worker_act(&vcpu, leave);
	ck_assert_int_eq(vcpu.result, 0);
	ck_assert_str_eq(sched_of(vcpu.tid), geteuid() ? "OTHER 0 reset" : "OTHER 0");
	ck_assert_int_eq(rtkvm_thread_leave(plan), -ENOENT);
	worker_stop(&vcpu);
	/* another role in the same thread, and what it had comes back all the same */
	ck_assert_int_eq(rtkvm_thread_enter(plan, RTKVM_ROLE_VCPU), 0);
	ck_assert_str_eq(sched_of(gettid()), "FIFO 4 reset");
	ck_assert_int_eq(rtkvm_thread_enter(plan, RTKVM_ROLE_MAIN), 0);
	ck_assert_str_eq(sched_of(gettid()), "FIFO 5 reset");
	ck_assert_int_eq(rtkvm_thread_enter(plan, RTKVM_ROLE_HELPER), 0);
	ck_assert_str_eq(sched_of(gettid()), "OTHER 0");
	ck_assert_int_eq(rtkvm_thread_leave(plan), 0);
	free_plan();
}
END_TEST

START_TEST(nice_and_policy_come_back)
{
	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5");
	ck_assert_int_eq(setpriority(PRIO_PROCESS, 0, 7), 0);
	set_sched(0, SCHED_BATCH, 0);
	ck_assert_int_eq(rtkvm_thread_enter(plan, RTKVM_ROLE_VCPU), 0);
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, NULL), 0);
	ck_assert_str_eq(sched_of(0), "FIFO 4 reset");
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	ck_assert_str_eq(sched_of(0), geteuid() ? "BATCH 0 reset" : "BATCH 0");
	ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), 7);
	free_plan();
}
END_TEST

START_TEST(undo_leaves_what_others_changed)
{
	struct rtkvm_report *report;
	struct worker a, b;
	char feature[32];

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5");
	worker_start(&a, plan, RTKVM_ROLE_VCPU, "changed");
	worker_start(&b, plan, RTKVM_ROLE_VCPU, "ours");
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, NULL), 0);
	set_sched(a.tid, SCHED_FIFO, 3);
	ck_assert_int_eq(rtkvm_plan_undo(plan, &report), 0);
	ck_assert_str_eq(sched_of(a.tid), "FIFO 3");
	ck_assert_str_eq(sched_of(b.tid), geteuid() ? "OTHER 0 reset" : "OTHER 0");
	snprintf(feature, sizeof(feature), "thread-%d", a.tid);
	has_item(report, feature, RTKVM_STATE_OFF, 1, "left at SCHED_FIFO 3, which someone else");
	ck_assert_uint_eq(rtkvm_report_problems(report), 1);
	rtkvm_report_free(report);
	worker_stop(&a);
	worker_stop(&b);
	free_plan();
}
END_TEST

START_TEST(raising_leaves_what_others_changed)
{
	struct rtkvm_report *report;
	struct worker a, b;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5");
	worker_start(&a, plan, RTKVM_ROLE_VCPU, "changed");
	worker_start(&b, plan, RTKVM_ROLE_VCPU, "ours");
	set_sched(a.tid, SCHED_FIFO, 1);
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, &report), 0);
	ck_assert_str_eq(sched_of(a.tid), "FIFO 1");
	ck_assert_str_eq(sched_of(b.tid), "FIFO 4 reset");
	has_item(report, "role-vcpu", RTKVM_STATE_VERIFIED, 1, "1 of 2 threads at SCHED_FIFO 4");
	has_item(report, "role-vcpu", RTKVM_STATE_VERIFIED, 1, "1 changed by someone else");
	ck_assert_ptr_nonnull(strstr(logged, "someone else made it SCHED_FIFO 1"));
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	ck_assert_str_eq(sched_of(a.tid), "FIFO 1");
	worker_stop(&a);
	worker_stop(&b);
	free_plan();
}
END_TEST

/* From now on sched_setscheduler() of this thread fails with EPERM. */
static void forbid_raising(pid_t tid)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setscheduler, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)tid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(code[0]), code };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

START_TEST(failure_midway_lowers_all)
{
	struct rtkvm_report *report;
	struct worker vcpu, io;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5");
	ck_assert_int_eq(rtkvm_thread_enter(plan, RTKVM_ROLE_MAIN), 0);
	worker_start(&io, plan, RTKVM_ROLE_IO, "io");
	worker_start(&vcpu, plan, RTKVM_ROLE_VCPU, "vcpu");
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_IO, "0"), 0);
	forbid_raising(vcpu.tid);
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, &report), -EPERM);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "(vcpu) may not be made SCHED_FIFO 4"));
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error_remedy(), "seccomp"));
	/* those before it had been raised: the proof is in the report */
	has_item(report, "role-main", RTKVM_STATE_VERIFIED, 0, "1 of 1");
	has_item(report, "threads", RTKVM_STATE_OFF, 1, "vcpu");
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_plan_is_realtime(plan), 0);
	ck_assert_str_eq(sched_of(gettid()), geteuid() ? "OTHER 0 reset" : "OTHER 0");
	ck_assert_str_eq(sched_of(io.tid), geteuid() ? "OTHER 0 reset" : "OTHER 0");
	ck_assert_int_eq(status_kb("VmLck"), 0);
	worker_stop(&io);
	worker_stop(&vcpu);
	free_plan();
}
END_TEST

START_TEST(refused_by_a_guard)
{
	struct rtkvm_report *report;
	struct worker a, b;
	cpu_set_t one;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5");
	worker_start(&a, plan, RTKVM_ROLE_VCPU, "a");
	worker_start(&b, plan, RTKVM_ROLE_VCPU, "b");
	/* a CPU each, of whatever there is, or the same for both */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(a.tid, sizeof(one), &one), 0);
	ck_assert_int_eq(sched_setaffinity(b.tid, sizeof(one), &one), 0);
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, &report), -EPERM);
	has_item(report, "guard-overcommit", RTKVM_STATE_OFF, 1, "2 vCPU threads");
	ck_assert_ptr_null(rtkvm_report_find(report, "memory"));
	rtkvm_report_free(report);
	ck_assert_str_eq(sched_of(a.tid), "OTHER 0");
	ck_assert_int_eq(rtkvm_plan_allow(plan, RTKVM_GUARD_OVERCOMMIT), 0);
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, NULL), 0);
	ck_assert_str_eq(sched_of(a.tid), "FIFO 4 reset");
	worker_stop(&a);
	worker_stop(&b);
	free_plan();
}
END_TEST

START_TEST(cpus_of_roles)
{
	struct rtkvm_report *report;
	cpu_set_t all, one, now;
	struct worker w;
	char list[16];
	int cpu = 0;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	if (CPU_COUNT(&all) < 2)
		SKIP_TEST("needs two CPUs");
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	snprintf(list, sizeof(list), "%d", cpu);
	make_plan("maxprio=5");
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_VCPU, list), 0);
	worker_start(&w, plan, RTKVM_ROLE_VCPU, "vcpu");
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, &report), 0);
	ck_assert_int_eq(sched_getaffinity(w.tid, sizeof(now), &now), 0);
	ck_assert(CPU_EQUAL(&now, &one));
	has_item(report, "role-vcpu", RTKVM_STATE_VERIFIED, 0, "1 of 1");
	rtkvm_report_free(report);
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_VCPU, NULL), -EBUSY);
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	ck_assert_int_eq(sched_getaffinity(w.tid, sizeof(now), &now), 0);
	ck_assert(CPU_EQUAL(&now, &all));
	/* CPUs that the kernel does not give are told of */
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_VCPU, "0-1023"), 0);
	CPU_ZERO(&now);
	CPU_SET(cpu, &now);
	ck_assert_int_eq(sched_setaffinity(w.tid, sizeof(now), &now), 0);
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, &report), 0);
	has_item(report, "role-vcpu", RTKVM_STATE_VERIFIED, 1, "without some CPUs of the role");
	rtkvm_report_free(report);
	/* and what someone else changed stays */
	ck_assert_int_eq(sched_setaffinity(w.tid, sizeof(one), &one), 0);
	ck_assert_int_eq(rtkvm_plan_undo(plan, &report), 0);
	ck_assert_uint_eq(rtkvm_report_problems(report), 1);
	rtkvm_report_free(report);
	ck_assert_int_eq(sched_getaffinity(w.tid, sizeof(now), &now), 0);
	ck_assert(CPU_EQUAL(&now, &one));
	ck_assert_str_eq(sched_of(w.tid), geteuid() ? "OTHER 0 reset" : "OTHER 0");
	worker_stop(&w);
	free_plan();
}
END_TEST

START_TEST(ended_threads_are_dropped)
{
	struct rtkvm_report *report;
	struct worker w;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5");
	for (int i = 0; i < 20; i++) {
		worker_start(&w, plan, RTKVM_ROLE_VCPU, "short");
		worker_stop(&w);
	}
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, &report), 0);
	ck_assert_ptr_null(rtkvm_report_find(report, "role-vcpu"));
	rtkvm_report_free(report);
	free_plan();
}
END_TEST

START_TEST(forked_child_undoes_nothing)
{
	struct worker w;
	int status;
	pid_t pid;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5");
	worker_start(&w, plan, RTKVM_ROLE_VCPU, "vcpu");
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, NULL), 0);
	pid = fork();
	if (pid == 0) {
		/* a plan of its own with the same text: enter, raise, free */
		bool good = !rtkvm_plan_is_realtime(plan) &&
			    rtkvm_thread_enter(plan, RTKVM_ROLE_VCPU) == 0 &&
			    rtkvm_plan_go_realtime(plan, NULL) == 0 &&
			    !strcmp(sched_of(0), "FIFO 4 reset");

		rtkvm_plan_free(plan);
		_exit(good && !strncmp(sched_of(0), "OTHER 0", 7) ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(sched_of(w.tid), "FIFO 4 reset");
	ck_assert_int_eq(rtkvm_plan_is_realtime(plan), 1);
	worker_stop(&w);
	free_plan();
}
END_TEST

START_TEST(own_memory_locks_stay)
{
	const size_t size = 4096;
	void *page;

	if (!MLOCKALL_WORKS)
		SKIP_TEST("AddressSanitizer makes mlockall() do nothing");
	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	make_plan("maxprio=5");
	/* a page locked before: it must not be unlocked by us */
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_int_eq(mlock(page, size), 0);
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, NULL), 0);
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	ck_assert_int_eq(madvise(page, size, MADV_DONTNEED), -1);
	/* new pages are not locked any more */
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_int_eq(madvise(page, size, MADV_DONTNEED), 0);
	/* future mappings locked before: stays so */
	ck_assert_int_eq(munlockall(), 0);
	ck_assert_int_eq(mlockall(MCL_FUTURE), 0);
	ck_assert_int_eq(rtkvm_plan_go_realtime(plan, NULL), 0);
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_int_eq(madvise(page, size, MADV_DONTNEED), -1);
	munlockall();
	free_plan();
}
END_TEST

START_TEST(no_memory_lock_without_realtime)
{
	struct rtkvm_report *report;
	struct worker w;

	make_plan("maxprio=5,policy=ts");
	worker_start(&w, plan, RTKVM_ROLE_VCPU, "vcpu");
	ck_assert_msg(rtkvm_plan_go_realtime(plan, &report) == 0, "%s", rtkvm_last_error());
	has_item(report, "memory", RTKVM_STATE_OFF, 0, "no role is real-time");
	rtkvm_report_free(report);
	ck_assert_str_eq(sched_of(w.tid), "OTHER 0");
	ck_assert_int_eq(status_kb("VmLck"), 0);
	ck_assert_int_eq(rtkvm_plan_undo(plan, NULL), 0);
	worker_stop(&w);
	free_plan();
}
END_TEST

/* In a child without privileges: 0 if all is as it should be. */
static int without_privileges(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	const struct rlimit zero = { 0, 0 };

	if (syscall(SYS_capset, &head, none) < 0 || setrlimit(RLIMIT_RTPRIO, &zero) < 0)
		return 1;
	make_plan("maxprio=5");
	if (rtkvm_thread_enter(plan, RTKVM_ROLE_VCPU) != 0)
		return 2;
	if (rtkvm_plan_go_realtime(plan, NULL) != -EPERM)
		return 3;
	if (!strstr(rtkvm_last_error(), "CAP_SYS_NICE") || !strstr(rtkvm_last_error(), "rtprio 5"))
		return 4;
	if (status_kb("VmLck") != 0 || strcmp(sched_of(0), "OTHER 0"))
		return 5;
	free_plan();
	return 0;
}

START_TEST(missing_privilege_is_named)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(without_privileges());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

static char cgroup[300];

static void remove_cgroup(void)
{
	if (cgroup[0])
		rmdir(cgroup);
}

/* A v1 cpu cgroup with real-time runtimes that this process may make; false: none. */
static bool make_cgroup(void)
{
	char path[340];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/cpu/rtkvm-test-%d", getpid());
	if (mkdir(path, 0755) < 0)
		return false;
	snprintf(cgroup, sizeof(cgroup), "%.290s", path);
	snprintf(path, sizeof(path), "%s/cpu.rt_runtime_us", cgroup);
	return access(path, R_OK) == 0;
}

static int in_cgroup_without_runtime(void)
{
	char path[340];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	f = fopen(path, "w");
	if (!f || fprintf(f, "%d\n", getpid()) < 0 || fclose(f))
		return 1;
	if (may_fifo(5))
		return 2; /* the premise: the kernel refuses it, to root as well */
	make_plan("maxprio=5");
	if (rtkvm_thread_enter(plan, RTKVM_ROLE_VCPU) != 0)
		return 3;
	if (rtkvm_plan_go_realtime(plan, NULL) != -EPERM)
		return 4;
	snprintf(path, sizeof(path), "%s/cpu.rt_runtime_us", cgroup);
	if (!strstr(rtkvm_last_error(), path) || !strstr(rtkvm_last_error_remedy(), "echo"))
		return 5;
	/* overridden: the kernel's refusal is explained as well */
	rtkvm_plan_allow(plan, RTKVM_GUARD_PRIVILEGE);
	if (rtkvm_plan_go_realtime(plan, NULL) != -EPERM || !strstr(rtkvm_last_error(), path))
		return 6;
	free_plan();
	return 0;
}

START_TEST(cgroup_without_runtime_is_named)
{
	bool made;
	int status;
	pid_t pid;

	if (!may_fifo(5))
		SKIP_TEST(NO_FIFO);
	made = make_cgroup();
	if (!made)
		remove_cgroup();
	if (!made)
		SKIP_TEST("no v1 cpu cgroup with real-time runtime can be made");
	pid = fork();
	if (pid == 0)
		_exit(in_cgroup_without_runtime());
	waitpid(pid, &status, 0);
	remove_cgroup();
	ck_assert_int_eq(access(cgroup, F_OK), -1);
	ck_assert_msg(status == 0, "status 0x%x", status);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("plan-threads");
	TCase *tc = tcase_create("threads");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, real_time_from_now);
	tcase_add_test(tc, list_of_threads);
	tcase_add_test(tc, ended_threads_are_forgotten);
	tcase_add_test(tc, enter_when_real_time);
	tcase_add_test(tc, nice_and_policy_come_back);
	tcase_add_test(tc, undo_leaves_what_others_changed);
	tcase_add_test(tc, raising_leaves_what_others_changed);
	tcase_add_test(tc, failure_midway_lowers_all);
	tcase_add_test(tc, refused_by_a_guard);
	tcase_add_test(tc, cpus_of_roles);
	tcase_add_test(tc, ended_threads_are_dropped);
	tcase_add_test(tc, forked_child_undoes_nothing);
	tcase_add_test(tc, own_memory_locks_stay);
	tcase_add_test(tc, no_memory_lock_without_realtime);
	tcase_add_test(tc, missing_privilege_is_named);
	tcase_add_test(tc, cgroup_without_runtime_is_named);
	suite_add_tcase(suite, tc);
	return suite;
}
