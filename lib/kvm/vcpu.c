/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vCPU: its thread, kicks, and what it applies between two KVM_RUNs.
 *
 * Kicking and syncing meet in two words. rtkvm_vcpu_sync() looks only at
 * immediate_exit of struct kvm_run, which the kernel looks at too.
 *
 *   kick:  pending |= what;  immediate_exit = 1;  signal
 *   sync:  if (!immediate_exit) return;  immediate_exit = 0;  take pending
 *
 * pending is written before immediate_exit: whoever sees the second sees the
 * first. immediate_exit is cleared before pending is taken: a kick that comes
 * between leaves it set, which costs one KVM_RUN that returns at once, and is
 * never lost. Looking at pending alone would lose that kick, or leave
 * immediate_exit set with nothing pending, and the vCPU would spin.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kvm.h"

/* immediate_exit is in the first page of struct kvm_run, whatever the whole size is. */
_Static_assert(offsetof(struct kvm_run, immediate_exit) < 4096, "first page");

static int check_vcpu_fd(struct rtkvm *rt, int fd)
{
	struct kvm_mp_state state;

	if (fcntl(fd, F_GETFD) < 0)
		return rtkvm_fail(rt, EBADF, "vcpu_fd", "give the descriptor from KVM_CREATE_VCPU",
				  "descriptor %d is not open", fd);
	if (ioctl(fd, KVM_GET_MP_STATE, &state) < 0)
		return rtkvm_fail(rt, EINVAL, "vcpu_fd",
				  "give the descriptor from KVM_CREATE_VCPU",
				  "descriptor %d is no KVM vCPU of this process: %s", fd,
				  strerror(errno));
	return 0;
}

static int open_all(struct rtkvm_vcpu *vcpu, int vcpu_fd)
{
	struct rtkvm *rt = vcpu->vm->rt;
	int ret;

	vcpu->fd = fcntl(vcpu_fd, F_DUPFD_CLOEXEC, 3);
	if (vcpu->fd < 0)
		return rtkvm_fail(rt, errno, "vcpu_fd", rtkvm_remedy_for(errno),
				  "cannot duplicate descriptor %d: %s", vcpu_fd, strerror(errno));
	vcpu->run_size = (size_t)sysconf(_SC_PAGESIZE);
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return rtkvm_fail(rt, errno, "vcpu_fd", NULL, "cannot map struct kvm_run: %s",
				  strerror(errno));
	}
	if (vcpu->vm->stats_err)
		return 0;
	ret = rtkvm_stats_open(&vcpu->stats, vcpu->fd);
	if (ret < 0)
		return rtkvm_fail(rt, -ret, "KVM_GET_STATS_FD", rtkvm_remedy_for(-ret),
				  "cannot open the statistics of vCPU %u: %s", vcpu->index,
				  strerror(-ret));
	if (vcpu->stats.vcpu_id >= 0 && (unsigned int)vcpu->stats.vcpu_id != vcpu->index)
		return rtkvm_fail(rt, EINVAL, "index", "give the id that KVM_CREATE_VCPU was given",
				  "descriptor %d is vCPU %d, not %u", vcpu_fd, vcpu->stats.vcpu_id,
				  vcpu->index);
	(void)rtkvm_stats_get(&vcpu->stats, "halt_exits", &vcpu->halts0);
	(void)rtkvm_stats_get(&vcpu->stats, "halt_attempted_poll", &vcpu->polls0);
	(void)rtkvm_stats_get(&vcpu->stats, "signal_exits", &vcpu->signals0);
	return 0;
}

static void close_all(struct rtkvm_vcpu *vcpu)
{
	rtkvm_stats_close(&vcpu->stats);
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	free(vcpu);
}

/* Into the list, in order of their index: reports name them in order. */
static int insert(struct rtkvm_vcpu *vcpu)
{
	struct rtkvm_vm *vm = vcpu->vm;
	struct rtkvm_vcpu **at = &vm->vcpus;

	while (*at && (*at)->index < vcpu->index)
		at = &(*at)->next;
	if (*at && (*at)->index == vcpu->index)
		return rtkvm_fail(vm->rt, EEXIST, "index", "free the vCPU that has it first",
				  "vCPU %u is taken up already", vcpu->index);
	vcpu->next = *at;
	*at = vcpu;
	return 0;
}

