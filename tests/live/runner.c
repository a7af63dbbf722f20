/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vCPU thread as a VMM has it; see runner.h.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runner.h"
#include "support/test.h"

static void nothing(int sig)
{
	(void)sig;
}

void runner_handle_signal(void)
{
	struct sigaction action = { .sa_handler = nothing };

	ck_assert_int_eq(sigaction(RUNNER_SIGNAL, &action, NULL), 0);
}

static void *run(void *arg)
{
	struct runner *r = arg;
	struct kvm_run *kvm_run = r->guest->run[r->i];

	atomic_store(&r->tid, gettid());
	atomic_store(&r->enter_ret, rtkvm_vcpu_enter(r->vcpu));
	atomic_store(&r->entered, true);
	while (!atomic_load(&r->enter_ret) && !atomic_load(&r->stop)) {
		int ret = rtkvm_vcpu_sync(r->vcpu);

		if (ret)
			atomic_store(&r->sync_ret, ret);
		atomic_fetch_add(&r->syncs, 1);
		/* own requests are looked at after the sync, which clears immediate_exit */
		if (atomic_load(&r->stop))
			break;
		if (ioctl(r->guest->vcpu[r->i], KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				atomic_fetch_add(&r->ended, 1);
			else if (errno != EAGAIN)
				break;
			continue;
		}
		atomic_fetch_add(&r->exits, 1);
		if (kvm_run->exit_reason == KVM_EXIT_IO && kvm_run->io.port == GUEST_PORT)
			atomic_fetch_add(&r->ports, 1);
		else if (kvm_run->exit_reason != KVM_EXIT_HLT)
			break; /* the guest went wrong */
	}
	if (!atomic_load(&r->enter_ret))
		rtkvm_vcpu_leave(r->vcpu);
	atomic_store(&r->stopped, true);
	return NULL;
}

void runner_start(struct runner *r, struct guest *guest, int i, struct rtkvm_vcpu *vcpu)
{
	memset(r, 0, sizeof(*r));
	r->guest = guest;
	r->i = i;
	r->vcpu = vcpu;
	ck_assert_int_eq(pthread_create(&r->thread, NULL, run, r), 0);
	WAIT_UNTIL(atomic_load(&r->entered));
}

void runner_stop(struct runner *r)
{
	atomic_store(&r->stop, true);
	__atomic_store_n(&r->guest->run[r->i]->immediate_exit, 1, __ATOMIC_SEQ_CST);
	WAIT_UNTIL(({
		if (!atomic_load(&r->stopped))
			pthread_kill(r->thread, RUNNER_SIGNAL);
		atomic_load(&r->stopped);
	}));
	ck_assert_int_eq(pthread_join(r->thread, NULL), 0);
}
