/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM: taking it up, going real-time and back, its report. vCPUs are in
 * vcpu.c, what the features do is in their own files.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/reports.h"
#include "cstate.h"
#include "kvm.h"

/* Size of struct rtkvm_vm_options in 0.1. */
#define OPTIONS_MIN sizeof(struct rtkvm_vm_options)

#define FEATURES ((uint32_t)(RTKVM_VM_ALL | RTKVM_VM_DEDICATED_CPU))

void rtkvm_vm_options_init(struct rtkvm_vm_options *options, size_t size)
{
	struct rtkvm_vm_options defaults = {
		.size = size,
		.features = RTKVM_VM_HALT_POLL | RTKVM_VM_X2APIC | RTKVM_VM_PV_CPUID |
			    RTKVM_VM_TSC | RTKVM_VM_CSTATE_HOLD,
		.kvm_fd = -1,
	};

	if (!options)
		return;
	memset(options, 0, size);
	memcpy(options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

int rtkvm_vm_cap(const struct rtkvm_vm *vm, int cap)
{
	int value = ioctl(vm->fd, KVM_CHECK_EXTENSION, cap);

	return value > 0 ? value : 0;
}

int rtkvm_vm_enable_cap(const struct rtkvm_vm *vm, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .args = { arg } };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &enable) < 0 ? -errno : 0;
}

bool rtkvm_vm_has_lapic(const struct rtkvm_vm *vm)
{
	struct kvm_irqfd irqfd = { .gsi = 0 };
	bool has;
	int fd;

	/* KVM takes an irqfd only when there is a local APIC in the kernel; this one never fires */
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return false;
	irqfd.fd = (uint32_t)fd;
	has = ioctl(vm->fd, KVM_IRQFD, &irqfd) == 0;
	if (has) {
		irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
		(void)ioctl(vm->fd, KVM_IRQFD, &irqfd);
	}
	close(fd);
	return has;
}

static int check_kick_signal(struct rtkvm *rt, int sig)
{
	/* 32 up to SIGRTMIN are the C library's own */
	if (sig == 0 || (sig > 0 && sig < 32 && sig != SIGKILL && sig != SIGSTOP) ||
	    (sig >= SIGRTMIN && sig <= SIGRTMAX))
		return 0;
	return rtkvm_fail(rt, EINVAL, "rtkvm_vm_options.kick_signal",
			  "use a signal that can have a handler", "%d is no such signal", sig);
}

