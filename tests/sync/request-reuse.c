/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread id that is used again at the worst moment: the client has written
 * the server's id into the word and is about to wait for it; the server dies
 * and a new thread gets its id. The kernel would raise that one, and the client
 * would wait for it. Not here: the word was on the server's robust list.
 *
 * The moment is met by a client that is compiled into this test, with a hook
 * before its system call; the id by a PID namespace of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-support.h"
#include "sync/port.h"

static int hooked_lock_pi(uint32_t *word, const struct timespec *until, bool realtime, bool shared);
#define futex_lock_pi hooked_lock_pi
#include "sync/port-client.c" /* NOLINT(bugprone-suspicious-include): with the hook */
#undef futex_lock_pi

#define CLIENT 60
#define LAST_PID "/proc/sys/kernel/ns_last_pid"

/* Exit statuses of the child that has the namespace. */
enum { GOOD, NO_NAMESPACE, NOT_REUSED, RAISED, HUNG, WRONG_ANSWER, NO_SERVER };

static struct rtkvm_port port;
static uint32_t vanish, victim_done, reused;
static pid_t server_tid, victim_tid;
static int victim_top; /* highest priority at which the newcomer was seen */
static bool receives;  /* the server receives the request before it dies */

static void *serve(void *arg)
{
	struct rtkvm_request r;

	(void)arg;
	if (rtkvm_port_open(&port) < 0)
		_exit(NO_SERVER);
	if (receives && rtkvm_port_receive(&port, &r, CLOCK_MONOTONIC, NULL) < 0)
		_exit(NO_SERVER);
	__atomic_store_n(&server_tid, gettid(), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&vanish, __ATOMIC_ACQUIRE))
		ipc_sleep_ms(1);
	syscall(SYS_exit, 0);
	return NULL;
}

/* The kernel's word about the calling thread. */
static int own_priority(void)
{
	char text[1024], *p;
	int fd = open("/proc/thread-self/stat", O_RDONLY | O_CLOEXEC), priority = 0;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %d",
			 &priority) != 1)
		_exit(NO_NAMESPACE);
	return priority < 0 ? -1 - priority : 0;
}

static void *newcomer(void *arg)
{
	const struct sched_param other = { 0 };

	(void)arg;
	/* not the priority of the thread that made it */
	if (sched_setscheduler(0, SCHED_OTHER, &other) < 0 || own_priority())
		_exit(NO_NAMESPACE);
	__atomic_store_n(&victim_tid, gettid(), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&victim_done, __ATOMIC_ACQUIRE)) {
		int now = own_priority();

		if (now > victim_top)
			victim_top = now;
		ipc_sleep_ms(1);
	}
	return NULL;
}

/* Let the server die and a new thread have its id. */
static pthread_t reuse(void)
{
	pid_t tid = __atomic_load_n(&server_tid, __ATOMIC_ACQUIRE);
	int fd = open(LAST_PID, O_WRONLY | O_CLOEXEC);
	pthread_t t;
	char text[16];

	__atomic_store_n(&vanish, 1, __ATOMIC_RELEASE);
	while (tgkill(getpid(), tid, 0) == 0)
		ipc_sleep_ms(1);
	snprintf(text, sizeof(text), "%d", (int)tid - 1);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(NO_NAMESPACE);
	close(fd);
	if (pthread_create(&t, NULL, newcomer, NULL))
		_exit(NOT_REUSED);
	while (!__atomic_load_n(&victim_tid, __ATOMIC_ACQUIRE))
		ipc_sleep_ms(1);
	if (victim_tid != tid)
		_exit(NOT_REUSED);
	__atomic_store_n(&reused, 1, __ATOMIC_RELEASE);
	return t;
}

