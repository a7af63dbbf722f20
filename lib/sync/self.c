/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The calling thread, and its copy after fork(2).
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "self.h"

_Thread_local struct sync_self sync_self __attribute__((tls_model("initial-exec")));

uint32_t sync_generation = 1;

void sync_priorities_changed(void)
{
	if (__atomic_add_fetch(&sync_generation, 1, __ATOMIC_RELEASE) == 0)
		__atomic_add_fetch(&sync_generation, 1, __ATOMIC_RELEASE);
}

uint32_t sync_tid_ask(void)
{
	sync_self.tid = (uint32_t)sync_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
	return sync_self.tid;
}

/*
 * The child has another id and holds nothing. It has inherited the priority
 * to which ceilings raised the thread that made it, and goes back to base.
 */
static void after_fork(void)
{
	struct sched_param param = { .sched_priority = sync_self.base };
	bool raised = sync_self.set && sync_self.base;
	struct sched_param now = { 0 };

	raised = raised && !sync_syscall(SYS_sched_getparam, 0, (long)&now, 0, 0, 0, 0) &&
		 now.sched_priority == sync_self.set;
	if (raised)
		sync_syscall(SYS_sched_setparam, 0, (long)&param, 0, 0, 0, 0);
	memset(&sync_self, 0, sizeof(sync_self));
}

__attribute__((constructor)) static void at_load(void)
{
	/* without memory for it there is no fork either */
	(void)pthread_atfork(NULL, NULL, after_fork);
}
