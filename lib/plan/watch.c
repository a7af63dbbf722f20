/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A watch as an object: which process, how often, and the descriptor to poll.
 * What a dispatch does is in dispatch.c.
 *
 * A timer and, for another process, its end wake the caller. The kernel's
 * proc connector would tell of new threads at once, but it needs
 * CAP_NET_ADMIN in the initial namespaces, makes every fork of the host
 * slower, and before Linux 6.6 its listener count outlives a killed listener.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/file.h"
#include "guard.h"
#include "lease/watched.h"
#include "watch.h"

#define INTERVAL_MS 100
#define INTERVAL_MAX_MS 60000

/* The number must be a process's, not one of its other threads'. */
static int check_process(struct rtkvm *rt, pid_t pid)
{
	char path[RTKVM_PATH_MAX], status[8192], tgid[16];
	int64_t value;
	ssize_t len;

	rtkvm_path(rt, path, "/proc/%d/status", pid);
	len = rtkvm_file_read_quiet(rt, path, status, sizeof(status));
	if (len == -EACCES || len == -EPERM)
		return rtkvm_fail(rt, EACCES, path, "run as root, or as the user of that process",
				  "may not look at process %d", pid);
	if (len < 0)
		return rtkvm_fail(rt, ESRCH, path, NULL, "no process %d", pid);
	if (plan_status_value(status, "Tgid", tgid, sizeof(tgid)) &&
	    rtkvm_parse_i64(tgid, 1, INT32_MAX, &value) && value != pid)
		return rtkvm_fail(rt, EINVAL, path, "give the number of the process",
				  "%d is a thread of process %lld", pid, (long long)value);
	return 0;
}

static int arm(struct rtkvm_watch *watch, unsigned int first_ms)
{
	unsigned int ms = watch->interval_ms;
	struct itimerspec when = {
		.it_value = { first_ms / 1000, first_ms % 1000 * 1000000L },
		.it_interval = { ms / 1000, ms % 1000 * 1000000L },
	};

	return timerfd_settime(watch->timer_fd, 0, &when, NULL) < 0 ? -errno : 0;
}

void plan_watch_hurry(struct rtkvm_watch *watch, unsigned int ms)
{
	if (ms < watch->interval_ms)
		arm(watch, ms);
}

static int poll_also(struct rtkvm_watch *watch, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_fds(struct rtkvm_watch *watch)
{
	int ret;

	watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	watch->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watch->epoll_fd < 0 || watch->timer_fd < 0)
		return -errno;
	if (watch->pid != watch->owner && !watch->plan->rt->made_up)
		watch->pid_fd = (int)syscall(SYS_pidfd_open, watch->pid, 0);
	ret = poll_also(watch, watch->timer_fd);
	if (ret == 0 && watch->pid_fd >= 0)
		ret = poll_also(watch, watch->pid_fd);
	return ret < 0 ? ret : arm(watch, watch->interval_ms);
}

int rtkvm_watch_new(struct rtkvm_plan *plan, pid_t pid, struct rtkvm_lease *lease,
		    struct rtkvm_watch **out)
{
	struct rtkvm_watch *watch;
	int ret;

	if (!out)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_watch_new", NULL, "watch is NULL");
	*out = NULL;
	if (!plan || pid < 0)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_watch_new", NULL, "%s",
				  plan ? "the process number is negative" : "plan is NULL");
	if (pid && pid != getpid() && !lease)
		return rtkvm_fail(plan->rt, EINVAL, "rtkvm_watch_new",
				  "give a lease of rtkvm_lease_new()",
				  "process %d is another one, and there is no lease", pid);
	if (pid && pid != getpid()) {
		ret = check_process(plan->rt, pid);
		if (ret < 0)
			return ret;
	}
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return rtkvm_fail(plan->rt, ENOMEM, NULL, NULL, "no memory for a watch");
	watch->plan = plan;
	watch->owner = getpid();
	watch->pid = pid ? pid : watch->owner;
	watch->lease = watch->pid == watch->owner ? NULL : lease;
	watch->interval_ms = INTERVAL_MS;
	watch->epoll_fd = watch->timer_fd = watch->pid_fd = -1;
	rtkvm_task_start(watch->pid, watch->pid, &watch->start);
	ret = open_fds(watch);
	if (ret < 0) {
		watch->lease = NULL;
		rtkvm_watch_free(watch);
		return rtkvm_fail(plan->rt, -ret, "rtkvm_watch_new", rtkvm_remedy_for(-ret),
				  "cannot make its descriptors: %s", strerror(-ret));
	}
	ret = watch->lease ? rtkvm_lease_watch_begin(watch->lease) : 0;
	if (ret < 0) {
		watch->lease = NULL;
		rtkvm_watch_free(watch);
		return ret;
	}
	*out = watch;
	return 0;
}

