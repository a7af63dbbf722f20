/* SPDX-License-Identifier: MIT */
/*
 * One run of a guest, from the main thread: make the machine, start its vCPU
 * threads, let the guest's own part of the program lead it, and take everything
 * down again. Nothing here knows which guest it is.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

#define APPLY_MS 10000 /* a vCPU that is kicked leaves KVM_RUN within it */
#define COLLECT_MS 100 /* the built-in guest's ring has room for 300 times as much at 1 kHz */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void on_kick(int signal)
{
	(void)signal; /* its arrival alone ends KVM_RUN */
}

static bool any_failed(struct run *r)
{
	for (unsigned int i = 0; i < r->machine.vcpus; i++)
		if (atomic_load(&r->vcpu[i].phase) == PHASE_FAILED)
			return true;
	return false;
}

/* Sleep until something happens, at most that long, and do what is due. */
static void attend(struct run *r, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = r->event_fd, .events = POLLIN },
				 { .fd = -1, .events = POLLIN } };
	eventfd_t count;

	if (r->tuning->watch_fd)
		fds[1].fd = r->tuning->watch_fd(r);
	if (poll(fds, 2, timeout_ms) <= 0)
		return;
	if (fds[0].revents)
		eventfd_read(r->event_fd, &count);
	if (fds[1].revents)
		r->tuning->watch(r);
}

int run_wait(struct run *r, int phase, int64_t limit_ms, const char *what)
{
	int64_t end = now_ms() + limit_ms;

	for (;;) {
		r->guest->collect(r);
		if (any_failed(r))
			return STATUS_ERROR;
		if (r->guest->reached(r, phase))
			return STATUS_OK;
		if (interrupted)
			return STATUS_INTERRUPTED;
		if (limit_ms && now_ms() >= end) {
			fail("watchdog: %s within %lld ms; the run is stopped", what,
			     (long long)limit_ms);
			return STATUS_LIMIT;
		}
		attend(r, COLLECT_MS);
	}
}

static void kick(struct run *r)
{
	for (unsigned int i = 0; i < r->machine.vcpus; i++) {
		if (!r->vcpu[i].started)
			continue;
		r->machine.vcpu[i].run->immediate_exit = 1;
		pthread_kill(r->vcpu[i].thread, KICK_SIGNAL);
	}
}

/* One that has ended has nothing to apply. */
static bool went_round(struct run *r, unsigned int i, unsigned int before)
{
	return atomic_load(&r->vcpu[i].rounds) != before ||
	       atomic_load(&r->vcpu[i].phase) >= PHASE_DONE;
}

int run_apply(struct run *r)
{
	int64_t end = now_ms() + APPLY_MS;

	for (unsigned int i = 0; i < r->machine.vcpus; i++) {
		unsigned int before = atomic_load(&r->vcpu[i].rounds);

		kick(r);
		while (!went_round(r, i, before)) {
			if (interrupted)
				return STATUS_INTERRUPTED;
			if (any_failed(r))
				return STATUS_ERROR;
			if (now_ms() >= end) {
				fail("watchdog: vCPU %u does not leave KVM_RUN", i);
				return STATUS_ERROR;
			}
			attend(r, 1);
		}
	}
	return STATUS_OK;
}

static int make_machine(struct run *r)
{
	const struct tuning *t = r->tuning;
	struct machine *m = &r->machine;
	struct kvm_cpuid2 *cpuid;
	int rc = -1;

	if (machine_new(m, r->config->kvm_fd, r->config->vcpus, r->guest->ram_size(r->config),
			r->config->huge_pages) < 0 ||
	    r->guest->load(r) < 0 || (t->vm_created && t->vm_created(r) < 0))
		return -1;
	cpuid = machine_cpuid(r->config->kvm_fd);
	if (!cpuid || (t->edit_cpuid && t->edit_cpuid(r, cpuid, CPUID_ENTRIES) < 0))
		goto out;
	for (unsigned int i = 0; i < m->vcpus; i++)
		if (machine_add_vcpu(m, i) < 0 || machine_set_cpuid(m, i, cpuid) < 0 ||
		    r->guest->set_vcpu(r, i) < 0 || (t->vcpu_created && t->vcpu_created(r, i) < 0))
			goto out;
	rc = 0;
out:
	free(cpuid);
	return rc;
}

/* Threads of the vCPUs; signals for the program go to the main thread alone. */
static int start_threads(struct run *r)
{
	struct sigaction action = { .sa_handler = on_kick };
	sigset_t block, old;
	int rc = 0;

	sigaction(KICK_SIGNAL, &action, NULL);
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	for (unsigned int i = 0; i < r->machine.vcpus && !rc; i++) {
		struct vcpu_thread *t = &r->vcpu[i];

		t->run = r;
		t->index = i;
		rc = pthread_create(&t->thread, NULL, vcpu_thread, t);
		t->started = !rc;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc ? fail("thread of a vCPU: %s", strerror(rc)) : 0;
}

static void stop_threads(struct run *r)
{
	atomic_store(&r->stop, 1);
	for (unsigned int i = 0; i < r->machine.vcpus; i++)
		sem_post(&r->leave);
	kick(r);
	for (unsigned int i = 0; i < r->machine.vcpus; i++)
		if (r->vcpu[i].started)
			pthread_join(r->vcpu[i].thread, NULL);
}

int run_guest(struct run *r)
{
	int rc = STATUS_ERROR;

	memset(r->result, 0, sizeof(*r->result));
	sem_init(&r->leave, 0, 0);
	r->machine.vm_fd = -1;
	r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->event_fd < 0)
		fail("eventfd: %m");
	else if ((!r->tuning->begin || r->tuning->begin(r) == 0) && make_machine(r) == 0 &&
		 start_threads(r) == 0)
		rc = r->guest->lead(r);
	stop_threads(r);
	if (r->tuning->end)
		r->tuning->end(r);
	machine_free(&r->machine);
	if (r->event_fd >= 0)
		close(r->event_fd);
	sem_destroy(&r->leave);
	return rc;
}
