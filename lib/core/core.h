/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inner side of the core: the context, errors, logging and sized option
 * structs, as every other folder of lib/ sees them. Files are in file.h,
 * CPU lists in cpulist.h, reports in reports.h.
 */
#ifndef RTKVM_CORE_H
#define RTKVM_CORE_H

#include <stdbool.h>
#include <stddef.h>

#include <rtkvm/context.h>

struct rtkvm {
	rtkvm_log_fn *log;
	void *log_arg;
	int log_level;
	int root_fd;      /* O_PATH descriptor of the root directory */
	bool made_up;     /* root is not "/": stay below it */
	char *root;       /* "/" or the made-up tree, without a trailing slash */
	char *state_dir;  /* "" when unknown */
};

/*
 * Record an error of the calling thread and return -err.
 *
 * err     positive errno
 * where   file, ioctl or option; NULL for none
 * remedy  what the user can do; NULL for none
 * fmt     what failed
 */
int rtkvm_fail(struct rtkvm *rt, int err, const char *where, const char *remedy, const char *fmt,
	       ...) RTKVM_PRINTF(5, 6);

/* The usual remedy for an errno of a file access, or NULL. */
const char *rtkvm_remedy_for(int err);

/* The last error of this thread, kept over a clean-up that may fail as well. */
struct rtkvm_error {
	int code;
	char what[512];
	char where[256];
	char remedy[256];
	char line[1100];
};
void rtkvm_error_save(struct rtkvm_error *saved);
void rtkvm_error_restore(const struct rtkvm_error *saved);

void rtkvm_log(struct rtkvm *rt, int level, const char *fmt, ...) RTKVM_PRINTF(3, 4);

/*
 * Sized structs: copy what the caller passed into a struct of this library's
 * size whose defaults were filled in before. Missing tail: defaults stay.
 * Longer than known: the surplus must be zero, else -E2BIG. Smaller than
 * min (the size of the first release): -EINVAL.
 */
int rtkvm_options_take(struct rtkvm *rt, void *to, size_t known, size_t min, const void *from,
		       const char *name);

/*
 * The other direction: write size bytes of from, at most what the caller's
 * size field says. Smaller than min: -EINVAL.
 */
int rtkvm_struct_give(struct rtkvm *rt, void *to, const void *from, size_t known, size_t min,
		      const char *name);

#endif
