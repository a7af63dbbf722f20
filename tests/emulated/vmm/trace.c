/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Meter 2: the tracepoints kvm:kvm_exit and kvm:kvm_msr, in an instance of
 * tracefs of our own, of our own threads only. Tells what the statistics do not:
 * each exit's reason, and which MSR was written. A record that was lost is an
 * error, never a smaller count.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm.h"

#define BUFFER_KIB "4096" /* per CPU */

static char instance[128];

static int put(const char *file, const char *text)
{
	char path[256];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", instance, file);
	fd = open(path, O_WRONLY | O_CLOEXEC | (strcmp(file, "trace") ? 0 : O_TRUNC));
	if (fd < 0)
		return complain("%s: %s", path, strerror(errno));
	if (*text && write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err ? complain("%s: '%s': %s", path, text, strerror(err)) : 0;
}

static void absent(struct vmm *m, const char *why)
{
	for (unsigned int i = 0; i < m->vcpus; i++)
		snprintf(m->vcpu[i].trace.why_not, sizeof(m->vcpu[i].trace.why_not), "%s", why);
	m->trace_wanted = false;
}

int trace_open(struct vmm *m)
{
	static const char *const places[] = { "/sys/kernel/tracing",
					      "/sys/kernel/debug/tracing" };
	const char *why = "no tracefs that this user may read";
	char path[160];

	for (unsigned int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/instances", places[i]);
		if (access(path, W_OK) < 0)
			continue;
		snprintf(path, sizeof(path), "%s/events/kvm/kvm_exit", places[i]);
		why = "this kernel has no tracepoint kvm:kvm_exit";
		if (access(path, F_OK) < 0)
			continue;
		snprintf(instance, sizeof(instance), "%s/instances/rtkvm-vmm-%d", places[i],
			 (int)getpid());
		if (mkdir(instance, 0700) < 0) {
			why = "no instance of tracefs can be made";
			*instance = 0;
			continue;
		}
		if (put("tracing_on", "0") < 0 || put("buffer_size_kb", BUFFER_KIB) < 0)
			return -1;
		return 0;
	}
	absent(m, why);
	return m->trace_needed ? complain("no tracepoints: %s", why) : 0;
}

int trace_begin(struct vmm *m)
{
	char tid[24];

	for (unsigned int i = 0; i < m->vcpus; i++) {
		snprintf(tid, sizeof(tid), "%s%d", i ? " " : "", (int)m->vcpu[i].tid);
		/* the first write truncates, further ones must not */
		char path[160];
		int fd;

		snprintf(path, sizeof(path), "%s/set_event_pid", instance);
		fd = open(path, O_WRONLY | O_CLOEXEC | (i ? O_APPEND : O_TRUNC));
		if (fd < 0 || write(fd, tid, strlen(tid)) < 0) {
			complain("%s: %s", path, strerror(errno));
			if (fd >= 0)
				close(fd);
			return -1;
		}
		close(fd);
	}
	if (put("events/kvm/kvm_exit/enable", "1") < 0 || put("events/kvm/kvm_msr/enable", "1") < 0)
		return -1;
	return put("tracing_on", "1");
}

int trace_end(struct vmm *m)
{
	(void)m;
	return put("tracing_on", "0");
}

/* kvm_exit: vcpu 0 reason msr rip 0x... */
static int note_exit(struct vmm *m, const char *text)
{
	unsigned int vcpu;
	char reason[40];

	if (sscanf(text, " vcpu %u reason %39s", &vcpu, reason) != 2 || vcpu >= m->vcpus)
		return complain("a trace line is not understood: %s", text);
	counters_add(&m->vcpu[vcpu].trace, reason, 1);
	m->vcpu[vcpu].trace.exits++;
	return 0;
}

/* kvm_msr: msr_write 80b = 0x0; has no vCPU, its thread has */
static int note_msr(struct vmm *m, const char *line, const char *text)
{
	char what[16], name[40];
	unsigned int msr;

	if (sscanf(text, " %15s %x", what, &msr) != 2)
		return complain("a trace line is not understood: %s", line);
	snprintf(name, sizeof(name), "%s.%x", what, msr);
	for (unsigned int i = 0; i < m->vcpus; i++) {
		char thread[24];
		const char *bracket = strstr(line, " [");

		snprintf(thread, sizeof(thread), "-%d ", (int)m->vcpu[i].tid);
		const char *found = strstr(line, thread);

		if (found && bracket && found < bracket)
			counters_add(&m->vcpu[i].trace, name, 1);
	}
	return 0;
}

static int lost_records(void)
{
	char path[256], line[128];
	unsigned long lost;

	for (unsigned int cpu = 0; cpu < 1024; cpu++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/per_cpu/cpu%u/stats", instance, cpu);
		file = fopen(path, "re");
		if (!file)
			return 0;
		while (fgets(line, sizeof(line), file)) {
			if ((sscanf(line, "overrun: %lu", &lost) == 1 ||
			     sscanf(line, "dropped events: %lu", &lost) == 1) && lost) {
				fclose(file);
				return complain("the tracer lost %lu records", lost);
			}
		}
		fclose(file);
	}
	return 0;
}

int trace_report(struct vmm *m)
{
	char path[160], line[512];
	unsigned long number = 0;
	FILE *file;
	int ret = 0;

	if (lost_records() < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/trace", instance);
	file = fopen(path, "re");
	if (!file)
		return complain("%s: %s", path, strerror(errno));
	while (ret == 0 && fgets(line, sizeof(line), file)) {
		const char *at;

		if ((at = strstr(line, ": kvm_exit:"))) {
			number++;
			if (m->broken && !strcmp(m->broken, "forget-exit") && number == 7)
				continue;
			ret = note_exit(m, at + 11);
			if (m->broken && !strcmp(m->broken, "count-twice") && number == 7)
				ret |= note_exit(m, at + 11);
		} else if ((at = strstr(line, ": kvm_msr:"))) {
			ret = note_msr(m, line, at + 10);
		}
	}
	fclose(file);
	for (unsigned int i = 0; i < m->vcpus; i++)
		m->vcpu[i].trace.there = true;
	return ret;
}

void trace_close(struct vmm *m)
{
	(void)m;
	if (*instance && rmdir(instance) < 0)
		complain("%s: %s", instance, strerror(errno));
	*instance = 0;
}
