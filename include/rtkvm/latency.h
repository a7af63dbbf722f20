/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file latency.h
 * Latency histograms: an RT-safe recorder and the formats people plot.
 *
 * The histogram is log-linear (as HdrHistogram's): values from 1 ns to 10 s
 * with three significant digits, in fixed memory that is touched when it is
 * made. Recording is a few instructions without allocation, lock or system
 * call.
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
	double avg_ns;      /**< mean of the recorded values */
	double stddev_ns;   /**< standard deviation, from the histogram */
	uint64_t p50_ns;    /**< median */
	uint64_t p90_ns;    /**< 90th percentile */
	uint64_t p99_ns;    /**< 99th percentile */
	uint64_t p999_ns;   /**< 99.9th percentile */
	uint64_t reserved[4]; /**< 0 */
};

/**
 * Make a recorder. Its memory (about 200 KiB) is written once, so that
 * recording never faults.
 *
 * @param rt the context, for errors and log only; may be NULL
 * @param name label in exports; NULL: "latency". Copied.
 * @param latency receives the recorder, owned by the caller; NULL on error
 * @return 0, -EINVAL, -ENOMEM
 *
 * RT class: set-up.
 */
RTKVM_API int rtkvm_latency_new(struct rtkvm *rt, const char *name,
				struct rtkvm_latency **latency);

/** Free a recorder; NULL is ignored. RT class: set-up. */
RTKVM_API void rtkvm_latency_free(struct rtkvm_latency *latency);

/**
 * Record one value.
 *
 * @param latency the recorder
 * @param ns the value, nanoseconds; 0 counts as 1
 *
 * RT class: RT-safe; no system call. Thread safety: one thread records; any
 * thread may read at the same time and sees each value once it is complete.
 */
RTKVM_API void rtkvm_latency_record(struct rtkvm_latency *latency, uint64_t ns);

/**
 * Add the values of one recorder to another.
 *
 * @return 0, or -EINVAL (NULL, or both are the same)
 * Thread safety: nobody may record into @p to meanwhile.
 */
RTKVM_API int rtkvm_latency_merge(struct rtkvm_latency *to, const struct rtkvm_latency *from);

/** Forget all values. Thread safety: nobody may record meanwhile. */
RTKVM_API void rtkvm_latency_reset(struct rtkvm_latency *latency);

/**
 * The value that the given share of all values does not exceed.
 *
 * @param latency the recorder
 * @param percentile 0 to 100; 0 gives the minimum, 100 the maximum
 * @return nanoseconds, right to three significant digits; 0 when empty, NULL
 *         or not a number
 */
RTKVM_API uint64_t rtkvm_latency_percentile(const struct rtkvm_latency *latency,
					    double percentile);

/** Fill in the figures. @return 0 or -EINVAL */
RTKVM_API int rtkvm_latency_get_summary(const struct rtkvm_latency *latency,
					struct rtkvm_latency_summary *summary);

/**
 * Write the histogram.
 *
 * @param latency the recorder
 * @param format one of RTKVM_LATENCY_TEXT and following
 * @param fd an open descriptor, not closed
 * @return 0, -EINVAL, or the negative errno of write(2)
 *
 * RT class: set-up.
 */
RTKVM_API int rtkvm_latency_export(const struct rtkvm_latency *latency, int format, int fd);

/**
 * Read what rtkvm_latency_export() wrote as RTKVM_LATENCY_CYCLICTEST, or a
 * histogram of cyclictest itself (first thread), and add it.
 *
 * @param latency the recorder that receives the values, each at its
 *        microsecond
 * @param text the file's content, terminated
 * @return 0, or -EINVAL (the error names the line)
 */
RTKVM_API int rtkvm_latency_import(struct rtkvm_latency *latency, const char *text);

/**
 * Plot one or more histograms, log-log, with gnuplot(1).
 *
 * @param latencies the recorders
 * @param count their number, 1 to 16
 * @param path the picture to write; ".png" or ".svg" at its end chooses the
 *        format
 * @return 0, or
 *         - -EINVAL: another ending, or nothing recorded
 *         - -ENOENT: gnuplot is not installed (package gnuplot-nox)
 *         - -EIO: gnuplot failed; nothing is left at path
 *         - others from making the file
 *
 * Runs gnuplot as a child process and waits for it. RT class: set-up.
 */
RTKVM_API int rtkvm_latency_plot(const struct rtkvm_latency *const *latencies, size_t count,
				 const char *path);

#ifdef __cplusplus
}
#endif

#endif
