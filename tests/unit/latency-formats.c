/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of what the latency recorder writes and reads, against texts of
 * the programs whose formats they are: HdrHistogram (Java, 2.1.11) and
 * cyclictest (rt-tests 2.4).
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "latency/recorder.h"
#include "support/latency-values.h"
#include "support/test.h"

static struct rtkvm_latency *recorder(const char *name)
{
	struct rtkvm_latency *l;

	ck_assert_int_eq(rtkvm_latency_new(NULL, name, &l), 0);
	return l;
}

/* The export as text, to be freed. */
static char *export(const struct rtkvm_latency *l, int format)
{
	int fd = memfd_create("export", MFD_CLOEXEC);
	off_t size;
	char *text;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rtkvm_latency_export(l, format, fd), 0);
	size = lseek(fd, 0, SEEK_END);
	text = calloc(1, (size_t)size + 1);
	ck_assert_int_eq(pread(fd, text, (size_t)size, 0), size);
	close(fd);
	return text;
}

static void check_export(const struct rtkvm_latency *l, int format, const char *expected)
{
	char *text = export(l, format);

	ck_assert_str_eq(text, expected);
	free(text);
}

static void fill(struct rtkvm_latency *l, uint64_t seed, int n)
{
	while (n--)
		rtkvm_latency_record(l, latency_value(&seed));
}

START_TEST(hgrm_small)
{
	struct rtkvm_latency *l = recorder(NULL);

	check_export(l, RTKVM_LATENCY_HGRM,
		     "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
		     "#[Mean    =        0.000, StdDeviation   =        0.000]\n"
		     "#[Max     =        0.000, Total count    =            0]\n"
		     "#[Buckets =           24, SubBuckets     =         2048]\n");
	fill(l, 3, 3);
	check_export(l, RTKVM_LATENCY_HGRM,
		     "       Value     Percentile TotalCount 1/(1-Percentile)\n"
		     "\n"
		     "       0.752 0.000000000000          1           1.00\n"
		     "       0.752 0.100000000000          1           1.11\n"
		     "       0.752 0.200000000000          1           1.25\n"
		     "       0.752 0.300000000000          1           1.43\n"
		     "    2725.887 0.400000000000          2           1.67\n"
		     "    2725.887 0.500000000000          2           2.00\n"
		     "    2725.887 0.550000000000          2           2.22\n"
		     "    2725.887 0.600000000000          2           2.50\n"
		     "    2725.887 0.650000000000          2           2.86\n"
		     "  121569.279 0.700000000000          3           3.33\n"
		     "  121569.279 1.000000000000          3\n"
		     "#[Mean    =    41420.709, StdDeviation   =    56661.342]\n"
		     "#[Max     =   121569.279, Total count    =            3]\n"
		     "#[Buckets =           24, SubBuckets     =         2048]\n");
	rtkvm_latency_free(l);
}
END_TEST

/* 100000 values over the whole range; the file was written by HdrHistogram itself. */
START_TEST(hgrm_of_hdrhistogram)
{
	const char *top = getenv("top_srcdir");
	struct rtkvm_latency *l = recorder(NULL);

	fill(l, 8, 100000);
	check_export(l, RTKVM_LATENCY_HGRM,
		     test_read(top ? top : "..", "tests/unit/latency-hdrhistogram.hgrm"));
	rtkvm_latency_free(l);
}
END_TEST

START_TEST(hgrm_of_very_many)
{
	struct rtkvm_latency *l = recorder(NULL);
	char *text;

	/* levels end before they cannot be told from 100 % any more */
	latency_add(l, 1, UINT64_C(1000000000000000000));
	latency_add(l, 1000, 1);
	latency_add(l, 2000, 1);
	text = export(l, RTKVM_LATENCY_HGRM);
	ck_assert_ptr_null(strstr(text, "inf"));
	ck_assert_ptr_null(strstr(text, "nan"));
	ck_assert_ptr_nonnull(strstr(text, "\n       2.000 1.000000000000 1000000000000000002\n"));
	free(text);
	rtkvm_latency_free(l);
}
END_TEST

