/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests: what goes in and out, times, errors. Priorities are in
 * request-priority.c, deaths in request-death.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/sync_request.h>

#include "ipc-support.h"
#include "sync/no-lock-pi2.h"

enum { OP_STOP, OP_DOUBLE, OP_WAIT, OP_MEET };

static const struct timespec never = { 0, 0 };

static struct rtkvm_port port;
static uint32_t let_go, taken;

#define CLIENTS 4
#define MEETINGS 400
#define CALLS (test_is_slow() ? 2 * MEETINGS : 5000)
static pthread_barrier_t all_clients;

/* Reply to the first of requests that all clients make at once when the others wait. */
static void meet(const struct rtkvm_request *r)
{
	struct rtkvm_port_stats stats = { .size = sizeof(stats) };
	uint64_t end = ipc_now_ns() + UINT64_C(20000000000);

	do {
		ck_assert_int_eq(rtkvm_port_get_stats(&port, &stats), 0);
		ck_assert_msg(ipc_now_ns() < end, "%lu wait", (unsigned long)stats.contended);
		sched_yield();
	} while (stats.contended < r->arg[0]);
}

static void *serve(void *arg)
{
	struct rtkvm_request r;

	(void)arg;
	ck_assert_int_eq(rtkvm_port_open(&port), 0);
	do {
		ck_assert_int_eq(rtkvm_port_receive(&port, &r, CLOCK_MONOTONIC, NULL), 0);
		__atomic_fetch_add(&taken, 1, __ATOMIC_RELEASE);
		if (r.op == OP_WAIT)
			ipc_wait_value(&let_go, 1);
		if (r.op == OP_MEET)
			meet(&r);
		for (int i = 0; i < 6; i++)
			r.arg[i] *= 2;
		r.result = -7;
		ck_assert_int_eq(rtkvm_port_reply(&port, &r), 0);
	} while (r.op != OP_STOP);
	ck_assert_int_eq(rtkvm_port_close(&port), 0);
	return NULL;
}

static struct ipc_thread server = { .fn = serve, .cpu = -1 };

static void start(uint32_t flags, uint32_t client_spin, uint32_t server_spin)
{
	struct rtkvm_port_options o;

	rtkvm_port_options_init(&o, sizeof(o));
	o.flags = flags;
	o.client_spin_ns = client_spin;
	o.server_spin_ns = server_spin;
	ck_assert_int_eq(rtkvm_port_init(&port, &o), 0);
	let_go = taken = 0;
	ipc_start(&server);
	while (!rtkvm_port_server(&port))
		ipc_sleep_ms(1);
	ck_assert_int_eq(rtkvm_port_server(&port), server.tid);
}

static void stop(void)
{
	struct rtkvm_request r = { .op = OP_STOP };

	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), 0);
	ipc_join(&server);
	ck_assert_int_eq(rtkvm_port_server(&port), 0);
}

static void ask(uint64_t n)
{
	struct rtkvm_request r = { .op = OP_DOUBLE, .arg = { n, n + 1, n + 2, n + 3, n + 4, n + 5 } };

	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), 0);
	ck_assert_uint_eq(r.op, OP_DOUBLE);
	ck_assert_int_eq(r.result, -7);
	for (uint64_t i = 0; i < 6; i++)
		ck_assert_uint_eq(r.arg[i], 2 * (n + i));
}

/* With the others, so that all but one wait for their turn. */
static void ask_together(void)
{
	struct rtkvm_port_stats stats = { .size = sizeof(stats) };
	struct rtkvm_request r = { .op = OP_MEET };

	pthread_barrier_wait(&all_clients);
	/* nobody is calling now */
	ck_assert_int_eq(rtkvm_port_get_stats(&port, &stats), 0);
	r.arg[0] = stats.contended + CLIENTS - 1;
	pthread_barrier_wait(&all_clients);
	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), 0);
}

static void *ask_many(void *arg)
{
	uint64_t first = *(const uint64_t *)arg;

	for (uint64_t i = 0, calls = CALLS; i < calls; i++) {
		ask(first + i);
		if (i < MEETINGS)
			ask_together();
	}
	return NULL;
}

/* Of the loop: without and with spinning, one client or four. */
static const uint32_t spins[] = { 0, 50000 };

