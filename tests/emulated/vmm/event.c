/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interrupts from outside the guest. A source is one struct event_source; those
 * that need a device have a file of their own and a line in event_sources[].
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "vmm.h"

#define FIRST_GSI 24 /* above the pins of the I/O APIC */
#define MAX_ROUTES 16

static struct {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry at[MAX_ROUTES];
} routes;

static void msi_address(unsigned int apic_id, uint32_t *low)
{
	*low = 0xfee00000 | (apic_id & 0xff) << 12;
}

int event_route_msi(struct vmm *m, unsigned int apic_id, unsigned int vector)
{
	struct kvm_irq_routing_entry *e = &routes.at[routes.head.nr];

	if (routes.head.nr == MAX_ROUTES)
		return complain("more than %d interrupt routes", MAX_ROUTES);
	e->gsi = FIRST_GSI + routes.head.nr;
	e->type = KVM_IRQ_ROUTING_MSI;
	msi_address(apic_id, &e->u.msi.address_lo);
	e->u.msi.data = vector;
	routes.head.nr++;
	if (ioctl(m->vm, KVM_SET_GSI_ROUTING, &routes.head) < 0)
		return complain("KVM_SET_GSI_ROUTING: %s", strerror(errno));
	return (int)e->gsi;
}

int event_irqfd(struct vmm *m, int gsi)
{
	struct kvm_irqfd irqfd = { .gsi = (uint32_t)gsi };
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		return complain("eventfd: %s", strerror(errno));
	irqfd.fd = (uint32_t)fd;
	if (ioctl(m->vm, KVM_IRQFD, &irqfd) < 0) {
		complain("KVM_IRQFD: %s", strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- irqfd: an eventfd that the kernel turns into an interrupt */

static int irqfd_fd = -1;

static int irqfd_setup(struct vmm *m, const char *argument)
{
	int gsi = event_route_msi(m, (unsigned int)atoi(argument), PAYLOAD_VECTOR_MSI);

	if (gsi < 0)
		return -1;
	irqfd_fd = event_irqfd(m, gsi);
	return irqfd_fd < 0 ? -1 : 0;
}

static int irqfd_fire(struct vmm *m)
{
	(void)m;
	return eventfd_write(irqfd_fd, 1) < 0 ? complain("irqfd: %s", strerror(errno)) : 0;
}

static void irqfd_close(struct vmm *m)
{
	(void)m;
	if (irqfd_fd >= 0)
		close(irqfd_fd);
	irqfd_fd = -1;
}

static const struct event_source irqfd = {
	.name = "irqfd", .help = "an eventfd becomes an MSI; argument: APIC id (0)",
	.setup = irqfd_setup, .fire = irqfd_fire, .close = irqfd_close,
};

/* ---- msi: KVM_SIGNAL_MSI */

static struct kvm_msi msi_message;

static int msi_setup(struct vmm *m, const char *argument)
{
	(void)m;
	msi_address((unsigned int)atoi(argument), &msi_message.address_lo);
	msi_message.data = PAYLOAD_VECTOR_MSI;
	return 0;
}

static int msi_fire(struct vmm *m)
{
	return ioctl(m->vm, KVM_SIGNAL_MSI, &msi_message) < 0 ?
		       complain("KVM_SIGNAL_MSI: %s", strerror(errno)) : 0;
}

static const struct event_source msi = {
	.name = "msi", .help = "KVM_SIGNAL_MSI; argument: APIC id (0)",
	.setup = msi_setup, .fire = msi_fire,
};

const struct event_source *const event_sources[] = { &irqfd, &msi, &edu_source, &ivshmem_source, NULL };

const struct event_source *event_find(const char *name)
{
	for (unsigned int i = 0; event_sources[i]; i++) {
		if (!strcmp(event_sources[i]->name, name))
			return event_sources[i];
	}
	return NULL;
}

/* ---- firing */

int event_fire(struct vmm *m, unsigned int times)
{
	if (!m->source || !m->source->fire)
		return complain("the payload asks for an event, and --event names no source that "
				"can be fired");
	while (times--) {
		uint64_t nth = __atomic_add_fetch(&m->fired, 1, __ATOMIC_SEQ_CST);

		if (m->broken && !strcmp(m->broken, "lose-event") && nth == 7)
			continue;
		if (m->source->fire(m) < 0)
			return -1;
	}
	return 0;
}

static pthread_t firing;
static bool firing_runs;

static void *fire_for_ever(void *arg)
{
	struct vmm *m = arg;
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	while (!__atomic_load_n(&m->ended, __ATOMIC_SEQ_CST)) {
		next.tv_nsec += (long)m->fire_us * 1000;
		while (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		if (event_fire(m, 1) < 0)
			vcpu_stop_all(m, -1);
	}
	return NULL;
}

int event_start(struct vmm *m)
{
	int err;

	if (!m->fire_us)
		return 0;
	err = pthread_create(&firing, NULL, fire_for_ever, m);
	if (err)
		return complain("a thread: %s", strerror(err));
	firing_runs = true;
	return 0;
}

void event_stop(struct vmm *m)
{
	(void)m;
	if (firing_runs)
		pthread_join(firing, NULL);
	firing_runs = false;
}
