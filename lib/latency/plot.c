/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plots: the gnuplot script with its data, and the picture's way to its file.
 * Script and picture pass through memory files; the picture is checked there,
 * so a failed plot leaves nothing behind and an older picture as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gnuplot.h"
#include "output.h"

#define MAX_PLOTS 16

/* Stands for "none" on a logarithmic axis: below what is shown. */
#define NOTHING "0.1"

struct plot {
	struct rtkvm *rt;
	struct rtkvm_latency *latency[MAX_PLOTS]; /* snapshots */
	size_t count;
	bool svg;
	uint64_t unit; /* width of a bin, ns */
};

/*
 * Bins of a microsecond, as people plot cyclictest, or of a tenth, hundredth
 * or thousandth of it where so wide ones would hide the shape. What was
 * imported knows no finer ones.
 */
static uint64_t unit_for(const struct plot *plot)
{
	uint64_t unit = 1000;

	for (size_t i = 0; i < plot->count; i++) {
		uint64_t p50 = rtkvm_latency_percentile(plot->latency[i], 50);

		if (plot->latency[i]->coarse)
			return 1000;
		while (unit > 1 && unit * 10 > p50)
			unit /= 10;
	}
	return unit;
}

/* The only special character within gnuplot's single quotes is the quote, doubled. */
static void write_quoted(struct latency_output *out, const char *text)
{
	for (; *text; text++)
		latency_print(out, *text == '\'' ? "''" : "%c", *text);
}

struct steps {
	struct latency_output *out;
	uint64_t unit, next; /* bin after the last one with values */
};

/* Bin edges in microseconds; bin 0 begins where a logarithmic axis can show it. */
static double edge(const struct steps *steps, uint64_t bin)
{
	return (bin ? (double)bin : 0.5) * (double)steps->unit / 1000;
}

static void write_step(void *arg, uint64_t bin, uint64_t count)
{
	struct steps *steps = arg;

	if (bin != steps->next || !bin) {
		if (steps->next)
			latency_print(steps->out, "%.9g " NOTHING "\n", edge(steps, steps->next));
		latency_print(steps->out, "%.9g " NOTHING "\n", edge(steps, bin));
	}
	latency_print(steps->out, "%.9g %llu\n", edge(steps, bin), (unsigned long long)count);
	steps->next = bin + 1;
}

static void write_data(struct latency_output *out, const struct plot *plot, size_t i)
{
	struct steps steps = { .out = out, .unit = plot->unit };

	latency_print(out, "$data%zu << EOD\n", i);
	latency_for_each_bin(plot->latency[i], plot->unit, true, write_step, &steps);
	latency_print(out, "%.9g " NOTHING "\nEOD\n", edge(&steps, steps.next));
}

static void write_title(struct latency_output *out, const struct rtkvm_latency *latency)
{
	struct rtkvm_latency_summary s = { .size = sizeof(s) };

	rtkvm_latency_get_summary(latency, &s);
	latency_print(out, "'");
	write_quoted(out, latency->name);
	latency_print(out, ": %llu values, p50 %.1f, p99 %.1f, max %.1f us'",
		      (unsigned long long)s.count, (double)s.p50_ns / 1000,
		      (double)s.p99_ns / 1000, (double)s.max_ns / 1000);
}

/* Ends of the x axis: decades around all values. */
static void write_range(struct latency_output *out, const struct plot *plot)
{
	uint64_t min = UINT64_MAX, max = 1, from = 1, to = 1;

	for (size_t i = 0; i < plot->count; i++) {
		const struct latency_figures *f = &plot->latency[i]->figures;

		min = f->min < min ? f->min : min;
		max = f->max > max ? f->max : max;
	}
	/* overflows are drawn there */
	if (max > RTKVM_LATENCY_MAX_NS)
		max = RTKVM_LATENCY_MAX_NS;
	if (min > max)
		min = max;
	if (min < plot->unit)
		min = plot->unit / 2;
	while (from * 10 <= min)
		from *= 10;
	while (to <= max)
		to *= 10;
	latency_print(out, "set xrange [%.9g:%.9g]\n", (double)from / 1000, (double)to / 1000);
}

