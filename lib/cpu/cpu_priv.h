/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inner side of lib/cpu. From the bottom up: topology.c reads the machine;
 * choose.c picks CPUs; irqs.c, queues.c, threads.c and knobs.c each find what
 * is on leased CPUs and how to move it; modes.c takes the CPUs further away;
 * acquire.c puts all of it together, report.c looks at it later. Every change
 * goes through lib/lease. (Not called cpu.h: abidw would take it for the public one.)
 */
#ifndef RTKVM_CPU_PRIV_H
#define RTKVM_CPU_PRIV_H

#include <rtkvm/cpu.h>

#include "core/core.h"
#include "core/cpulist.h"
#include "core/file.h"
#include "core/reports.h"
#include "lease/lease_priv.h"

/* topology.c. 0 or -errno, error recorded. */
struct cpu_topology {
	struct rtkvm_cpus online;
	struct rtkvm_cpus isolated; /* by the boot: isolcpus and nohz_full */
	struct rtkvm_cpus nohz_full;
	int nodes;                 /* highest number + 1 */
};
int cpu_topology_read(struct rtkvm *rt, struct cpu_topology *t);
int cpu_topology_list(struct rtkvm *rt, const char *path, struct rtkvm_cpus *cpus);
int cpu_topology_node(struct rtkvm *rt, int node, struct rtkvm_cpus *cpus);
int cpu_topology_core(struct rtkvm *rt, unsigned int cpu, struct rtkvm_cpus *cpus);
int cpu_topology_cache(struct rtkvm *rt, unsigned int cpu, struct rtkvm_cpus *cpus);
int cpu_topology_device_node(struct rtkvm *rt, const char *address, int *node);

/* Sets. */
void cpus_or(struct rtkvm_cpus *a, const struct rtkvm_cpus *b);
void cpus_without(struct rtkvm_cpus *a, const struct rtkvm_cpus *b);
bool cpus_meet(const struct rtkvm_cpus *a, const struct rtkvm_cpus *b);

/* choose.c: an rtkvm_choose_fn. */
struct cpu_choice {
	struct rtkvm *rt;
	const struct rtkvm_cpu_request *request;
	struct cpu_topology topology;
	struct rtkvm_cpus leased; /* by others */
};
int cpu_choose(void *choice, const struct rtkvm_cpus *taken, struct rtkvm_cpus *out);

/* request.c: defaults and what can be said before the host is looked at. */
int cpu_request_take(struct rtkvm *rt, const struct rtkvm_cpu_request *from,
		     struct rtkvm_cpu_request *to);

/* What there is of one sort: moved, and what stayed. */
enum cpu_sort {
	CPU_IRQS,
	CPU_IRQ_DEFAULT,
	CPU_WORKQUEUES,
	CPU_WATCHDOG,
	CPU_QUEUES,
	CPU_THREADS,
	CPU_TIMERS,
	CPU_STATISTICS,
	CPU_CSTATES,
	CPU_FREQUENCY,
	CPU_FAIR_SERVER,
	CPU_SORTS
};
extern const char *const cpu_sort_names[CPU_SORTS];

/* A list of changes to make, each of a sort. */
struct cpu_batch {
	struct rtkvm_batch_item *items;
	unsigned char *sorts;
	size_t count, room;
	bool failed; /* no memory */
};

/* Something that stayed in the way, for the report. */
struct cpu_note {
	struct cpu_note *next;
	bool problem;
	bool lasting; /* of what is done once, when the lease is taken: a repair does not find it anew */
	char feature[64];
	char text[];
};

/* A CPU that is claimed ahead: claims.c. */
struct cpu_claim {
	struct cpu_claim *next;
	unsigned int cpu;
	int fd;
};

struct cpu_attached {
	pid_t tid;
	uint64_t start;
};