static int check_options(struct rtkvm *rt, const struct rtkvm_vm_options *opt)
{
	if (opt->features & ~FEATURES)
		return rtkvm_fail(rt, EINVAL, "rtkvm_vm_options.features", "use RTKVM_VM_*",
				  "unknown features 0x%x", opt->features & ~FEATURES);
	if (opt->max_exit_us < 0)
		return rtkvm_fail(rt, EINVAL, "rtkvm_vm_options.max_exit_us", "use 0 or more",
				  "an exit latency of %d us", opt->max_exit_us);
	if (opt->dedicated > 1)
		return rtkvm_fail(rt, EINVAL, "rtkvm_vm_options.dedicated", "use 0 or 1",
				  "%u is neither 0 nor 1", opt->dedicated);
	for (size_t i = 0; i < sizeof(opt->reserved) / sizeof(opt->reserved[0]); i++)
		if (opt->reserved[i])
			return rtkvm_fail(rt, E2BIG, "rtkvm_vm_options.reserved",
					  "use a newer librtkvm", "reserved field %zu is set", i);
	if (opt->kvm_fd != -1 && ioctl(opt->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return rtkvm_fail(rt, EINVAL, "rtkvm_vm_options.kvm_fd",
				  "give a descriptor of /dev/kvm, or -1",
				  "descriptor %d is not /dev/kvm", opt->kvm_fd);
	return check_kick_signal(rt, opt->kick_signal);
}

/* Only a VM tells its capabilities and has no API version. */
static int check_vm_fd(struct rtkvm *rt, int fd)
{
	if (fcntl(fd, F_GETFD) < 0)
		return rtkvm_fail(rt, EBADF, "vm_fd", "give the descriptor from KVM_CREATE_VM",
				  "descriptor %d is not open", fd);
	if (ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) <= 0 ||
	    ioctl(fd, KVM_GET_API_VERSION, 0) >= 0)
		return rtkvm_fail(rt, EINVAL, "vm_fd", "give the descriptor from KVM_CREATE_VM",
				  "descriptor %d is no KVM VM of this process", fd);
	return 0;
}

static int take_up(struct rtkvm_vm *vm, int vm_fd)
{
	int err;

	vm->fd = fcntl(vm_fd, F_DUPFD_CLOEXEC, 3);
	if (vm->fd < 0)
		return rtkvm_fail(vm->rt, errno, "vm_fd", rtkvm_remedy_for(errno),
				  "cannot duplicate descriptor %d: %s", vm_fd, strerror(errno));
	err = rtkvm_stats_open(&vm->stats, vm->fd);
	if (err == -EMFILE || err == -ENFILE || err == -ENOMEM)
		return rtkvm_fail(vm->rt, -err, "KVM_GET_STATS_FD", rtkvm_remedy_for(-err),
				  "cannot open the VM's statistics: %s", strerror(-err));
	vm->stats_err = err;
	vm->has_immediate_exit = rtkvm_vm_cap(vm, KVM_CAP_IMMEDIATE_EXIT) > 0;
	rtkvm_cpuid_ask_supported(vm);
	rtkvm_features_enable(vm);
	/* was lent for the call only */
	vm->opt.kvm_fd = -1;
	return 0;
}

/* A real-time vCPU thread may wait for a lower one: that one inherits its priority. */
static void lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

int rtkvm_vm_new(struct rtkvm *rt, int vm_fd, struct rtkvm_plan *plan,
		 const struct rtkvm_vm_options *options, struct rtkvm_vm **out)
{
	struct rtkvm_vm_options opt;
	struct rtkvm_vm *vm;
	int ret;

	if (out)
		*out = NULL;
	if (!rt || !out)
		return rtkvm_fail(rt, EINVAL, "rtkvm_vm_new", NULL, "rt or vm is NULL");
	rtkvm_vm_options_init(&opt, sizeof(opt));
	if (options) {
		ret = rtkvm_options_take(rt, &opt, sizeof(opt), OPTIONS_MIN, options,
					 "rtkvm_vm_options");
		if (ret < 0)
			return ret;
	}
	ret = check_options(rt, &opt);
	if (ret == 0)
		ret = check_vm_fd(rt, vm_fd);
	if (ret < 0)
		return ret;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return rtkvm_fail(rt, ENOMEM, NULL, NULL, "no memory for a VM");
	vm->rt = rt;
	vm->plan = plan;
	vm->opt = opt;
	vm->cstate_fd = -1;
	vm->stats.fd = -1;
	lock_init(&vm->lock);
	ret = take_up(vm, vm_fd);
	if (ret < 0) {
		rtkvm_vm_free(vm);
		return ret;
	}
	*out = vm;
	return 0;
}

void rtkvm_vm_free(struct rtkvm_vm *vm)
{
	if (!vm)
		return;
	rtkvm_vm_leave_realtime(vm);
	while (vm->vcpus)
		rtkvm_vcpu_free(vm->vcpus);
	rtkvm_stats_close(&vm->stats);
	if (vm->fd >= 0)
		close(vm->fd);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

static int fail_off(struct rtkvm_vm *vm, int i, const struct rtkvm_finding *finding)
{
	return rtkvm_fail(vm->rt, EOPNOTSUPP, rtkvm_feature_name((unsigned int)i),
			  "do not ask for the feature, or go real-time without RTKVM_STRICT",
			  "the feature is off: %s", finding->reason);
}

static void cstate_release(struct rtkvm_vm *vm)
{
	if (vm->cstate_fd >= 0)
		close(vm->cstate_fd);
	vm->cstate_fd = -1;
	vm->cstate_err = 0;
}

static void cstate_hold(struct rtkvm_vm *vm)
{
	int fd;

	if (!(vm->opt.features & RTKVM_VM_CSTATE_HOLD))
		return;
	fd = rtkvm_cstate_hold(vm->rt, vm->opt.max_exit_us);
	vm->cstate_fd = fd < 0 ? -1 : fd;
	vm->cstate_err = fd < 0 ? -fd : 0;
}

void rtkvm_cstate_look(const struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding)
{
	int32_t us;
	int err;

	(void)feature;
	if (vm->cstate_err) {
		rtkvm_find(finding, RTKVM_STATE_OFF, true, "%s: %s; have it opened to this user",
			   RTKVM_CSTATE_FILE, strerror(vm->cstate_err));
		return;
	}
	if (vm->cstate_fd < 0) {
		rtkvm_find(finding, RTKVM_STATE_OFF, false, "held while the VM is real-time");
		return;
	}
	err = -rtkvm_cstate_read(vm->cstate_fd, &us);
	if (err)
		rtkvm_find(finding, RTKVM_STATE_UNVERIFIABLE, false,
			   "%s took %d us and cannot be read back: %s", RTKVM_CSTATE_FILE,
			   vm->opt.max_exit_us, strerror(err));
	else if (us > vm->opt.max_exit_us)
		rtkvm_find(finding, RTKVM_STATE_OFF, true, "%s took %d us, but %d us are in force",
			   RTKVM_CSTATE_FILE, vm->opt.max_exit_us, us);
	else
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false,
			   "%s: exit latencies up to %d us are in force", RTKVM_CSTATE_FILE, us);
}

/* vm->lock held. What can fail without touching a thread goes first. */
static int raise_all(struct rtkvm_vm *vm, bool strict)
{
	const struct rtkvm_vcpu *missing;
	struct rtkvm_finding finding;
	char name[32];
	int ret, i;

	missing = rtkvm_dedicated_missing(vm, &finding);
	if (missing) {
		snprintf(name, sizeof(name), "dedicated-cpu %u", missing->index);
		return rtkvm_fail(vm->rt, EOPNOTSUPP, name,
				  "or allow it to run as an ordinary vCPU "
				  "(no RTKVM_DEDICATE_NO_FALLBACK)", "%s", finding.reason);
	}
	i = strict ? rtkvm_features_first_off(vm, &finding) : -1;
	if (i >= 0)
		return fail_off(vm, i, &finding);
	cstate_hold(vm);
	i = strict ? rtkvm_features_first_off(vm, &finding) : -1;
	if (i >= 0) {
		cstate_release(vm);
		return fail_off(vm, i, &finding);
	}
	/* raised already by the caller or by another VM that shares it: theirs to lower */
	if (vm->plan && !rtkvm_plan_is_realtime(vm->plan)) {
		ret = rtkvm_plan_go_realtime(vm->plan, NULL);
		vm->raised_plan = ret == 0;
		if (ret < 0 && ret != -EALREADY) {
			cstate_release(vm);
			return ret;
		}
	}
	rtkvm_dedicated_fall_back(vm);
	atomic_store(&vm->realtime, true);
	for (struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next)
		rtkvm_vcpu_set_pending(v, RTKVM_PENDING_REALTIME);
	return 0;
}

int rtkvm_vm_go_realtime(struct rtkvm_vm *vm, unsigned int flags)
{
	int ret;

	if (!vm || (flags & ~(unsigned int)RTKVM_STRICT))
		return rtkvm_fail(vm ? vm->rt : NULL, EINVAL, "rtkvm_vm_go_realtime",
				  "use 0 or RTKVM_STRICT", "vm is NULL or flags 0x%x are unknown",
				  flags);
	pthread_mutex_lock(&vm->lock);
	if (atomic_load(&vm->realtime))
		ret = rtkvm_fail(vm->rt, EALREADY, "rtkvm_vm_go_realtime", NULL,
				 "the VM is real-time already");
	else
		ret = raise_all(vm, flags & RTKVM_STRICT);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

/* One that has a CPU gives it back in its own thread. */
static void leave_vcpu(struct rtkvm_vcpu *v)
{
	atomic_store(&v->sched_seen, RTKVM_SCHED_UNSEEN);
	if (atomic_load(&v->ded.bound))
		rtkvm_vcpu_set_pending(v, RTKVM_PENDING_REALTIME);
}

int rtkvm_vm_leave_realtime(struct rtkvm_vm *vm)
{
	int ret = 0;

	if (!vm)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_vm_leave_realtime", NULL, "vm is NULL");
	pthread_mutex_lock(&vm->lock);
	if (atomic_load(&vm->realtime)) {
		atomic_store(&vm->realtime, false);
		for (struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next)
			leave_vcpu(v);
		if (vm->raised_plan)
			ret = rtkvm_plan_undo(vm->plan, NULL);
		vm->raised_plan = false;
	}
	cstate_release(vm);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int rtkvm_vm_get_stat(const struct rtkvm_vm *vm, const char *name, uint64_t *value)
{
	if (!vm || !name || !value)
		return -EINVAL;
	return rtkvm_stats_get(&vm->stats, name, value);
}

static void look_stats(const struct rtkvm_vm *vm, struct rtkvm_finding *finding)
{
	if (vm->stats_err)
		rtkvm_find(finding, RTKVM_STATE_OFF, true, "KVM_GET_STATS_FD: %s (Linux 5.14)",
			   strerror(-vm->stats_err));
	else
		rtkvm_find(finding, RTKVM_STATE_VERIFIED, false, "%u counters of the VM read",
			   vm->stats.count);
}

/* What is always there and reported after the features. */
static const struct {
	const char *name;
	void (*look)(const struct rtkvm_vm *vm, struct rtkvm_finding *finding);
} always[] = {
	{ "vcpu-threads", rtkvm_vcpus_look_threads },
	{ "kick", rtkvm_vcpus_look_kick },
	{ "immediate-exit", rtkvm_vcpus_look_immediate_exit },
	{ "stats", look_stats },
};

int rtkvm_vm_report(struct rtkvm_vm *vm, struct rtkvm_report **out)
{
	struct rtkvm_report *report;
	struct rtkvm_finding f;

	if (out)
		*out = NULL;
	if (!vm || !out)
		return rtkvm_fail(vm ? vm->rt : NULL, EINVAL, "rtkvm_vm_report", NULL,
				  "vm or report is NULL");
	report = rtkvm_report_new();
	pthread_mutex_lock(&vm->lock);
	for (unsigned int i = 0; i < RTKVM_VM_FEATURES; i++) {
		rtkvm_feature_look(vm, i, &f);
		rtkvm_report_add(report, rtkvm_feature_name(i), f.state, f.problem, "%s", f.reason);
	}
	for (const struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next) {
		char name[32];

		if (!v->ded.lease)
			continue;
		snprintf(name, sizeof(name), "dedicated-cpu %u", v->index);
		rtkvm_dedicated_look_vcpu(v, &f);
		rtkvm_report_add(report, name, f.state, f.problem, "%s", f.reason);
	}
	for (unsigned int i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
		always[i].look(vm, &f);
		rtkvm_report_add(report, always[i].name, f.state, f.problem, "%s", f.reason);
	}
	pthread_mutex_unlock(&vm->lock);
	return rtkvm_report_finish(report, out);
}
