/* SPDX-License-Identifier: MIT */
/*
 * Reading back: what the kernel says a thread or this process has, noted
 * beside what was asked for. It does not use the library, so that it is a
 * witness and not a party.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

static const char *sched_text(int policy, int priority)
{
	static char text[2][32];
	static unsigned int turn;
	char *t = text[turn++ % 2];
	const char *name = "SCHED_?";

	switch (policy & ~SCHED_RESET_ON_FORK) {
	case SCHED_OTHER:
		name = "SCHED_OTHER";
		break;
	case SCHED_FIFO:
		name = "SCHED_FIFO";
		break;
	case SCHED_RR:
		name = "SCHED_RR";
		break;
	}
	if (priority)
		snprintf(t, sizeof(text[0]), "%s %d", name, priority);
	else
		snprintf(t, sizeof(text[0]), "%s", name);
	return t;
}

void readback_sched(struct result *result, const char *who, pid_t tid, int policy, int priority)
{
	struct sched_param param = { 0 };
	int got = sched_getscheduler(tid);
	char what[40];

	snprintf(what, sizeof(what), "%s: scheduling", who);
	if (got < 0 || sched_getparam(tid, &param) < 0) {
		result_setting(result, what, sched_text(policy, priority), strerror(errno), false);
		return;
	}
	result_setting(result, what, sched_text(policy, priority),
		       sched_text(got, param.sched_priority),
		       (got & ~SCHED_RESET_ON_FORK) == policy && param.sched_priority == priority);
}

void readback_cpus(struct result *result, const char *who, pid_t tid, const cpu_set_t *cpus)
{
	char what[40], asked[48];
	cpu_set_t got;

	snprintf(what, sizeof(what), "%s: CPUs", who);
	snprintf(asked, sizeof(asked), "%.40s", cpus_text(cpus));
	if (sched_getaffinity(tid, sizeof(got), &got) < 0) {
		result_setting(result, what, asked, strerror(errno), false);
		return;
	}
	result_setting(result, what, asked, cpus_text(&got), CPU_EQUAL(cpus, &got));
}

/* A number of kB from /proc/self/status, -1 when it is not there. */
static long status_kb(const char *key)
{
	char line[256];
	size_t len = strlen(key);
	long value = -1;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len) && line[len] == ':')
			sscanf(line + len + 1, "%ld", &value);
	if (f)
		fclose(f);
	return value;
}

/* Locked: at least that many bytes (the guest's memory is among them). */
void readback_locked(struct result *result, size_t at_least)
{
	long locked = status_kb("VmLck"), size = status_kb("VmSize");
	char got[64];

	snprintf(got, sizeof(got), "%ld of %ld kB mapped (VmLck)", locked, size);
	result_setting(result, "memory", "locked", got, locked > 0 &&
		       (size_t)locked * 1024 >= at_least);
}

/* What the kernel holds now for all processes together: the smallest wish wins. */
void readback_cstate(struct result *result, int max_exit_us)
{
	char asked[48], got[64];
	int32_t value = -1;
	int fd = open("/dev/cpu_dma_latency", O_RDONLY | O_CLOEXEC);
	bool readable = fd >= 0 && read(fd, &value, sizeof(value)) == sizeof(value);

	if (readable)
		snprintf(got, sizeof(got), "%d us (/dev/cpu_dma_latency)", value);
	else
		snprintf(got, sizeof(got), "/dev/cpu_dma_latency: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	snprintf(asked, sizeof(asked), "exit latency <= %d us", max_exit_us);
	result_setting(result, "C-states", asked, got, readable && value <= max_exit_us);
}

static void observe(struct run *r, unsigned int i, struct observed *o)
{
	int stats_fd = r->machine.vcpu[i].stats_fd;
	struct timespec now;
	long long ran = 0;
	char path[64];
	FILE *f;

	clock_gettime(CLOCK_MONOTONIC, &now);
	o->at = now.tv_sec * 1000000000LL + now.tv_nsec;
	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", (int)atomic_load(&r->vcpu[i].tid));
	f = fopen(path, "re");
	o->ran = f && fscanf(f, "%lld", &ran) == 1 ? ran : -1;
	if (f)
		fclose(f);
	o->guest_ns = kvm_stat(stats_fd, "ded_guest_ns");
	o->entries = kvm_stat(stats_fd, "ded_entries");
}

static void note_cpus(struct result *result, const char *name)
{
	char path[64], list[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/%s", name);
	f = fopen(path, "re");
	if (!f)
		return;
	if (!fgets(list, sizeof(list), f))
		list[0] = '\0';
	list[strcspn(list, "\n")] = '\0';
	fclose(f);
	result_note(result, "CPUs %s: %s", name, *list ? list : "none");
}

void readback_time(struct run *r, bool final)
{
	for (unsigned int i = 0; i < r->machine.vcpus; i++) {
		struct observed now, *first = &r->vcpu[i].seen;

		observe(r, i, &now);
		if (!final) {
			*first = now;
			continue;
		}
		if (now.ran >= 0)
			result_note(r->result, "vCPU %u: thread ran %lld of %lld us", i,
				    (long long)(now.ran - first->ran) / 1000,
				    (long long)(now.at - first->at) / 1000);
		if (now.entries >= 0)
			result_note(r->result, "vCPU %u: entered %lld times on a dedicated CPU, %lld us there",
				    i, (long long)(now.entries - first->entries),
				    (long long)(now.guest_ns - first->guest_ns) / 1000);
	}
	if (!final)
		return;
	note_cpus(r->result, "online");
	note_cpus(r->result, "dedicated");
}
