/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking for processes: by name, or by what they have open.
 */
#ifndef RTKVM_HOST_PROCESS_H
#define RTKVM_HOST_PROCESS_H

#include "host.h"

/* The first process of that name: 1 and its number, 0: none, -ENOENT: /proc shows none at all. */
int host_find_process(struct host_facts *facts, const char *name, pid_t *pid);

/*
 * Who has a device open, as "NAME (pid N), NAME (pid N)"; "" for nobody.
 * Returns their number; *hidden: there are processes that may not be asked.
 */
#define HOST_HOLDERS 128
int host_holders(struct host_facts *facts, const char *device, char text[HOST_HOLDERS],
		 bool *hidden);

/* A variable of the environment that a process was started with. 1, 0: not set, or -errno. */
int host_environ(struct host_facts *facts, pid_t pid, const char *name, char *value, size_t size);

#endif
