/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the subcommands of rtkvm share: the global options, exit statuses and
 * how a report is printed. A subcommand is one file cmd-NAME.c and one line in
 * the table of main.c.
 */
#ifndef RTKVM_CMD_H
#define RTKVM_CMD_H

#include <stdbool.h>

#include <rtkvm/rtkvm.h>

/* Exit statuses, as rtkvm(1) documents them. */
enum {
	CMD_OK = 0,
	CMD_ATTENTION = 1, /* a report has problems */
	CMD_ERROR = 2,     /* usage, or it could not be done */
};

struct cmd_options {
	bool json;
	int verbose;
	bool made_up; /* the root is not "/" */
	const char *only; /* of a report: this lease and what is of it; NULL: all */
	bool warnings_pass; /* problems in a report are for people; refusals count */
};

/* argv[0] is the subcommand's name. Each gives an exit status. */
int cmd_attach(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv);
int cmd_dedicate(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv);
int cmd_detach(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv);
int cmd_doctor(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv);
int cmd_latency(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv);
int cmd_plan(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv);
int cmd_release(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv);
int cmd_restore(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv);
int cmd_run(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv);
int cmd_status(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv);

/* "rtkvm: ..." with the library's last error; CMD_ERROR. */
int cmd_fail(void);
/* Wrong arguments; CMD_ERROR. */
int cmd_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* No arguments are left after options; takes the --json that may follow a subcommand. */
bool cmd_no_arguments(struct cmd_options *opt, int argc, char **argv);

/*
 * Print a report, as text or JSON, and turn it into an exit status. ret is
 * what the call that made it gave; nothing: what to say when it is empty.
 */
int cmd_report(const struct cmd_options *opt, const char *command, int ret,
	       struct rtkvm_report *report, const char *nothing);

#endif
