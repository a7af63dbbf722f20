/* SPDX-License-Identifier: MIT */
/*
 * One measured run in a process of its own, as a VMM is: nothing that it does
 * to itself (locked memory, priorities) touches the next run.
 */
#ifndef CHILD_H
#define CHILD_H

#include "config.h"
#include "figures.h"
#include "tuning.h"

/* Called while waiting, ten times a second. */
typedef void progress_fn(void *arg);

/*
 * Run, and record into the lateness. Returns an exit status; whatever it is,
 * the child is gone.
 */
int child_run(const struct config *config, const struct tuning *tuning, struct result *result,
	      struct lateness *lateness, progress_fn *progress, void *progress_arg);

#endif
