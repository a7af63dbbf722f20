/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests at random: threads that call ports, serve them, ask on behalf of a
 * request (chains), run out of time, end in the middle of anything, and are made
 * anew; against a model that says after each step who must have which result,
 * which request each server must have, and at which priority the kernel must run
 * every thread.
 *
 *   request-random SEED STEPS [PATIENCE]
 *
 * The same seed gives the same steps. PATIENCE: seconds until a difference is one
 * (20).
 *
 * Exit status: 0, 1 (the library and the model differ, with what is where), 4 (not
 * exercised), 77 (SCHED_FIFO is refused).
 */
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rtkvm/sync_request.h>

#include "sync/request-model.h"
#include "sync/support.h"

enum command { CALL, OPEN, REPLY, REPLY_CLOSE, CHAIN, END };

/* A thread, and what is to be seen of it. */
struct worker {
	struct thread t;
	sem_t go;
	enum command command;
	int port;       /* of the command */
	uint64_t id;    /* of the request */
	bool timed;
	struct timespec until;
	/* written by the thread */
	bool calling, serving;
	uint64_t holding; /* the request that it has received; 0: none */
	int result;       /* of the last call, open */
	uint32_t finished;
};

static struct rtkvm_port ports[PORTS];
static struct worker workers[WORKERS];
static uint64_t next_id = 1, random_state, step;
static int64_t patience = 20 * NS_PER_S;
static uint64_t seen_raised, seen_killed;

static uint32_t rnd(uint32_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(random_state >> 33) % below;
}

/* ---- the threads ---- */

/* An end without libc's help, wherever the thread is. */
static void on_kill(int sig)
{
	(void)sig;
	syscall(SYS_exit, 0);
}

#define SET(field, value) __atomic_store_n(&(field), value, __ATOMIC_SEQ_CST)
#define GET(field) __atomic_load_n(&(field), __ATOMIC_SEQ_CST)

static void finish(struct worker *w, int result)
{
	SET(w->result, result);
	SET(w->finished, w->finished + 1);
}

static void do_call(struct worker *w)
{
	struct rtkvm_request r = { .op = w->id };
	int ret;

	SET(w->calling, true);
	ret = rtkvm_port_call(&ports[w->port], &r, CLOCK_MONOTONIC, w->timed ? &w->until : NULL);
	if (!ret && (r.op != w->id || r.result != (int64_t)(w->id * 7)))
		ret = -EBADMSG; /* somebody else's */
	SET(w->calling, false);
	finish(w, ret);
}

static void do_serve(struct worker *w, struct rtkvm_port *port)
{
	struct rtkvm_request r;

	SET(w->serving, true);
	for (;;) {
		if (rtkvm_port_receive(port, &r, CLOCK_MONOTONIC, NULL))
			abort();
		SET(w->holding, r.op);
		do {
			while (sem_wait(&w->go))
				;
			if (w->command == CHAIN)
				do_call(w);
			if (w->command == END)
				pthread_exit(NULL);
		} while (w->command == CHAIN);
		r.result = (int64_t)(r.op * 7);
		SET(w->holding, UINT64_C(0));
		if (rtkvm_port_reply(port, &r))
			abort();
		if (w->command == REPLY_CLOSE)
			break;
	}
	/* a request that came at once was received by nobody, and is refused */
	if (rtkvm_port_close(port))
		abort();
	SET(w->serving, false);
}

static void work(struct thread *t)
{
	struct worker *w = t->arg;
	int ret;

	for (;;) {
		while (sem_wait(&w->go))
			;
		if (w->command == CALL) {
			do_call(w);
		} else if (w->command == OPEN) {
			ret = rtkvm_port_open(&ports[w->port]);
			finish(w, ret);
			if (!ret)
				do_serve(w, &ports[w->port]);
		} else if (w->command == END) {
			return;
		}
	}
}

static void start_worker(int n)
{
	struct worker *w = &workers[n];

	sem_init(&w->go, 0, 0);
	w->calling = w->serving = false;
	w->holding = 0;
	thread_start(&w->t, model_base(n), -1, work, w);
}

static void tell(int n, enum command command)
{
	workers[n].command = command;
	sem_post(&workers[n].go);
}

/* ---- model and library ---- */

