/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm run [OPTION...] -- COMMAND...: start a VMM that is real-time, and give
 * everything back when it ends. Its exit status, and the signal that ended it, are
 * passed on, and signals that come here go to it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach.h"
#include "run-child.h"

#define DELAY_S 3     /* without --watch: until a VMM has its threads */
#define QMP_TRY_MS 100

struct run {
	struct attach_options options;
	struct attachment a;
	struct run_child child;
	const struct cmd_options *opt;
	char **command;
	const char *user, *pidfile;
	int delay_ms;    /* until threads are placed; -1: default */
	long long begun; /* when the command did, ms */
	bool placing;    /* threads are placed from now on */
	bool daemon;     /* a.pid is what the command left behind */
	bool done;       /* given back, or left to the process: only the command's end is waited for */
	bool ended;
	int wait_status;
	int end_status;  /* of giving back */
};

static int read_arguments(struct run *r, struct cmd_options *opt, int argc, char **argv)
{
	struct attach_options *o = &r->options;
	int words, seconds;

	attach_args_init(o);
	r->delay_ms = -1;
	for (int i = 1; i < argc && !r->command; i++) {
		if (!strcmp(argv[i], "--"))
			r->command = argv + i + 1;
		else if ((words = attach_args_take(o, argc - i, argv + i)) < 0)
			return RUN_FAILED;
		else if (words > 0)
			i += words - 1;
		else if (!strcmp(argv[i], "--json"))
			opt->json = true;
		else if (!strcmp(argv[i], "--user") && i + 1 < argc)
			r->user = argv[++i];
		else if (!strcmp(argv[i], "--pidfile") && i + 1 < argc)
			r->pidfile = argv[++i];
		else if (!strcmp(argv[i], "--delay") && i + 1 < argc &&
			 cmd_number(argv[i + 1], 86400, &seconds)) {
			r->delay_ms = seconds * 1000;
			i++;
		} else {
			cmd_usage("run does not know \"%s\", or not its value", argv[i]);
			return RUN_FAILED;
		}
	}
	if (!r->command || !*r->command) {
		cmd_usage("run takes -- COMMAND...");
		return RUN_FAILED;
	}
	if (r->delay_ms < 0)
		r->delay_ms = o->watch || o->qmp ? 0 : DELAY_S * 1000;
	return 0;
}

/* All that can be refused is, before the command begins. */
static int prepare(struct run *r)
{
	struct attachment *a = &r->a;
	int status = CMD_OK;

	if (r->options.request.name)
		snprintf(a->name, sizeof(a->name), "%s", r->options.request.name);
	else
		snprintf(a->name, sizeof(a->name), "run-%d", r->child.pid);
	a->pid = r->child.pid;
	if (attach_exists(a->rt, a->name)) {
		fprintf(stderr, "rtkvm: there is a lease \"%s\" already; give another --name\n",
			a->name);
		return CMD_ERROR;
	}
	status = attach_cpus(a, a->pid);
	if (status == CMD_OK)
		status = attach_process(a, a->pid, true);
	/* asks the guards, and raises nothing: the command has not begun */
	if (status == CMD_OK && rtkvm_watch_set_role(a->watch, a->pid, RTKVM_ROLE_HELPER) < 0)
		status = cmd_fail();
	return status == CMD_OK ? attach_go(a) : status;
}

/* Is it time for its threads? */
static bool is_time(struct run *r)
{
	struct attachment *a = &r->a;

	if (attach_now_ms() < r->begun + r->delay_ms)
		return false;
	if (!r->options.qmp || r->options.watch || a->qmp)
		return true;
	return attach_qmp_open(a, QMP_TIMEOUT_MS, false) == CMD_OK;
}

/* Without --watch: once, and from then on nobody looks. */
static void place_once(struct run *r)
{
	struct attachment *a = &r->a;

	if (attach_settle(a) != CMD_OK)
		return;
	rtkvm_watch_free(a->watch);
	a->watch = NULL;
	if (r->opt->verbose)
		attach_show(a, r->opt, "run");
	if (!r->options.quiet)
		fprintf(stderr, "rtkvm: \"%s\" is not watched: threads made from now on are not placed "
				"(--watch)\n", a->name);
	r->done = true;
	if (r->daemon) {
		attach_leave(a);
		r->ended = true;
	}
}

