/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file latency.h
 * Latency histograms: an RT-safe recorder and the formats people plot.
 *
 * The histogram is log-linear (HdrHistogram's layout): values from 1 ns to
 * 10 s with three significant digits, in fixed memory that is touched when it
 * is made. Recording is a few instructions without allocation, lock or system
 * call.
 *
 * One thread records into a recorder; any number of threads may read it at the
 * same time (percentiles, summary, export, plot, and as the source of a
 * merge). A reader sees values that are complete, and figures that belong to
 * the same values; only when the recording thread was stopped in the middle of
 * a value may that value be in minimum, maximum and mean before it is counted.
 * An export works on a copy; if values arrive while the copy is made, its mean
 * is the mean of the others.
 */
#ifndef RTKVM_LATENCY_H
#define RTKVM_LATENCY_H

#include <stddef.h>
#include <stdint.h>

#include <rtkvm/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A recorder with its histogram. Opaque. */
struct rtkvm_latency;

/** Highest value kept apart; larger ones count as this and in "overflows". ns */
#define RTKVM_LATENCY_MAX_NS UINT64_C(10000000000)

/** Formats of rtkvm_latency_export(). */
enum {
	RTKVM_LATENCY_TEXT = 0,       /**< summary and a log-scaled bar per power of two */
	RTKVM_LATENCY_HGRM = 1,       /**< HdrHistogram percentile distribution (.hgrm), us */
	RTKVM_LATENCY_CYCLICTEST = 2, /**< cyclictest --histogram: "us count" lines and summary */
	RTKVM_LATENCY_JSON = 3        /**< cyclictest --json, one thread */
};

/** Figures of a histogram. */
struct rtkvm_latency_summary {
	size_t size;        /**< sizeof(struct rtkvm_latency_summary), set by the caller */
	uint64_t count;     /**< values recorded */
	uint64_t overflows; /**< of these above RTKVM_LATENCY_MAX_NS */
	uint64_t min_ns;    /**< smallest, exact; 0 if count is 0 */
	uint64_t max_ns;    /**< largest, exact, also when it overflowed */
	double avg_ns;      /**< mean of the values as recorded, an overflow counting as
			     *   RTKVM_LATENCY_MAX_NS */
	double stddev_ns;   /**< standard deviation, from the histogram */
	uint64_t p50_ns;    /**< median */
	uint64_t p90_ns;    /**< 90th percentile */
	uint64_t p99_ns;    /**< 99th percentile */
	uint64_t p999_ns;   /**< 99.9th percentile */
	uint64_t reserved[4]; /**< 0 */
};

/**
 * Make a recorder. Its memory (about 200 KiB) is written once, so that
 * recording never faults in pages (lock it with mlockall(2) against being
 * paged out).
 *
 * @param rt the context, for errors, log and the system's description in
 *        exports; may be NULL; must live longer than the recorder
 * @param name label in exports and plots; NULL: "latency". Copied; at most 127
 *        bytes of it, with '?' for control characters and broken UTF-8.
 * @param latency receives the recorder, owned by the caller; NULL on error
 * @return 0, or
 *         - -EINVAL: latency is NULL
 *         - -ENOMEM: no memory
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_latency_new(struct rtkvm *rt, const char *name,
				struct rtkvm_latency **latency);

/**
 * Free a recorder.
 *
 * @param latency the recorder; NULL is ignored
 *
 * RT class: set-up. Thread safety: no other thread may use the recorder.
 */
RTKVM_API void rtkvm_latency_free(struct rtkvm_latency *latency);

/**
 * Record one value.
 *
 * @param latency the recorder; NULL is ignored
 * @param ns the value, nanoseconds; 0 counts as 1, more than
 *        RTKVM_LATENCY_MAX_NS as an overflow
 *
 * RT class: RT-safe; no system call. Thread safety: one thread records; any
 * thread may read at the same time.
 */
RTKVM_API void rtkvm_latency_record(struct rtkvm_latency *latency, uint64_t ns);

/**
 * Add the values of one recorder to another.
 *
 * @param to the recorder that receives them
 * @param from the recorder that has them; not changed
 * @return 0, or
 *         - -EINVAL: one is NULL, or both are the same
 *         - -ENOMEM: no memory for a copy of the values
 *         - -EOVERFLOW: more values, or nanoseconds in sum, than 64 bits
 *           count; to is as it was
 *
 * RT class: set-up. Thread safety: nobody may record into to, or read it
 * through another call than rtkvm_latency_percentile() and
 * rtkvm_latency_get_summary(), meanwhile. Recording into from goes on.
 */
RTKVM_API int rtkvm_latency_merge(struct rtkvm_latency *to, const struct rtkvm_latency *from);

/**
 * Forget all values, and begin the time of recording anew.
 *
 * @param latency the recorder; NULL is ignored
 *
 * RT class: set-up (it writes 200 KiB). Thread safety: nobody may use the
 * recorder meanwhile.
 */
RTKVM_API void rtkvm_latency_reset(struct rtkvm_latency *latency);

/**
 * The value that the given share of all values does not exceed.
 *
 * It is never below the true one, and at most 1/1024 above. Where the share
 * reaches into the overflows it is the maximum.
 *
 * @param latency the recorder
 * @param percentile 0 to 100, taken to nine decimals; 0 or less gives the
 *        minimum, 100 or more the maximum
 * @return nanoseconds; 0 when empty, NULL or percentile is not a number
 *
 * RT class: RT-safe, but it reads up to 200 KiB. Thread safety: any thread.
 */
RTKVM_API uint64_t rtkvm_latency_percentile(const struct rtkvm_latency *latency,
					    double percentile);

/**
 * Fill in the figures.
 *
 * @param latency the recorder
 * @param summary receives them; its size must have been set
 * @return 0, or -EINVAL: an argument is NULL, or size is not that of the
 *         struct
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_latency_get_summary(const struct rtkvm_latency *latency,
					struct rtkvm_latency_summary *summary);

/**
 * Write the histogram.
 *
 * Numbers are written with a decimal point whatever the locale is. With
 * RTKVM_LATENCY_CYCLICTEST every microsecond below 10 ms that is not above the
 * last value has a line, above 10 ms those with values; the few values that
 * share a bucket with the next microsecond (above 1 ms, a bucket is wider than
 * a microsecond) go there.
 *
 * @param latency the recorder
 * @param format one of RTKVM_LATENCY_TEXT and following
 * @param fd an open descriptor, not closed
 * @return 0, or
 *         - -EINVAL: latency is NULL or the format is unknown
 *         - -ENOMEM: no memory for a copy of the values
 *         - the negative errno of write(2); a part may have been written
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_latency_export(const struct rtkvm_latency *latency, int format, int fd);

/**
 * Read what rtkvm_latency_export() wrote as RTKVM_LATENCY_CYCLICTEST, or what
 * cyclictest itself printed with --histogram (the first thread's column), and
 * add it.
 *
 * Each value counts as its whole microsecond; mean, minimum and maximum are
 * the file's. cyclictest keeps no values above the end of its histogram: they
 * count as its maximum here, so that percentiles are not understated. What is
 * exported afterwards and imported again stays the same.
 *
 * @param latency the recorder that receives the values
 * @param text the file's content, terminated
 * @return 0, or
 *         - -EINVAL: an argument is NULL; or text is no such histogram, its
 *           counts do not add up to its total, or figures contradict each
 *           other (the error names the line). Nothing was added.
 *         - -ENOMEM: no memory for a copy of the values
 *         - -EOVERFLOW: as rtkvm_latency_merge()
 *
 * Histograms in nanoseconds (cyclictest --nsecs) look the same and are taken
 * for microseconds.
 *
 * RT class: set-up. Thread safety: as rtkvm_latency_merge().
 */
RTKVM_API int rtkvm_latency_import(struct rtkvm_latency *latency, const char *text);

/**
 * Plot one or more histograms, log-log, with gnuplot(1): latency in
 * microseconds against the number of values per microsecond, as cyclictest's
 * are plotted (per 100, 10 or 1 ns where the values are so small).
 *
 * @param latencies the recorders; their names are the titles
 * @param count their number, 1 to 16
 * @param path the picture to write; ".png" or ".svg" at its end chooses the
 *        format. An existing file is replaced, at once and only on success.
 * @return 0, or
 *         - -EINVAL: an argument is NULL, count is out of range, another
 *           ending, or a recorder is empty
 *         - -ENOENT: gnuplot is not in PATH (package gnuplot-nox), or path's
 *           directory is not there
 *         - -EIO: gnuplot failed; nothing is left at path
 *         - -ENOMEM: no memory for copies of the values
 *         - others from running gnuplot or making the file
 *
 * Runs gnuplot as a child process, with normal scheduling, and waits for it.
 * No shell and no setting of the user takes part. The caller's handling of
 * SIGCHLD may ignore children or reap all of them.
 *
 * RT class: set-up. Thread safety: any thread.
 */
RTKVM_API int rtkvm_latency_plot(const struct rtkvm_latency *const *latencies, size_t count,
				 const char *path);

#ifdef __cplusplus
}
#endif

#endif
