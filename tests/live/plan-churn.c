/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * 1000 threads come and go while they are sampled from /proc: none is ever
 * above its role, and whoever exists when a dispatch begins is placed when it
 * returns. A TAP program of its own: its figures are a claim's as well.
 *
 * Threads are made by one of the plan's vCPU threads, by a raised AIO worker
 * and by a helper in turn, so that most have a raised maker. The sampler does
 * not use the library.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#define THREADS 1000
#define ALIVE 64
#define TOP 5
#define AIO 2

enum { UNUSED, READY, CHECKED, ENDED };

struct child {
	pthread_t thread;
	sem_t end;
	pid_t tid;
	_Atomic int state;
	unsigned int number;
	int level; /* of its role */
};

/* One that makes threads when asked: which, by number. */
struct maker {
	const char *name;
	int role; /* -1: does not enter */
	pthread_t thread;
	sem_t ask, made;
	_Atomic int order; /* -1: end */
};

static struct child children[THREADS];
static struct rtkvm_plan *plan;
static atomic_bool stop_sampling, feeding_done;
static atomic_uint samples, raised_samples, above;
static char first_above[128];

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, rtkvm_last_error());
	exit(99);
}

static void *child_main(void *arg)
{
	struct child *c = arg;
	char name[16];

	snprintf(name, sizeof(name), "%s-%u", c->level ? "aio" : "job", c->number);
	prctl(PR_SET_NAME, name);
	c->tid = gettid();
	atomic_store(&c->state, READY);
	while (sem_wait(&c->end))
		;
	return NULL;
}

/* Comes and goes at once: makes the listing of threads change while it is read. */
static void *mayfly_main(void *arg)
{
	return arg;
}

static void make_child(int number)
{
	struct child *c = &children[number];
	pthread_t mayfly;

	c->number = (unsigned int)number;
	c->level = number % 2 ? AIO : 0;
	sem_init(&c->end, 0, 0);
	if (pthread_create(&c->thread, NULL, child_main, c) ||
	    pthread_create(&mayfly, NULL, mayfly_main, NULL))
		die("pthread_create");
	pthread_detach(mayfly);
}

static void *maker_main(void *arg)
{
	struct maker *m = arg;

	prctl(PR_SET_NAME, m->name);
	if (m->role >= 0 && rtkvm_thread_enter(plan, m->role))
		die("rtkvm_thread_enter");
	sem_post(&m->made);
	for (;;) {
		while (sem_wait(&m->ask))
			;
		if (m->order < 0)
			return NULL;
		make_child(m->order);
		sem_post(&m->made);
	}
}

static void maker_ask(struct maker *m, int order)
{
	m->order = order;
	sem_post(&m->ask);
	while (order >= 0 && sem_wait(&m->made))
		;
}

static void maker_start(struct maker *m)
{
	sem_init(&m->ask, 0, 0);
	sem_init(&m->made, 0, 0);
	if (pthread_create(&m->thread, NULL, maker_main, m))
		die("pthread_create");
	while (sem_wait(&m->made))
		;
}

/* Keeps ALIVE threads; ends only those that were found placed. */
static void *feeder_main(void *arg)
{
	const struct timespec pause = { 0, 200000 };
	struct maker *makers = arg;
	int oldest = 0;

	prctl(PR_SET_NAME, "feeder");
	for (int next = 0; oldest < THREADS;) {
		if (next < THREADS && next - oldest < ALIVE) {
			maker_ask(&makers[next % 3], next);
			next++;
		} else if (atomic_load(&children[oldest].state) == CHECKED) {
			atomic_store(&children[oldest].state, ENDED);
			sem_post(&children[oldest].end);
			pthread_join(children[oldest].thread, NULL);
			oldest++;
		} else {
			nanosleep(&pause, NULL);
		}
	}
	feeding_done = true;
	return NULL;
}

/* Highest level that a thread of this name may have. */
static int allowed(const char *name)
{
	if (!strcmp(name, "main-loop"))
		return TOP;
	if (!strcmp(name, "vcpu"))
		return TOP - 1;
	return strncmp(name, "aio-", 4) ? 0 : AIO;
}

static void sample_one(const char *tid)
{
	char path[64], line[1024], *name, *p;
	int prio = 0, policy = 0, field;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/stat", tid);
	f = fopen(path, "r");
	if (!f)
		return;
	p = fgets(line, sizeof(line), f);
	fclose(f);
	name = p ? strchr(line, '(') : NULL;
	p = p ? strrchr(line, ')') : NULL;
	if (!name || !p)
		return;
	*p = '\0';
	name++;
	for (field = 3, p++; field < 40 && p; field++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, "%d %d", &prio, &policy) != 2)
		return;
	samples++;
	raised_samples += prio > 0;
	if (prio > allowed(name) && !above++)
		snprintf(first_above, sizeof(first_above), "%.15s at %d, policy %d", name, prio,
			 policy);
}

static void sample_all(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			sample_one(entry->d_name);
	if (dir)
		closedir(dir);
}

static void *sampler_main(void *arg)
{
	const struct timespec pause = { 0, 500000 };

	prctl(PR_SET_NAME, "sampler");
	while (!stop_sampling) {
		sample_all();
		nanosleep(&pause, NULL);
	}
	return arg;
}

