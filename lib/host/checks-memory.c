/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of memory: what moves, merges or takes pages away behind a VM's
 * back, and what a VM may lock. Pages of a running VM are in checks-vm.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "knob.h"
#include "parse.h"
#include "read.h"

static void check_ksm(struct host_facts *facts, const struct host_check *check,
		      struct host_finding *f)
{
	static const char run[] = "/sys/kernel/mm/ksm/run";
	int64_t value, shared = 0;

	(void)check;
	if (!host_need_number(facts, f, run, "/sys/kernel/mm", "the kernel has no KSM", &value))
		return;
	if (value < 0 || value > 2) {
		host_say(f, HOST_UNKNOWN, "%s: %lld is none of 0, 1, 2", run, (long long)value);
		return;
	}
	(void)host_number(facts, "/sys/kernel/mm/ksm/pages_shared", &shared);
	if (value == 1)
		host_say(f, HOST_FAIL, "ksmd runs (%lld pages are shared): a write to one faults",
			 (long long)shared);
	else if (value == 0 && shared > 0)
		host_say(f, HOST_WARN, "ksmd is stopped, but %lld pages are still shared",
			 (long long)shared);
	else
		host_say(f, HOST_OK, "ksmd does not run");
	if (f->verdict != HOST_OK)
		host_remedy(f, RTKVM_REMEDY_COMMAND, "echo 2 > %s", run);
}

static void check_swap(struct host_facts *facts, const struct host_check *check,
		       struct host_finding *f)
{
	char text[8192];
	unsigned int areas;

	(void)check;
	if (!host_need_text(facts, f, "/proc/swaps", "/proc/meminfo", "the kernel cannot swap", text,
			    sizeof(text)))
		return;
	if (host_swaps_parse(text, &areas) < 0) {
		host_malformed(f, "/proc/swaps", text, "a table of swap areas");
	} else if (areas) {
		host_say(f, HOST_WARN, "%u swap areas are in use", areas);
		host_remedy(f, RTKVM_REMEDY_COMMAND, "swapoff -a");
	} else {
		host_say(f, HOST_OK, "no swap area");
	}
}

static int one_size(struct host_facts *facts, const char *name, void *arg)
{
	uint64_t *kb = arg, size = 0;
	char path[128];
	int64_t count, page;
	int ret;

	if (strncmp(name, "hugepages-", 10) || strlen(name) < 13 ||
	    strcmp(name + strlen(name) - 2, "kB"))
		return 0;
	snprintf(path, sizeof(path), "%.*s", (int)(strlen(name) - 12), name + 10);
	if (!rtkvm_parse_i64(path, 1, 1 << 30, &page))
		return 0;
	size = (uint64_t)page;
	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%.40s/nr_hugepages", name);
	ret = host_number(facts, path, &count);
	if (ret < 0)
		return ret;
	if (count < 0 || count > INT32_MAX)
		return -EILSEQ;
	*kb += size * (uint64_t)count;
	return 0;
}

static void check_hugepages(struct host_facts *facts, const struct host_check *check,
			    struct host_finding *f)
{
	static const char folder[] = "/sys/kernel/mm/hugepages";
	uint64_t kb = 0;
	int ret = host_each(facts, folder, one_size, &kb);

	(void)check;
	if (ret == -ENOENT && host_exists(facts, "/sys/kernel/mm")) {
		host_say(f, HOST_NA, "the kernel has no hugetlbfs");
	} else if (ret < 0) {
		host_unreadable(facts, f, folder, ret);
	} else if (!kb) {
		host_say(f, HOST_WARN, "no hugepage is reserved");
		host_remedy(f, RTKVM_REMEDY_COMMAND,
			    "echo 512 > %s/hugepages-2048kB/nr_hugepages", folder);
	} else {
		host_say(f, HOST_OK, "%llu MiB of hugepages are reserved", (unsigned long long)kb / 1024);
	}
}

