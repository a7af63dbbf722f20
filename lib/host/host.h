/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inner side of the host probe: the facts that several checks share, what a
 * check is, and how it says what it found. A check reads facts and decides;
 * how a text is taken apart is in parse.h, how a file is read in read.h.
 */
#ifndef RTKVM_HOST_HOST_H
#define RTKVM_HOST_HOST_H

#include <rtkvm/host.h>

#include "core/core.h"
#include "core/cpulist.h"

#define HOST_CMDLINE_MAX 8192

/* Abbreviations for the tables. */
enum {
	HOST_OK = RTKVM_VERDICT_OK,
	HOST_WARN = RTKVM_VERDICT_WARN,
	HOST_FAIL = RTKVM_VERDICT_FAIL,
	HOST_NA = RTKVM_VERDICT_NOT_APPLICABLE,
	HOST_UNKNOWN = RTKVM_VERDICT_UNKNOWN
};

/* What a check found. */
struct host_finding {
	int verdict;
	int remedy_kind;
	bool needs_root;
	char value[320];
	char remedy[640];
};

/* A set of CPUs that was read; err: why it is not known, negative errno. */
struct host_cpus {
	struct rtkvm_cpus set;
	int err;
	char path[96];
};

enum host_vendor { HOST_VENDOR_UNKNOWN, HOST_VENDOR_INTEL, HOST_VENDOR_AMD, HOST_VENDOR_OTHER };

/* A thread of the kernel, or of the VM. */
struct host_task {
	pid_t tid;
	int policy, priority;
	char comm[64];
};

struct host_tasks {
	bool looked;
	int err;
	struct host_task *task;
	size_t count;
};

struct host_kvm;
struct host_vm;

/* The facts. Read once by facts.c, unless "lazy". */
struct host_facts {
	struct rtkvm *rt;
	bool root;	   /* runs as root */
	bool rt_given;	   /* real-time CPUs were named by the caller */
	int cmdline_err;
	char cmdline[HOST_CMDLINE_MAX];
	struct host_cpus online, isolated, nohz_full, realtime;
	struct rtkvm_cpus housekeeping; /* online without realtime */
	int cpuinfo_err;
	enum host_vendor vendor;
	char cpuflags[6144]; /* " flag flag ... " */
	int release_err;
	unsigned int major, minor; /* of the kernel */
	int preempt_rt;		   /* 1, 0, or negative errno */
	struct host_tasks kthreads; /* lazy: host_kthreads() */
	struct host_kvm *kvm;	    /* lazy: host_kvm() */
	struct host_vm *vm;	    /* NULL: no VM was named */
	short *node_of;		    /* of each CPU, -1 unknown; NULL: not known */
	unsigned int node_count;
	int nodes_err;
	const struct rtkvm_plan *plan;
};

struct host_check {
	const char *id;
	const char *category;
	const char *title;
	void (*run)(struct host_facts *facts, const struct host_check *check,
		    struct host_finding *f);
	const char *why;
	const char *source;
	const void *arg; /* of run(), for those that share one */
};

/* The table, in the order of the report. NULL after the last. */
const struct host_check *host_check_at(size_t index);

/* Its parts, one per file of checks-*.c, each ended by an entry without id. */
extern const struct host_check host_checks_cpu[], host_checks_power[], host_checks_sched[],
	host_checks_kthreads[], host_checks_memory[], host_checks_irq[], host_checks_virt[],
	host_checks_kvm[], host_checks_caps[], host_checks_vm[], host_checks_vm_config[];

/* facts.c */
int host_facts_read(struct host_facts *facts, const struct rtkvm_host_options *opt);
void host_facts_free(struct host_facts *facts);

/* Threads of the kernel; 0 or negative errno. */
int host_kthreads(struct host_facts *facts, const struct host_tasks **tasks);

/* Say something. Texts become printable ASCII. */
void host_say(struct host_finding *f, int verdict, const char *fmt, ...) RTKVM_PRINTF(3, 4);
void host_remedy(struct host_finding *f, int kind, const char *fmt, ...) RTKVM_PRINTF(3, 4);

/* "PATH: reason", unknown; EACCES and EPERM: root would see it. */
void host_unreadable(struct host_facts *facts, struct host_finding *f, const char *path, int err);

/* "PATH: "TEXT" is not WHAT", unknown. */
void host_malformed(struct host_finding *f, const char *path, const char *text, const char *what);

/*
 * Are there CPUs meant for real-time? If not, the finding says that it is not
 * applicable, or unknown.
 */
bool host_need_realtime(struct host_facts *facts, struct host_finding *f);

/* A set as list for a text; long ones are cut with "...". Static size, own buffer. */
#define HOST_LIST 128
const char *host_list(const struct rtkvm_cpus *cpus, char text[HOST_LIST]);

/* CPUs of a that are in b. */
struct rtkvm_cpus host_common(const struct rtkvm_cpus *a, const struct rtkvm_cpus *b);
/* CPUs of a that are not in b. */
struct rtkvm_cpus host_minus(const struct rtkvm_cpus *a, const struct rtkvm_cpus *b);
bool host_empty(const struct rtkvm_cpus *cpus);

bool host_has_cpuflag(const struct host_facts *facts, const char *flag);
/* Kernel at least; false when the release is not known. */
bool host_kernel_since(const struct host_facts *facts, unsigned int major, unsigned int minor);

#endif
