/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reader of journals: any bytes; and the same bytes as records whose
 * checksums are right, which random bytes never are. What is read is written
 * again and must be the same text.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease/lease_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every line sealed with its checksum. */
static char *seal(const uint8_t *data, size_t size, size_t *len)
{
	char *out = malloc(size * 12 + 16);

	*len = 0;
	for (size_t at = 0; at < size;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t n = end ? (size_t)(end - data) - at : size - at;

		memcpy(out + *len, data + at, n);
		*len += n;
		*len += (size_t)sprintf(out + *len, " *%08x\n",
					rtkvm_crc32((const char *)data + at, n));
		at += n + 1;
	}
	return out;
}

/* The changes that were read, written again, are lines of the text. */
static void check(const char *text, size_t len, const struct rtkvm_journal *j)
{
	char line[RTKVM_LINE_MAX];
	unsigned int seq = 0;

	if (j->valid > len || j->headless != (j->next_seq == 0))
		abort();
	if (!j->headless && (!rtkvm_journal_format_header(&j->owner, line) ||
			     strncmp(text, line, strlen(line) - 1)))
		abort();
	for (size_t i = 0; i < j->count; i++) {
		const struct rtkvm_change *c = &j->changes[i];
		size_t n = rtkvm_journal_format_change(c, line);

		if (!rtkvm_change_valid(c) || c->seq <= seq || !n)
			abort();
		seq = c->seq;
		if (!memmem(text, len, line, n - 1))
			abort();
	}
}

static void parse(const char *text, size_t len)
{
	char why[RTKVM_WHY_MAX];
	struct rtkvm_journal j;

	if (rtkvm_journal_parse(text, len, &j, why) == 0)
		check(text, len, &j);
	rtkvm_journal_clear(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len;
	char *text;

	parse((const char *)data, size);
	text = seal(data, size, &len);
	parse(text, len);
	if (len)
		parse(text, len - len % 23); /* torn */
	free(text);
	return 0;
}