/* patient: what is not right yet will not become so by itself */
static const char *difference(bool patient)
{
	static char text[160];

	for (int w = 0; w < WORKERS; w++) {
		struct worker *r = &workers[w];
		const struct model_worker *m = &mw[w];
		uint64_t holding = m->serves == NONE ? 0 : mp[m->serves].holding;
		int prio;

		if (GET(r->finished) != m->finished || (m->finished && GET(r->result) != m->result))
			snprintf(text, sizeof(text), "thread %d: %u results, the last %d; %u, %d", w,
				 r->finished, r->result, m->finished, m->result);
		else if (GET(r->calling) != (m->calls != NONE))
			snprintf(text, sizeof(text), "thread %d: calls %d; %d", w, r->calling, m->calls);
		else if (GET(r->serving) != (m->serves != NONE))
			snprintf(text, sizeof(text), "thread %d: serves %d; %d", w, r->serving, m->serves);
		else if (GET(r->holding) != holding)
			snprintf(text, sizeof(text), "thread %d: has request %llu; %llu", w,
				 (unsigned long long)r->holding, (unsigned long long)holding);
		else if (sleeps_in(r->t.tid) < 0)
			snprintf(text, sizeof(text), "thread %d does not sleep", w);
		else if (!model_priority_is_right(w, prio = effective_priority(r->t.tid), patient))
			snprintf(text, sizeof(text), "thread %d: priority %d; %d", w, prio, model_effective(w));
		else
			continue;
		return text;
	}
	for (int p = 0; p < PORTS; p++) {
		int server = mp[p].server == NONE ? 0 : workers[mp[p].server].t.tid;

		if (rtkvm_port_server(&ports[p]) == server)
			continue;
		snprintf(text, sizeof(text), "port %d: server %d; %d", p,
			 rtkvm_port_server(&ports[p]), server);
		return text;
	}
	return NULL;
}

static void dump(const char *what)
{
	fprintf(stderr, "# step %llu: library; model: %s\n", (unsigned long long)step, what);
	for (int w = 0; w < WORKERS; w++)
		fprintf(stderr, "# thread %d: calls %d (%d), serves %d (%d), result %d (%d), futex op %d,"
			" priority %d (%d)\n", w, workers[w].calling, mw[w].calls, workers[w].serving,
			mw[w].serves, workers[w].result, mw[w].result, sleeps_in(workers[w].t.tid),
			effective_priority(workers[w].t.tid), model_effective(w));
}

static void settle(void)
{
	int64_t start = now_ns(CLOCK_MONOTONIC), end = start + patience;
	const char *what;

	while ((what = difference(now_ns(CLOCK_MONOTONIC) > start + 5 * NS_PER_MS))) {
		if (now_ns(CLOCK_MONOTONIC) > end) {
			dump(what);
			_exit(1);
		}
		sleep_ns(20000);
	}
	seen_raised += (uint64_t)model_settled();
}

/* ---- the steps ---- */

static void step_call(int w, int port, enum command command)
{
	struct worker *r = &workers[w];
	int64_t end = now_ns(CLOCK_MONOTONIC) + patience;
	uint32_t before = r->finished;
	bool withdrawn;

	r->port = port;
	r->id = next_id++;
	r->timed = rnd(4) == 0;
	if (r->timed)
		r->until = after_ns(CLOCK_MONOTONIC, rnd(3) * NS_PER_MS);
	tell(w, command);
	if (!model_call(w, port, r->id) || !r->timed)
		return;
	model_raised();
	/* it waits, and so runs out of time */
	while (GET(r->finished) == before) {
		if (now_ns(CLOCK_MONOTONIC) > end) {
			dump("a call whose time is over does not end");
			_exit(1);
		}
		sleep_ns(20000);
	}
	/* whether the server was fast enough to receive it is up to the machine */
	withdrawn = mp[port].posted && mp[port].turn == w && r->result == -ETIMEDOUT;
	if (withdrawn)
		mp[port].holding = 0;
	model_leaves(w);
	model_result(w, mp[port].holding == mw[w].id && !withdrawn ? -EINPROGRESS : -ETIMEDOUT);
}

static void step_open(int w, int port)
{
	workers[w].port = port;
	tell(w, OPEN);
	mw[w].finished++;
	mw[w].result = mp[port].server == NONE ? 0 : -EBUSY;
	if (mw[w].result)
		return;
	mw[w].serves = port;
	mp[port].server = w;
}

