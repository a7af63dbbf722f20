/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owners of leases: killed, gone for another, in a namespace; and others who meddle. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lease-host.h"

/* Owners: killed; by name, after the one who took it has gone; others who meddle. */
void part_owner(void)
{
	struct snapshot before, after;
	struct rtkvm_cpu_request r;
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_report *report = NULL;
	char text[256];
	pid_t pid, target;
	FILE *f;

	snapshot_take(&before);
	pid = fork();
	if (pid == 0) {
		lease_of("2-3", RTKVM_CPU_BEST, 0);
		raise(SIGKILL);
	}
	waitpid(pid, NULL, 0);
	lease = lease_of("2-3", RTKVM_CPU_AFFINITY, 0);
	result(lease != NULL, "owner killed: the next caller gets its CPUs");
	rtkvm_cpu_lease_release(lease, NULL);
	snapshot_take(&after);
	result(snapshot_differences(&before, &after, true) == 0, "owner killed: all is given back");
	snapshot_free(&after);

	target = fork();
	if (target == 0) {
		setsid(); /* a daemon, that becomes another program */
		execl("/bin/busybox", "sleep", "1000", NULL);
		_exit(1);
	}
	pid = fork();
	if (pid == 0) {
		rtkvm_cpu_request_init(&r, sizeof(r));
		r.cpus = "3";
		r.target = target;
		r.name = "daemon";
		_exit(rtkvm_cpu_lease_acquire(rt, &r, &lease) < 0);
	}
	waitpid(pid, NULL, 0);
	result(!lease_of("3", RTKVM_CPU_AFFINITY, 0) && rtkvm_last_error_code() == EBUSY,
	       "target: owns the lease after the attacher has gone, over setsid and exec");
	kill(target, SIGKILL);
	waitpid(target, NULL, 0);
	lease = lease_of("3", RTKVM_CPU_AFFINITY, 0);
	result(lease != NULL, "target killed: the next caller gets its CPU");

	/* someone moves an interrupt onto the leased CPU, and another elsewhere */
	f = fopen("/proc/irq/default_smp_affinity", "w");
	fputs("1\n", f);
	fclose(f);
	rtkvm_cpu_lease_release(lease, &report);
	result(rtkvm_report_problems(report) == 1, "changed by someone else: reported");
	rtkvm_report_free(report);
	read_text("/proc/irq/default_smp_affinity", text, sizeof(text));
	result(!strcmp(text, "1"), "changed by someone else: left alone");
	f = fopen("/proc/irq/default_smp_affinity", "w");
	fputs("f\n", f);
	fclose(f);
	snapshot_take(&after);
	result(snapshot_differences(&before, &after, true) == 0, "owners: the host is as it was");
	snapshot_free(&before);
	snapshot_free(&after);
}

#define IRQ "/proc/irq/1/smp_affinity_list"

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		printf("# %s cannot be written\n", path);
}

static bool left_alone(const struct rtkvm_report *report, const char *feature)
{
	const struct rtkvm_report_item *item = rtkvm_report_find(report, feature);

	return item && rtkvm_report_item_problem(item) &&
	       strstr(rtkvm_report_item_reason(item), "someone else");
}

/* An interrupt and a task that somebody else moves during the lease stay where they are. */
static void meddle(const char *name, int mode)
{
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_report *report = NULL;
	char before[64], now[64], feature[32];
	cpu_set_t one, is;
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	read_text(IRQ, before, sizeof(before));
	lease = lease_of("2-3", mode, 0);
	read_text(IRQ, now, sizeof(now));
	result(lease && strcmp(before, now) != 0, "%s: an interrupt is moved (%s to %s)", name,
	       before, now);
	put(IRQ, "0\n");
	CPU_ZERO(&one);
	CPU_SET(1, &one);
	sched_setaffinity(pid, sizeof(one), &one);
	rtkvm_cpu_lease_release(lease, &report);
	print_report(report, true);
	snprintf(feature, sizeof(feature), "thread-cpus %d", pid);
	result(rtkvm_report_problems(report) == 2 && left_alone(report, "irq-affinity 1") &&
		       left_alone(report, feature),
	       "%s: what somebody else moved is reported, and nothing else", name);
	rtkvm_report_free(report);
	read_text(IRQ, now, sizeof(now));
	sched_getaffinity(pid, sizeof(is), &is);
	result(!strcmp(now, "0") && CPU_EQUAL(&one, &is), "%s: and is not overwritten", name);
	put(IRQ, before);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void part_meddled(void)
{
	mount_v2();
	meddle("meddled, affinity", RTKVM_CPU_AFFINITY);
	meddle("meddled, partition", RTKVM_CPU_PARTITION);
	meddle("meddled, offline", RTKVM_CPU_OFFLINE);
}

static bool is_leased(const char *cpus)
{
	struct rtkvm_cpu_lease *lease = lease_of(cpus, RTKVM_CPU_AFFINITY, 0);

	if (lease)
		rtkvm_cpu_lease_release(lease, NULL);
	return !lease && rtkvm_last_error_code() == EBUSY;
}

/* In a pid namespace of its own, and a daemon there: tells its number outside, and waits. */
static void hold_in_namespace(int tell)
{
	pid_t pid;

	if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
		_exit(1);
	if (fork()) /* its child is the first of the namespace */
		_exit(0);
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/proc", "proc", 0, NULL) < 0)
		_exit(1);
	if (!lease_of("3", RTKVM_CPU_BEST, 0))
		_exit(1);
	pid = fork(); /* daemonizes: the descriptor goes with it */
	if (pid == 0) {
		setsid();
		if (write(tell, "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	/* the first of a namespace takes all others with it: it only reaps */
	for (;;)
		wait(NULL);
}

/* The number outside of the process that is the first of a namespace of its own. */
static pid_t find_first(void)
{
	char path[64], text[4096], *p;

	for (pid_t pid = 2; pid < 32768; pid++) {
		int outer, inner;

		snprintf(path, sizeof(path), "/proc/%d/status", pid);
		if (read_text(path, text, sizeof(text)) <= 0)
			continue;
		p = strstr(text, "NSpid:");
		if (p && sscanf(p + 6, "%d %d", &outer, &inner) == 2 && inner == 1)
			return outer;
	}
	return 0;
}

void part_namespace(void)
{
	struct snapshot before, after;
	int tell[2];
	char c = 0;
	pid_t pid;

	mount_v2();
	if (pipe(tell) < 0)
		return;
	snapshot_take(&before);
	pid = fork();
	if (pid == 0) {
		close(tell[0]);
		hold_in_namespace(tell[1]);
	}
	close(tell[1]);
	waitpid(pid, NULL, 0);
	result(read(tell[0], &c, 1) == 1 && c == 'x', "namespace: a daemon in it has a lease");
	result(is_leased("3"), "namespace: outside of it the CPU is leased");
	pid = find_first();
	result(pid > 0 && kill(pid, SIGKILL) == 0, "namespace: ends with its first process");
	while (kill(pid, 0) == 0)
		usleep(10000);
	/* the end of the pipe: nobody of it is left */
	while (read(tell[0], &c, 1) > 0)
		;
	close(tell[0]);
	result(!is_leased("3"), "namespace: gone, the next caller gets its CPU");
	snapshot_take(&after);
	result(snapshot_differences(&before, &after, true) == 0, "namespace: the host is as it was");
	snapshot_free(&before);
	snapshot_free(&after);
}