START_TEST(there_and_back)
{
	struct ipc_thread c[CLIENTS];
	uint64_t first[CLIENTS];
	struct rtkvm_port_stats stats = { .size = sizeof(stats) };

	start(RTKVM_PORT_STATS, spins[_i], spins[_i]);
	for (uint64_t i = 0; i < 1000; i++)
		ask(i);
	ck_assert_int_eq(pthread_barrier_init(&all_clients, NULL, CLIENTS), 0);
	for (uint64_t i = 0; i < CLIENTS; i++) {
		first[i] = i << 32;
		c[i] = (struct ipc_thread){ .fn = ask_many, .arg = &first[i], .cpu = -1 };
		ipc_start(&c[i]);
	}
	for (int i = 0; i < CLIENTS; i++)
		ipc_join(&c[i]);
	stop();
	ck_assert_uint_eq(taken, 1000 + CLIENTS * (CALLS + MEETINGS) + 1);
	ck_assert_int_eq(rtkvm_port_get_stats(&port, &stats), 0);
	ck_assert_uint_eq(stats.calls, taken);
	ck_assert_uint_eq(stats.withdrawn + stats.abandoned + stats.deaths, 0);
	ck_assert_msg(stats.contended >= MEETINGS * (CLIENTS - 1), "not exercised: contended %lu times",
		      (unsigned long)stats.contended);
}
END_TEST

/* A kernel that counts PI waits on CLOCK_REALTIME alone. */
START_TEST(older_kernel)
{
	struct rtkvm_request r = { .op = OP_WAIT };
	struct timespec until;

	start(0, 0, 0);
	if (forbid_lock_pi2()) {
		until = ipc_after(CLOCK_MONOTONIC, 40);
		ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, &until), -EINPROGRESS);
	}
	__atomic_store_n(&let_go, 1, __ATOMIC_RELEASE);
	stop();
}
END_TEST

/*
 * A server looks for the next request before it sleeps if its client was on
 * another CPU, and only then: by the server's time on the CPU. Of the loop:
 * server below and above the client, and on another CPU.
 */
#define LOOKS 40
static const struct {
	int client, server, cpus;
} looks[] = { { 20, 10, 1 }, { 10, 20, 1 }, { 20, 10, 2 } };

static void *ask_seldom(void *arg)
{
	for (uint64_t i = 0; i < LOOKS; i++) {
		ask(i);
		ipc_sleep_ms(3); /* for which the server sleeps, at last */
	}
	return arg;
}

START_TEST(server_looks_for_clients_elsewhere)
{
	struct ipc_thread client = { .fn = ask_seldom, .priority = looks[_i].client };
	int last = ipc_cpu(), first = 0;
	struct timespec used;
	clockid_t clock;
	cpu_set_t set;

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	while (!CPU_ISSET(first, &set))
		first++;
	if (looks[_i].cpus > 1 && first == last)
		SKIP_TEST("needs two CPUs");
	server.priority = looks[_i].server;
	server.cpu = last;
	client.cpu = looks[_i].cpus > 1 ? first : last;
	start(0, 0, RTKVM_PORT_SPIN_MAX_NS);
	ipc_start(&client);
	ipc_join(&client);
	ck_assert_int_eq(pthread_getcpuclockid(server.thread, &clock), 0);
	ck_assert_int_eq(clock_gettime(clock, &used), 0);
	stop();
	printf("# %ld us\n", (long)used.tv_sec * 1000000 + used.tv_nsec / 1000);
	if (looks[_i].cpus > 1)
		ck_assert(used.tv_sec || used.tv_nsec >= LOOKS / 2 * 1000000);
	else
		ck_assert(!used.tv_sec && used.tv_nsec < LOOKS / 2 * 1000000);
}
END_TEST