int rtkvm_watch_add_device(struct rtkvm_watch *watch, const char *device)
{
	if (!watch || !device)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_watch_add_device", NULL, "%s is NULL",
				  watch ? "device" : "watch");
	return plan_devices_add(watch->plan->rt, &watch->look.devices, device);
}

int rtkvm_watch_fd(const struct rtkvm_watch *watch)
{
	return watch ? watch->epoll_fd : -EINVAL;
}

int rtkvm_watch_set_interval(struct rtkvm_watch *watch, unsigned int ms)
{
	if (!watch)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_watch_set_interval", NULL, "watch is NULL");
	if (ms < 1 || ms > INTERVAL_MAX_MS)
		return rtkvm_fail(watch->plan->rt, EINVAL, "rtkvm_watch_set_interval",
				  "take 1 to 60000 ms", "an interval of %u ms", ms);
	watch->interval_ms = ms;
	return arm(watch, ms);
}

static struct plan_assigned *assigned_to(const struct rtkvm_watch *watch, pid_t tid)
{
	for (size_t i = 0; i < watch->assigned_count; i++)
		if (watch->assigned[i].tid == tid)
			return &watch->assigned[i];
	return NULL;
}

int plan_watch_assigned(const struct rtkvm_watch *watch, const struct rtkvm_task *task)
{
	const struct plan_assigned *a = task->kthread ? NULL : assigned_to(watch, task->tid);

	return a && a->start == task->start ? a->role : -1;
}

/* Drop those that ended, when the table is full: AIO workers come and go. */
static void forget_assigned(struct rtkvm_watch *watch)
{
	size_t kept = 0;

	for (size_t i = 0; i < watch->assigned_count; i++) {
		const struct plan_assigned *a = &watch->assigned[i];
		struct rtkvm_task task;

		if (rtkvm_task_read(watch->plan->rt, watch->pid, a->tid, &task) == 0 &&
		    task.start == a->start)
			watch->assigned[kept++] = *a;
	}
	watch->assigned_count = kept;
}

static struct plan_assigned *assigned_new(struct rtkvm_watch *watch)
{
	struct plan_assigned *more;

	if (watch->assigned_count == watch->assigned_room)
		forget_assigned(watch);
	if (watch->assigned_count * 2 >= watch->assigned_room) {
		size_t room = watch->assigned_room ? watch->assigned_room * 2 : 32;

		more = realloc(watch->assigned, room * sizeof(*more));
		if (!more)
			return NULL;
		watch->assigned = more;
		watch->assigned_room = room;
	}
	return &watch->assigned[watch->assigned_count++];
}

int rtkvm_watch_set_role(struct rtkvm_watch *watch, pid_t tid, int role)
{
	struct plan_assigned *a;
	struct rtkvm_task task;
	int ret;

	if (!watch || !plan_role_known(role))
		return rtkvm_fail(watch ? watch->plan->rt : NULL, EINVAL, "rtkvm_watch_set_role",
				  "use one of RTKVM_ROLE_*", watch ? "unknown role %d" :
								     "watch is NULL (role %d)", role);
	ret = tid > 0 ? rtkvm_task_read(watch->plan->rt, watch->pid, tid, &task) : -ESRCH;
	if (ret < 0)
		return rtkvm_fail(watch->plan->rt, -ret, "rtkvm_watch_set_role",
				  rtkvm_remedy_for(-ret), "process %d has no thread %d that can be "
				  "looked at", watch->pid, tid);
	plan_lock(watch->plan);
	a = assigned_to(watch, tid);
	if (!a)
		a = assigned_new(watch);
	if (a)
		*a = (struct plan_assigned){ .tid = tid, .start = task.start, .role = role };
	plan_unlock(watch->plan);
	return a ? 0 : rtkvm_fail(watch->plan->rt, ENOMEM, NULL, NULL, "no memory for a role");
}

void rtkvm_watch_free(struct rtkvm_watch *watch)
{
	if (!watch)
		return;
	if (watch->lease && watch->owner == getpid())
		rtkvm_lease_watch_end(watch->lease);
	free(watch->assigned);
	if (watch->pid_fd >= 0)
		close(watch->pid_fd);
	if (watch->timer_fd >= 0)
		close(watch->timer_fd);
	if (watch->epoll_fd >= 0)
		close(watch->epoll_fd);
	plan_look_free(&watch->look);
	plan_threads_clear(&watch->foreign);
	free(watch);
}
