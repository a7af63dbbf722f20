/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests between threads of one CPU: two of the same priority give the CPU to
 * each other and neither sleeps; all others do not yield, or seldom. By the
 * port's figures, and by counting the calls of sched_yield(): this file has its
 * own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rtkvm/sync_request.h>

#include "ipc-support.h"

#define CALLS 1000

enum { OP_STOP, OP_WORK };

static struct rtkvm_port port;
static uint32_t yields;

/* Also the library's, which is in this program. */
int sched_yield(void)
{
	__atomic_fetch_add(&yields, 1, __ATOMIC_SEQ_CST);
	return (int)syscall(SYS_sched_yield);
}

static void *serve(void *arg)
{
	struct rtkvm_request r = { .op = OP_WORK };

	ck_assert_int_eq(rtkvm_port_open(&port), 0);
	while (r.op != OP_STOP) {
		ck_assert_int_eq(rtkvm_port_receive(&port, &r, CLOCK_MONOTONIC, NULL), 0);
		r.arg[0]++;
		ck_assert_int_eq(rtkvm_port_reply(&port, &r), 0);
	}
	ck_assert_int_eq(rtkvm_port_close(&port), 0);
	return arg;
}

struct figures {
	uint64_t lent, wakes;
	uint32_t yields;
};

static struct rtkvm_port_stats stats(void)
{
	struct rtkvm_port_stats s = { .size = sizeof(s) };

	ck_assert_int_eq(rtkvm_port_get_stats(&port, &s), 0);
	return s;
}

static void *ask(void *arg)
{
	struct rtkvm_request r = { .op = OP_WORK };
	struct rtkvm_port_stats before, after;
	struct figures *f = arg;

	/* the first one, for which the server may sleep and does not know the client */
	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), 0);
	before = stats();
	yields = 0;
	for (uint64_t i = 0; i < CALLS; i++) {
		r.arg[0] = i;
		ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), 0);
		ck_assert_uint_eq(r.arg[0], i + 1);
	}
	after = stats();
	f->yields = yields;
	f->lent = after.lent - before.lent;
	f->wakes = after.wakes - before.wakes;
	r.op = OP_STOP;
	ck_assert_int_eq(rtkvm_port_call(&port, &r, CLOCK_MONOTONIC, NULL), 0);
	return NULL;
}

static struct figures run(int server_priority, int client_priority, uint32_t server_spin_ns)
{
	struct figures f = { 0 };
	struct ipc_thread server = { .fn = serve, .priority = server_priority, .cpu = ipc_cpu() };
	struct ipc_thread client = { .fn = ask, .arg = &f, .priority = client_priority,
				     .cpu = ipc_cpu() };
	struct rtkvm_port_options o;

	rtkvm_port_options_init(&o, sizeof(o));
	o.flags = RTKVM_PORT_STATS;
	o.server_spin_ns = server_spin_ns;
	ck_assert_int_eq(rtkvm_port_init(&port, &o), 0);
	ipc_start(&server);
	while (!rtkvm_port_server(&port))
		ipc_sleep_ms(1);
	ipc_start(&client);
	ipc_join(&client);
	ipc_join(&server);
	printf("# lent %lu, woken %lu, yields %u\n", (unsigned long)f.lent,
	       (unsigned long)f.wakes, f.yields);
	return f;
}

/*
 * Two yields for a request and nothing else. A few may go another way: something
 * that stops this CPU just there.
 */
START_TEST(equals_do_not_sleep)
{
	struct figures f;

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	f = run(20, 20, RTKVM_PORT_SPIN_DEFAULT_NS);
	ck_assert_uint_le(f.lent, CALLS / 20);
	ck_assert_uint_le(f.wakes, CALLS / 20);
	ck_assert_uint_ge(f.yields, 2 * CALLS - CALLS / 10);
	ck_assert_uint_le(f.yields, 2 * CALLS + CALLS / 10);
}
END_TEST

/* The control: whoever does not want that. */
START_TEST(equals_that_sleep_at_once)
{
	struct figures f;

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	f = run(20, 20, 0);
	ck_assert_uint_eq(f.yields, 0);
	ck_assert_uint_eq(f.lent, CALLS);
	ck_assert_uint_ge(f.wakes, CALLS - CALLS / 20);
}
END_TEST

/* It lends with every request, and never waits for the server to come along by itself. */
START_TEST(client_above)
{
	struct figures f;

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	f = run(10, 20, RTKVM_PORT_SPIN_DEFAULT_NS);
	ck_assert_uint_eq(f.lent, CALLS);
	ck_assert_uint_le(f.yields, CALLS / 20);
}
END_TEST

/* The server finds out that its yielding is in vain. */
START_TEST(client_below)
{
	struct figures f;

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	f = run(20, 10, RTKVM_PORT_SPIN_DEFAULT_NS);
	ck_assert_uint_le(f.lent, CALLS / 20);
	ck_assert_uint_ge(f.wakes, CALLS - CALLS / 20);
	ck_assert_uint_le(f.yields, 20);
}
END_TEST

/* Of these sched_yield() asks for something else. */
START_TEST(not_real_time)
{
	ck_assert_uint_eq(run(0, 0, RTKVM_PORT_SPIN_DEFAULT_NS).yields, 0);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("request-yield");
	TCase *tc = tcase_create("request-yield");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, equals_do_not_sleep);
	tcase_add_test(tc, equals_that_sleep_at_once);
	tcase_add_test(tc, client_above);
	tcase_add_test(tc, client_below);
	tcase_add_test(tc, not_real_time);
	suite_add_tcase(s, tc);
	return s;
}
