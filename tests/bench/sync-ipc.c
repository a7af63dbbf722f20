/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events, semaphores and queues, when nobody has to wait: against an eventfd,
 * libc's semaphore and a pipe. And waking a thread on the same CPU and being
 * woken by it, which is mostly the scheduler's time.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rtkvm/context.h>
#include <rtkvm/sync_event.h>
#include <rtkvm/sync_queue.h>

#include "bench.h"

static struct rtkvm_event event, back;
static struct rtkvm_event_fd with_fd;
static struct rtkvm_semaphore semaphore, strict;
static struct rtkvm_queue *spsc, *mpsc;
static sem_t libc_semaphore, libc_back;
static int eventfd_one, eventfd_back, pipe_fds[2];
static int stop;

static void set_and_wait(void *arg, uint64_t times)
{
	(void)arg;
	for (uint64_t i = 0; i < times; i++) {
		rtkvm_event_set(&event);
		rtkvm_event_wait(&event, CLOCK_MONOTONIC, NULL);
	}
}

static void eventfd_write_read(void *arg, uint64_t times)
{
	uint64_t n = 1;

	(void)arg;
	for (uint64_t i = 0; i < times; i++)
		if (write(eventfd_one, &n, sizeof(n)) < 0 || read(eventfd_one, &n, sizeof(n)) < 0)
			abort();
}

/* Set ten times and taken once, as by a burst of producers. */
static void fd_burst(void *arg, uint64_t times)
{
	(void)arg;
	for (uint64_t i = 0; i < times; i++) {
		for (int n = 0; n < 10; n++)
			rtkvm_event_fd_set(&with_fd);
		rtkvm_event_fd_take(&with_fd);
	}
}

static void eventfd_burst(void *arg, uint64_t times)
{
	uint64_t n = 1;

	(void)arg;
	for (uint64_t i = 0; i < times; i++) {
		n = 1;
		for (int k = 0; k < 10; k++)
			if (write(eventfd_one, &n, sizeof(n)) < 0)
				abort();
		if (read(eventfd_one, &n, sizeof(n)) < 0)
			abort();
	}
}

static void post_and_wait(void *arg, uint64_t times)
{
	struct rtkvm_semaphore *s = arg;

	for (uint64_t i = 0; i < times; i++) {
		rtkvm_semaphore_post(s);
		rtkvm_semaphore_wait(s, CLOCK_MONOTONIC, NULL);
	}
}

static void libc_post_and_wait(void *arg, uint64_t times)
{
	(void)arg;
	for (uint64_t i = 0; i < times; i++) {
		sem_post(&libc_semaphore);
		sem_wait(&libc_semaphore);
	}
}

static void push_and_pop(void *arg, uint64_t times)
{
	uint64_t item[4] = { 0 };

	for (uint64_t i = 0; i < times; i++) {
		rtkvm_queue_push(arg, item);
		rtkvm_queue_pop(arg, item);
	}
}

static void pipe_write_read(void *arg, uint64_t times)
{
	uint64_t item[4] = { 0 };

	(void)arg;
	for (uint64_t i = 0; i < times; i++)
		if (write(pipe_fds[1], item, sizeof(item)) < 0 ||
		    read(pipe_fds[0], item, sizeof(item)) < 0)
			abort();
}

/* ---- another thread on the same CPU ---- */

static void stay_here(void)
{
	const struct sched_param param = { .sched_priority = 50 };
	cpu_set_t set;
	int cpu = CPU_SETSIZE - 1;

	sched_getaffinity(0, sizeof(set), &set);
	while (cpu > 0 && !CPU_ISSET(cpu, &set))
		cpu--;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	sched_setscheduler(0, SCHED_FIFO, &param); /* or as it is */
}

static void *answer_events(void *arg)
{
	stay_here();
	while (!stop) {
		rtkvm_event_wait(&event, CLOCK_MONOTONIC, NULL);
		rtkvm_event_set(&back);
	}
	return arg;
}

static void *answer_eventfds(void *arg)
{
	uint64_t n;

	stay_here();
	while (!stop)
		if (read(eventfd_one, &n, sizeof(n)) < 0 || write(eventfd_back, &n, sizeof(n)) < 0)
			abort();
	return arg;
}

