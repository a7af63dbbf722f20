/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The program of the claim vm-features: asks for every feature of a VM, runs a
 * guest, and holds each line of the report against an observation of its own,
 * made without the library. "verified" must have been seen; what was seen not
 * to be must not be claimed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "live/guest.h"

#define LATENCY "/dev/cpu_dma_latency"

enum seen { SEEN_NOT, SEEN, SEEN_UNKNOWN };
static const char *const seen_names[] = { "seen not to be", "seen", "not to be seen" };

static struct guest guest;
static struct rtkvm_vcpu *vcpu;
static struct rtkvm_vm *vm;
static atomic_int tid, ports, ended, failed;
static atomic_bool stop;
static bool ran_while_entering;
static bool refused_odd_msi, took_odd_msi_before;

static void nothing(int sig)
{
	(void)sig;
}

static void die(const char *what)
{
	printf("%s: %s\n", what, rtkvm_last_error());
	exit(1);
}

static bool odd_msi_refused(void)
{
	struct kvm_msi msi = { .address_lo = 0xfeefe000, .address_hi = 1, .data = 0xff };

	return ioctl(guest.vm, KVM_SIGNAL_MSI, &msi) < 0 && errno == EINVAL;
}

static void *vcpu_thread(void *arg)
{
	struct kvm_regs before, after;

	(void)ioctl(guest.vcpu[0], KVM_GET_REGS, &before);
	if (rtkvm_vcpu_enter(vcpu) < 0)
		die("rtkvm_vcpu_enter");
	(void)ioctl(guest.vcpu[0], KVM_GET_REGS, &after);
	ran_while_entering = before.rip != after.rip;
	atomic_store(&tid, gettid());
	for (;;) {
		rtkvm_vcpu_sync(vcpu);
		if (atomic_load(&stop))
			break;
		/* once its ticks are over it waits here, outside KVM_RUN, for the end */
		if (atomic_load(&ports)) {
			usleep(1000);
			continue;
		}
		if (ioctl(guest.vcpu[0], KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				atomic_fetch_add(&ended, 1);
			else if (errno != EAGAIN)
				atomic_store(&failed, 1);
		} else if (guest.run[0]->exit_reason == KVM_EXIT_IO) {
			atomic_fetch_add(&ports, 1);
		} else {
			atomic_store(&failed, 1);
		}
		if (atomic_load(&failed))
			break;
	}
	rtkvm_vcpu_leave(vcpu);
	return arg;
}

static enum seen seen_if(bool is)
{
	return is ? SEEN : SEEN_NOT;
}

static enum seen see_hlt(void)
{
	return seen_if(guest_stat(&guest, 0, "halt_exits") == 0);
}

static enum seen see_poll(void)
{
	return guest_stat(&guest, 0, "halt_exits") < GUEST_TICK_COUNT / 2 ?
		       SEEN_UNKNOWN :
		       seen_if(guest_stat(&guest, 0, "halt_attempted_poll") == 0);
}

static enum seen see_x2apic(void)
{
	return seen_if(took_odd_msi_before && refused_odd_msi);
}

static uint32_t cpuid_of_guest(uint32_t function, char reg)
{
	struct kvm_cpuid2 *t = guest_cpuid_of(&guest, 0);
	struct kvm_cpuid_entry2 *e = guest_cpuid_find(t, function);
	uint32_t v = !e ? 0 : reg == 'a' ? e->eax : reg == 'c' ? e->ecx : e->edx;

	free(t);
	return v;
}

/* Steal time is the one that the others need. */
static enum seen see_pv(void)
{
	return seen_if(cpuid_of_guest(0x40000001, 'a') & 1U << 5 &&
		       !(cpuid_of_guest(0x40000001, 'd') & 1));
}

static enum seen see_tsc(void)
{
	return seen_if(cpuid_of_guest(1, 'c') & 1U << 24 &&
		       cpuid_of_guest(0x80000007, 'd') & 1U << 8);
}

static enum seen see_cstate(void)
{
	int fd = open(LATENCY, O_RDONLY), v = -1;

	if (fd < 0)
		return SEEN_UNKNOWN;
	if (read(fd, &v, sizeof(v)) != (ssize_t)sizeof(v))
		v = -1;
	close(fd);
	return seen_if(v == 0);
}

static enum seen see_threads(void)
{
	struct sched_param p;

	if (sched_getparam(atomic_load(&tid), &p) < 0)
		return SEEN_UNKNOWN;
	return seen_if((sched_getscheduler(atomic_load(&tid)) & ~SCHED_RESET_ON_FORK) == SCHED_FIFO &&
		       p.sched_priority == 2);
}

static enum seen see_kick(void)
{
	return seen_if(atomic_load(&ended) > 0);
}

static enum seen see_immediate_exit(void)
{
	return seen_if(!ran_while_entering && guest.run[0]->immediate_exit == 0);
}

static enum seen see_stats(void)
{
	uint64_t v;

	return seen_if(rtkvm_vcpu_get_stat(vcpu, "exits", &v) == 0 &&
		       v == guest_stat(&guest, 0, "exits"));
}

static const struct {
	const char *name;
	enum seen (*see)(void);
} items[] = {
	{ "noexit-hlt", see_hlt },   { "halt-poll", see_poll },	 { "x2apic", see_x2apic },
	{ "pv-cpuid", see_pv },	     { "tsc", see_tsc },	 { "cstate-hold", see_cstate },
	{ "vcpu-threads", see_threads }, { "kick", see_kick },	 { "immediate-exit", see_immediate_exit },
	{ "stats", see_stats },
};

static enum seen look(const char *name)
{
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		if (!strcmp(items[i].name, name))
			return items[i].see();
	return SEEN_UNKNOWN;
}

/* Claims nothing that is not so, and hides nothing that is. */
static bool agrees(int state, enum seen seen)
{
	if (state == RTKVM_STATE_VERIFIED)
		return seen == SEEN;
	return state != RTKVM_STATE_OFF || seen != SEEN;
}

static int compare(void)
{
	const struct rtkvm_report_item *item = NULL;
	unsigned int verified = 0, all = 0, wrong = 0;
	struct rtkvm_report *report;

	if (rtkvm_vm_report(vm, &report) < 0)
		die("rtkvm_vm_report");
	while ((item = rtkvm_report_next(report, item))) {
		int state = rtkvm_report_item_state(item);
		enum seen seen = look(rtkvm_report_item_feature(item));
		bool good = agrees(state, seen);

		printf("%-15s %-13s %-15s%s %s\n", rtkvm_report_item_feature(item),
		       rtkvm_report_state_name(state), seen_names[seen], good ? "" : " WRONG",
		       rtkvm_report_item_reason(item));
		all++;
		verified += state == RTKVM_STATE_VERIFIED;
		wrong += !good;
	}
	rtkvm_report_free(report);
	printf("%u items, %u verified and each of them seen by other means, %u contradicted\n", all,
	       verified, wrong);
	return wrong || !verified;
}

static void wait_for(atomic_int *what, int more_than)
{
	for (int i = 0; atomic_load(what) <= more_than; i++) {
		if (i > 20000 || atomic_load(&failed)) {
			printf("the guest did not run as it should\n");
			exit(1);
		}
		usleep(1000);
	}
}

int main(void)
{
	struct sigaction action = { .sa_handler = nothing };
	struct rtkvm_vm_options opt;
	struct rtkvm_plan *plan;
	struct kvm_cpuid2 *cpuid;
	struct rtkvm *rt;
	pthread_t thread;
	int ret;

	if (guest_impossible()) {
		printf("%s\n", guest_impossible());
		return 77;
	}
	sigaction(SIGUSR1, &action, NULL);
	if (rtkvm_new(NULL, &rt) < 0 || rtkvm_plan_parse(rt, "maxprio=3,policy=ff", &plan) < 0)
		die("rtkvm_new");
	rtkvm_plan_allow(plan, RTKVM_GUARD_ALL & ~RTKVM_GUARD_PRIVILEGE);
	guest_open(&guest, true);
	rtkvm_vm_options_init(&opt, sizeof(opt));
	opt.features = RTKVM_VM_ALL;
	opt.kick_signal = SIGUSR1;
	opt.kvm_fd = guest.kvm;
	took_odd_msi_before = !odd_msi_refused();
	if (rtkvm_vm_new(rt, guest.vm, rtkvm_plan_check(plan, 1, NULL) ? NULL : plan, &opt, &vm) < 0)
		die("rtkvm_vm_new");
	refused_odd_msi = odd_msi_refused();
	cpuid = guest_supported(&guest);
	if (rtkvm_vm_edit_cpuid(vm, cpuid, GUEST_CPUID_ROOM) < 0)
		die("rtkvm_vm_edit_cpuid");
	guest_add_vcpu(&guest, 0, GUEST_TICKS, cpuid);
	free(cpuid);
	if (rtkvm_vcpu_new(vm, 0, guest.vcpu[0], &vcpu) < 0)
		die("rtkvm_vcpu_new");
	pthread_create(&thread, NULL, vcpu_thread, NULL);
	wait_for(&tid, 0);
	if (rtkvm_vm_go_realtime(vm, 0) < 0)
		die("rtkvm_vm_go_realtime");
	/* kicks while it ticks: some meet it in KVM_RUN */
	for (int i = 0; i < 5; i++) {
		rtkvm_vcpu_kick(vcpu);
		usleep(2000);
	}
	wait_for(&ports, 0);
	/* a last one, so that it has synced since it went real-time */
	rtkvm_vcpu_kick(vcpu);
	usleep(20000);
	ret = compare();
	atomic_store(&stop, true);
	rtkvm_vcpu_kick(vcpu);
	pthread_join(thread, NULL);
	rtkvm_vm_free(vm);
	rtkvm_plan_free(plan);
	guest_close(&guest);
	rtkvm_free(rt);
	return ret;
}
