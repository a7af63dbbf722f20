/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPU threads: KVM_RUN and everything that can come out of it. The marks are a
 * rendezvous: what is counted begins and ends while no vCPU is in the guest, so
 * that the meters can be held to each other exactly.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../marker.h"
#include "vmm.h"

#define KICK VMM_KICK

static void on_kick(int signal)
{
	(void)signal;
}

/*
 * Under the lock, the last vCPU of all that came to the mark. The meter outside of
 * an emulated host is told too, by a label that no other VMM of that host has.
 */
static int mark_reached(struct vmm *m, uint32_t mark)
{
	unsigned long label = 2UL * (unsigned long)getpid();
	int ret = 0;

	if (mark == PAYLOAD_MARK_BEGIN) {
		ret |= rt_realtime();
		ret |= rt_count(m, true);
		for (unsigned int i = 0; m->stats_wanted && i < m->vcpus; i++)
			ret |= stats_read(&m->vcpu[i], &m->vcpu[i].before);
		if (m->trace_wanted)
			ret |= trace_begin(m);
		m->counting = true;
		rtkvm_marker(label);
		return ret;
	}
	rtkvm_marker(label + 1);
	if (m->trace_wanted)
		ret |= trace_end(m);
	ret |= rt_count(m, false);
	for (unsigned int i = 0; m->stats_wanted && i < m->vcpus; i++) {
		ret |= stats_read(&m->vcpu[i], &m->vcpu[i].stats);
		counters_subtract(&m->vcpu[i].stats, &m->vcpu[i].before);
	}
	m->counting = false;
	m->counted = true;
	printf("meter.label %lu\n", label);
	return ret;
}

static int handle_mark(struct vcpu *v, uint32_t mark)
{
	struct vmm *m = v->m;
	int ret = 0;

	if (mark != PAYLOAD_MARK_BEGIN && mark != PAYLOAD_MARK_END)
		return complain("the payload wrote mark %u, which there is not", mark);
	pthread_mutex_lock(&m->lock);
	if (++m->marked[mark] > m->vcpus) {
		ret = complain("the payload counts twice");
	} else if (m->marked[mark] == m->vcpus) {
		ret = mark_reached(m, mark);
		pthread_cond_broadcast(&m->changed);
	} else {
		while (m->marked[mark] < m->vcpus && !m->ended)
			pthread_cond_wait(&m->changed, &m->lock);
	}
	pthread_mutex_unlock(&m->lock);
	return ret;
}

/* 0: back into the guest, -1: this vCPU has ended. */
static int handle_io(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	unsigned char *data = (unsigned char *)run + run->io.data_offset;
	uint32_t value = 0;

	if (run->io.direction == KVM_EXIT_IO_IN) {
		memset(data, 0xff, (size_t)run->io.size * run->io.count);
		return 0;
	}
	if (run->io.size <= sizeof(value))
		memcpy(&value, data, run->io.size);
	switch (run->io.port) {
	case PAYLOAD_PORT_TEXT:
		figures_text(v->m, (const char *)data, (size_t)run->io.size * run->io.count);
		return 0;
	case PAYLOAD_PORT_MARK:
		return handle_mark(v, value);
	case PAYLOAD_PORT_COUNT: /* each is the next: none is lost or comes twice */
		if (value != v->m->accesses + 1)
			return complain("access %u came after access %u", value, v->m->accesses);
		v->m->accesses = value;
		return 0;
	case PAYLOAD_PORT_FIRE:
		return event_fire(v->m, value);
	case PAYLOAD_PORT_END:
		vcpu_stop_all(v->m, (int)value);
		return -1;
	default:
		return 0;
	}
}

static int say_where(struct vcpu *v, const char *what, uint64_t detail)
{
	struct kvm_regs regs = { 0 };

	ioctl(v->fd, KVM_GET_REGS, &regs);
	return complain("vCPU %u: %s 0x%llx, rip 0x%llx", v->index, what,
			(unsigned long long)detail, (unsigned long long)regs.rip);
}

