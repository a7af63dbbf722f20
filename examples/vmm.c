/* SPDX-License-Identifier: MIT */
/*
 * The smallest VMM that librtkvm makes real-time: one vCPU, one page of guest
 * code, and the phases in the order that KVM dictates. Prints what became of
 * each feature. Needs /dev/kvm; without the right to SCHED_FIFO the threads
 * are left out.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#define MAX_CPUID 256
#define SERIAL 0x3f8
/* Real mode, at 0x1000: write the text at 0x1010 to the serial port, then halt. */
static const unsigned char guest[] = {
	0xba, 0xf8, 0x03, 0xbe, 0x10, 0x10,       /* mov $SERIAL, %dx; mov $0x1010, %si */
	0xac, 0xee, 0x84, 0xc0, 0x75, 0xfa,       /* 1: lodsb; out %al, %dx; test %al, %al; jnz 1b */
	0xf4, 0xeb, 0xfd, 0x90,                   /* 2: hlt; jmp 2b */
	'g', 'u', 'e', 's', 't', ' ', 'i', 's', ' ', 'u', 'p', '\n', 0
};

static int kvm_fd, vm_fd, vcpu_fd;
static struct kvm_run *run;
static struct rtkvm_vcpu *vcpu;
static atomic_int up, stop;

#define CHECK(call) ((call) < 0 ? err(1, #call) : (void)0)
#define RT(call) ((call) < 0 ? errx(1, "%s", rtkvm_last_error()) : (void)0)

static void nothing(int sig) /* the kick's handler: that it comes is enough */
{
	(void)sig;
}

static void *vcpu_main(void *arg)
{
	RT(rtkvm_vcpu_enter(vcpu)); /* phase 4 */
	for (;;) {
		if (rtkvm_vcpu_sync(vcpu) < 0) /* phase 6 */
			fprintf(stderr, "this thread is not scheduled as planned\n");
		if (stop) /* own requests: after the sync, which clears immediate_exit */
			break;
		if (ioctl(vcpu_fd, KVM_RUN, 0) < 0) {
			if (errno != EINTR && errno != EAGAIN)
				err(1, "KVM_RUN");
		} else if (run->exit_reason == KVM_EXIT_IO && run->io.port == SERIAL) {
			char c = *((char *)run + run->io.data_offset);

			if (c)
				putchar(c);
			else
				up = 1;
		} else {
			errx(1, "exit reason %u", run->exit_reason);
		}
	}
	rtkvm_vcpu_leave(vcpu);
	return arg;
}

static void make_vcpu(struct rtkvm_vm *vm)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + MAX_CPUID * sizeof(cpuid->entries[0]));
	struct kvm_regs regs = { .rip = 0x1000, .rflags = 2 };
	struct kvm_sregs sregs;

	cpuid->nent = MAX_CPUID;
	CHECK(ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid));
	RT(rtkvm_vm_edit_cpuid(vm, cpuid, MAX_CPUID)); /* phase 2 */
	CHECK(vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, 0));
	CHECK(ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid));
	free(cpuid);
	run = mmap(NULL, (size_t)ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		   MAP_SHARED, vcpu_fd, 0);
	if (run == MAP_FAILED)
		err(1, "struct kvm_run");
	CHECK(ioctl(vcpu_fd, KVM_GET_SREGS, &sregs));
	sregs.cs.base = sregs.cs.selector = 0;
	CHECK(ioctl(vcpu_fd, KVM_SET_SREGS, &sregs));
	CHECK(ioctl(vcpu_fd, KVM_SET_REGS, &regs));
	RT(rtkvm_vcpu_new(vm, 0, vcpu_fd, &vcpu)); /* phase 3 */
}

int main(void)
{
	struct kvm_userspace_memory_region ram = { .guest_phys_addr = 0x1000, .memory_size = 0x1000 };
	const struct rtkvm_report_item *item = NULL;
	struct rtkvm_vm_options options;
	struct rtkvm_report *report;
	struct rtkvm_plan *plan;
	struct rtkvm_vm *vm;
	struct rtkvm *rt;
	pthread_t thread;
	void *page;
	int raise;

	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0 || (vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0)) < 0) {
		printf("/dev/kvm: %s\n", strerror(errno));
		return 77;
	}
	CHECK(ioctl(vm_fd, KVM_CREATE_IRQCHIP, 0));
	page = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(page, guest, sizeof(guest));
	ram.userspace_addr = (unsigned long)page;
	CHECK(ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &ram));
	signal(SIGUSR1, nothing);

	RT(rtkvm_new(NULL, &rt));
	RT(rtkvm_plan_parse(rt, "maxprio=3,policy=ff", &plan));
	rtkvm_vm_options_init(&options, sizeof(options));
	options.kick_signal = SIGUSR1;
	options.kvm_fd = kvm_fd;
	raise = rtkvm_plan_check(plan, 1, NULL) == 0;
	if (!raise)
		printf("threads are left as they are: %s\n", rtkvm_last_error());
	RT(rtkvm_vm_new(rt, vm_fd, raise ? plan : NULL, &options, &vm)); /* phase 1 */
	make_vcpu(vm);
	pthread_create(&thread, NULL, vcpu_main, NULL);
	while (!up)
		usleep(1000);
	RT(rtkvm_vm_go_realtime(vm, 0)); /* phase 5 */
	usleep(20000);
	RT(rtkvm_vm_report(vm, &report));
	while ((item = rtkvm_report_next(report, item)))
		printf("%-15s %-13s %s\n", rtkvm_report_item_feature(item),
		       rtkvm_report_state_name(rtkvm_report_item_state(item)),
		       rtkvm_report_item_reason(item));
	rtkvm_report_free(report);
	stop = 1;
	rtkvm_vcpu_kick(vcpu);
	pthread_join(thread, NULL);
	rtkvm_vm_free(vm);
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
	return 0;
}
