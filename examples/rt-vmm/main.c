/* SPDX-License-Identifier: MIT */
/*
 * rt-vmm: a small VMM made real-time by librtkvm. Commands, options, signals
 * and messages; the work is in run.c and demo.c.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"
#include "files.h"
#include "host.h"
#include "run.h"

#define DEFAULT_PLAN "maxprio=80,policy=ff"

volatile int interrupted;

static const char usage_text[] =
	"usage: rt-vmm run  [options]    one measured run of the guest\n"
	"       rt-vmm demo [options]    plain, by hand and librtkvm, compared under load\n"
	"       rt-vmm restore           give back what a killed run left behind\n"
	"\n"
	"  --vcpus N           vCPUs, 1 to 8 [1]\n"
	"  --interval US       time between two ticks of the guest, 50 to 1000000 [1000]\n"
	"  --work US           computation per tick, below the interval [100]\n"
	"  --duration S        of each measured run, 1 to 3600 [run: 5, demo: 2]\n"
	"  --cpus LIST         CPUs of the vCPUs when tuned [the last ones]\n"
	"  --rt PLAN           thread plan; run: use librtkvm with it [demo: " DEFAULT_PLAN "]\n"
	"  --halt-poll NS      with librtkvm: longest halt polling of this VM [0]\n"
	"  --no-lease          with librtkvm: leave IRQs and workers of the host where they are\n"
	"  --kvm PATH|fd:N     KVM device, or an open descriptor of it [/dev/kvm]\n"
	"run:\n"
	"  --by-hand           chrt, taskset and mlockall instead of librtkvm\n"
	"  --histogram FILE    write it; .hgrm, .json, .txt, else cyclictest's format; up to 4\n"
	"  --break-guest HOW   for tests: hang, trap or shutdown\n"
	"demo:\n"
	"  --rounds N          1 to 50 [10, fewer if it would take more than 110 s]\n"
	"  --output DIR        for histograms, plot and result.json [rt-vmm-demo]\n"
	"  --json              JSON on stdout instead of the table\n"
	"\n"
	"Exit status: 0 measured, 1 could not be measured, 2 demo: too noisy, 64 usage,\n"
	"130 interrupted (everything was given back).\n";

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

static bool number(const char *option, const char *text, unsigned int min, unsigned int max,
		   unsigned int *value)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || v < min || v > max) {
		fail("--%s %s: not a number from %u to %u", option, text, min, max);
		return false;
	}
	*value = (unsigned int)v;
	return true;
}

enum { O_VCPUS = 1, O_INTERVAL, O_WORK, O_DURATION, O_CPUS, O_RT, O_HALT_POLL, O_NO_LEASE, O_KVM,
       O_BY_HAND, O_HISTOGRAM, O_ROUNDS, O_OUTPUT, O_JSON, O_BREAK_GUEST,
       O_HELP };

static const struct option options[] = {
	{ "vcpus", required_argument, NULL, O_VCPUS },
	{ "interval", required_argument, NULL, O_INTERVAL },
	{ "work", required_argument, NULL, O_WORK },
	{ "duration", required_argument, NULL, O_DURATION },
	{ "cpus", required_argument, NULL, O_CPUS },
	{ "rt", required_argument, NULL, O_RT },
	{ "halt-poll", required_argument, NULL, O_HALT_POLL },
	{ "no-lease", no_argument, NULL, O_NO_LEASE },
	{ "kvm", required_argument, NULL, O_KVM },
	{ "by-hand", no_argument, NULL, O_BY_HAND },
	{ "histogram", required_argument, NULL, O_HISTOGRAM },
	{ "rounds", required_argument, NULL, O_ROUNDS },
	{ "output", required_argument, NULL, O_OUTPUT },
	{ "break-guest", required_argument, NULL, O_BREAK_GUEST },
	{ "json", no_argument, NULL, O_JSON },
	{ "help", no_argument, NULL, O_HELP },
	{ NULL, 0, NULL, 0 }
};

static bool take_option(struct config *c, int option, const char *arg, const char **cpus)
{
	switch (option) {
	case O_VCPUS:
		return number("vcpus", arg, 1, GUEST_MAX_VCPUS, &c->vcpus);
	case O_INTERVAL:
		return number("interval", arg, 50, 1000000, &c->interval_us);
	case O_WORK:
		return number("work", arg, 0, 1000000, &c->work_us);
	case O_DURATION:
		return number("duration", arg, 1, 3600, &c->duration_s);
	case O_HALT_POLL:
		return number("halt-poll", arg, 0, 1000000000, &c->halt_poll_ns);
	case O_ROUNDS:
		c->limit_s = 0;
		return number("rounds", arg, 1, DEMO_MAX_ROUNDS, &c->rounds);
	case O_CPUS:
		*cpus = arg;
		return true;
	case O_RT:
		c->plan = arg;
		return true;
	case O_NO_LEASE:
		c->host_knobs = false;
		return true;
	case O_KVM:
		c->kvm = arg;
		return true;
	case O_BY_HAND:
		c->by_hand = true;
		return true;
	case O_HISTOGRAM:
		if (c->histograms == 4) {
			fail("--histogram: at most 4");
			return false;
		}
		c->histogram[c->histograms++] = arg;
		return true;
	case O_OUTPUT:
		c->output = arg;
		return true;
	case O_BREAK_GUEST:
		c->break_guest = arg;
		return true;
	case O_JSON:
		c->json = true;
		return true;
	default:
		return false;
	}
}

static bool parse(struct config *c, int argc, char **argv)
{
	const char *cpus = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == O_HELP) {
			fputs(usage_text, stdout);
			exit(STATUS_OK);
		}
		if (!take_option(c, option, optarg, &cpus))
			return false;
	}
	if (optind < argc) {
		fail("%s: not an option", argv[optind]);
		return false;
	}
	if (c->work_us >= c->interval_us) {
		fail("--work %u: must be below the interval of %u us", c->work_us, c->interval_us);
		return false;
	}
	if (c->by_hand && c->plan) {
		fail("--by-hand and --rt: one of them");
		return false;
	}
	return cpus_choose(c, cpus) == 0;
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

int main(int argc, char **argv)
{
	struct config config = {
		.kvm = "/dev/kvm", .vcpus = 1, .interval_us = 1000, .work_us = 100,
		.rounds = 10, .limit_s = 110, .output = "rt-vmm-demo", .host_knobs = true,
	};
	const char *command = argc > 1 ? argv[1] : "";
	bool demo = !strcmp(command, "demo");
	int rc;

	if (!strcmp(command, "--help") || !strcmp(command, "help")) {
		fputs(usage_text, stdout);
		return STATUS_OK;
	}
	if (!strcmp(command, "restore"))
		return host_restore(false);
	if (!demo && strcmp(command, "run") != 0) {
		fputs(usage_text, stderr);
		return STATUS_USAGE;
	}
	if (!parse(&config, argc - 1, argv + 1))
		return STATUS_USAGE;
	if (!config.duration_s)
		config.duration_s = demo ? 2 : 5;
	if (demo && !config.plan)
		config.plan = DEFAULT_PLAN;
	config.kvm_fd = kvm_open(config.kvm);
	if (config.kvm_fd < 0)
		return STATUS_ERROR;
	catch_signals();
	rc = demo ? demo_main(&config) : run_main(&config);
	close(config.kvm_fd);
	if (interrupted)
		fail("interrupted; the guest, the load and all settings are as they were before");
	return interrupted ? STATUS_INTERRUPTED : rc;
}
