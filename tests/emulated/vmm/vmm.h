/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The test VMM: runs one payload (tests/emulated/payload/) under KVM, makes
 * events happen to it, and counts its exits by two meters. This header is
 * internal to the folder. Raw ioctls throughout, so that a defect of the
 * library cannot hide itself: what the library does is asked for by --plan.
 *
 *   main.c     options, order of events, verdict
 *   machine.c  VM, memory, image, vCPUs
 *   vcpu.c     vCPU threads: KVM_RUN and what comes out of it
 *   stats.c    meter 1: KVM's binary statistics
 *   trace.c    meter 2: tracepoints of the kernel
 *   event.c    event sources: irqfd, KVM_SIGNAL_MSI, a periodic thread
 *   device.c   event sources that are devices, by VFIO
 *   figures.c  results of the payload and of the meters, and what is expected
 *   dedicate.c --dedicate: vCPUs on CPUs that are offline
 *   rt.c       --plan: made real-time by the library
 *
 * Output: one line per figure, "NAME VALUE". Names of the payload begin with
 * "guest.", those of the meters with "vcpuN.stats." and "vcpuN.trace.".
 */
#ifndef RTKVM_TEST_VMM_H
#define RTKVM_TEST_VMM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "../payload/proto.h"

#define VMM_OK 0
#define VMM_FAILED 1    /* the payload said so, or an expectation did not hold */
#define VMM_USAGE 2
#define VMM_METERS 3    /* the meters do not agree */
#define VMM_BROKEN 4    /* something that has nothing to do with what is tested */
#define VMM_SKIPPED 77

struct vmm;

/*
 * Where interrupts come from. A source is one line in event_sources[] of
 * event.c and one file. All functions return 0, or -1 after complain().
 */
struct event_source {
	const char *name; /* of --event NAME[:ARGUMENT] */
	const char *help;
	/* after the vCPUs exist, before they run; argument: "" when there is none */
	int (*setup)(struct vmm *m, const char *argument);
	/* in a vCPU's or the firing thread: make one interrupt; NULL: the guest does it itself */
	int (*fire)(struct vmm *m);
	/* after the run: figures of its own; may be NULL */
	void (*report)(struct vmm *m);
	void (*close)(struct vmm *m); /* may be NULL */
};
extern const struct event_source *const event_sources[]; /* ends with NULL */
extern const struct event_source edu_source, ivshmem_source; /* device.c */

/* Counters of one vCPU between the marks. */
struct counter {
	char name[48];
	uint64_t value;
};
#define VMM_MAX_COUNTERS 96
struct counters {
	struct counter at[VMM_MAX_COUNTERS];
	unsigned int n;
	uint64_t exits;
	bool there; /* else why_not */
	char why_not[120];
};

struct vcpu {
	struct vmm *m;
	unsigned int index;
	int fd, stats_fd;
	struct kvm_run *run;
	pthread_t thread;
	pid_t tid;
	int cpu; /* pinned there; -1: anywhere */
	int dedicated; /* its guest runs there; -1: where the thread does */
	timer_t churn; /* interrupts its KVM_RUN, with --churn */
	unsigned int churned;
	bool bound;
	struct counters before, stats, trace;
};

/* Interrupts KVM_RUN of a vCPU's thread. */
#define VMM_KICK SIGUSR1

struct vmm {
	/* options */
	const char *payload, *args, *plan;
	unsigned int vcpus;
	int fifo;               /* priority of vCPU threads; 0: ordinary */
	bool split_irqchip, no_x2apic, direct_aps;
	bool stats_wanted, trace_wanted, trace_needed;
	uint64_t disable_exits; /* mask for KVM_CAP_X86_DISABLE_EXITS */
	unsigned int limit;     /* seconds */
	const char *broken;     /* --break: a fault, to see that it is noticed */
	const struct event_source *source;
	const char *source_argument;
	unsigned int poll_ns;   /* thread of a dedicated vCPU looks for exits so long */
	unsigned int churn_us;  /* such a vCPU changes between there and here so often */
	unsigned int bus_ns;    /* of the APIC timer; 0: as it is */
	bool tsc_of_host;
	uint64_t features; /* --direct: KVM_DEDICATED_CPU_*, besides RUN */
	unsigned int fire_us;   /* fire every so many us from a thread; 0: when the guest asks */

