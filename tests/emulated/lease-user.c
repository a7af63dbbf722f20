/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ordinary users: a lease that a launcher passes on, by SCM_RIGHTS and by
 * inheritance; and a lease of their own, in a delegated cgroup.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lease-host.h"

#define USER 1000
#define DELEGATED "/sys/fs/cgroup/delegated"

static void drop_root(void)
{
	if (setgroups(0, NULL) < 0 || setgid(USER) < 0 || setuid(USER) < 0)
		_exit(90);
}

static int send_fd(int to, int fd)
{
	char c = 'x', control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(int));
	return sendmsg(to, &msg, 0) == 1 ? 0 : -1;
}

static int receive_fd(int from)
{
	char c, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *h;
	int fd = -1;

	if (recvmsg(from, &msg, 0) == 1 && (h = CMSG_FIRSTHDR(&msg)) &&
	    h->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(h), sizeof(int));
	return fd;
}

static bool runs_on(int cpu)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1 &&
	       CPU_ISSET(cpu, &set) && (sched_yield(), sched_getcpu() == cpu);
}

/* 0 when all is well, else the number of the step that was not. */
static int use(int fd)
{
	struct rtkvm_cpu_lease *lease;

	if (rtkvm_cpu_lease_from_fd(rt, fd, &lease) < 0)
		return 1;
	if (rtkvm_cpu_lease_get_count(lease) != 2 || rtkvm_cpu_lease_get_cpu(lease, 1) != 3)
		return 2;
	if (rtkvm_cpu_lease_add_thread(lease, 0, 1) < 0)
		return 3;
	return runs_on(3) ? 0 : 4;
}

static bool is_free(const char *cpus)
{
	struct rtkvm_cpu_lease *lease = lease_of(cpus, RTKVM_CPU_AFFINITY, 0);
	bool busy = !lease && rtkvm_last_error_code() == EBUSY;

	if (lease)
		rtkvm_cpu_lease_release(lease, NULL);
	return !busy;
}

/* An exec'd program that inherited the descriptor. */
void part_holder(int fd)
{
	drop_root();
	printf("holder %d\n", use(fd));
	fflush(stdout);
	for (;;)
		pause();
}

/* The launcher lets go; the lease lives and dies with the user's process. */
static void let_go(const char *how, struct rtkvm_cpu_lease *lease, pid_t pid, int said)
{
	result(said == 0, "%s: an ordinary user's process uses the lease (step %d)", how, said);
	rtkvm_cpu_lease_leave(lease);
	result(!is_free("3"), "%s: it owns the lease after the launcher let go", how);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	result(is_free("3"), "%s: killed, the next caller gets the CPUs", how);
}

static void by_rights(void)
{
	struct rtkvm_cpu_lease *lease;
	int pair[2], said = 99;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	pid = fork(); /* before there is a lease: nothing is inherited */
	if (pid == 0) {
		close(pair[0]);
		drop_root();
		said = use(receive_fd(pair[1]));
		if (write(pair[1], &said, sizeof(said)) != sizeof(said))
			_exit(91);
		for (;;)
			pause();
	}
	close(pair[1]);
	lease = lease_of("2-3", RTKVM_CPU_AFFINITY, 0);
	if (!lease || send_fd(pair[0], rtkvm_cpu_lease_fd(lease)) < 0 ||
	    read(pair[0], &said, sizeof(said)) != sizeof(said))
		said = 98;
	let_go("SCM_RIGHTS", lease, pid, said);
	close(pair[0]);
}

static void by_inheritance(void)
{
	struct rtkvm_cpu_lease *lease = lease_of("2-3", RTKVM_CPU_AFFINITY, 0);
	char text[16], line[64] = "";
	int out[2], said = 99;
	pid_t pid;

	if (!lease || pipe(out) < 0) {
		result(false, "inheritance: no lease");
		return;
	}
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		fcntl(rtkvm_cpu_lease_fd(lease), F_SETFD, 0);
		snprintf(text, sizeof(text), "%d", rtkvm_cpu_lease_fd(lease));
		execl("/proc/self/exe", "lease-host", "holder", text, NULL);
		_exit(1);
	}
	close(out[1]);
	if (read(out[0], line, sizeof(line) - 1) > 0)
		(void)sscanf(line, "holder %d", &said);
	let_go("inheritance", lease, pid, said);
	close(out[0]);
}

