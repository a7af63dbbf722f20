/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUs of an offline lease that are claimed ahead, as descriptors of the kernel
 * (linux/dedicated_cpu.h of kernel/uapi): whoever may claim a CPU passes it to a VMM
 * that may not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dedicated_cpu.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cpu_priv.h"

#define DEVICE "/dev/dedicated_cpu"

static struct cpu_claim *find(const struct rtkvm_cpu_lease *l, unsigned int cpu)
{
	struct cpu_claim *c = l->claims;

	while (c && c->cpu != cpu)
		c = c->next;
	return c;
}

int cpu_claim_fd(const struct rtkvm_cpu_lease *l, unsigned int cpu)
{
	const struct cpu_claim *c = find(l, cpu);

	return c ? c->fd : -1;
}

/* Takes fd, also when it fails. */
static int keep(struct rtkvm_cpu_lease *l, unsigned int cpu, int fd)
{
	struct cpu_claim *c = malloc(sizeof(*c));

	if (!c) {
		close(fd);
		return rtkvm_fail(l->rt, ENOMEM, NULL, NULL, "no memory for a claimed CPU");
	}
	*c = (struct cpu_claim){ .next = l->claims, .cpu = cpu, .fd = fd };
	l->claims = c;
	return fd;
}

void cpu_claims_close(struct rtkvm_cpu_lease *l, int cpu)
{
	struct cpu_claim **at = &l->claims;

	while (*at) {
		struct cpu_claim *c = *at;

		if (cpu >= 0 && c->cpu != (unsigned int)cpu) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		close(c->fd);
		free(c);
	}
}

static int open_device(struct rtkvm_cpu_lease *l)
{
	struct rtkvm_cpus cpus;
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC), err = errno;

	if (fd >= 0)
		return fd;
	if (err != ENOENT && err != ENXIO)
		return rtkvm_fail(l->rt, err, DEVICE, "run as root, who takes the lease",
				  "CPUs cannot be claimed: %s", strerror(err));
	if (rtkvm_dedicated_cpus(l->rt, &cpus) < 0)
		return rtkvm_fail(l->rt, EOPNOTSUPP, DEVICE,
				  "boot a kernel with the series of kernel/ and "
				  "CONFIG_X86_DEDICATED_CPU",
				  "this kernel has no dedicated CPUs");
	return rtkvm_fail(l->rt, EOPNOTSUPP, DEVICE, "mount devtmpfs on /dev",
			  "the kernel has dedicated CPUs, and /dev lacks their device");
}

static const char *remedy_of(int err)
{
	switch (err) {
	case EPERM:
		return "it takes CAP_SYS_ADMIN: run as root, who passes the descriptor on";
	case EBUSY:
		return "end what uses the CPU; rtkvm status shows who has it";
	case EINVAL:
		return "somebody brought it online: take a new lease";
	default:
		return "see what the kernel says (dmesg)";
	}
}

int rtkvm_cpu_lease_claim(struct rtkvm_cpu_lease *l, uint32_t index)
{
	int cpu = rtkvm_cpu_lease_get_cpu(l, index), device, fd;

	if (!l || cpu < 0)
		return rtkvm_fail(l ? l->rt : NULL, EINVAL, "rtkvm_cpu_lease_claim", NULL,
				  l ? "index out of range" : "lease is NULL");
	fd = cpu_claim_fd(l, (unsigned int)cpu);
	if (fd >= 0)
		return fd;
	if (l->mode != RTKVM_CPU_OFFLINE || rtkvm_cpus_has(&l->back, (unsigned int)cpu) ||
	    l->rt->made_up)
		return rtkvm_fail(l->rt, EOPNOTSUPP, "rtkvm_cpu_lease_claim",
				  "lease with RTKVM_CPU_OFFLINE",
				  l->rt->made_up ? "a made-up tree has no CPUs" :
						   "CPU %d is not offline by this lease", cpu);
	device = open_device(l);
	if (device < 0)
		return device;
	fd = ioctl(device, DEDICATED_CPU_CLAIM, cpu);
	if (fd < 0)
		fd = -errno;
	close(device);
	if (fd < 0)
		return rtkvm_fail(l->rt, -fd, DEVICE, remedy_of(-fd), "CPU %d cannot be claimed: %s",
				  cpu, strerror(-fd));
	return keep(l, (unsigned int)cpu, fd);
}

int rtkvm_cpu_lease_add_claim(struct rtkvm_cpu_lease *l, int fd)
{
	int cpu, copy;

	if (!l)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_cpu_lease_add_claim", NULL, "lease is NULL");
	cpu = ioctl(fd, DEDICATED_CPU_NUMBER, 0);
	if (cpu < 0)
		return rtkvm_fail(l->rt, errno == EBADF ? EBADF : EBADMSG, "descriptor",
				  "pass that of rtkvm_cpu_lease_claim()",
				  "descriptor %d is not that of a claimed CPU", fd);
	if (!rtkvm_cpus_has(&l->cpus, (unsigned int)cpu))
		return rtkvm_fail(l->rt, EXDEV, "descriptor", "pass the lease that it came from",
				  "descriptor %d is of CPU %d, which is not of this lease", fd, cpu);
	if (find(l, (unsigned int)cpu))
		return rtkvm_fail(l->rt, EEXIST, "descriptor", "pass each CPU once",
				  "the lease has a descriptor of CPU %d already", cpu);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return rtkvm_fail(l->rt, errno, "descriptor", NULL, "no copy of descriptor %d: %s",
				  fd, strerror(errno));
	copy = keep(l, (unsigned int)cpu, copy);
	return copy < 0 ? copy : cpu;
}

void cpu_claims_report(struct rtkvm_cpu_lease *l, struct rtkvm_report *report)
{
	struct rtkvm_cpus held, listed;
	char text[RTKVM_VALUE_MAX];

	if (!l->claims)
		return;
	rtkvm_cpus_clear(&held);
	for (const struct cpu_claim *c = l->claims; c; c = c->next)
		rtkvm_cpus_add(&held, c->cpu);
	rtkvm_cpus_print_list(&held, text, sizeof(text));
	if (rtkvm_dedicated_cpus(l->rt, &listed) < 0)
		rtkvm_report_add(report, "claims", RTKVM_STATE_UNVERIFIABLE, false,
				 "descriptors of CPUs %.200s; the kernel's list cannot be read", text);
	else if (rtkvm_cpus_subset(&held, &listed))
		rtkvm_report_add(report, "claims", RTKVM_STATE_VERIFIED, false,
				 "descriptors of CPUs %.200s", text);
	else
		rtkvm_report_add(report, "claims", RTKVM_STATE_OFF, true,
				 "descriptors of CPUs %.200s, which the kernel does not list", text);
}
