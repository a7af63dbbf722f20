/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a check says what it found, and small questions to the facts.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host.h"

/* File names and files can hold anything; reports hold printable ASCII. */
static void printable(char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

void host_say(struct host_finding *f, int verdict, const char *fmt, ...)
{
	va_list ap;

	f->verdict = verdict;
	va_start(ap, fmt);
	vsnprintf(f->value, sizeof(f->value), fmt, ap);
	va_end(ap);
	printable(f->value);
	f->remedy[0] = '\0';
	f->remedy_kind = RTKVM_REMEDY_NONE;
}

void host_remedy(struct host_finding *f, int kind, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(f->remedy, sizeof(f->remedy), fmt, ap);
	va_end(ap);
	printable(f->remedy);
	f->remedy_kind = kind;
	/* half a command must not be executed, nor one with a list that was cut */
	if (len >= (int)sizeof(f->remedy) ||
	    (kind != RTKVM_REMEDY_MANUAL && strstr(f->remedy, "..."))) {
		f->remedy_kind = RTKVM_REMEDY_NONE;
		f->remedy[0] = '\0';
	}
}

void host_unreadable(struct host_facts *facts, struct host_finding *f, const char *path, int err)
{
	const char *why;

	switch (err) {
	case -EBADF:
		why = "not a regular file";
		break;
	case -E2BIG:
		why = "longer than it ever is";
		break;
	case -EILSEQ:
		why = "not what the kernel writes";
		break;
	default:
		why = strerror(-err);
	}
	host_say(f, HOST_UNKNOWN, "%s: %s", path, why);
	if (!facts->root && (err == -EACCES || err == -EPERM))
		f->needs_root = true;
}

void host_malformed(struct host_finding *f, const char *path, const char *text, const char *what)
{
	host_say(f, HOST_UNKNOWN, "%s: \"%.60s\" is not %s", path, text, what);
}

bool host_empty(const struct rtkvm_cpus *cpus)
{
	return rtkvm_cpus_next(cpus, 0) < 0;
}

bool host_need_realtime(struct host_facts *facts, struct host_finding *f)
{
	if (facts->realtime.err) {
		host_say(f, HOST_UNKNOWN, "which CPUs are meant for real-time is not known (%s: %s)",
			 facts->realtime.path, strerror(-facts->realtime.err));
		return false;
	}
	if (!host_empty(&facts->realtime.set))
		return true;
	host_say(f, HOST_NA, "no CPU is isolated, and none was named by --cpus");
	return false;
}

const char *host_list(const struct rtkvm_cpus *cpus, char text[HOST_LIST])
{
	char all[RTKVM_CPULIST_TEXT];
	size_t cut;

	if (rtkvm_cpus_print_list(cpus, all, sizeof(all)) < 0)
		snprintf(all, sizeof(all), "%u CPUs", rtkvm_cpus_count(cpus));
	cut = strlen(all);
	if (cut >= HOST_LIST) {
		cut = HOST_LIST - 5;
		while (cut && all[cut] != ',')
			cut--;
		strcpy(all + cut, "...");
	}
	snprintf(text, HOST_LIST, "%.*s", HOST_LIST - 1, all[0] ? all : "none");
	return text;
}

struct rtkvm_cpus host_common(const struct rtkvm_cpus *a, const struct rtkvm_cpus *b)
{
	struct rtkvm_cpus both = *a;

	rtkvm_cpus_and(&both, b);
	return both;
}

struct rtkvm_cpus host_minus(const struct rtkvm_cpus *a, const struct rtkvm_cpus *b)
{
	struct rtkvm_cpus rest = *a;

	for (size_t i = 0; i < RTKVM_CPULIST_WORDS; i++)
		rest.bits[i] &= ~b->bits[i];
	return rest;
}

bool host_has_cpuflag(const struct host_facts *facts, const char *flag)
{
	char word[64];

	snprintf(word, sizeof(word), " %s ", flag);
	return strstr(facts->cpuflags, word) != NULL;
}

bool host_kernel_since(const struct host_facts *facts, unsigned int major, unsigned int minor)
{
	if (facts->release_err)
		return false;
	return facts->major > major || (facts->major == major && facts->minor >= minor);
}
