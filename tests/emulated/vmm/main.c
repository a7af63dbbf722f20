/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The test VMM's command line, the order in which things happen, and the
 * verdict. What a VM is made of is in the other files (vmm.h).
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "vmm.h"

static const char usage[] =
	"usage: vmm [OPTION]... PAYLOAD\n"
	"\n"
	"Runs a payload (tests/emulated/payload/, the flat image) under KVM and prints\n"
	"one line per figure: NAME VALUE.\n"
	"\n"
	"  --args TEXT       arguments of the payload, \"name=value name=value\"\n"
	"  --cpus N          vCPUs, 1 to 8; becomes the payload's argument cpus\n"
	"  --pin LIST        host CPU of vCPU 0, 1, ...: 1,2\n"
	"  --dedicate LIST   offline CPU for vCPU 0, 1, ...: 3 or 2,3; - for none\n"
	"  --direct LIST     features of that: irq,eoi,tpr,self_ipi,timer,tsc_deadline,msi,ipi,post\n"
	"  --churn N         every N us such a vCPU gives its CPU back, or takes it again, and\n"
	"                    reads and writes its local APIC\n"
	"  --bus-ns N        period of the guest's APIC timer, as the kernel shall have it\n"
	"  --tsc-of-host     the guest's TSC is that of the host, without an offset\n"
	"  --poll-ns N       its thread looks for an exit that long before it sleeps\n"
	"  --fifo P          vCPU threads run at SCHED_FIFO P\n"
	"  --event S[:ARG]   where outside interrupts come from; --help lists them\n"
	"  --fire-us N       fire it every N us; default: when the payload asks\n"
	"  --meters M        all (default: KVM's statistics, and tracepoints where\n"
	"                    there are any), both (tracepoints must be there), stats, none\n"
	"  --split           interrupt controllers half in user space (split irqchip)\n"
	"  --no-x2apic       the guest sees no x2APIC\n"
	"  --start-direct    further CPUs by KVM_SET_SREGS instead of INIT and SIPI\n"
	"  --plan TEXT       made real-time by librtkvm with this thread plan from the moment\n"
	"                    when counting begins; its counts must be those read raw\n"
	"  --noexit-hlt      KVM_CAP_X86_DISABLE_EXITS for HLT\n"
	"  --expect E        NAME<=X, NAME>=X or NAME==X must hold of a figure (repeatable).\n"
	"                    Few exits count only together with events really taken\n"
	"  --limit S         seconds until the payload must have ended, default 60\n"
	"  --break WHAT      a fault, to see it noticed: lose-event, count-twice, forget-exit,\n"
	"                    misread (the library's counts)\n"
	"\n"
	"Exit status: 0; 1 the payload failed or an expectation does not hold; 2 usage;\n"
	"3 the meters do not agree; 4 something else; 77 the payload says it cannot run here.\n"
	"\nEvent sources:\n";

int complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("vmm: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return -1;
}

static int pin_list(struct vmm *m, const char *list)
{
	for (unsigned int i = 0; i < PAYLOAD_MAX_CPUS; i++) {
		char *end;
		long cpu = strtol(list, &end, 10);

		if (end == list || cpu < 0 || cpu > 1023)
			return complain("--pin: '%s' is no list of CPUs", list);
		m->vcpu[i].cpu = (int)cpu;
		if (!*end)
			return 0;
		list = end + 1;
	}
	return complain("--pin: more than %d CPUs", PAYLOAD_MAX_CPUS);
}

static int number(const char *name, const char *text, unsigned int least, unsigned int most,
		  unsigned int *to)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || value < least || value > most)
		return complain("--%s: '%s' is not a number from %u to %u", name, text, least, most);
	*to = (unsigned int)value;
	return 0;
}

static int set_event(struct vmm *m, char *text)
{
	char *colon = strchr(text, ':');

	if (colon)
		*colon++ = 0;
	m->source = event_find(text);
	m->source_argument = colon ? colon : "";
	return m->source ? 0 : complain("no event source '%s'", text);
}

static int set_meters(struct vmm *m, const char *text)
{
	m->trace_wanted = !strcmp(text, "all") || !strcmp(text, "both");
	m->trace_needed = !strcmp(text, "both");
	m->stats_wanted = m->trace_wanted || !strcmp(text, "stats");
	if (!m->stats_wanted && strcmp(text, "none") != 0)
		return complain("--meters: all, both, stats or none");
	return 0;
}

enum { ARGS = 1, CPUS, PIN, DEDICATE, FEATURES, CHURN, BUS, TSC, POLL, FIFO, EVENT, FIRE, METERS, SPLIT, XAPIC, DIRECT, NOHLT, EXPECT,
	LIMIT, BREAK, PLAN, HELP };

static const struct option options[] = {
	{ "args", 1, NULL, ARGS }, { "cpus", 1, NULL, CPUS }, { "pin", 1, NULL, PIN },
	{ "dedicate", 1, NULL, DEDICATE }, { "direct", 1, NULL, FEATURES }, { "churn", 1, NULL, CHURN },
	{ "bus-ns", 1, NULL, BUS }, { "tsc-of-host", 0, NULL, TSC }, { "poll-ns", 1, NULL, POLL }, { "fifo", 1, NULL, FIFO }, { "event", 1, NULL, EVENT }, { "fire-us", 1, NULL, FIRE },
	{ "meters", 1, NULL, METERS }, { "split", 0, NULL, SPLIT },
	{ "no-x2apic", 0, NULL, XAPIC }, { "start-direct", 0, NULL, DIRECT },
	{ "noexit-hlt", 0, NULL, NOHLT }, { "expect", 1, NULL, EXPECT },
	{ "limit", 1, NULL, LIMIT }, { "break", 1, NULL, BREAK }, { "plan", 1, NULL, PLAN }, { "help", 0, NULL, HELP },
	{ NULL, 0, NULL, 0 }
};

