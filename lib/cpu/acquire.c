/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a CPU lease: claim, move everything, take the CPUs further away,
 * put threads on them, release; and a lease that came by a descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu_priv.h"

/* A thread that is made while others are moved is found in the next pass. */
#define PASSES_MAX 8

static struct rtkvm_cpu_lease *new_lease(struct rtkvm *rt)
{
	struct rtkvm_cpu_lease *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->rt = rt;
	l->fd = -1;
	l->last = &l->notes;
	l->watch[0] = l->watch[1] = l->watch[2] = -1;
	return l;
}

static void free_lease(struct rtkvm_cpu_lease *l)
{
	cpu_watch_close(l);
	cpu_notes_clear(l, true);
	cpu_claims_close(l, -1);
	free(l->attached);
	free(l);
}

static int move_threads(struct rtkvm_cpu_lease *l, bool hold_kernel_threads)
{
	int ret = 0;

	for (int pass = 0; pass < PASSES_MAX && ret == 0; pass++) {
		size_t before = l->moved[CPU_THREADS];
		struct cpu_batch batch = { 0 };

		ret = cpu_find_threads(l, &batch, hold_kernel_threads && pass == 0);
		if (ret == 0)
			ret = cpu_batch_apply(l, &batch);
		cpu_batch_free(&batch);
		if (l->moved[CPU_THREADS] == before)
			break;
	}
	return ret;
}

static int move_all(struct rtkvm_cpu_lease *l, bool knobs, bool hold_kernel_threads)
{
	struct cpu_batch batch = { 0 };
	int ret = knobs ? cpu_find_knobs(l, &batch) : 0;

	if (ret == 0)
		ret = cpu_find_masks(l, &batch);
	if (ret == 0)
		ret = cpu_find_irqs(l, &batch);
	if (ret == 0)
		ret = cpu_find_queues(l, &batch);
	if (ret == 0)
		ret = cpu_batch_apply(l, &batch);
	cpu_batch_free(&batch);
	return ret < 0 ? ret : move_threads(l, hold_kernel_threads);
}

static int first_problem(struct rtkvm_cpu_lease *l)
{
	const struct cpu_note *note = l->notes;

	while (note && !note->problem && strncmp(note->feature, "irq ", 4) != 0)
		note = note->next;
	if (!note || !(l->flags & RTKVM_CPU_STRICT))
		return 0;
	return rtkvm_fail(l->rt, EIO, note->feature, "ask without RTKVM_CPU_STRICT",
			  "something stays on the CPUs: %s", note->text);
}

/*
 * With the lock of the state directory, as undoing is: sets of CPUs are read,
 * reduced and written, and another lease must not do so in between.
 */
static int take_away(struct rtkvm_cpu_lease *l, const struct rtkvm_cpu_request *r,
		     const struct rtkvm_cpus *others)
{
	bool v1, cpuset = r->mode == RTKVM_CPU_PARTITION || r->mode == RTKVM_CPU_BEST;
	int ret = rtkvm_statedir_lock(l->rt, l->lease->dir_fd, true);

	if (ret < 0)
		return ret;
	if (r->target)
		ret = rtkvm_lease_set_target(l->lease, r->target);
	if (ret == 0) /* first: it would move them back */
		ret = cpu_irqbalance_tell(l, others);
	if (ret == 0)
		ret = move_all(l, true, cpuset && cpu_mode_has_partition(l->rt, &v1) && !v1);
	l->once = true;
	if (ret == 0 && r->mode != RTKVM_CPU_OFFLINE)
		ret = cpu_hotplug_cycle(l);
	if (ret == 0 && r->mode != RTKVM_CPU_OFFLINE)
		ret = cpu_resctrl_make(l, r->schemata);
	if (ret == 0)
		ret = cpu_mode_enter(l, r->mode);
	l->once = false;
	rtkvm_statedir_unlock(l->lease->dir_fd);
	return ret < 0 ? ret : first_problem(l);
}

int rtkvm_cpu_lease_acquire(struct rtkvm *rt, const struct rtkvm_cpu_request *request,
			    struct rtkvm_cpu_lease **out)
{
	struct rtkvm_cpu_request r;
	struct cpu_choice choice = { .rt = rt, .request = &r };
	struct rtkvm_cpu_lease *l;
	struct rtkvm_error saved;
	int ret;