/* A limit of this process, or of the VM's launcher, that a capability lifts. */
static void check_limit(struct host_facts *facts, struct host_finding *f, const char *name,
			unsigned int cap, uint64_t want, const char *item, const char *value)
{
	char text[8192], word[32];
	uint64_t limit, caps = 0;
	int ret;

	if (host_text(facts, "/proc/self/status", text, sizeof(text)) < 0 ||
	    !host_key_get(text, "CapEff", word, sizeof(word)) || !host_hex_parse(word, &caps)) {
		host_unreadable(facts, f, "/proc/self/status", -EILSEQ);
		return;
	}
	if (!host_need_text(facts, f, "/proc/self/limits", NULL, NULL, text, sizeof(text)))
		return;
	ret = host_limit_get(text, name, &limit);
	if (ret < 0) {
		host_unreadable(facts, f, "/proc/self/limits", -EILSEQ);
		return;
	}
	if (caps >> cap & 1) {
		host_say(f, HOST_OK, "not limited: this user has the capability");
	} else if (limit >= want) {
		host_say(f, HOST_OK, limit == UINT64_MAX ? "%s: unlimited" : "%s: %llu", name,
			 (unsigned long long)limit);
	} else {
		host_say(f, HOST_FAIL, "%s: %llu", name, (unsigned long long)limit);
		host_remedy(f, RTKVM_REMEDY_COMMAND,
			    "printf '* - %s %s\\n' > /etc/security/limits.d/rtkvm-%s.conf # then log "
			    "in anew; for a service of systemd: %s=%s", item, value, item,
			    cap == 14 ? "LimitMEMLOCK" : "LimitRTPRIO",
			    cap == 14 ? "infinity" : value);
	}
}

static void check_memlock(struct host_facts *facts, const struct host_check *check,
			  struct host_finding *f)
{
	(void)check;
	check_limit(facts, f, "Max locked memory", 14, UINT64_MAX, "memlock", "unlimited");
}

static void check_rtprio(struct host_facts *facts, const struct host_check *check,
			 struct host_finding *f)
{
	(void)check;
	check_limit(facts, f, "Max realtime priority", 23, 1, "rtprio", "95");
}

#define THP "/sys/kernel/mm/transparent_hugepage/"
#define SYS_MM .folder = "/sys/kernel/mm"
#define SYS_VM .folder = "/proc/sys/vm"
#define SYS_KERNEL .folder = "/proc/sys/kernel"

static const struct host_knob thp = {
	.path = THP "enabled", SYS_MM, .absent = "the kernel has no transparent hugepages",
	.kind = HOST_KNOB_CHOICE, .bad = HOST_WARN, .want_text = "never madvise", .known = "always madvise never", .write = "never",
	.means = "khugepaged moves and maps pages of any process",
};

static const struct host_knob thp_defrag = {
	.path = THP "defrag", SYS_MM, .absent = "the kernel has no transparent hugepages",
	.kind = HOST_KNOB_CHOICE, .bad = HOST_WARN, .want_text = "never defer madvise defer+madvise",
	.known = "always never defer madvise defer+madvise", .write = "never", .means = "a page fault compacts memory first",
};

static const struct host_knob swappiness = {
	.path = "/proc/sys/vm/swappiness", SYS_VM, .absent = "the kernel cannot swap",
	.kind = HOST_KNOB_AT_MOST, .bad = HOST_WARN, .want = 10,
	.means = "pages of processes are swapped out while there is page cache to drop",
};

static const struct host_knob numa_balancing = {
	.path = "/proc/sys/kernel/numa_balancing", SYS_KERNEL,
	.absent = "the kernel does not balance NUMA memory", .kind = HOST_KNOB_EQUAL,
	.bad = HOST_FAIL, .want = 0,
	.means = "pages are unmapped to see who uses them: each costs the VM a fault",
};

static const struct host_knob compaction = {
	.path = "/proc/sys/vm/compaction_proactiveness", SYS_VM,
	.absent = "the kernel does not compact memory in the background",
	.kind = HOST_KNOB_EQUAL, .bad = HOST_WARN, .want = 0,
	.means = "kcompactd moves pages in the background",
};

static const struct host_knob compact_locked = {
	.path = "/proc/sys/vm/compact_unevictable_allowed", SYS_VM,
	.absent = "the kernel does not compact memory", .kind = HOST_KNOB_EQUAL, .bad = HOST_WARN,
	.want = 0, .means = "locked pages are moved as well: minor faults in locked memory",
};

