/* SPDX-License-Identifier: MIT */
/*
 * What one measured run yields. It lives in memory that a child process can
 * share with its parent, so it has no pointers.
 */
#ifndef RESULT_H
#define RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A setting that was asked for, and what the kernel says it is. */
struct setting {
	char what[40];
	char asked[48];
	char got[64];
	bool same;     /* read back as asked for, at the start and at the end */
};

/* A line of the library's report. */
struct feature {
	char name[32];
	char state[16];
	char reason[200];
};

struct result {
	bool complete;        /* the guest ran to its end */
	uint64_t ticks;       /* planned, all vCPUs together */
	uint64_t wakeups;     /* taken and recorded */
	uint64_t lost;        /* their time had passed before they could be armed */
	uint64_t dropped;     /* taken, but the ring was full */
	uint64_t early;       /* woken before their time: counted as 0 late */
	int64_t exits;        /* of all vCPUs in the measured part; -1: no counter */
	int64_t halts;
	int64_t polls;        /* times KVM polled instead of sleeping */
	bool degraded;        /* real-time scheduling was asked for and not given */
	double load_cpus;     /* CPUs that the background load kept busy meanwhile */
	uint32_t settings;
	uint32_t features;
	uint32_t left_out;
	uint32_t notes;
	struct setting setting[32];
	struct feature feature[40];
	char note[16][160];   /* what was seen */
	char omission[8][320];  /* what was asked for and could not be done, and why */
};

/* Receives one wake-up: lateness of the interrupt and of the task, ns. */
typedef void sample_fn(void *arg, uint64_t isr_ns, uint64_t task_ns);

/*
 * Note a setting. Noted again under the same name, it stays "same" only when
 * it still is.
 */
void result_setting(struct result *result, const char *what, const char *asked, const char *got,
		    bool same);

void result_feature(struct result *result, const char *name, const char *state,
		    const char *reason);

void result_note(struct result *result, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Note what was left out, once. */
void result_left_out(struct result *result, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
