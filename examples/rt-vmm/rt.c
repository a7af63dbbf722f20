/* SPDX-License-Identifier: MIT */
/*
 * The run made real-time by librtkvm: all of the program that a VMM would add.
 * The hooks below are the phases of rtkvm/vm.h in the order in which KVM wants
 * them. What the library could not do is noted in the result and the run goes
 * on without it: this is not RTKVM_STRICT.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "host.h"
#include "run.h"

struct rt {
	struct rtkvm *ctx;
	struct rtkvm_plan *plan;
	struct rtkvm_vm *vm;
	struct rtkvm_vcpu *vcpu[GUEST_MAX_VCPUS];
	struct rtkvm_watch *watch;
	struct rtkvm_lease *lease;
	struct rtkvm_cpu_lease *cpus; /* offline: of the dedicated vCPUs */
	struct host_moved moved;
};

/* Warnings of the library: done, but not as well as asked. */
static void on_log(int level, const char *message, void *arg)
{
	if (level == RTKVM_LOG_WARNING)
		result_left_out(arg, "%s", message);
}

/* Make the plan with its CPUs; NULL when the library refuses one of them. */
static struct rtkvm_plan *make_plan(struct run *r, const char *text)
{
	struct rt *rt = r->tuning_state;
	struct rtkvm_plan *plan;
	const char *vcpus = cpus_text(&r->config->vcpu_cpus);
	const char *others = cpus_text(&r->config->other_cpus);

	if (rtkvm_plan_parse(rt->ctx, text, &plan) < 0)
		return NULL;
	/* with dedicated vCPUs not all threads of the role have the same CPUs: rt_vcpu_enter() */
	if ((!r->config->dedicated &&
	     rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_VCPU, vcpus) < 0) ||
	    rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_MAIN, others) < 0 ||
	    rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_IO, others) < 0) {
		rtkvm_plan_free(plan);
		return NULL;
	}
	return plan;
}

/*
 * Do the guards let the plan be? Those of vCPUs learn which ones have a CPU of their
 * own when their threads enter; before, a plan of its own is asked, without them.
 */
static bool plan_is_well(struct run *r)
{
	struct rtkvm_plan *plan = make_plan(r, r->config->plan);
	int ret = -1;

	if (plan) {
		if (r->config->dedicated == r->config->vcpus)
			rtkvm_plan_allow(plan, RTKVM_GUARD_OVERCOMMIT | RTKVM_GUARD_KTHREADS |
					       RTKVM_GUARD_THROTTLE);
		ret = rtkvm_plan_check(plan, r->config->vcpus - r->config->dedicated, NULL);
	}
	rtkvm_plan_free(plan);
	return ret == 0;
}

/*
 * The plan that was asked for; where a guard of the library refuses it (no
 * privilege, for one), one of ordinary priority, so that the rest still works.
 */
static int choose_plan(struct run *r)
{
	struct rt *rt = r->tuning_state;

	rt->plan = make_plan(r, r->config->plan);
	if (!rt->plan)
		return fail("%s", rtkvm_last_error());
	if (plan_is_well(r))
		return 0;
	result_left_out(r->result, "plan \"%s\": %s", r->config->plan, rtkvm_last_error());
	r->result->degraded = true;
	rtkvm_plan_free(rt->plan);
	rt->plan = make_plan(r, "maxprio=0,policy=ts");
	return rt->plan ? 0 : fail("%s", rtkvm_last_error());
}

/* The lease of another program, and its CPUs, which are offline and claimed. */
static int take_passed(struct run *r)
{
	struct rt *rt = r->tuning_state;
	const char *text = r->config->claims;
	char *end;

	if (rtkvm_cpu_lease_from_fd(rt->ctx, r->config->lease_fd, &rt->cpus) < 0)
		return fail("%s", rtkvm_last_error());
	for (;; text = end + 1) {
		if (rtkvm_cpu_lease_add_claim(rt->cpus, (int)strtol(text, &end, 10)) < 0)
			return fail("%s", rtkvm_last_error());
		if (*end != ',')
			return *end ? fail("RTKVM_CLAIM_FDS: %s", r->config->claims) : 0;
	}
}

/* Take the CPUs of the dedicated vCPUs offline. */
static int lease_cpus(struct run *r)
{
	struct rt *rt = r->tuning_state;
	struct rtkvm_cpu_request request;

	if (!r->config->dedicated)
		return 0;
	if (r->config->claims)
		return take_passed(r);
	rtkvm_cpu_request_init(&request, sizeof(request));
	request.name = "rt-vmm-cpus";
	request.cpus = cpus_text(&r->config->dedicated_cpus);
	request.mode = RTKVM_CPU_OFFLINE;
	return rtkvm_cpu_lease_acquire(rt->ctx, &request, &rt->cpus) < 0 ?
	       fail("%s", rtkvm_last_error()) : 0;
}

