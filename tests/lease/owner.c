/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who owns a lease: whoever has a copy of its descriptor. And what happens
 * when several processes work in one state directory at once.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tree.h"

static const char *root;
static struct rtkvm *rt;
static char *before;

static void setup(void)
{
	root = strdup(test_fast_tmpdir());
	tree_fill(root);
	before = tree_text(root);
	rt = tree_context(root);
}

static void teardown(void)
{
	rtkvm_free(rt);
	free(before);
	free((void *)(uintptr_t)root);
}

static void assert_as_before(void)
{
	char *now = tree_text(root);

	ck_assert_str_eq(now, before);
	free(now);
	ck_assert_uint_eq(journal_count(root), 0);
}

static void wait_byte(int fd)
{
	char c;

	ck_assert_int_eq(read(fd, &c, 1), 1);
}

static void reap(pid_t pid, int expected)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, expected);
}

static void assert_left_alone(void)
{
	struct rtkvm_report *report = restored(rt, 0);
	const struct rtkvm_report_item *item = item_of(report, "demo");

	ck_assert_ptr_nonnull(strstr(rtkvm_report_item_reason(item), "owner lives"));
	ck_assert_uint_eq(rtkvm_report_problems(report), 0);
	rtkvm_report_free(report);
	ck_assert_str_eq(test_read(root, IRQ24), "0\n");
	ck_assert_uint_eq(journal_count(root), 1);
}

START_TEST(live_owner)
{
	int ready[2];
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		lease_left = lease_of(rt, "demo");
		tree_change(lease_left);
		(void)!write(ready[1], "x", 1);
		pause();
		_exit(1);
	}
	wait_byte(ready[0]);
	assert_left_alone();
	kill(pid, SIGKILL);
	reap(pid, SIGKILL);
	rtkvm_report_free(restored(rt, 0));
	assert_as_before();
}
END_TEST

/* The one that made the lease is gone, its child has the descriptor. */
START_TEST(inherited_descriptor)
{
	int ready[2], end[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(end), 0);
	pid = fork();
	if (pid == 0) {
		lease_left = lease_of(rt, "demo");
		tree_change(lease_left);
		if (fork() == 0) {
			close(end[1]);
			(void)!write(ready[1], "x", 1);
			(void)!read(end[0], &c, 1);
		}
		_exit(0);
	}
	reap(pid, 0);
	wait_byte(ready[0]);
	assert_left_alone();
	close(ready[1]);
	close(end[1]); /* ends the grandchild */
	ck_assert_int_eq(read(ready[0], &c, 1), 0);
	rtkvm_report_free(restored(rt, 0));
	assert_as_before();
}
END_TEST

static void send_fd(int sock, int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	char byte = 'x';
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	ck_assert_int_eq(sendmsg(sock, &msg, 0), 1);
}

static int receive_fd(int sock)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	int fd = -1;

	ck_assert_int_eq(recvmsg(sock, &msg, 0), 1);
	ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

START_TEST(passed_descriptor)
{
	int socks[2], fd;
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, socks), 0);
	pid = fork();
	if (pid == 0) {
		lease_left = lease_of(rt, "demo");
		tree_change(lease_left);
		send_fd(socks[1], rtkvm_lease_fd(lease_left));
		_exit(0);
	}
	reap(pid, 0);
	fd = receive_fd(socks[0]);
	ck_assert_int_ge(fd, 0);
	assert_left_alone();
	close(fd);
	rtkvm_report_free(restored(rt, 0));
	assert_as_before();
}
END_TEST

START_TEST(restores_at_once)
{
	for (int round = 0; round < 10; round++) {
		int start[2];
		pid_t pid[3];

		for (int i = 0; i < 4; i++) {
			char name[2] = { (char)('a' + i), '\0' };

			leave_changes(rt, name);
		}
		ck_assert_int_eq(pipe(start), 0);
		for (int i = 0; i < 3; i++) {
			pid[i] = fork();
			if (pid[i] == 0) {
				char c;
				int ret;

				close(start[1]);
				(void)!read(start[0], &c, 1);
				ret = rtkvm_restore(rt, NULL);
				_exit(ret ? 1 : 0);
			}
		}
		close(start[0]);
		close(start[1]);
		for (int i = 0; i < 3; i++)
			reap(pid[i], 0);
		assert_as_before();
	}
}
END_TEST

/* A restore must never take a lease that is just being made for a dead one. */
START_TEST(new_leases_while_restoring)
{
	pid_t restorer = fork(), owners[2];

	if (restorer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			if (rtkvm_restore(rt, NULL) < 0)
				_exit(1);
	}
	for (int i = 0; i < 2; i++) {
		owners[i] = fork();
		if (owners[i])
			continue;
		for (int n = 0; n < 150; n++) {
			struct rtkvm_lease *lease = lease_of(rt, i ? "a" : "b");

			set_knob(lease, RTKVM_KNOB_IRQ_AFFINITY, i ? 24 : 25, "1");
			if (strcmp(test_read(root, i ? IRQ24 : IRQ25), "1\n"))
				_exit(2);
			if (rtkvm_lease_release(lease, NULL))
				_exit(3);
		}
		_exit(0);
	}
	reap(owners[0], 0);
	reap(owners[1], 0);
	kill(restorer, SIGKILL);
	reap(restorer, SIGKILL);
	rtkvm_report_free(restored(rt, 0));
	assert_as_before();
}
END_TEST

/* A copy made by a fork must not keep what was released or restored locked. */
START_TEST(fork_does_not_keep_locks)
{
	struct rtkvm_lease *lease = lease_of(rt, "demo");
	char path[4300];
	pid_t pid;

	set_knob(lease, RTKVM_KNOB_IRQ_AFFINITY, 24, "0");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(1);
	}
	snprintf(path, sizeof(path), "%s/" IRQ24, root);
	ck_assert_int_eq(remove(path), 0);
	ck_assert_int_eq(rtkvm_lease_release(lease, NULL), -EIO);
	test_write(root, IRQ24, "0\n");
	rtkvm_report_free(restored(rt, 0));
	assert_as_before();
	kill(pid, SIGKILL);
	reap(pid, SIGKILL);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("owner");
	TCase *tc = tcase_create("owner");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, live_owner);
	tcase_add_test(tc, inherited_descriptor);
	tcase_add_test(tc, passed_descriptor);
	tcase_add_test(tc, restores_at_once);
	tcase_add_test(tc, new_leases_while_restoring);
	tcase_add_test(tc, fork_does_not_keep_locks);
	suite_add_tcase(suite, tc);
	return suite;
}
