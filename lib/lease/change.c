/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One change, of a knob or a thread: what the rest of lib/lease needs to know
 * of it, so that journaling and undoing are the same for all kinds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "lease_priv.h"

static bool is_thread(const struct rtkvm_change *c)
{
	return c->kind == RTKVM_CHANGE_SCHED || c->kind == RTKVM_CHANGE_CPUS;
}

static bool is_take(const struct rtkvm_change *c);

bool rtkvm_change_valid(const struct rtkvm_change *c)
{
	struct rtkvm_sched sched;
	int64_t us;

	if (c->take && !is_take(c))
		return false;
	switch (c->kind) {
	case RTKVM_CHANGE_KNOB:
		return rtkvm_knob_index_ok(c->knob, c->index) &&
		       rtkvm_knob_value_ok(c->knob, c->before, false) &&
		       rtkvm_knob_value_ok(c->knob, c->after, true);
	case RTKVM_CHANGE_SCHED:
		return c->tid > 0 && rtkvm_sched_parse(c->before, false, &sched) &&
		       rtkvm_sched_parse(c->after, true, &sched);
	case RTKVM_CHANGE_CPUS:
		return c->tid > 0 && rtkvm_thread_cpus_ok(c->before) &&
		       rtkvm_thread_cpus_ok(c->after);
	case RTKVM_CHANGE_HOLD:
		return rtkvm_parse_i64(c->after, 0, INT32_MAX, &us);
	case RTKVM_CHANGE_CLAIM:
		return rtkvm_thread_cpus_ok(c->after);
	case RTKVM_CHANGE_PARTITION:
		return rtkvm_partition_ok(c->after);
	case RTKVM_CHANGE_IRQBALANCE:
		return rtkvm_thread_cpus_ok(c->after);
	case RTKVM_CHANGE_RESCTRL:
		return rtkvm_resctrl_ok(c->after);
	case RTKVM_CHANGE_TARGET:
	case RTKVM_CHANGE_WATCH:
		return c->tid > 0;
	default:
		return false;
	}
}

/* A set of CPUs of a knob or a thread. */
static bool cpus_of(const struct rtkvm_change *c, const char *text, struct rtkvm_cpus *cpus)
{
	if (c->kind == RTKVM_CHANGE_CPUS)
		return !rtkvm_cpus_parse_list(text, cpus, NULL);
	return c->kind == RTKVM_CHANGE_KNOB && rtkvm_knob_cpus(c->knob, text, cpus);
}

/* Only the CPUs of a that b has not. */
static void without(struct rtkvm_cpus *a, const struct rtkvm_cpus *b)
{
	for (unsigned int i = 0; i < RTKVM_CPULIST_WORDS; i++)
		a->bits[i] &= ~b->bits[i];
}

/* Was something taken out of a set, and nothing put in? */
static bool is_take(const struct rtkvm_change *c)
{
	struct rtkvm_cpus before, after;

	return cpus_of(c, c->before, &before) && cpus_of(c, c->after, &after) &&
	       rtkvm_cpus_subset(&after, &before);
}

int rtkvm_change_put_back(const struct rtkvm_change *c, const char *now,
			  const struct rtkvm_cpus *leased, char out[RTKVM_VALUE_MAX])
{
	struct rtkvm_cpus taken, rest, is, common;

	if (!cpus_of(c, c->before, &taken) || !cpus_of(c, c->after, &rest) ||
	    !cpus_of(c, now, &is))
		return -1;
	without(&taken, &rest);
	if (rtkvm_cpus_subset(&taken, &is))
		return 0;
	common = taken;
	rtkvm_cpus_and(&common, &is);
	/* what other leases have taken out of it since is theirs to put back */
	without(&rest, leased);
	if (rtkvm_cpus_next(&common, 0) >= 0 || !rtkvm_cpus_subset(&rest, &is))
		return -1;
	for (unsigned int i = 0; i < RTKVM_CPULIST_WORDS; i++)
		is.bits[i] |= taken.bits[i];
	if (c->kind == RTKVM_CHANGE_CPUS)
		return rtkvm_cpus_print_list(&is, out, RTKVM_VALUE_MAX) > 0 ? 1 : -1;
	return rtkvm_knob_print_cpus(c->knob, &is, out) ? 1 : -1;
}

bool rtkvm_change_equal(const struct rtkvm_change *c, const char *a, const char *b)
{
	switch (c->kind) {
	case RTKVM_CHANGE_KNOB:
		return rtkvm_knob_equal(c->knob, a, b);
	case RTKVM_CHANGE_CPUS:
		return rtkvm_thread_cpus_equal(a, b);
	case RTKVM_CHANGE_CLAIM:
		return !strcmp(a, b) || rtkvm_thread_cpus_equal(a, b);
	default:
		return !strcmp(a, b);
	}
}