/* In a partition a thread takes root to enter: the launcher puts the user's there. */
static void into_partition(void)
{
	struct rtkvm_cpu_lease *lease = lease_of("2-3", RTKVM_CPU_PARTITION, 0), *copy;
	int go[2], status = 0;
	pid_t pid;
	char c;

	if (!lease || pipe(go) < 0) {
		result(false, "partition: no lease");
		return;
	}
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		drop_root();
		if (rtkvm_cpu_lease_from_fd(rt, rtkvm_cpu_lease_fd(lease), &copy) < 0)
			_exit(1);
		if (rtkvm_cpu_lease_add_thread(copy, 0, 0) != -EACCES ||
		    !strstr(rtkvm_last_error(), "as root"))
			_exit(2);
		_exit(read(go[0], &c, 1) == 1 && runs_on(3) ? 0 : 3);
	}
	usleep(300000);
	result(rtkvm_cpu_lease_add_thread(lease, pid, 1) == 0 && write(go[1], "x", 1) == 1,
	       "partition: the launcher puts a user's thread into it");
	waitpid(pid, &status, 0);
	result(status == 0, "partition: by itself the user is refused, by name (%d)",
	       WEXITSTATUS(status));
	rtkvm_cpu_lease_release(lease, NULL);
	close(go[0]);
	close(go[1]);
}

void part_passed(void)
{
	struct snapshot before, after;

	mount_v2();
	snapshot_take(&before);
	by_rights();
	by_inheritance();
	into_partition();
	snapshot_take(&after);
	result(snapshot_differences(&before, &after, true) == 0, "passed: the host is as it was");
	snapshot_free(&before);
	snapshot_free(&after);
}

static pid_t sleeper(bool of_user)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (of_user)
			drop_root();
		for (;;)
			pause();
	}
	usleep(100000);
	return pid;
}

static bool may_use(pid_t pid, int cpu)
{
	cpu_set_t set;

	return sched_getaffinity(pid, sizeof(set), &set) == 0 && CPU_ISSET(cpu, &set);
}

static bool says(const struct rtkvm_report *report, const char *feature, const char *text)
{
	const struct rtkvm_report_item *item = rtkvm_report_find(report, feature);

	return item && strstr(rtkvm_report_item_reason(item), text);
}

/* As the user. */
static void delegated_lease(pid_t mine, pid_t roots)
{
	struct rtkvm_options options;
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_report *report = NULL;
	char text[256] = "";

	read_text("/proc/self/cgroup", text, sizeof(text));
	rtkvm_options_init(&options, sizeof(options));
	options.state_dir = "/tmp/user-state";
	if (rtkvm_new(&options, &rt) < 0)
		_exit(1);
	result(strstr(text, "/delegated") && access(DELEGATED "/cgroup.procs", W_OK) == 0,
	       "delegated: the user is in a cgroup of his own");
	result(!lease_of("2", RTKVM_CPU_BEST, 0) && rtkvm_last_error_code() == EBUSY,
	       "delegated: a CPU that root leased is refused");
	result(!lease_of("3", RTKVM_CPU_PARTITION, 0) && rtkvm_last_error_code() == EPERM,
	       "delegated: a partition is refused");
	lease = lease_of("3", RTKVM_CPU_BEST, 0);
	result(lease && rtkvm_cpu_lease_get_mode(lease) == RTKVM_CPU_AFFINITY,
	       "delegated: best is affinity");
	if (!lease)
		return;
	rtkvm_cpu_lease_report(lease, &report);
	print_report(report, false);
	result(says(report, "partition", "takes root") && says(report, "irqs", "take root") &&
		       says(report, "threads", "take root"),
	       "delegated: the report says what takes root");
	rtkvm_report_free(report);
	result(!may_use(mine, 3) && may_use(roots, 3),
	       "delegated: the user's own threads are moved, those of root are not");
	result(rtkvm_cpu_lease_add_thread(lease, 0, 0) == 0 && runs_on(3),
	       "delegated: a thread runs on the leased CPU");
	result(rtkvm_cpu_lease_release(lease, &report) == 0 && rtkvm_report_problems(report) == 0 &&
		       may_use(mine, 3), "delegated: all is given back");
	rtkvm_report_free(report);
}

static void own(const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), DELEGATED "%s%s", *file ? "/" : "", file);
	if (chown(path, USER, USER) < 0)
		perror("# chown");
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

void part_delegated(void)
{
	struct rtkvm_cpu_lease *roots_lease;
	pid_t mine, roots, pid;
	char text[16];
	int status = 1;

	mount_v2();
	mkdir(DELEGATED, 0755);
	own("");
	own("cgroup.procs");
	own("cgroup.threads");
	own("cgroup.subtree_control");
	roots_lease = lease_of("2", RTKVM_CPU_AFFINITY, 0);
	mine = sleeper(true);
	roots = sleeper(false);
	pid = fork();
	if (pid == 0) {
		snprintf(text, sizeof(text), "%d", getpid());
		put(DELEGATED "/cgroup.procs", text);
		drop_root();
		delegated_lease(mine, roots);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	result(status == 0, "delegated: ended well");
	kill(mine, SIGKILL);
	kill(roots, SIGKILL);
	waitpid(mine, NULL, 0);
	waitpid(roots, NULL, 0);
	rtkvm_cpu_lease_release(roots_lease, NULL);
	rmdir(DELEGATED);
}
