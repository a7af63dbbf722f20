/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small text files of the kernel (procfs, sysfs) and of made-up trees, always
 * below the context's root. Never blocks on a FIFO, never reads without end,
 * never follows a link out of a made-up tree. Errors name path and errno.
 */
#ifndef RTKVM_FILE_H
#define RTKVM_FILE_H

#include <dirent.h>
#include <stdint.h>
#include <sys/types.h>

#include "core.h"

/* Longest path, with its terminator. */
#define RTKVM_PATH_MAX 512

/* Build an absolute path (as seen below root); -ENAMETOOLONG. */
int rtkvm_path(struct rtkvm *rt, char out[RTKVM_PATH_MAX], const char *fmt, ...)
	RTKVM_PRINTF(3, 4);

/* open(2) below root, O_CLOEXEC | O_NONBLOCK | O_NOCTTY added. -errno, error recorded. */
int rtkvm_open(struct rtkvm *rt, const char *path, int flags);

/* The same without recording an error, for what may be missing. */
int rtkvm_open_quiet(struct rtkvm *rt, const char *path, int flags);

/* A folder to list: 0, -errno without an error recorded. */
int rtkvm_opendir_quiet(struct rtkvm *rt, const char *path, DIR **dir);

/*
 * Read a whole text file; trailing white space is cut off. Regular files
 * only. -E2BIG when it has more than size - 1 bytes, -EILSEQ on a NUL byte.
 * Returns the length.
 */
ssize_t rtkvm_file_read(struct rtkvm *rt, const char *path, char *buf, size_t size);
ssize_t rtkvm_file_read_quiet(struct rtkvm *rt, const char *path, char *buf, size_t size);

/* Read one decimal number; -EILSEQ when it is something else. */
int rtkvm_file_read_i64(struct rtkvm *rt, const char *path, int64_t *value);

/*
 * Write text with one write(2) into an existing file. A regular file of a
 * made-up tree then has exactly this text; killed half-way it has the old or
 * the new one, perhaps with line feeds after it.
 */
int rtkvm_file_write(struct rtkvm *rt, const char *path, const char *text);
int rtkvm_file_write_quiet(struct rtkvm *rt, const char *path, const char *text);

/* Whole decimal number, sign allowed, nothing before or after it. false: it is not. */
bool rtkvm_parse_i64(const char *text, int64_t min, int64_t max, int64_t *value);

#endif
