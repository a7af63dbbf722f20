/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A QMP client: connect, ask, with a deadline for all that the other side can
 * hold up. Events are skipped. Nothing that the other side sends is trusted.
 */
#ifndef RTKVM_QMP_H
#define RTKVM_QMP_H

#include <json-c/json.h>
#include <sys/types.h>

struct qmp;

/* A QMP server answers at once, or is busy with something worse than us. */
#define QMP_TIMEOUT_MS 5000

/*
 * Connect and agree on capabilities within so many ms. NULL: errno, and the step
 * that failed, static text.
 */
struct qmp *qmp_open(const char *path, int ms, const char **step);
void qmp_close(struct qmp *q);

/* What follows has to be done so many ms from now. */
void qmp_deadline(struct qmp *q, int ms);

/* The answer to a command, owned by the caller; NULL: errno (EOPNOTSUPP: it said no). */
struct json_object *qmp_ask(struct qmp *q, const char *command);

/* User of the process that listens; -1: not known. */
uid_t qmp_user(const struct qmp *q);

/* Why qmp_open() failed, for people: a whole line on standard error. */
void qmp_complain(const char *path, const char *step, int err);

/*
 * Values of an answer; 0 and NULL when they are not there or of another type.
 * At most max elements of an array are of interest.
 */
#define QMP_ELEMENTS_MAX 4096
size_t qmp_length(struct json_object *array);
const char *qmp_text(struct json_object *o, const char *key);
int qmp_number(struct json_object *o, const char *key);

/* The process of a thread, by /proc; 0: there is no such thread. */
pid_t qmp_process_of(pid_t tid);

#endif