int rtkvm_vcpu_new(struct rtkvm_vm *vm, unsigned int index, int vcpu_fd, struct rtkvm_vcpu **out)
{
	struct rtkvm_vcpu *vcpu;
	int ret;

	if (out)
		*out = NULL;
	if (!vm || !out)
		return rtkvm_fail(vm ? vm->rt : NULL, EINVAL, "rtkvm_vcpu_new", NULL,
				  "vm or vcpu is NULL");
	ret = check_vcpu_fd(vm->rt, vcpu_fd);
	if (ret < 0)
		return ret;
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return rtkvm_fail(vm->rt, ENOMEM, NULL, NULL, "no memory for a vCPU");
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->fd = -1;
	vcpu->stats.fd = -1;
	ret = open_all(vcpu, vcpu_fd);
	if (ret == 0) {
		pthread_mutex_lock(&vm->lock);
		ret = insert(vcpu);
		pthread_mutex_unlock(&vm->lock);
	}
	if (ret < 0) {
		close_all(vcpu);
		return ret;
	}
	*out = vcpu;
	return 0;
}

void rtkvm_vcpu_free(struct rtkvm_vcpu *vcpu)
{
	struct rtkvm_vm *vm;

	if (!vcpu)
		return;
	vm = vcpu->vm;
	pthread_mutex_lock(&vm->lock);
	for (struct rtkvm_vcpu **at = &vm->vcpus; *at; at = &(*at)->next)
		if (*at == vcpu) {
			*at = vcpu->next;
			break;
		}
	rtkvm_dedicated_end(vcpu);
	pthread_mutex_unlock(&vm->lock);
	close_all(vcpu);
}

/*
 * Before its first KVM_RUN: KVM_RUN with immediate_exit must come back with
 * EINTR and without having run the guest.
 */
