/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread table: a hash over thread numbers. The caller has the lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "threads.h"

static unsigned int bucket_of(pid_t tid)
{
	return (unsigned int)tid % PLAN_BUCKETS;
}

struct plan_thread *plan_threads_find(const struct plan_threads *threads, pid_t tid)
{
	struct plan_thread *t = threads->bucket[bucket_of(tid)];

	while (t && t->tid != tid)
		t = t->next;
	return t;
}

struct plan_thread *plan_threads_add(struct plan_threads *threads, pid_t tgid, pid_t tid,
				     uint64_t start)
{
	struct plan_thread *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->tgid = tgid;
	t->tid = tid;
	t->start = start;
	t->role = RTKVM_ROLE_HELPER;
	t->next = threads->bucket[bucket_of(tid)];
	threads->bucket[bucket_of(tid)] = t;
	threads->count++;
	return t;
}

static void thread_free(struct plan_thread *t)
{
	free(t->cpus);
	free(t);
}

void plan_threads_remove(struct plan_threads *threads, struct plan_thread *thread)
{
	struct plan_thread **at = &threads->bucket[bucket_of(thread->tid)];

	while (*at != thread)
		at = &(*at)->next;
	*at = thread->next;
	threads->count--;
	thread_free(thread);
}

struct plan_thread *plan_threads_next(const struct plan_threads *threads,
				      const struct plan_thread *thread)
{
	unsigned int bucket = thread ? bucket_of(thread->tid) + 1 : 0;

	if (thread && thread->next)
		return thread->next;
	for (; bucket < PLAN_BUCKETS; bucket++)
		if (threads->bucket[bucket])
			return threads->bucket[bucket];
	return NULL;
}

void plan_threads_clear(struct plan_threads *threads)
{
	for (unsigned int i = 0; i < PLAN_BUCKETS; i++)
		while (threads->bucket[i])
			plan_threads_remove(threads, threads->bucket[i]);
}

bool plan_thread_alive(const struct plan_thread *thread)
{
	uint64_t start;
	int ret;

	/* of the own process the kernel says it without /proc, which a jail may lack */
	if (!thread->kthread && thread->tgid == getpid() &&
	    syscall(SYS_tgkill, thread->tgid, thread->tid, 0) < 0 && errno == ESRCH)
		return false;
	if (!thread->start)
		return true;
	ret = rtkvm_task_start(thread->tgid, thread->tid, &start);
	if (ret < 0)
		return ret != -ESRCH && thread->tgid == getpid();
	return start == thread->start;
}

void plan_threads_prune(struct plan_threads *threads)
{
	struct plan_thread *t = plan_threads_next(threads, NULL), *next;

	for (; t; t = next) {
		next = plan_threads_next(threads, t);
		if (!plan_thread_alive(t))
			plan_threads_remove(threads, t);
	}
}

/* At twice of what was alive: each thread that enters pays for two looks on average. */
void plan_threads_forget(struct plan_threads *threads)
{
	if (threads->count < threads->forget_at || threads->count < PLAN_BUCKETS)
		return;
	plan_threads_prune(threads);
	threads->forget_at = 2 * threads->count;
}