static void write_script(struct latency_output *out, const struct plot *plot)
{
	for (size_t i = 0; i < plot->count; i++)
		write_data(out, plot, i);
	latency_print(out, "set encoding utf8\n");
	if (plot->svg)
		latency_print(out, "set terminal svg noenhanced size 1200,750 background 'white'\n");
	else
		latency_print(out, "if (strstrt(GPVAL_TERMINALS, 'pngcairo')) {\n"
				   "set terminal pngcairo noenhanced size 1200,750\n"
				   "} else {\nset terminal png noenhanced size 1200,750\n}\n");
	latency_print(out, "set title 'Latency histogram'\n"
			   "set xlabel 'latency (us)'\n"
			   "set ylabel 'values per %llu %s'\n"
			   "set logscale xy 10\nset format xy '10^{%%T}'\n",
		      (unsigned long long)(plot->unit == 1000 ? 1 : plot->unit),
		      plot->unit == 1000 ? "us" : "ns");
	/* plain numbers up to a million read better than powers, and need no enhanced text */
	latency_print(out, "set format x '%%g'\nset format y '%%g'\n"
			   "set grid xtics ytics\nset key top right\n"
			   "set yrange [0.7:*]\n");
	write_range(out, plot);
	latency_print(out, "plot ");
	for (size_t i = 0; i < plot->count; i++) {
		latency_print(out, "%s$data%zu using 1:2 with steps linewidth 1.5 linecolor %zu "
				   "dashtype %zu title ", i ? ", " : "", i, i + 1, i / 8 + 1);
		write_title(out, plot->latency[i]);
	}
	latency_print(out, "\nunset output\n");
}

static bool picture_is_whole(int fd, bool svg)
{
	static const char png_head[] = "\x89PNG\r\n\x1a\n", png_tail[] = "IEND\xae\x42\x60\x82";
	const char *head = svg ? "<?xml" : png_head;
	const char *tail = svg ? "</svg>" : png_tail;
	struct stat st;
	char text[64];
	ssize_t n;

	if (fstat(fd, &st) < 0 || st.st_size < 128)
		return false;
	if (pread(fd, text, strlen(head), 0) != (ssize_t)strlen(head) ||
	    memcmp(text, head, strlen(head)))
		return false;
	n = pread(fd, text, 32, st.st_size - 32);
	return n == 32 && memmem(text, 32, tail, strlen(tail)) != NULL;
}

static int copy_file(int to, int from)
{
	off_t offset = 0;
	struct stat st;

	if (fstat(from, &st) < 0)
		return errno;
	while (offset < st.st_size) {
		ssize_t n = sendfile(to, from, &offset, (size_t)(st.st_size - offset));

		if (n == 0)
			return EIO;
		if (n < 0 && errno != EINTR)
			return errno;
	}
	return 0;
}

/* A new file beside path: its descriptor and allocated name, or -1, NULL and errno. */
static int open_beside(const char *path, char **name)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash + 1 - path) : 0;
	uint64_t random;
	int fd;

	/* the name is taken once in a lifetime; more often somebody plays tricks */
	for (int i = 0; i < 16; i++) {
		*name = NULL;
		if (getrandom(&random, sizeof(random), 0) != sizeof(random) ||
		    asprintf(name, "%.*s.rtkvm-%016llx", dir, path, (unsigned long long)random) < 0)
			return -1;
		fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (fd >= 0)
			return fd;
		free(*name);
		*name = NULL;
		if (errno != EEXIST)
			break;
	}
	return -1;
}

