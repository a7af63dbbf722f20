/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A request and its reply, against the same through two eventfds, where nobody
 * lends a priority: on one CPU with the client above the server, at its priority
 * and below, on two CPUs as made by default (the server looks for a while before
 * it sleeps), with nobody looking, and with both sides looking for long. And the
 * floors on one CPU (request-floor.h), against the same.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rtkvm/context.h>
#include <rtkvm/sync_request.h>

#include "bench.h"
#include "request-floor.h"

#define OP_STOP 1

struct pair {
	struct rtkvm_port port;
	struct floor floor, lending;
	int to_server, to_client;
	int cpu, priority;
	pthread_t port_thread, eventfd_thread, floor_thread, lending_thread;
	pthread_barrier_t ready;
};

static void become(int priority, int cpu)
{
	const struct sched_param param = { .sched_priority = priority };
	cpu_set_t set;

	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	/* refused to ordinary users: then all of it is SCHED_OTHER */
	sched_setscheduler(0, SCHED_FIFO, &param);
}

static void *serve_port(void *arg)
{
	struct pair *p = arg;
	struct rtkvm_request r = { 0 };

	become(p->priority, p->cpu);
	if (rtkvm_port_open(&p->port) < 0)
		fprintf(stderr, "%s\n", rtkvm_last_error());
	pthread_barrier_wait(&p->ready);
	while (r.op != OP_STOP) {
		if (rtkvm_port_receive(&p->port, &r, CLOCK_MONOTONIC, NULL) < 0)
			break;
		r.arg[0]++;
		rtkvm_port_reply(&p->port, &r);
	}
	rtkvm_port_close(&p->port);
	return NULL;
}

static void *serve_eventfd(void *arg)
{
	struct pair *p = arg;
	uint64_t n = 0;

	become(p->priority, p->cpu);
	pthread_barrier_wait(&p->ready);
	while (n < UINT32_MAX) {
		if (read(p->to_server, &n, sizeof(n)) != sizeof(n) ||
		    write(p->to_client, &n, sizeof(n)) != sizeof(n))
			break;
	}
	return NULL;
}

static void *serve_floor(void *arg)
{
	struct pair *p = arg;

	become(p->priority, p->cpu);
	pthread_barrier_wait(&p->ready);
	floor_serve(&p->floor);
	return NULL;
}

static void *serve_lending(void *arg)
{
	struct pair *p = arg;

	become(p->priority, p->cpu);
	pthread_barrier_wait(&p->ready);
	floor_serve(&p->lending);
	return NULL;
}

static void call_port(void *arg, uint64_t times)
{
	struct pair *p = arg;
	struct rtkvm_request r = { 0 };

	for (uint64_t i = 0; i < times; i++)
		if (rtkvm_port_call(&p->port, &r, CLOCK_MONOTONIC, NULL) < 0)
			break;
}

static void call_eventfd(void *arg, uint64_t times)
{
	struct pair *p = arg;

	for (uint64_t i = 0; i < times; i++) {
		uint64_t n = 1;

		if (write(p->to_server, &n, sizeof(n)) != sizeof(n) ||
		    read(p->to_client, &n, sizeof(n)) != sizeof(n))
			break;
	}
}

static void call_floor(void *arg, uint64_t times)
{
	struct pair *p = arg;

	floor_call(&p->floor, times);
}

static void call_lending(void *arg, uint64_t times)
{
	struct pair *p = arg;

	floor_call(&p->lending, times);
}

#define DEFAULTS UINT32_MAX

static bool start(pthread_t *thread, void *(*fn)(void *), struct pair *p)
{
	return !pthread_create(thread, NULL, fn, p);
}

/* The one figure, and on one CPU the floors. */
static int measure(const char *name, struct pair *p, bool floors)
{
	const struct bench port = { name, "two eventfds", call_port, call_eventfd, p };
	char futexes[64], lending[64];
	const struct bench floor[] = {
		{ futexes, "two eventfds", call_floor, call_eventfd, p },
		{ lending, "two eventfds", call_lending, call_eventfd, p },
	};

	if (bench_run(&port) < 0)
		return -1;
	if (!floors)
		return 0;
	/* the threads of the floors have said who they are */
	while (!__atomic_load_n(&p->floor.server, __ATOMIC_SEQ_CST) ||
	       !__atomic_load_n(&p->lending.server, __ATOMIC_SEQ_CST))
		usleep(1000);
	snprintf(futexes, sizeof(futexes), "floor, futexes: %s", strchr(name, ',') + 2);
	snprintf(lending, sizeof(lending), "floor, lending: %s", strchr(name, ',') + 2);
	return bench_run(&floor[0]) < 0 || bench_run(&floor[1]) < 0 ? -1 : 0;
}

static int run(const char *name, int cpu, int priority, uint32_t spin_ns, bool floors)
{
	struct pair p = { .cpu = cpu, .priority = priority, .lending.lends = true };
	struct rtkvm_request stop = { .op = OP_STOP };
	uint64_t last = UINT32_MAX;
	struct rtkvm_port_options o;
	int err;

	rtkvm_port_options_init(&o, sizeof(o));
	if (spin_ns != DEFAULTS)
		o.client_spin_ns = o.server_spin_ns = spin_ns;
	p.to_server = eventfd(0, EFD_CLOEXEC);
	p.to_client = eventfd(0, EFD_CLOEXEC);
	if (rtkvm_port_init(&p.port, &o) < 0 || p.to_server < 0 || p.to_client < 0)
		return -1;
	pthread_barrier_init(&p.ready, NULL, floors ? 5 : 3);
	if (!start(&p.port_thread, serve_port, &p) ||
	    !start(&p.eventfd_thread, serve_eventfd, &p) ||
	    (floors && (!start(&p.floor_thread, serve_floor, &p) ||
			!start(&p.lending_thread, serve_lending, &p))))
		return -1;
	pthread_barrier_wait(&p.ready);
	err = measure(name, &p, floors);
	rtkvm_port_call(&p.port, &stop, CLOCK_MONOTONIC, NULL);
	if (write(p.to_server, &last, sizeof(last)) != sizeof(last))
		err = -1;
	pthread_join(p.port_thread, NULL);
	pthread_join(p.eventfd_thread, NULL);
	if (floors) {
		floor_stop(&p.floor);
		floor_stop(&p.lending);
		pthread_join(p.floor_thread, NULL);
		pthread_join(p.lending_thread, NULL);
	}
	close(p.to_server);
	close(p.to_client);
	return err;
}

int main(void)
{
	cpu_set_t set;
	int last = CPU_SETSIZE - 1, first = 0;

	sched_getaffinity(0, sizeof(set), &set);
	while (last > 0 && !CPU_ISSET(last, &set)) /* the one that bench_run() takes */
		last--;
	while (first < last && !CPU_ISSET(first, &set))
		first++;
	become(50, -1);
	if (run("request, one CPU, client above", last, 10, DEFAULTS, true) < 0 ||
	    run("request, one CPU, equals", last, 50, DEFAULTS, true) < 0 ||
	    run("request, one CPU, client below", last, 60, DEFAULTS, true) < 0)
		return 1;
	if (first == last) {
		fprintf(stderr, "one CPU: nothing to say about two\n");
		return 0;
	}
	return run("request, two CPUs", first, 50, DEFAULTS, false) < 0 ||
	       run("request, two CPUs, nobody looks", first, 50, 0, false) < 0 ||
	       run("request, two CPUs, spinning", first, 50, 100000, false) < 0;
}
