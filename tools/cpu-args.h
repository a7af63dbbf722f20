/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The options of a request for CPUs, which dedicate, run and attach share.
 */
#ifndef RTKVM_CPU_ARGS_H
#define RTKVM_CPU_ARGS_H

#include "cmd.h"

/* A plain number from 0 to max. */
bool cmd_number(const char *text, int max, int *value);

/*
 * Take an option of a request, and its value. How many words it was; 0: not one of
 * these, or not a value for it.
 */
int cpu_args_take(struct rtkvm_cpu_request *request, int left, char **argv);

#endif
