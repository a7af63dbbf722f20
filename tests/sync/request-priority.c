/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests and priorities: who is served next, and at which priority the
 * server runs meanwhile. Each has a control without the mechanism, which shows
 * that the test would notice: a queue in order of arrival, two eventfds.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rtkvm/sync_request.h>

#include "ipc-support.h"

#define SERVER 5 /* its own priority */
#define CLIENTS 5

enum { OP_STOP, OP_WORK };

struct service {
	struct rtkvm_port port;
	struct rtkvm_port *behind; /* the next server of a chain */
	uint32_t taken;            /* requests received */
	uint32_t hold;             /* this many are held until let_go */
	uint32_t let_go;
	int order[64];     /* arg[0] of those received */
	int effective[64]; /* the server's priority at the end of each */
	int after;         /* and when all was over */
};

static void *serve(void *arg)
{
	struct service *s = arg;
	struct rtkvm_request r = { 0 };

	ck_assert_int_eq(rtkvm_port_open(&s->port), 0);
	do {
		uint32_t n = s->taken;

		ck_assert_int_eq(rtkvm_port_receive(&s->port, &r, CLOCK_MONOTONIC, NULL), 0);
		s->order[n] = (int)r.arg[0];
		__atomic_store_n(&s->taken, n + 1, __ATOMIC_RELEASE);
		if (n < s->hold)
			ipc_wait_value(&s->let_go, 1);
		if (s->behind && r.op == OP_WORK)
			ck_assert_int_eq(rtkvm_port_call(s->behind, &r, CLOCK_MONOTONIC, NULL), 0);
		s->effective[n] = ipc_effective(gettid());
		ck_assert_int_eq(rtkvm_port_reply(&s->port, &r), 0);
	} while (r.op != OP_STOP);
	s->after = ipc_effective(gettid());
	ck_assert_int_eq(rtkvm_port_close(&s->port), 0);
	return NULL;
}

struct client {
	struct rtkvm_port *port;
	int name;
	struct ipc_thread t;
};

static void *call(void *arg)
{
	struct client *c = arg;
	struct rtkvm_request r = { .op = OP_WORK, .arg = { (uint64_t)c->name } };

	ck_assert_int_eq(rtkvm_port_call(c->port, &r, CLOCK_MONOTONIC, NULL), 0);
	return NULL;
}

static void start_server(struct service *s, struct ipc_thread *t)
{
	struct rtkvm_port_options o;

	rtkvm_port_options_init(&o, sizeof(o));
	o.flags = RTKVM_PORT_STATS;
	ck_assert_int_eq(rtkvm_port_init(&s->port, &o), 0);
	*t = (struct ipc_thread){ .fn = serve, .arg = s, .priority = SERVER, .cpu = ipc_cpu() };
	ipc_start(t);
	while (!rtkvm_port_server(&s->port))
		ipc_sleep_ms(1);
}

static void stop_server(struct service *s, struct ipc_thread *t)
{
	struct rtkvm_request r = { .op = OP_STOP };

	ck_assert_int_eq(rtkvm_port_call(&s->port, &r, CLOCK_MONOTONIC, NULL), 0);
	ipc_join(t);
}

static void start_client(struct client *c, struct rtkvm_port *port, int priority, void *(*fn)(void *))
{
	c->port = port;
	c->name = priority;
	c->t = (struct ipc_thread){ .fn = fn, .arg = c, .priority = priority, .cpu = ipc_cpu() };
	ipc_start(&c->t);
	ipc_wait_asleep(c->t.tid);
}

static const int arrival[CLIENTS] = { 10, 20, 40, 30, 15 };
static const int by_priority[CLIENTS] = { 10, 40, 30, 20, 15 }; /* the first is in progress */

/* How many of the order are not where their priority puts them. */
static int misplaced(const int *order, const int *expected)
{
	int n = 0;

	for (int i = 0; i < CLIENTS; i++)
		n += order[i] != expected[i];
	return n;
}

START_TEST(highest_first)
{
	static struct service s;
	struct ipc_thread server;
	struct client c[CLIENTS];
	struct rtkvm_port_stats stats = { .size = sizeof(stats) };

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ipc_become(90, -1);
	s.hold = 1;
	start_server(&s, &server);
	for (int i = 0; i < CLIENTS; i++)
		start_client(&c[i], &s.port, arrival[i], call);
	__atomic_store_n(&s.let_go, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < CLIENTS; i++)
		ipc_join(&c[i].t);
	ck_assert_int_eq(misplaced(s.order, by_priority), 0);
	stop_server(&s, &server);
	ck_assert_int_eq(rtkvm_port_get_stats(&s.port, &stats), 0);
	ck_assert_uint_eq(stats.calls, CLIENTS + 1);
	ck_assert_uint_ge(stats.contended, CLIENTS - 1);
	ck_assert_uint_ge(stats.lent, CLIENTS - 1);
}
END_TEST

