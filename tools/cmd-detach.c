/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm detach NAME | --pid PID | --qmp SOCKET: give back what run or attach did
 * to a process. Who watches it is told to; else the lease is ended here.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach.h"

#define WAIT_MS 15000

static int read_arguments(char name[ATTACH_NAME_MAX], pid_t *pid, const char **qmp,
			  struct cmd_options *opt, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			opt->json = true;
		else if (!strcmp(argv[i], "--qmp") && i + 1 < argc)
			*qmp = argv[++i];
		else if (!strcmp(argv[i], "--pid") && i + 1 < argc &&
			 cmd_number(argv[i + 1], INT32_MAX, pid) && *pid > 0)
			i++;
		else if (argv[i][0] != '-' && !name[0] && strlen(argv[i]) < ATTACH_NAME_MAX)
			snprintf(name, ATTACH_NAME_MAX, "%s", argv[i]);
		else
			return cmd_usage("detach does not know \"%s\", or not its value", argv[i]);
	}
	if ((name[0] != '\0') + (*pid != 0) + (*qmp != NULL) != 1)
		return cmd_usage("detach takes the name of a lease, --pid PID or --qmp SOCKET");
	return CMD_OK;
}

/* The process that watches the lease of that name; 0: none does; -1: no such lease. */
static pid_t watcher_of(struct rtkvm *rt, const char *name)
{
	const struct rtkvm_report_item *lease, *watch;
	char feature[ATTACH_NAME_MAX + 8];
	struct rtkvm_report *report;
	int pid = 0;

	rtkvm_status(rt, &report);
	lease = rtkvm_report_find(report, name);
	snprintf(feature, sizeof(feature), "%s/watch", name);
	watch = rtkvm_report_find(report, feature);
	if (!lease)
		pid = -1;
	else if (!watch || rtkvm_report_item_state(watch) != RTKVM_STATE_VERIFIED ||
		 sscanf(rtkvm_report_item_reason(watch), "by process %10d", &pid) != 1)
		pid = 0;
	rtkvm_report_free(report);
	return pid;
}

/* A signal with a value: rtkvm run tells it from one that is meant for its command. */
static int tell(int pidfd)
{
	siginfo_t info = { .si_signo = SIGTERM, .si_code = SI_QUEUE };

	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = ATTACH_DETACH;
	return (int)syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, &info, 0);
}

/* Until nobody has the lease any more. */
static int wait_for_end(struct rtkvm *rt, const char *name, pid_t watcher)
{
	long long until = attach_now_ms() + WAIT_MS;

	while (watcher_of(rt, name) == watcher && attach_now_ms() < until)
		poll(NULL, 0, 20);
	while (attach_exists(rt, name) == 1 && attach_now_ms() < until)
		poll(NULL, 0, 20);
	if (attach_exists(rt, name) == 0)
		return CMD_OK;
	fprintf(stderr, "rtkvm: process %d, which watches \"%s\", was told to let go of it and has "
			"not done so in %d s\n", watcher, name, WAIT_MS / 1000);
	return CMD_ERROR;
}

static int detach_watched(struct rtkvm *rt, const char *name, pid_t watcher)
{
	int pidfd = (int)syscall(SYS_pidfd_open, watcher, 0), status;

	/* once more, now that its number cannot be reused */
	if (pidfd >= 0 && watcher_of(rt, name) == watcher && tell(pidfd) == 0) {
		status = wait_for_end(rt, name, watcher);
	} else {
		fprintf(stderr, "rtkvm: process %d, which watches \"%s\", cannot be told: %s\n",
			watcher, name, strerror(errno));
		status = CMD_ERROR;
	}
	if (pidfd >= 0)
		close(pidfd);
	return status;
}

int cmd_detach(struct rtkvm *rt, const struct cmd_options *global, int argc, char **argv)
{
	struct cmd_options opt = *global;
	struct attach_options options = { .quiet = true };
	struct attachment a = { .rt = rt, .options = &options };
	struct rtkvm_report *report;
	pid_t watcher;
	int ret;

	ret = read_arguments(a.name, &a.pid, &options.qmp, &opt, argc, argv);
	if (ret == CMD_OK && options.qmp)
		ret = attach_qmp_open(&a, QMP_TIMEOUT_MS, true);
	qmp_close(a.qmp);
	if (ret != CMD_OK)
		return ret;
	if (a.pid)
		snprintf(a.name, sizeof(a.name), "attach-%d", a.pid);
	watcher = watcher_of(rt, a.name);
	if (watcher < 0 && a.pid) { /* it may have been started by rtkvm run */
		snprintf(a.name, sizeof(a.name), "run-%d", a.pid);
		watcher = watcher_of(rt, a.name);
		if (watcher < 0)
			snprintf(a.name, sizeof(a.name), "attach-%d", a.pid);
	}
	if (watcher > 0)
		return detach_watched(rt, a.name, watcher);
	ret = rtkvm_lease_end(rt, a.name, &report);
	return cmd_report(&opt, "detach", ret, report, "nothing to give back");
}
