/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm_latency_export(): takes a snapshot and hands it to the writer of the
 * format. The formats are in export-FORMAT.c.
 */
#include <errno.h>
#include <string.h>

#include "output.h"

typedef void write_fn(struct latency_output *out, const struct rtkvm_latency *latency);

static write_fn *writer_of(int format)
{
	switch (format) {
	case RTKVM_LATENCY_TEXT:
		return latency_write_text;
	case RTKVM_LATENCY_HGRM:
		return latency_write_hgrm;
	case RTKVM_LATENCY_CYCLICTEST:
		return latency_write_cyclictest;
	case RTKVM_LATENCY_JSON:
		return latency_write_json;
	default:
		return NULL;
	}
}

int rtkvm_latency_export(const struct rtkvm_latency *latency, int format, int fd)
{
	write_fn *writer = writer_of(format);
	struct rtkvm_latency *snapshot;
	struct latency_output out;
	int ret;

	if (!latency)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_latency_export", NULL, "latency is NULL");
	if (!writer)
		return rtkvm_fail(latency->rt, EINVAL, "rtkvm_latency_export",
				  "use one of RTKVM_LATENCY_*", "unknown format %d", format);
	snapshot = latency_snapshot(latency);
	if (!snapshot)
		return -ENOMEM;
	latency_output_begin(&out, fd);
	writer(&out, snapshot);
	ret = latency_output_end(&out);
	rtkvm_latency_free(snapshot);
	if (ret < 0)
		return rtkvm_fail(latency->rt, -ret, latency->name, rtkvm_remedy_for(-ret),
				  "cannot write the histogram: %s", strerror(-ret));
	return 0;
}
