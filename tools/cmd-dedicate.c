/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm dedicate [OPTION...] [--target PID | -- COMMAND...]: take CPUs out of
 * Linux's way. A command inherits the descriptor of the lease, with --claim those of
 * its CPUs too, and everything is given back when it ends; a target owns the lease as
 * long as it lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu-args.h"

struct arguments {
	struct rtkvm_cpu_request request;
	char **command;
	bool pin;
	bool claim;
	bool quiet;
};

static volatile sig_atomic_t child;

static int read_arguments(struct arguments *a, struct cmd_options *opt, int argc, char **argv)
{
	int target = 0, words;

	rtkvm_cpu_request_init(&a->request, sizeof(a->request));
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--")) {
			a->command = argv + i + 1;
			break;
		}
		if (!strcmp(argv[i], "--json"))
			opt->json = true;
		else if (!strcmp(argv[i], "--pin"))
			a->pin = true;
		else if (!strcmp(argv[i], "--claim"))
			a->claim = true;
		else if (!strcmp(argv[i], "--quiet"))
			a->quiet = true;
		else if (!strcmp(argv[i], "--target") && i + 1 < argc &&
			 cmd_number(argv[i + 1], INT32_MAX, &target) && target > 0)
			i++;
		else if ((words = cpu_args_take(&a->request, argc - i, argv + i)) > 0)
			i += words - 1;
		else
			return cmd_usage("dedicate does not know \"%s\", or not its value", argv[i]);
	}
	a->request.target = target;
	if (!a->command == !a->request.target || (a->command && !*a->command))
		return cmd_usage("dedicate takes either --target PID or -- COMMAND");
	if (a->claim && (a->request.mode != RTKVM_CPU_OFFLINE || !a->command))
		return cmd_usage("--claim is for --mode offline and a COMMAND");
	return CMD_OK;
}

static void forward(int sig)
{
	if (child > 0)
		kill(child, sig);
}

/* The descriptors of all CPUs, "5,6", inheritable. */
static int pass_claims(struct rtkvm_cpu_lease *lease)
{
	uint32_t count = rtkvm_cpu_lease_get_count(lease);
	char *text = malloc(count * 12 + 1);
	size_t len = 0;
	int ret = 0;

	for (uint32_t i = 0; text && i < count && ret >= 0; i++) {
		ret = rtkvm_cpu_lease_claim(lease, i);
		if (ret >= 0)
			len += (size_t)sprintf(text + len, i ? ",%d" : "%d", ret);
	}
	if (text && ret >= 0)
		setenv("RTKVM_CLAIM_FDS", text, 1);
	free(text);
	return text ? ret : -ENOMEM;
}

/* Waits until its parent has done what it wants with it, then becomes the command. */
static void become(const struct arguments *a, int go, struct rtkvm_cpu_lease *lease)
{
	int lease_fd = rtkvm_cpu_lease_fd(lease);
	char text[16], c;

	if (read(go, &c, 1) != 1)
		_exit(CMD_ERROR);
	close(go);
	snprintf(text, sizeof(text), "%d", lease_fd);
	setenv("RTKVM_LEASE_FD", text, 1);
	fcntl(lease_fd, F_SETFD, 0);
	for (uint32_t i = 0; a->claim && i < rtkvm_cpu_lease_get_count(lease); i++)
		fcntl(rtkvm_cpu_lease_claim(lease, i), F_SETFD, 0); /* it has them by now */
	execvp(a->command[0], a->command);
	fprintf(stderr, "rtkvm: %s: %s\n", a->command[0], strerror(errno));
	_exit(127);
}

/* The command's exit status. */
static int run_command(const struct arguments *a, struct rtkvm_cpu_lease *lease)
{
	struct sigaction act = { .sa_handler = forward };
	int go[2], status = 0;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0)
		return CMD_ERROR;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		become(a, go[0], lease);
	}
	close(go[0]);
	if (pid < 0) {
		perror("rtkvm: fork");
		close(go[1]);
		return CMD_ERROR;
	}
	child = pid;
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	if (a->pin && rtkvm_cpu_lease_add_thread(lease, pid, -1) < 0)
		status = cmd_fail();
	else if (write(go[1], "x", 1) != 1)
		status = CMD_ERROR;
	close(go[1]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int show(struct rtkvm_cpu_lease *lease, const struct cmd_options *opt, const char *command)
{
	struct rtkvm_report *report;
	int ret = rtkvm_cpu_lease_report(lease, &report);

	return cmd_report(opt, command, ret, report, "");
}

int cmd_dedicate(struct rtkvm *rt, const struct cmd_options *global, int argc, char **argv)
{
	struct cmd_options opt = *global;
	struct arguments a = { .pin = false };
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_report *report;
	int status = read_arguments(&a, &opt, argc, argv), ret;

	if (status != CMD_OK)
		return status;
	if (rtkvm_cpu_lease_acquire(rt, &a.request, &lease) < 0)
		return cmd_fail();
	if (a.request.target) {
		status = a.quiet ? CMD_OK : show(lease, &opt, "dedicate");
		rtkvm_cpu_lease_leave(lease);
		return status;
	}
	if (!a.quiet)
		(void)show(lease, &opt, "dedicate");
	status = a.claim && pass_claims(lease) < 0 ? cmd_fail() : run_command(&a, lease);
	ret = rtkvm_cpu_lease_release(lease, &report);
	if (ret < 0)
		cmd_fail();
	else if (rtkvm_report_problems(report))
		cmd_report(&opt, "release", ret, report, ""), report = NULL;
	rtkvm_report_free(report);
	return status ? status : ret < 0 ? CMD_ERROR : CMD_OK;
}
