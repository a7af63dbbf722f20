/* SPDX-License-Identifier: MIT */
/*
 * One measured run, from the main thread: make the machine, start its vCPU
 * threads, tune once the guest is up, collect the wake-ups from guest memory,
 * and take everything down again. It never waits without a limit.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

#define BOOT_LIMIT_MS 5000   /* from the first KVM_RUN until the guest is up, */
#define BOOT_LIMIT_TICKS 100 /* and as many ticks (it takes 20) */
#define SETTLE_MS 50         /* between tuning and measuring */
#define GRACE_MS 10000       /* how much longer than planned a run may take */
#define COLLECT_MS 100       /* the guest's ring has room for 300 times as much at 1 kHz */

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

static uint64_t ticks_to_ns(const struct run *r, uint64_t ticks)
{
	return (uint64_t)((double)ticks * 1e6 / r->machine.tsc_khz);
}

static uint64_t late_ns(struct run *r, uint64_t at, uint64_t deadline)
{
	return at > deadline ? ticks_to_ns(r, at - deadline) : 0;
}

/* Take the new wake-ups of all vCPUs out of guest memory. */
static void collect(struct run *r)
{
	for (unsigned int i = 0; i < r->machine.vcpus; i++) {
		struct vcpu *v = &r->machine.vcpu[i];
		uint32_t head = __atomic_load_n(&v->ctl->head, __ATOMIC_ACQUIRE);
		uint32_t tail = v->ctl->tail;

		while (tail != head) {
			const struct guest_sample *s = &v->ring[tail++ % GUEST_RING_ENTRIES];

			r->result->wakeups++;
			if (s->isr < s->deadline)
				r->result->early++;
			r->sample(r->sample_arg, late_ns(r, s->isr, s->deadline),
				  late_ns(r, s->task, s->deadline));
		}
		__atomic_store_n(&v->ctl->tail, tail, __ATOMIC_RELEASE);
	}
}

/* True when all vCPUs have come that far. */
static bool reached(struct run *r, int phase)
{
	for (unsigned int i = 0; i < r->machine.vcpus; i++)
		if (atomic_load(&r->vcpu[i].phase) < phase)
			return false;
	return true;
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

/* Wait until all vCPUs are in that phase. */
static int wait_for(struct run *r, int phase, int64_t limit_ms, const char *what)
{
	int64_t end = now_ms() + limit_ms;

	for (;;) {
		collect(r);
		if (any_failed(r))
			return STATUS_ERROR;
		if (reached(r, phase))
			return STATUS_OK;
		if (interrupted)
			return STATUS_INTERRUPTED;
		if (now_ms() >= end) {
			fail("watchdog: %s within %lld ms; the run is stopped", what,
			     (long long)limit_ms);
			return STATUS_ERROR;
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

/* Each vCPU goes once round its loop, which applies what is pending for it. */
static int let_apply(struct run *r)
{
	int64_t end = now_ms() + GRACE_MS;

	for (unsigned int i = 0; i < r->machine.vcpus; i++) {
		unsigned int before = atomic_load(&r->vcpu[i].rounds);

		kick(r);
		while (atomic_load(&r->vcpu[i].rounds) == before) {
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

	if (machine_new(m, r->config->kvm_fd, r->config->vcpus) < 0 ||
	    (t->vm_created && t->vm_created(r) < 0))
		return -1;
	cpuid = machine_cpuid(r->config->kvm_fd);
	if (!cpuid || (t->edit_cpuid && t->edit_cpuid(r, cpuid, CPUID_ENTRIES) < 0))
		goto out;
	for (unsigned int i = 0; i < m->vcpus; i++) {
		struct guest_ctl *ctl;

		if (machine_add_vcpu(m, i) < 0 || vcpu_set_state(m, i, cpuid) < 0 ||
		    (t->vcpu_created && t->vcpu_created(r, i) < 0))
			goto out;
		if (r->config->break_guest && machine_break(m, i, r->config->break_guest) < 0)
			goto out;
		ctl = m->vcpu[i].ctl;
		ctl->interval = (uint64_t)r->config->interval_us * m->tsc_khz / 1000;
		ctl->work = (uint64_t)r->config->work_us * m->tsc_khz / 1000;
		ctl->ticks = r->config->duration_s * 1000000ULL / r->config->interval_us;
		r->result->ticks += ctl->ticks;
	}
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

static void sum_up(struct run *r)
{
	struct result *res = r->result;

	collect(r);
	for (unsigned int i = 0; i < r->machine.vcpus; i++) {
		const struct guest_ctl *ctl = r->machine.vcpu[i].ctl;

		res->lost += ctl->lost;
		res->dropped += ctl->dropped;
		if (r->machine.vcpu[i].stats_fd < 0) {
			res->exits = res->halts = res->polls = -1;
			continue;
		}
		res->exits += r->vcpu[i].exits;
		res->halts += r->vcpu[i].halts;
		res->polls += r->vcpu[i].polls;
	}
	res->complete = true;
}

static int measure(struct run *r)
{
	const struct tuning *t = r->tuning;
	int64_t tick_ms = r->config->interval_us / 1000 + 1;
	int rc;

	rc = wait_for(r, PHASE_UP, BOOT_LIMIT_MS + BOOT_LIMIT_TICKS * tick_ms, "the guest did not come up");
	if (rc != STATUS_OK)
		return rc;
	if (t->guest_up && t->guest_up(r) < 0)
		return STATUS_ERROR;
	rc = let_apply(r);
	if (rc != STATUS_OK)
		return rc;
	poll(NULL, 0, SETTLE_MS);
	if (t->describe)
		t->describe(r, false);
	for (unsigned int i = 0; i < r->machine.vcpus; i++)
		__atomic_store_n(&r->machine.vcpu[i].ctl->go, 1, __ATOMIC_RELEASE);
	rc = wait_for(r, PHASE_DONE, r->config->duration_s * 1000LL + GRACE_MS,
		      "the guest did not finish");
	if (rc != STATUS_OK)
		return rc;
	sum_up(r);
	if (t->describe)
		t->describe(r, true);
	return STATUS_OK;
}

int run_measured(const struct config *config, const struct tuning *tuning, struct result *result,
		 sample_fn *sample, void *sample_arg)
{
	struct run *r = calloc(1, sizeof(*r));
	int rc = STATUS_ERROR;

	if (!r) {
		fail("no memory");
		return STATUS_ERROR;
	}
	memset(result, 0, sizeof(*result));
	r->config = config;
	r->tuning = tuning;
	r->result = result;
	r->sample = sample;
	r->sample_arg = sample_arg;
	sem_init(&r->leave, 0, 0);
	r->machine.vm_fd = -1;
	r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->event_fd < 0)
		fail("eventfd: %m");
	else if ((!tuning->begin || tuning->begin(r) == 0) && make_machine(r) == 0 &&
		 start_threads(r) == 0)
		rc = measure(r);
	stop_threads(r);
	if (tuning->end)
		tuning->end(r);
	machine_free(&r->machine);
	if (r->event_fd >= 0)
		close(r->event_fd);
	sem_destroy(&r->leave);
	free(r);
	return rc;
}
