/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file context.h
 * The context that every other object hangs on, the log callback and the
 * last error of a thread.
 *
 * The library keeps no global state of its own, installs no signal handler,
 * prints nothing and starts no thread. What it has to say goes to the log
 * callback; what went wrong in a call is in the calling thread's last error.
 */
#ifndef RTKVM_CONTEXT_H
#define RTKVM_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include <rtkvm/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A context. Opaque; made by rtkvm_new(), ended by rtkvm_free(). */
struct rtkvm;

/** Levels of a log message, most severe first. */
enum {
	RTKVM_LOG_ERROR = 0,   /**< something asked for was not done */
	RTKVM_LOG_WARNING = 1, /**< done, but not as well as asked */
	RTKVM_LOG_INFO = 2,    /**< a change to the host, or its undoing */
	RTKVM_LOG_DEBUG = 3    /**< what was read and decided */
};

/**
 * Receives one log message.
 *
 * @param level one of RTKVM_LOG_*
 * @param message one line without a line feed, valid during the call only
 * @param arg the log_arg of the options
 *
 * Called in the thread that called the library, never from a function whose
 * RT class is RT-safe. It must not call back into the same context.
 */
typedef void rtkvm_log_fn(int level, const char *message, void *arg);

/** Options of rtkvm_new(). Always initialise with rtkvm_options_init(). */
struct rtkvm_options {
	size_t size;         /**< set by rtkvm_options_init() */
	rtkvm_log_fn *log;   /**< NULL: no log */
	void *log_arg;       /**< handed to log */
	int32_t log_level;   /**< messages above it are dropped; default RTKVM_LOG_WARNING */
	uint32_t flags;      /**< 0; none is defined yet */
	const char *root;    /**< directory that stands for "/" in all that is read and
			      *   written (made-up trees); NULL: "/". Copied. */
	const char *state_dir; /**< where journals are kept; NULL: see rtkvm_state_dir().
				*   Not below root. Copied. */
	uint64_t reserved[4]; /**< 0 */
};

/**
 * Fill in the defaults of an option struct.
 *
 * @param options the struct; NULL is ignored
 * @param size sizeof(struct rtkvm_options) as the caller was compiled
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API void rtkvm_options_init(struct rtkvm_options *options, size_t size);

/**
 * Make a context.
 *
 * @param options what to do differently; NULL for the defaults. May be freed
 *        after the call.
 * @param rt receives the context, owned by the caller; NULL on error
 * @return 0, or a negative errno; the reason is in rtkvm_last_error():
 *         - -EINVAL: rt is NULL, a flag or log level is unknown, or the
 *           struct was not initialised
 *         - -E2BIG: the option struct is newer than the library and asks for
 *           something that the library does not know
 *         - -ENOENT, -ENOTDIR, -EACCES: root cannot be opened as a directory
 *         - -ENOSYS: root was given and the kernel has no openat2(2), which
 *           keeps a made-up tree from being left through a symbolic link
 *         - -ENOMEM: out of memory
 *
 * Nothing on the host is changed; the state directory is made when it is
 * first needed.
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_new(const struct rtkvm_options *options, struct rtkvm **rt);

/**
 * End a context. Leases, plans and VMs made from it must have been freed
 * before.
 *
 * @param rt the context; NULL is ignored
 *
 * RT class: set-up. Thread safety: no other thread may use the context.
 */
RTKVM_API void rtkvm_free(struct rtkvm *rt);

/**
 * The directory where this context keeps its journals.
 *
 * Without the state_dir option: for an effective uid of 0 "/var/lib/rtkvm"
 * (the build may say otherwise), for others "$XDG_STATE_HOME/rtkvm" or
 * "$HOME/.local/state/rtkvm" (XDG Base Directory Specification 0.8), and
 * below root when root was given.
 *
 * @param rt the context
 * @return the path, owned by the context; "" for NULL or when neither
 *         variable is set
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API const char *rtkvm_state_dir(const struct rtkvm *rt);

/**
 * What went wrong in the last call of this thread that failed: what, where
 * (file or ioctl) and what to do, in one line. It works also when no context
 * could be made, and stays until the next failure in the same thread.
 *
 * @return text that is valid until the next failing call of this thread; ""
 *         when nothing failed yet; never NULL
 *
 * RT class: RT-safe. Thread safety: any thread, each has its own.
 */
RTKVM_API const char *rtkvm_last_error(void);

/** The part of rtkvm_last_error() that says what failed. Never NULL. */
RTKVM_API const char *rtkvm_last_error_what(void);

/** The file, ioctl or option where it failed; "" when there is none. Never NULL. */
RTKVM_API const char *rtkvm_last_error_where(void);

/** What can be done about it; "" when nothing is known. Never NULL. */
RTKVM_API const char *rtkvm_last_error_remedy(void);

/** The errno of it, positive; 0 when nothing failed yet. */
RTKVM_API int rtkvm_last_error_code(void);

#ifdef __cplusplus
}
#endif

#endif