bool rtkvm_change_same_target(const struct rtkvm_change *a, const struct rtkvm_change *b)
{
	if (a->kind != b->kind || a->kind == RTKVM_CHANGE_HOLD || a->kind == RTKVM_CHANGE_TARGET ||
	    a->kind == RTKVM_CHANGE_WATCH || a->kind == RTKVM_CHANGE_IRQBALANCE)
		return false;
	if (a->kind == RTKVM_CHANGE_KNOB)
		return a->knob == b->knob && a->index == b->index;
	return a->tid == b->tid && a->start == b->start;
}

/* -ESRCH unless this is still the thread that the change is about. */
static int check_thread(struct rtkvm *rt, const struct rtkvm_change *c)
{
	uint64_t start;
	int ret = rtkvm_thread_start(rt, c->tid, &start);

	if (ret < 0)
		return ret;
	return start == c->start ? 0 : -ESRCH;
}

int rtkvm_change_read(struct rtkvm *rt, const struct rtkvm_change *c, char out[RTKVM_VALUE_MAX])
{
	struct rtkvm_sched sched;
	int ret;

	out[0] = '\0';
	if (c->kind == RTKVM_CHANGE_KNOB)
		return rtkvm_knob_read(rt, c->knob, c->index, out);
	if (c->kind == RTKVM_CHANGE_CLAIM)
		return rtkvm_claim_read(rt, c->start, out);
	if (c->kind == RTKVM_CHANGE_PARTITION)
		return rtkvm_partition_read(rt, c->start, out);
	if (c->kind == RTKVM_CHANGE_IRQBALANCE)
		return rtkvm_irqbalance_read(rt, c, out);
	if (c->kind == RTKVM_CHANGE_RESCTRL)
		return rtkvm_resctrl_read(rt, c, out);
	if (!is_thread(c))
		return -EINVAL;
	if (rt->made_up)
		return -EOPNOTSUPP;
	if (c->kind == RTKVM_CHANGE_CPUS) {
		ret = rtkvm_thread_cpus_read(c->tid, out);
	} else {
		ret = rtkvm_sched_read(c->tid, &sched);
		if (ret == 0)
			rtkvm_sched_print(&sched, out, RTKVM_VALUE_MAX);
	}
	/* asked after: then what was read was this thread's */
	return ret < 0 ? ret : check_thread(rt, c);
}

int rtkvm_change_write(struct rtkvm *rt, const struct rtkvm_change *c, const char *text)
{
	struct rtkvm_sched sched;
	int ret;

	if (c->kind == RTKVM_CHANGE_KNOB)
		return rtkvm_knob_write(rt, c->knob, c->index, text);
	if (c->kind == RTKVM_CHANGE_CLAIM)
		return rtkvm_claim_write(rt, c->start, text);
	if (c->kind == RTKVM_CHANGE_PARTITION)
		return rtkvm_partition_write(rt, c->start, text);
	if (c->kind == RTKVM_CHANGE_RESCTRL)
		return rtkvm_resctrl_write(rt, c->start, text);
	if (!is_thread(c))
		return -EINVAL;
	if (rt->made_up)
		return -EOPNOTSUPP;
	ret = check_thread(rt, c);
	if (ret < 0)
		return ret;
	if (c->kind == RTKVM_CHANGE_CPUS)
		return rtkvm_thread_cpus_write(c->tid, text);
	if (!rtkvm_sched_parse(text, false, &sched))
		return -EINVAL;
	return rtkvm_sched_write(c->tid, &sched);
}

void rtkvm_change_label(const struct rtkvm_change *c, char out[RTKVM_LABEL_MAX])
{
	const char *name = rtkvm_knob_name(c->knob);

	switch (c->kind) {
	case RTKVM_CHANGE_KNOB:
		if (rtkvm_knob_indexed(c->knob))
			snprintf(out, RTKVM_LABEL_MAX, "%s %u", name, c->index);
		else
			snprintf(out, RTKVM_LABEL_MAX, "%s", name ? name : "unknown knob");
		break;
	case RTKVM_CHANGE_SCHED:
		snprintf(out, RTKVM_LABEL_MAX, "thread-sched %d", (int)c->tid);
		break;
	case RTKVM_CHANGE_CPUS:
		snprintf(out, RTKVM_LABEL_MAX, "thread-cpus %d", (int)c->tid);
		break;
	case RTKVM_CHANGE_CLAIM:
		snprintf(out, RTKVM_LABEL_MAX, "cpus");
		break;
	case RTKVM_CHANGE_PARTITION:
		snprintf(out, RTKVM_LABEL_MAX, "partition");
		break;
	case RTKVM_CHANGE_IRQBALANCE:
		snprintf(out, RTKVM_LABEL_MAX, "irqbalance");
		break;
	case RTKVM_CHANGE_RESCTRL:
		snprintf(out, RTKVM_LABEL_MAX, "resctrl");
		break;
	case RTKVM_CHANGE_TARGET:
		snprintf(out, RTKVM_LABEL_MAX, "target %d", (int)c->tid);
		break;
	case RTKVM_CHANGE_WATCH:
		snprintf(out, RTKVM_LABEL_MAX, "watch");
		break;
	default:
		snprintf(out, RTKVM_LABEL_MAX, "cstate");
	}
}