START_TEST(errors)
{
	struct rtkvm_port_options o;
	struct rtkvm_request r = { 0 };
	struct rtkvm_event_fd bell;
	struct timespec bad = { 0, 1000000000 };

	ck_assert_int_eq(rtkvm_port_init(NULL, NULL), -EINVAL);
	rtkvm_port_options_init(&o, sizeof(o));
	ck_assert_uint_eq(o.client_spin_ns, 0);
	ck_assert_uint_eq(o.server_spin_ns, RTKVM_PORT_SPIN_DEFAULT_NS);
	o.flags = 0x80;
	ck_assert_int_eq(rtkvm_port_init(&port, &o), -EINVAL);
	o.flags = 0;
	o.client_spin_ns = RTKVM_PORT_SPIN_MAX_NS + 1;
	ck_assert_int_eq(rtkvm_port_init(&port, &o), -EINVAL);
	o.client_spin_ns = 0;
	o.flags = RTKVM_PORT_SHARED;
	o.bell = &bell;
	ck_assert_int_eq(rtkvm_port_init(&port, &o), -EINVAL);
	o.size = 3;
	ck_assert_int_eq(rtkvm_port_init(&port, &o), -EINVAL);

	ck_assert_int_eq(rtkvm_port_init(&port, NULL), 0);
	ck_assert_int_eq(rtkvm_port_call(NULL, &r, CLOCK_MONOTONIC, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_port_call(&port, NULL, CLOCK_MONOTONIC, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_PROCESS_CPUTIME_ID, &never), -EINVAL);
	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, &bad), -EINVAL);
	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), -ENOTCONN);
	ck_assert_int_eq(rtkvm_port_drain(&port, CLOCK_MONOTONIC, NULL), 0);
	ck_assert_int_eq(rtkvm_port_receive(&port, &r, CLOCK_MONOTONIC, &never), -EPERM);
	ck_assert_int_eq(rtkvm_port_reply(&port, &r), -EPERM);
	ck_assert_int_eq(rtkvm_port_close(&port), -EPERM);

	ck_assert_int_eq(rtkvm_port_open(&port), 0);
	ck_assert_int_eq(rtkvm_port_open(&port), -EBUSY);
	ck_assert_int_eq(rtkvm_port_reply(&port, &r), -EINVAL);
	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), -EDEADLK);
	ck_assert_int_eq(rtkvm_port_drain(&port, CLOCK_MONOTONIC, NULL), -EDEADLK);
	ck_assert_int_eq(rtkvm_port_receive(&port, &r, CLOCK_MONOTONIC, &never), -ETIMEDOUT);
	ck_assert_int_eq(rtkvm_port_close(&port), 0);
	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), -ENOTCONN);
	ck_assert_int_eq(rtkvm_port_server(NULL), 0);
}
END_TEST

static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };

/* A server that does not receive: the request is withdrawn, and the port is as before. */
START_TEST(withdrawn_in_time)
{
	struct rtkvm_port_stats stats = { .size = sizeof(stats) };
	struct ipc_thread waiter;
	struct rtkvm_request r = { .op = OP_WAIT }, mine;
	struct timespec until;

	start(RTKVM_PORT_STATS, 0, 0);
	/* occupy it */
	waiter = (struct ipc_thread){ .cpu = -1 };
	(void)waiter;
	until = ipc_after(clocks[_i], 50);
	ck_assert_int_eq(rtkvm_port_call(&port, &r, clocks[_i], &until), -EINPROGRESS);
	for (int i = 0; i < 20; i++) {
		uint64_t before = ipc_now_ns();

		memset(&mine, 0x5a, sizeof(mine));
		r = mine;
		until = ipc_after(clocks[_i], 5);
		ck_assert_int_eq(rtkvm_port_call(&port, &mine, clocks[_i], &until), -ETIMEDOUT);
		ck_assert_uint_ge(ipc_now_ns() - before, 4000000);
		ck_assert_int_eq(memcmp(&mine, &r, sizeof(r)), 0);
	}
	until = ipc_after(clocks[_i], 5);
	ck_assert_int_eq(rtkvm_port_drain(&port, clocks[_i], &until), -ETIMEDOUT);
	until = (struct timespec){ -5, 0 };
	ck_assert_int_eq(rtkvm_port_call(&port, &mine, clocks[_i], &until), -ETIMEDOUT);
	__atomic_store_n(&let_go, 1, __ATOMIC_RELEASE);
	ck_assert_int_eq(rtkvm_port_drain(&port, clocks[_i], NULL), 0);
	/* the server has seen one request, and the word works again */
	ck_assert_uint_eq(taken, 1);
	for (uint64_t i = 0; i < 100; i++)
		ask(i);
	stop();
	ck_assert_int_eq(rtkvm_port_get_stats(&port, &stats), 0);
	ck_assert_uint_eq(stats.abandoned, 1);
	ck_assert_uint_eq(stats.calls, 101);
}
END_TEST

static void *open_and_wait(void *arg)
{
	struct rtkvm_request r;

	(void)arg;
	ck_assert_int_eq(rtkvm_port_open(&port), 0);
	ipc_wait_value(&let_go, 1);
	/* nothing was left behind */
	ck_assert_int_eq(rtkvm_port_receive(&port, &r, CLOCK_MONOTONIC, &never), -ETIMEDOUT);
	__atomic_store_n(&let_go, 2, __ATOMIC_RELEASE);
	ck_assert_int_eq(rtkvm_port_receive(&port, &r, CLOCK_MONOTONIC, NULL), 0);
	ck_assert_int_eq(rtkvm_port_receive(&port, &r, CLOCK_MONOTONIC, NULL), -EBUSY);
	ck_assert_int_eq(rtkvm_port_close(&port), -EBUSY);
	ck_assert_int_eq(rtkvm_port_reply(&port, &r), 0);
	ck_assert_int_eq(rtkvm_port_close(&port), 0);
	return NULL;
}