static void *answer_libc(void *arg)
{
	stay_here();
	while (!stop) {
		sem_wait(&libc_semaphore);
		sem_post(&libc_back);
	}
	return arg;
}

static void event_round(void *arg, uint64_t times)
{
	(void)arg;
	for (uint64_t i = 0; i < times; i++) {
		rtkvm_event_set(&event);
		rtkvm_event_wait(&back, CLOCK_MONOTONIC, NULL);
	}
}

static void eventfd_round(void *arg, uint64_t times)
{
	(void)arg;
	for (uint64_t i = 0; i < times; i++) {
		uint64_t n = 1;

		if (write(eventfd_one, &n, sizeof(n)) < 0 || read(eventfd_back, &n, sizeof(n)) < 0)
			abort();
	}
}

static void libc_round(void *arg, uint64_t times)
{
	(void)arg;
	for (uint64_t i = 0; i < times; i++) {
		sem_post(&libc_semaphore);
		sem_wait(&libc_back);
	}
}

static int rounds(void)
{
	const struct bench b[2] = {
		{ "event, round trip on one CPU", "two eventfds", event_round, eventfd_round, NULL },
		{ "event, round trip on one CPU", "two sem_t", event_round, libc_round, NULL },
	};
	pthread_t t[3];
	int err = 0;

	pthread_create(&t[0], NULL, answer_events, NULL);
	pthread_create(&t[1], NULL, answer_eventfds, NULL);
	pthread_create(&t[2], NULL, answer_libc, NULL);
	for (int i = 0; i < 2; i++)
		err |= bench_run(&b[i]);
	stop = 1;
	event_round(NULL, 1);
	eventfd_round(NULL, 1);
	libc_round(NULL, 1);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	return err;
}

static struct rtkvm_queue *make_queue(uint32_t flags)
{
	size_t bytes = rtkvm_queue_bytes(256, 32);
	struct rtkvm_queue *q = aligned_alloc(64, (bytes + 63) / 64 * 64);
	struct rtkvm_queue_options o;

	rtkvm_queue_options_init(&o, sizeof(o));
	o.flags = flags;
	o.capacity = 256;
	o.item_size = 32;
	if (!q || rtkvm_queue_init(q, bytes, &o) < 0)
		abort();
	return q;
}

static void make(void)
{
	struct rtkvm_semaphore_options o;

	rtkvm_event_init(&event, NULL);
	rtkvm_event_init(&back, NULL);
	rtkvm_semaphore_init(&semaphore, NULL);
	rtkvm_semaphore_options_init(&o, sizeof(o));
	o.flags = RTKVM_SEMAPHORE_HANDOFF;
	rtkvm_semaphore_init(&strict, &o);
	sem_init(&libc_semaphore, 0, 0);
	sem_init(&libc_back, 0, 0);
	spsc = make_queue(0);
	mpsc = make_queue(RTKVM_QUEUE_MPSC);
	eventfd_one = eventfd(0, EFD_CLOEXEC);
	eventfd_back = eventfd(0, EFD_CLOEXEC);
	if (rtkvm_event_fd_init(&with_fd) < 0 || eventfd_one < 0 || eventfd_back < 0 ||
	    pipe2(pipe_fds, O_CLOEXEC) < 0)
		abort();
}

int main(void)
{
	const struct bench benches[] = {
		{ "event, set and wait", "eventfd", set_and_wait, eventfd_write_read, NULL },
		{ "event with fd, ten sets, one take", "eventfd", fd_burst, eventfd_burst, NULL },
		{ "semaphore, post and wait", "sem_t", post_and_wait, libc_post_and_wait,
		  &semaphore },
		{ "semaphore with hand-off", "sem_t", post_and_wait, libc_post_and_wait, &strict },
		{ "queue SPSC, push and pop", "pipe", push_and_pop, pipe_write_read, NULL },
		{ "queue MPSC, push and pop", "pipe", push_and_pop, pipe_write_read, NULL },
	};

	make();
	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
		struct bench b = benches[i];

		if (b.ours == push_and_pop)
			b.arg = b.name[6] == 'S' ? spsc : mpsc;
		if (bench_run(&b) < 0)
			return 1;
	}
	stay_here();
	return rounds() < 0;
}
