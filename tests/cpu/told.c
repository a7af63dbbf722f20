/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Others that are told of a lease: irqbalance, played by a thread that speaks its
 * protocol (as of 1.9), and resctrl. What irqbalance goes by changes with its next
 * look only, as that of the real one does.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

#define SCHEMATA "L3:0=f;1=f\nMB:0=50"

static struct machine m;

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	int fd;
	char told[500]; /* after "settings cpus " */
	bool slow;      /* does not look again by itself */
	struct rtkvm_cpus banned;
	unsigned int commands, without_credentials;
} fake;

/* With the lock: go by what was told. */
static void fake_look(void)
{
	rtkvm_cpus_clear(&fake.banned);
	if (fake.told[0] && strcmp(fake.told, "NULL") != 0)
		ck_assert_int_eq(rtkvm_cpus_parse_list(fake.told, &fake.banned, NULL), 0);
}

static void fake_answer(int fd, const char *text)
{
	char mask[256] = "00000000", out[512];

	pthread_mutex_lock(&fake.lock);
	fake.commands++;
	if (!strncmp(text, "settings cpus ", 14)) {
		snprintf(fake.told, sizeof(fake.told), "%s", text + 14);
		if (!fake.slow)
			fake_look();
	} else if (!strcmp(text, "setup")) {
		if (rtkvm_cpus_next(&fake.banned, 0) >= 0)
			rtkvm_cpus_print_mask(&fake.banned, mask, sizeof(mask));
		snprintf(out, sizeof(out), "SLEEP 0 IRQ 9 LOAD 1 DIFF 2 CLASS 3 BANNED %s", mask);
		ck_assert_int_eq(send(fd, out, strlen(out), MSG_NOSIGNAL), (ssize_t)strlen(out));
	}
	pthread_mutex_unlock(&fake.lock);
}

static void *fake_run(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(fake.fd, NULL, NULL)) >= 0) {
		char text[500] = "", control[CMSG_SPACE(sizeof(struct ucred))];
		struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				      .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &msg, 0);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		if (n > 0 && (!c || c->cmsg_type != SCM_CREDENTIALS))
			fake.without_credentials++;
		else if (n > 0)
			fake_answer(fd, text);
		close(fd);
	}
	return NULL;
}

static void fake_start(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[4400];
	int one = 1, at;

	memset(&fake, 0, sizeof(fake));
	pthread_mutex_init(&fake.lock, NULL);
	test_write(m.root, "run/irqbalance/old", "");
	snprintf(dir, sizeof(dir), "%s/run/irqbalance", m.root);
	at = open(dir, O_RDONLY | O_DIRECTORY);
	fake.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/irqbalance123.sock", at);
	ck_assert_int_eq(bind(fake.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(setsockopt(fake.fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)), 0);
	ck_assert_int_eq(listen(fake.fd, 4), 0);
	ck_assert_int_eq(pthread_create(&fake.thread, NULL, fake_run, NULL), 0);
	close(at);
}

static void fake_stop(void)
{
	shutdown(fake.fd, SHUT_RDWR);
	pthread_join(fake.thread, NULL);
	close(fake.fd);
	ck_assert_uint_eq(fake.without_credentials, 0);
}

static void assert_told(const char *text)
{
	pthread_mutex_lock(&fake.lock);
	ck_assert_str_eq(fake.told, text);
	pthread_mutex_unlock(&fake.lock);
}

static void setup(void)
{
	machine_make(&m, 8, 2, 1, CGROUP_NONE);
	free(m.before);
	test_write(m.root, "run/irqbalance/old", "");
	m.before = machine_text(&m);
}

static void teardown(void)
{
	machine_free(&m);
}

static struct rtkvm_cpu_lease *lease_of(const char *cpus, const char *schemata)
{
	struct rtkvm_cpu_request r = request_of(1);
	struct rtkvm_cpu_lease *lease;

	r.cpus = cpus;
	r.schemata = schemata;
	machine_lease(&m, &r, 0, &lease);
	return lease;
}

/* State and reason of an item; "" when there is none. */
static int state_of(struct rtkvm_cpu_lease *lease, const char *feature, bool problem,
		    const char *reason)
{
	struct rtkvm_report *report;
	const struct rtkvm_report_item *item;
	int state = -1;

	ck_assert_int_eq(rtkvm_cpu_lease_report(lease, &report), 0);
	item = rtkvm_report_find(report, feature);
	if (item) {
		state = rtkvm_report_item_state(item);
		ck_assert_msg(rtkvm_report_item_problem(item) == problem &&
				      strstr(rtkvm_report_item_reason(item), reason),
			      "%s: %s", feature, rtkvm_report_item_reason(item));
	}
	rtkvm_report_free(report);
	return state;
}

static void release(struct rtkvm_cpu_lease *lease)
{
	struct rtkvm_report *report;

	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, &report), 0);
	ck_assert_uint_eq(rtkvm_report_problems(report), 0);
	rtkvm_report_free(report);
}

