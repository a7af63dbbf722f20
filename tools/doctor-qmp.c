/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a QMP socket tells of a QEMU: its process, vCPU threads, disks, dirty
 * logging, as facts for the library. Asks only what changes nothing.
 */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "doctor.h"

/* A QMP server answers at once, or is busy with something worse than us. */
#define QMP_TIMEOUT_MS 5000
#define QMP_ANSWER_MAX (4u << 20)

struct qmp {
	int fd;
	char *text; /* what was read and not taken yet */
	size_t len;
	long long deadline;
};

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* One line, NUL-terminated, valid until the next; NULL: errno. */
static char *read_line(struct qmp *q)
{
	for (;;) {
		char *end = memchr(q->text, '\n', q->len);
		struct pollfd p = { .fd = q->fd, .events = POLLIN };
		long long left = q->deadline - now_ms();
		ssize_t n;

		if (end) {
			char *line = strndup(q->text, (size_t)(end - q->text));

			q->len -= (size_t)(end + 1 - q->text);
			memmove(q->text, end + 1, q->len);
			return line;
		}
		if (q->len == QMP_ANSWER_MAX) {
			errno = E2BIG;
			return NULL;
		}
		if (left <= 0 || poll(&p, 1, (int)left) == 0) {
			errno = ETIMEDOUT;
			return NULL;
		}
		n = read(q->fd, q->text + q->len, QMP_ANSWER_MAX - q->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n ? errno : ECONNRESET;
			return NULL;
		}
		q->len += (size_t)n;
	}
}

/* The answer to a command, owned by the caller; NULL: errno. Events are skipped. */
static struct json_object *ask(struct qmp *q, const char *command)
{
	char request[128];
	int len = snprintf(request, sizeof(request), "{\"execute\": \"%s\"}\n", command);

	if (send(q->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
		return NULL;
	for (int lines = 0; lines < 1000; lines++) {
		char *line = read_line(q);
		struct json_object *o, *answer;

		if (!line)
			return NULL;
		o = json_tokener_parse(line);
		free(line);
		if (o && json_object_is_type(o, json_type_object) &&
		    json_object_object_get_ex(o, "return", &answer)) {
			json_object_get(answer);
			json_object_put(o);
			return answer;
		}
		if (o && json_object_is_type(o, json_type_object) &&
		    json_object_object_get_ex(o, "error", &answer)) {
			json_object_put(o);
			errno = EOPNOTSUPP;
			return NULL;
		}
		json_object_put(o);
	}
	errno = EPROTO;
	return NULL;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

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

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *v;

	return o && json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, key, &v) &&
			       json_object_is_type(v, json_type_string) ?
		       json_object_get_string(v) : NULL;
}

static void read_cpus(struct qmp *q, char *facts, size_t size, int *first)
{
	struct json_object *cpus = ask(q, "query-cpus-fast"), *tid;

	for (size_t i = 0; cpus && json_object_is_type(cpus, json_type_array) &&
			   i < json_object_array_length(cpus); i++) {
		struct json_object *cpu = json_object_array_get_idx(cpus, i);

		if (!cpu || !json_object_is_type(cpu, json_type_object) ||
		    !json_object_object_get_ex(cpu, "thread-id", &tid))
			continue;
		fact(facts, size, "vcpu.%zu.tid=%d\n", i, json_object_get_int(tid));
		if (!*first)
			*first = json_object_get_int(tid);
	}
	json_object_put(cpus);
}

static void read_iothreads(struct qmp *q, char *facts, size_t size)
{
	struct json_object *threads = ask(q, "query-iothreads"), *tid;

	for (size_t i = 0; threads && json_object_is_type(threads, json_type_array) &&
			   i < json_object_array_length(threads); i++) {
		struct json_object *t = json_object_array_get_idx(threads, i);

		if (t && json_object_is_type(t, json_type_object) &&
		    json_object_object_get_ex(t, "thread-id", &tid))
			fact(facts, size, "iothread.%zu.tid=%d\n", i, json_object_get_int(tid));
	}
	json_object_put(threads);
}

static void read_memory(struct qmp *q, char *facts, size_t size)
{
	struct json_object *memory = ask(q, "query-memory-size-summary"), *base;

	if (memory && json_object_is_type(memory, json_type_object) &&
	    json_object_object_get_ex(memory, "base-memory", &base))
		fact(facts, size, "memory=%lld\n", (long long)json_object_get_int64(base));
	json_object_put(memory);
}

static void read_display(struct qmp *q, char *facts, size_t size)
{
	static const char *const local[] = { "gtk", "sdl", "cocoa", "spice-app", NULL };
	struct json_object *display = ask(q, "query-display-options");
	const char *type = text_of(display, "type");
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
	struct json_object *devices = ask(q, "query-chardev");
	bool array = devices && json_object_is_type(devices, json_type_array);
	char seen[80] = "";

	for (size_t i = 0; array && i < json_object_array_length(devices); i++) {
		struct json_object *device = json_object_array_get_idx(devices, i);
		const char *label = text_of(device, "label"), *to = text_of(device, "filename");

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
	struct json_object *blocks = ask(q, "query-block"), *inserted;
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
		driver = text_of(inserted, "drv");
		if (driver && (!strcmp(driver, "qcow2") || !strcmp(driver, "vmdk") ||
			       !strcmp(driver, "vdi")))
			cow = driver;
	}
	fact(facts, size, cow ? "block.cow=yes:%s\n" : "block.cow=no\n", cow ? cow : "");
	json_object_put(blocks);
}

static void read_dirty(struct qmp *q, char *facts, size_t size)
{
	struct json_object *migration = ask(q, "query-migrate");
	struct json_object *rate = ask(q, "query-dirty-rate");
	const char *m = text_of(migration, "status"), *r = text_of(rate, "status");

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

/* The process of a thread, by /proc. */
static int process_of(int tid)
{
	char path[64], line[256];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && !pid && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %10d", &pid) != 1)
			pid = 0;
	if (f)
		fclose(f);
	return pid;
}

int doctor_qmp(const char *path, char *facts, size_t size, int *pid)
{
	struct qmp q = { .fd = connect_to(path), .deadline = now_ms() + QMP_TIMEOUT_MS };
	struct json_object *hello = NULL, *able = NULL;
	const char *step = "connect";
	char *line = NULL;
	int first = 0, err = 0;

	facts[0] = '\0';
	q.text = malloc(QMP_ANSWER_MAX);
	if (q.fd < 0 || !q.text)
		goto fail;
	step = "greeting";
	line = read_line(&q);
	hello = line ? json_tokener_parse(line) : NULL;
	errno = line ? EPROTO : errno;
	if (!hello || !json_object_is_type(hello, json_type_object) ||
	    !json_object_object_get_ex(hello, "QMP", &able))
		goto fail;
	step = "qmp_capabilities";
	able = ask(&q, step);
	if (!able)
		goto fail;
	json_object_put(able);
	read_cpus(&q, facts, size, &first);
	read_iothreads(&q, facts, size);
	read_memory(&q, facts, size);
	read_display(&q, facts, size);
	read_serial(&q, facts, size);
	read_blocks(&q, facts, size);
	read_dirty(&q, facts, size);
	if (!*pid && first)
		*pid = process_of(first);
	goto out;
fail:
	err = errno ? errno : EPROTO;
	fprintf(stderr, "rtkvm: %s: %s: %s; name QEMU's own QMP socket, with nobody else on it\n", path,
		step, strerror(err));
out:
	free(line);
	json_object_put(hello);
	free(q.text);
	if (q.fd >= 0)
		close(q.fd);
	return err ? CMD_ERROR : CMD_OK;
}