	if (out)
		*out = NULL;
	if (!rt || !out)
		return rtkvm_fail(rt, EINVAL, "rtkvm_cpu_lease_acquire", NULL, "%s is NULL",
				  rt ? "lease" : "rt");
	ret = cpu_request_take(rt, request, &r);
	if (ret < 0)
		return ret;
	l = new_lease(rt);
	if (!l)
		return rtkvm_fail(rt, ENOMEM, NULL, NULL, "no memory for a lease");
	ret = rtkvm_lease_claim(rt, r.name, cpu_choose, &choice, &l->lease);
	if (ret < 0) {
		free_lease(l);
		return ret;
	}
	l->id = rtkvm_lease_id(l->lease);
	l->flags = r.flags;
	rtkvm_cpus_parse_list(l->lease->store.journal.changes[0].after, &l->cpus, NULL);
	l->rest = choice.topology.online;
	cpus_without(&l->rest, &choice.leased);
	cpus_without(&l->rest, &l->cpus);
	l->nohz_full = choice.topology.nohz_full;
	ret = take_away(l, &r, &choice.leased);
	if (ret < 0) {
		rtkvm_error_save(&saved);
		rtkvm_lease_release(l->lease, NULL);
		free_lease(l);
		rtkvm_error_restore(&saved);
		return ret;
	}
	*out = l;
	return 0;
}