static int rt_begin(struct run *r)
{
	struct rt *rt = calloc(1, sizeof(*rt));
	struct rtkvm_options options;

	if (!rt)
		return fail("no memory");
	r->tuning_state = rt;
	rtkvm_options_init(&options, sizeof(options));
	options.log = on_log;
	options.log_arg = r->result;
	if (rtkvm_new(&options, &rt->ctx) < 0)
		return fail("%s", rtkvm_last_error());
	if (lease_cpus(r) < 0 || choose_plan(r) < 0)
		return -1;
	return rtkvm_thread_enter(rt->plan, RTKVM_ROLE_MAIN) < 0 ?
	       fail("%s", rtkvm_last_error()) : 0;
}

static int rt_vm_created(struct run *r)
{
	struct rt *rt = r->tuning_state;
	struct rtkvm_vm_options options;

	rtkvm_vm_options_init(&options, sizeof(options));
	options.halt_poll_ns = r->config->halt_poll_ns;
	options.kick_signal = KICK_SIGNAL;
	options.kvm_fd = r->config->kvm_fd;
	options.dedicated = (unsigned int)CPU_COUNT(&r->config->vcpu_cpus) + r->config->dedicated >=
			    r->config->vcpus;
	if (r->config->dedicated)
		options.features |= RTKVM_VM_DEDICATED_CPU;
	return rtkvm_vm_new(rt->ctx, r->machine.vm_fd, rt->plan, &options, &rt->vm) < 0 ?
	       fail("%s", rtkvm_last_error()) : 0;
}

static int rt_edit_cpuid(struct run *r, struct kvm_cpuid2 *cpuid, unsigned int max_entries)
{
	struct rt *rt = r->tuning_state;

	return rtkvm_vm_edit_cpuid(rt->vm, cpuid, max_entries) < 0 ?
	       fail("%s", rtkvm_last_error()) : 0;
}

static int rt_vcpu_created(struct run *r, unsigned int index)
{
	struct rt *rt = r->tuning_state;
	int fd = r->machine.vcpu[index].fd;
	struct rtkvm_dedicate_options options;

	if (rtkvm_vcpu_new(rt->vm, index, fd, &rt->vcpu[index]) < 0)
		return fail("%s", rtkvm_last_error());
	if (index >= r->config->dedicated)
		return 0;
	rtkvm_dedicate_options_init(&options, sizeof(options));
	if (r->config->poll_ns >= 0)
		options.poll_ns = (uint32_t)r->config->poll_ns;
	if (r->config->no_fallback)
		options.flags = RTKVM_DEDICATE_NO_FALLBACK;
	return rtkvm_vcpu_dedicate(rt->vcpu[index], rt->cpus, index, &options) < 0 ?
	       fail("%s", rtkvm_last_error()) : 0;
}

static int rt_vcpu_enter(struct run *r, unsigned int index)
{
	struct rt *rt = r->tuning_state;

	if (r->config->dedicated &&
	    sched_setaffinity(0, sizeof(cpu_set_t), cpus_of_vcpu(r->config, index)) < 0)
		return fail("CPUs of vCPU %u: %m", index);
	return rtkvm_vcpu_enter(rt->vcpu[index]) < 0 ? fail("%s", rtkvm_last_error()) : 0;
}

static int rt_vcpu_sync(struct run *r, unsigned int index)
{
	struct rt *rt = r->tuning_state;

	return rtkvm_vcpu_sync(rt->vcpu[index]);
}

static void rt_vcpu_leave(struct run *r, unsigned int index)
{
	struct rt *rt = r->tuning_state;

	rtkvm_vcpu_leave(rt->vcpu[index]);
}

/* Keep interrupts and kernel workers of the host away from the vCPUs' CPUs. */
static void clear_cpus(struct run *r)
{
	struct rt *rt = r->tuning_state;

	if (!r->config->host_knobs || !CPU_COUNT(&r->config->vcpu_cpus) ||
	    CPU_EQUAL(&r->config->other_cpus, &r->config->usable_cpus))
		return;
	if (rtkvm_lease_new(rt->ctx, "rt-vmm", &rt->lease) < 0) {
		result_left_out(r->result, "host knobs: %s", rtkvm_last_error());
		return;
	}
	host_clear_cpus(rt->lease, r->config, r->result, &rt->moved);
}

static int rt_guest_up(struct run *r)
{
	struct rt *rt = r->tuning_state;

	clear_cpus(r);
	if (rtkvm_vm_go_realtime(rt->vm, 0) < 0) {
		if (r->config->no_fallback)
			return fail("%s", rtkvm_last_error());
		result_left_out(r->result, "real-time: %s", rtkvm_last_error());
		r->result->degraded = true;
	}
	/* threads that nobody entered, such as those that KVM makes in our name */
	if (rtkvm_watch_new(rt->plan, 0, NULL, &rt->watch) < 0)
		result_left_out(r->result, "watching threads: %s", rtkvm_last_error());
	else
		rtkvm_watch_dispatch(rt->watch, NULL);
	return 0;
}

