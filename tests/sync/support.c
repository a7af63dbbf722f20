/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Support of the tests of lib/sync; see support.h.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support.h"

int64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

struct timespec after_ns(clockid_t clock, int64_t ns)
{
	int64_t at = now_ns(clock) + ns;

	return (struct timespec){ .tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S };
}

void sleep_ns(int64_t ns)
{
	struct timespec until = after_ns(CLOCK_MONOTONIC, ns);

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

void spin_ns(int64_t ns)
{
	int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

bool may_fifo(void)
{
	struct sched_param param = { .sched_priority = 90 }, before;
	int policy = sched_getscheduler(0);
	bool may;

	sched_getparam(0, &before);
	may = sched_setscheduler(0, SCHED_FIFO, &param) == 0;
	if (may)
		sched_setscheduler(0, policy, &before);
	return may;
}

int cpu_count(void)
{
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	return CPU_COUNT(&set);
}

int cpu_number(int n)
{
	cpu_set_t set;

	sched_getaffinity(getpid(), sizeof(set), &set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && n-- == 0)
			return cpu;
	return -1;
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	__atomic_store_n(&t->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	t->run(t);
	__atomic_store_n(&t->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void or_die(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(err));
	abort();
}

void thread_start(struct thread *t, int priority, int cpu, void (*run)(struct thread *), void *arg)
{
	struct sched_param param = { .sched_priority = priority };
	pthread_attr_t attr;
	cpu_set_t set;

	memset(t, 0, sizeof(*t));
	t->priority = priority;
	t->cpu = cpu;
	t->run = run;
	t->arg = arg;
	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, priority ? SCHED_FIFO : SCHED_OTHER);
	pthread_attr_setschedparam(&attr, &param);
	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(cpu_number(cpu), &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	or_die(pthread_create(&t->handle, &attr, thread_main, t), "pthread_create");
	pthread_attr_destroy(&attr);
	while (!__atomic_load_n(&t->tid, __ATOMIC_ACQUIRE))
		sleep_ns(NS_PER_MS / 10);
}

void thread_join(struct thread *t)
{
	or_die(pthread_join(t->handle, NULL), "pthread_join");
}

static bool read_task(pid_t tid, const char *name, char *text, size_t size)
{
	char path[64];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)tid, name);
	f = fopen(path, "r");
	if (!f)
		return false;
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	fclose(f);
	return n > 0;
}

int sleeps_in(pid_t tid)
{
	unsigned long word, op;
	char text[512];
	int nr;

	if (!read_task(tid, "syscall", text, sizeof(text)) ||
	    sscanf(text, "%d %lx %lx", &nr, &word, &op) != 3 || nr != SYS_futex)
		return -1;
	return (int)(op & (unsigned long)FUTEX_CMD_MASK);
}

bool until_sleeps_in(pid_t tid, int op)
{
	for (int i = 0; i < 50000; i++) {
		if (sleeps_in(tid) == op)
			return true;
		sleep_ns(NS_PER_MS / 10);
	}
	return false;
}

bool until_asleep(pid_t tid)
{
	for (int i = 0; i < 50000; i++) {
		if (sleeps_in(tid) >= 0)
			return true;
		sleep_ns(NS_PER_MS / 10);
	}
	return false;
}

int effective_priority(pid_t tid)
{
	char text[1024], *p;
	long prio = 0;

	if (!read_task(tid, "stat", text, sizeof(text)))
		return -1;
	p = strrchr(text, ')');
	/* fields 3 (state) to 18 (priority: -1 - rt_priority when real-time) */
	for (int field = 3; p && field <= 18; field++)
		p = strchr(p + 1, ' ');
	if (p)
		prio = strtol(p, NULL, 10);
	return prio < 0 ? (int)(-1 - prio) : 0;
}

int set_priority(pid_t tid, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	return sched_setscheduler(tid, priority ? SCHED_FIFO : SCHED_OTHER, &param);
}

int get_priority(pid_t tid)
{
	struct sched_param param = { 0 };

	return sched_getparam(tid, &param) ? -1 : param.sched_priority;
}

/* ---- watchdog ---- */

static struct {
	const uint64_t *progress;
	const struct watched *objects;
	int count, seconds;
	bool stop;
	struct thread thread;
} dog;

static void dump_thread(const char *tid)
{
	char stat[512], call[256], *state;

	if (!read_task(atoi(tid), "stat", stat, sizeof(stat)) ||
	    !read_task(atoi(tid), "syscall", call, sizeof(call)))
		return;
	state = strrchr(stat, ')');
	fprintf(stderr, "# thread %s: state %c, priority %d (%d), in %s", tid,
		state && state[1] ? state[2] : '?', effective_priority(atoi(tid)),
		get_priority(atoi(tid)), call);
}

static void dump(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;

	fprintf(stderr, "# no progress for %d s at %llu\n", dog.seconds,
		(unsigned long long)*dog.progress);
	for (int i = 0; i < dog.count; i++) {
		const struct watched *o = &dog.objects[i];

		fprintf(stderr, "# %s:", o->name);
		for (int w = 0; w < o->count; w++)
			fprintf(stderr, " %016llx", (unsigned long long)o->words[w]);
		fprintf(stderr, "\n");
	}
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			dump_thread(entry->d_name);
	if (dir)
		closedir(dir);
}

static void dog_run(struct thread *self)
{
	uint64_t last = __atomic_load_n(dog.progress, __ATOMIC_RELAXED);
	int stood = 0;

	(void)self;
	while (!__atomic_load_n(&dog.stop, __ATOMIC_RELAXED)) {
		int64_t start = now_ns(CLOCK_MONOTONIC);
		uint64_t now;

		sleep_ns(NS_PER_S / 4);
		now = __atomic_load_n(dog.progress, __ATOMIC_RELAXED);
		if (now != last)
			stood = 0;
		else if (now_ns(CLOCK_MONOTONIC) - start < NS_PER_S / 2)
			stood++;
		last = now;
		if (stood < 4 * dog.seconds)
			continue;
		dump();
		_exit(3);
	}
}

void watchdog_start(const uint64_t *progress, int seconds, const struct watched *objects, int count)
{
	dog.progress = progress;
	dog.seconds = seconds;
	dog.objects = objects;
	dog.count = count;
	dog.stop = false;
	thread_start(&dog.thread, may_fifo() ? 98 : 0, -1, dog_run, NULL);
}

void watchdog_stop(void)
{
	__atomic_store_n(&dog.stop, true, __ATOMIC_RELAXED);
	thread_join(&dog.thread);
}