	/* machine */
	int kvm, vm;
	size_t run_size;
	unsigned char *ram;     /* guest-physical 0, PAYLOAD_RAM bytes */
	struct payload_image *image;
	struct vcpu vcpu[PAYLOAD_MAX_CPUS];
	int next_gsi;           /* event_route_msi() */
	int next_slot;          /* memory slots above 0, for devices */
	uint32_t accesses;      /* of PAYLOAD_PORT_COUNT */
	uint64_t fired;         /* times source->fire() was called */

	/* run */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int marked[3]; /* vCPUs that wrote PAYLOAD_MARK_x */
	bool counting, counted; /* between the marks; the end mark came */
	bool go, ended;         /* threads may run; ended by the payload or by a fault */
	int status;             /* of the payload, or -1: stopped by a fault */
};

/* main.c. Messages go to stderr. */
__attribute__((format(printf, 1, 2))) int complain(const char *format, ...); /* returns -1 */

/* machine.c */
int machine_make(struct vmm *m);
void machine_free(struct vmm *m);
/* Memory of a device that the guest shall see. */
int machine_map(struct vmm *m, uint64_t guest_physical, void *at, size_t size, bool readonly);

/* vcpu.c */
int vcpu_start_all(struct vmm *m);
void vcpu_stop_all(struct vmm *m, int status);
void vcpu_join_all(struct vmm *m);

/* stats.c */
int stats_open(struct vcpu *v);
int stats_read(struct vcpu *v, struct counters *to);
void counters_subtract(struct counters *after, const struct counters *before);
struct counter *counters_find(struct counters *c, const char *name);
void counters_add(struct counters *c, const char *name, uint64_t value);

/* trace.c: begin and end while no vCPU is in the guest; report fills vcpu[].trace. */
int trace_open(struct vmm *m);
int trace_begin(struct vmm *m);
int trace_end(struct vmm *m);
int trace_report(struct vmm *m);
void trace_close(struct vmm *m);

/* dedicate.c */
int dedicate_parse(struct vmm *m, const char *list);
int dedicate_features(struct vmm *m, const char *list);
void dedicate_cpuid(const struct vcpu *v, struct kvm_cpuid_entry2 *e);
int dedicate_bind(struct vcpu *v); /* in its thread, as the other */
int dedicate_release(struct vcpu *v);
int dedicate_churn_start(struct vcpu *v);
int dedicate_churn(struct vcpu *v); /* its KVM_RUN was interrupted */
void dedicate_churn_stop(struct vcpu *v);

/* event.c */
const struct event_source *event_find(const char *name);
/* A GSI that becomes this vector on the vCPU of this APIC id; the GSI, or -1. */
int event_route_msi(struct vmm *m, unsigned int apic_id, unsigned int vector);
/* An eventfd that raises the GSI; or -1. The caller owns it. */
int event_irqfd(struct vmm *m, int gsi);
int event_start(struct vmm *m); /* the firing thread, when fire_us is given */
void event_stop(struct vmm *m);
int event_fire(struct vmm *m, unsigned int times);

/* rt.c: nothing happens without --plan. Called in this order. */
int rt_open(struct vmm *m);   /* before the first vCPU */
int rt_cpuid(struct kvm_cpuid2 *cpuid, unsigned int room);
int rt_vcpu(struct vcpu *v);
int rt_enter(struct vcpu *v); /* in its thread */
void rt_sync(struct vcpu *v); /* before each KVM_RUN; clears immediate_exit */
int rt_realtime(void);        /* the guest is up */
int rt_count(struct vmm *m, bool begin);
int rt_compare(struct vmm *m); /* the library's counts with the raw ones; 0: the same */
void rt_leave(struct vcpu *v);
void rt_report(void);
void rt_close(void);

/* figures.c */
void figures_add(const char *name, const char *value);
void figures_text(struct vmm *m, const char *text, size_t n); /* from the payload */
void figures_print(struct vmm *m);
/* "NAME<=X", "NAME>=X" or "NAME==X"; 0, or -1 after complain() */
int figures_expect(const char *expectation);
int figures_check(void); /* number of expectations that do not hold */
int figures_meters(struct vmm *m); /* 0: they agree */

#endif
