/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy, priority and CPUs of a thread, of any process, as text that a
 * journal can keep. Which thread runs how is decided by callers (plan.h).
 *
 * sched_setscheduler(2) and not sched_setattr(2): it keeps the thread's nice
 * value, its own slice and its utilisation clamps, also over a time with a
 * real-time policy, and so gives back more than a saved struct sched_attr
 * could (a real-time thread's nice value is not in it).
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cpulist.h"
#include "core/file.h"
#include "lease_priv.h"

#ifndef SCHED_RESET_ON_FORK
#define SCHED_RESET_ON_FORK 0x40000000
#endif

/* The kernel's numbers; not all are in every libc's sched.h. */
enum { TS = 0, FF = 1, RR = 2, BATCH = 3, IDLE = 5, DEADLINE = 6, EXT = 7 };

/* struct sched_attr of the first kernel that had it (3.14). */
struct attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

/* The only flag of sched_getattr(2) that sched_setscheduler(2) has as well. */
#define ATTR_RESET_ON_FORK 1

static bool policy_ok(int policy, int priority, bool strict)
{
	switch (policy) {
	case FF:
	case RR:
		return priority >= 1 && priority <= 99;
	case TS:
		return priority == 0;
	case BATCH:
	case IDLE:
	case EXT:
		return !strict && priority == 0;
	default: /* deadline parameters are more than a record holds */
		return false;
	}
}

/* One to two digits up to the terminator given; NULL: not there. */
static const char *small(const char *p, char end, int *value)
{
	const char *q = p;

	*value = 0;
	while (*q >= '0' && *q <= '9' && q - p < 2)
		*value = *value * 10 + (*q++ - '0');
	if (q == p || *q != end || (*p == '0' && q - p > 1))
		return NULL;
	return q + (end != '\0');
}

bool rtkvm_sched_parse(const char *text, bool strict, struct rtkvm_sched *sched)
{
	int reset;

	text = small(text, ':', &sched->policy);
	if (text)
		text = small(text, ':', &sched->priority);
	if (text)
		text = small(text, '\0', &reset);
	if (!text || reset > 1)
		return false;
	sched->reset_on_fork = reset;
	return policy_ok(sched->policy, sched->priority, strict);
}

void rtkvm_sched_print(const struct rtkvm_sched *sched, char *out, size_t size)
{
	snprintf(out, size, "%d:%d:%d", sched->policy, sched->priority, sched->reset_on_fork);
}

int rtkvm_sched_read(pid_t tid, struct rtkvm_sched *sched)
{
	struct attr attr = { .size = sizeof(attr) };

	if (syscall(SYS_sched_getattr, tid, &attr, sizeof(attr), 0) < 0)
		return -errno;
	sched->policy = (int)attr.policy;
	sched->priority = (int)attr.priority;
	sched->reset_on_fork = attr.flags & ATTR_RESET_ON_FORK;
	return policy_ok(sched->policy, sched->priority, false) ? 0 : -EPERM;
}

int rtkvm_sched_write(pid_t tid, const struct rtkvm_sched *sched)
{
	struct sched_param param = { .sched_priority = sched->priority };
	int policy = sched->policy | (sched->reset_on_fork ? SCHED_RESET_ON_FORK : 0);

	return sched_setscheduler(tid, policy, &param) < 0 ? -errno : 0;
}

bool rtkvm_thread_cpus_ok(const char *text)
{
	struct rtkvm_cpus cpus;

	return strlen(text) < RTKVM_VALUE_MAX && !rtkvm_cpus_parse_list(text, &cpus, NULL) &&
	       rtkvm_cpus_count(&cpus) > 0;
}

bool rtkvm_thread_cpus_equal(const char *a, const char *b)
{
	struct rtkvm_cpus ca, cb;

	return !rtkvm_cpus_parse_list(a, &ca, NULL) && !rtkvm_cpus_parse_list(b, &cb, NULL) &&
	       rtkvm_cpus_equal(&ca, &cb);
}

int rtkvm_thread_cpus_read(pid_t tid, char out[RTKVM_VALUE_MAX])
{
	struct rtkvm_cpus cpus;

	rtkvm_cpus_clear(&cpus);
	if (sched_getaffinity(tid, sizeof(cpus.bits), (cpu_set_t *)(void *)cpus.bits) < 0)
		return -errno;
	return rtkvm_cpus_print_list(&cpus, out, RTKVM_VALUE_MAX) < 0 ? -EILSEQ : 0;
}

int rtkvm_thread_cpus_write(pid_t tid, const char *text)
{
	struct rtkvm_cpus cpus;

	if (rtkvm_cpus_parse_list(text, &cpus, NULL) < 0)
		return -EINVAL;
	if (sched_setaffinity(tid, sizeof(cpus.bits), (cpu_set_t *)(void *)cpus.bits) < 0)
		return -errno;
	return 0;
}

/* Field 22 of stat; the name in field 2 may hold spaces and parentheses. */
static bool parse_start(const char *stat, uint64_t *start)
{
	const char *p = strrchr(stat, ')');
	char *end;

	if (!p)
		return false;
	for (int field = 2; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return false;
		p++;
	}
	errno = 0;
	*start = strtoull(p, &end, 10);
	return !errno && end != p && *end == ' ';
}

int rtkvm_thread_start(struct rtkvm *rt, pid_t tid, uint64_t *start)
{
	char path[64], stat[2048];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	len = rtkvm_file_read_quiet(rt, path, stat, sizeof(stat));
	if (len == -ENOENT || len == -ESRCH) {
		/* hidepid hides threads that exist */
		return sched_getscheduler(tid) >= 0 && !rt->made_up ? -EACCES : -ESRCH;
	}
	if (len < 0)
		return (int)len;
	return parse_start(stat, start) ? 0 : -EILSEQ;
}
