/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which thread of a process is what: by QMP, by names, and the CPU that each vCPU
 * gets. Raising them is the library's.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"

#define QMP_EVERY_MS 1000
#define QMP_LOST_MS 5000  /* until the next try */
#define QMP_UPDATE_MS 2000 /* for an answer while threads wait */

long long attach_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Name and start time from a stat file. */
static bool read_stat(const char *path, char comm[16], uint64_t *start)
{
	char text[2048], *open, *close, *p;
	FILE *f = fopen(path, "re");
	size_t len;

	if (!f)
		return false;
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = '\0';
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close || close < open)
		return false;
	if (comm)
		snprintf(comm, 16, "%.*s", (int)(close - open - 1), open + 1);
	p = close;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return false;
	*start = strtoull(p + 1, NULL, 10);
	return *start > 0;
}

uint64_t attach_start_of(pid_t tid)
{
	char path[64];
	uint64_t start;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	return read_stat(path, NULL, &start) ? start : 0;
}

static int elder(const void *x, const void *y)
{
	const struct attach_thread *a = x, *b = y;

	return a->start != b->start ? (a->start > b->start) - (a->start < b->start) :
				      (a->tid > b->tid) - (a->tid < b->tid);
}

int attach_threads(pid_t pid, struct attach_thread **threads, size_t *count)
{
	struct attach_thread *list = NULL, *more;
	char path[320];
	struct dirent *e;
	size_t n = 0;
	DIR *dir;
	int tid;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		if (!cmd_number(e->d_name, INT32_MAX, &tid))
			continue;
		if (n % 64 == 0) {
			more = realloc(list, (n + 64) * sizeof(*list));
			if (!more)
				break;
			list = more;
		}
		snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
		list[n].tid = tid;
		n += read_stat(path, list[n].comm, &list[n].start);
	}
	if (dir)
		closedir(dir);
	if (n)
		qsort(list, n, sizeof(*list), elder);
	*threads = list;
	*count = n;
	return n ? 0 : -1;
}

static struct attach_vcpu *find_vcpu(struct attachment *a, pid_t tid)
{
	for (size_t i = 0; i < a->vcpu_count; i++)
		if (a->vcpus[i].tid == tid)
			return &a->vcpus[i];
	return NULL;
}

/* Those that ended leave their CPUs. */
static void forget_vcpus(struct attachment *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->vcpu_count; i++)
		if (attach_start_of(a->vcpus[i].tid) == a->vcpus[i].start)
			a->vcpus[kept++] = a->vcpus[i];
	a->vcpu_count = kept;
}

/* How many vCPUs there may be. */
static size_t capacity(const struct attachment *a)
{
	cpu_set_t *set;
	size_t n;

	if (a->cpus)
		return rtkvm_cpu_lease_get_count(a->cpus);
	set = CPU_ALLOC(8192);
	if (!set || sched_getaffinity(a->pid, CPU_ALLOC_SIZE(8192), set) < 0)
		n = 1;
	else
		n = (size_t)CPU_COUNT_S(CPU_ALLOC_SIZE(8192), set);
	CPU_FREE(set);
	return n;
}

static int free_cpu(const struct attachment *a)
{
	int count = (int)rtkvm_cpu_lease_get_count(a->cpus);

	for (int cpu = 0; cpu < count; cpu++) {
		bool used = false;

		for (size_t i = 0; i < a->vcpu_count; i++)
			used = used || (a->vcpus[i].cpu == cpu && !a->vcpus[i].spare);
		if (!used)
			return cpu;
	}
	return -1;
}