START_TEST(withdrawn_before_received)
{
	struct rtkvm_port_options o;
	struct rtkvm_port_stats stats = { .size = sizeof(stats) };
	struct ipc_thread t = { .fn = open_and_wait, .cpu = -1 };
	struct rtkvm_request r = { .op = OP_DOUBLE };

	rtkvm_port_options_init(&o, sizeof(o));
	o.flags = RTKVM_PORT_STATS;
	ck_assert_int_eq(rtkvm_port_init(&port, &o), 0);
	let_go = 0;
	ipc_start(&t);
	while (!rtkvm_port_server(&port))
		ipc_sleep_ms(1);
	for (int i = 0; i < 20; i++) {
		struct timespec until = ipc_after(clocks[_i], 5);

		ck_assert_int_eq(rtkvm_port_call(&port, &r, clocks[_i], &until), -ETIMEDOUT);
	}
	__atomic_store_n(&let_go, 1, __ATOMIC_RELEASE);
	ipc_wait_value(&let_go, 2);
	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), 0);
	ipc_join(&t);
	ck_assert_int_eq(rtkvm_port_get_stats(&port, &stats), 0);
	ck_assert_uint_eq(stats.withdrawn, 20);
	ck_assert_uint_eq(stats.calls, 1);
}
END_TEST

/* A server in poll(2). */
static struct rtkvm_event_fd bell;

static void *poll_serve(void *arg)
{
	struct pollfd p = { .fd = rtkvm_event_fd_get(&bell), .events = POLLIN };
	struct rtkvm_request r = { .op = OP_DOUBLE };

	(void)arg;
	ck_assert_int_eq(rtkvm_port_open(&port), 0);
	while (r.op != OP_STOP) {
		ck_assert_int_eq(poll(&p, 1, 20000), 1);
		rtkvm_event_fd_take(&bell);
		while (!rtkvm_port_receive(&port, &r, CLOCK_MONOTONIC, &never)) {
			for (int i = 0; i < 6; i++)
				r.arg[i] *= 2;
			r.result = -7;
			ck_assert_int_eq(rtkvm_port_reply(&port, &r), 0);
		}
	}
	ck_assert_int_eq(rtkvm_port_close(&port), 0);
	return NULL;
}

START_TEST(server_in_poll)
{
	struct ipc_thread t = { .fn = poll_serve, .cpu = -1 };
	struct rtkvm_request r = { .op = OP_STOP };
	struct rtkvm_port_options o;

	ck_assert_int_eq(rtkvm_event_fd_init(&bell), 0);
	rtkvm_port_options_init(&o, sizeof(o));
	o.bell = &bell;
	ck_assert_int_eq(rtkvm_port_init(&port, &o), 0);
	ipc_start(&t);
	while (!rtkvm_port_server(&port))
		ipc_sleep_ms(1);
	for (uint64_t i = 0; i < 2000; i++)
		ask(i);
	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), 0);
	ipc_join(&t);
	rtkvm_event_fd_destroy(&bell);
}
END_TEST

/* A private port is not the child's; a thread of the child may open it anew. */
START_TEST(after_fork)
{
	struct rtkvm_request r = { .op = OP_DOUBLE };
	int status;
	pid_t pid;

	start(0, 0, 0);
	ask(1);
	pid = fork();
	if (!pid) {
		if (rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL) != -ENOTCONN)
			_exit(1);
		if (rtkvm_port_server(&port) || rtkvm_port_open(&port) < 0)
			_exit(2);
		if (rtkvm_port_server(&port) != getpid() || rtkvm_port_close(&port) < 0)
			_exit(3);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ask(2);
	stop();
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("request");
	TCase *tc = tcase_create("request");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, there_and_back, 0, 2);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, older_kernel);
	tcase_add_loop_test(tc, server_looks_for_clients_elsewhere, 0, 3);
	tcase_add_loop_test(tc, withdrawn_in_time, 0, 2);
	tcase_add_loop_test(tc, withdrawn_before_received, 0, 2);
	tcase_add_test(tc, server_in_poll);
	tcase_add_test(tc, after_fork);
	suite_add_tcase(s, tc);
	return s;
}
