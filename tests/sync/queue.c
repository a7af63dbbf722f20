/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queues: nothing lost, twice or out of order; full is said; the bell rings
 * once; an unfinished push holds up nobody.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/sync_queue.h>

#include "ipc-support.h"
#include "sync/queue.h"

struct item {
	uint32_t producer;
	uint32_t unused;
	uint64_t number;
	uint64_t check; /* of the other two */
};

static struct item make_item(uint32_t producer, uint64_t number)
{
	return (struct item){ .producer = producer, .number = number,
			      .check = ~(number * 31 + producer) };
}

static struct rtkvm_queue *make(uint32_t flags, uint32_t capacity, struct rtkvm_event_fd *bell)
{
	size_t bytes = rtkvm_queue_bytes(capacity, sizeof(struct item));
	struct rtkvm_queue_options o;
	struct rtkvm_queue *q = aligned_alloc(64, (bytes + 63) / 64 * 64);

	rtkvm_queue_options_init(&o, sizeof(o));
	o.flags = flags | RTKVM_QUEUE_STATS;
	o.capacity = capacity;
	o.item_size = sizeof(struct item);
	o.bell = bell;
	ck_assert_int_eq(rtkvm_queue_init(q, bytes, &o), 0);
	return q;
}

static int push(struct rtkvm_queue *q, uint32_t producer, uint64_t number)
{
	struct item i = make_item(producer, number);

	return rtkvm_queue_push(q, &i);
}

static void expect(struct rtkvm_queue *q, uint32_t producer, uint64_t number)
{
	struct item i = { 0 };

	ck_assert_int_eq(rtkvm_queue_pop(q, &i), 0);
	ck_assert_uint_eq(i.producer, producer);
	ck_assert_uint_eq(i.number, number);
	ck_assert_uint_eq(i.check, make_item(producer, number).check);
}

static struct rtkvm_queue_stats stats_of(const struct rtkvm_queue *q)
{
	struct rtkvm_queue_stats s = { .size = sizeof(s) };

	ck_assert_int_eq(rtkvm_queue_get_stats(q, &s), 0);
	return s;
}

