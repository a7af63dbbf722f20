/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPU leases on a host that may be taken apart; run by lease.sh. Each argument
 * is a part; its lines begin with ok or not ok.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "lease-host.h"

static int failed;
struct rtkvm *rt;
static double seconds = 15;

void result(bool good, const char *fmt, ...)
{
	va_list ap;

	printf(good ? "ok " : "not ok ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	failed |= !good;
}

ssize_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, len = 0;

	if (fd < 0)
		return -1;
	while ((n = read(fd, text + len, size - 1 - (size_t)len)) > 0)
		len += n;
	close(fd);
	while (len && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	return n < 0 ? -1 : len;
}

void print_report(const struct rtkvm_report *report, bool problems_only)
{
	const struct rtkvm_report_item *item = NULL;

	while ((item = rtkvm_report_next(report, item)))
		if (!problems_only || rtkvm_report_item_problem(item))
			printf("# %s%s: %s: %s\n", rtkvm_report_item_problem(item) ? "! " : "",
			       rtkvm_report_item_feature(item),
			       rtkvm_report_state_name(rtkvm_report_item_state(item)),
			       rtkvm_report_item_reason(item));
}

struct rtkvm_cpu_lease *lease_of(const char *cpus, int mode, uint32_t flags)
{
	struct rtkvm_cpu_request r;
	struct rtkvm_cpu_lease *lease = NULL;

	rtkvm_cpu_request_init(&r, sizeof(r));
	r.cpus = cpus;
	r.mode = mode;
	r.flags = flags;
	if (rtkvm_cpu_lease_acquire(rt, &r, &lease) < 0)
		printf("# %s\n", rtkvm_last_error());
	return lease;
}

/* A child that spins; it is put on a leased CPU and must be seen there alone. */
static void run_there(struct rtkvm_cpu_lease *lease, const char *mode)
{
	pid_t pid = fork();
	char path[64], text[8192], *p;
	int ret;

	if (pid == 0) {
		for (;;)
			;
	}
	ret = rtkvm_cpu_lease_add_thread(lease, pid, 1);
	if (ret < 0)
		printf("# %s\n", rtkvm_last_error());
	usleep(100000);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	read_text(path, text, sizeof(text));
	p = strrchr(text, ')');
	for (int i = 0; p && i < 37; i++) /* field 39: where it runs */
		p = strchr(p + 1, ' ');
	result(ret == 0 && p && atoi(p) == rtkvm_cpu_lease_get_cpu(lease, 1),
	       "%s: a thread runs on the second leased CPU", mode);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void check_mode(const char *name, int mode, int wanted, uint32_t flags)
{
	struct snapshot before, during, after;
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_report *report = NULL;
	int ret;

	snapshot_take(&before);
	lease = lease_of("2-3", mode, flags);
	result(lease && rtkvm_cpu_lease_get_mode(lease) == wanted, "%s: is what was asked for", name);
	if (!lease)
		return;
	ret = rtkvm_cpu_lease_report(lease, &report);
	print_report(report, false);
	result(ret == 0 && rtkvm_report_problems(report) == 0, "%s: nothing that moves is left", name);
	rtkvm_report_free(report);
	snapshot_take(&during);
	ret = (int)snapshot_differences(&before, &during, false);
	result(ret > 20, "%s: the host differs (%d things)", name, ret);
	if (wanted != RTKVM_CPU_OFFLINE)
		run_there(lease, name);
	ret = rtkvm_cpu_lease_release(lease, &report);
	print_report(report, true);
	result(ret == 0 && rtkvm_report_problems(report) == 0, "%s: all is given back", name);
	rtkvm_report_free(report);
	snapshot_take(&after);
	result(snapshot_differences(&before, &after, true) == 0,
	       "%s: the host is as it was (%zu things)", name, before.count);
	snapshot_free(&before);
	snapshot_free(&during);
	snapshot_free(&after);
}

void mount_v2(void)
{
	mkdir("/sys/fs/cgroup", 0755);
	if (mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0 && errno != EBUSY)
		perror("# cgroup2");
}

static void part_v2(void)
{
	mount_v2();
	check_mode("affinity", RTKVM_CPU_AFFINITY, RTKVM_CPU_AFFINITY, 0);
	check_mode("partition", RTKVM_CPU_PARTITION, RTKVM_CPU_PARTITION, 0);
	check_mode("best", RTKVM_CPU_BEST, RTKVM_CPU_PARTITION, RTKVM_CPU_HOTPLUG);
	check_mode("offline", RTKVM_CPU_OFFLINE, RTKVM_CPU_OFFLINE, 0);
}

static void part_none(void)
{
	umount("/sys/fs/cgroup");
	check_mode("no cgroup", RTKVM_CPU_BEST, RTKVM_CPU_AFFINITY, 0);
	result(lease_of("3", RTKVM_CPU_PARTITION, 0) == NULL &&
		       rtkvm_last_error_code() == EOPNOTSUPP,
	       "no cgroup: a partition is refused");
}

static void part_v1(void)
{
	umount("/sys/fs/cgroup");
	if (mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) < 0 ||
	    mkdir("/sys/fs/cgroup/cpuset", 0755) < 0 ||
	    mount("none", "/sys/fs/cgroup/cpuset", "cgroup", 0, "cpuset") < 0)
		perror("# cgroup v1");
	check_mode("cgroup v1", RTKVM_CPU_BEST, RTKVM_CPU_PARTITION, 0);
	mkdir("/sys/fs/cgroup/unified", 0755);
	if (mount("none", "/sys/fs/cgroup/unified", "cgroup2", 0, NULL) < 0)
		perror("# cgroup2");
	check_mode("hybrid", RTKVM_CPU_PARTITION, RTKVM_CPU_PARTITION, 0);
	umount("/sys/fs/cgroup/unified");
	umount("/sys/fs/cgroup/cpuset");
	umount("/sys/fs/cgroup");
}

static void print_disturbance(const char *what, const struct disturbance *d)
{
	printf("# %s: tick %.2f/s, switches to what it wakes %.2f/s; other interrupts %.2f/s, "
	       "other switches %.2f/s; over %.0f s\n", what, d->tick, d->tick_threads,
	       d->interrupts, d->switches, d->seconds);
	printf("# %s: interrupts by tracepoint %.2f/s, by /proc %.2f/s (%s); switches:%s; "
	       "causes:%s\n", what, d->traced_interrupts, d->proc_interrupts, d->worst, d->whom,
	       d->causes);
	result(d->traced && d->traced_interrupts <= 1.05 * d->proc_interrupts + 0.5 &&
		       d->proc_interrupts <= 1.05 * d->traced_interrupts + 2,
	       "%s: tracepoints and /proc agree on the interrupts", what);
}

static void run_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static bool names_the_tick(struct rtkvm_cpu_lease *lease)
{
	struct rtkvm_report *report = NULL;
	const struct rtkvm_report_item *item;
	bool found;

	rtkvm_cpu_lease_report(lease, &report);
	print_report(report, true);
	item = rtkvm_report_find(report, "tick");
	found = item && strstr(rtkvm_report_item_reason(item), "nohz_full");
	rtkvm_report_free(report);
	return found;
}

/* The same program on the same CPU under the same load, without a lease and with one. */
static void part_quiet(bool booted_for_it)
{
	struct disturbance plain, leased;
	struct rtkvm_cpu_lease *lease;
	unsigned int last = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	/* the boot keeps the last CPU quiet */
	unsigned int other = booted_for_it ? 1 : last;
	char name[16];
	double was, is;

	mount_v2();
	load_start();
	run_on(other);
	disturbance_measure(other, seconds, &plain);
	print_disturbance("without a lease", &plain);
	snprintf(name, sizeof(name), "%u", last);
	lease = lease_of(name, RTKVM_CPU_BEST, RTKVM_CPU_HOTPLUG);
	if (!lease || rtkvm_cpu_lease_add_thread(lease, 0, 0) < 0) {
		result(false, "no lease: %s", rtkvm_last_error());
		load_stop();
		return;
	}
	result(rtkvm_cpu_lease_get_mode(lease) ==
		       (booted_for_it ? RTKVM_CPU_AFFINITY : RTKVM_CPU_PARTITION),
	       "the lease's CPU is isolated, %s", booted_for_it ? "by the boot" : "by a partition");
	if (booted_for_it) /* as a vCPU's thread; the fair server then has nothing to do */
		sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	usleep(500000);
	disturbance_measure(last, seconds, &leased);
	sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ .sched_priority = 0 });
	print_disturbance("leased", &leased);
	load_stop();
	result(names_the_tick(lease), "the report names the tick, and what takes it away");
	was = plain.interrupts + plain.switches;
	is = leased.interrupts + leased.switches;
	if (booted_for_it) {
		/* not the switches: to fewer if it had been FIFO */
		was = plain.interrupts + plain.tick;
		is += leased.tick + leased.tick_threads;
		result(is <= 1, "leased and booted for it: %.2f/s, at most 1", is);
	} else {
		result(leased.tick > 10, "the tick is there: %.0f/s, and %.2f/s by what it wakes",
		       leased.tick, leased.tick_threads);
	}
	result(was > 20, "the load disturbs a CPU that is not leased: %.1f/s", was);
	result(is <= was / 20, "leased: %.2f/s, 1/%.0f of it%s", is, was / (is > 0.01 ? is : 0.01),
	       booted_for_it ? ", with the tick" : ", but for the tick");
	rtkvm_cpu_lease_release(lease, NULL);
}

