/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a QMP socket tells of a QEMU: its process, vCPU threads, disks, dirty
 * logging, as facts for the library. Asks only what changes nothing.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "qmp.h"

/* Lines KEY=VALUE; what does not fit is left out. */
static void fact(char *facts, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void fact(char *facts, size_t size, const char *fmt, ...)
{
	size_t len = strlen(facts);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(facts + len, size - len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= size - len)
		facts[len] = '\0';
}

static void read_cpus(struct qmp *q, char *facts, size_t size, int *first)
{
	struct json_object *cpus = qmp_ask(q, "query-cpus-fast");

	for (size_t i = 0; i < qmp_length(cpus); i++) {
		int tid = qmp_number(json_object_array_get_idx(cpus, i), "thread-id");

		if (!tid)
			continue;
		fact(facts, size, "vcpu.%zu.tid=%d\n", i, tid);
		if (!*first)
			*first = tid;
	}
	json_object_put(cpus);
}

static void read_iothreads(struct qmp *q, char *facts, size_t size)
{
	struct json_object *threads = qmp_ask(q, "query-iothreads");

	for (size_t i = 0; i < qmp_length(threads); i++) {
		int tid = qmp_number(json_object_array_get_idx(threads, i), "thread-id");

		if (tid)
			fact(facts, size, "iothread.%zu.tid=%d\n", i, tid);
	}
	json_object_put(threads);
}

static void read_memory(struct qmp *q, char *facts, size_t size)
{
	struct json_object *memory = qmp_ask(q, "query-memory-size-summary"), *base;

	if (memory && json_object_is_type(memory, json_type_object) &&
	    json_object_object_get_ex(memory, "base-memory", &base))
		fact(facts, size, "memory=%lld\n", (long long)json_object_get_int64(base));
	json_object_put(memory);
}

static void read_display(struct qmp *q, char *facts, size_t size)
{
	static const char *const local[] = { "gtk", "sdl", "cocoa", "spice-app", NULL };
	struct json_object *display = qmp_ask(q, "query-display-options");
	const char *type = qmp_text(display, "type");
	bool window = false;

	for (int i = 0; type && local[i]; i++)
		window = window || !strcmp(type, local[i]);
	if (type)
		fact(facts, size, window ? "display.local=yes:%.40s\n" : "display.local=no\n", type);
	json_object_put(display);
}

/* The back ends of emulated ports are called serialN; what goes nowhere costs only the exit. */
static void read_serial(struct qmp *q, char *facts, size_t size)
{
	struct json_object *devices = qmp_ask(q, "query-chardev");
	bool array = devices && json_object_is_type(devices, json_type_array);
	char seen[80] = "";

	for (size_t i = 0; array && i < json_object_array_length(devices); i++) {
		struct json_object *device = json_object_array_get_idx(devices, i);
		const char *label = qmp_text(device, "label"), *to = qmp_text(device, "filename");

		if (label && to && !strncmp(label, "serial", 6) && strcmp(to, "null"))
			snprintf(seen, sizeof(seen), "%.20s to %.40s", label, to);
	}
	for (char *p = seen; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	/* ports with a back end of another name are in the command line alone */
	if (seen[0])
		fact(facts, size, "serial.emulated=yes:%s\n", seen);
	json_object_put(devices);
}

static void read_blocks(struct qmp *q, char *facts, size_t size)
{
	struct json_object *blocks = qmp_ask(q, "query-block"), *inserted;
	const char *cow = NULL;

	if (!blocks)
		return;
	for (size_t i = 0; json_object_is_type(blocks, json_type_array) &&
			   i < json_object_array_length(blocks); i++) {
		struct json_object *block = json_object_array_get_idx(blocks, i);
		const char *driver;

		if (!block || !json_object_is_type(block, json_type_object) ||
		    !json_object_object_get_ex(block, "inserted", &inserted))
			continue;
		driver = qmp_text(inserted, "drv");
		if (driver && (!strcmp(driver, "qcow2") || !strcmp(driver, "vmdk") ||
			       !strcmp(driver, "vdi")))
			cow = driver;
	}
	fact(facts, size, cow ? "block.cow=yes:%s\n" : "block.cow=no\n", cow ? cow : "");
	json_object_put(blocks);
}

static void read_dirty(struct qmp *q, char *facts, size_t size)
{
	struct json_object *migration = qmp_ask(q, "query-migrate");
	struct json_object *rate = qmp_ask(q, "query-dirty-rate");
	const char *m = qmp_text(migration, "status"), *r = qmp_text(rate, "status");

	if (m && (!strcmp(m, "active") || !strcmp(m, "setup") || !strcmp(m, "postcopy-active") ||
		  !strcmp(m, "device")))
		fact(facts, size, "dirty-logging=yes:migration is %.40s\n", m);
	else if (r && !strcmp(r, "measuring"))
		fact(facts, size, "dirty-logging=yes:the dirty rate is measured\n");
	else if (migration)
		fact(facts, size, "dirty-logging=no\n");
	json_object_put(migration);
	json_object_put(rate);
}

int doctor_qmp(const char *path, char *facts, size_t size, int *pid)
{
	const char *step;
	struct qmp *q = qmp_open(path, QMP_TIMEOUT_MS, &step);
	int first = 0;

	facts[0] = '\0';
	if (!q) {
		qmp_complain(path, step, errno);
		return CMD_ERROR;
	}
	read_cpus(q, facts, size, &first);
	read_iothreads(q, facts, size);
	read_memory(q, facts, size);
	read_display(q, facts, size);
	read_serial(q, facts, size);
	read_blocks(q, facts, size);
	read_dirty(q, facts, size);
	qmp_close(q);
	if (!*pid && first)
		*pid = qmp_process_of(first);
	return CMD_OK;
}