START_TEST(cyclictest_text)
{
	struct rtkvm_latency *l = recorder(NULL);

	rtkvm_latency_record(l, 2999);
	rtkvm_latency_record(l, 3000);
	rtkvm_latency_record(l, 5500);
	check_export(l, RTKVM_LATENCY_CYCLICTEST,
		     "# Histogram\n000000 000000\n000001 000000\n000002 000001\n"
		     "000003 000001\n000004 000000\n000005 000001\n"
		     "# Total: 000000003\n# Min Latencies: 00002\n# Avg Latencies: 00003\n"
		     "# Max Latencies: 00005\n# Histogram Overflows: 00000\n"
		     "# Histogram Overflow at cycle number:\n# Thread 0:\n\n");
	rtkvm_latency_reset(l);
	check_export(l, RTKVM_LATENCY_CYCLICTEST,
		     "# Histogram\n# Total: 000000000\n# Min Latencies: 00000\n"
		     "# Avg Latencies: 00000\n# Max Latencies: 00000\n"
		     "# Histogram Overflows: 00000\n"
		     "# Histogram Overflow at cycle number:\n# Thread 0:\n\n");
	/* nothing between rare values far out, and 10 s itself is no overflow */
	rtkvm_latency_record(l, UINT64_C(5000000000));
	rtkvm_latency_record(l, RTKVM_LATENCY_MAX_NS);
	rtkvm_latency_record(l, RTKVM_LATENCY_MAX_NS + 1);
	{
		char *text = export(l, RTKVM_LATENCY_CYCLICTEST);
		const char *tail = strstr(text, "009999 000000\n");

		ck_assert_ptr_nonnull(tail);
		ck_assert_str_eq(tail, "009999 000000\n5003804 000001\n10000000 000001\n"
				 "# Total: 000000002\n# Min Latencies: 5000000\n"
				 "# Avg Latencies: 8333333\n# Max Latencies: 10000001\n"
				 "# Histogram Overflows: 00001\n"
				 "# Histogram Overflow at cycle number:\n"
				 "# Thread 0: # 00001 others\n\n");
		free(text);
	}
	rtkvm_latency_free(l);
}
END_TEST

START_TEST(json_form)
{
	struct rtkvm_latency *l = recorder("a \"b\" \\ c"), *imported = recorder("file");
	char *text;

	rtkvm_latency_record(l, 2999);
	rtkvm_latency_record(l, 3000);
	rtkvm_latency_record(l, 5500);
	text = export(l, RTKVM_LATENCY_JSON);
	ck_assert_ptr_nonnull(strstr(text, "{\n  \"file_version\": 1,\n"
				     "  \"cmdline:\": \"a \\\"b\\\" \\\\ c\",\n"
				     "  \"rt_test_version:\": \"librtkvm "));
	ck_assert_ptr_nonnull(strstr(text, "\n  \"start_time\": \""));
	ck_assert_ptr_nonnull(strstr(text, "\n  \"end_time\": \""));
	ck_assert_ptr_nonnull(strstr(text, "\n    \"sysname\": \"Linux\",\n"));
	ck_assert_str_eq(strstr(text, "  \"num_threads\""),
			 "  \"num_threads\": 1,\n  \"resolution_in_ns\": 0,\n  \"thread\": {\n"
			 "    \"0\": {\n      \"histogram\": {\n        \"2\": 1,\n"
			 "        \"3\": 1,\n        \"5\": 1\n      },\n      \"cycles\": 3,\n"
			 "      \"min\": 2,\n      \"max\": 5,\n      \"avg\": 3.83,\n"
			 "      \"cpu\": -1,\n      \"node\": -1\n    }\n  }\n}\n");
	free(text);
	/* where and when an imported histogram was measured is not known */
	ck_assert_int_eq(rtkvm_latency_import(imported, "# Histogram\n000003 000001\n"), 0);
	check_export(imported, RTKVM_LATENCY_JSON,
		     "{\n  \"file_version\": 1,\n  \"cmdline:\": \"file\",\n"
		     "  \"rt_test_version:\": \"librtkvm " RTKVM_VERSION_STRING "\",\n"
		     "  \"return_code\": 0,\n  \"num_threads\": 1,\n"
		     "  \"resolution_in_ns\": 0,\n  \"thread\": {\n    \"0\": {\n"
		     "      \"histogram\": {\n        \"3\": 1\n      },\n      \"cycles\": 1,\n"
		     "      \"min\": 3,\n      \"max\": 3,\n      \"avg\": 3.00,\n"
		     "      \"cpu\": -1,\n      \"node\": -1\n    }\n  }\n}\n");
	rtkvm_latency_free(l);
	rtkvm_latency_free(imported);
}
END_TEST