/* A vCPU gets its role, and a CPU of the lease before it is raised. */
static void add_vcpu(struct attachment *a, pid_t tid)
{
	struct attach_vcpu v = { .tid = tid, .start = attach_start_of(tid), .cpu = -1 }, *more;
	size_t raised = 0;

	if (!v.start || find_vcpu(a, tid))
		return;
	if (a->vcpu_count == a->vcpu_room) {
		more = realloc(a->vcpus, (a->vcpu_room + 16) * sizeof(*more));
		if (!more)
			return;
		a->vcpus = more;
		a->vcpu_room += 16;
	}
	for (size_t i = 0; i < a->vcpu_count; i++)
		raised += !a->vcpus[i].spare;
	v.spare = raised >= capacity(a) && !(a->options->allow & RTKVM_GUARD_OVERCOMMIT) &&
		  (a->cpus || rtkvm_plan_is_realtime(a->plan));
	if (v.spare) {
		fprintf(stderr, "rtkvm: vCPU thread %d cannot be raised: %zu vCPUs have the CPUs, and "
				"one that spins would keep it from running; take more --cpus, or "
				"--allow overcommit\n",
			tid, raised);
	} else if (a->cpus && rtkvm_cpu_lease_get_mode(a->cpus) != RTKVM_CPU_OFFLINE) {
		v.cpu = free_cpu(a);
		if (rtkvm_cpu_lease_add_thread(a->cpus, tid, v.cpu) < 0) {
			v.spare = true;
			cmd_fail();
		}
	}
	if (rtkvm_watch_set_role(a->watch, tid, v.spare ? RTKVM_ROLE_HELPER : RTKVM_ROLE_VCPU) < 0)
		return; /* it ended */
	a->vcpus[a->vcpu_count++] = v;
}

/*
 * vCPUs by name. A new thread has its maker's name until it takes its own: a name
 * that an older one has, too, does not count, as no two vCPUs are called the same.
 */
static void roles_by_name(struct attachment *a, const struct attach_thread *threads, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool borrowed = false;

		if (attach_role_of(a->options, threads[i].comm, false) != RTKVM_ROLE_VCPU)
			continue;
		for (size_t k = 0; k < i && !borrowed; k++)
			borrowed = !strcmp(threads[k].comm, threads[i].comm);
		if (!borrowed)
			add_vcpu(a, threads[i].tid);
	}
}

/* The first thread is the main loop, unless the user has it for a vCPU. */
static void role_of_main(struct attachment *a, const struct attach_thread *threads, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (threads[i].tid == a->pid &&
		    attach_role_of(a->options, threads[i].comm, true) != RTKVM_ROLE_VCPU)
			(void)rtkvm_watch_set_role(a->watch, a->pid, RTKVM_ROLE_MAIN);
}

/* Threads of another process are nothing that a QMP server may speak for. */
static bool is_ours(const struct attachment *a, pid_t tid)
{
	return tid > 0 && qmp_process_of(tid) == a->pid;
}

static int take_answers(struct attachment *a, struct json_object *cpus, struct json_object *threads)
{
	for (size_t i = 0; i < qmp_length(cpus); i++) {
		pid_t tid = qmp_number(json_object_array_get_idx(cpus, i), "thread-id");

		if (is_ours(a, tid))
			add_vcpu(a, tid);
	}
	for (size_t i = 0; i < qmp_length(threads); i++) {
		pid_t tid = qmp_number(json_object_array_get_idx(threads, i), "thread-id");

		if (is_ours(a, tid))
			(void)rtkvm_watch_set_role(a->watch, tid, RTKVM_ROLE_IO);
	}
	return CMD_OK;
}

/* The process that the vCPUs' threads are of, if all are of one. */
static pid_t process_of_all(struct json_object *cpus)
{
	pid_t pid = 0;

	for (size_t i = 0; i < qmp_length(cpus); i++) {
		pid_t of = qmp_process_of(qmp_number(json_object_array_get_idx(cpus, i), "thread-id"));

		if (!of || (pid && of != pid))
			return 0;
		pid = of;
	}
	return pid;
}

/* A server may speak for its own user's processes only; root's for all. */
static bool may_speak_for(const struct qmp *q, pid_t pid)
{
	char path[64];
	struct stat st;
	uid_t user = qmp_user(q);

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return user == 0 || (user != (uid_t)-1 && stat(path, &st) == 0 && st.st_uid == user);
}

