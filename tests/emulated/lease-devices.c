/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that the kernel makes for devices: the PIT of a real VM and the workers of
 * vhost-net, which their plan places, and those of interrupts and of threaded NAPI of
 * a real driver, which are nobody's until a watch is told their device. All leave leased CPUs, and get back what they had.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/kvm.h>
#include <linux/vhost.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lease-host.h"

/* A thread by the beginning of its name, of those in a folder of /proc, but not that one; 0: none. */
static pid_t thread_in(const char *folder, const char *name, pid_t but)
{
	char pattern[64], text[64];
	glob_t found;
	pid_t pid = 0;

	snprintf(pattern, sizeof(pattern), "%s[0-9]*/comm", folder);
	if (glob(pattern, 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc && !pid; i++) {
		pid = atoi(found.gl_pathv[i] + strlen(folder));
		if (pid == but || read_text(found.gl_pathv[i], text, sizeof(text)) < 0 ||
		    strncmp(text, name, strlen(name)))
			pid = 0;
	}
	globfree(&found);
	return pid;
}

static pid_t kernel_thread(const char *name)
{
	return thread_in("/proc/", name, 0);
}

/* CPUs 0 to 3 of a thread as bits. */
static unsigned int cpus_of(pid_t pid)
{
	unsigned int bits = 0;
	cpu_set_t set;

	if (sched_getaffinity(pid, sizeof(set), &set) < 0)
		return 0;
	for (unsigned int cpu = 0; cpu < 4; cpu++)
		bits |= CPU_ISSET(cpu, &set) ? 1U << cpu : 0;
	return bits;
}

static int priority_of(pid_t pid)
{
	struct sched_param param = { .sched_priority = -1 };

	sched_getparam(pid, &param);
	return param.sched_priority;
}

static pid_t make_pit(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	struct kvm_pit_config pit = { .flags = 0 };
	char name[32];

	if (vm < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0 || ioctl(vm, KVM_CREATE_PIT2, &pit) < 0) {
		perror("# a VM with a PIT");
		return 0;
	}
	snprintf(name, sizeof(name), "kvm-pit/%d", getpid());
	return kernel_thread(name);
}

/*
 * A worker of vhost-net, another one than BUT. Since Linux 6.4 it is a thread of the
 * process that opened the device, as far as /proc tells; before, one of kthreadd's.
 */
static pid_t make_vhost(pid_t but)
{
	int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
	cpu_set_t was, all;
	char name[32];
	pid_t pid;
	int ret;

	/* its CPUs are those of whoever makes it, and other parts have bound this thread */
	sched_getaffinity(0, sizeof(was), &was);
	CPU_ZERO(&all);
	for (int cpu = 0; cpu < 4; cpu++)
		CPU_SET(cpu, &all);
	sched_setaffinity(0, sizeof(all), &all);
	ret = fd < 0 ? -1 : ioctl(fd, VHOST_SET_OWNER);
	sched_setaffinity(0, sizeof(was), &was);
	if (ret < 0) {
		perror("# /dev/vhost-net");
		return 0;
	}
	snprintf(name, sizeof(name), "vhost-%d", getpid());
	pid = thread_in("/proc/self/task/", name, but);
	return pid ? pid : thread_in("/proc/", name, but);
}

/* An interface that is up has its interrupts. */
static void up(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		perror(name);
	if (fd >= 0)
		close(fd);
}

/* The PCI address of an interface. */
static void address_of(const char *name, char *address, size_t size)
{
	char path[64], target[256];
	ssize_t len;
	const char *last;

	snprintf(path, sizeof(path), "/sys/class/net/%s/device", name);
	len = readlink(path, target, sizeof(target) - 1);
	target[len < 0 ? 0 : len] = '\0';
	last = strrchr(target, '/');
	snprintf(address, size, "%.*s", (int)size - 1, last ? last + 1 : target);
}

/* A thread of one of the interrupts of that device; 0: none. */
static pid_t irq_thread_of(const char *address)
{
	char pattern[96], name[32];
	glob_t found;
	pid_t pid = 0;

	snprintf(pattern, sizeof(pattern), "/sys/bus/pci/devices/%s/msi_irqs/*", address);
	if (glob(pattern, 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc && !pid; i++) {
		snprintf(name, sizeof(name), "irq/%s-", strrchr(found.gl_pathv[i], '/') + 1);
		pid = kernel_thread(name);
	}
	globfree(&found);
	return pid;
}

/* The first interface whose driver has one; it is up then. */
static pid_t make_napi(char *address, size_t size)
{
	glob_t found;
	pid_t pid = 0;

	if (glob("/sys/class/net/*/threaded", 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc && !pid; i++) {
		char name[IFNAMSIZ] = "";
		FILE *f = fopen(found.gl_pathv[i], "w");

		if (!f || fputs("1\n", f) < 0 || fclose(f) != 0)
			continue;
		sscanf(found.gl_pathv[i], "/sys/class/net/%15[^/]", name);
		up(name);
		address_of(name, address, size);
		pid = kernel_thread("napi/");
	}
	globfree(&found);
	return pid;
}

/* Threads of interrupts and NAPI are a VM's when its watch is told the device. */
static void part_device_of_vm(struct rtkvm_watch *watch, const char *address, pid_t napi, pid_t irq)
{
	unsigned int placed = 0;
	bool ready;

	ready = rtkvm_watch_add_device(watch, "eth0") == -EINVAL &&
		rtkvm_watch_add_device(watch, "0000:ff:1f.7") == -ENODEV;
	result(ready, "devices: one that is not there is refused (%s)", rtkvm_last_error());
	ready = rtkvm_watch_add_device(watch, address) == 0 &&
		rtkvm_watch_dispatch(watch, &placed) == 0;
	result(ready && placed >= (irq ? 2 : 1) && priority_of(napi) == 5 && cpus_of(napi) == 0x2,
	       "devices: the NAPI thread of the VM's device is placed (%d, %x)", priority_of(napi),
	       cpus_of(napi));
	if (irq)
		result(priority_of(irq) == 5 && cpus_of(irq) == 0x2,
		       "devices: so is the thread of its interrupt (%d, %x)", priority_of(irq),
		       cpus_of(irq));
	ready = rtkvm_watch_add_device(watch, address) == 0 &&
		rtkvm_watch_dispatch(watch, &placed) == 0;
	result(ready && placed == 0, "devices: told twice it is the same (%u)", placed);
}

void part_devices(void)
{
	struct snapshot before, after;
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_plan *plan = NULL;
	struct rtkvm_watch *watch = NULL;
	unsigned int placed = 0, again = 99;
	int irq_priority;
	struct utsname host;
	char address[32] = "";
	bool ready, realtime;
	pid_t pit = make_pit(), napi = make_napi(address, sizeof(address)), vhost = make_vhost(0);
	pid_t irq = irq_thread_of(address), later;

	uname(&host);
	realtime = strstr(host.version, "PREEMPT_RT");
	irq_priority = irq ? priority_of(irq) : 0;
	mount_v2();
	result(pit > 0, "devices: a VM with a PIT has kvm-pit/%d", getpid());
	result(napi > 0, "devices: an interface has a NAPI thread");
	result(vhost > 0, "devices: vhost-net has the thread vhost-%d", getpid());
	result((irq > 0) == realtime, "devices: an interrupt of %s has a thread with PREEMPT_RT only (%s)",
	       address, realtime ? "it is" : "it is not");
	if (pit <= 0 || napi <= 0 || vhost <= 0)
		return;
	result(cpus_of(pit) == 0xf && cpus_of(napi) == 0xf && cpus_of(vhost) == 0xf,
	       "devices: all may run on any CPU");
	snapshot_take(&before);
	lease = lease_of("2-3", RTKVM_CPU_AFFINITY, 0);
	result(lease && cpus_of(pit) == 0x3 && cpus_of(napi) == 0x3 && cpus_of(vhost) == 0x3,
	       "devices: all leave the leased CPUs (%x, %x, %x)", cpus_of(pit), cpus_of(napi),
	       cpus_of(vhost));
	/* the flavours with PREEMPT_RT have ksoftirqd below it; no vCPU spins here */
	ready = rtkvm_plan_parse(rt, "maxprio=5", &plan) == 0 &&
		rtkvm_plan_allow(plan, RTKVM_GUARD_KTHREADS) == 0 &&
		rtkvm_plan_set_role_cpus(plan, RTKVM_ROLE_IO, "1") == 0 &&
		rtkvm_watch_new(plan, 0, NULL, &watch) == 0 &&
		rtkvm_plan_go_realtime(plan, NULL) == 0;
	result(ready, "devices: the plan is real-time (%s)", ready ? "yes" : rtkvm_last_error());
	/* a new thread could still have the name of the one that made it */
	usleep(100000);
	ready = rtkvm_watch_dispatch(watch, &placed) == 0;
	result(ready && placed == 2 && priority_of(pit) == 5 && cpus_of(pit) == 0x2,
	       "devices: kvm-pit has the priority and the CPU of its role (%d, %x)",
	       priority_of(pit), cpus_of(pit));
	result(priority_of(vhost) == 5 && cpus_of(vhost) == 0x2,
	       "devices: vhost has the priority and the CPU of its role (%d, %x)",
	       priority_of(vhost), cpus_of(vhost));
	result(priority_of(napi) == 0 && cpus_of(napi) == 0x3,
	       "devices: the NAPI thread is of no VM, and only kept from the leased CPUs (%d, %x)",
	       priority_of(napi), cpus_of(napi));
	result(rtkvm_watch_dispatch(watch, &again) == 0 && again == 0, "devices: placed once");
	later = make_vhost(vhost);
	result(later > 0 && later != vhost && priority_of(later) == 0,
	       "devices: another vhost thread later, with no priority at first");
	usleep(100000);
	ready = rtkvm_watch_dispatch(watch, &again) == 0;
	result(ready && again == 1 && priority_of(later) == 5 && cpus_of(later) == 0x2,
	       "devices: it is placed as well (%u placed, %d, %x)", again, priority_of(later),
	       cpus_of(later));
	part_device_of_vm(watch, address, napi, irq);
	rtkvm_watch_free(watch);
	ready = rtkvm_plan_undo(plan, NULL) == 0;
	result(ready && priority_of(pit) == 0 && cpus_of(pit) == 0x3 && priority_of(vhost) == 0 &&
		       cpus_of(vhost) == 0x3,
	       "devices: the plan is undone (%d, %x; %d, %x)", priority_of(pit), cpus_of(pit),
	       priority_of(vhost), cpus_of(vhost));
	result(priority_of(napi) == 0 && cpus_of(napi) == 0x3 && (!irq || priority_of(irq) == irq_priority),
	       "devices: also for the threads of a device (%d, %x; %d)", priority_of(napi),
	       cpus_of(napi), irq ? priority_of(irq) : 0);
	rtkvm_plan_free(plan);
	rtkvm_cpu_lease_release(lease, NULL);
	result(cpus_of(pit) == 0xf && cpus_of(napi) == 0xf && cpus_of(vhost) == 0xf,
	       "devices: all have all CPUs again");
	snapshot_take(&after);
	result(snapshot_differences(&before, &after, true) == 0, "devices: the host is as it was");
	snapshot_free(&before);
	snapshot_free(&after);
}
