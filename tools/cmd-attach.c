/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm attach --qmp SOCKET | --pid PID [OPTION...]: make a VMM real-time that runs
 * already. With --watch it stays, and gives everything back when it ends; without,
 * the process itself owns the leases, until rtkvm detach.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "attach.h"

static int read_arguments(struct attach_options *o, pid_t *pid, struct cmd_options *opt, int argc,
			  char **argv)
{
	attach_args_init(o);
	for (int i = 1; i < argc; i++) {
		int words = attach_args_take(o, argc - i, argv + i);

		if (words < 0)
			return CMD_ERROR;
		if (words > 0)
			i += words - 1;
		else if (!strcmp(argv[i], "--json"))
			opt->json = true;
		else if (!strcmp(argv[i], "--pid") && i + 1 < argc &&
			 cmd_number(argv[i + 1], INT32_MAX, pid) && *pid > 0)
			i++;
		else
			return cmd_usage("attach does not know \"%s\", or not its value", argv[i]);
	}
	if (!o->qmp && !*pid)
		return cmd_usage("attach takes --qmp SOCKET or --pid PID");
	if (o->cpus && o->request.mode == RTKVM_CPU_OFFLINE)
		return cmd_usage("the threads of a VMM that does not link librtkvm cannot run on CPUs "
				 "that are offline; take another --mode");
	return CMD_OK;
}

static int find_process(struct attachment *a)
{
	pid_t of;

	if (a->options->qmp)
		return attach_qmp_open(a, QMP_TIMEOUT_MS, true);
	of = qmp_process_of(a->pid);
	if (of == a->pid)
		return CMD_OK;
	if (of)
		fprintf(stderr, "rtkvm: %d is a thread of process %d; give the number of the process\n",
			a->pid, of);
	else
		fprintf(stderr, "rtkvm: no process %d that can be seen here\n", a->pid);
	return CMD_ERROR;
}

/* Two at once would each take the other's settings for what was before. */
static int claim_name(struct attachment *a)
{
	int there;

	if (a->options->request.name)
		snprintf(a->name, sizeof(a->name), "%s", a->options->request.name);
	else
		snprintf(a->name, sizeof(a->name), "attach-%d", a->pid);
	there = attach_exists(a->rt, a->name);
	if (there > 0)
		fprintf(stderr, "rtkvm: there is a lease \"%s\" already; see rtkvm status, or run "
				"rtkvm detach %s\n", a->name, a->name);
	return there ? CMD_ERROR : CMD_OK;
}

static int attach(struct attachment *a, const struct cmd_options *opt)
{
	bool watch = a->options->watch;
	int status = attach_plan(a);

	if (status == CMD_OK)
		status = find_process(a);
	if (status == CMD_OK)
		a->start = attach_start_of(a->pid);
	if (status == CMD_OK)
		status = claim_name(a);
	if (status == CMD_OK)
		status = attach_cpus(a, watch ? 0 : a->pid);
	if (status == CMD_OK)
		status = attach_process(a, a->pid, !watch);
	if (status == CMD_OK)
		status = attach_roles(a);
	if (status == CMD_OK)
		status = attach_go(a);
	if (status == CMD_OK && !watch)
		return attach_settle(a);
	if (status == CMD_OK) {
		(void)attach_update(a); /* if it has ended, that is seen again */
		attach_show(a, opt, "attach");
	}
	return status;
}

static void watch(struct attachment *a)
{
	struct pollfd fds[3] = { { .fd = rtkvm_watch_fd(a->watch), .events = POLLIN },
				 { .fd = -1, .events = POLLIN },
				 { .fd = -1, .events = POLLIN } };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	fds[1].fd = signalfd(-1, &set, SFD_CLOEXEC);
	fds[2].fd = attach_drift_fd(a);
	while (fds[1].fd >= 0) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents)
			break;
		if (fds[2].revents)
			attach_repair(a);
		if (attach_update(a)) {
			if (!a->options->quiet)
				fprintf(stderr, "rtkvm: process %d ended\n", a->pid);
			break;
		}
	}
	if (fds[1].fd >= 0)
		close(fds[1].fd);
}

int cmd_attach(struct rtkvm *rt, const struct cmd_options *global, int argc, char **argv)
{
	struct cmd_options opt = *global;
	struct attach_options options;
	struct attachment a = { .rt = rt, .options = &options };
	int status = read_arguments(&options, &a.pid, &opt, argc, argv), end;
	sigset_t set;

	if (status != CMD_OK)
		return status;
	if (opt.made_up)
		return cmd_usage("a made-up tree has no processes to attach to");
	/* until the end a signal waits: nothing is left half-done */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	status = attach(&a, &opt);
	if (status == CMD_OK && !options.watch) {
		rtkvm_watch_free(a.watch);
		a.watch = NULL;
		attach_show(&a, &opt, "attach");
		attach_leave(&a);
		return CMD_OK;
	}
	if (status == CMD_OK)
		watch(&a);
	end = attach_end(&a, &opt);
	return status != CMD_OK ? status : end;
}
