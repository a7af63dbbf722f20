/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests when somebody ends in the middle: the server thread (by
 * pthread_exit(3), without libc's help, with its process), a client, and a new
 * thread that gets the server's id. Nobody hangs, and nobody else is raised.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/sync_request.h>

#include "ipc-support.h"

enum { OP_WORK, OP_HOLD, OP_EXIT, OP_VANISH, OP_STOP };

struct world {
	struct rtkvm_port port;
	uint32_t taken;
	uint32_t let_go;
};

static void serve_world(struct world *w)
{
	struct rtkvm_request r = { 0 };

	ck_assert_int_eq(rtkvm_port_open(&w->port), 0);
	do {
		ck_assert_int_eq(rtkvm_port_receive(&w->port, &r, CLOCK_MONOTONIC, NULL), 0);
		__atomic_fetch_add(&w->taken, 1, __ATOMIC_RELEASE);
		if (r.op != OP_WORK && r.op != OP_STOP)
			ipc_wait_value(&w->let_go, 1);
		if (r.op == OP_EXIT)
			pthread_exit(NULL);
		if (r.op == OP_VANISH)
			syscall(SYS_exit, 0); /* this thread, behind libc's back */
		ck_assert_int_eq(rtkvm_port_reply(&w->port, &r), 0);
	} while (r.op != OP_STOP);
	ck_assert_int_eq(rtkvm_port_close(&w->port), 0);
}

static void *serve(void *arg)
{
	serve_world(arg);
	return NULL;
}

static void init(struct world *w, uint32_t flags)
{
	struct rtkvm_port_options o;

	memset(w, 0, sizeof(*w));
	rtkvm_port_options_init(&o, sizeof(o));
	o.flags = flags | RTKVM_PORT_STATS;
	ck_assert_int_eq(rtkvm_port_init(&w->port, &o), 0);
}

static void wait_server(struct world *w)
{
	while (!rtkvm_port_server(&w->port))
		ipc_sleep_ms(1);
}

struct client {
	struct world *world;
	uint64_t op;
	int answer;
	struct ipc_thread t;
};

static void *call(void *arg)
{
	struct client *c = arg;
	struct rtkvm_request r = { .op = c->op };

	c->answer = rtkvm_port_call(&c->world->port, &r, CLOCK_MONOTONIC, NULL);
	return NULL;
}

static void start_client(struct client *c, struct world *w, uint64_t op)
{
	*c = (struct client){ .world = w, .op = op, .t = { .fn = call, .arg = c, .cpu = -1 } };
	ipc_start(&c->t);
	ipc_wait_asleep(c->t.tid);
}

static const uint64_t ends[] = { OP_EXIT, OP_VANISH };

START_TEST(server_dies_in_mid_request)
{
	static struct world w;
	struct ipc_thread server = { .fn = serve, .arg = &w, .cpu = -1 };
	struct client c[4];
	struct rtkvm_port_stats stats = { .size = sizeof(stats) };
	struct rtkvm_request r = { .op = OP_STOP };

	init(&w, 0);
	ipc_start(&server);
	wait_server(&w);
	for (int i = 0; i < 4; i++)
		start_client(&c[i], &w, i ? OP_WORK : ends[_i]);
	__atomic_store_n(&w.let_go, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 4; i++)
		ipc_join(&c[i].t);
	ck_assert_int_eq(c[0].answer, -EOWNERDEAD);
	for (int i = 1; i < 4; i++)
		ck_assert_int_eq(c[i].answer, -ENOTCONN);
	ck_assert_int_eq(rtkvm_port_server(&w.port), 0);
	ck_assert_int_eq(rtkvm_port_call(&w.port, &r, CLOCK_MONOTONIC, NULL), -ENOTCONN);
	if (ends[_i] == OP_EXIT)
		ipc_join(&server);
	/* and the next one serves */
	ipc_start(&server);
	wait_server(&w);
	ck_assert_int_eq(rtkvm_port_call(&w.port, &r, CLOCK_MONOTONIC, NULL), 0);
	ipc_join(&server);
	ck_assert_int_eq(rtkvm_port_get_stats(&w.port, &stats), 0);
	ck_assert_uint_eq(stats.deaths, 1);
	ck_assert_uint_eq(stats.calls, 1);
}
END_TEST

/* It opened the port and never received. */
static void *open_only(void *arg)
{
	struct world *w = arg;

	ck_assert_int_eq(rtkvm_port_open(&w->port), 0);
	ipc_wait_value(&w->let_go, 1);
	return NULL;
}

static void *open_and_close(void *arg)
{
	struct world *w = arg;

	open_only(arg);
	ck_assert_int_eq(rtkvm_port_close(&w->port), 0);
	return NULL;
}

static void *(*const leave[])(void *) = { open_only, open_and_close };

START_TEST(server_leaves_with_requests_pending)
{
	static struct world w;
	struct ipc_thread server = { .fn = leave[_i], .arg = &w, .cpu = -1 };
	struct client c[4];

	init(&w, 0);
	ipc_start(&server);
	wait_server(&w);
	for (int i = 0; i < 4; i++)
		start_client(&c[i], &w, OP_WORK);
	__atomic_store_n(&w.let_go, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 4; i++) {
		ipc_join(&c[i].t);
		ck_assert_int_eq(c[i].answer, -ENOTCONN);
	}
	ipc_join(&server);
}
END_TEST

/* Another process serves, and is killed. */
START_TEST(server_process_is_killed)
{
	struct world *w = ipc_shared(sizeof(*w));
	struct client c[3];
	int status;
	pid_t pid;

	init(w, RTKVM_PORT_SHARED);
	pid = fork();
	if (!pid) {
		serve_world(w);
		_exit(0);
	}
	wait_server(w);
	ck_assert_int_eq(rtkvm_port_server(&w->port), pid);
	for (int i = 0; i < 3; i++)
		start_client(&c[i], w, i ? OP_WORK : OP_HOLD);
	ipc_wait_value(&w->taken, 1);
	kill(pid, SIGKILL);
	for (int i = 0; i < 3; i++) {
		ipc_join(&c[i].t);
		ck_assert_int_eq(c[i].answer, i ? -ENOTCONN : -EOWNERDEAD);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
}
END_TEST

/* The client whose request is in progress is killed; one waits for its turn. */
START_TEST(client_process_is_killed)
{
	struct world *w = ipc_shared(sizeof(*w));
	struct ipc_thread server = { .fn = serve, .arg = w, .cpu = -1 };
	struct rtkvm_request r = { .op = OP_STOP };
	struct client c;
	int status;
	pid_t pid;

	init(w, RTKVM_PORT_SHARED);
	if (_i) { /* the server takes it; else it never receives */
		ipc_start(&server);
		wait_server(w);
	} else {
		server.fn = open_only;
		ipc_start(&server);
		wait_server(w);
	}
	pid = fork();
	if (!pid) {
		struct rtkvm_request hold = { .op = OP_HOLD };

		rtkvm_port_call(&w->port, &hold, CLOCK_MONOTONIC, NULL);
		_exit(0);
	}
	if (_i)
		ipc_wait_value(&w->taken, 1);
	else
		ipc_sleep_ms(100);
	start_client(&c, w, OP_WORK);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	__atomic_store_n(&w->let_go, 1, __ATOMIC_RELEASE);
	ipc_join(&c.t);
	ck_assert_int_eq(c.answer, _i ? 0 : -ENOTCONN);
	if (_i)
		ck_assert_int_eq(rtkvm_port_call(&w->port, &r, CLOCK_MONOTONIC, NULL), 0);
	ipc_join(&server);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("request-death");
	TCase *tc = tcase_create("death");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, server_dies_in_mid_request, 0, 2);
	tcase_add_loop_test(tc, server_leaves_with_requests_pending, 0, 2);
	tcase_add_test(tc, server_process_is_killed);
	tcase_add_loop_test(tc, client_process_is_killed, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}
