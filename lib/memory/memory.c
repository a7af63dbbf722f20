/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that takes no page fault; see rtkvm/memory.h. System calls and no
 * libnuma: three are needed of it, and it prints errors by itself.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rtkvm/memory.h>

#include "core/core.h"
#include "core/reports.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define REQUEST_MIN sizeof(struct rtkvm_memory_request)
#define FAULTS_MIN sizeof(struct rtkvm_faults)
#define DEFAULTS (RTKVM_MEMORY_NO_KSM | RTKVM_MEMORY_PREFAULT | RTKVM_MEMORY_LOCK)
#define ALL (DEFAULTS | RTKVM_MEMORY_BIND | RTKVM_MEMORY_THP | RTKVM_MEMORY_NO_THP)
#define PIECE ((size_t)64 << 20)
#define NODES 1024

struct range {
	char *start;
	size_t length;
	const struct rtkvm_memory_request *request;
};

void rtkvm_memory_request_init(struct rtkvm_memory_request *request, size_t size)
{
	struct rtkvm_memory_request defaults = {
		.size = size,
		.features = DEFAULTS,
		.node = -1,
	};

	if (!request)
		return;
	memset(request, 0, size);
	memcpy(request, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

/* Each: 0 or -errno, and the state that it came to. */
static int bind_to_node(const struct range *r, int *state)
{
	unsigned long nodes[NODES / 64] = { 0 };
	int policy = -1, node = r->request->node;

	nodes[node / 64] = 1UL << (node % 64);
	if (syscall(SYS_mbind, r->start, r->length, MPOL_BIND, nodes, NODES + 1, MPOL_MF_MOVE) < 0)
		return -errno;
	memset(nodes, 0, sizeof(nodes));
	if (syscall(SYS_get_mempolicy, &policy, nodes, NODES, r->start, MPOL_F_ADDR) < 0) {
		*state = RTKVM_STATE_ACCEPTED;
		return 0;
	}
	*state = RTKVM_STATE_VERIFIED;
	return policy == MPOL_BIND && nodes[node / 64] >> (node % 64) & 1 ? 0 : -EIO;
}

/*
 * Do all mappings of the range have this flag (proc_pid_smaps(5)), or none?
 * VERIFIED or -EIO; ACCEPTED where the kernel does not show them.
 */
static int check_flag(const struct range *r, const char *flag, bool wanted, int *state)
{
	unsigned long from = (unsigned long)r->start, to = from + r->length, start, end;
	char line[512];
	bool inside = false, seen = false;
	FILE *f = fopen("/proc/self/smaps", "re");
	int ret = 0;

	*state = RTKVM_STATE_ACCEPTED;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			inside = start < to && end > from;
		} else if (inside && !strncmp(line, "VmFlags:", 8)) {
			seen = true;
			/* pages of hugetlbfs are never swapped, and so not marked as locked */
			if (!strcmp(flag, " lo") && strstr(line, " ht"))
				continue;
			if ((strstr(line, flag) != NULL) != wanted)
				ret = -EIO;
		}
	}
	if (f)
		fclose(f);
	if (seen)
		*state = RTKVM_STATE_VERIFIED;
	return ret;
}

/* A kernel without what is advised against does not do it: EINVAL, and all is well. */
static int advise_against(const struct range *r, int advice, int *state)
{
	*state = RTKVM_STATE_VERIFIED;
	return madvise(r->start, r->length, advice) < 0 ? -errno : 0;
}

static int keep_from_ksm(const struct range *r, int *state)
{
	int ret = advise_against(r, MADV_UNMERGEABLE, state);

	return ret == -EINVAL ? 0 : ret < 0 ? ret : check_flag(r, " mg", false, state);
}

static int keep_from_khugepaged(const struct range *r, int *state)
{
	int ret = advise_against(r, MADV_NOHUGEPAGE, state);

	return ret == -EINVAL ? 0 : ret < 0 ? ret : check_flag(r, " nh", true, state);
}

static int ask_for_thp(const struct range *r, int *state)
{
	if (madvise(r->start, r->length, MADV_HUGEPAGE) < 0)
		return errno == EINVAL ? -EOPNOTSUPP : -errno;
	return check_flag(r, " hg", true, state);
}

/* Is every page there? */
static int check_resident(const struct range *r, int *state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *in = malloc(PIECE / page);
	int ret = in ? 0 : -ENOMEM;

	for (size_t at = 0; at < r->length && ret == 0; at += PIECE) {
		size_t n = r->length - at < PIECE ? r->length - at : PIECE;

		if (mincore(r->start + at, n, in) < 0)
			ret = -errno;
		for (size_t i = 0; i < n / page && ret == 0; i++)
			ret = in[i] & 1 ? 0 : -EIO;
	}
	free(in);
	*state = RTKVM_STATE_VERIFIED;
	return ret;
}

