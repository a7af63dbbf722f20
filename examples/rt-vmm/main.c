/* SPDX-License-Identifier: MIT */
/*
 * rt-vmm: a small VMM made real-time by librtkvm. Commands, signals and
 * messages; the work is in run.c, linux.c and demo.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"
#include "files.h"
#include "host.h"
#include "linux.h"
#include "run.h"

#define DEFAULT_PLAN "maxprio=80,policy=ff"

volatile int interrupted;

static void message(const char *fmt, va_list ap)
{
	char line[1024];

	/* in one piece, so that lines of parent and child do not mix */
	vsnprintf(line, sizeof(line), fmt, ap);
	fprintf(stderr, "rt-vmm: %s\n", line);
}

int fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(fmt, ap);
	va_end(ap);
	return -1;
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(fmt, ap);
	va_end(ap);
}

static void on_signal(int signal)
{
	interrupted = signal;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN); /* a closed pager must not keep us from cleaning up */
}

static int run_main(const struct config *config)
{
	const struct tuning *tuning = config->plan ? &tuning_rt :
				      config->by_hand ? &tuning_hand : &tuning_plain;
	struct lateness lateness;
	struct figures figures;
	struct result *result;
	int rc = STATUS_ERROR;

	if (tuning == &tuning_rt)
		host_restore(true);
	result = calloc(1, sizeof(*result));
	if (!result || lateness_new(&lateness, tuning->name) < 0) {
		free(result);
		return STATUS_ERROR;
	}
	rc = run_measured(config, tuning, result, lateness_record, &lateness);
	if (rc == STATUS_OK) {
		figures_of(&figures, &lateness, result);
		printf("%s: ", tuning->name);
		figures_print_run(&figures, result);
	}
	for (unsigned int i = 0; i < config->histograms && rc == STATUS_OK; i++)
		if (file_write(lateness.task, config->histogram[i]) < 0)
			rc = STATUS_ERROR;
	lateness_free(&lateness);
	free(result);
	return rc;
}

static int linux_command(const struct config *config)
{
	if (config->plan)
		host_restore(true);
	return linux_main(config);
}

enum { RUN, DEMO, LINUX };

static int command_of(const char *name)
{
	static const char *const names[] = { "run", "demo", "linux" };

	for (int i = 0; i < 3; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

int main(int argc, char **argv)
{
	struct linux_config guest = { .memory_mib = 256, .boot_limit_s = 60 };
	struct config config = {
		.kvm = "/dev/kvm", .vcpus = 1, .interval_us = 1000, .work_us = 100,
		.rounds = 18, .limit_s = 110, .output = "rt-vmm-demo", .host_knobs = true, .poll_ns = -1,
	};
	const char *name = argc > 1 ? argv[1] : "";
	int command = command_of(name);
	bool demo = command == DEMO, is_linux = command == LINUX;
	int rc;

	if (!strcmp(name, "--help") || !strcmp(name, "help")) {
		fputs(options_usage, stdout);
		return STATUS_OK;
	}
	if (!strcmp(name, "restore"))
		return host_restore(false);
	if (command < 0) {
		fputs(options_usage, stderr);
		return STATUS_USAGE;
	}
	if (is_linux)
		config.linux_guest = &guest;
	if (!options_parse(&config, argc - 1, argv + 1))
		return is_linux ? LINUX_ERROR : STATUS_USAGE;
	if (!config.duration_s)
		config.duration_s = demo ? 1 : 5;
	if (demo && !config.plan)
		config.plan = DEFAULT_PLAN;
	config.kvm_fd = kvm_open(config.kvm);
	if (config.kvm_fd < 0)
		return is_linux ? LINUX_ERROR : STATUS_ERROR;
	catch_signals();
	rc = demo ? demo_main(&config) : is_linux ? linux_command(&config) : run_main(&config);
	close(config.kvm_fd);
	if (interrupted)
		fail("interrupted; the guest, the load and all settings are as they were before");
	return interrupted ? STATUS_INTERRUPTED : rc;
}