static void help(void)
{
	fputs(usage, stdout);
	for (unsigned int i = 0; event_sources[i]; i++)
		printf("  %-16s  %s\n", event_sources[i]->name, event_sources[i]->help);
}

static int parse_one(struct vmm *m, int option)
{
	unsigned int value = 0;

	switch (option) {
	case ARGS:
		m->args = optarg;
		return 0;
	case CPUS:
		return number("cpus", optarg, 1, PAYLOAD_MAX_CPUS, &m->vcpus);
	case PIN:
		return pin_list(m, optarg);
	case DEDICATE:
		return dedicate_parse(m, optarg);
	case FEATURES:
		return dedicate_features(m, optarg);
	case TSC:
		m->tsc_of_host = true;
		return 0;
	case CHURN:
		return number("churn", optarg, 1, 10000000, &m->churn_us);
	case BUS:
		return number("bus-ns", optarg, 1, 1000, &m->bus_ns);
	case POLL:
		return number("poll-ns", optarg, 0, 1000000000, &m->poll_ns);
	case FIFO:
		if (number("fifo", optarg, 1, 98, &value) < 0)
			return -1;
		m->fifo = (int)value;
		return 0;
	case EVENT:
		return set_event(m, optarg);
	case FIRE:
		return number("fire-us", optarg, 1, 10000000, &m->fire_us);
	case METERS:
		return set_meters(m, optarg);
	case SPLIT:
		m->split_irqchip = true;
		return 0;
	case XAPIC:
		m->no_x2apic = true;
		return 0;
	case DIRECT:
		m->direct_aps = true;
		return 0;
	case NOHLT:
		m->disable_exits |= KVM_X86_DISABLE_EXITS_HLT;
		return 0;
	case EXPECT:
		return figures_expect(optarg);
	case LIMIT:
		return number("limit", optarg, 1, 100000, &m->limit);
	case BREAK:
		m->broken = optarg;
		if (strcmp(optarg, "lose-event") != 0 && strcmp(optarg, "count-twice") != 0 &&
		    strcmp(optarg, "forget-exit") != 0 && strcmp(optarg, "misread") != 0)
			return complain("--break: no fault '%s'", optarg);
		return 0;
	case PLAN:
		m->plan = optarg;
		return 0;
	case HELP:
		help();
		exit(VMM_OK);
	default:
		return -1;
	}
}

static int parse(struct vmm *m, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (parse_one(m, option) < 0)
			return -1;
	}
	if (optind != argc - 1)
		return complain("give one payload; --help tells more");
	m->payload = argv[optind];
	return 0;
}

/* Until the payload has ended, or the limit. */
static void wait_for_end(struct vmm *m)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += m->limit;
	pthread_mutex_lock(&m->lock);
	while (!m->ended) {
		if (pthread_cond_timedwait(&m->changed, &m->lock, &until) == ETIMEDOUT) {
			pthread_mutex_unlock(&m->lock);
			complain("the payload did not end within %u s", m->limit);
			vcpu_stop_all(m, -1);
			return;
		}
	}
	pthread_mutex_unlock(&m->lock);
}

static int verdict(struct vmm *m)
{
	int differ;

	if (m->status == PAYLOAD_SKIPPED)
		return VMM_SKIPPED;
	if (m->status != PAYLOAD_OK) {
		if (m->status > 0)
			complain("the payload ended with status %d", m->status);
		return m->status < 0 ? VMM_BROKEN : VMM_FAILED;
	}
	differ = m->counted ? figures_meters(m) : 0;
	if (figures_check() > 0)
		return VMM_FAILED;
	return differ ? VMM_METERS : VMM_OK;
}

static int run(struct vmm *m)
{
	if (machine_make(m) < 0)
		return VMM_BROKEN;
	if (m->trace_wanted && trace_open(m) < 0)
		return VMM_BROKEN;
	if (m->source && m->source->setup(m, m->source_argument) < 0)
		return VMM_BROKEN;
	if (vcpu_start_all(m) < 0)
		return VMM_BROKEN;
	if (event_start(m) < 0)
		vcpu_stop_all(m, -1);
	wait_for_end(m);
	event_stop(m);
	vcpu_join_all(m);
	if (m->counted && m->trace_wanted && trace_report(m) < 0)
		return VMM_BROKEN;
	figures_print(m);
	if (m->source && m->source->report)
		m->source->report(m);
	return verdict(m);
}

int main(int argc, char **argv)
{
	static struct vmm m = { .vcpus = 1, .limit = 60, .args = "", .kvm = -1, .vm = -1,
				.stats_wanted = true, .trace_wanted = true, .next_slot = 1 };
	pthread_condattr_t attributes;
	int status;

	for (int i = 0; i < PAYLOAD_MAX_CPUS; i++)
		m.vcpu[i] = (struct vcpu){ .m = &m, .index = (unsigned int)i, .fd = -1,
					   .stats_fd = -1, .cpu = -1, .dedicated = -1 };
	pthread_mutex_init(&m.lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&m.changed, &attributes);
	if (parse(&m, argc, argv) < 0)
		return VMM_USAGE;
	if (m.fifo && mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		complain("mlockall: %s", strerror(errno));
	status = run(&m);
	if (m.source && m.source->close)
		m.source->close(&m);
	trace_close(&m);
	machine_free(&m);
	return status;
}