START_TEST(errors)
{
	struct rtkvm_queue_options o;
	struct rtkvm_event_fd bell;
	struct timespec past = { 0, 0 };
	struct rtkvm_queue *q;
	struct item i;
	char *memory = calloc(1, 65536);

	ck_assert_uint_eq(rtkvm_queue_bytes(0, 8), 0);
	ck_assert_uint_eq(rtkvm_queue_bytes(1, 8), 0);
	ck_assert_uint_eq(rtkvm_queue_bytes(3, 8), 0);
	ck_assert_uint_eq(rtkvm_queue_bytes(2 * RTKVM_QUEUE_CAPACITY_MAX, 8), 0);
	ck_assert_uint_eq(rtkvm_queue_bytes(4, 0), 0);
	ck_assert_uint_eq(rtkvm_queue_bytes(4, RTKVM_QUEUE_ITEM_MAX + 1), 0);
	ck_assert_uint_eq(rtkvm_queue_bytes(4, 1), sizeof(struct rtkvm_queue) + 4 * 16);
	rtkvm_queue_options_init(&o, sizeof(o));
	q = (struct rtkvm_queue *)(void *)memory;
	ck_assert_int_eq(rtkvm_queue_init(q, 65536, &o), -EINVAL); /* no capacity */
	o.capacity = 4;
	o.item_size = 8;
	ck_assert_int_eq(rtkvm_queue_init(NULL, 65536, &o), -EINVAL);
	ck_assert_int_eq(rtkvm_queue_init(q, 65536, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_queue_init(q, rtkvm_queue_bytes(4, 8) - 1, &o), -EINVAL);
	ck_assert_int_eq(rtkvm_queue_init((void *)(memory + 4), 60000, &o), -EINVAL);
	o.flags = 8;
	ck_assert_int_eq(rtkvm_queue_init(q, 65536, &o), -EINVAL);
	o.flags = RTKVM_QUEUE_SHARED;
	o.bell = &bell;
	ck_assert_int_eq(rtkvm_queue_init(q, 65536, &o), -EINVAL);
	o.flags = 0;
	o.bell = NULL;
	ck_assert_int_eq(rtkvm_queue_init(q, rtkvm_queue_bytes(4, 8), &o), 0);
	ck_assert_int_eq(rtkvm_queue_push(NULL, &i), -EINVAL);
	ck_assert_int_eq(rtkvm_queue_push(q, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_queue_pop(NULL, &i), -EINVAL);
	ck_assert_int_eq(rtkvm_queue_pop(q, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_queue_pop(q, &i), -EAGAIN);
	ck_assert_int_eq(rtkvm_queue_arm(q), -EINVAL);
	ck_assert_int_eq(rtkvm_queue_pop_wait(q, &i, CLOCK_MONOTONIC, &past), -ETIMEDOUT);
	ck_assert_int_eq(rtkvm_queue_pop_wait(q, &i, CLOCK_BOOTTIME, &past), -EINVAL);
	free(memory);
}
END_TEST

static const uint32_t kinds[] = { 0, RTKVM_QUEUE_MPSC };

START_TEST(full_is_said)
{
	struct rtkvm_queue *q = make(kinds[_i], 8, NULL);
	uint64_t in = 0, out = 0;

	for (int round = 0; round < 1000; round++) {
		while (push(q, 1, in) == 0)
			in++;
		ck_assert_uint_eq(in - out, 8);
		ck_assert_int_eq(push(q, 1, in), -ENOSPC);
		for (int n = round % 8 + 1; n; n--)
			expect(q, 1, out++);
	}
	ck_assert_uint_eq(stats_of(q).overflows, 2000);
	ck_assert_uint_eq(stats_of(q).pushes, in);
	ck_assert_uint_eq(stats_of(q).rings, 0);
	free(q);
}
END_TEST

/* A producer that has claimed a place and does not get on: as push() leaves it when preempted. */
static uint64_t begin_push(struct rtkvm_queue *queue)
{
	return ((struct sync_queue *)queue)->tail++;
}

static void end_push(struct rtkvm_queue *queue, uint64_t pos, uint32_t producer, uint64_t number)
{
	struct queue_slot *slot = queue_slot((struct sync_queue *)queue, pos);
	struct item i = make_item(producer, number);

	memcpy(slot->item, &i, sizeof(i));
	__atomic_store_n(&slot->seq, pos + 1, __ATOMIC_RELEASE);
}

START_TEST(unfinished_push_is_passed)
{
	struct rtkvm_queue *q = make(RTKVM_QUEUE_MPSC, 4, NULL);
	struct item i;
	uint64_t a, b;

	for (int round = 0; round < 10; round++) {
		a = begin_push(q);
		ck_assert_int_eq(push(q, 2, 0), 0);
		b = begin_push(q);
		ck_assert_int_eq(push(q, 2, 1), 0);
		ck_assert_int_eq(push(q, 2, 2), -ENOSPC);
		expect(q, 2, 0);
		expect(q, 2, 1);
		ck_assert_int_eq(rtkvm_queue_pop(q, &i), -EAGAIN);
		/* the ring cannot get around the first of them */
		ck_assert_int_eq(push(q, 2, 2), -ENOSPC);
		end_push(q, b, 3, 7);
		expect(q, 3, 7);
		ck_assert_int_eq(push(q, 2, 2), -ENOSPC);
		end_push(q, a, 1, 9);
		expect(q, 1, 9);
		ck_assert_int_eq(rtkvm_queue_pop(q, &i), -EAGAIN);
		for (uint64_t n = 0; n < 4; n++)
			ck_assert_int_eq(push(q, 4, n), 0);
		ck_assert_int_eq(push(q, 4, 4), -ENOSPC);
		for (uint64_t n = 0; n < 4; n++)
			expect(q, 4, n);
		/* shift the ring */
		for (int n = 0; n < round % 4; n++) {
			ck_assert_int_eq(push(q, 5, 0), 0);
			expect(q, 5, 0);
		}
	}
	ck_assert_uint_eq(stats_of(q).passed, 10 * 3);
	free(q);
}
END_TEST

/* The control: a ring that takes places in their order is held up by it. */
START_TEST(control_unfinished_push_is_noticed)
{
	struct rtkvm_queue *q = make(0, 4, NULL);
	struct item i;
	uint64_t a = begin_push(q);

	ck_assert_int_eq(push(q, 2, 0), 0);
	ck_assert_int_eq(rtkvm_queue_pop(q, &i), -EAGAIN);
	end_push(q, a, 1, 9);
	expect(q, 1, 9);
	expect(q, 2, 0);
	free(q);
}
END_TEST

/* ---- many ---- */

#define PRODUCERS 4
#define PAUSES 20

/*
 * Pauses of all producers, so that the consumer has to wait however slow or
 * fast it is: they go on when it sleeps.
 */
struct pauses {
	pthread_barrier_t barrier;
	pid_t consumer;
};

struct producer {
	struct rtkvm_queue *q;
	uint32_t name;
	uint64_t count, overflows;
	struct pauses *pauses; /* NULL: none */
	struct ipc_thread t;
};

static void pause_all(struct producer *p)
{
	struct sync_queue *q = (struct sync_queue *)p->q;

	/* POSIX lets one of them return that, whatever its sign: NOLINTNEXTLINE(bugprone-posix-return) */
	if (pthread_barrier_wait(&p->pauses->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
		ipc_wait_value(&q->armed, 1);
		ipc_wait_asleep(p->pauses->consumer);
	}
	pthread_barrier_wait(&p->pauses->barrier);
}

static void *produce(void *arg)
{
	struct producer *p = arg;

	for (uint64_t n = 0; n < p->count; n++) {
		if (p->pauses && n % (p->count / PAUSES) == p->count / PAUSES - 1)
			pause_all(p);
		while (push(p->q, p->name, n) == -ENOSPC) {
			p->overflows++;
			usleep(200); /* let the consumer, and others on this machine */
		}
	}
	return NULL;
}

static void check_item(const struct item *i, uint64_t *next)
{
	ck_assert_uint_lt(i->producer, PRODUCERS);
	if (i->number != next[i->producer] ||
	    i->check != make_item(i->producer, i->number).check)
		ck_abort_msg("producer %u: item %lu instead of %lu", i->producer,
			     (unsigned long)i->number, (unsigned long)next[i->producer]);
	next[i->producer]++;
}

/* Let it get full before anything is taken, however slow the producers are. */
static void until_full(const struct rtkvm_queue *q)
{
	uint64_t end = ipc_now_ns() + UINT64_C(60000000000);

	while (!stats_of(q).overflows) {
		ck_assert_msg(ipc_now_ns() < end, "it does not get full");
		ipc_sleep_ms(1);
	}
}

static void run_many(struct rtkvm_queue *q, uint32_t producers, uint64_t each,
		     struct rtkvm_event_fd *bell)
{
	struct producer p[PRODUCERS];
	struct pauses pauses = { .consumer = gettid() };
	uint64_t next[PRODUCERS] = { 0 }, overflows = 0;
	struct pollfd fd = { .events = POLLIN };
	struct rtkvm_queue_stats s;
	struct item i;

	fd.fd = bell ? rtkvm_event_fd_get(bell) : -1;
	ck_assert_int_eq(pthread_barrier_init(&pauses.barrier, NULL, producers), 0);
	for (uint32_t n = 0; n < producers; n++) {
		p[n] = (struct producer){ .q = q, .name = n, .count = each, .pauses = &pauses };
		p[n].t = (struct ipc_thread){ .fn = produce, .arg = &p[n], .cpu = -1 };
		ipc_start(&p[n].t);
	}
	until_full(q);
	for (uint64_t n = 0; n < producers * each;) {
		struct timespec until;

		if (!rtkvm_queue_pop(q, &i)) {
			check_item(&i, next);
			n++;
		} else if (bell) {
			if (!rtkvm_queue_arm(q))
				ck_assert_int_eq(poll(&fd, 1, 30000), 1);
		} else {
			until = ipc_after(CLOCK_MONOTONIC, 30000);
			ck_assert_int_eq(rtkvm_queue_pop_wait(q, &i, CLOCK_MONOTONIC, &until), 0);
			check_item(&i, next);
			n++;
		}
	}
	for (uint32_t n = 0; n < producers; n++) {
		ipc_join(&p[n].t);
		ck_assert_uint_eq(next[n], each);
		overflows += p[n].overflows;
	}
	ck_assert_int_eq(rtkvm_queue_pop(q, &i), -EAGAIN);
	s = stats_of(q);
	ck_assert_uint_eq(s.pushes, producers * each);
	ck_assert_uint_eq(s.overflows, overflows);
	ck_assert_uint_le(s.rings, s.waits);
	ck_assert_msg(s.rings >= PAUSES && s.overflows > 0, "not exercised: %lu rings, %lu overflows",
		      (unsigned long)s.rings, (unsigned long)s.overflows);
	pthread_barrier_destroy(&pauses.barrier);
}

/* each: 1e7 in all, 1e8 in a long run; 4e5 where an item takes microseconds */
static uint64_t each_of(uint32_t producers)
{
	if (test_is_slow())
		return UINT64_C(400000) / producers;
	return (getenv("RTKVM_LONG_TESTS") ? UINT64_C(100000000) : UINT64_C(10000000)) / producers;
}

START_TEST(many_from_many)
{
	struct rtkvm_queue *q = make(RTKVM_QUEUE_MPSC, 16384, NULL);

	run_many(q, PRODUCERS, each_of(PRODUCERS), NULL);
	free(q);
}
END_TEST

START_TEST(many_from_one)
{
	struct rtkvm_queue *q = make(kinds[_i], 1024, NULL);

	run_many(q, 1, each_of(5), NULL);
	free(q);
}
END_TEST

START_TEST(many_through_poll)
{
	struct rtkvm_event_fd bell;
	struct rtkvm_queue *q;

	ck_assert_int_eq(rtkvm_event_fd_init(&bell), 0);
	q = make(RTKVM_QUEUE_MPSC, 64, &bell);
	run_many(q, PRODUCERS, test_is_slow() ? 10000 : 100000, &bell);
	rtkvm_event_fd_destroy(&bell);
	free(q);
}
END_TEST

/* ---- the bell ---- */

START_TEST(bell_rings_once)
{
	struct rtkvm_event_fd bell;
	struct pollfd fd = { .events = POLLIN };
	struct rtkvm_queue *q;
	struct item i;

	ck_assert_int_eq(rtkvm_event_fd_init(&bell), 0);
	q = make(kinds[_i], 16, &bell);
	fd.fd = rtkvm_event_fd_get(&bell);
	ck_assert_int_eq(rtkvm_queue_pop_wait(q, &i, CLOCK_MONOTONIC, NULL), -EINVAL);
	/* nobody waits: no ring */
	ck_assert_int_eq(push(q, 1, 0), 0);
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	ck_assert_int_eq(rtkvm_queue_arm(q), -EAGAIN);
	expect(q, 1, 0);
	ck_assert_int_eq(rtkvm_queue_arm(q), 0);
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	for (uint64_t n = 0; n < 10; n++)
		ck_assert_int_eq(push(q, 1, n), 0);
	ck_assert_uint_eq(stats_of(q).rings, 1);
	ck_assert_int_eq(poll(&fd, 1, 0), 1);
	for (uint64_t n = 0; n < 10; n++)
		expect(q, 1, n);
	ck_assert_int_eq(rtkvm_queue_arm(q), 0);
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	ck_assert_uint_eq(stats_of(q).waits, 3);
	rtkvm_event_fd_destroy(&bell);
	free(q);
}
END_TEST

static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };

START_TEST(timeout)
{
	struct rtkvm_queue *q = make(RTKVM_QUEUE_MPSC, 16, NULL);
	struct timespec until = ipc_after(clocks[_i], 40);
	uint64_t before = ipc_now_ns();
	struct item i;

	ck_assert_int_eq(rtkvm_queue_pop_wait(q, &i, clocks[_i], &until), -ETIMEDOUT);
	ck_assert_uint_ge(ipc_now_ns() - before, 35000000);
	ck_assert_int_eq(push(q, 1, 0), 0);
	/* it does not wait any longer */
	ck_assert_uint_eq(stats_of(q).rings, 0);
	ck_assert_int_eq(rtkvm_queue_pop_wait(q, &i, clocks[_i], &until), 0);
	free(q);
}
END_TEST

/* ---- signals ---- */

static struct rtkvm_queue *interrupted;
static uint64_t pushed_by_handler;

static void on_alarm(int sig)
{
	(void)sig;
	if (!push(interrupted, 1, pushed_by_handler))
		pushed_by_handler++;
}

/* A handler pushes in the middle of pushes; the consumer sleeps under signals as well. */
static void *interrupted_producer(void *arg)
{
	struct producer *p = arg;
	struct itimerval every = { { 0, 50 }, { 0, 50 } }, off = { { 0, 0 }, { 0, 0 } };
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	produce(arg);
	while (__atomic_load_n(&pushed_by_handler, __ATOMIC_RELAXED) < 500)
		;
	setitimer(ITIMER_REAL, &off, NULL);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	/* the last one, of another producer */
	while (push(p->q, 2, 0) == -ENOSPC)
		sched_yield();
	return NULL;
}

START_TEST(push_in_a_signal_handler)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct producer p = { .name = 0, .count = test_is_slow() ? 20000 : 300000 };
	uint64_t next[PRODUCERS] = { 0 };
	struct item i = { 0 };
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	sigaction(SIGALRM, &sa, NULL);
	p.q = interrupted = make(RTKVM_QUEUE_MPSC, 512, NULL);
	p.t = (struct ipc_thread){ .fn = interrupted_producer, .arg = &p, .cpu = -1 };
	ipc_start(&p.t);
	while (i.producer != 2) {
		struct timespec until = ipc_after(CLOCK_MONOTONIC, 30000);

		ck_assert_int_eq(rtkvm_queue_pop_wait(p.q, &i, CLOCK_MONOTONIC, &until), 0);
		check_item(&i, next);
	}
	ipc_join(&p.t);
	while (!rtkvm_queue_pop(p.q, &i))
		check_item(&i, next);
	ck_assert_uint_eq(next[0], p.count);
	ck_assert_uint_eq(next[1], pushed_by_handler);
	ck_assert_uint_ge(pushed_by_handler, 500);
	free(p.q);
}
END_TEST

/* Two processes, which map it at different addresses. */
START_TEST(between_processes)
{
	size_t bytes = rtkvm_queue_bytes(64, sizeof(struct item));
	int fd = memfd_create("queue", 0), status;
	struct rtkvm_queue_options o;
	struct rtkvm_queue *q, *other;
	uint64_t next[PRODUCERS] = { 0 };
	struct item i;
	pid_t pid;

	ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
	q = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	other = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(q != MAP_FAILED && other != MAP_FAILED && q != other);
	rtkvm_queue_options_init(&o, sizeof(o));
	o.flags = RTKVM_QUEUE_SHARED | RTKVM_QUEUE_MPSC;
	o.capacity = 64;
	o.item_size = sizeof(struct item);
	ck_assert_int_eq(rtkvm_queue_init(q, bytes, &o), 0);
	pid = fork();
	if (!pid) {
		munmap(q, bytes);
		for (uint64_t n = 0; n < 20000; n++)
			while (push(other, 0, n) == -ENOSPC)
				sched_yield();
		_exit(0);
	}
	for (int n = 0; n < 20000; n++) {
		struct timespec until = ipc_after(CLOCK_MONOTONIC, 30000);

		ck_assert_int_eq(rtkvm_queue_pop_wait(q, &i, CLOCK_MONOTONIC, &until), 0);
		check_item(&i, next);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("queue");
	TCase *tc = tcase_create("queue");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, errors);
	tcase_add_loop_test(tc, full_is_said, 0, 2);
	tcase_add_test(tc, unfinished_push_is_passed);
	tcase_add_test(tc, control_unfinished_push_is_noticed);
	tcase_add_test(tc, many_from_many);
	tcase_add_loop_test(tc, many_from_one, 0, 2);
	tcase_add_test(tc, many_through_poll);
	tcase_add_loop_test(tc, bell_rings_once, 0, 2);
	tcase_add_loop_test(tc, timeout, 0, 2);
	tcase_add_test(tc, push_in_a_signal_handler);
	tcase_add_test(tc, between_processes);
	suite_add_tcase(s, tc);
	return s;
}