/* The control: a server that takes what came first. */
struct fifo {
	pthread_mutex_t lock;
	sem_t arrived, done[CLIENTS];
	int names[CLIENTS], count;
	int order[CLIENTS];
	uint32_t let_go;
};
static struct fifo fifo;

static void *fifo_serve(void *arg)
{
	(void)arg;
	for (int i = 0; i < CLIENTS; i++) {
		sem_wait(&fifo.arrived);
		fifo.order[i] = fifo.names[i];
		if (!i)
			ipc_wait_value(&fifo.let_go, 1);
		sem_post(&fifo.done[i]);
	}
	return NULL;
}

static void *fifo_call(void *arg)
{
	struct client *c = arg;
	int n;

	pthread_mutex_lock(&fifo.lock);
	n = fifo.count++;
	fifo.names[n] = c->name;
	pthread_mutex_unlock(&fifo.lock);
	sem_post(&fifo.arrived);
	sem_wait(&fifo.done[n]);
	return NULL;
}

START_TEST(control_order_of_arrival_is_noticed)
{
	struct ipc_thread server = { .fn = fifo_serve, .priority = SERVER, .cpu = ipc_cpu() };
	struct client c[CLIENTS];

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ipc_become(90, -1);
	pthread_mutex_init(&fifo.lock, NULL);
	sem_init(&fifo.arrived, 0, 0);
	for (int i = 0; i < CLIENTS; i++)
		sem_init(&fifo.done[i], 0, 0);
	ipc_start(&server);
	for (int i = 0; i < CLIENTS; i++)
		start_client(&c[i], NULL, arrival[i], fifo_call);
	__atomic_store_n(&fifo.let_go, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < CLIENTS; i++)
		ipc_join(&c[i].t);
	ipc_join(&server);
	ck_assert_int_gt(misplaced(fifo.order, by_priority), 0);
	ck_assert_int_eq(misplaced(fifo.order, arrival), 0);
}
END_TEST

/* A priority that changes while its client sleeps moves the client in the order. */
START_TEST(raised_from_outside)
{
	const struct sched_param now = { .sched_priority = 50 };
	static const int expected[CLIENTS] = { 10, 15, 40, 30, 20 };
	static struct service s;
	struct ipc_thread server;
	struct client c[CLIENTS];

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ipc_become(90, -1);
	s.hold = 1;
	start_server(&s, &server);
	for (int i = 0; i < CLIENTS; i++)
		start_client(&c[i], &s.port, arrival[i], call);
	ck_assert_int_eq(sched_setscheduler(c[4].t.tid, SCHED_FIFO, &now), 0);
	__atomic_store_n(&s.let_go, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < CLIENTS; i++)
		ipc_join(&c[i].t);
	ck_assert_int_eq(misplaced(s.order, expected), 0);
	stop_server(&s, &server);
}
END_TEST

static pthread_mutex_t held;

static void *call_holding(void *arg)
{
	pthread_mutex_lock(&held);
	call(arg);
	pthread_mutex_unlock(&held);
	return NULL;
}

static void *want_held(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&held);
	pthread_mutex_unlock(&held);
	return NULL;
}

/* So does a thread that waits for a mutex which the client holds. */
START_TEST(raised_by_a_mutex)
{
	static const int expected[CLIENTS] = { 10, 15, 40, 30, 20 };
	static struct service s;
	struct ipc_thread server, waiter = { .fn = want_held, .priority = 50, .cpu = ipc_cpu() };
	struct client c[CLIENTS];
	pthread_mutexattr_t attr;

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ipc_become(90, -1);
	pthread_mutexattr_init(&attr);
	ck_assert_int_eq(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT), 0);
	ck_assert_int_eq(pthread_mutex_init(&held, &attr), 0);
	s.hold = 1;
	start_server(&s, &server);
	for (int i = 0; i < CLIENTS; i++)
		start_client(&c[i], &s.port, arrival[i], i == 4 ? call_holding : call);
	ipc_start(&waiter);
	ipc_wait_asleep(waiter.tid);
	__atomic_store_n(&s.let_go, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < CLIENTS; i++)
		ipc_join(&c[i].t);
	ipc_join(&waiter);
	ck_assert_int_eq(misplaced(s.order, expected), 0);
	stop_server(&s, &server);
}
END_TEST

