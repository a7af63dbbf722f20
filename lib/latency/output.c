/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buffered text output; see output.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

void latency_output_begin(struct latency_output *out, int fd)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);

	out->fd = fd;
	out->error = 0;
	out->length = 0;
	/* glibc's C locale is static: this neither fails nor allocates */
	out->locale = c ? uselocale(c) : (locale_t)0;
}

static void flush(struct latency_output *out)
{
	size_t done = 0;

	while (!out->error && done < out->length) {
		ssize_t n = write(out->fd, out->text + done, out->length - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			out->error = EIO;
		else if (errno != EINTR)
			out->error = errno;
	}
	out->length = 0;
}

void latency_print(struct latency_output *out, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(line)) {
		/* no line of ours is so long: names are limited */
		out->error = out->error ? out->error : EOVERFLOW;
		return;
	}
	if ((size_t)len > sizeof(out->text) - out->length)
		flush(out);
	memcpy(out->text + out->length, line, (size_t)len);
	out->length += (size_t)len;
}

int latency_output_end(struct latency_output *out)
{
	flush(out);
	if (out->locale)
		freelocale(uselocale(out->locale));
	return -out->error;
}
