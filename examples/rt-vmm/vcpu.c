/* SPDX-License-Identifier: MIT */
/*
 * The thread of a vCPU: its KVM_RUN loop and every exit that can come out of
 * it. What a port means is the guest's affair (struct guest of run.h). An exit
 * that is not expected ends the run with a message.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "run.h"

void vcpu_set_phase(struct vcpu_thread *t, int phase)
{
	atomic_store(&t->phase, phase);
	eventfd_write(t->run->event_fd, 1);
}

int vcpu_failed(struct vcpu_thread *t)
{
	vcpu_set_phase(t, PHASE_FAILED);
	return -1;
}

static uint64_t guest_rip(struct vcpu_thread *t)
{
	struct kvm_regs regs = { 0 };

	ioctl(t->run->machine.vcpu[t->index].fd, KVM_GET_REGS, &regs);
	return regs.rip;
}

/* 0: back into the guest, -1: this vCPU has ended. */
static int handle_exit(struct vcpu_thread *t, struct kvm_run *run)
{
	const struct guest *guest = t->run->guest;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return guest->io(t, run);
	case KVM_EXIT_INTR:
		return 0;
	case KVM_EXIT_HLT:
		fail("vCPU %u: HLT came to user space, although the interrupt controller is in "
		     "the kernel", t->index);
		break;
	case KVM_EXIT_MMIO:
		if (guest->mmio)
			return guest->mmio(t, run);
		fail("vCPU %u: access to address 0x%" PRIx64 ", where nothing is, at RIP 0x%" PRIx64,
		     t->index, (uint64_t)run->mmio.phys_addr, guest_rip(t));
		break;
	case KVM_EXIT_SHUTDOWN:
		if (guest->shutdown)
			return guest->shutdown(t);
		fail("vCPU %u: triple fault in the guest at RIP 0x%" PRIx64, t->index,
		     guest_rip(t));
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		fail("vCPU %u: system event %u", t->index, run->system_event.type);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		fail("vCPU %u: the processor refused to enter the guest, reason 0x%" PRIx64,
		     t->index, (uint64_t)run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		fail("vCPU %u: KVM internal error %u at RIP 0x%" PRIx64 " (1: an instruction it "
		     "could not emulate)", t->index, run->internal.suberror, guest_rip(t));
		break;
	default:
		fail("vCPU %u: KVM exit reason %u, which this VMM does not handle", t->index,
		     run->exit_reason);
	}
	return vcpu_failed(t);
}

static void run_vcpu(struct vcpu_thread *t)
{
	struct run *r = t->run;
	struct vcpu *v = &r->machine.vcpu[t->index];

	for (;;) {
		if (r->tuning->vcpu_sync)
			r->tuning->vcpu_sync(r, t->index); /* failures are in its report */
		else
			v->run->immediate_exit = 0;
		atomic_fetch_add(&t->rounds, 1);
		/* after immediate_exit was cleared: stop is set before it, so none is missed */
		if (atomic_load(&r->stop))
			return;
		if (ioctl(v->fd, KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			fail("vCPU %u: KVM_RUN: %m", t->index);
			vcpu_failed(t);
			return;
		}
		if (handle_exit(t, v->run) < 0)
			return;
	}
}

void *vcpu_thread(void *arg)
{
	struct vcpu_thread *t = arg;
	struct run *r = t->run;

	atomic_store(&t->tid, gettid());
	if (r->tuning->vcpu_enter && r->tuning->vcpu_enter(r, t->index) < 0)
		vcpu_failed(t);
	else
		run_vcpu(t);
	/* stay, so that the main thread can look at this thread's settings */
	while (sem_wait(&r->leave) < 0 && errno == EINTR)
		;
	if (r->tuning->vcpu_leave)
		r->tuning->vcpu_leave(r, t->index);
	return NULL;
}