int attach_qmp_open(struct attachment *a, int ms, bool complain)
{
	const char *path = a->options->qmp, *step;
	struct json_object *cpus;
	pid_t pid;

	a->qmp = qmp_open(path, ms, &step);
	if (!a->qmp) {
		if (complain)
			qmp_complain(path, step, errno);
		return CMD_ERROR;
	}
	cpus = qmp_ask(a->qmp, "query-cpus-fast");
	pid = process_of_all(cpus);
	if (!cpus && complain)
		qmp_complain(path, "query-cpus-fast", errno);
	else if (!pid && complain)
		fprintf(stderr, "rtkvm: %s: query-cpus-fast names no threads that are of one process "
				"here; is that QEMU in another pid namespace?\n", path);
	else if (pid && !may_speak_for(a->qmp, pid))
		fprintf(stderr, "rtkvm: %s: its server speaks for process %d, which is another "
				"user's; name that QEMU's own QMP socket\n", path, pid);
	else if (complain && a->pid && pid != a->pid)
		fprintf(stderr, "rtkvm: %s: is of process %d, not of %d; name its own QMP socket\n",
			path, pid, a->pid);
	else if (pid && (!a->pid || pid == a->pid)) {
		json_object_put(cpus);
		a->pid = pid;
		return CMD_OK;
	}
	json_object_put(cpus);
	qmp_close(a->qmp);
	a->qmp = NULL;
	return CMD_ERROR;
}

/* A QEMU that was restarted, or whose monitor hung, is asked again later. */
static void lose_qmp(struct attachment *a, int err)
{
	qmp_close(a->qmp);
	a->qmp = NULL;
	a->qmp_next = attach_now_ms() + QMP_LOST_MS;
	if (!a->qmp_lost)
		fprintf(stderr, "rtkvm: %s: %s; threads are told apart by their names until it "
				"answers again\n", a->options->qmp, strerror(err));
	a->qmp_lost = true;
}

static void ask_qmp(struct attachment *a)
{
	struct json_object *cpus, *threads = NULL;

	if (!a->qmp && attach_qmp_open(a, QMP_UPDATE_MS, false) != CMD_OK) {
		a->qmp_next = attach_now_ms() + QMP_LOST_MS;
		return;
	}
	qmp_deadline(a->qmp, QMP_UPDATE_MS);
	cpus = qmp_ask(a->qmp, "query-cpus-fast");
	if (cpus)
		threads = qmp_ask(a->qmp, "query-iothreads");
	if (!cpus || (!threads && errno != EOPNOTSUPP)) {
		lose_qmp(a, errno);
	} else {
		if (a->qmp_lost)
			fprintf(stderr, "rtkvm: %s: answers again\n", a->options->qmp);
		a->qmp_lost = false;
		take_answers(a, cpus, threads);
		a->qmp_next = attach_now_ms() + QMP_EVERY_MS;
	}
	json_object_put(cpus);
	json_object_put(threads);
}

static const char *name_of(const struct attach_thread *threads, size_t count, pid_t tid)
{
	for (size_t i = 0; i < count; i++)
		if (threads[i].tid == tid)
			return threads[i].comm;
	return "";
}

/* A vCPU called like the main loop has no name of its own; so AIO workers have none either. */
static void complain_unnamed(struct attachment *a, const struct attach_thread *threads, size_t count)
{
	const char *name = name_of(threads, count, a->pid);
	bool same = false;

	for (size_t i = 0; i < a->vcpu_count; i++)
		same = same || (a->vcpus[i].tid != a->pid &&
				!strcmp(name, name_of(threads, count, a->vcpus[i].tid)));
	if (!same || a->unnamed || attach_role_of(a->options, name, true) >= 0)
		return;
	a->unnamed = true;
	fprintf(stderr, "rtkvm: threads of process %d have no names of their own, so AIO workers "
			"count as helpers; start QEMU with -name NAME,debug-threads=on, or give "
			"--rule \"%s=aio\"\n", a->pid, name);
}

int attach_roles(struct attachment *a)
{
	struct attach_thread *threads;
	size_t count;

	if (attach_threads(a->pid, &threads, &count) < 0) {
		free(threads);
		return CMD_ERROR;
	}
	forget_vcpus(a);
	role_of_main(a, threads, count);
	/* a thread more, or less, may be one that only QMP can name */
	if (a->options->qmp && (attach_now_ms() >= a->qmp_next || (a->qmp && count != a->threads)))
		ask_qmp(a);
	roles_by_name(a, threads, count);
	complain_unnamed(a, threads, count);
	a->threads = count;
	free(threads);
	return CMD_OK;
}