/* The claim, and the cpuset, from the journal that the descriptor is open on. */
static int read_claim(struct rtkvm_cpu_lease *l)
{
	char why[RTKVM_WHY_MAX], *text;
	struct rtkvm_journal j;
	struct stat st;
	ssize_t len;
	int ret = -EBADMSG;

	if (fstat(l->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > RTKVM_JOURNAL_MAX)
		return -EBADMSG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	len = pread(l->fd, text, (size_t)st.st_size, 0);
	if (len >= 0)
		ret = rtkvm_journal_parse(text, (size_t)len, &j, why);
	free(text);
	if (len < 0)
		return -errno;
	if (ret == 0) {
		l->mode = RTKVM_CPU_AFFINITY;
		for (size_t i = 0; i < j.count; i++) {
			const struct rtkvm_change *c = &j.changes[i];

			if (c->undone)
				continue;
			if (c->kind == RTKVM_CHANGE_CLAIM) {
				l->id = c->start;
				rtkvm_cpus_parse_list(c->after, &l->cpus, NULL);
			} else if (c->kind == RTKVM_CHANGE_PARTITION) {
				l->mode = RTKVM_CPU_PARTITION;
				snprintf(l->partition, sizeof(l->partition), "%.*s",
					 (int)strcspn(c->after, ":"), c->after);
			} else if (c->kind == RTKVM_CHANGE_KNOB &&
				   c->knob == RTKVM_KNOB_CPU_ONLINE) {
				l->mode = RTKVM_CPU_OFFLINE;
			}
		}
		ret = rtkvm_cpus_count(&l->cpus) ? 0 : -EBADMSG;
	}
	rtkvm_journal_clear(&j);
	return ret;
}

int rtkvm_cpu_lease_from_fd(struct rtkvm *rt, int fd, struct rtkvm_cpu_lease **out)
{
	struct rtkvm_cpu_lease *l;
	int ret;

	if (out)
		*out = NULL;
	if (!rt || !out)
		return rtkvm_fail(rt, EINVAL, "rtkvm_cpu_lease_from_fd", NULL, "%s is NULL",
				  rt ? "lease" : "rt");
	l = new_lease(rt);
	if (!l)
		return rtkvm_fail(rt, ENOMEM, NULL, NULL, "no memory for a lease");
	l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	ret = l->fd < 0 ? -errno : read_claim(l);
	if (ret < 0) {
		if (l->fd >= 0)
			close(l->fd);
		free_lease(l);
		return rtkvm_fail(rt, -ret, "descriptor", "pass that of rtkvm_cpu_lease_fd()",
				  "descriptor %d is not that of a CPU lease: %s", fd,
				  strerror(-ret));
	}
	*out = l;
	return 0;
}

int rtkvm_cpu_lease_fd(const struct rtkvm_cpu_lease *l)
{
	if (!l)
		return -EINVAL;
	return l->lease ? rtkvm_lease_fd(l->lease) : l->fd;
}

uint32_t rtkvm_cpu_lease_get_count(const struct rtkvm_cpu_lease *l)
{
	return l ? rtkvm_cpus_count(&l->cpus) : 0;
}

int rtkvm_cpu_lease_get_cpu(const struct rtkvm_cpu_lease *l, uint32_t index)
{
	int cpu = -1;

	if (!l || index >= rtkvm_cpus_count(&l->cpus))
		return -EINVAL;
	do
		cpu = rtkvm_cpus_next(&l->cpus, (unsigned int)cpu + 1);
	while (index--);
	return cpu;
}

int rtkvm_cpu_lease_get_mode(const struct rtkvm_cpu_lease *l)
{
	return l ? l->mode : -EINVAL;
}

/* before: what it had outside of the partition that it has entered; "": not known */
static int set_affinity(struct rtkvm_cpu_lease *l, pid_t tid, const char *before,
			const struct rtkvm_cpus *cpus)
{
	char text[RTKVM_VALUE_MAX], now[RTKVM_VALUE_MAX];
	int ret;

	if (rtkvm_cpus_print_list(cpus, text, sizeof(text)) <= 0)
		return -EINVAL;
	if (l->lease)
		return before[0] ? rtkvm_lease_move_thread(l->lease, tid, before, text) :
				   rtkvm_lease_set_thread_cpus(l->lease, tid, text);
	/* another's lease: its own thread, which ends with it */
	ret = rtkvm_thread_cpus_write(tid, text);
	if (ret == 0)
		ret = rtkvm_thread_cpus_read(tid, now);
	if (ret == 0 && strcmp(now, text) != 0)
		ret = -EIO;
	return ret == 0 ? 0 :
			  rtkvm_fail(l->rt, -ret, "sched_setaffinity", NULL,
				     "thread %d cannot run on CPU %s: %s", (int)tid, text,
				     strerror(-ret));
}

static int enter_partition(struct rtkvm_cpu_lease *l, pid_t tid)
{
	int ret = rtkvm_partition_enter(l->rt, l->id, tid);

	if (ret == 0)
		return 0;
	return rtkvm_fail(l->rt, -ret, "cpuset of the lease",
			  ret == -EOPNOTSUPP ?
				  "run the process in the root cgroup, or lease with "
				  "RTKVM_CPU_AFFINITY" :
				  "run as root, or lease with RTKVM_CPU_AFFINITY",
			  "thread %d cannot enter it: %s", (int)tid, strerror(-ret));
}

static bool inside(const struct rtkvm_cpu_lease *l, const char *text)
{
	struct rtkvm_cpus cpus;

	return rtkvm_cpus_parse_list(text, &cpus, NULL) == 0 && rtkvm_cpus_subset(&cpus, &l->cpus);
}

int rtkvm_cpu_lease_add_thread(struct rtkvm_cpu_lease *l, pid_t tid, int index)
{
	struct cpu_attached *more, me = { .tid = tid };
	char before[RTKVM_VALUE_MAX] = "";
	struct rtkvm_cpus cpus;
	int ret;

	if (!l || tid < 0 || index < -1 || index >= (int)rtkvm_cpus_count(&l->cpus))
		return rtkvm_fail(l ? l->rt : NULL, EINVAL, "rtkvm_cpu_lease_add_thread", NULL,
				  !l ? "lease is NULL" : tid < 0 ? "tid is negative" :
								   "index out of range");
	cpus = l->cpus;
	if (index >= 0) {
		rtkvm_cpus_clear(&cpus);
		rtkvm_cpus_add(&cpus, (unsigned int)rtkvm_cpu_lease_get_cpu(l, (uint32_t)index));
	}
	if ((l->mode == RTKVM_CPU_OFFLINE && !rtkvm_cpus_subset(&cpus, &l->back)) || l->rt->made_up)
		return rtkvm_fail(l->rt, EOPNOTSUPP, "rtkvm_cpu_lease_add_thread",
				  "lease with RTKVM_CPU_BEST",
				  l->rt->made_up ? "a made-up tree has no threads" :
						   "no thread of Linux can run on an offline CPU");
	if (!me.tid)
		me.tid = (pid_t)syscall(SYS_gettid);
	ret = rtkvm_thread_start(l->rt, me.tid, &me.start);
	if (ret < 0)
		return rtkvm_fail(l->rt, -ret, "/proc", "name a thread that runs",
				  "no thread %d", (int)me.tid);
	more = realloc(l->attached, (l->attached_count + 1) * sizeof(*more));
	if (!more)
		return rtkvm_fail(l->rt, ENOMEM, NULL, NULL, "no memory for a thread");
	l->attached = more;
	if (l->mode == RTKVM_CPU_PARTITION) {
		/* one that is in it already has its record */
		if (rtkvm_thread_cpus_read(me.tid, before) < 0 || inside(l, before))
			before[0] = '\0';
		ret = enter_partition(l, me.tid);
		if (ret < 0)
			return ret;
	}
	ret = set_affinity(l, me.tid, before, &cpus);
	if (ret == 0)
		l->attached[l->attached_count++] = me;
	return ret;
}

/*
 * What has come to the CPUs when they were online again is moved, and the rest is
 * as if the lease had been taken so. With the lock of the state directory.
 */
static int end_offline(struct rtkvm_cpu_lease *l)
{
	bool v1;
	int ret = move_all(l, false, cpu_mode_has_partition(l->rt, &v1) && !v1);

	return ret < 0 ? ret : cpu_mode_enter(l, RTKVM_CPU_BEST);
}

int rtkvm_cpu_lease_bring_online(struct rtkvm_cpu_lease *l, uint32_t index)
{
	int cpu = rtkvm_cpu_lease_get_cpu(l, index), ret;

	if (!l || cpu < 0)
		return rtkvm_fail(l ? l->rt : NULL, EINVAL, "rtkvm_cpu_lease_bring_online", NULL,
				  l ? "index out of range" : "lease is NULL");
	if (l->mode != RTKVM_CPU_OFFLINE || rtkvm_cpus_has(&l->back, (unsigned int)cpu))
		return 0;
	if (!l->lease)
		return rtkvm_fail(l->rt, EPERM, "rtkvm_cpu_lease_bring_online",
				  "let the process that took it do so",
				  "the lease came by a descriptor");
	ret = rtkvm_statedir_lock(l->rt, l->lease->dir_fd, true);
	if (ret < 0)
		return ret;
	cpu_claims_close(l, cpu);
	ret = cpu_mode_bring_online(l, (unsigned int)cpu);
	if (ret == 0 && !cpu_mode_any_offline(l))
		ret = end_offline(l);
	rtkvm_statedir_unlock(l->lease->dir_fd);
	return ret;
}

/* Once more: it may have been started since. */
static int tell_irqbalance(struct rtkvm_cpu_lease *l)
{
	struct rtkvm_scan scan = { 0 };
	struct rtkvm_cpus others;
	char boot_id[37];
	int ret = rtkvm_boot_id(l->rt, boot_id);

	rtkvm_cpus_clear(&others);
	if (ret == 0)
		ret = rtkvm_scan(l->rt, l->lease->dir_fd, boot_id, NULL, false, &scan);
	if (ret == 0)
		rtkvm_scan_claims(&scan, &others);
	rtkvm_scan_free(&scan);
	return ret < 0 ? ret : cpu_irqbalance_tell(l, &others);
}

int rtkvm_cpu_lease_repair(struct rtkvm_cpu_lease *l, struct rtkvm_report **report)
{
	int ret, given;

	if (report)
		*report = NULL;
	if (!l)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_cpu_lease_repair", NULL, "lease is NULL");
	if (!l->lease)
		return rtkvm_fail(l->rt, EPERM, "rtkvm_cpu_lease_repair",
				  "let the process that took it repair it",
				  "the lease came by a descriptor");
	cpu_notes_clear(l, false);
	ret = rtkvm_statedir_lock(l->rt, l->lease->dir_fd, true);
	if (ret == 0) {
		ret = tell_irqbalance(l);
		if (ret == 0)
			ret = move_all(l, false, false);
		rtkvm_statedir_unlock(l->lease->dir_fd);
	}
	given = report ? rtkvm_cpu_lease_report(l, report) : 0;
	return ret < 0 ? ret : given;
}

void rtkvm_cpu_lease_leave(struct rtkvm_cpu_lease *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	if (l->lease)
		rtkvm_lease_leave(l->lease);
	free_lease(l);
}

int rtkvm_cpu_lease_release(struct rtkvm_cpu_lease *l, struct rtkvm_report **report)
{
	int ret;

	if (!l)
		return rtkvm_lease_release(NULL, report);
	cpu_claims_close(l, -1); /* first: a claimed CPU does not come online */
	if (l->lease) {
		ret = rtkvm_lease_release(l->lease, report);
	} else {
		ret = rtkvm_report_finish(rtkvm_report_new(), report);
		close(l->fd);
	}
	free_lease(l);
	return ret;
}