static int rt_watch_fd(struct run *r)
{
	struct rt *rt = r->tuning_state;

	return rt->watch ? rtkvm_watch_fd(rt->watch) : -1;
}

static void rt_watch(struct run *r)
{
	struct rt *rt = r->tuning_state;

	rtkvm_watch_dispatch(rt->watch, NULL);
}

static void describe_thread(struct run *r, const char *who, pid_t tid, int role,
			    const cpu_set_t *cpus)
{
	struct rt *rt = r->tuning_state;
	struct rtkvm_role_sched sched = { .size = sizeof(sched) };

	rtkvm_plan_get_role(rt->plan, role, &sched);
	readback_sched(r->result, who, tid, sched.policy, sched.priority);
	readback_cpus(r->result, who, tid, cpus);
}

static void describe_features(struct run *r)
{
	struct rt *rt = r->tuning_state;
	const struct rtkvm_report_item *item = NULL;
	struct rtkvm_report *report;

	if (rtkvm_vm_report(rt->vm, &report) < 0) {
		result_left_out(r->result, "report: %s", rtkvm_last_error());
		return;
	}
	while ((item = rtkvm_report_next(report, item)))
		result_feature(r->result, rtkvm_report_item_feature(item),
			       rtkvm_report_state_name(rtkvm_report_item_state(item)),
			       rtkvm_report_item_reason(item));
	rtkvm_report_free(report);
}

static void rt_describe(struct run *r, bool final)
{
	struct rt *rt = r->tuning_state;
	struct rtkvm_role_sched vcpu = { .size = sizeof(vcpu) };

	describe_thread(r, "main thread", getpid(), RTKVM_ROLE_MAIN, &r->config->other_cpus);
	for (unsigned int i = 0; i < r->machine.vcpus; i++) {
		char who[24] = "vCPU 0";

		who[5] = (char)('0' + i);
		describe_thread(r, who, atomic_load(&r->vcpu[i].tid), RTKVM_ROLE_VCPU,
				cpus_of_vcpu(r->config, i));
	}
	rtkvm_plan_get_role(rt->plan, RTKVM_ROLE_VCPU, &vcpu);
	if (vcpu.policy != RTKVM_POLICY_TS)
		readback_locked(r->result, r->machine.ram_size);
	readback_cstate(r->result, 0);
	host_describe(r->config, r->result, &rt->moved);
	if (!final)
		return;
	if (!r->config->halt_poll_ns && r->result->polls >= 0) {
		char got[64];

		snprintf(got, sizeof(got), "%lld polls in %lld halts (KVM's counters)",
			 (long long)r->result->polls, (long long)r->result->halts);
		result_setting(r->result, "halt polling", "never", got, !r->result->polls);
	}
	describe_features(r);
}

/* What was not given back; frees the report. */
static void say_left(struct rtkvm_report *report)
{
	for (const struct rtkvm_report_item *item = NULL;
	     (item = rtkvm_report_next(report, item));)
		if (rtkvm_report_item_problem(item))
			fail("not given back: %s: %s", rtkvm_report_item_feature(item),
			     rtkvm_report_item_reason(item));
	rtkvm_report_free(report);
}

static void rt_end(struct run *r)
{
	struct rt *rt = r->tuning_state;
	struct rtkvm_report *report = NULL;

	if (!rt)
		return;
	rtkvm_watch_free(rt->watch);
	rtkvm_vm_free(rt->vm);
	rtkvm_plan_free(rt->plan);
	if (rt->lease && rtkvm_lease_release(rt->lease, &report) < 0)
		fail("%s", rtkvm_last_error());
	say_left(report);
	report = NULL;
	if (rt->cpus && rtkvm_cpu_lease_release(rt->cpus, &report) < 0)
		fail("%s", rtkvm_last_error());
	say_left(report);
	rtkvm_free(rt->ctx);
	free(rt);
	r->tuning_state = NULL;
}

const struct tuning tuning_rt = {
	.name = "librtkvm",
	.begin = rt_begin,
	.vm_created = rt_vm_created,
	.edit_cpuid = rt_edit_cpuid,
	.vcpu_created = rt_vcpu_created,
	.vcpu_enter = rt_vcpu_enter,
	.vcpu_sync = rt_vcpu_sync,
	.vcpu_leave = rt_vcpu_leave,
	.guest_up = rt_guest_up,
	.watch_fd = rt_watch_fd,
	.watch = rt_watch,
	.describe = rt_describe,
	.end = rt_end,
};
