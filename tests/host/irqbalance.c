/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which CPUs irqbalance leaves alone, from each source: its socket (a server
 * that speaks its protocol stands in for it), its environment, its file.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/host.h>

#include "host/host.h"
#include "host/parse.h"
#include "host/sim.h"
#include "support/test.h"

#define DAEMON 812

static const char *dir;
static char value[512];
static pid_t server;

static void setup(void)
{
	dir = test_fast_tmpdir();
	server = 0;
	ck_assert_int_eq(sim_make(dir, sim_named("intel")), 0);
}

static void teardown(void)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
}

static int ask(void)
{
	struct rtkvm_host_options opt;
	struct rtkvm_options options;
	struct rtkvm_host *host;
	struct rtkvm *rt;
	int verdict;

	rtkvm_options_init(&options, sizeof(options));
	options.root = dir;
	ck_assert_int_eq(rtkvm_new(&options, &rt), 0);
	rtkvm_host_options_init(&opt, sizeof(opt));
	opt.only = "irq-irqbalance";
	ck_assert_int_eq(rtkvm_host_probe(rt, &opt, &host), 0);
	verdict = rtkvm_check_verdict(rtkvm_host_next(host, NULL));
	snprintf(value, sizeof(value), "%s", rtkvm_check_value(rtkvm_host_next(host, NULL)));
	rtkvm_host_free(host);
	rtkvm_free(rt);
	return verdict;
}

/* Answers requests that come with root's credentials, as irqbalance 1.9 does. */
static void serve(int listener, const char *answer)
{
	for (;;) {
		char text[64] = "", control[256];
		struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				      .msg_controllen = sizeof(control) };
		int fd = accept(listener, NULL, NULL);
		struct cmsghdr *head;

		if (fd < 0 || recvmsg(fd, &msg, 0) < 0)
			_exit(1);
		head = CMSG_FIRSTHDR(&msg);
		if (head && head->cmsg_type == SCM_CREDENTIALS && !strcmp(text, "setup") &&
		    send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
			_exit(1);
		close(fd);
	}
}

/* answer NULL: one that accepts and says nothing. */
static void start(const char *answer)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[256];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), on = 1;

	snprintf(path, sizeof(path), "%s/run", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/run/irqbalance", dir);
	mkdir(path, 0755);
	ck_assert_int_lt(snprintf(address.sun_path, sizeof(address.sun_path),
				  "%s/run/irqbalance/irqbalance%d.sock", dir, DAEMON),
			 (int)sizeof(address.sun_path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	server = fork();
	if (server == 0 && answer)
		serve(fd, answer);
	if (server == 0)
		for (;;)
			pause();
	close(fd);
}

static void environment(const char *text, size_t len)
{
	ck_assert_int_eq(sim_write_bytes(dir, "proc/812/environ", 0, text, len), 0);
}

#define ENVIRONMENT(text) environment(text, sizeof(text))

/* The tree's file bans 4-7, which are the real-time CPUs. */
START_TEST(by_its_file)
{
	ck_assert_int_eq(ask(), RTKVM_VERDICT_OK);
	ck_assert_ptr_nonnull(strstr(value, "by its file, if it was started with that"));
	sim_write(dir, "etc/default/irqbalance", "IRQBALANCE_BANNED_CPULIST=4-6\n");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_FAIL);
	sim_write(dir, "etc/default/irqbalance", "IRQBALANCE_BANNED_CPUS=f0\n");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_OK);
	sim_write(dir, "etc/default/irqbalance", "IRQBALANCE_BANNED_CPULIST=4-\n");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(value, "/etc/default/irqbalance"));
}
END_TEST

START_TEST(by_its_environment)
{
	/* what it was started with counts, whatever the file says now */
	ENVIRONMENT("PATH=/bin\0IRQBALANCE_BANNED_CPULIST=4-6\0X=y");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_FAIL);
	ck_assert_ptr_nonnull(strstr(value, "CPUs 7, by its environment"));
	sim_write(dir, "proc/812/environ", NULL);
	ENVIRONMENT("IRQBALANCE_BANNED_CPUS=000000f0");
	sim_write(dir, "etc/default/irqbalance", "IRQBALANCE_BANNED_CPULIST=0\n");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_OK);
	/* without the variable it leaves alone what was isolated at boot */
	sim_write(dir, "proc/812/environ", NULL);
	ENVIRONMENT("PATH=/bin");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_OK);
	sim_write(dir, "sys/devices/system/cpu/isolated", "4-5\n");
	sim_write(dir, "sys/devices/system/cpu/nohz_full", "4-5\n");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_OK);
	sim_write(dir, "proc/812/environ", NULL);
	ENVIRONMENT("IRQBALANCE_BANNED_CPULIST=x");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_UNKNOWN);
}
END_TEST

START_TEST(by_its_socket)
{
	start("SLEEP 10 IRQ 24 LOAD 0 DIFF 0 CLASS 5 BANNED 000000f0");
	ENVIRONMENT("IRQBALANCE_BANNED_CPULIST=0");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_OK);
	ck_assert_ptr_nonnull(strstr(value, "by its socket"));
}
END_TEST

START_TEST(by_its_socket_otherwise)
{
	start("SLEEP 10 BANNED 00000000,00000070");
	ENVIRONMENT("IRQBALANCE_BANNED_CPULIST=4-7");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_FAIL);
	ck_assert_ptr_nonnull(strstr(value, "CPUs 7, by its socket"));
}
END_TEST

START_TEST(what_is_no_answer)
{
	static const char *const answers[] = { "SLEEP 10", "SLEEP 10 BANNED ", "BANNED x", "BANNED f0 and more",
					       "BANNED ,f0" };

	start(answers[_i]);
	ck_assert_int_eq(ask(), RTKVM_VERDICT_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(value, "/run/irqbalance/irqbalance812.sock"));
}
END_TEST

/* It refuses users other than root, and may be busy: then the others are asked. */
START_TEST(silent)
{
	start(_i ? "" : NULL);
	ENVIRONMENT("IRQBALANCE_BANNED_CPULIST=4-6");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_FAIL);
	ck_assert_ptr_nonnull(strstr(value, "by its environment"));
}
END_TEST

START_TEST(not_running)
{
	sim_write(dir, "proc/812/comm", "irqbalance-ui\n");
	ck_assert_int_eq(ask(), RTKVM_VERDICT_OK);
	ck_assert_str_eq(value, "irqbalance does not run");
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("host-irqbalance");
	TCase *tcase = tcase_create("irqbalance");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, by_its_file);
	tcase_add_test(tcase, by_its_environment);
	tcase_add_test(tcase, by_its_socket);
	tcase_add_test(tcase, by_its_socket_otherwise);
	tcase_add_loop_test(tcase, what_is_no_answer, 0, 5);
	tcase_add_loop_test(tcase, silent, 0, 2);
	tcase_add_test(tcase, not_running);
	suite_add_tcase(suite, tcase);
	return suite;
}
