/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The v1 cpu cgroup of a process, from the kernel's texts: no file is read.
 */
#ifndef RTKVM_CGROUP_H
#define RTKVM_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * File that holds the real-time runtime of a v1 cpu cgroup, from the texts of
 * /proc/PID/cgroup and /proc/PID/mountinfo. false: there is no such hierarchy.
 */
bool rtkvm_cgroup_rt_file(const char *cgroup, const char *mountinfo, char *path, size_t size);

#endif
