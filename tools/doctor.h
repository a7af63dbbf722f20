/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of rtkvm doctor share: its arguments, and the ways to print
 * results.
 */
#ifndef RTKVM_DOCTOR_H
#define RTKVM_DOCTOR_H

#include <stdio.h>

#include "cmd.h"

/* More results than this there are not. */
#define DOCTOR_MAX 256

enum doctor_format {
	DOCTOR_TEXT,
	DOCTOR_JSON,
	DOCTOR_PROMETHEUS,
	DOCTOR_NFD,
};

struct doctor_arguments {
	enum doctor_format format;
	const char *check, *explain, *cpus, *plan, *qmp, *output;
	int pid;
	int measure; /* seconds; 0: not at all */
	bool all;    /* also what is fine */
	bool list;
};

/* Results, worst first. */
struct doctor_results {
	const struct rtkvm_host *host;
	const struct rtkvm_check *check[DOCTOR_MAX];
	size_t count;
};

/* Each writes to f. */
void doctor_print_text(const struct doctor_results *r, const struct doctor_arguments *a, FILE *f);
void doctor_print_explain(const struct rtkvm_check *check, FILE *f);
void doctor_print_json(const struct doctor_results *r, int status, FILE *f);
void doctor_print_prometheus(const struct doctor_results *r, FILE *f);
void doctor_print_nfd(const struct doctor_results *r, FILE *f);

/*
 * Ask a QMP socket: facts for the library, and the VM's process unless *pid
 * names it. CMD_OK, or CMD_ERROR after a message.
 */
int doctor_qmp(const char *path, char *facts, size_t size, int *pid);

/*
 * Measure for some seconds on these CPUs (NULL or "": all of this process),
 * and say what was seen to interfere. CMD_OK, CMD_ATTENTION when latencies are
 * long, or CMD_ERROR after a message.
 */
int doctor_measure(struct rtkvm *rt, int seconds, const char *cpus, FILE *f);

/* "command", "boot", "manual", or "" for none. */
const char *doctor_remedy_kind(const struct rtkvm_check *check);

#endif
