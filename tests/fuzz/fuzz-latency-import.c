/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzzer of the cyclictest histogram reader: what it refuses must leave the
 * recorder empty and name a line; what it accepts must come out of every
 * export, and be the same after another export and import.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "latency/recorder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Recorders and the file are made once: they are large beside most inputs. */
static struct rtkvm_latency *first, *second;
static int file;

static void must(int condition)
{
	if (!condition)
		abort();
}

static char *export_text(const struct rtkvm_latency *latency, int format)
{
	off_t size;
	char *text;

	must(ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0);
	must(rtkvm_latency_export(latency, format, file) == 0);
	size = lseek(file, 0, SEEK_CUR);
	text = malloc((size_t)size + 1);
	must(text && pread(file, text, (size_t)size, 0) == size);
	text[size] = '\0';
	return text;
}

/* The other formats take long for what little they have of the input's. */
static void check_other_formats(void)
{
	free(export_text(first, RTKVM_LATENCY_HGRM));
	free(export_text(first, RTKVM_LATENCY_JSON));
	free(export_text(first, RTKVM_LATENCY_TEXT));
}

static void check_accepted(int all)
{
	struct rtkvm_latency_summary s = { .size = sizeof(s) };
	char *a = export_text(first, RTKVM_LATENCY_CYCLICTEST), *b;

	must(rtkvm_latency_import(second, a) == 0);
	b = export_text(second, RTKVM_LATENCY_CYCLICTEST);
	must(!strcmp(a, b));
	free(a);
	free(b);
	must(rtkvm_latency_get_summary(first, &s) == 0);
	must(s.min_ns <= s.p50_ns && s.p50_ns <= s.p99_ns && s.p99_ns <= s.max_ns);
	must(s.overflows <= s.count);
	if (all)
		check_other_formats();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	must(text != NULL);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (!first) {
		must(rtkvm_latency_new(NULL, "first", &first) == 0);
		must(rtkvm_latency_new(NULL, "second", &second) == 0);
		file = memfd_create("fuzz", MFD_CLOEXEC);
		must(file >= 0);
	}
	if (first->figures.count)
		rtkvm_latency_reset(first);
	if (second->figures.count)
		rtkvm_latency_reset(second);
	if (rtkvm_latency_import(first, text) == 0) {
		check_accepted(size % 16 == 0);
	} else {
		must(first->figures.count == 0);
		must(!strncmp(rtkvm_last_error_where(), "line ", 5));
	}
	free(text);
	return 0;
}
