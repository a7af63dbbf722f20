/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command of rtkvm run as a child: it waits until it may begin, and becomes
 * another user if it is told to.
 */
#ifndef RTKVM_RUN_CHILD_H
#define RTKVM_RUN_CHILD_H

#include <signal.h>
#include <sys/types.h>

/* What env(1) and others say when it is not the command's own status. */
enum {
	RUN_FAILED = 125,     /* rtkvm could not do its part; the command was not started */
	RUN_NOT_EXECUTABLE = 126,
	RUN_NOT_FOUND = 127,
};

struct run_child {
	pid_t pid;
	int socket; /* to let it begin */
	int status; /* pipe: what exec() said; closed by exec() */
};

/* user: NULL: stays the one that it is. mask: the command's signals. 0, or -1 after a message. */
int run_child_make(struct run_child *c, char **command, const char *user, const sigset_t *mask);
/* With the descriptor of a lease; -1: none. 0, or one of RUN_* after a message. */
int run_child_begin(struct run_child *c, const char *command, int lease_fd);
/* It never begins. */
void run_child_drop(struct run_child *c);

/* The process that a pid file names, if it comes from this one; 0 after a message. */
pid_t run_daemon(const char *pidfile);
/* A process that the command left behind; 0: none. */
pid_t run_left_behind(void);

#endif