START_TEST(irqbalance_is_told)
{
	struct rtkvm_cpu_lease *a, *b;

	fake_start();
	a = lease_of("6-7", NULL);
	assert_told("6-7");
	ck_assert_int_eq(state_of(a, "irqbalance", false, "keeps away"), RTKVM_STATE_VERIFIED);
	b = lease_of("3", NULL);
	assert_told("3-3,6-7");
	release(_i ? a : b);
	assert_told(_i ? "3-3" : "6-7");
	release(_i ? b : a);
	assert_told("NULL");
	fake_stop();
	machine_assert_as_before(&m);
}
END_TEST

/* Its own configuration holds on. */
START_TEST(irqbalance_configured)
{
	static const char *const told[] = { "1-2,5-5", "1-1,5-5", "2-2,5-5" };
	struct rtkvm_cpu_lease *lease;

	if (_i == 0)
		test_write(m.root, "proc/123/environ", "A=1\nIRQBALANCE_BANNED_CPULIST=1-2");
	else if (_i == 1)
		test_write(m.root, "proc/123/environ", "IRQBALANCE_BANNED_CPUS=00000002");
	else
		test_write(m.root, "sys/devices/system/cpu/isolated", "2\n");
	if (_i == 0) { /* words end with a NUL there */
		char path[4400];
		int fd;

		snprintf(path, sizeof(path), "%s/proc/123/environ", m.root);
		fd = open(path, O_WRONLY);
		ck_assert_int_eq(pwrite(fd, "", 1, 3), 1);
		close(fd);
	}
	free(m.before);
	m.before = machine_text(&m);
	fake_start();
	lease = lease_of("5", NULL);
	if (_i == 2) /* nohz_full of the made-up machine */
		ck_assert_ptr_nonnull(strstr(fake.told, "2-2"));
	else
		assert_told(told[_i]);
	release(lease);
	assert_told("NULL");
	fake_stop();
	machine_assert_as_before(&m);
}
END_TEST

START_TEST(owner_killed)
{
	struct rtkvm_report *report;
	pid_t pid;

	fake_start();
	pid = fork();
	if (pid == 0) {
		lease_of("4", NULL);
		raise(SIGKILL);
	}
	waitpid(pid, NULL, 0);
	assert_told("4-4");
	ck_assert_int_eq(rtkvm_restore(m.rt, &report), 0);
	rtkvm_report_free(report);
	assert_told("NULL");
	fake_stop();
	machine_assert_as_before(&m);
}
END_TEST

START_TEST(irqbalance_looks_later)
{
	struct rtkvm_cpu_lease *lease;

	fake_start();
	fake.slow = true;
	lease = lease_of("6", NULL);
	assert_told("6-6");
	ck_assert_int_eq(state_of(lease, "irqbalance", false, "next look"), RTKVM_STATE_ACCEPTED);
	sleep(2); /* it should have looked by now */
	ck_assert_int_eq(state_of(lease, "irqbalance", true, "does not keep away"),
			 RTKVM_STATE_OFF);
	/* it was started anew */
	pthread_mutex_lock(&fake.lock);
	fake.told[0] = '\0';
	fake.slow = false;
	pthread_mutex_unlock(&fake.lock);
	ck_assert_int_eq(rtkvm_cpu_lease_repair(lease, NULL), 0);
	assert_told("6-6");
	ck_assert_int_eq(state_of(lease, "irqbalance", false, "keeps away"), RTKVM_STATE_VERIFIED);
	release(lease);
	fake_stop();
	machine_assert_as_before(&m);
}
END_TEST

