/* SPDX-License-Identifier: MIT */
/* Histogram files. */
#ifndef FILES_H
#define FILES_H

#include <rtkvm/latency.h>

/* Write one; the ending chooses the format: .hgrm, .json, .txt, else cyclictest's. */
int file_write(const struct rtkvm_latency *latency, const char *path);

#endif
