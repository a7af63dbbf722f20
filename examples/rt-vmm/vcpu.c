/* SPDX-License-Identifier: MIT */
/*
 * The thread of a vCPU: its KVM_RUN loop and every exit that can come out of
 * it. What the guest says through its ports becomes a phase that the main
 * thread waits for. An exit that is not expected ends the run with a message.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "run.h"

static void set_phase(struct vcpu_thread *t, int phase)
{
	atomic_store(&t->phase, phase);
	eventfd_write(t->run->event_fd, 1);
}

static int failed(struct vcpu_thread *t)
{
	set_phase(t, PHASE_FAILED);
	return -1;
}

static void count(struct vcpu_thread *t)
{
	int stats = t->run->machine.vcpu[t->index].stats_fd;

	t->exits = kvm_stat(stats, "exits") - t->exits;
	t->halts = kvm_stat(stats, "halt_exits") - t->halts;
	t->polls = kvm_stat(stats, "halt_attempted_poll") - t->polls;
}

static uint64_t guest_rip(struct vcpu_thread *t)
{
	struct kvm_regs regs = { 0 };

	ioctl(t->run->machine.vcpu[t->index].fd, KVM_GET_REGS, &regs);
	return regs.rip;
}

/* Where an exception hit: on the ring-0 stack, below the error code of those that have one. */
static void say_trap(struct vcpu_thread *t, uint32_t vector)
{
	const uint32_t with_code = 1U << 8 | 1U << 10 | 1U << 11 | 1U << 12 | 1U << 13 | 1U << 14 |
				   1U << 17 | 1U << 21;
	struct machine *m = &t->run->machine;
	struct kvm_regs regs = { 0 };
	uint64_t frame[2] = { 0 };

	ioctl(m->vcpu[t->index].fd, KVM_GET_REGS, &regs);
	if (vector < 32 && with_code >> vector & 1)
		regs.rsp += 8;
	if (regs.rsp <= m->ram_size - sizeof(frame))
		memcpy(frame, m->ram + regs.rsp, sizeof(frame));
	fail("vCPU %u: exception %u in the guest, ring %u, RIP 0x%" PRIx64, t->index, vector,
	     (unsigned int)frame[1] & 3, frame[0]);
}

/* 0: back into the guest, -1: this vCPU has ended. */
static int handle_io(struct vcpu_thread *t, const struct kvm_run *run)
{
	uint32_t value = 0;

	if (run->io.direction == KVM_EXIT_IO_OUT && run->io.size <= sizeof(value))
		memcpy(&value, (const char *)run + run->io.data_offset, run->io.size);
	switch (run->io.port) {
	case GUEST_PORT_UP:
		set_phase(t, PHASE_UP);
		return 0;
	case GUEST_PORT_START:
		t->exits = t->halts = t->polls = 0;
		count(t);
		set_phase(t, PHASE_MEASURING);
		return 0;
	case GUEST_PORT_DONE:
		count(t);
		set_phase(t, PHASE_DONE);
		return -1;
	case GUEST_PORT_TRAP:
		say_trap(t, value);
		return failed(t);
	default:
		fail("vCPU %u: the guest used I/O port 0x%x, which it should not know", t->index,
		     run->io.port);
		return failed(t);
	}
}

static int handle_exit(struct vcpu_thread *t, const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return handle_io(t, run);
	case KVM_EXIT_INTR:
		return 0;
	case KVM_EXIT_HLT:
		fail("vCPU %u: HLT came to user space, although the interrupt controller is in "
		     "the kernel", t->index);
		break;
	case KVM_EXIT_MMIO:
		fail("vCPU %u: access to address 0x%" PRIx64 ", where nothing is, at RIP 0x%" PRIx64,
		     t->index, (uint64_t)run->mmio.phys_addr, guest_rip(t));
		break;
	case KVM_EXIT_SHUTDOWN:
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
	return failed(t);
}

static void run_guest(struct vcpu_thread *t)
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
			failed(t);
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
		failed(t);
	else
		run_guest(t);
	/* stay, so that the main thread can look at this thread's settings */
	while (sem_wait(&r->leave) < 0 && errno == EINTR)
		;
	if (r->tuning->vcpu_leave)
		r->tuning->vcpu_leave(r, t->index);
	return NULL;
}