START_TEST(text_form)
{
	struct rtkvm_latency *l = recorder("timer");

	check_export(l, RTKVM_LATENCY_TEXT, "timer: 0 values\n");
	for (int i = 0; i < 100; i++)
		rtkvm_latency_record(l, 1500);
	rtkvm_latency_record(l, 40000);
	rtkvm_latency_record(l, 2 * RTKVM_LATENCY_MAX_NS);
	check_export(l, RTKVM_LATENCY_TEXT, 
		     "timer: 102 values, 1 of them above 10 s\n"
		     "min 1.500 us  avg 98.04 ms  max 20.00 s  stddev 985.6 ms\n"
		     "p50 1.500 us  p90 1.500 us  p99 40.03 us  p99.9 20.00 s\n"
		     "  1.024 us ..  2.048 us          100 ##################################################\n"
		     "           ...\n"
		     "  32.77 us ..  65.54 us            1 #\n"
		     "           ...\n"
		     "   8.590 s ..   17.18 s            1 #\n");
	rtkvm_latency_free(l);
}
END_TEST

/* Have one with a decimal comma: the machine's, or one made from the sources of glibc. */
static bool set_comma_locale(void)
{
	const char *dir;
	char path[4400];
	pid_t pid;

	if (setlocale(LC_ALL, "de_DE.UTF-8"))
		return true;
	dir = test_tmpdir();
	snprintf(path, sizeof(path), "%s/de_DE.UTF-8", dir);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		execlp("localedef", "localedef", "-i", "de_DE", "-f", "UTF-8", path, (char *)NULL);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	setenv("LOCPATH", dir, 1);
	return setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

/* A comma for the decimal point would make the files useless. */
START_TEST(locale_does_not_matter)
{
	struct rtkvm_latency *l = recorder(NULL);
	char *before, *after, text[16];

	fill(l, 5, 1000);
	before = export(l, RTKVM_LATENCY_HGRM);
	if (!set_comma_locale()) {
		free(before);
		rtkvm_latency_free(l);
		SKIP_TEST("no locale with a decimal comma is installed");
	}
	after = export(l, RTKVM_LATENCY_HGRM);
	ck_assert_str_eq(before, after);
	/* and the caller has its own back */
	snprintf(text, sizeof(text), "%.1f", 1.5);
	ck_assert_str_eq(text, "1,5");
	free(before);
	free(after);
	rtkvm_latency_free(l);
}
END_TEST

START_TEST(write_errors)
{
	struct rtkvm_latency *l = recorder("full");
	int full = open("/dev/full", O_WRONLY), readonly = open("/dev/null", O_RDONLY);

	fill(l, 6, 1000);
	for (int format = 0; format <= 3; format++) {
		ck_assert_int_eq(rtkvm_latency_export(l, format, -1), -EBADF);
		ck_assert_int_eq(rtkvm_latency_export(l, format, readonly), -EBADF);
		if (full >= 0)
			ck_assert_int_eq(rtkvm_latency_export(l, format, full), -ENOSPC);
	}
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "full"));
	close(full);
	close(readonly);
	rtkvm_latency_free(l);
}
END_TEST

static void check_round_trip(struct rtkvm_latency *l)
{
	struct rtkvm_latency *again = recorder("again");
	char *first = export(l, RTKVM_LATENCY_CYCLICTEST), *second;

	ck_assert_msg(rtkvm_latency_import(again, first) == 0, "%s", rtkvm_last_error());
	second = export(again, RTKVM_LATENCY_CYCLICTEST);
	ck_assert_str_eq(first, second);
	ck_assert_uint_eq(again->figures.count, l->figures.count);
	free(first);
	free(second);
	rtkvm_latency_free(again);
}