static int save(struct rtkvm *rt, int picture, const char *path)
{
	char *name;
	int fd = open_beside(path, &name);
	int err = errno;

	if (!name)
		return rtkvm_fail(rt, err, path, rtkvm_remedy_for(err),
				  "cannot make a file in that directory: %s", strerror(err));
	err = copy_file(fd, picture);
	if (close(fd) < 0 && !err)
		err = errno;
	if (!err && rename(name, path) < 0)
		err = errno;
	if (err)
		unlink(name);
	free(name);
	if (err)
		return rtkvm_fail(rt, err, path, rtkvm_remedy_for(err),
				  "cannot write the picture: %s", strerror(err));
	return 0;
}

static int draw(const struct plot *plot, int script, int picture, const char *path)
{
	struct latency_output out;
	bool known;
	int ret;

	latency_output_begin(&out, script);
	write_script(&out, plot);
	ret = latency_output_end(&out);
	if (ret < 0 || lseek(script, 0, SEEK_SET) < 0) {
		int err = ret < 0 ? -ret : errno;

		return rtkvm_fail(plot->rt, err, path, rtkvm_remedy_for(err),
				  "cannot write gnuplot's script: %s", strerror(err));
	}
	ret = latency_run_gnuplot(plot->rt, script, picture, &known);
	if (ret < 0)
		return ret;
	if (!picture_is_whole(picture, plot->svg))
		return rtkvm_fail(plot->rt, EIO, "gnuplot", NULL, "gnuplot made no %s picture",
				  plot->svg ? "SVG" : "PNG");
	return save(plot->rt, picture, path);
}

static int draw_in_memory(const struct plot *plot, const char *path)
{
	int script = memfd_create("gnuplot-script", MFD_CLOEXEC);
	int picture = script < 0 ? -1 : memfd_create("gnuplot-picture", MFD_CLOEXEC);
	int err = errno, ret;

	if (picture < 0)
		ret = rtkvm_fail(plot->rt, err, path, rtkvm_remedy_for(err),
				 "cannot make a memory file: %s", strerror(err));
	else
		ret = draw(plot, script, picture, path);
	if (picture >= 0)
		close(picture);
	if (script >= 0)
		close(script);
	return ret;
}

static bool ends_with(const char *path, const char *end)
{
	size_t len = strlen(path), n = strlen(end);

	return len > n && !strcmp(path + len - n, end);
}

static int check_arguments(struct plot *plot, const struct rtkvm_latency *const *latencies,
			   size_t count, const char *path)
{
	if (!latencies || !path || !count || count > MAX_PLOTS)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_latency_plot", "give 1 to 16 recorders",
				  "%zu recorders%s%s", count, latencies ? "" : ", latencies is NULL",
				  path ? "" : ", path is NULL");
	for (size_t i = 0; i < count; i++)
		if (!latencies[i])
			return rtkvm_fail(NULL, EINVAL, "rtkvm_latency_plot", NULL,
					  "recorder %zu is NULL", i);
	plot->rt = latencies[0]->rt;
	plot->svg = ends_with(path, ".svg");
	if (!plot->svg && !ends_with(path, ".png"))
		return rtkvm_fail(plot->rt, EINVAL, path, "end the name in .png or .svg",
				  "unknown kind of picture");
	return 0;
}

int rtkvm_latency_plot(const struct rtkvm_latency *const *latencies, size_t count, const char *path)
{
	struct plot plot = { .count = 0 };
	int ret = check_arguments(&plot, latencies, count, path);

	for (; ret == 0 && plot.count < count; plot.count++) {
		plot.latency[plot.count] = latency_snapshot(latencies[plot.count]);
		if (!plot.latency[plot.count])
			ret = -ENOMEM;
		else if (!plot.latency[plot.count]->figures.count)
			ret = rtkvm_fail(plot.rt, EINVAL, latencies[plot.count]->name, NULL,
					 "nothing was recorded");
	}
	if (ret == 0) {
		plot.unit = unit_for(&plot);
		ret = draw_in_memory(&plot, path);
	}
	for (size_t i = 0; i < plot.count; i++)
		rtkvm_latency_free(plot.latency[i]);
	return ret;
}