struct rtkvm_cpu_lease {
	struct rtkvm *rt;
	struct rtkvm_lease *lease; /* NULL: from a descriptor */
	int fd;                    /* a copy, then; else -1 */
	uint64_t id;
	int mode;
	uint32_t flags;
	char partition[32]; /* isolated, root, v1; "": none */
	struct rtkvm_cpus cpus;
	struct rtkvm_cpus back;      /* of an offline lease: brought online again */
	struct rtkvm_cpus rest;      /* where things are moved to */
	struct rtkvm_cpus nohz_full;
	bool irqbalance; /* a process of that name was seen */
	size_t moved[CPU_SORTS];
	size_t refused[CPU_SORTS];   /* no privilege */
	struct cpu_note *notes, **last;
	bool once; /* what is noted now is lasting */
	struct cpu_attached *attached;
	size_t attached_count;
	struct cpu_claim *claims;
	int watch[3]; /* epoll, its timer, uevents; -1: none */
};

void cpu_watch_close(struct rtkvm_cpu_lease *l);

struct rtkvm_change *cpu_batch_add(struct cpu_batch *batch, enum cpu_sort sort);
/* A knob; with take: CPUs are taken out of what it is now. Texts are copied. */
void cpu_batch_knob(struct cpu_batch *batch, enum cpu_sort sort, int knob, unsigned int index,
		    const char *before, const char *after, bool take);
/* The value without the leased CPUs; false: it has none of them. */
bool cpu_reduce(const struct rtkvm_cpu_lease *l, const struct rtkvm_cpus *is,
		struct rtkvm_cpus *to, bool may_be_empty, bool *take);
void cpu_batch_free(struct cpu_batch *batch);
/* Make the changes, count them, note what stayed. 0, -ENOMEM, or the journal's errors. */
int cpu_batch_apply(struct rtkvm_cpu_lease *l, struct cpu_batch *batch);

void cpu_note(struct rtkvm_cpu_lease *l, const char *feature, bool problem, const char *fmt, ...)
	RTKVM_PRINTF(4, 5);
void cpu_notes_clear(struct rtkvm_cpu_lease *l, bool lasting); /* or but for the lasting ones */

/* Each: what of its sort is on the leased CPUs. 0 or -errno. */
int cpu_find_irqs(struct rtkvm_cpu_lease *l, struct cpu_batch *batch);
int cpu_find_queues(struct rtkvm_cpu_lease *l, struct cpu_batch *batch);
int cpu_find_threads(struct rtkvm_cpu_lease *l, struct cpu_batch *batch, bool first);
int cpu_find_masks(struct rtkvm_cpu_lease *l, struct cpu_batch *batch);
int cpu_find_knobs(struct rtkvm_cpu_lease *l, struct cpu_batch *batch);

/* irqs.c: what the IRQ belongs to, for people. */
void cpu_irq_name(struct rtkvm *rt, unsigned int irq, char *out, size_t size);

/* modes.c */
int cpu_mode_enter(struct rtkvm_cpu_lease *l, int wanted);
bool cpu_mode_has_partition(struct rtkvm *rt, bool *v1);
/* One CPU online again; 0 or -errno, error recorded. With the lock of the state directory. */
int cpu_mode_bring_online(struct rtkvm_cpu_lease *l, unsigned int cpu);
/* Of an offline lease: is one still offline? */
bool cpu_mode_any_offline(const struct rtkvm_cpu_lease *l);

/* irqbalance.c */
int cpu_irqbalance_tell(struct rtkvm_cpu_lease *l, const struct rtkvm_cpus *others);
void cpu_irqbalance_report(struct rtkvm_cpu_lease *l, struct rtkvm_report *report);

/* resctrl.c: a group of the lease's own. 0, or the journal's errors. */
int cpu_resctrl_make(struct rtkvm_cpu_lease *l, const char *schemata);
void cpu_resctrl_report(struct rtkvm_cpu_lease *l, struct rtkvm_report *report);
/* The text of the journal's record; -EINVAL: malformed. */
int cpu_resctrl_text(const char *cpus, const char *schemata, char out[RTKVM_VALUE_MAX]);

/* claims.c: the descriptor of a CPU that was claimed ahead; -1: none. Owned by the lease. */
int cpu_claim_fd(const struct rtkvm_cpu_lease *l, unsigned int cpu);
/* Of one CPU; -1: of all. */
void cpu_claims_close(struct rtkvm_cpu_lease *l, int cpu);
void cpu_claims_report(struct rtkvm_cpu_lease *l, struct rtkvm_report *report);

/* hotplug.c: shake timers off. 0, or the journal's errors. */
int cpu_hotplug_cycle(struct rtkvm_cpu_lease *l);

#endif
