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

#include "cmd.h"

struct arguments {
	struct rtkvm_cpu_request request;
	char **command;
	bool pin;
	bool claim;
	bool quiet;
};

static volatile sig_atomic_t child;

static bool number(const char *text, int max, int *value)
{
	char *end;
	long v;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || *end || v > max)
		return false;
	*value = (int)v;
	return true;
}

static bool read_mode(const char *text, int32_t *mode)
{
	static const char *const names[] = { "best", "affinity", "partition", "offline" };

	for (int i = 0; i < 4; i++)
		if (!strcmp(text, names[i])) {
			*mode = i;
			return true;
		}
	return false;
}

static bool read_flag(const char *text, struct arguments *a)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} flags[] = {
		{ "--whole-cores", RTKVM_CPU_WHOLE_CORES }, { "--cpu0", RTKVM_CPU_CPU0 },
		{ "--one-cache", RTKVM_CPU_ONE_CACHE },	    { "--strict", RTKVM_CPU_STRICT },
		{ "--no-fair-server", RTKVM_CPU_NO_FAIR_SERVER },
		{ "--allow-cstates", RTKVM_CPU_ALLOW_CSTATES }, { "--hotplug", RTKVM_CPU_HOTPLUG },
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (!strcmp(text, flags[i].name)) {
			a->request.flags |= flags[i].flag;
			return true;
		}
	return false;
}

/* An option with a value; false: not one, or not a value for it. */
static bool read_value(const char *name, const char *value, struct arguments *a)
{
	int v;

	if (!strcmp(name, "--cpus"))
		a->request.cpus = value;
	else if (!strcmp(name, "--name"))
		a->request.name = value;
	else if (!strcmp(name, "--schemata"))
		a->request.schemata = value;
	else if (!strcmp(name, "--near-device"))
		a->request.near_device = value;
	else if (!strcmp(name, "--mode"))
		return read_mode(value, &a->request.mode);
	else if (!strcmp(name, "--count") && number(value, 8191, &v))
		a->request.count = (uint32_t)v;
	else if (!strcmp(name, "--node") && number(value, 1023, &v))
		a->request.node = v;
	else if (!strcmp(name, "--target") && number(value, INT32_MAX, &v) && v > 0)
		a->request.target = v;
	else
		return false;
	return true;
}

static int read_arguments(struct arguments *a, struct cmd_options *opt, int argc, char **argv)
{
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
		else if (read_flag(argv[i], a))
			continue;
		else if (i + 1 < argc && read_value(argv[i], argv[i + 1], a))
			i++;
		else
			return cmd_usage("dedicate does not know \"%s\", or not its value", argv[i]);
	}
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
