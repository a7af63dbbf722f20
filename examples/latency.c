/* SPDX-License-Identifier: MIT */
/*
 * How late does this thread wake up? Sleeps until every millisecond for a
 * second, records how late it was, and prints the figures. With an argument,
 * the percentile distribution goes to that file (for HdrHistogram's plotter).
 *
 *   latency [FILE.hgrm]
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#define INTERVAL_NS 1000000
#define CYCLES 1000
#define NS_PER_S 1000000000L

static void advance(struct timespec *t, long ns)
{
	t->tv_nsec += ns;
	if (t->tv_nsec >= NS_PER_S) {
		t->tv_nsec -= NS_PER_S;
		t->tv_sec++;
	}
}

static void measure(struct rtkvm_latency *latency)
{
	struct timespec next, now;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (int i = 0; i < CYCLES; i++) {
		advance(&next, INTERVAL_NS);
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			;
		clock_gettime(CLOCK_MONOTONIC, &now);
		/* the only call in the loop that is not the kernel's: it makes no system call */
		rtkvm_latency_record(latency, (uint64_t)((now.tv_sec - next.tv_sec) * NS_PER_S +
							 now.tv_nsec - next.tv_nsec));
	}
}

static void save(const struct rtkvm_latency *latency, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		err(1, "%s", path);
	if (rtkvm_latency_export(latency, RTKVM_LATENCY_HGRM, fd) < 0)
		errx(1, "%s: %s", path, rtkvm_last_error());
	if (close(fd) < 0)
		err(1, "%s", path);
}

int main(int argc, char **argv)
{
	struct rtkvm_latency *latency;
	struct rtkvm *rt;

	if (rtkvm_new(NULL, &rt) < 0 || rtkvm_latency_new(rt, "wake-up", &latency) < 0)
		errx(1, "%s", rtkvm_last_error());
	measure(latency);
	if (rtkvm_latency_export(latency, RTKVM_LATENCY_TEXT, STDOUT_FILENO) < 0)
		errx(1, "%s", rtkvm_last_error());
	if (argc > 1)
		save(latency, argv[1]);
	rtkvm_latency_free(latency);
	rtkvm_free(rt);
	return 0;
}
