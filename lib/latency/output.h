/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text to a descriptor: buffered, with the decimal point a point whatever the
 * caller's locale is, and errors kept until the end. What is written is the
 * business of export-*.c and plot.c.
 */
#ifndef RTKVM_LATENCY_OUTPUT_H
#define RTKVM_LATENCY_OUTPUT_H

#include <locale.h>
#include <stddef.h>

#include "recorder.h"

struct latency_output {
	int fd;
	int error;           /* first errno of write(2), positive; then nothing more is written */
	locale_t locale;     /* the caller's, put back by _end */
	size_t length;
	char text[8192];
};

/* Between _begin and _end the calling thread has the C locale. */
void latency_output_begin(struct latency_output *out, int fd);
void latency_print(struct latency_output *out, const char *fmt, ...) RTKVM_PRINTF(2, 3);

/* 0, or the negative errno of the first write that failed. */
int latency_output_end(struct latency_output *out);

/* Writers of one format each; the recorder is a snapshot. */
void latency_write_text(struct latency_output *out, const struct rtkvm_latency *latency);
void latency_write_hgrm(struct latency_output *out, const struct rtkvm_latency *latency);
void latency_write_cyclictest(struct latency_output *out, const struct rtkvm_latency *latency);
void latency_write_json(struct latency_output *out, const struct rtkvm_latency *latency);

/*
 * Values per bin of unit ns, in rising order, one call for each bin that has
 * any. Overflows count as RTKVM_LATENCY_MAX_NS or are left out.
 */
typedef void latency_bin_fn(void *arg, uint64_t bin, uint64_t count);
void latency_for_each_bin(const struct rtkvm_latency *latency, uint64_t unit, bool overflows,
			  latency_bin_fn *fn, void *arg);

#endif
