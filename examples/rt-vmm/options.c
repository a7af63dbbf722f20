/* SPDX-License-Identifier: MIT */
/* The command line: options, their ranges, and what they say about each other. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"
#include "linux.h"
#include "machine.h"

const char options_usage[] =
	"usage: rt-vmm run  [options]    one measured run of the built-in guest\n"
	"       rt-vmm demo [options]    plain, by hand and librtkvm, compared under load\n"
	"       rt-vmm linux [options]   boot a Linux guest\n"
	"       rt-vmm restore           give back what a killed run left behind\n"
	"\n"
	"  --vcpus N           vCPUs, 1 to 8 [1]\n"
	"  --interval US       time between two ticks of the guest, 50 to 1000000 [1000]\n"
	"  --work US           computation per tick, below the interval [100]\n"
	"  --duration S        of each measured run, 1 to 3600 [run: 5, demo: 1]\n"
	"  --cpus LIST         CPUs of the vCPUs when tuned [the last ones]\n"
	"  --rt PLAN           thread plan; run: use librtkvm with it [demo: maxprio=80,policy=ff]\n"
	"  --halt-poll NS      with librtkvm: longest halt polling of this VM [0]\n"
	"  --no-lease          with librtkvm: leave IRQs and workers of the host where they are\n"
	"  --dedicate LIST     with librtkvm: CPUs that leave Linux, for the first vCPUs one each;\n"
	"                      or \"passed\": those of rtkvm dedicate --mode offline --claim\n"
	"  --poll NS           of those: so long their threads look for an exit before they\n"
	"                      sleep [10000]\n"
	"  --no-fallback       of those: fail where the kernel refuses one, which is an ordinary\n"
	"                      vCPU on that CPU otherwise\n"
	"  --kvm PATH|fd:N     KVM device, or an open descriptor of it [/dev/kvm]\n"
	"  --huge-pages        guest memory in pages of 2 MiB that were set aside\n"
	"                      (sysctl vm.nr_hugepages)\n"
	"run:\n"
	"  --boot-limit S      how long the guest may take to come up, 1 to 86400 [about 5]\n"
	"  --by-hand           chrt, taskset and mlockall instead of librtkvm\n"
	"  --histogram FILE    write it; .hgrm, .json, .txt, else cyclictest's format; up to 4\n"
	"  --break-guest HOW   for tests: hang, trap or shutdown\n"
	"demo:\n"
	"  --rounds N          1 to 50 [18, fewer if it would take more than 110 s]\n"
	"  --output DIR        for histograms, plot and result.json [rt-vmm-demo]\n"
	"  --json              JSON on stdout instead of the table\n"
	"linux:\n"
	"  --kernel FILE       bzImage or vmlinux of x86-64\n"
	"  --initrd FILE       [none]\n"
	"  --append ARGS       more of its command line\n"
	"  --memory MIB        32 to 3072 [256]\n"
	"  --marker TEXT       the guest is up when its console has a line with TEXT;\n"
	"                      then, not before, what --rt or --by-hand want is done\n"
	"  --boot-limit S      how long that may take, 1 to 86400 [60]\n"
	"  --limit S           how long the guest may run from then on [for ever]\n"
	"  --data FILE         write there what the second serial port sends\n"
	"  --report            print settings and features at the end\n"
	"  --by-hand           as above\n"
	"  --any-kvm           try it on a software KVM, too\n"
	"\n"
	"Exit status of linux: the guest's (the byte it writes to port 0xf4); 124 a time\n"
	"limit has passed, 125 it could not be run, 126 it was reset.\n"
	"Otherwise: 0 measured, 1 could not be measured, 2 demo: too noisy, 64 usage,\n"
	"130 interrupted (everything was given back).\n";

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

enum { O_VCPUS = 1, O_KERNEL, O_INITRD, O_APPEND, O_MEMORY, O_MARKER, O_BOOT_LIMIT, O_LIMIT, O_DATA,
       O_REPORT, O_ANY_KVM, O_HUGE_PAGES, O_INTERVAL, O_WORK, O_DURATION, O_CPUS, O_RT, O_HALT_POLL, O_NO_LEASE, O_KVM,
       O_DEDICATE, O_POLL, O_NO_FALLBACK,
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
	{ "dedicate", required_argument, NULL, O_DEDICATE },
	{ "poll", required_argument, NULL, O_POLL },
	{ "no-fallback", no_argument, NULL, O_NO_FALLBACK },
	{ "kvm", required_argument, NULL, O_KVM },
	{ "by-hand", no_argument, NULL, O_BY_HAND },
	{ "histogram", required_argument, NULL, O_HISTOGRAM },
	{ "rounds", required_argument, NULL, O_ROUNDS },
	{ "output", required_argument, NULL, O_OUTPUT },
	{ "break-guest", required_argument, NULL, O_BREAK_GUEST },
	{ "json", no_argument, NULL, O_JSON },
	{ "kernel", required_argument, NULL, O_KERNEL },
	{ "initrd", required_argument, NULL, O_INITRD },
	{ "append", required_argument, NULL, O_APPEND },
	{ "memory", required_argument, NULL, O_MEMORY },
	{ "marker", required_argument, NULL, O_MARKER },
	{ "boot-limit", required_argument, NULL, O_BOOT_LIMIT },
	{ "limit", required_argument, NULL, O_LIMIT },
	{ "data", required_argument, NULL, O_DATA },
	{ "report", no_argument, NULL, O_REPORT },
	{ "huge-pages", no_argument, NULL, O_HUGE_PAGES },
	{ "any-kvm", no_argument, NULL, O_ANY_KVM },
	{ "help", no_argument, NULL, O_HELP },
	{ NULL, 0, NULL, 0 }
};

static bool take_linux_option(struct linux_config *c, int option, const char *arg)
{
	switch (option) {
	case O_KERNEL:
		c->kernel = arg;
		return true;
	case O_INITRD:
		c->initrd = arg;
		return true;
	case O_APPEND:
		c->append = arg;
		return true;
	case O_MEMORY:
		return number("memory", arg, 32, 3072, &c->memory_mib);
	case O_MARKER:
		c->marker = arg;
		return true;
	case O_LIMIT:
		return number("limit", arg, 0, 86400, &c->limit_s);
	case O_DATA:
		c->data = arg;
		return true;
	case O_REPORT:
		c->report = true;
		return true;
	case O_ANY_KVM:
		c->any_kvm = true;
		return true;
	default:
		return false;
	}
}

/* What rtkvm dedicate --claim has left open for this program. */
static bool take_passed(struct config *c)
{
	const char *lease = getenv("RTKVM_LEASE_FD"), *p;
	unsigned int fd;

	c->claims = getenv("RTKVM_CLAIM_FDS");
	if (!lease || !c->claims) {
		fail("--dedicate passed: nothing was; start it by rtkvm dedicate --mode offline --claim "
		     "-- rt-vmm ...");
		return false;
	}
	if (!number("dedicate passed: RTKVM_LEASE_FD", lease, 0, 1 << 20, &fd))
		return false;
	c->lease_fd = (int)fd;
	for (c->dedicated = 1, p = c->claims; (p = strchr(p, ',')); p++)
		c->dedicated++;
	return true;
}