START_TEST(server_runs_at_the_clients_priority)
{
	static struct service s;
	struct ipc_thread server;
	struct client low, high;

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ipc_become(90, -1);
	s.hold = 1;
	start_server(&s, &server);
	start_client(&low, &s.port, 20, call);
	ipc_wait_value(&s.taken, 1);
	ck_assert_int_eq(ipc_effective(server.tid), 20);
	/* one who waits for its turn lends as well */
	start_client(&high, &s.port, 70, call);
	ck_assert_int_eq(ipc_effective(server.tid), 70);
	__atomic_store_n(&s.let_go, 1, __ATOMIC_RELEASE);
	ipc_join(&low.t);
	ipc_join(&high.t);
	ck_assert_int_eq(s.effective[0], 70);
	ck_assert_int_eq(s.effective[1], 70);
	ipc_wait_asleep(server.tid);
	ck_assert_int_eq(ipc_effective(server.tid), SERVER);
	stop_server(&s, &server);
	ck_assert_int_eq(s.after, SERVER);
}
END_TEST

/* A client that gives up takes back what it lent. */
static void *call_shortly(void *arg)
{
	struct client *c = arg;
	struct rtkvm_request r = { .op = OP_WORK };
	struct timespec until = ipc_after(CLOCK_MONOTONIC, 300);

	ck_assert_int_eq(rtkvm_port_call(c->port, &r, CLOCK_MONOTONIC, &until), -ETIMEDOUT);
	return NULL;
}

START_TEST(who_gives_up_takes_the_priority_back)
{
	static struct service s;
	struct ipc_thread server;
	struct client low, high;

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ipc_become(90, -1);
	s.hold = 1;
	start_server(&s, &server);
	start_client(&low, &s.port, 20, call);
	start_client(&high, &s.port, 70, call_shortly);
	ck_assert_int_eq(ipc_effective(server.tid), 70);
	ipc_join(&high.t);
	ck_assert_int_eq(ipc_effective(server.tid), 20);
	__atomic_store_n(&s.let_go, 1, __ATOMIC_RELEASE);
	ipc_join(&low.t);
	stop_server(&s, &server);
}
END_TEST