START_TEST(round_trips)
{
	struct rtkvm_latency *l = recorder("first");
	uint64_t seed = random_seed(), x = seed;

	check_round_trip(l);
	for (int i = 0; i < 40; i++) {
		rtkvm_latency_reset(l);
		for (int n = 1 << (i % 12); n; n--) {
			uint64_t v = latency_value(&x);

			/* many with close values, some with overflows */
			rtkvm_latency_record(l, i % 4 == 1 ? 1500000 + v % 5000 : i % 4 == 2 ?
					     v % 100000 : v);
			if (i % 5 == 4 && n % 7 == 0)
				rtkvm_latency_record(l, RTKVM_LATENCY_MAX_NS + v % 3000);
		}
		check_round_trip(l);
	}
	rtkvm_latency_reset(l);
	rtkvm_latency_record(l, RTKVM_LATENCY_MAX_NS + 500);
	check_round_trip(l);
	rtkvm_latency_record(l, UINT64_C(15000000000));
	check_round_trip(l);
	rtkvm_latency_free(l);
}
END_TEST

/* What cyclictest 2.4 printed with two threads and more values than its histogram holds. */
static const char real[] =
	"# /dev/cpu_dma_latency set to 0us\n"
	"\033[2Apolicy: other/other: loadavg: 0.00 0.03 0.01 1/96 24515          \n\n"
	"T: 0 (24515) P: 0 I:1000 C:     20 Min:     18 Act:   67 Avg:   65 Max:      87\n"
	"# Histogram\n000017 000000\t000000\n000018 000001\t000000\n000019 000000\t000002\n"
	"000029 000001\t000000\n"
	"# Total: 000000002 000000002\n# Min Latencies: 00018 00019\n"
	"# Avg Latencies: 00065 00066\n# Max Latencies: 00087 00093\n"
	"# Histogram Overflows: 00198 00198\n# Histogram Overflow at cycle number:\n"
	"# Thread 0: 00000 00001 # 00196 others\n# Thread 1: 00000 # 00197 others\n\n";

START_TEST(import_of_cyclictest)
{
	struct rtkvm_latency_summary s = { .size = sizeof(s) };
	struct rtkvm_latency *l = recorder(NULL);

	ck_assert_msg(rtkvm_latency_import(l, real) == 0, "%s", rtkvm_last_error());
	ck_assert_int_eq(rtkvm_latency_get_summary(l, &s), 0);
	ck_assert_uint_eq(s.count, 200);
	ck_assert_uint_eq(s.overflows, 0);
	ck_assert_uint_eq(s.min_ns, 18000);
	ck_assert_uint_eq(s.max_ns, 87000);
	ck_assert(s.avg_ns == 65000);
	ck_assert_uint_ge(rtkvm_latency_percentile(l, 0.5), 18000);
	ck_assert_uint_le(rtkvm_latency_percentile(l, 0.5), 18018);
	ck_assert_uint_eq(s.p50_ns, 87000);
	/* importing adds */
	ck_assert_int_eq(rtkvm_latency_import(l, real), 0);
	ck_assert_int_eq(rtkvm_latency_get_summary(l, &s), 0);
	ck_assert_uint_eq(s.count, 400);
	rtkvm_latency_free(l);
}
END_TEST

