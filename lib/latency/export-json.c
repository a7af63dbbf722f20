/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What cyclictest --json writes (file_version 1, rt-tests 2.x), one thread,
 * the colons inside two of its keys included. What is not known is left out
 * (times and system of an imported histogram) or -1 (CPU and node).
 */
#include <sys/utsname.h>
#include <time.h>

#include "core/file.h"
#include "output.h"

static void write_string(struct latency_output *out, const char *s)
{
	latency_print(out, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			latency_print(out, "\\");
		/* control characters and broken UTF-8 are in no label */
		latency_print(out, "%c", (unsigned char)*s < ' ' ? '?' : *s);
	}
	latency_print(out, "\"");
}

static void write_member(struct latency_output *out, const char *indent, const char *key,
			 const char *value)
{
	latency_print(out, "%s\"%s\": ", indent, key);
	write_string(out, value);
	latency_print(out, ",\n");
}

static void write_time(struct latency_output *out, const char *key, time_t when)
{
	char text[64];
	struct tm tm;

	if (localtime_r(&when, &tm) && strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S %z", &tm))
		write_member(out, "  ", key, text);
}

/* 1 on a kernel with PREEMPT_RT; the file is there on no other. */
static int kernel_is_realtime(struct rtkvm *rt)
{
	struct rtkvm plain = { .root_fd = -1 };
	char text[8];

	return rtkvm_file_read_quiet(rt ? rt : &plain, "/sys/kernel/realtime", text,
				     sizeof(text)) > 0 && text[0] == '1';
}

static void write_system(struct latency_output *out, struct rtkvm *rt)
{
	struct utsname uts;

	if (uname(&uts) < 0)
		return;
	latency_print(out, "  \"sysinfo\": {\n");
	write_member(out, "    ", "sysname", uts.sysname);
	write_member(out, "    ", "nodename", uts.nodename);
	write_member(out, "    ", "release", uts.release);
	write_member(out, "    ", "version", uts.version);
	write_member(out, "    ", "machine", uts.machine);
	latency_print(out, "    \"realtime\": %d\n  },\n", kernel_is_realtime(rt));
}

struct entries {
	struct latency_output *out;
	bool any;
};

static void write_entry(void *arg, uint64_t us, uint64_t count)
{
	struct entries *entries = arg;

	latency_print(entries->out, "%s        \"%llu\": %llu", entries->any ? ",\n" : "\n",
		      (unsigned long long)us, (unsigned long long)count);
	entries->any = true;
}

static void write_thread(struct latency_output *out, const struct rtkvm_latency *latency)
{
	const struct latency_figures *f = &latency->figures;
	struct entries entries = { .out = out };
	double avg = f->count ? (double)f->sum / (double)f->count / 1000 : 0;

	latency_print(out, "  \"thread\": {\n    \"0\": {\n      \"histogram\": {");
	latency_for_each_bin(latency, 1000, false, write_entry, &entries);
	latency_print(out, "%s      },\n", entries.any ? "\n" : "");
	latency_print(out, "      \"cycles\": %llu,\n", (unsigned long long)f->count);
	latency_print(out, "      \"min\": %llu,\n",
		      (unsigned long long)(f->count ? f->min / 1000 : 0));
	latency_print(out, "      \"max\": %llu,\n", (unsigned long long)(f->max / 1000));
	latency_print(out, "      \"avg\": %.2f,\n", avg);
	latency_print(out, "      \"cpu\": -1,\n      \"node\": -1\n    }\n  }\n");
}

void latency_write_json(struct latency_output *out, const struct rtkvm_latency *latency)
{
	latency_print(out, "{\n  \"file_version\": 1,\n");
	write_member(out, "  ", "cmdline:", latency->name);
	write_member(out, "  ", "rt_test_version:", "librtkvm " RTKVM_VERSION_STRING);
	if (!latency->coarse) {
		write_time(out, "start_time", latency->started);
		write_time(out, "end_time", time(NULL));
	}
	latency_print(out, "  \"return_code\": 0,\n");
	if (!latency->coarse)
		write_system(out, latency->rt);
	latency_print(out, "  \"num_threads\": 1,\n  \"resolution_in_ns\": 0,\n");
	write_thread(out, latency);
	latency_print(out, "}\n");
}