static int handle_exit(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return handle_io(v);
	case KVM_EXIT_INTR:
	case KVM_EXIT_IOAPIC_EOI:
		return 0;
	case KVM_EXIT_HLT:
		return say_where(v, "HLT came to user space", 0);
	case KVM_EXIT_MMIO:
		return say_where(v, "access where nothing is", run->mmio.phys_addr);
	case KVM_EXIT_SHUTDOWN:
		return say_where(v, "triple fault", 0);
	case KVM_EXIT_FAIL_ENTRY:
		return say_where(v, "no entry, hardware reason",
				 run->fail_entry.hardware_entry_failure_reason);
	case KVM_EXIT_INTERNAL_ERROR:
		return say_where(v, "KVM internal error (1: cannot be emulated)",
				 run->internal.suberror);
	default:
		return say_where(v, "unknown exit", run->exit_reason);
	}
}

/* Place and raise the calling thread. */
static int settle(struct vcpu *v)
{
	struct sched_param priority = { .sched_priority = v->m->fifo };
	cpu_set_t set;

	CPU_ZERO(&set);
	if (v->cpu >= 0) {
		CPU_SET(v->cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set) < 0)
			return complain("vCPU %u to CPU %d: %s", v->index, v->cpu, strerror(errno));
	}
	if (v->m->fifo && sched_setscheduler(0, SCHED_FIFO, &priority) < 0)
		return complain("SCHED_FIFO %d: %s", v->m->fifo, strerror(errno));
	return 0;
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	struct vmm *m = v->m;
	int ret = settle(v);

	/* every thread is known before the first one runs: the tracer filters by them */
	pthread_mutex_lock(&m->lock);
	v->tid = gettid();
	pthread_cond_broadcast(&m->changed);
	while (!m->go && !m->ended)
		pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);
	if (ret == 0)
		ret = rt_enter(v);
	if (ret == 0)
		ret = dedicate_bind(v);
	if (ret == 0)
		ret = dedicate_churn_start(v);
	while (ret == 0) {
		rt_sync(v); /* clears immediate_exit, so before looking at ended */
		if (__atomic_load_n(&m->ended, __ATOMIC_SEQ_CST))
			break;
		if (ioctl(v->fd, KVM_RUN, 0) == 0)
			ret = handle_exit(v);
		else if (errno != EINTR && errno != EAGAIN)
			ret = complain("vCPU %u: KVM_RUN: %s", v->index, strerror(errno));
		else if (errno == EINTR)
			ret = dedicate_churn(v);
	}
	dedicate_churn_stop(v);
	if (dedicate_release(v) < 0) {
		pthread_mutex_lock(&m->lock);
		m->status = -1;
		pthread_mutex_unlock(&m->lock);
	}
	rt_leave(v);
	if (ret < 0)
		vcpu_stop_all(m, -1); /* does nothing when the payload has ended */
	return NULL;
}

int vcpu_start_all(struct vmm *m)
{
	struct sigaction action = { .sa_handler = on_kick };
	int ret = 0;

	sigaction(KICK, &action, NULL);
	for (unsigned int i = 0; i < m->vcpus; i++) {
		ret = pthread_create(&m->vcpu[i].thread, NULL, vcpu_main, &m->vcpu[i]);
		if (ret) {
			vcpu_stop_all(m, -1);
			m->vcpus = i;
			vcpu_join_all(m);
			return complain("a thread: %s", strerror(ret));
		}
	}
	pthread_mutex_lock(&m->lock);
	for (unsigned int i = 0; i < m->vcpus; i++) {
		while (!m->vcpu[i].tid)
			pthread_cond_wait(&m->changed, &m->lock);
	}
	m->go = true;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

void vcpu_stop_all(struct vmm *m, int status)
{
	pthread_mutex_lock(&m->lock);
	if (!m->ended) {
		m->status = status;
		__atomic_store_n(&m->ended, true, __ATOMIC_SEQ_CST);
	}
	for (unsigned int i = 0; i < m->vcpus; i++) {
		struct vcpu *v = &m->vcpu[i];

		if (!v->tid)
			continue;
		__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(v->thread, KICK);
	}
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

void vcpu_join_all(struct vmm *m)
{
	for (unsigned int i = 0; i < m->vcpus; i++)
		pthread_join(m->vcpu[i].thread, NULL);
}