START_TEST(chain_of_servers)
{
	static struct service front, middle, back;
	struct ipc_thread t[3];
	struct client c;

	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ipc_become(90, -1);
	back.hold = 1;
	start_server(&back, &t[2]);
	middle.behind = &back.port;
	start_server(&middle, &t[1]);
	front.behind = &middle.port;
	start_server(&front, &t[0]);
	start_client(&c, &front.port, 60, call);
	ipc_wait_value(&back.taken, 1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(ipc_effective(t[i].tid), 60);
	__atomic_store_n(&back.let_go, 1, __ATOMIC_RELEASE);
	ipc_join(&c.t);
	ck_assert_int_eq(front.effective[0], 60);
	ck_assert_int_eq(middle.effective[0], 60);
	ck_assert_int_eq(back.effective[0], 60);
	stop_server(&front, &t[0]);
	stop_server(&middle, &t[1]);
	stop_server(&back, &t[2]);
	ck_assert_int_eq(back.after, SERVER);
}
END_TEST

/*
 * The inversion. On one CPU: the server wakes a spinner of a priority between
 * its own and the client's, in the middle of the request. Was the spinner done
 * before the client had its reply?
 */
static sem_t spin_now;
static uint32_t spun;
static uint64_t waited_ns; /* from the client's request to its reply */

static void *spinner(void *arg)
{
	(void)arg;
	sem_wait(&spin_now);
	ipc_burn_ms(200);
	__atomic_store_n(&spun, 1, __ATOMIC_RELEASE);
	return NULL;
}

static struct rtkvm_port lending;
static int to_server, to_client;

static void *lent_server(void *arg)
{
	struct rtkvm_request r;

	(void)arg;
	ck_assert_int_eq(rtkvm_port_open(&lending), 0);
	ck_assert_int_eq(rtkvm_port_receive(&lending, &r, CLOCK_MONOTONIC, NULL), 0);
	sem_post(&spin_now);
	ipc_burn_ms(2);
	ck_assert_int_eq(rtkvm_port_reply(&lending, &r), 0);
	ck_assert_int_eq(rtkvm_port_close(&lending), 0);
	return NULL;
}

static void *lent_client(void *arg)
{
	struct rtkvm_request r = { 0 };
	uint64_t begun = ipc_now_ns();

	ck_assert_int_eq(rtkvm_port_call(&lending, &r, CLOCK_MONOTONIC, NULL), 0);
	waited_ns = ipc_now_ns() - begun;
	*(uint32_t *)arg = __atomic_load_n(&spun, __ATOMIC_ACQUIRE);
	return NULL;
}

static void *plain_server(void *arg)
{
	uint64_t n;

	(void)arg;
	ck_assert_int_eq(read(to_server, &n, sizeof(n)), sizeof(n));
	sem_post(&spin_now);
	ipc_burn_ms(2);
	n = 1;
	ck_assert_int_eq(write(to_client, &n, sizeof(n)), sizeof(n));
	return NULL;
}

static void *plain_client(void *arg)
{
	uint64_t n = 1, begun = ipc_now_ns();

	ck_assert_int_eq(write(to_server, &n, sizeof(n)), sizeof(n));
	ck_assert_int_eq(read(to_client, &n, sizeof(n)), sizeof(n));
	waited_ns = ipc_now_ns() - begun;
	*(uint32_t *)arg = __atomic_load_n(&spun, __ATOMIC_ACQUIRE);
	return NULL;
}

/* 1: the client waited for the spinner */
static uint32_t inverted(void *(*server_fn)(void *), void *(*client_fn)(void *))
{
	uint32_t waited = 2;
	int cpu = ipc_cpu();
	struct ipc_thread server = { .fn = server_fn, .priority = SERVER, .cpu = cpu };
	struct ipc_thread middle = { .fn = spinner, .priority = 30, .cpu = cpu };
	struct ipc_thread client = { .fn = client_fn, .arg = &waited, .priority = 60, .cpu = cpu };

	ipc_become(90, -1);
	sem_init(&spin_now, 0, 0);
	ipc_start(&middle);
	ipc_wait_asleep(middle.tid);
	ipc_start(&server);
	ipc_wait_asleep(server.tid);
	ipc_start(&client);
	ipc_join(&client);
	ipc_join(&server);
	ipc_join(&middle);
	return waited;
}

START_TEST(no_inversion)
{
	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	ck_assert_int_eq(rtkvm_port_init(&lending, NULL), 0);
	ck_assert_uint_eq(inverted(lent_server, lent_client), 0);
	printf("# lent: %.1f ms\n", (double)waited_ns / 1e6);
	fflush(stdout);
}
END_TEST

START_TEST(control_eventfds_invert)
{
	if (!ipc_may_fifo())
		SKIP_TEST("may not raise threads (SCHED_FIFO)");
	to_server = eventfd(0, EFD_CLOEXEC);
	to_client = eventfd(0, EFD_CLOEXEC);
	ck_assert_uint_eq(inverted(plain_server, plain_client), 1);
	printf("# eventfds: %.1f ms\n", (double)waited_ns / 1e6);
	fflush(stdout);
}
END_TEST

/* Two servers that call each other: the one that closes the circle is told. */
static struct service ring[2];
static int ring_answer[2];

static void *ring_serve(void *arg)
{
	struct service *s = arg;
	struct rtkvm_request r, mine = { .op = OP_WORK };

	ck_assert_int_eq(rtkvm_port_open(&s->port), 0);
	ck_assert_int_eq(rtkvm_port_receive(&s->port, &r, CLOCK_MONOTONIC, NULL), 0);
	ring_answer[s - ring] = rtkvm_port_call(s->behind, &mine, CLOCK_MONOTONIC, NULL);
	ck_assert_int_eq(rtkvm_port_reply(&s->port, &r), 0);
	ck_assert_int_eq(rtkvm_port_close(&s->port), 0);
	return NULL;
}

START_TEST(circle_of_servers)
{
	struct ipc_thread t[2];
	struct rtkvm_request r = { .op = OP_WORK };
	int err;

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(rtkvm_port_init(&ring[i].port, NULL), 0);
		ring[i].behind = &ring[!i].port;
		t[i] = (struct ipc_thread){ .fn = ring_serve, .arg = &ring[i], .cpu = -1 };
		ipc_start(&t[i]);
		while (!rtkvm_port_server(&ring[i].port))
			ipc_sleep_ms(1);
	}
	err = rtkvm_port_call(&ring[0].port, &r, CLOCK_MONOTONIC, NULL);
	for (int i = 0; i < 2; i++)
		ipc_join(&t[i]);
	/* whoever of the three comes last; the others get a reply, or find a port closed */
	ck_assert(err == -EDEADLK || ring_answer[0] == -EDEADLK || ring_answer[1] == -EDEADLK);
	ck_assert(err == 0 || err == -EDEADLK);
	for (int i = 0; i < 2; i++)
		ck_assert(ring_answer[i] == 0 || ring_answer[i] == -EDEADLK ||
			  ring_answer[i] == -ENOTCONN);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("request-priority");
	TCase *tc = tcase_create("order");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, highest_first);
	tcase_add_test(tc, control_order_of_arrival_is_noticed);
	tcase_add_test(tc, raised_from_outside);
	tcase_add_test(tc, raised_by_a_mutex);
	suite_add_tcase(s, tc);
	tc = tcase_create("lending");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, server_runs_at_the_clients_priority);
	tcase_add_test(tc, who_gives_up_takes_the_priority_back);
	tcase_add_test(tc, chain_of_servers);
	tcase_add_test(tc, no_inversion);
	tcase_add_test(tc, control_eventfds_invert);
	tcase_add_test(tc, circle_of_servers);
	suite_add_tcase(s, tc);
	return s;
}