static bool take_option(struct config *c, int option, const char *arg, const char **cpus)
{
	unsigned int ns;

	switch (option) {
	case O_BOOT_LIMIT:
		return number("boot-limit", arg, 1, 86400, c->linux_guest ?
			      &c->linux_guest->boot_limit_s : &c->boot_limit_s);
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
	case O_DEDICATE:
		if (!strcmp(arg, "passed"))
			return take_passed(c);
		if (cpus_parse(arg, &c->dedicated_cpus) < 0)
			return false;
		c->dedicated = (unsigned int)CPU_COUNT(&c->dedicated_cpus);
		return true;
	case O_POLL:
		if (!number("poll", arg, 0, 1000000000, &ns))
			return false;
		c->poll_ns = ns;
		return true;
	case O_NO_FALLBACK:
		c->no_fallback = true;
		return true;
	case O_KVM:
		c->kvm = arg;
		return true;
	case O_HUGE_PAGES:
		c->huge_pages = true;
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
		return c->linux_guest ? take_linux_option(c->linux_guest, option, arg) :
				  fail("that is an option of rt-vmm linux; rt-vmm --help has all") == 0;
	}
}

static bool check_linux(const struct config *c)
{
	if (!c->linux_guest->kernel) {
		fail("--kernel: which kernel is to be booted?");
		return false;
	}
	if (c->linux_guest->marker && !*c->linux_guest->marker) {
		fail("--marker: an empty text is in every line");
		return false;
	}
	if ((c->plan || c->by_hand) && !c->linux_guest->marker) {
		fail("--marker: what does the guest print when it is up? It is not made real-time "
		     "before, because that would starve its boot");
		return false;
	}
	return true;
}

static bool check_dedicated(const struct config *c)
{
	if (!c->dedicated)
		return true;
	if (!c->plan) {
		fail("--dedicate: with --rt only");
		return false;
	}
	if (c->dedicated > c->vcpus) {
		fail("--dedicate: %u CPUs for %u vCPUs", c->dedicated, c->vcpus);
		return false;
	}
	return true;
}

bool options_parse(struct config *c, int argc, char **argv)
{
	const char *cpus = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == O_HELP) {
			fputs(options_usage, stdout);
			exit(STATUS_OK);
		}
		if (option == '?' || !take_option(c, option, optarg, &cpus))
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
	if (!check_dedicated(c) || (c->linux_guest && !check_linux(c)))
		return false;
	return cpus_choose(c, cpus) == 0;
}
