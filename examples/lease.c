/* SPDX-License-Identifier: MIT */
/*
 * A change to the host that is always given back: the interval of the
 * kernel's VM statistics (vm.stat_interval), which wakes every CPU.
 *
 *   cc lease.c -o lease $(pkg-config --cflags --libs rtkvm)
 *   sudo ./lease            set it, show it, give it back
 *   sudo ./lease --crash    set it and die; then: sudo rtkvm restore
 *
 * Without root, on a made-up tree:
 *
 *   mkdir -p tree/proc/sys/vm tree/proc/sys/kernel/random
 *   echo 1 > tree/proc/sys/vm/stat_interval
 *   cp /proc/sys/kernel/random/boot_id tree/proc/sys/kernel/random/
 *   ./lease --root $PWD/tree
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rtkvm/rtkvm.h>

static void show(const char *root, const char *when)
{
	char path[4096], value[64] = "?";
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/sys/vm/stat_interval", root ? root : "");
	f = fopen(path, "r");
	if (f && fgets(value, sizeof(value), f))
		value[strcspn(value, "\n")] = '\0';
	if (f)
		fclose(f);
	printf("%-8s vm.stat_interval = %s\n", when, value);
}

static void print(const struct rtkvm_report *report)
{
	const struct rtkvm_report_item *item = NULL;

	while ((item = rtkvm_report_next(report, item)))
		printf("%s %s: %s (%s)\n", rtkvm_report_item_problem(item) ? "!" : " ",
		       rtkvm_report_item_feature(item),
		       rtkvm_report_state_name(rtkvm_report_item_state(item)),
		       rtkvm_report_item_reason(item));
}

int main(int argc, char **argv)
{
	struct rtkvm_options options;
	struct rtkvm_report *report;
	struct rtkvm_lease *lease;
	struct rtkvm *rt;
	int crash = 0, failed;

	rtkvm_options_init(&options, sizeof(options));
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--crash"))
			crash = 1;
		else if (!strcmp(argv[i], "--root") && i + 1 < argc)
			options.root = argv[++i];
		else
			errx(2, "usage: lease [--crash] [--root DIR]");
	}
	if (rtkvm_new(&options, &rt) < 0 || rtkvm_lease_new(rt, "example", &lease) < 0)
		errx(1, "%s", rtkvm_last_error());

	show(options.root, "before");
	/* journaled and synced, then written, then read back */
	if (rtkvm_lease_set_knob(lease, RTKVM_KNOB_STAT_INTERVAL, 0, "120") < 0) {
		warnx("%s", rtkvm_last_error());
		rtkvm_lease_release(lease, NULL);
		rtkvm_free(rt);
		return 1;
	}
	show(options.root, "leased");
	if (crash) {
		fflush(stdout);
		fprintf(stderr, "dying; \"rtkvm restore\" gives it back from %s\n",
			rtkvm_state_dir(rt));
		raise(SIGKILL);
	}

	/* a report comes also when something could not be given back */
	failed = rtkvm_lease_release(lease, &report) < 0;
	if (failed)
		warnx("%s", rtkvm_last_error());
	show(options.root, "released");
	print(report);
	rtkvm_report_free(report);
	rtkvm_free(rt);
	return failed;
}
