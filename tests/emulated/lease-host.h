/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of lease-host share. */
#ifndef RTKVM_LEASE_HOST_H
#define RTKVM_LEASE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <rtkvm/rtkvm.h>

struct line {
	char key[96];
	char value[416];
};

struct snapshot {
	struct line *lines;
	size_t count, room;
};

void snapshot_take(struct snapshot *s);
/* How many things differ. */
unsigned int snapshot_differences(const struct snapshot *a, const struct snapshot *b, bool print);
void snapshot_free(struct snapshot *s);

/* A small file without its last line feeds; its length or -1. */
ssize_t read_text(const char *path, char *text, size_t size);

/* What disturbs a program on one CPU, per second. By the trace, but for proc_interrupts. */
struct disturbance {
	double seconds;
	double tick;              /* timer interrupts in which nothing but the tick expired */
	double tick_threads;      /* switches to threads that the tick's handler woke: rcuc */
	double interrupts;        /* all other interrupts */
	double switches;          /* to all other threads */
	double traced_interrupts; /* all, by tracepoints */
	double proc_interrupts;   /* all, by /proc/interrupts */
	bool traced;              /* the trace is complete */
	char worst[64];           /* the interrupt that came most often, but for timers */
	char whom[400];           /* to whom it was switched, how often */
	char causes[600];         /* timers, softirqs, work and interrupts, how often */
};
/* Spin on that CPU while the load runs. */
void disturbance_measure(unsigned int cpu, double seconds, struct disturbance *d);
/* Trace one CPU only; how many events it had. */
void trace_start(unsigned int cpu);
void trace_stop(void);
unsigned int trace_events(unsigned int cpu);
/* Fork and exec, network, timers, page cache: on every CPU that lets them. */
void load_start(void);
void load_stop(void);

/* lease-host.c */
extern struct rtkvm *rt;
void result(bool good, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void print_report(const struct rtkvm_report *report, bool problems_only);
/* NULL, with the reason printed, when it is refused. */
struct rtkvm_cpu_lease *lease_of(const char *cpus, int mode, uint32_t flags);
void mount_v2(void);

/* lease-owner.c, lease-user.c, lease-memory.c */
void part_owner(void);
void part_meddled(void);
void part_passed(void);
void part_holder(int fd);
void part_namespace(void);
void part_delegated(void);
void part_devices(void);
void part_memory(void);

#endif