static void try_immediate_exit(struct rtkvm_vcpu *vcpu)
{
	if (!vcpu->vm->has_immediate_exit || vcpu->has_entered)
		return;
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	vcpu->run_errno = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? errno : -1;
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

/*
 * A kick_signal without a handler ends the process, or is dropped. Not so when
 * the thread has it blocked: then KVM_RUN unblocks it (KVM_SET_SIGNAL_MASK).
 */
static void look_at_signal(struct rtkvm_vcpu *vcpu)
{
	int sig = vcpu->vm->opt.kick_signal;
	struct sigaction action;
	sigset_t blocked;

	vcpu->signal_unhandled = false;
	if (!sig || pthread_sigmask(SIG_SETMASK, NULL, &blocked) || sigismember(&blocked, sig))
		return;
	vcpu->signal_unhandled = sigaction(sig, NULL, &action) < 0 ||
				 (!(action.sa_flags & SA_SIGINFO) &&
				  (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN));
}

static bool alive(pid_t pid, int tid)
{
	return syscall(SYS_tgkill, pid, tid, 0) == 0;
}

/* vm->lock held. */
static int enter(struct rtkvm_vcpu *vcpu)
{
	struct rtkvm_vm *vm = vcpu->vm;
	int tid = atomic_load(&vcpu->tid), self = gettid(), ret;

	if (tid == self)
		return 0;
	if (tid && alive(vcpu->pid, tid))
		return rtkvm_fail(vm->rt, EBUSY, "rtkvm_vcpu_enter",
				  "have it call rtkvm_vcpu_leave() first",
				  "thread %d is the one of vCPU %u", tid, vcpu->index);
	if (vm->plan) {
		ret = rtkvm_thread_enter(vm->plan, RTKVM_ROLE_VCPU);
		if (ret < 0) {
			struct rtkvm_error saved;

			rtkvm_error_save(&saved);
			rtkvm_thread_leave(vm->plan);
			rtkvm_error_restore(&saved);
			return ret;
		}
	}
	rtkvm_cpuid_read_vcpu(vcpu);
	look_at_signal(vcpu);
	try_immediate_exit(vcpu);
	rtkvm_dedicated_try(vcpu);
	rtkvm_dedicated_tell(vcpu, self);
	vcpu->has_entered = true;
	vcpu->pid = getpid();
	atomic_store(&vcpu->sched_seen, RTKVM_SCHED_UNSEEN);
	atomic_store(&vcpu->tid, self);
	/* plugged in late: its first sync looks at its own scheduling, and binds it */
	if (atomic_load(&vm->realtime)) {
		rtkvm_dedicated_place(vcpu, self);
		rtkvm_vcpu_set_pending(vcpu, RTKVM_PENDING_REALTIME);
	}
	return 0;
}

int rtkvm_vcpu_enter(struct rtkvm_vcpu *vcpu)
{
	int ret;

	if (!vcpu)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_vcpu_enter", NULL, "vcpu is NULL");
	pthread_mutex_lock(&vcpu->vm->lock);
	ret = enter(vcpu);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return ret;
}

int rtkvm_vcpu_leave(struct rtkvm_vcpu *vcpu)
{
	struct rtkvm_vm *vm = vcpu ? vcpu->vm : NULL;
	int ret = 0;

	if (!vcpu || atomic_load(&vcpu->tid) != gettid())
		return rtkvm_fail(vm ? vm->rt : NULL, EINVAL, "rtkvm_vcpu_leave",
				  "call it in the thread that entered",
				  "vcpu is NULL, or this is not its thread");
	pthread_mutex_lock(&vm->lock);
	atomic_store(&vcpu->tid, 0);
	atomic_store(&vcpu->sched_seen, RTKVM_SCHED_UNSEEN);
	rtkvm_dedicated_end(vcpu);
	/* -ENOENT: it left by itself */
	if (vm->plan)
		ret = rtkvm_thread_leave(vm->plan);
	pthread_mutex_unlock(&vm->lock);
	return ret == -ENOENT ? 0 : ret;
}

/* pending and immediate_exit, then the signal; see the top of this file. */
static int kick(struct rtkvm_vcpu *vcpu, unsigned int what)
{
	int tid = atomic_load(&vcpu->tid), sig = vcpu->vm->opt.kick_signal;

	if (!tid)
		return -ESRCH;
	if (what)
		atomic_fetch_or(&vcpu->pending, what);
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (!sig || vcpu->signal_unhandled)
		return 0;
	/* before the signal: it may be our own thread's, and end there */
	atomic_fetch_add(&vcpu->kicks, 1);
	if (syscall(SYS_tgkill, vcpu->pid, tid, sig) < 0)
		return -ESRCH;
	return 0;
}

void rtkvm_vcpu_set_pending(struct rtkvm_vcpu *vcpu, unsigned int what)
{
	/* no thread yet: rtkvm_vcpu_enter() does it */
	(void)kick(vcpu, what);
}

int rtkvm_vcpu_kick(struct rtkvm_vcpu *vcpu)
{
	int saved = errno, ret;

	if (!vcpu)
		return -EINVAL;
	ret = kick(vcpu, 0);
	errno = saved;
	return ret;
}

/* In the vCPU's own thread: is it scheduled as the plan says? */
static int look_at_sched(struct rtkvm_vcpu *vcpu)
{
	struct rtkvm_role_sched want = { .size = sizeof(want) };
	struct sched_attr_v0 {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} got = { .size = sizeof(got) };
	bool as_planned;

	if (!vcpu->vm->plan || !atomic_load(&vcpu->vm->realtime))
		return 0;
	if (rtkvm_plan_get_role(vcpu->vm->plan, RTKVM_ROLE_VCPU, &want) < 0 ||
	    syscall(SYS_sched_getattr, 0, &got, sizeof(got), 0) < 0)
		return -EPERM;
	as_planned = (int32_t)got.policy == want.policy &&
		     (want.policy == RTKVM_POLICY_TS || (int32_t)got.priority == want.priority);
	atomic_store(&vcpu->sched_policy, (int)got.policy);
	atomic_store(&vcpu->sched_priority, (int)got.priority);
	atomic_store(&vcpu->sched_seen, as_planned ? RTKVM_SCHED_AS_PLANNED : RTKVM_SCHED_DIFFERS);
	return as_planned ? 0 : -EPERM;
}

static int apply(struct rtkvm_vcpu *vcpu)
{
	int saved = errno, ret = 0, bound;
	unsigned int what;

	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	what = atomic_exchange(&vcpu->pending, 0);
	if (what & RTKVM_PENDING_REALTIME) {
		bound = rtkvm_dedicated_apply(vcpu);
		ret = look_at_sched(vcpu);
		ret = ret < 0 ? ret : bound;
	}
	errno = saved;
	return ret;
}

int rtkvm_vcpu_sync(struct rtkvm_vcpu *vcpu)
{
	if (!vcpu)
		return -EINVAL;
	if (!__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_ACQUIRE))
		return 0;
	return apply(vcpu);
}

int rtkvm_vcpu_get_stat(const struct rtkvm_vcpu *vcpu, const char *name, uint64_t *value)
{
	if (!vcpu || !name || !value)
		return -EINVAL;
	return rtkvm_stats_get(&vcpu->stats, name, value);
}

const char *rtkvm_vcpu_stat_name(const struct rtkvm_vcpu *vcpu, unsigned int index)
{
	return vcpu ? rtkvm_stats_name(&vcpu->stats, index) : NULL;
}