/* Nothing at all runs on an offline CPU; that the trace would show it is seen before. */
static void part_quiet_offline(void)
{
	unsigned int last = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN) - 1, was, is;
	struct rtkvm_cpu_lease *lease;
	char name[16], column[16];
	static char text[1 << 16];

	mount_v2();
	load_start();
	trace_start(last);
	usleep((useconds_t)(seconds * 1e6));
	trace_stop();
	was = trace_events(last);
	snprintf(name, sizeof(name), "%u", last);
	lease = lease_of(name, RTKVM_CPU_OFFLINE, 0);
	trace_start(last);
	usleep((useconds_t)(seconds * 1e6));
	trace_stop();
	is = trace_events(last);
	read_text("/proc/interrupts", text, sizeof(text));
	load_stop();
	snprintf(column, sizeof(column), "CPU%u ", last);
	result(was > 20 * seconds, "offline: before it the trace has %u events of the CPU", was);
	result(lease && is == 0 && !strstr(text, column),
	       "offline: %u events in %.0f s, and no column in /proc/interrupts", is, seconds);
	rtkvm_cpu_lease_release(lease, NULL);
}

int main(int argc, char **argv)
{
	struct rtkvm_options options;

	setvbuf(stdout, NULL, _IOLBF, 0);
	rtkvm_options_init(&options, sizeof(options));
	options.state_dir = "/tmp/state";
	if (rtkvm_new(&options, &rt) < 0)
		return 1;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "v2"))
			part_v2();
		else if (!strcmp(argv[i], "v1"))
			part_v1();
		else if (!strcmp(argv[i], "none"))
			part_none();
		else if (!strcmp(argv[i], "owner"))
			part_owner();
		else if (!strcmp(argv[i], "memory"))
			part_memory();
		else if (!strcmp(argv[i], "meddled"))
			part_meddled();
		else if (!strcmp(argv[i], "passed"))
			part_passed();
		else if (!strcmp(argv[i], "holder") && i + 1 < argc)
			part_holder(atoi(argv[++i]));
		else if (!strcmp(argv[i], "namespace"))
			part_namespace();
		else if (!strcmp(argv[i], "delegated"))
			part_delegated();
		else if (!strcmp(argv[i], "devices"))
			part_devices();
		else if (!strcmp(argv[i], "quiet"))
			part_quiet(false);
		else if (!strcmp(argv[i], "quiet-boot"))
			part_quiet(true);
		else if (!strcmp(argv[i], "quiet-offline"))
			part_quiet_offline();
		else
			seconds = atof(argv[i]);
	}
	rtkvm_free(rt);
	return failed;
}
