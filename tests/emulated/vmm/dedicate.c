/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --dedicate: vCPUs whose guest runs on a CPU that is offline. The kernel's own ABI,
 * raw like all here; taking CPUs offline is the caller's business.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "linux/kvm_dedicated.h"
#include "vmm.h"

int dedicate_parse(struct vmm *m, const char *list)
{
	for (unsigned int i = 0; i < PAYLOAD_MAX_CPUS; i++) {
		char *end;
		long cpu = strtol(list, &end, 10);
		size_t n = (size_t)(end - list);

		if (*list == '-') {
			cpu = -1;
			n = 1;
		}
		if (!n || cpu > 4095 || (list[n] && list[n] != ','))
			return complain("--dedicate: '%s' is no list of CPUs", list);
		m->vcpu[i].dedicated = (int)cpu;
		if (!list[n])
			return 0;
		list += n + 1;
	}
	return complain("--dedicate: more than %d CPUs", PAYLOAD_MAX_CPUS);
}

int dedicate_features(struct vmm *m, const char *list)
{
	static const struct {
		const char *name;
		uint64_t bit;
	} features[] = {
		{ "irq", KVM_DEDICATED_CPU_IRQ }, { "eoi", KVM_DEDICATED_CPU_EOI },
		{ "tpr", KVM_DEDICATED_CPU_TPR }, { "self_ipi", KVM_DEDICATED_CPU_SELF_IPI },
		{ "timer", KVM_DEDICATED_CPU_TIMER },
		{ "tsc_deadline", KVM_DEDICATED_CPU_TSC_DEADLINE },
		{ "msi", KVM_DEDICATED_CPU_MSI }, { "ipi", KVM_DEDICATED_CPU_IPI },
		{ "post", KVM_DEDICATED_CPU_POST },
	};
	const unsigned int count = sizeof(features) / sizeof(features[0]);

	while (*list) {
		size_t n = strcspn(list, ",");
		unsigned int i = 0;

		while (i < count && (strlen(features[i].name) != n || memcmp(features[i].name, list, n) != 0))
			i++;
		if (i == count)
			return complain("--direct: no feature '%.*s'", (int)n, list);
		m->features |= features[i].bit;
		list += n + (list[n] == ',');
	}
	return 0;
}

/* What a guest must not have that runs there: virtualization, a PMU. */
void dedicate_cpuid(const struct vcpu *v, struct kvm_cpuid_entry2 *e)
{
	if (v->dedicated < 0)
		return;
	if (e->function == 1)
		e->ecx &= ~(1U << 5);
	if (e->function == 0x80000001)
		e->ecx &= ~(1U << 2);
	if (e->function == 0xa || e->function == 0x80000022)
		e->eax = e->ebx = e->ecx = e->edx = 0;
}

int dedicate_bind(struct vcpu *v)
{
	struct kvm_dedicated_cpu d = { .cpu = v->dedicated, .cpu_fd = -1, .poll_ns = v->m->poll_ns,
				       .features = KVM_DEDICATED_CPU_RUN | v->m->features,
				       .flags = KVM_DEDICATED_CPU_STRICT };

	if (v->dedicated < 0)
		return 0;
	if (ioctl(v->fd, KVM_SET_DEDICATED_CPU, &d) < 0)
		return complain("KVM_SET_DEDICATED_CPU, CPU %d: %s", v->dedicated, strerror(errno));
	v->bound = true;
	return 0;
}

int dedicate_release(struct vcpu *v)
{
	if (!v->bound)
		return 0;
	v->bound = false;
	if (ioctl(v->fd, KVM_SET_SLAVE_CPU, -1) < 0)
		return complain("KVM_SET_SLAVE_CPU, CPU %d: %s", v->dedicated, strerror(errno));
	return 0;
}

int dedicate_churn_start(struct vcpu *v)
{
	const long ns = v->m->churn_us * 1000L;
	struct itimerspec every = { .it_value = { ns / 1000000000, ns % 1000000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = VMM_KICK };

	if (!ns || v->dedicated < 0)
		return 0;
	every.it_interval = every.it_value;
	event._sigev_un._tid = v->tid;
	if (timer_create(CLOCK_MONOTONIC, &event, &v->churn) < 0 ||
	    timer_settime(v->churn, 0, &every, NULL) < 0)
		return complain("a timer of vCPU %u: %s", v->index, strerror(errno));
	return 0;
}

int dedicate_churn(struct vcpu *v)
{
	struct kvm_lapic_state apic;

	if (!v->m->churn_us || v->dedicated < 0)
		return 0;
	v->churned++;
	/*
	 * What comes between the two would be lost, so only where all comes from a timer
	 * whose count is in there. A deadline is not.
	 */
	if (!v->m->source && v->m->vcpus == 1) {
		if (ioctl(v->fd, KVM_GET_LAPIC, &apic) < 0)
			return complain("KVM_GET_LAPIC: %s", strerror(errno));
		if (!(apic.regs[0x322] & 4) && ioctl(v->fd, KVM_SET_LAPIC, &apic) < 0)
			return complain("KVM_SET_LAPIC: %s", strerror(errno));
	}
	return v->bound ? dedicate_release(v) : dedicate_bind(v);
}

void dedicate_churn_stop(struct vcpu *v)
{
	if (!v->m->churn_us || v->dedicated < 0)
		return;
	timer_delete(v->churn);
	printf("vcpu%u.churned %u\n", v->index, v->churned);
}
