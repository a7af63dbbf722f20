/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counters per CPU; see doctor-counters.h.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor-counters.h"

struct counter {
	char name[64];
	unsigned int cpu;
	int tid; /* 0: no thread */
	char kind;
	uint64_t value;
};

struct counters {
	struct counter *c;
	size_t count, room;
};

static void add(struct counters *all, char kind, int tid, unsigned int cpu, uint64_t value,
		const char *name)
{
	struct counter *c;

	if (all->count == all->room) {
		size_t room = all->room ? all->room * 2 : 1024;
		struct counter *more = realloc(all->c, room * sizeof(*more));

		if (!more)
			return;
		all->c = more;
		all->room = room;
	}
	c = &all->c[all->count++];
	c->kind = kind;
	c->tid = tid;
	c->cpu = cpu;
	c->value = value;
	snprintf(c->name, sizeof(c->name), "%s", name);
}

/* A table: CPUs in the head line, then "NAME: n n n ... text". */
static void read_table(struct counters *all, const char *path, char kind)
{
	FILE *f = fopen(path, "re");
	unsigned int cpus[1024], n = 0;
	char *line = NULL, *p, *save;
	size_t size = 0;

	if (f && getline(&line, &size, f) > 0)
		for (p = strtok_r(line, " \n", &save); p && n < 1024; p = strtok_r(NULL, " \n", &save))
			if (sscanf(p, "CPU%5u", &cpus[n]) == 1)
				n++;
	while (f && getline(&line, &size, f) > 0) {
		uint64_t values[1024];
		char name[64], *end;
		unsigned int i;

		p = line + strspn(line, " ");
		end = strchr(p, ':');
		if (!end)
			continue;
		*end = '\0';
		snprintf(name, sizeof(name), "%.20s", p);
		p = end + 1;
		for (i = 0; i < n; i++) {
			values[i] = strtoull(p, &end, 10);
			if (end == p)
				break;
			p = end;
		}
		p += strspn(p, " ");
		p[strcspn(p, "\n")] = '\0';
		/* the device is the last word, of IRQs with a number */
		if (*p && isdigit((unsigned char)name[0])) {
			char *last = strrchr(p, ' ');
			size_t len = strlen(name);

			snprintf(name + len, sizeof(name) - len, " %.40s", last ? last + 1 : p);
		}
		for (unsigned int k = 0; k < i; k++)
			add(all, kind, 0, cpus[k], values[k], name);
	}
	free(line);
	if (f)
		fclose(f);
}

static void read_thread(struct counters *all, const char *pid, const char *tid)
{
	char path[320], text[1024], name[32];
	unsigned long long user, system;
	const char *open, *close;
	unsigned int cpu;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/stat", pid, tid);
	f = fopen(path, "re");
	if (!f)
		return;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close ||
	    sscanf(close, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d "
			  "%*d %*u %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %u",
		   &user, &system, &cpu) != 3)
		return;
	snprintf(name, sizeof(name), "%.*s", (int)(close - open - 1), open + 1);
	add(all, 't', atoi(tid), cpu, user + system, name);
}

static void read_threads(struct counters *all)
{
	DIR *proc = opendir("/proc");
	struct dirent *p, *t;

	while (proc && (p = readdir(proc))) {
		char path[300];
		DIR *tasks;

		if (!isdigit((unsigned char)p->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/task", p->d_name);
		tasks = opendir(path);
		while (tasks && (t = readdir(tasks)))
			if (isdigit((unsigned char)t->d_name[0]) && atoi(p->d_name) != getpid())
				read_thread(all, p->d_name, t->d_name);
		if (tasks)
			closedir(tasks);
	}
	if (proc)
		closedir(proc);
}

struct counters *counters_read(void)
{
	struct counters *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	read_table(all, "/proc/interrupts", 'i');
	read_table(all, "/proc/softirqs", 's');
	read_threads(all);
	return all;
}

void counters_free(struct counters *c)
{
	if (!c)
		return;
	free(c->c);
	free(c);
}

static bool same(const struct counter *a, const struct counter *b)
{
	return a->kind == b->kind && a->tid == b->tid && (a->kind == 't' || a->cpu == b->cpu) &&
	       !strcmp(a->name, b->name);
}

/* at: where it stands now; most stood there before as well. */
static uint64_t value_before(const struct counters *before, const struct counter *now, size_t at)
{
	if (at < before->count && same(&before->c[at], now))
		return before->c[at].value;
	for (size_t i = 0; i < before->count; i++)
		if (same(&before->c[i], now))
			return before->c[i].value;
	return 0;
}

void counters_print(const struct counters *before, const struct counters *after, unsigned int cpu,
		    FILE *f)
{
	static const struct {
		char kind;
		const char *what, *unit;
	} kinds[] = { { 'i', "interrupts", "" }, { 's', "softirqs", "" },
		      { 't', "threads", " ticks" } };

	for (size_t k = 0; before && after && k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		const struct counter *top[3] = { NULL, NULL, NULL };
		uint64_t grown[3] = { 0, 0, 0 };

		for (size_t i = 0; i < after->count; i++) {
			const struct counter *c = &after->c[i];
			uint64_t was, by;

			if (c->kind != kinds[k].kind || c->cpu != cpu)
				continue;
			was = value_before(before, c, i);
			by = c->value > was ? c->value - was : 0;
			for (int n = 0; n < 3 && by; n++) {
				if (by <= grown[n])
					continue;
				for (int m = 2; m > n; m--) {
					grown[m] = grown[m - 1];
					top[m] = top[m - 1];
				}
				grown[n] = by;
				top[n] = c;
				break;
			}
		}
		if (!top[0])
			continue;
		fprintf(f, "          %s:", kinds[k].what);
		for (int n = 0; n < 3 && top[n]; n++) {
			fprintf(f, "%s %s", n ? "," : "", top[n]->name);
			if (top[n]->tid)
				fprintf(f, " (%d)", top[n]->tid);
			fprintf(f, " %llu%s", (unsigned long long)grown[n], kinds[k].unit);
		}
		fprintf(f, "\n");
	}
}