static int hooked_lock_pi(uint32_t *word, const struct timespec *until, bool realtime, bool shared)
{
	static pthread_t t;
	struct timespec patience;

	(void)until;
	(void)realtime;
	if (!__atomic_load_n(&reused, __ATOMIC_ACQUIRE)) {
		while (receives && __atomic_load_n(&((struct sync_port *)&port)->state,
						   __ATOMIC_ACQUIRE) != PORT_TAKEN)
			ipc_sleep_ms(1);
		t = reuse();
		pthread_detach(t);
	}
	patience = ipc_after(CLOCK_MONOTONIC, 500);
	return futex_lock_pi(word, &patience, false, shared);
}

static void become_client(void)
{
	const struct sched_param param = { .sched_priority = CLIENT };

	if (sched_setscheduler(0, SCHED_FIFO, &param) < 0)
		_exit(NO_NAMESPACE);
}

static void finish(void)
{
	ipc_sleep_ms(20);
	__atomic_store_n(&victim_done, 1, __ATOMIC_RELEASE);
	if (victim_top)
		_exit(RAISED);
}

static void through_the_port(void)
{
	struct rtkvm_request r = { 0 };
	pthread_t t;
	int err;

	rtkvm_port_init(&port, NULL);
	pthread_create(&t, NULL, serve, NULL);
	while (!rtkvm_port_server(&port))
		ipc_sleep_ms(1);
	if (!receives)
		while (!__atomic_load_n(&server_tid, __ATOMIC_ACQUIRE))
			ipc_sleep_ms(1);
	become_client();
	err = rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL);
	finish();
	if (err == -ETIMEDOUT || err == -EINPROGRESS)
		_exit(HUNG);
	_exit(err == (receives ? -EOWNERDEAD : -ENOTCONN) ? GOOD : WRONG_ANSWER);
}

/* What would be without: the word is in nobody's list. */
static void without_the_list(void)
{
	static uint32_t word;
	pthread_t t;
	int err;

	rtkvm_port_init(&port, NULL);
	pthread_create(&t, NULL, serve, NULL);
	while (!__atomic_load_n(&server_tid, __ATOMIC_ACQUIRE))
		ipc_sleep_ms(1);
	become_client();
	__atomic_store_n(&word, (uint32_t)server_tid, __ATOMIC_SEQ_CST);
	err = hooked_lock_pi(&word, NULL, false, false);
	finish();
	_exit(err == -ETIMEDOUT ? HUNG : GOOD);
}

/* The exit status of fn in a PID namespace of its own. */
static int in_namespace(void (*fn)(void))
{
	int status;
	pid_t outer = fork(), inner;

	ck_assert_int_ge(outer, 0);
	if (!outer) {
		if (unshare(CLONE_NEWPID) < 0)
			_exit(NO_NAMESPACE);
		inner = fork();
		if (!inner) {
			/* with pid 1 in between, the ids are nobody else's */
			fn();
			_exit(WRONG_ANSWER);
		}
		if (inner < 0 || waitpid(inner, &status, 0) != inner || !WIFEXITED(status))
			_exit(WRONG_ANSWER);
		_exit(WEXITSTATUS(status));
	}
	ck_assert_int_eq(waitpid(outer, &status, 0), outer);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define SKIP_WITHOUT_NAMESPACE(status)                                             \
	do {                                                                       \
		if ((status) == NO_NAMESPACE)                                      \
			SKIP_TEST("no PID namespace of its own, or no " LAST_PID); \
	} while (0)

START_TEST(id_used_again)
{
	int status;

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	receives = _i;
	status = in_namespace(through_the_port);
	SKIP_WITHOUT_NAMESPACE(status);
	ck_assert_int_eq(status, GOOD);
}
END_TEST

START_TEST(control_wrong_thread_is_raised)
{
	int status;

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	receives = false;
	status = in_namespace(without_the_list);
	SKIP_WITHOUT_NAMESPACE(status);
	ck_assert_int_eq(status, RAISED);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("request-reuse");
	TCase *tc = tcase_create("reuse");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, id_used_again, 0, 2);
	tcase_add_test(tc, control_wrong_thread_is_raised);
	suite_add_tcase(s, tc);
	return s;
}