/* The command ended; is there a daemon that goes on? */
static void take_daemon(struct run *r)
{
	struct attachment *a = &r->a;
	pid_t left = run_left_behind(), pid;

	r->ended = true;
	if (r->daemon || !left || !WIFEXITED(r->wait_status) || WEXITSTATUS(r->wait_status))
		return;
	if (!r->pidfile) {
		fprintf(stderr, "rtkvm: %s ended and left process %d behind: it runs as any other, and "
				"everything is given back; name its pid file (--pidfile) if it is a "
				"daemon\n", r->command[0], left);
		return;
	}
	pid = run_daemon(r->pidfile);
	if (!pid || (!a->lease && r->done))
		return;
	a->vcpu_count = 0;
	if (attach_process(a, pid, true) != CMD_OK)
		return;
	r->child.pid = pid;
	r->begun = attach_now_ms();
	r->daemon = true;
	r->placing = r->done = r->ended = false;
}

static void reap(struct run *r)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != r->child.pid)
			continue;
		r->wait_status = status;
		take_daemon(r);
	}
}

static void detach(struct run *r)
{
	r->end_status = attach_end(&r->a, r->opt);
	r->done = true;
}

static void take_signal(struct run *r, int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(r);
	else if (info.ssi_signo == SIGTERM && info.ssi_code == SI_QUEUE &&
		 info.ssi_int == ATTACH_DETACH)
		detach(r);
	/* the terminal has told the command itself */
	else if (info.ssi_code != SI_KERNEL || getpgid(r->child.pid) != getpgrp())
		kill(r->child.pid, (int)info.ssi_signo);
}

static void look(struct run *r)
{
	if (r->done)
		return;
	if (!r->placing) {
		r->placing = is_time(r);
		if (r->placing && !r->options.watch)
			place_once(r);
	}
	if (r->placing && !r->done)
		(void)attach_update(&r->a); /* its end is seen by SIGCHLD */
}

static void supervise(struct run *r, int signals)
{
	int drift = r->options.watch ? attach_drift_fd(&r->a) : -1;

	while (!r->ended) {
		struct pollfd fds[3] = {
			{ .fd = signals, .events = POLLIN },
			{ .fd = r->placing && !r->done ? rtkvm_watch_fd(r->a.watch) : -1,
			  .events = POLLIN },
			{ .fd = r->done ? -1 : drift, .events = POLLIN },
		};

		if (poll(fds, 3, r->done || r->placing ? -1 : QMP_TRY_MS) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			take_signal(r, signals);
		if (fds[2].revents)
			attach_repair(&r->a);
		if (!r->ended)
			look(r);
	}
}

/* As the command ended, so does this. */
static int end_like(const struct run *r)
{
	struct rlimit none = { 0, 0 };
	int sig = WTERMSIG(r->wait_status);
	sigset_t set;

	if (WIFEXITED(r->wait_status))
		return WEXITSTATUS(r->wait_status);
	fflush(NULL);
	setrlimit(RLIMIT_CORE, &none); /* there is one of the command, if at all */
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + sig;
}

static int start(struct run *r, const sigset_t *mask)
{
	int status;

	if (attach_plan(&r->a) != CMD_OK ||
	    run_child_make(&r->child, r->command, r->user, mask) < 0)
		return RUN_FAILED;
	if (prepare(r) != CMD_OK) {
		run_child_drop(&r->child);
		return RUN_FAILED;
	}
	status = run_child_begin(&r->child, r->command[0],
				 r->a.cpus ? rtkvm_cpu_lease_fd(r->a.cpus) : -1);
	if (status)
		run_child_drop(&r->child);
	r->begun = attach_now_ms();
	return status;
}

int cmd_run(struct rtkvm *rt, const struct cmd_options *global, int argc, char **argv)
{
	static const int forwarded[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2,
					 SIGCONT };
	struct cmd_options opt = *global;
	struct run r = { .a.rt = rt, .a.options = &r.options, .opt = &opt };
	int status = read_arguments(&r, &opt, argc, argv), signals;
	sigset_t set, old;

	if (status)
		return status;
	if (opt.made_up) {
		cmd_usage("a made-up tree has no processes");
		return RUN_FAILED;
	}
	r.child.socket = r.child.status = -1;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, &old);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		perror("rtkvm: signalfd");
		return RUN_FAILED;
	}
	status = start(&r, &old);
	if (!status)
		supervise(&r, signals);
	if (!r.daemon || r.options.watch || status)
		r.end_status = attach_end(&r.a, &opt) | r.end_status;
	if (status)
		return status;
	status = end_like(&r);
	return status ? status : r.end_status;
}
