/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * passed CPU: a launcher, root, leases a CPU, takes it offline and claims it. A VMM of
 * another user gets the descriptors by SCM_RIGHTS, and has its vCPU there by the calls
 * that root would use. With the lease alone, as a control, it is refused, and told what it
 * lacks. Prints what did not hold; exits 0 when all did.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "machine.h"

#define EXITS 50

static struct rtkvm *rt;

/* One descriptor a message. */
static void pass(int to, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
				.cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec io = { (char[]){ 'x' }, 1 };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	if (fd < 0 || sendmsg(to, &message, 0) != 1)
		err(1, "sendmsg");
}

static int receive(int from)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char c;
	struct iovec io = { &c, 1 };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd;

	if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) != 1 || message.msg_controllen == 0)
		err(1, "recvmsg");
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

/* What the report says of a feature. */
static int state_of(struct rtkvm_vm *vm, const char *feature, char *reason, size_t size)
{
	const struct rtkvm_report_item *item;
	struct rtkvm_report *report;
	int state = -1;

	reason[0] = '\0';
	if (rtkvm_vm_report(vm, &report) < 0)
		return -1;
	item = rtkvm_report_find(report, feature);
	if (item) {
		state = rtkvm_report_item_state(item);
		snprintf(reason, size, "%s", rtkvm_report_item_reason(item));
	}
	rtkvm_report_free(report);
	return state;
}

/* A guest of EXITS accesses of a port, by the phases of rtkvm/vm.h. there: it has to be. */
static void run_vm(struct rtkvm_cpu_lease *lease, int there)
{
	/* mov $EXITS, %cx; 1: out %al, $PORT; loop 1b; out %al, $END */
	static const uint8_t code[] = { 0xb9, EXITS, 0, 0xe6, PORT, 0xe2, 0xfc, 0xe6, END };
	struct rtkvm_dedicate_options dedicate;
	struct rtkvm_vm_options options;
	uint64_t entries = 0;
	struct rtkvm_vcpu *vcpu;
	struct rtkvm_vm *vm;
	struct machine m;
	char reason[512];
	int state, ret;

	make(&m, 1);
	start(&m, code, sizeof(code));
	rtkvm_vm_options_init(&options, sizeof(options));
	options.features = RTKVM_VM_DEDICATED_CPU;
	rtkvm_dedicate_options_init(&dedicate, sizeof(dedicate));
	dedicate.flags = RTKVM_DEDICATE_NO_FALLBACK;
	if (rtkvm_vm_new(rt, m.vm, NULL, &options, &vm) < 0 ||
	    rtkvm_vcpu_new(vm, 0, m.vcpu, &vcpu) < 0 ||
	    rtkvm_vcpu_dedicate(vcpu, lease, 0, &dedicate) < 0 || rtkvm_vcpu_enter(vcpu) < 0)
		errx(1, "the phases: %s", rtkvm_last_error());
	ret = rtkvm_vm_go_realtime(vm, 0);
	if (!there) {
		printf("refused: %s\n", rtkvm_last_error());
		expect(ret == -EOPNOTSUPP, "without the descriptor it goes real-time");
		expect(!!strstr(rtkvm_last_error(), "CAP_SYS_ADMIN") &&
		       !!strstr(rtkvm_last_error(), "rtkvm_cpu_lease_claim()"), "the remedy");
	} else {
		expect(ret == 0, "with the descriptor it does not go real-time");
		if (ret < 0)
			printf("%s\n", rtkvm_last_error());
		expect(rtkvm_vcpu_sync(vcpu) == 0, "rtkvm_vcpu_sync()");
		for (int i = 0; i < EXITS; i++)
			expect(next(&m) == 1, "an access of the port");
		expect(next(&m) == 0, "the end");
		expect(rtkvm_vcpu_get_stat(vcpu, "ded_entries", &entries) == 0 && entries >= EXITS,
		       "entries there");
		state = state_of(vm, "dedicated-cpu 0", reason, sizeof(reason));
		printf("dedicated-cpu 0: %s\n", reason);
		expect(state == RTKVM_STATE_VERIFIED, "what the report says");
	}
	rtkvm_vcpu_leave(vcpu);
	rtkvm_vm_free(vm);
	destroy(&m);
}

/* The VMM: not root, with what comes over the socket. */
static int vmm(int from, int cpu)
{
	struct rtkvm_cpu_lease *lease;
	int fd, claim;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		err(1, "setresuid");
	if (rtkvm_new(NULL, &rt) < 0)
		errx(1, "%s", rtkvm_last_error());
	fd = receive(from);
	if (rtkvm_cpu_lease_from_fd(rt, fd, &lease) < 0)
		errx(1, "%s", rtkvm_last_error());
	expect(rtkvm_cpu_lease_get_mode(lease) == RTKVM_CPU_OFFLINE, "an offline lease");
	expect(rtkvm_cpu_lease_add_claim(lease, fd) == -EBADMSG, "the lease's descriptor as the CPU's");
	expect(rtkvm_cpu_lease_claim(lease, 0) < 0, "a claim without privilege");
	run_vm(lease, 0);
	claim = receive(from);
	expect(rtkvm_cpu_lease_add_claim(lease, claim) == cpu, "the CPU of the descriptor");
	expect(rtkvm_cpu_lease_add_claim(lease, claim) == -EEXIST, "the same CPU twice");
	close(claim); /* the lease has a copy */
	run_vm(lease, 1);
	run_vm(lease, 1);
	rtkvm_cpu_lease_release(lease, NULL);
	rtkvm_free(rt);
	return bad;
}

int main(int argc, char **argv)
{
	int cpu = argc == 2 ? atoi(argv[1]) : -1, pair[2], status;
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_cpu_request request;
	char online[64], list[16];
	pid_t pid;

	if (cpu < 0)
		errx(2, "usage: passed CPU");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		err(1, "/dev/kvm");
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid)
		exit(vmm(pair[1], cpu));

	close(pair[1]);
	if (rtkvm_new(NULL, &rt) < 0)
		errx(1, "%s", rtkvm_last_error());
	rtkvm_cpu_request_init(&request, sizeof(request));
	snprintf(list, sizeof(list), "%d", cpu);
	request.cpus = list;
	request.mode = RTKVM_CPU_OFFLINE;
	if (rtkvm_cpu_lease_acquire(rt, &request, &lease) < 0)
		errx(1, "%s", rtkvm_last_error());
	pass(pair[0], rtkvm_cpu_lease_fd(lease));
	status = rtkvm_cpu_lease_claim(lease, 0);
	if (status < 0)
		errx(1, "%s", rtkvm_last_error());
	expect(rtkvm_cpu_lease_claim(lease, 0) == status, "claimed once");
	pass(pair[0], status);
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	expect(WIFEXITED(status) && !WEXITSTATUS(status), "the VMM");
	if (rtkvm_cpu_lease_release(lease, NULL) < 0) {
		printf("%s\n", rtkvm_last_error());
		expect(0, "the release");
	}
	snprintf(online, sizeof(online), "/sys/devices/system/cpu/cpu%d/online", cpu);
	expect(proc(online, 0) == 1, "the CPU is online again");
	rtkvm_free(rt);
	return bad;
}
