/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the live tests of the thread plan share: threads that sleep until told
 * to end, and the kernel's word on a thread, asked without the library.
 */
#ifndef RTKVM_PLAN_SUPPORT_H
#define RTKVM_PLAN_SUPPORT_H

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "support/test.h"

struct worker {
	pthread_t thread;
	pid_t tid;
	int role;               /* -1: does not enter */
	const char *name;       /* NULL: keeps its maker's */
	struct rtkvm_plan *plan;
	void (*act)(struct worker *worker); /* done between go and done; NULL: nothing */
	int entered;            /* what rtkvm_thread_enter() returned */
	int result;             /* for act */
	sem_t ready, go, done;
};

static inline void *worker_main(void *arg)
{
	struct worker *w = arg;

	w->tid = gettid();
	if (w->name)
		prctl(PR_SET_NAME, w->name);
	if (w->role >= 0)
		w->entered = rtkvm_thread_enter(w->plan, w->role);
	sem_post(&w->ready);
	sem_wait(&w->go);
	if (w->act)
		w->act(w);
	sem_post(&w->done);
	if (w->act)
		sem_wait(&w->go);
	return NULL;
}

static inline void worker_start(struct worker *w, struct rtkvm_plan *plan, int role,
				const char *name)
{
	memset(w, 0, sizeof(*w));
	w->plan = plan;
	w->role = role;
	w->name = name;
	sem_init(&w->ready, 0, 0);
	sem_init(&w->go, 0, 0);
	sem_init(&w->done, 0, 0);
	ck_assert_int_eq(pthread_create(&w->thread, NULL, worker_main, w), 0);
	sem_wait(&w->ready);
	ck_assert_msg(role < 0 || w->entered == 0, "%s", rtkvm_last_error());
}

static inline void worker_act(struct worker *w, void (*act)(struct worker *))
{
	w->act = act;
	sem_post(&w->go);
	sem_wait(&w->done);
}

static inline void worker_stop(struct worker *w)
{
	sem_post(&w->go);
	pthread_join(w->thread, NULL);
}

/* "FIFO 5 reset", "OTHER 0"; static. */
static inline const char *sched_of(pid_t tid)
{
	static char text[64];
	struct sched_param param;
	int policy = sched_getscheduler(tid);
	const char *name = "?";

	if (policy < 0 || sched_getparam(tid, &param) < 0)
		return "gone";
	switch (policy & ~SCHED_RESET_ON_FORK) {
	case SCHED_OTHER:
		name = "OTHER";
		break;
	case SCHED_BATCH:
		name = "BATCH";
		break;
	case SCHED_FIFO:
		name = "FIFO";
		break;
	case SCHED_RR:
		name = "RR";
		break;
	}
	snprintf(text, sizeof(text), "%s %d%s", name, param.sched_priority,
		 policy & SCHED_RESET_ON_FORK ? " reset" : "");
	return text;
}

static inline void set_sched(pid_t tid, int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	ck_assert_int_eq(sched_setscheduler(tid, policy, &param), 0);
}

/* May this process use SCHED_FIFO up to this priority? Tried out in a child. */
static inline bool may_fifo(int priority)
{
	struct sched_param param = { .sched_priority = priority };
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(sched_setscheduler(0, SCHED_FIFO, &param) < 0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

#define NO_FIFO "SCHED_FIFO is refused (no CAP_SYS_NICE, RLIMIT_RTPRIO or cgroup runtime)"

static inline long status_kb(const char *key)
{
	char line[256];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			sscanf(line + strlen(key), ": %ld", &kb);
	if (f)
		fclose(f);
	return kb;
}

#if defined(__SANITIZE_ADDRESS__)
#define MLOCKALL_WORKS 0 /* AddressSanitizer makes it do nothing */
#else
#define MLOCKALL_WORKS 1
#endif

#endif
