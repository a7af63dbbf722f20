/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rtkvm command: global options and the table of subcommands. What they
 * do is in cmd-NAME.c, and in the library: this is one of its callers.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"

struct command {
	const char *name;
	int (*run)(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv);
	const char *help;
	const char *usage; /* what follows its name, and its options; %s: those of attach */
};

static int cmd_version(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv)
{
	(void)rt;
	(void)opt;
	(void)argv;
	if (argc > 1)
		return cmd_usage("version takes no arguments");
	printf("rtkvm %s (library %s)\n", RTKVM_VERSION_STRING, rtkvm_version());
	return CMD_OK;
}

static const struct command commands[] = {
	{ "doctor", cmd_doctor, "why this host, or a VM on it, is not real-time",
	  "[OPTION...]\n\n"
	  "  --cpus LIST      CPUs meant for real-time; else the isolated ones\n"
	  "  --pid PID        look at that VM, too\n"
	  "  --qmp SOCKET     ask QEMU by its QMP socket\n"
	  "  --plan PLAN      what the VM's threads should be\n"
	  "  --measure N      measure for N seconds who interferes\n"
	  "  --check ID       one check\n"
	  "  --explain ID     one check in full\n"
	  "  --list           the names of all checks\n"
	  "  -a, --all        also what is fine\n"
	  "  --format FORMAT  text, json, prometheus, nfd\n"
	  "  --json           --format json\n"
	  "  --output FILE    write there\n" },
	{ "plan", cmd_plan, "what a thread plan means, and what this host says of it",
	  "PLAN [OPTION...]\n\n"
	  "  --vcpus N    ask the guards about N vCPU threads\n"
	  "  --cpus LIST  on these CPUs\n"
	  "  --json       what the guards say as JSON\n" },
	{ "dedicate", cmd_dedicate, "take CPUs out of Linux's way, for a command or a process",
	  "[OPTION...] -- COMMAND...\n       rtkvm dedicate [OPTION...] --target PID\n\n"
	  "  --count N            how many CPUs (1)\n"
	  "  --cpus LIST          exactly these\n"
	  "  --node N             of that NUMA node\n"
	  "  --near-device ADDR   near that PCI device\n"
	  "  --whole-cores        no sibling for others\n"
	  "  --one-cache          all below one last-level cache\n"
	  "  --cpu0               CPU 0 may be among them\n"
	  "  --mode MODE          best, affinity, partition, offline\n"
	  "  --strict             fail if an interrupt stays\n"
	  "  --no-fair-server     real-time threads may starve others there\n"
	  "  --allow-cstates      leave C-states and frequencies alone\n"
	  "  --name NAME          of the lease\n"
	  "  --pin                run the command on the CPUs\n"
	  "  --quiet              no report\n"
	  "  --json               the report as JSON\n" },
	{ "run", cmd_run, "start a VMM that is real-time",
	  "[OPTION...] -- COMMAND...\n\n%s"
	  "  --user NAME          run the command as that user\n"
	  "  --pidfile FILE       of a command that becomes a daemon\n"
	  "  --delay S            place threads so many seconds after the start\n" },
	{ "attach", cmd_attach, "make a VMM real-time that runs already",
	  "--qmp SOCKET | --pid PID [OPTION...]\n\n%s" },
	{ "detach", cmd_detach, "give back what run or attach did to a VMM",
	  "NAME | --pid PID | --qmp SOCKET\n" },
	{ "release", cmd_release, "give back a lease that a process owns by name",
	  "NAME [--json]\n" },
	{ "status", cmd_status, "what is leased now; changes nothing", "[--json]\n" },
	{ "restore", cmd_restore, "give back what owners that died left changed", "[--json]\n" },
	{ "latency", cmd_latency, "convert, add up and plot cyclictest histograms",
	  "[OPTION...] FILE...\n\n"
	  "  -f, --format FORMAT  text, hgrm, cyclictest, json\n"
	  "  -p, --plot FILE      a picture: .png, .svg\n"
	  "  --json               --format json\n" },
	{ "version", cmd_version, "version of the command and of the library", "\n" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(FILE *f)
{
	fprintf(f, "usage: rtkvm [OPTION...] COMMAND [ARGUMENT...]\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].help);
	fprintf(f, "\n"
		   "  --root DIR       stands for / in all that is read and written\n"
		   "  --state-dir DIR  where journals are kept\n"
		   "  --json           reports as JSON\n"
		   "  -v, --verbose    say what is done (twice: also what is read)\n"
		   "  -h, --help       this text; after a command, that command's\n\n"
		   "exit status: 0 fine, 1 something needs attention, 2 usage or error\n");
}

/* Is help asked for? What follows "--" is another command's. */
static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

int cmd_fail(void)
{
	fprintf(stderr, "rtkvm: %s\n", rtkvm_last_error());
	return CMD_ERROR;
}

int cmd_usage(const char *fmt, ...)
{
	va_list ap;

	fputs("rtkvm: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("; see rtkvm --help\n", stderr);
	return CMD_ERROR;
}

bool cmd_no_arguments(struct cmd_options *opt, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json")) {
			cmd_usage("%s does not know \"%s\"", argv[0], argv[i]);
			return false;
		}
		opt->json = true;
	}
	return true;
}

static void print_usage(const struct command *command)
{
	const char *shared = strstr(command->usage, "%s");

	printf("usage: rtkvm %s ", command->name);
	if (shared)
		printf("%.*s%s%s", (int)(shared - command->usage), command->usage, attach_args_help,
		       shared + 2);
	else
		printf("%s", command->usage);
	printf("\n%s; see rtkvm(1)\n", command->help);
}

static void log_line(int level, const char *message, void *arg)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	(void)arg;
	fprintf(stderr, "rtkvm: %s: %s\n", names[level], message);
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int run(const struct command *command, struct rtkvm_options *options,
	       const struct cmd_options *opt, int argc, char **argv)
{
	struct rtkvm *rt;
	int status;

	if (opt->verbose) {
		options->log = log_line;
		options->log_level = opt->verbose > 1 ? RTKVM_LOG_DEBUG : RTKVM_LOG_INFO;
	}
	if (rtkvm_new(options, &rt) < 0)
		return cmd_fail();
	status = command->run(rt, opt, argc, argv);
	rtkvm_free(rt);
	if (fflush(stdout) || ferror(stdout)) {
		perror("rtkvm: standard output");
		return CMD_ERROR;
	}
	return status;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct cmd_options opt = { .json = false };
	const struct command *command;
	struct rtkvm_options options;
	int c;

	rtkvm_options_init(&options, sizeof(options));
	while ((c = getopt_long(argc, argv, "+vh", longs, NULL)) != -1) {
		switch (c) {
		case 'r':
			options.root = optarg;
			opt.made_up = strcmp(optarg, "/") != 0;
			break;
		case 's':
			options.state_dir = optarg;
			break;
		case 'j':
			opt.json = true;
			break;
		case 'v':
			opt.verbose++;
			break;
		case 'h':
			help(stdout);
			return CMD_OK;
		case 'V':
			return cmd_version(NULL, &opt, 1, argv);
		default:
			return CMD_ERROR;
		}
	}
	if (optind == argc) {
		help(stderr);
		return CMD_ERROR;
	}
	command = find(argv[optind]);
	if (!command)
		return cmd_usage("no command \"%s\"", argv[optind]);
	if (wants_help(argc - optind, argv + optind)) {
		print_usage(command);
		return CMD_OK;
	}
	return run(command, &options, &opt, argc - optind, argv + optind);
}
