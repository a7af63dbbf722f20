/* SPDX-License-Identifier: MIT */
/*
 * A measured run in a child process. The wake-ups come back through shared
 * memory, whose size is known from the number of ticks. The parent is a second
 * watchdog: a child that does not end in time is killed.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "host.h"
#include "run.h"

#define LIMIT_S 60       /* beyond the planned time: boot, grace, giving back */
#define GIVE_BACK_S 10   /* after it was told to stop */

struct wakeup {
	uint64_t isr_ns;
	uint64_t task_ns;
};

struct shared {
	struct result result;
	uint64_t count;
	uint64_t room;
	struct wakeup wakeup[];
};

static void keep(void *arg, uint64_t isr_ns, uint64_t task_ns)
{
	struct shared *s = arg;

	if (s->count < s->room)
		s->wakeup[s->count++] = (struct wakeup){ isr_ns, task_ns };
}

static void be_child(const struct config *config, const struct tuning *tuning,
		     struct shared *shared, pid_t parent)
{
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_ERROR);
	rc = run_measured(config, tuning, &shared->result, keep, shared);
	fflush(NULL);
	_exit(rc);
}

static int64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Wait for the child; end it when the time is over or the user wants it. */
static int wait_child(pid_t pid, unsigned int duration_s, progress_fn *progress, void *arg)
{
	int64_t limit = now_s() + duration_s + LIMIT_S;
	bool told = false;
	int status;

	for (;;) {
		pid_t got = waitpid(pid, &status, WNOHANG);

		if (got == pid)
			break;
		if (got < 0 && errno != EINTR) {
			fail("waitpid: %m");
			return STATUS_ERROR;
		}
		if (interrupted && !told) {
			kill(pid, SIGTERM);
			limit = now_s() + GIVE_BACK_S;
			told = true;
		}
		if (now_s() >= limit) {
			fail("watchdog: the run does not end; killed");
			kill(pid, SIGKILL);
			limit += LIMIT_S;
		}
		if (progress)
			progress(arg);
		poll(NULL, 0, 100);
	}
	if (WIFEXITED(status))
		return interrupted ? STATUS_INTERRUPTED : WEXITSTATUS(status);
	fail("the run was killed by signal %d (%s)", WTERMSIG(status),
	     strsignal(WTERMSIG(status)));
	host_restore(true);
	return interrupted ? STATUS_INTERRUPTED : STATUS_ERROR;
}

int child_run(const struct config *config, const struct tuning *tuning, struct result *result,
	      struct lateness *lateness, progress_fn *progress, void *progress_arg)
{
	uint64_t room = config->duration_s * 1000000ULL / config->interval_us * config->vcpus;
	size_t size = sizeof(struct shared) + room * sizeof(struct wakeup);
	struct shared *shared;
	pid_t parent = getpid(), pid;
	int rc = STATUS_ERROR;

	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		fail("memory for the samples: %m");
		return STATUS_ERROR;
	}
	shared->room = room;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		be_child(config, tuning, shared, parent);
	if (pid < 0)
		fail("fork: %m");
	else
		rc = wait_child(pid, config->duration_s, progress, progress_arg);
	*result = shared->result;
	if (rc == STATUS_OK && !result->complete)
		rc = STATUS_ERROR;
	for (uint64_t i = 0; rc == STATUS_OK && i < shared->count; i++)
		lateness_record(lateness, shared->wakeup[i].isr_ns, shared->wakeup[i].task_ns);
	munmap(shared, size);
	return rc;
}
