/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QMP client of doctor and attach: lines of JSON over a socket. What is
 * asked, and what the answers mean, is theirs.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "qmp.h"

#define ANSWER_MAX (4U << 20)
#define LINES_MAX 1000
#define RETRY_MS 20

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

void qmp_deadline(struct qmp *q, int ms)
{
	q->deadline = now_ms() + ms;
}

/* More of what the other side sends; -1: errno. */
static int read_more(struct qmp *q)
{
	struct pollfd p = { .fd = q->fd, .events = POLLIN };
	long long left = q->deadline - now_ms();
	ssize_t n;

	if (left <= 0 || poll(&p, 1, (int)left) == 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	n = read(q->fd, q->text + q->len, ANSWER_MAX - q->len);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		errno = n ? errno : ECONNRESET;
		return -1;
	}
	q->len += (size_t)n;
	return 0;
}

/* One line, NUL-terminated, owned by the caller; NULL: errno. */
static char *read_line(struct qmp *q)
{
	for (;;) {
		char *end = memchr(q->text, '\n', q->len);

		if (end) {
			char *line = strndup(q->text, (size_t)(end - q->text));

			q->len -= (size_t)(end + 1 - q->text);
			memmove(q->text, end + 1, q->len);
			return line;
		}
		/* a human monitor greets without a line feed */
		if (q->len && q->text[0] != '{') {
			errno = EPROTO;
			return NULL;
		}
		if (q->len == ANSWER_MAX) {
			errno = E2BIG;
			return NULL;
		}
		if (read_more(q) < 0)
			return NULL;
	}
}

/* What an object has under a key, with a reference of its own; NULL: nothing. */
static struct json_object *take(struct json_object *o, const char *key)
{
	struct json_object *value;

	if (!o || !json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, key, &value))
		return NULL;
	return value ? json_object_get(value) : json_object_new_object();
}

struct json_object *qmp_ask(struct qmp *q, const char *command)
{
	char request[128];
	int len = snprintf(request, sizeof(request), "{\"execute\": \"%s\"}\n", command);

	if (send(q->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
		return NULL;
	for (int lines = 0; lines < LINES_MAX; lines++) {
		struct json_object *o, *answer, *error;
		char *line = read_line(q);

		if (!line)
			return NULL;
		o = json_tokener_parse(line);
		free(line);
		answer = take(o, "return");
		error = take(o, "error");
		json_object_put(o);
		if (error) {
			json_object_put(error);
			json_object_put(answer);
			errno = EOPNOTSUPP;
			return NULL;
		}
		if (answer)
			return answer;
	}
	errno = EPROTO;
	return NULL;
}

/* A queue of others before us is waited for, too. */
static int connect_until(const char *path, long long deadline)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		err = errno == EAGAIN && now_ms() >= deadline ? ETIMEDOUT : errno;
		if (err == EAGAIN) {
			poll(NULL, 0, RETRY_MS);
			continue;
		}
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

static int greet(struct qmp *q, const char **step)
{
	struct json_object *hello, *able;
	char *line;

	*step = "greeting";
	line = read_line(q);
	if (!line)
		return -1;
	hello = json_tokener_parse(line);
	free(line);
	able = take(hello, "QMP");
	json_object_put(hello);
	errno = EPROTO;
	if (!able)
		return -1;
	json_object_put(able);
	*step = "qmp_capabilities";
	able = qmp_ask(q, *step);
	if (!able)
		return -1;
	json_object_put(able);
	return 0;
}

struct qmp *qmp_open(const char *path, int ms, const char **step)
{
	struct qmp *q = calloc(1, sizeof(*q));
	int err;

	*step = "connect";
	if (!q)
		return NULL;
	qmp_deadline(q, ms);
	q->fd = -1;
	q->text = malloc(ANSWER_MAX);
	if (q->text)
		q->fd = connect_until(path, q->deadline);
	if (q->fd >= 0 && greet(q, step) == 0)
		return q;
	err = errno;
	qmp_close(q);
	errno = err;
	return NULL;
}

void qmp_close(struct qmp *q)
{
	if (!q)
		return;
	if (q->fd >= 0)
		close(q->fd);
	free(q->text);
	free(q);
}

void qmp_complain(const char *path, const char *step, int err)
{
	const char *why = strerror(err), *what = "name QEMU's own QMP socket, with nobody else on it";

	if (err == EPROTO || err == E2BIG)
		why = "it does not speak QMP";
	else if (err == ETIMEDOUT)
		why = "no answer";
	else if (err == ECONNREFUSED)
		why = "nobody listens there";
	else if (err == EACCES || err == EPERM)
		what = "run this as root, or as the user of that QEMU";
	fprintf(stderr, "rtkvm: %s: %s: %s; %s\n", path, step, why, what);
}

uid_t qmp_user(const struct qmp *q)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	return getsockopt(q->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ? (uid_t)-1 : peer.uid;
}

size_t qmp_length(struct json_object *array)
{
	size_t n;

	if (!array || !json_object_is_type(array, json_type_array))
		return 0;
	n = json_object_array_length(array);
	return n < QMP_ELEMENTS_MAX ? n : QMP_ELEMENTS_MAX;
}

const char *qmp_text(struct json_object *o, const char *key)
{
	struct json_object *v;

	return o && json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, key, &v) &&
			       json_object_is_type(v, json_type_string) ?
		       json_object_get_string(v) : NULL;
}

int qmp_number(struct json_object *o, const char *key)
{
	struct json_object *v;

	return o && json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, key, &v) &&
			       json_object_is_type(v, json_type_int) ?
		       json_object_get_int(v) : 0;
}

pid_t qmp_process_of(pid_t tid)
{
	char path[64], line[256];
	int pid = 0;
	FILE *f;

	if (tid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && !pid && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %10d", &pid) != 1)
			pid = 0;
	if (f)
		fclose(f);
	return pid;
}