#ifdef __SANITIZE_ADDRESS__
#define JOIN_KILLED false
#else
#define JOIN_KILLED true
#endif

/*
 * Who ends behind libc's back leaves its thread-specific data in its stack, for the next
 * thread that libc makes there. AddressSanitizer has some of its own there and stops at
 * it (asan_thread.cpp: SetCurrentThread()). With it such a stack is not used again.
 */
static void wait_end(struct worker *w, bool by_signal)
{
	if (!by_signal || JOIN_KILLED)
		thread_join(&w->t);
	else
		while (!syscall(SYS_tgkill, getpid(), w->t.tid, 0))
			sleep_ns(20000);
}

static void step_end(int w, bool by_signal)
{
	int serves = mw[w].serves;

	if (by_signal)
		syscall(SYS_tgkill, getpid(), workers[w].t.tid, SIGUSR1);
	else
		tell(w, END);
	wait_end(&workers[w], by_signal);
	model_new_thread(w);
	seen_killed++;
	if (mw[w].calls != NONE)
		model_leaves(w);
	if (serves != NONE) {
		struct model_port *p = &mp[serves];

		if (p->posted)
			model_result(p->turn, -EOWNERDEAD);
		model_no_server(serves);
	}
	start_worker(w);
}

static void step_serve(int w)
{
	int port = mw[w].serves;
	uint32_t what = rnd(100);

	if (what < 45) {
		tell(w, REPLY);
		model_done(port, 0);
	} else if (what < 75) {
		step_call(w, (int)rnd(PORTS), CHAIN);
	} else if (what < 85) {
		tell(w, REPLY_CLOSE);
		if (mp[port].posted)
			model_result(mp[port].turn, 0);
		model_no_server(port);
	} else {
		step_end(w, what < 93);
	}
}

static void one_step(void)
{
	int w = (int)rnd(WORKERS);
	uint32_t what = rnd(100);

	if (mw[w].calls != NONE || (mw[w].serves != NONE && !mp[mw[w].serves].holding)) {
		if (what < 10)
			step_end(w, true);
	} else if (mw[w].serves != NONE) {
		step_serve(w);
	} else if (what < 75) {
		step_call(w, (int)rnd(PORTS), CALL);
	} else if (what < 95) {
		step_open(w, (int)rnd(PORTS));
	} else {
		step_end(w, what < 98);
	}
}

static bool exercised(void)
{
	static const int wanted[] = { 0, ETIMEDOUT, EINPROGRESS, ENOTCONN, EOWNERDEAD, EDEADLK };
	bool all = model_seen.chains > 10 && seen_raised > 10 && seen_killed > 10 && model_seen.handed > 10;

	printf("# results:");
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		printf(" %s %llu", i ? strerrorname_np(wanted[i]) : "0",
		       (unsigned long long)model_seen.results[wanted[i]]);
		all = all && model_seen.results[wanted[i]] > 5;
	}
	printf("; %llu chained, %llu turns handed on, %llu threads ended, %llu times one was raised, %llu not lowered\n",
	       (unsigned long long)model_seen.chains, (unsigned long long)model_seen.handed,
	       (unsigned long long)seen_killed, (unsigned long long)seen_raised, (unsigned long long)model_seen.stale);
	return all;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_kill };
	struct sched_param param = { .sched_priority = 90 };
	uint64_t steps = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000;

	if (!may_fifo() || sched_setscheduler(0, SCHED_FIFO, &param))
		return 77;
	random_state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	if (argc > 3)
		patience = atoi(argv[3]) * NS_PER_S;
	printf("# seed %llu\n", (unsigned long long)random_state);
	fflush(stdout);
	sigaction(SIGUSR1, &action, NULL);
	for (int p = 0; p < PORTS; p++) {
		if (rtkvm_port_init(&ports[p], NULL))
			return 1;
		mp[p] = (struct model_port){ .server = NONE, .turn = NONE };
	}
	for (int w = 0; w < WORKERS; w++) {
		mw[w] = (struct model_worker){ .serves = NONE, .calls = NONE };
		start_worker(w);
	}
	for (step = 1; step <= steps; step++) {
		one_step();
		settle();
	}
	if (!exercised()) {
		fprintf(stderr, "# not exercised\n");
		return 4;
	}
	fflush(stdout);
	_exit(0); /* whoever waits still does */
}
