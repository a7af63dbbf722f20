/* SPDX-License-Identifier: MIT */
/*
 * A thread plan: the threads of a VMM enter their roles, become real-time
 * together when the guest is up, and get back what they had.
 *
 *   cc plan.c -o plan $(pkg-config --cflags --libs rtkvm) -pthread
 *   sudo ./plan [--wait] [maxprio=5,policy=ff,aioprio=1]
 *
 * With --wait it waits for Enter after each step, so that one can look at it
 * from outside (ps -Lo tid,comm,cls,rtprio,psr -C plan) or change something.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

struct thread {
	const char *name;
	int role; /* -1: does not enter; a watch finds it by its name */
	pthread_t thread;
	pid_t tid;
	sem_t ready, end;
};

static struct rtkvm_plan *plan;
static struct thread threads[] = {
	{ .name = "io", .role = RTKVM_ROLE_IO },
	{ .name = "vcpu0", .role = RTKVM_ROLE_VCPU },
	{ .name = "aio-worker", .role = -1 },
	{ .name = "logger", .role = -1 },
};

#define COUNT (sizeof(threads) / sizeof(threads[0]))

static void *run(void *arg)
{
	struct thread *t = arg;

	pthread_setname_np(pthread_self(), t->name);
	t->tid = gettid();
	/* the first thing in each thread of a VMM */
	if (t->role >= 0 && rtkvm_thread_enter(plan, t->role) < 0)
		errx(1, "%s: %s", t->name, rtkvm_last_error());
	sem_post(&t->ready);
	sem_wait(&t->end); /* a vCPU would loop around KVM_RUN here */
	return NULL;
}

static void show_one(const char *name, pid_t tid)
{
	int policy = sched_getscheduler(tid) & ~SCHED_RESET_ON_FORK;
	struct sched_param param = { 0 };

	sched_getparam(tid, &param);
	printf("  %-12s %-8d %-5s %d\n", name, tid,
	       policy == SCHED_FIFO ? "FIFO" : policy == SCHED_RR ? "RR" : "OTHER",
	       param.sched_priority);
}

/* What the kernel says of each thread. */
static void show(const char *when, int wait)
{
	printf("%s\n", when);
	show_one("main", getpid());
	for (size_t i = 0; i < COUNT; i++)
		show_one(threads[i].name, threads[i].tid);
	fflush(stdout);
	while (wait && (wait = getchar()) != '\n' && wait != EOF)
		;
}

static void print(struct rtkvm_report *report)
{
	const struct rtkvm_report_item *item = NULL;

	while ((item = rtkvm_report_next(report, item)))
		printf("%s %-16s %-12s %s\n", rtkvm_report_item_problem(item) ? "!" : " ",
		       rtkvm_report_item_feature(item),
		       rtkvm_report_state_name(rtkvm_report_item_state(item)),
		       rtkvm_report_item_reason(item));
	rtkvm_report_free(report);
}

int main(int argc, char **argv)
{
	int wait = argc > 1 && !strcmp(argv[1], "--wait"), ret;
	const char *text = argc > 1 + wait ? argv[1 + wait] : "maxprio=5,policy=ff,aioprio=1";
	struct rtkvm_report *report = NULL;
	struct rtkvm_watch *watch;
	struct rtkvm *rt;

	if (rtkvm_new(NULL, &rt) < 0 || rtkvm_plan_parse(rt, text, &plan) < 0 ||
	    rtkvm_plan_add_rule(plan, "aio-*", RTKVM_ROLE_AIO) < 0 ||
	    rtkvm_thread_enter(plan, RTKVM_ROLE_MAIN) < 0 ||
	    rtkvm_watch_new(plan, 0, NULL, &watch) < 0)
		errx(1, "%s", rtkvm_last_error());
	for (size_t i = 0; i < COUNT; i++) {
		sem_init(&threads[i].ready, 0, 0);
		sem_init(&threads[i].end, 0, 0);
		if (pthread_create(&threads[i].thread, NULL, run, &threads[i]))
			errx(1, "cannot make threads");
		sem_wait(&threads[i].ready);
	}
	show("the guest boots", wait);

	ret = rtkvm_plan_go_realtime(plan, &report);
	print(report);
	if (ret < 0) {
		/* nothing was changed: a VMM may go on without, or give up */
		printf("not real-time: %s\n", rtkvm_last_error());
	} else {
		/* a VMM polls rtkvm_watch_fd(watch) in its main loop */
		if (rtkvm_watch_dispatch(watch, NULL) < 0)
			errx(1, "%s", rtkvm_last_error());
		show("the guest is up: real-time", wait);
		if (rtkvm_plan_undo(plan, &report) < 0)
			warnx("%s", rtkvm_last_error());
		print(report);
	}
	show("as before", wait);

	for (size_t i = 0; i < COUNT; i++) {
		sem_post(&threads[i].end);
		pthread_join(threads[i].thread, NULL);
	}
	rtkvm_watch_free(watch);
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
	return 0;
}
