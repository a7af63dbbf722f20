/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A probe VM: does HLT leave the guest when KVM was told that it should not?
 * The guest writes to a port, so that we know that it ran, and halts. If HLT
 * exits, KVM_RUN comes back with KVM_EXIT_HLT (there is no local APIC in the
 * kernel to wait in). If it does not, nothing in the guest ends KVM_RUN; a
 * timer signal does that.
 *
 * No handler is needed for the signal: the thread has it blocked, and KVM
 * unblocks it during KVM_RUN only (KVM_SET_SIGNAL_MASK), so that it ends
 * KVM_RUN and stays pending until it is taken back here. It is one that the
 * program does not use: neither handled, nor blocked, nor pending.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kvm.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Long enough to be scheduled on a busy host. */
#define PROBE_NS 50000000L

#define CODE_GPA 0x1000
#define AFTER_HLT (CODE_GPA + 3)

/* out %al, $0x42; hlt; jmp to the hlt */
static const uint8_t code[] = { 0xe6, 0x42, 0xf4, 0xeb, 0xfd };

struct probe {
	int vm, vcpu;
	void *mem, *run;
	size_t page, run_size;
	int signal; /* blocked by us; 0: none yet */
	bool has_timer;
	timer_t timer;
	sigset_t old;
};

/* A signal that this program does not use, or 0. */
static int unused_signal(void)
{
	sigset_t blocked, pending;

	if (pthread_sigmask(SIG_SETMASK, NULL, &blocked) || sigpending(&pending) < 0)
		return 0;
	for (int sig = SIGRTMAX; sig >= SIGRTMIN; sig--) {
		struct sigaction action;

		if (sigaction(sig, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
		    action.sa_handler == SIG_DFL && !sigismember(&blocked, sig) &&
		    !sigismember(&pending, sig))
			return sig;
	}
	return 0;
}

static bool make_vm(struct probe *p, int kvm_fd)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_DISABLE_EXITS,
				      .args = { KVM_X86_DISABLE_EXITS_HLT } };
	struct kvm_userspace_memory_region region = { .guest_phys_addr = CODE_GPA };
	int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	p->vm = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (p->vm < 0 || size <= 0 || ioctl(p->vm, KVM_ENABLE_CAP, &cap) < 0)
		return false;
	/* Intel without unrestricted guest needs three pages for itself; others refuse */
	(void)ioctl(p->vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	p->mem = mmap(NULL, p->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->mem == MAP_FAILED)
		return false;
	memcpy(p->mem, code, sizeof(code));
	region.memory_size = p->page;
	region.userspace_addr = (uintptr_t)p->mem;
	if (ioctl(p->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return false;
	p->vcpu = ioctl(p->vm, KVM_CREATE_VCPU, 0);
	if (p->vcpu < 0)
		return false;
	p->run_size = (size_t)size;
	p->run = mmap(NULL, p->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu, 0);
	return p->run != MAP_FAILED;
}

/* Flat 32-bit protected mode: KVM would emulate real mode on older Intel CPUs. */
static bool set_state(const struct probe *p)
{
	struct kvm_segment cs = { .limit = 0xffffffff, .selector = 8, .type = 11,
				  .present = 1, .db = 1, .s = 1, .g = 1 };
	struct kvm_segment ds = cs;
	struct kvm_regs regs = { .rip = CODE_GPA, .rflags = 2 };
	struct kvm_sregs sregs;

	ds.selector = 16;
	ds.type = 3;
	if (ioctl(p->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return false;
	sregs.cs = cs;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = ds;
	sregs.cr0 |= 1;
	return ioctl(p->vcpu, KVM_SET_SREGS, &sregs) == 0 &&
	       ioctl(p->vcpu, KVM_SET_REGS, &regs) == 0;
}

static bool arm(struct probe *p)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;
	} __attribute__((packed)) mask = { .head.len = 8 };
	struct itimerspec once = { .it_value.tv_nsec = PROBE_NS };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID };
	int sig = unused_signal();
	sigset_t set;

	if (!sig)
		return false;
	sigemptyset(&set);
	sigaddset(&set, sig);
	if (pthread_sigmask(SIG_BLOCK, &set, &p->old))
		return false;
	p->signal = sig;
	event.sigev_signo = sig;
	event.sigev_notify_thread_id = gettid();
	mask.set = ~(1ULL << (sig - 1));
	if (ioctl(p->vcpu, KVM_SET_SIGNAL_MASK, &mask) < 0 ||
	    timer_create(CLOCK_MONOTONIC, &event, &p->timer) < 0)
		return false;
	p->has_timer = true;
	return timer_settime(p->timer, 0, &once, NULL) == 0;
}

/* Take our signal back, if the timer sent it, and put the mask as it was. */
static void disarm(struct probe *p)
{
	struct itimerspec off = { 0 }, left = { 0 };
	struct timespec now = { 0 };
	sigset_t set;

	if (p->has_timer) {
		timer_settime(p->timer, 0, &off, &left);
		sigemptyset(&set);
		sigaddset(&set, p->signal);
		if (!left.it_value.tv_sec && !left.it_value.tv_nsec)
			while (sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR)
				;
		timer_delete(p->timer);
	}
	if (p->signal)
		pthread_sigmask(SIG_SETMASK, &p->old, NULL);
}

/* KVM counted a HLT exit, and waited in the host. */
static bool counted_halt(const struct probe *p)
{
	struct rtkvm_stats stats;
	uint64_t halts = 0;

	if (rtkvm_stats_open(&stats, p->vcpu) == 0) {
		(void)rtkvm_stats_get(&stats, "halt_exits", &halts);
		rtkvm_stats_close(&stats);
	}
	return halts > 0;
}

static enum rtkvm_probe halt(struct probe *p, char *why, size_t size)
{
	const struct kvm_run *run = p->run;
	struct kvm_regs regs;
	bool ran = false;

	/* two KVM_RUNs are needed; each ends by the timer at the latest */
	for (unsigned int i = 0; i < 4; i++) {
		if (ioctl(p->vcpu, KVM_RUN, 0) < 0) {
			if (errno == EAGAIN)
				continue;
			if (errno != EINTR)
				snprintf(why, size, "KVM_RUN of the probe VM: %s", strerror(errno));
			else if (ran && ioctl(p->vcpu, KVM_GET_REGS, &regs) == 0 &&
				 regs.rip == AFTER_HLT)
				return counted_halt(p) ? RTKVM_PROBE_EXITS : RTKVM_PROBE_STAYS;
			else
				snprintf(why, size, "the probe VM did not come to its HLT in time");
			return RTKVM_PROBE_NONE;
		}
		if (run->exit_reason == KVM_EXIT_HLT && ran)
			return RTKVM_PROBE_EXITS;
		if (run->exit_reason != KVM_EXIT_IO)
			break;
		ran = true;
	}
	snprintf(why, size, "unexpected exit %u of the probe VM", run->exit_reason);
	return RTKVM_PROBE_NONE;
}

enum rtkvm_probe rtkvm_probe_hlt(int kvm_fd, char *why, size_t size)
{
	struct probe p = { .vm = -1, .vcpu = -1, .mem = MAP_FAILED, .run = MAP_FAILED };
	enum rtkvm_probe result = RTKVM_PROBE_NONE;

	if (kvm_fd < 0) {
		snprintf(why, size, "needs the kvm_fd option");
		return RTKVM_PROBE_NONE;
	}
	p.page = (size_t)sysconf(_SC_PAGESIZE);
	if (!make_vm(&p, kvm_fd) || !set_state(&p))
		snprintf(why, size, "cannot make a probe VM: %s", strerror(errno));
	else if (!arm(&p))
		snprintf(why, size, "no signal or timer to spare");
	else
		result = halt(&p, why, size);
	disarm(&p);
	if (p.run != MAP_FAILED)
		munmap(p.run, p.run_size);
	if (p.vcpu >= 0)
		close(p.vcpu);
	if (p.vm >= 0)
		close(p.vm);
	if (p.mem != MAP_FAILED)
		munmap(p.mem, p.page);
	return result;
}