static const struct host_knob zone_reclaim = {
	.path = "/proc/sys/vm/zone_reclaim_mode", SYS_VM, .absent = "the kernel has no NUMA",
	.kind = HOST_KNOB_EQUAL, .bad = HOST_WARN, .want = 0,
	.means = "an allocation reclaims on its node before it looks at others",
};

static const struct host_knob stat_interval = {
	.path = "/proc/sys/vm/stat_interval", SYS_VM, .absent = "the kernel has no such statistics",
	.kind = HOST_KNOB_AT_LEAST, .bad = HOST_WARN, .want = 10,
	.means = "a worker of each busy CPU folds counters that often",
};

const struct host_check host_checks_memory[] = {
	{ "mem-ksm", "memory", "no merging of pages (KSM)", check_ksm,
	  "A guest's write to a merged page faults, and copies it, in the middle of real-time work.",
	  "Documentation/admin-guide/mm/ksm.rst", NULL },
	{ "mem-thp", "memory", "no transparent hugepages for all", host_check_knob,
	  "khugepaged collapses pages behind a process's back: the mapping is blocked meanwhile.",
	  "Documentation/admin-guide/mm/transhuge.rst", &thp },
	{ "mem-thp-defrag", "memory", "no compaction in page faults", host_check_knob,
	  "With defrag=always a page fault reclaims and compacts memory before it returns: ms.",
	  "Documentation/admin-guide/mm/transhuge.rst, defrag", &thp_defrag },
	{ "mem-swap", "memory", "no swap", check_swap,
	  "A page of the VM that was swapped out costs a disk access; writing others out costs all.",
	  "mlock(2), NOTES", NULL },
	{ "mem-swappiness", "memory", "little swapping", host_check_knob,
	  "High values make the kernel write pages of processes out early.",
	  "Documentation/admin-guide/sysctl/vm.rst, swappiness", &swappiness },
	{ "mem-hugepages", "memory", "hugepages are reserved", check_hugepages,
	  "With 4 KiB pages a guest's TLB miss walks up to 24 entries; hugepages also cannot be "
	  "swapped, merged or split.",
	  "Documentation/admin-guide/mm/hugetlbpage.rst", NULL },
	{ "mem-memlock", "memory", "memory may be locked", check_memlock,
	  "Without RLIMIT_MEMLOCK or CAP_IPC_LOCK, mlockall() fails and the VM can fault at any time.",
	  "mlock(2), Limits and permissions", NULL },
	{ "sched-rtprio", "sched", "threads may be real-time", check_rtprio,
	  "Without RLIMIT_RTPRIO or CAP_SYS_NICE, SCHED_FIFO is refused.", "sched(7); getrlimit(2)",
	  NULL },
	{ "mem-numa-balancing", "memory", "no automatic NUMA balancing", host_check_knob,
	  "The kernel unmaps pages to see which node uses them; each access then faults.",
	  "Documentation/admin-guide/sysctl/kernel.rst, numa_balancing", &numa_balancing },
	{ "mem-compaction", "memory", "no compaction in the background", host_check_knob,
	  "kcompactd migrates pages: their mappings are blocked while it does.",
	  "Documentation/admin-guide/sysctl/vm.rst, compaction_proactiveness", &compaction },
	{ "mem-compact-locked", "memory", "locked pages stay where they are", host_check_knob,
	  "mlock() does not keep a page from being migrated; this does.",
	  "Documentation/admin-guide/sysctl/vm.rst, compact_unevictable_allowed", &compact_locked },
	{ "mem-zone-reclaim", "memory", "no reclaim of a node", host_check_knob,
	  "Reclaiming pages of the own node first stalls an allocation although others have room.",
	  "Documentation/admin-guide/sysctl/vm.rst, zone_reclaim_mode", &zone_reclaim },
	{ "mem-stat-interval", "memory", "memory statistics seldom", host_check_knob,
	  "vmstat's worker runs on each CPU whose counters changed.",
	  "Documentation/admin-guide/sysctl/vm.rst, stat_interval", &stat_interval },
	{ .id = NULL },
};
