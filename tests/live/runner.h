/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vCPU thread as a VMM has it: enter, then sync and KVM_RUN until stopped.
 */
#ifndef RTKVM_TEST_RUNNER_H
#define RTKVM_TEST_RUNNER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <rtkvm/vm.h>

#include "guest.h"

/* Signal of the tests' kicks; runner_handle_signal() installs a handler that does nothing. */
#define RUNNER_SIGNAL SIGUSR1

struct runner {
	pthread_t thread;
	struct guest *guest;
	int i;
	struct rtkvm_vcpu *vcpu;
	atomic_bool stop, entered, stopped;
	atomic_int enter_ret; /* of rtkvm_vcpu_enter() */
	atomic_int sync_ret;  /* the last that was not 0 */
	atomic_int tid;
	atomic_uint syncs;   /* calls of rtkvm_vcpu_sync() */
	atomic_uint ended;   /* KVM_RUNs that ended with EINTR */
	atomic_uint exits;   /* KVM_RUNs that ended otherwise */
	atomic_uint ports;   /* of them, by GUEST_PORT */
};

void runner_handle_signal(void);

/* Start the thread and wait until it has entered (or failed to). */
void runner_start(struct runner *r, struct guest *guest, int i, struct rtkvm_vcpu *vcpu);

/* Get it out of KVM_RUN without the library, and join it. */
void runner_stop(struct runner *r);

/* Wait until the condition holds; fails the test after 20 s. */
#define WAIT_UNTIL(condition)                                                            \
	do {                                                                             \
		int tries_ = 0;                                                          \
		while (!(condition)) {                                                   \
			ck_assert_msg(tries_++ < 20000, "waited too long for " #condition); \
			usleep(1000);                                                    \
		}                                                                        \
	} while (0)

#endif
