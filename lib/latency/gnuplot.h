/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Running gnuplot(1) on a script. What the script says is plot.c's.
 */
#ifndef RTKVM_LATENCY_GNUPLOT_H
#define RTKVM_LATENCY_GNUPLOT_H

#include "core/core.h"

/*
 * Run gnuplot with script_fd as standard input and picture_fd as standard
 * output, both files (so that nobody gets a SIGPIPE), and wait for it. 0, or a
 * negative errno with the error recorded. 0 with *known false: it ended, but
 * the caller's SIGCHLD handling took the exit status away; judge by the
 * picture.
 */
int latency_run_gnuplot(struct rtkvm *rt, int script_fd, int picture_fd, bool *known);

#endif