/* Each with the line that the error must name. */
static const struct {
	const char *text;
	const char *where;
} hostile[] = {
	{ "", "line 0" },
	{ "\n\n", "line 2" },
	{ "# only a comment\n", "line 1" },
	{ "000001\n", "line 1" },
	{ "000001 \n", "line 1" },
	{ "# Histogram\n000001 -1\n", "line 2" },
	{ "# Histogram\n-1 1\n", "line 2" },
	{ "# Histogram\n000001 1x\n", "line 2" },
	{ "# Histogram\n0x1 1\n", "line 2" },
	{ "# Histogram\n000001 1 abc\n", "line 2" },
	{ "# Histogram\n000001 1.5\n", "line 2" },
	{ "# Histogram\n000001 99999999999999999999999\n", "line 2" },
	{ "# Histogram\n10000001 1\n", "line 2" },
	{ "# Histogram\n000005 1\n000005 1\n", "line 3" },
	{ "# Histogram\n000005 1\n000004 1\n", "line 3" },
	{ "# Histogram\n000001 1\n# Histogram\n", "line 3" },
	{ "000001 1\n# Total: 2\n", "line 2" },
	{ "000001 1\n# Total: 1\n# Total: 1\n", "line 3" },
	{ "000001 1\n# Total:\n", "line 2" },
	{ "000001 1\n# Total: x\n", "line 2" },
	{ "000003 1\n# Min Latencies: 4\n", "line 2" },
	{ "000003 1\n# Max Latencies: 2\n", "line 2" },
	{ "000003 1\n# Avg Latencies: 2\n", "line 2" },
	{ "000003 1\n# Avg Latencies: 4\n", "line 2" },
	{ "000003 1\n# Histogram Overflows: 4\n", "line 2" },
	{ "000003 1\n# Max Latencies: 18446744073709551615\n", "line 2" },
	{ "000003 0\n# Histogram Overflows: 1\n# Min Latencies: 9\n# Max Latencies: 8\n", "line 3" },
	{ "000001 18446744073709551615\n000002 1\n", "line 2" },
	{ "000002 18446744073709551615\n", "line 1" },
	{ "000001 18446744073709551615\n", "line 1" },
	{ "000000 18446744073709551615\n# Max Latencies: 1\n# Histogram Overflows: 1\n", "line 3" },
	{ "Latency 5\n", "line 1" },
	{ "{\n  \"file_version\": 1,\n", "line 1" },
};

START_TEST(import_refuses)
{
	struct rtkvm_latency *l = recorder(NULL), *before;

	rtkvm_latency_record(l, 77);
	before = latency_snapshot(l);
	ck_assert_msg(rtkvm_latency_import(l, hostile[_i].text) == -EINVAL, "%s taken",
		      hostile[_i].text);
	ck_assert_str_eq(rtkvm_last_error_where(), hostile[_i].where);
	ck_assert_str_ne(rtkvm_last_error_what(), "");
	ck_assert_str_ne(rtkvm_last_error_remedy(), "");
	ck_assert_mem_eq(&l->figures, &before->figures, sizeof(l->figures));
	ck_assert_mem_eq(l->buckets, before->buckets, sizeof(l->buckets));
	ck_assert(!l->coarse);
	rtkvm_latency_free(before);
	rtkvm_latency_free(l);
}
END_TEST

/* What is missing in a file must not make its export one that is refused. */
START_TEST(import_without_figures)
{
	static const char *const texts[] = {
		("# Histogram\n# Avg Latencies: 00065\n# Max Latencies: 00087\n"
		 "# Histogram Overflows: 00198\n"),
		"000010 1\n# Avg Latencies: 00011\n# Max Latencies: 00087\n",
		"000000 2\n# Avg Latencies: 00000\n# Min Latencies: 00000\n",
		"000000 2\n# Avg Latencies: 10000009\n# Max Latencies: 10000010\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct rtkvm_latency *l = recorder(NULL);

		ck_assert_int_eq(rtkvm_latency_import(l, texts[i]), 0);
		check_round_trip(l);
		rtkvm_latency_free(l);
	}
}
END_TEST

START_TEST(import_takes)
{
	static const char *const fine[] = {
		"# Histogram\n", "000000 0\n", "000007 1", "000007\t1\t\r\n", "  7   1  2  3\r",
		"# Histogram\r\n\r\n000007 1\r\n# Total: 1\r\n",
		/* cyclictest that made no cycle */
		("# Histogram\n000000 000000\n# Total: 000000000\n# Min Latencies: 1000000\n"
		 "# Avg Latencies: 00000\n# Max Latencies: 00000\n# Histogram Overflows: 00000\n"),
	};
	struct rtkvm_latency *l = recorder(NULL);

	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		ck_assert_msg(rtkvm_latency_import(l, fine[i]) == 0, "%s: %s", fine[i],
			      rtkvm_last_error());
	ck_assert_uint_eq(l->figures.count, 4);
	ck_assert_uint_eq(l->figures.min, 7000);
	rtkvm_latency_free(l);
}
END_TEST

