/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors and log lines. The last error of a thread is one block that is
 * allocated at its first failure and freed when it ends. The thread-local part
 * is a single pointer in the static TLS block: a VMM's threads do not carry
 * 2 KiB each for errors they never make, and the library does not need
 * __tls_get_addr() of the dynamic linker.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

/* What a thread has before it fails, and what it has when there is no memory. */
static const struct rtkvm_error none;
static const struct rtkvm_error no_memory = {
	.code = ENOMEM,
	.what = "no memory to say what failed",
	.remedy = "free memory",
	.line = "no memory to say what failed (ENOMEM); free memory",
};

static _Thread_local const struct rtkvm_error *last
	__attribute__((tls_model("initial-exec"))) = &none;

static pthread_key_t last_key;
static pthread_once_t last_once = PTHREAD_ONCE_INIT;
static bool last_key_made;

static void last_free(void *block)
{
	last = &none;
	free(block);
}

static void last_make_key(void)
{
	last_key_made = pthread_key_create(&last_key, last_free) == 0;
}

static void last_set(const struct rtkvm_error *e)
{
	struct rtkvm_error *block = NULL;

	pthread_once(&last_once, last_make_key);
	if (last_key_made)
		block = pthread_getspecific(last_key);
	if (last_key_made && !block) {
		block = malloc(sizeof(*block));
		if (block && pthread_setspecific(last_key, block)) {
			free(block);
			block = NULL;
		}
	}
	if (block)
		*block = *e;
	last = block ? block : &no_memory;
}

static void log_line(struct rtkvm *rt, int level, const char *line)
{
	if (rt && rt->log && level <= rt->log_level)
		rt->log(level, line, rt->log_arg);
}

/* What goes into one line must not contain control characters (file names can). */
static void one_line(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

static void compose(struct rtkvm_error *e)
{
	const char *name = e->code ? strerrorname_np(e->code) : NULL;

	snprintf(e->line, sizeof(e->line), "%s%s%s%s%s%s%s%s", e->where, e->where[0] ? ": " : "",
		 e->what, name ? " (" : "", name ? name : "", name ? ")" : "",
		 e->remedy[0] ? "; " : "", e->remedy);
}

int rtkvm_fail(struct rtkvm *rt, int err, const char *where, const char *remedy, const char *fmt,
	       ...)
{
	struct rtkvm_error e = { .code = err };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.what, sizeof(e.what), fmt, ap);
	va_end(ap);
	/* where and remedy may point into the previous error: copy into a new one */
	if (where)
		snprintf(e.where, sizeof(e.where), "%s", where);
	if (remedy)
		snprintf(e.remedy, sizeof(e.remedy), "%s", remedy);
	one_line(e.what);
	one_line(e.where);
	one_line(e.remedy);
	compose(&e);
	last_set(&e);
	log_line(rt, RTKVM_LOG_ERROR, e.line);
	return -err;
}

const char *rtkvm_remedy_for(int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
		return "run as root, or grant access to it";
	case ENOSPC:
	case EDQUOT:
		return "make room on that file system";
	case EROFS:
		return "the file system is read-only: choose another state directory";
	case EMFILE:
		return "raise RLIMIT_NOFILE";
	case ENOMEM:
		return "free memory";
	default:
		return NULL;
	}
}

void rtkvm_error_save(struct rtkvm_error *saved)
{
	*saved = *last;
}

void rtkvm_error_restore(const struct rtkvm_error *saved)
{
	last_set(saved);
}

void rtkvm_log(struct rtkvm *rt, int level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (!rt || !rt->log || level > rt->log_level)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	one_line(line);
	log_line(rt, level, line);
}

const char *rtkvm_last_error(void)
{
	return last->line;
}

const char *rtkvm_last_error_what(void)
{
	return last->what;
}

const char *rtkvm_last_error_where(void)
{
	return last->where;
}

const char *rtkvm_last_error_remedy(void)
{
	return last->remedy;
}

int rtkvm_last_error_code(void)
{
	return last->code;
}
