/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPUs on dedicated CPUs: whether a VM can have them, the trial when a vCPU's
 * thread enters, binding and giving back between two KVM_RUNs, what a vCPU gets
 * instead, and what is seen of all that. The kernel's interface is
 * linux/kvm_dedicated.h of kernel/uapi, and nothing of it is repeated here.
 *
 * A vCPU's ioctls wait for its KVM_RUN, so all of them are made in its thread.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <linux/kvm_dedicated.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/file.h"
#include "cpu/cpu_priv.h"
#include "kvm.h"
#include "lease/lease_priv.h"
#include "plan/plan.h"

#define OPTIONS_MIN sizeof(struct rtkvm_dedicate_options)
#define POLL_MAX_NS 1000000000U
#define POLL_DEFAULT_NS 10000U

void rtkvm_dedicate_options_init(struct rtkvm_dedicate_options *options, size_t size)
{
	struct rtkvm_dedicate_options defaults = {
		.size = size, .features = KVM_DEDICATED_CPU_RUN, .poll_ns = POLL_DEFAULT_NS,
	};

	if (!options)
		return;
	memset(options, 0, size);
	memcpy(options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

/* ---- what there is -------------------------------------------------------------- */

static bool parameter_on(struct rtkvm *rt, const char *path)
{
	char text[16];

	return rtkvm_file_read_quiet(rt, path, text, sizeof(text)) > 0 &&
	       (text[0] == 'Y' || text[0] == '1');
}

/* Why KVM offers none, with what helps. */
static const char *why_none(struct rtkvm *rt)
{
	struct rtkvm_cpus cpus;

	if (rtkvm_dedicated_cpus(rt, &cpus) < 0)
		return "this kernel has no dedicated CPUs: boot one with the series of kernel/ and "
		       "CONFIG_X86_DEDICATED_CPU";
	if (parameter_on(rt, "/sys/module/kvm_intel/parameters/enable_apicv"))
		return "KVM uses APICv, which excludes them: load kvm_intel with enable_apicv=0";
	if (parameter_on(rt, "/sys/module/kvm_amd/parameters/avic"))
		return "KVM uses AVIC, which excludes them: load kvm_amd with avic=0";
	return "KVM offers no dedicated CPUs on this machine (on Intel they need the preemption "
	       "timer)";
}

void rtkvm_dedicated_enable(struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *finding)
{
	uint64_t have = (uint32_t)rtkvm_vm_cap(vm, KVM_CAP_X86_DEDICATED_CPU);

	(void)feature;
	if (!(have & KVM_DEDICATED_CPU_RUN)) {
		rtkvm_find(finding, RTKVM_STATE_OFF, true, "%s", why_none(vm->rt));
		return;
	}
	vm->ded_features = have;
	/* refused: a guest that has a PMU then is what the trial finds */
	(void)rtkvm_vm_enable_cap(vm, KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE);
	rtkvm_find(finding, RTKVM_STATE_ACCEPTED, false, "KVM offers features 0x%llx",
		   (unsigned long long)have);
}

/* ---- asking for it ---------------------------------------------------------------- */

static int check_options(struct rtkvm *rt, const struct rtkvm_dedicate_options *opt)
{
	if (!(opt->features & KVM_DEDICATED_CPU_RUN) ||
	    (opt->features & ~(uint64_t)KVM_DEDICATED_CPU_FEATURES))
		return rtkvm_fail(rt, EINVAL, "rtkvm_dedicate_options.features",
				  "use KVM_DEDICATED_CPU_*, RUN among them",
				  "features 0x%llx without RUN, or unknown",
				  (unsigned long long)opt->features);
	if (opt->poll_ns > POLL_MAX_NS)
		return rtkvm_fail(rt, EINVAL, "rtkvm_dedicate_options.poll_ns",
				  "use 0 to 1000000000", "%u ns is too long", opt->poll_ns);
	if (opt->flags & ~(uint32_t)RTKVM_DEDICATE_NO_FALLBACK)
		return rtkvm_fail(rt, EINVAL, "rtkvm_dedicate_options.flags",
				  "use RTKVM_DEDICATE_*", "unknown flags 0x%x", opt->flags);
	for (size_t i = 0; i < sizeof(opt->reserved) / sizeof(opt->reserved[0]); i++)
		if (opt->reserved[i])
			return rtkvm_fail(rt, E2BIG, "rtkvm_dedicate_options.reserved",
					  "use a newer librtkvm", "reserved field %zu is set", i);
	return 0;
}

/* vm->lock held. */
static int ask(struct rtkvm_vcpu *vcpu, struct rtkvm_cpu_lease *lease, uint32_t index, int cpu,
	       const struct rtkvm_dedicate_options *opt)
{
	struct rtkvm_vm *vm = vcpu->vm;

	if (atomic_load(&vcpu->tid))
		return rtkvm_fail(vm->rt, EBUSY, "rtkvm_vcpu_dedicate",
				  "call it before rtkvm_vcpu_enter()",
				  "the thread of vCPU %u has entered", vcpu->index);
	for (const struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next)
		if (v != vcpu && v->ded.lease && v->ded.cpu == cpu)
			return rtkvm_fail(vm->rt, EBUSY, "rtkvm_vcpu_dedicate",
					  "give each vCPU a CPU of its own",
					  "vCPU %u gets CPU %d already", v->index, cpu);
	memset(&vcpu->ded, 0, sizeof(vcpu->ded));
	vcpu->ded.lease = lease;
	vcpu->ded.index = index;
	vcpu->ded.cpu = cpu;
	vcpu->ded.features = opt->features;
	vcpu->ded.poll_ns = opt->poll_ns;
	vcpu->ded.flags = opt->flags;
	return 0;
}

int rtkvm_vcpu_dedicate(struct rtkvm_vcpu *vcpu, struct rtkvm_cpu_lease *lease, uint32_t index,
			const struct rtkvm_dedicate_options *options)
{
	struct rtkvm *rt = vcpu ? vcpu->vm->rt : NULL;
	int cpu = rtkvm_cpu_lease_get_cpu(lease, index), ret = 0;
	struct rtkvm_dedicate_options opt;

	if (!vcpu || cpu < 0)
		return rtkvm_fail(rt, EINVAL, "rtkvm_vcpu_dedicate", NULL, "%s",
				  !vcpu ? "vcpu is NULL" : !lease ? "lease is NULL" :
				  "the lease has no CPU of that index");
	if (!(vcpu->vm->opt.features & RTKVM_VM_DEDICATED_CPU))
		return rtkvm_fail(rt, EINVAL, "rtkvm_vcpu_dedicate",
				  "have RTKVM_VM_DEDICATED_CPU among the features of rtkvm_vm_new()",
				  "the VM was made without dedicated CPUs");
	rtkvm_dedicate_options_init(&opt, sizeof(opt));
	if (options)
		ret = rtkvm_options_take(rt, &opt, sizeof(opt), OPTIONS_MIN, options,
					 "rtkvm_dedicate_options");
	if (ret == 0)
		ret = check_options(rt, &opt);
	if (ret < 0)
		return ret;
	pthread_mutex_lock(&vcpu->vm->lock);
	ret = ask(vcpu, lease, index, cpu, &opt);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return ret;
}

/* ---- binding: in the vCPU's thread ---------------------------------------------------- */

static int set_cpu(struct rtkvm_vcpu *vcpu, int cpu)
{
	struct kvm_dedicated_cpu d = {
		.cpu = cpu,
		.cpu_fd = cpu < 0 ? -1 : cpu_claim_fd(vcpu->ded.lease, (unsigned int)cpu),
		.features = vcpu->ded.features & vcpu->vm->ded_features,
		.poll_ns = vcpu->ded.poll_ns,
	};

	return ioctl(vcpu->fd, KVM_SET_DEDICATED_CPU, &d) < 0 ? -errno : 0;
}

/* 0, or -EIO: KVM took it and shows something else. */
static int read_back(struct rtkvm_vcpu *vcpu)
{
	struct kvm_dedicated_cpu d = { .cpu = -1 };

	if (ioctl(vcpu->fd, KVM_GET_DEDICATED_CPU, &d) < 0)
		return -errno;
	atomic_store(&vcpu->ded.active, d.features);
	return d.cpu == vcpu->ded.cpu && (d.features & KVM_DEDICATED_CPU_RUN) ? 0 : -EIO;
}

static int bind(struct rtkvm_vcpu *vcpu)
{
	int ret = set_cpu(vcpu, vcpu->ded.cpu);

	if (ret == 0) {
		ret = read_back(vcpu);
		if (ret < 0)
			(void)set_cpu(vcpu, -1);
	}
	atomic_store(&vcpu->ded.err, -ret);
	atomic_store(&vcpu->ded.bound, ret == 0);
	return ret;
}

static const char *why_refused(const struct rtkvm_vcpu *vcpu, int err)
{
	switch (err) {
	case EPERM:
		return "it takes CAP_SYS_ADMIN: run as root, or have the descriptor of the CPU "
		       "passed (rtkvm_cpu_lease_claim())";
	case EBUSY:
		return "another vCPU has it, or the machine is about to go down";
	case EINVAL:
		return "it is online: somebody brought it back";
	case ENODEV:
		return "it has never been online";
	case EIO:
		return "it does not answer: see dmesg";
	case ENOTTY:
		return "this kernel has no KVM_SET_DEDICATED_CPU";
	case EOPNOTSUPP:
		if (!vcpu->vm->ded_features)
			return why_none(vcpu->vm->rt);
		return "the vCPU has its local APIC in user space, or a PMU, VMX, SVM or XFD: pass its "
		       "CPUID through rtkvm_vm_edit_cpuid(), and make the interrupt controllers "
		       "in the kernel";
	default:
		return "see dmesg";
	}
}

void rtkvm_dedicated_try(struct rtkvm_vcpu *vcpu)
{
	struct rtkvm_ded *d = &vcpu->ded;
	int ret;

	if (!d->lease || d->tried)
		return;
	d->tried = true;
	if (rtkvm_cpu_lease_get_mode(d->lease) != RTKVM_CPU_OFFLINE) {
		snprintf(d->why, sizeof(d->why), "the lease is not in offline mode");
		d->refused = EOPNOTSUPP;
		return;
	}
	ret = vcpu->vm->ded_features ? bind(vcpu) : -EOPNOTSUPP;
	rtkvm_dedicated_end(vcpu);
	d->refused = -ret;
	if (ret < 0)
		snprintf(d->why, sizeof(d->why), "%s", why_refused(vcpu, -ret));
}

void rtkvm_dedicated_tell(struct rtkvm_vcpu *vcpu, pid_t tid)
{
	if (vcpu->vm->plan)
		plan_set_dedicated(vcpu->vm->plan, tid, vcpu->ded.lease && !vcpu->ded.refused);
}

int rtkvm_dedicated_apply(struct rtkvm_vcpu *vcpu)
{
	struct rtkvm_ded *d = &vcpu->ded;
	bool wanted = atomic_load(&vcpu->vm->realtime);

	if (!d->lease || d->refused)
		return 0;
	if (wanted && !atomic_load(&d->bound)) {
		(void)rtkvm_stats_get(&vcpu->stats, "ded_entries", &d->entries0);
		if (bind(vcpu) == 0)
			return 0;
		if (vcpu->vm->plan) /* it runs on its thread's CPUs then */
			plan_set_dedicated(vcpu->vm->plan, atomic_load(&vcpu->tid), false);
		return -EIO;
	}
	if (!wanted)
		rtkvm_dedicated_end(vcpu);
	return 0;
}

void rtkvm_dedicated_end(struct rtkvm_vcpu *vcpu)
{
	if (vcpu->ded.lease && atomic_exchange(&vcpu->ded.bound, false))
		(void)set_cpu(vcpu, -1);
}

/* ---- what it gets instead ----------------------------------------------------------- */

void rtkvm_dedicated_place(struct rtkvm_vcpu *vcpu, pid_t tid)
{
	struct rtkvm_ded *d = &vcpu->ded;
	int ret;

	if (!d->lease || !d->refused || d->ordinary == tid ||
	    (d->flags & RTKVM_DEDICATE_NO_FALLBACK))
		return;
	ret = rtkvm_cpu_lease_bring_online(d->lease, d->index);
	if (ret == 0)
		ret = rtkvm_cpu_lease_add_thread(d->lease, tid, (int)d->index);
	d->ordinary = ret == 0 ? tid : 0;
	d->ordinary_err = -ret;
}

void rtkvm_dedicated_fall_back(struct rtkvm_vm *vm)
{
	/* all CPUs first: with the last one the lease may become a partition */
	for (struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next)
		if (v->ded.lease && v->ded.refused && atomic_load(&v->tid))
			(void)rtkvm_cpu_lease_bring_online(v->ded.lease, v->ded.index);
	for (struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next)
		if (atomic_load(&v->tid))
			rtkvm_dedicated_place(v, atomic_load(&v->tid));
}

/* ---- what is seen of it --------------------------------------------------------------- */

static void look_bound(const struct rtkvm_vcpu *vcpu, struct rtkvm_finding *f)
{
	const struct rtkvm_ded *d = &vcpu->ded;
	unsigned long long features = atomic_load(&d->active);
	uint64_t entries = 0, active = 0;
	bool listed = rtkvm_cpu_dedicated(vcpu->vm->rt, (unsigned int)d->cpu);

	if (rtkvm_stats_get(&vcpu->stats, "ded_entries", &entries) < 0 ||
	    rtkvm_stats_get(&vcpu->stats, "ded_active", &active) < 0)
		rtkvm_find(f, RTKVM_STATE_UNVERIFIABLE, false,
			   "CPU %d; there are no statistics to tell by", d->cpu);
	else if (!active || !listed)
		rtkvm_find(f, RTKVM_STATE_OFF, true,
			   "CPU %d was bound, and is not any more: somebody else gave it back",
			   d->cpu);
	else if (entries == d->entries0)
		rtkvm_find(f, RTKVM_STATE_ACCEPTED, false,
			   "CPU %d is bound; the guest was not entered there yet", d->cpu);
	else
		rtkvm_find(f, RTKVM_STATE_VERIFIED, false,
			   "CPU %d, which is offline: entered %llu times there; features 0x%llx%s, "
			   "exits waited for %u ns",
			   d->cpu, (unsigned long long)(entries - d->entries0), features,
			   d->features & ~features ? " (the kernel has no more of those wanted)" : "",
			   d->poll_ns);
}

static void look_refused(const struct rtkvm_vcpu *vcpu, struct rtkvm_finding *f)
{
	const struct rtkvm_ded *d = &vcpu->ded;

	if (d->ordinary)
		rtkvm_find(f, RTKVM_STATE_OFF, true,
			   "an ordinary vCPU on leased CPU %d, which is online; not a dedicated one: "
			   "%s",
			   d->cpu, d->why);
	else if (d->ordinary_err)
		rtkvm_find(f, RTKVM_STATE_OFF, true,
			   "CPU %d cannot be had: %s; nor can it be brought online for the thread: %s",
			   d->cpu, d->why, strerror(d->ordinary_err));
	else
		rtkvm_find(f, RTKVM_STATE_OFF, true, "CPU %d cannot be had: %s", d->cpu, d->why);
}

void rtkvm_dedicated_look_vcpu(const struct rtkvm_vcpu *vcpu, struct rtkvm_finding *f)
{
	const struct rtkvm_ded *d = &vcpu->ded;
	int err = atomic_load(&d->err);

	if (d->refused)
		look_refused(vcpu, f);
	else if (atomic_load(&d->bound))
		look_bound(vcpu, f);
	else if (err)
		rtkvm_find(f, RTKVM_STATE_OFF, true, "CPU %d was to be had and is refused now: %s",
			   d->cpu, why_refused(vcpu, err));
	else if (atomic_load(&vcpu->vm->realtime))
		rtkvm_find(f, RTKVM_STATE_ACCEPTED, false,
			   "CPU %d: bound when the thread comes to rtkvm_vcpu_sync()", d->cpu);
	else
		rtkvm_find(f, RTKVM_STATE_ACCEPTED, false, "CPU %d: bound when the VM goes real-time%s",
			   d->cpu, d->tried ? "; a trial went well" : "");
}

const struct rtkvm_vcpu *rtkvm_dedicated_missing(const struct rtkvm_vm *vm,
						 struct rtkvm_finding *finding)
{
	for (const struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next)
		if (v->ded.lease && v->ded.refused &&
		    (v->ded.flags & RTKVM_DEDICATE_NO_FALLBACK)) {
			look_refused(v, finding);
			return v;
		}
	return NULL;
}

void rtkvm_dedicated_look(const struct rtkvm_vm *vm, uint32_t feature, struct rtkvm_finding *f)
{
	unsigned int asked = 0, there = 0;
	struct rtkvm_finding one;

	(void)feature;
	if (f->state == RTKVM_STATE_OFF)
		return;
	for (const struct rtkvm_vcpu *v = vm->vcpus; v; v = v->next) {
		if (!v->ded.lease)
			continue;
		asked++;
		rtkvm_dedicated_look_vcpu(v, &one);
		if (one.problem) {
			rtkvm_find(f, one.state, true, "vCPU %u: %.340s", v->index, one.reason);
			return;
		}
		there += one.state == RTKVM_STATE_VERIFIED;
	}
	if (asked && there == asked)
		rtkvm_find(f, RTKVM_STATE_VERIFIED, false, "vCPUs on dedicated CPUs: %u", asked);
	else if (asked)
		rtkvm_find(f, RTKVM_STATE_ACCEPTED, false,
			   "vCPUs on dedicated CPUs: %u of the %u that were asked for", there, asked);
	else
		rtkvm_find(f, RTKVM_STATE_ACCEPTED, false,
			   "KVM offers them; rtkvm_vcpu_dedicate() was called for no vCPU");
}