static int prefault(const struct range *r, int *state)
{
	const struct rtkvm_memory_request *q = r->request;

	for (size_t at = 0; at < r->length; at += PIECE) {
		size_t n = r->length - at < PIECE ? r->length - at : PIECE;
		int ret;

		do
			ret = madvise(r->start + at, n, MADV_POPULATE_WRITE);
		while (ret < 0 && errno == EINTR);
		if (ret < 0)
			return -errno;
		if (q->progress && q->progress(at + n, r->length, q->progress_arg))
			return -ECANCELED;
	}
	return check_resident(r, state);
}

static int lock(const struct range *r, int *state)
{
	return mlock(r->start, r->length) < 0 ? -errno : check_flag(r, " lo", true, state);
}

static const struct {
	uint32_t feature;
	const char *name;
	int (*run)(const struct range *r, int *state);
	const char *done, *remedy;
} steps[] = {
	{ RTKVM_MEMORY_BIND, "bind", bind_to_node, "pages come from that node",
	  "name a node of /sys/devices/system/node/has_memory" },
	{ RTKVM_MEMORY_NO_KSM, "no-ksm", keep_from_ksm, "never merged", "map it before" },
	{ RTKVM_MEMORY_NO_THP, "no-thp", keep_from_khugepaged, "khugepaged leaves it alone",
	  "map it before" },
	{ RTKVM_MEMORY_THP, "thp", ask_for_thp, "huge pages where they fit",
	  "use MAP_HUGETLB; transparent ones take CONFIG_TRANSPARENT_HUGEPAGE, which PREEMPT_RT "
	  "excludes" },
	{ RTKVM_MEMORY_PREFAULT, "prefault", prefault, "every page is there",
	  "give it more memory or huge pages; MADV_POPULATE_WRITE takes Linux 5.14" },
	{ RTKVM_MEMORY_LOCK, "lock", lock, "locked",
	  "raise RLIMIT_MEMLOCK or give it CAP_IPC_LOCK" },
};

static int take(struct rtkvm *rt, void *address, size_t length,
		const struct rtkvm_memory_request *from, struct rtkvm_memory_request *to)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int ret = 0;

	rtkvm_memory_request_init(to, sizeof(*to));
	if (from)
		ret = rtkvm_options_take(rt, to, sizeof(*to), REQUEST_MIN, from,
					 "struct rtkvm_memory_request");
	if (ret < 0)
		return ret;
	if (!rt || !address || !length || (uintptr_t)address % page || length % page)
		return rtkvm_fail(rt, EINVAL, "rtkvm_memory_prepare", "give whole pages",
				  "rt is NULL, or address or length is 0 or not page-aligned");
	if (to->features & ~(uint32_t)ALL ||
	    (to->features & RTKVM_MEMORY_THP && to->features & RTKVM_MEMORY_NO_THP) ||
	    (to->features & RTKVM_MEMORY_BIND && (to->node < 0 || to->node >= NODES)))
		return rtkvm_fail(rt, EINVAL, "struct rtkvm_memory_request",
				  "use RTKVM_MEMORY_*, and a node from 0 to 1023 to bind to",
				  "unknown feature, huge pages with and without, or node %d", to->node);
	return 0;
}

int rtkvm_memory_prepare(struct rtkvm *rt, void *address, size_t length,
			 const struct rtkvm_memory_request *request, struct rtkvm_report **out)
{
	struct rtkvm_memory_request q;
	struct range r = { .start = address, .length = length, .request = &q };
	struct rtkvm_report *report;
	int ret, first = 0, given;

	if (out)
		*out = NULL;
	ret = take(rt, address, length, request, &q);
	if (ret < 0)
		return ret;
	report = rtkvm_report_new();
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int state = RTKVM_STATE_OFF;

		if (!(q.features & steps[i].feature))
			continue;
		ret = steps[i].run(&r, &state);
		if (ret == 0) {
			rtkvm_report_add(report, steps[i].name, state, false, "%s", steps[i].done);
			continue;
		}
		rtkvm_report_add(report, steps[i].name, RTKVM_STATE_OFF, true, "%s: %s",
				 strerror(-ret), steps[i].remedy);
		if (!first)
			first = rtkvm_fail(rt, -ret, steps[i].name, steps[i].remedy,
					   "memory cannot be made ready: %s", strerror(-ret));
	}
	given = rtkvm_report_finish(report, out);
	return first ? first : out ? given : 0;
}

int rtkvm_faults_get(struct rtkvm_faults *faults)
{
	struct rusage use;

	if (!faults || faults->size < FAULTS_MIN || getrusage(RUSAGE_THREAD, &use) < 0)
		return -EINVAL;
	faults->minor = (uint64_t)use.ru_minflt;
	faults->major = (uint64_t)use.ru_majflt;
	return 0;
}