static bool at_its_role(const struct child *c)
{
	struct sched_param param = { 0 };
	int policy = sched_getscheduler(c->tid);

	if (policy < 0 || sched_getparam(c->tid, &param))
		return false;
	return param.sched_priority == c->level &&
	       policy == (c->level ? (SCHED_FIFO | SCHED_RESET_ON_FORK) : SCHED_OTHER);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct result {
	unsigned int dispatches, checked, late, placed;
	double p50, max;
};

/* Dispatch until all threads were there, with a check after each dispatch. */
static struct result dispatch_all(struct rtkvm_watch *watch)
{
	static double took[100000];
	static unsigned char before[THREADS];
	const struct timespec pause = { 0, 3000000 };
	struct result r = { 0 };

	while (!feeding_done && r.dispatches < 100000) {
		unsigned int placed;
		double start;

		for (int i = 0; i < THREADS; i++)
			before[i] = atomic_load(&children[i].state) == READY;
		start = now_ms();
		if (rtkvm_watch_dispatch(watch, &placed))
			die("rtkvm_watch_dispatch");
		took[r.dispatches++] = now_ms() - start;
		r.placed += placed;
		for (int i = 0; i < THREADS; i++) {
			if (!before[i])
				continue;
			r.checked++;
			r.late += !at_its_role(&children[i]);
			atomic_store(&children[i].state, CHECKED);
		}
		nanosleep(&pause, NULL);
	}
	if (r.dispatches) {
		qsort(took, r.dispatches, sizeof(took[0]), by_value);
		r.p50 = took[r.dispatches / 2];
		r.max = took[r.dispatches - 1];
	}
	return r;
}

/* The sampler itself: a thread raised without the flag passes its priority on. */
static void *inherits_main(void *arg)
{
	prctl(PR_SET_NAME, "job-x");
	sample_all();
	return arg;
}

static void *careless_main(void *arg)
{
	struct sched_param param = { .sched_priority = AIO };
	pthread_t thread;

	prctl(PR_SET_NAME, "aio-x");
	if (sched_setscheduler(0, SCHED_FIFO, &param) == 0 &&
	    pthread_create(&thread, NULL, inherits_main, NULL) == 0)
		pthread_join(thread, NULL);
	return arg;
}

static bool may_fifo(void)
{
	struct sched_param param = { .sched_priority = TOP };
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(sched_setscheduler(0, SCHED_FIFO, &param) < 0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int report(int number, bool good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", number, what);
	return !good;
}

int main(void)
{
	struct maker makers[3] = {
		{ .name = "vcpu", .role = RTKVM_ROLE_VCPU },
		{ .name = "aio-maker", .role = -1 },
		{ .name = "helper", .role = -1 },
	};
	pthread_t feeder, sampler, careless;
	struct rtkvm_watch *watch;
	struct rtkvm *rt;
	struct result r;
	unsigned int found;
	int failed = 0;

	printf("1..4\n");
	if (!may_fifo()) {
		for (int i = 1; i <= 4; i++)
			printf("ok %d - churn # SKIP SCHED_FIFO is refused (no CAP_SYS_NICE, "
			       "RLIMIT_RTPRIO or cgroup runtime)\n", i);
		return 0;
	}
	prctl(PR_SET_NAME, "main-loop");
	if (rtkvm_new(NULL, &rt) || rtkvm_plan_parse(rt, "maxprio=5,aioprio=2", &plan) ||
	    rtkvm_plan_add_rule(plan, "aio-*", RTKVM_ROLE_AIO) ||
	    rtkvm_thread_enter(plan, RTKVM_ROLE_MAIN) || rtkvm_watch_new(plan, 0, NULL, &watch))
		die("cannot begin");
	for (int i = 0; i < 3; i++)
		maker_start(&makers[i]);
	if (rtkvm_plan_go_realtime(plan, NULL) || rtkvm_watch_dispatch(watch, NULL))
		die("rtkvm_plan_go_realtime");
	if (pthread_create(&sampler, NULL, sampler_main, NULL) ||
	    pthread_create(&feeder, NULL, feeder_main, makers))
		die("pthread_create");
	r = dispatch_all(watch);
	pthread_join(feeder, NULL);
	stop_sampling = true;
	pthread_join(sampler, NULL);

	printf("# %u dispatches placed %u threads; %u samples, %u of raised threads\n",
	       r.dispatches, r.placed, samples, raised_samples);
	if (above)
		printf("# above its role: %s\n", first_above);
	failed += report(1, !above && raised_samples > 0, "no thread is ever above its role");
	failed += report(2, r.checked == THREADS && !r.late,
			 "who exists when a dispatch begins is placed when it returns");
	printf("# %u checked, %u not placed\n", r.checked, r.late);
	failed += report(3, r.placed >= THREADS / 2, "every AIO worker was placed by a dispatch");

	for (int i = 0; i < 3; i++) {
		maker_ask(&makers[i], -1);
		pthread_join(makers[i].thread, NULL);
	}
	rtkvm_watch_free(watch);
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
	found = above;
	above = 0;
	if (pthread_create(&careless, NULL, careless_main, NULL) == 0)
		pthread_join(careless, NULL);
	failed += report(4, above > 0, "the sampler sees one that inherits its maker's priority");
	printf("# figure: %d threads, %u samples, %u above their role; a dispatch took %.1f ms "
	       "(p50), %.1f ms (max)\n", THREADS, samples, found, r.p50, r.max);
	return failed != 0;
}