static unsigned long figure_of(const char *text, const char *label)
{
	const char *p = strstr(text, label);

	ck_assert_ptr_nonnull(p);
	return strtoul(p + strlen(label), NULL, 10);
}

static int run_cyclictest(const char *dir)
{
	char json[4400];
	pid_t pid;
	int status;

	snprintf(json, sizeof(json), "--json=%s/json", dir);
	pid = fork();
	if (pid == 0) {
		char out[4400];
		int fd;

		snprintf(out, sizeof(out), "%s/text", dir);
		fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execlp("cyclictest", "cyclictest", "-q", "-t", "1", "-i", "1000", "-l", "200",
		       "-h", "3000", json, (char *)NULL);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* The histogram part from its header on; the line before it is cyclictest's own. */
static void check_like_cyclictest(const char *theirs, const char *ours)
{
	const char *a = strstr(theirs, "# Histogram\n"), *b = strstr(ours, "# Total:");
	const char *total = strstr(theirs, "# Total:");
	const char *end = strstr(theirs, "# Histogram Overflow at");

	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(total);
	ck_assert_ptr_nonnull(end);
	/* ours ends with the last value, theirs with the histogram */
	ck_assert_mem_eq(a, ours, (size_t)(b - ours));
	ck_assert_mem_eq(total, b, (size_t)(end - total));
}

/*
 * A histogram that cyclictest made here comes out as it went in, and our JSON
 * has the same thread part as its own. Below 1 ms alone: above, a bucket may
 * hold two microseconds.
 */
START_TEST(cyclictest_itself)
{
	const char *dir = test_tmpdir();
	struct rtkvm_latency *l = recorder("cyclictest");
	int status = run_cyclictest(dir);
	char *theirs, *ours, *json;

	if (status) {
		rtkvm_latency_free(l);
		if (status == 127)
			SKIP_TEST("cyclictest is not installed");
		SKIP_TEST("cyclictest cannot run here");
	}
	theirs = strdup(test_read(dir, "text"));
	ck_assert_msg(rtkvm_latency_import(l, theirs) == 0, "%s", rtkvm_last_error());
	ck_assert_uint_gt(l->figures.count, 0);
	ck_assert_uint_eq(l->figures.count, figure_of(theirs, "# Total:") +
						    figure_of(theirs, "# Histogram Overflows:"));
	ours = export(l, RTKVM_LATENCY_CYCLICTEST);
	json = export(l, RTKVM_LATENCY_JSON);
	if (l->figures.max < 1000000) {
		const char *a = strstr(test_read(dir, "json"), "  \"num_threads\"");
		const char *b = strstr(json, "  \"num_threads\"");

		check_like_cyclictest(theirs, ours);
		ck_assert_ptr_nonnull(a);
		ck_assert_mem_eq(a, b, (size_t)(strstr(b, "      \"avg\"") - b));
	}
	free(theirs);
	free(ours);
	free(json);
	rtkvm_latency_free(l);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("latency-formats");
	TCase *tc = tcase_create("export");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, hgrm_small);
	tcase_add_test(tc, hgrm_of_hdrhistogram);
	tcase_add_test(tc, hgrm_of_very_many);
	tcase_add_test(tc, cyclictest_text);
	tcase_add_test(tc, json_form);
	tcase_add_test(tc, text_form);
	tcase_add_test(tc, locale_does_not_matter);
	tcase_add_test(tc, write_errors);
	suite_add_tcase(suite, tc);
	tc = tcase_create("import");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, round_trips);
	tcase_add_test(tc, import_of_cyclictest);
	tcase_add_loop_test(tc, import_refuses, 0, sizeof(hostile) / sizeof(hostile[0]));
	tcase_add_test(tc, import_without_figures);
	tcase_add_test(tc, import_takes);
	tcase_add_test(tc, cyclictest_itself);
	suite_add_tcase(suite, tc);
	return suite;
}