/* Nobody listens, or it ends meanwhile: no fault. */
START_TEST(no_irqbalance)
{
	struct rtkvm_cpu_lease *lease = lease_of("6", NULL);

	ck_assert_int_eq(state_of(lease, "irqbalance", false, ""), -1);
	release(lease);
	fake_start();
	lease = lease_of("6", NULL);
	assert_told("6-6");
	fake_stop();
	release(lease);
	lease = lease_of("6", NULL);
	release(lease);
	machine_assert_as_before(&m);
}
END_TEST

static void make_resctrl(const char *cpus)
{
	test_write(m.root, "sys/fs/resctrl/cpus_list", cpus);
	test_write(m.root, "sys/fs/resctrl/schemata", "L3:0=ff;1=ff\n");
	test_write(m.root, "sys/fs/resctrl/info/last_cmd_status", "out of CLOSIDs\n");
	free(m.before);
	m.before = machine_text(&m);
}

START_TEST(resctrl_group)
{
	struct rtkvm_cpu_lease *lease;
	char *now;

	make_resctrl("0-7\n");
	lease = lease_of("6-7", SCHEMATA);
	now = machine_text(&m);
	ck_assert_ptr_nonnull(strstr(now, "/cpus_list:6-7"));
	ck_assert_ptr_nonnull(strstr(now, "/schemata:L3:0=f;1=f\n"));
	ck_assert_ptr_nonnull(strstr(now, "/schemata:MB:0=50\n"));
	free(now);
	ck_assert_int_eq(state_of(lease, "resctrl", false, "6-7"), RTKVM_STATE_VERIFIED);
	{ /* somebody changes the share */
		char command[4400];

		snprintf(command, sizeof(command),
			 "for f in %s/sys/fs/resctrl/rtkvm-*/schemata; do echo 'L3:0=f;1=7' > $f; done",
			 m.root);
		ck_assert_int_eq(system(command), 0);
	}
	ck_assert_int_eq(state_of(lease, "resctrl", true, "1=7"), RTKVM_STATE_OFF);
	release(lease);
	machine_assert_as_before(&m);
}
END_TEST

START_TEST(resctrl_refused)
{
	struct rtkvm_cpu_request r = request_of(1);
	struct rtkvm_cpu_lease *lease;

	lease = lease_of("6", SCHEMATA);
	ck_assert_int_eq(state_of(lease, "resctrl", true, "mount -t resctrl"), RTKVM_STATE_OFF);
	release(lease);
	make_resctrl("0-5,7\n");
	lease = lease_of("6", SCHEMATA);
	ck_assert_int_eq(state_of(lease, "resctrl", true, "somebody else"), RTKVM_STATE_OFF);
	release(lease);
	machine_assert_as_before(&m);
	r.schemata = "L3 0";
	ck_assert_int_eq(rtkvm_cpu_lease_acquire(m.rt, &r, &lease), -EINVAL);
	r.schemata = "";
	ck_assert_int_eq(rtkvm_cpu_lease_acquire(m.rt, &r, &lease), -EINVAL);
	/* with STRICT it is not given */
	r = request_of(1);
	r.cpus = "6";
	r.schemata = SCHEMATA;
	r.flags = RTKVM_CPU_STRICT;
	machine_lease(&m, &r, EIO, &lease);
	machine_assert_as_before(&m);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("told");
	TCase *tc = tcase_create("machine");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, irqbalance_is_told, 0, 2);
	tcase_add_loop_test(tc, irqbalance_configured, 0, 3);
	tcase_add_test(tc, owner_killed);
	tcase_add_test(tc, irqbalance_looks_later);
	tcase_add_test(tc, no_irqbalance);
	tcase_add_test(tc, resctrl_group);
	tcase_add_test(tc, resctrl_refused);
	suite_add_tcase(suite, tc);
	return suite;
}
