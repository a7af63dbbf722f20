/* SPDX-License-Identifier: MIT */
/* A ring with one writer and one reader, and the search for a line in it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sink.h"

bool sink_put(struct sink *sink, char c)
{
	size_t head = atomic_load_explicit(&sink->head, memory_order_relaxed);
	size_t used = head - atomic_load_explicit(&sink->tail, memory_order_acquire);

	if (used == SINK_SIZE) {
		atomic_fetch_add(&sink->lost, 1);
		return false;
	}
	sink->ring[head % SINK_SIZE] = c;
	atomic_store_explicit(&sink->head, head + 1, memory_order_release);
	return c == '\n' || used == SINK_SIZE / 2;
}

static void look(struct sink *sink, char c)
{
	if (c != '\n') {
		if (sink->line_length < sizeof(sink->line) - 1)
			sink->line[sink->line_length++] = c;
		return;
	}
	sink->line[sink->line_length] = '\0';
	sink->line_length = 0;
	if (strstr(sink->line, sink->marker))
		sink->seen = true;
}

static void put_out(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* a reader that has gone is no reason to end the guest */
		bytes += n;
		size -= (size_t)n;
	}
}

void sink_drain(struct sink *sink)
{
	size_t tail = atomic_load_explicit(&sink->tail, memory_order_relaxed);
	size_t head = atomic_load_explicit(&sink->head, memory_order_acquire);

	while (tail != head) {
		size_t from = tail % SINK_SIZE;
		size_t size = head - tail < SINK_SIZE - from ? head - tail : SINK_SIZE - from;

		if (sink->fd >= 0)
			put_out(sink->fd, sink->ring + from, size);
		for (size_t i = 0; sink->marker && i < size; i++)
			look(sink, sink->ring[from + i]);
		tail += size;
		atomic_store_explicit(&sink->tail, tail, memory_order_release);
	}
}