void rtkvm_change_where(const struct rtkvm_change *c, char *out, size_t size)
{
	if (c->kind == RTKVM_CHANGE_KNOB)
		rtkvm_knob_path(c->knob, c->index, out, size);
	else if (c->kind == RTKVM_CHANGE_CLAIM)
		snprintf(out, size, "/run/rtkvm/leased/%016llx", (unsigned long long)c->start);
	else if (c->kind == RTKVM_CHANGE_PARTITION)
		snprintf(out, size, "cgroup rtkvm-%016llx", (unsigned long long)c->start);
	else if (c->kind == RTKVM_CHANGE_RESCTRL)
		snprintf(out, size, "/sys/fs/resctrl/rtkvm-%016llx", (unsigned long long)c->start);
	else if (c->kind == RTKVM_CHANGE_IRQBALANCE)
		snprintf(out, size, "/run/irqbalance");
	else
		snprintf(out, size, "%s(%d)",
			 c->kind == RTKVM_CHANGE_CPUS ? "sched_setaffinity" : "sched_setscheduler",
			 (int)c->tid);
}

static const char *thread_remedy(const struct rtkvm_change *c, int err)
{
	if (err == EINVAL && c->kind == RTKVM_CHANGE_CPUS)
		return "give CPUs that are online and in the thread's cpuset";
	if (err == EACCES)
		return "mount /proc without hidepid, or run as root";
	if (err != EPERM)
		return NULL;
	if (c->kind == RTKVM_CHANGE_CPUS)
		return "run as root, with CAP_SYS_NICE, or as the owner of the thread";
	if (geteuid() == 0)
		return "give the thread's cgroup real-time runtime (cpu.rt_runtime_us), and do not "
		       "use it on a SCHED_DEADLINE thread";
	return "run as root, with CAP_SYS_NICE, or raise RLIMIT_RTPRIO of the thread's process";
}

const char *rtkvm_change_remedy(const struct rtkvm_change *c, int err)
{
	if (err == ESRCH)
		return "name a thread that runs";
	if (c->kind == RTKVM_CHANGE_CLAIM || c->kind == RTKVM_CHANGE_PARTITION ||
	    c->kind == RTKVM_CHANGE_IRQBALANCE || c->kind == RTKVM_CHANGE_RESCTRL)
		return rtkvm_remedy_for(err);
	if (c->kind != RTKVM_CHANGE_KNOB)
		return thread_remedy(c, err);
	if (c->knob == RTKVM_KNOB_IRQ_AFFINITY && (err == EIO || (err == EPERM && !geteuid())))
		return "managed by the kernel: keep it off isolated CPUs with the boot parameters "
		       "isolcpus=managed_irq and irqaffinity";
	if (c->knob == RTKVM_KNOB_CPU_ONLINE && err == EBUSY)
		return "a vCPU runs on it, or the kernel changes CPUs: end that VM, then rtkvm restore";
	if (err == ENOENT)
		return c->knob == RTKVM_KNOB_IRQ_AFFINITY ? "name an IRQ of /proc/interrupts" :
							    "this kernel does not have it";
	if (err == EINVAL)
		return "give a value that this host allows (CPUs must be online)";
	if (err == EILSEQ)
		return "it shows a value that could not be given back; see what set it";
	return rtkvm_remedy_for(err);
}

static const char *policy_name(int policy)
{
	static const char *const names[] = { "ts", "ff", "rr", "batch", "4", "idle", "6", "ext" };

	return policy >= 0 && policy < 8 ? names[policy] : "?";
}

void rtkvm_change_say(const struct rtkvm_change *c, const char *text, char *out, size_t size)
{
	struct rtkvm_sched sched;

	if (c->kind == RTKVM_CHANGE_SCHED && rtkvm_sched_parse(text, false, &sched))
		snprintf(out, size, "%s/%d%s", policy_name(sched.policy), sched.priority,
			 sched.reset_on_fork ? "/reset-on-fork" : "");
	else
		snprintf(out, size, "%s", text);
}

void rtkvm_change_clear(struct rtkvm_change *c)
{
	free(c->before);
	free(c->after);
	memset(c, 0, sizeof(*c));
}
