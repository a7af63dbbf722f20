/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rtkvm latency: reads cyclictest histograms, adds them up, writes the sum in
 * another format, and plots them side by side.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

#define MAX_FILES 256
#define MAX_PLOTS 16

/* No histogram is so long; a device or an endless pipe is. */
#define MAX_TEXT (256u << 20)

static const char *const formats[] = {
	[RTKVM_LATENCY_TEXT] = "text",
	[RTKVM_LATENCY_HGRM] = "hgrm",
	[RTKVM_LATENCY_CYCLICTEST] = "cyclictest",
	[RTKVM_LATENCY_JSON] = "json",
};

static int format_of(const char *name)
{
	for (int i = 0; i < (int)(sizeof(formats) / sizeof(formats[0])); i++)
		if (!strcmp(formats[i], name))
			return i;
	return -1;
}

/* The whole of a stream as text, or NULL with errno. */
static char *read_stream(FILE *f)
{
	size_t used = 0, size = 65536;
	char *text = malloc(size), *more;

	while (text) {
		used += fread(text + used, 1, size - used - 1, f);
		if (used < size - 1)
			break;
		if (size >= MAX_TEXT) {
			free(text);
			errno = EFBIG;
			return NULL;
		}
		size *= 2;
		more = realloc(text, size);
		if (!more)
			free(text);
		text = more;
	}
	if (text && ferror(f)) {
		free(text);
		return NULL;
	}
	if (text && memchr(text, '\0', used)) {
		free(text);
		errno = EILSEQ;
		return NULL;
	}
	if (text)
		text[used] = '\0';
	return text;
}

static char *read_file(const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *text = f ? read_stream(f) : NULL;
	int err = errno;

	if (f && f != stdin)
		fclose(f);
	if (!text)
		fprintf(stderr, "rtkvm: %s: %s\n", path, strerror(err));
	return text;
}

/* A recorder with a file's values, named after the file; NULL after a message. */
static struct rtkvm_latency *load(struct rtkvm *rt, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = !strcmp(path, "-") ? "standard input" : slash ? slash + 1 : path;
	struct rtkvm_latency *latency;
	char *text = read_file(path);
	int ret;

	if (!text)
		return NULL;
	ret = rtkvm_latency_new(rt, name, &latency);
	if (ret == 0) {
		ret = rtkvm_latency_import(latency, text);
		if (ret < 0)
			rtkvm_latency_free(latency);
	}
	free(text);
	if (ret < 0)
		fprintf(stderr, "rtkvm: %s: %s\n", path, rtkvm_last_error());
	return ret < 0 ? NULL : latency;
}

static int write_sum(struct rtkvm *rt, struct rtkvm_latency *const *latencies, int count, int format,
		     const char *name)
{
	struct rtkvm_latency *sum;
	int ret = rtkvm_latency_new(rt, name, &sum);

	if (ret < 0)
		return ret;
	for (int i = 0; i < count && ret == 0; i++)
		ret = rtkvm_latency_merge(sum, latencies[i]);
	/* what printf(3) holds back goes first */
	if (ret == 0 && fflush(stdout) == 0)
		ret = rtkvm_latency_export(sum, format, STDOUT_FILENO);
	rtkvm_latency_free(sum);
	return ret;
}

/* Load all files, then show them: nothing is written before all of them are known to be good. */
static int show(struct rtkvm *rt, char **files, int count, int format, const char *picture)
{
	struct rtkvm_latency *latencies[MAX_FILES];
	int loaded, status = CMD_OK;

	for (loaded = 0; loaded < count; loaded++) {
		latencies[loaded] = load(rt, files[loaded]);
		if (!latencies[loaded]) {
			status = CMD_ERROR;
			break;
		}
	}
	if (status == CMD_OK && picture &&
	    rtkvm_latency_plot((const struct rtkvm_latency *const *)latencies, (size_t)count,
			       picture) < 0)
		status = cmd_fail();
	if (status == CMD_OK && format >= 0 &&
	    write_sum(rt, latencies, count, format,
		      count > 1 ? "all" : strcmp(files[0], "-") ? files[0] : "standard input") < 0)
		status = cmd_fail();
	while (loaded--)
		rtkvm_latency_free(latencies[loaded]);
	return status;
}

static int check_files(const char *command, int count, char **files, const char *picture)
{
	int from_stdin = 0;

	if (!count)
		return cmd_usage("%s [--format text|hgrm|cyclictest|json] [--plot FILE] FILE...",
				 command);
	if (count > MAX_FILES)
		return cmd_usage("%s takes at most %d files", command, MAX_FILES);
	if (picture && count > MAX_PLOTS)
		return cmd_usage("%s plots at most %d files", command, MAX_PLOTS);
	for (int i = 0; i < count; i++)
		from_stdin += !strcmp(files[i], "-");
	if (from_stdin > 1)
		return cmd_usage("%s can read standard input once", command);
	return CMD_OK;
}

int cmd_latency(struct rtkvm *rt, const struct cmd_options *opt, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "format", required_argument, NULL, 'f' },
		{ "plot", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	int format = opt->json ? RTKVM_LATENCY_JSON : -1, c;
	const char *picture = NULL;

	optind = 0; /* the options before the command were another run of getopt */
	while ((c = getopt_long(argc, argv, "f:p:", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			format = format_of(optarg);
			if (format < 0)
				return cmd_usage("no format \"%s\"", optarg);
			break;
		case 'p':
			picture = optarg;
			break;
		case 'j':
			format = RTKVM_LATENCY_JSON;
			break;
		default:
			return CMD_ERROR;
		}
	}
	if (check_files(argv[0], argc - optind, argv + optind, picture) != CMD_OK)
		return CMD_ERROR;
	/* a plot alone prints nothing */
	if (format < 0 && !picture)
		format = RTKVM_LATENCY_TEXT;
	return show(rt, argv + optind, argc - optind, format, picture);
}
