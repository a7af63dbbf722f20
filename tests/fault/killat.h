/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fault injector: runs a program and kills it with SIGKILL at its n-th
 * system call, by ptrace(2), without any hook in what is killed.
 *
 * It counts entries. A program can change nothing that outlives it between
 * two system calls, so the exit of one is the same point as the entry of the
 * next; killed at an entry, the call is not made.
 */
#ifndef RTKVM_KILLAT_H
#define RTKVM_KILLAT_H

#include <stdbool.h>

#define KILLAT_KILLED (-1)

/* May this process trace its children? */
bool killat_works(void);

/*
 * n: 1 and up; 0: never. log: file that gets its output.
 * KILLAT_KILLED, or its wait status when it ended before that.
 */
int killat(unsigned int n, char *const argv[], const char *log);

#endif
