/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that leases what its arguments say and releases it: what the
 * fault injector kills.
 *
 *   changes [-r ROOT] -s STATEDIR [-n NAME] OP...
 *
 *   knob:ID:INDEX:VALUE   sched:TID:POLICY:PRIORITY   cpus:TID:LIST   hold:US
 *   take:MODE:LIST        a CPU lease; released before the other
 *   release               not needed at the end
 *   wait                  say "ready", go on at the end of standard input
 *   fork                  say "ready" and exit; a child keeps only a copy of the
 *                         lease's descriptor until the end of standard input
 *   send:PATH             send the descriptor to a datagram socket by SCM_RIGHTS
 *   die                   SIGKILL
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

static struct rtkvm *rt;
static struct rtkvm_cpu_lease *cpu_lease;

static void check(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "changes: %s: %s\n", what, rtkvm_last_error());
	exit(1);
}

static void wait_for_eof(void)
{
	char c;

	while (read(0, &c, 1) > 0)
		;
}

static void ready(void)
{
	if (write(1, "ready\n", 6) != 6)
		exit(1);
}

static void hand_over(struct rtkvm_lease *lease)
{
	pid_t pid = fork();

	if (pid == 0) {
		int copy = dup(rtkvm_lease_fd(lease));

		/* all but the copy and standard input and output */
		for (int fd = 3; fd < 64; fd++)
			if (fd != copy)
				close(fd);
		ready();
		close(1);
		close(2);
		wait_for_eof();
		_exit(0);
	}
	_exit(pid < 0);
}

static void send_to(struct rtkvm_lease *lease, const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	char byte = 'x';
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd = rtkvm_lease_fd(lease), sock = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(sock, &msg, 0) < 0) {
		perror(path);
		exit(1);
	}
	close(sock);
}

static void take(int mode, const char *cpus)
{
	struct rtkvm_cpu_request request;

	rtkvm_cpu_request_init(&request, sizeof(request));
	request.mode = mode;
	request.cpus = cpus;
	request.flags = RTKVM_CPU_HOTPLUG;
	request.schemata = "L3:0=f";
	check(rtkvm_cpu_lease_acquire(rt, &request, &cpu_lease), cpus);
	/* more or less than asked for would be another test */
	if (rtkvm_cpu_lease_get_mode(cpu_lease) != mode)
		exit(1);
}

static void operate(struct rtkvm_lease **lease, const char *op)
{
	int a, b, c, n = 0;

	if (sscanf(op, "knob:%d:%d:%n", &a, &b, &n) == 2 && n)
		check(rtkvm_lease_set_knob(*lease, a, (unsigned int)b, op + n), op);
	else if (sscanf(op, "sched:%d:%d:%d", &a, &b, &c) == 3)
		check(rtkvm_lease_set_thread_sched(*lease, a, b, c), op);
	else if (sscanf(op, "cpus:%d:%n", &a, &n) == 1 && n)
		check(rtkvm_lease_set_thread_cpus(*lease, a, op + n), op);
	else if (sscanf(op, "hold:%d", &a) == 1)
		check(rtkvm_lease_hold_cstate(*lease, a), op);
	else if (sscanf(op, "take:%d:%n", &a, &n) == 1 && n)
		take(a, op + n);
	else if (!strncmp(op, "send:", 5))
		send_to(*lease, op + 5);
	else if (!strcmp(op, "wait"))
		ready(), wait_for_eof();
	else if (!strcmp(op, "fork"))
		hand_over(*lease);
	else if (!strcmp(op, "die"))
		kill(getpid(), SIGKILL);
	else if (!strcmp(op, "release"))
		check(rtkvm_lease_release(*lease, NULL), op), *lease = NULL;
	else
		exit(2);
}

int main(int argc, char **argv)
{
	struct rtkvm_options options;
	struct rtkvm_lease *lease;
	const char *name = "changes";
	int c;

	rtkvm_options_init(&options, sizeof(options));
	while ((c = getopt(argc, argv, "r:s:n:")) != -1) {
		if (c == 'r')
			options.root = optarg;
		else if (c == 's')
			options.state_dir = optarg;
		else if (c == 'n')
			name = optarg;
		else
			return 2;
	}
	check(rtkvm_new(&options, &rt), "context");
	check(rtkvm_lease_new(rt, name, &lease), "lease");
	for (int i = optind; i < argc; i++)
		operate(&lease, argv[i]);
	check(rtkvm_cpu_lease_release(cpu_lease, NULL), "release of CPUs");
	check(rtkvm_lease_release(lease, NULL), "release");
	rtkvm_free(rt);
	return 0;
}
