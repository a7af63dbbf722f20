/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of the latency recorder and its figures. Formats are tested in
 * latency-formats.c, plots in latency-plot.c, real-time safety in
 * latency-rt.c.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "latency/recorder.h"
#include "support/latency-values.h"
#include "support/test.h"

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(buckets_tile_the_range)
{
	uint64_t next = 0;

	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++) {
		uint64_t low = latency_bucket_low(i), high = latency_bucket_high(i);

		ck_assert_uint_eq(low, next);
		ck_assert_uint_eq(high - low + 1, latency_bucket_width(i));
		ck_assert_uint_eq(latency_bucket(low), i);
		ck_assert_uint_eq(latency_bucket(high), i);
		ck_assert(latency_bucket_middle(i) >= low && latency_bucket_middle(i) <= high);
		/* three significant digits */
		ck_assert_uint_le((high - low) * 1000, low ? low : 1);
		next = high + 1;
	}
	ck_assert_uint_gt(next, RTKVM_LATENCY_MAX_NS);
	ck_assert_uint_lt(latency_bucket(RTKVM_LATENCY_MAX_NS), LATENCY_BUCKETS);
}
END_TEST

START_TEST(bucket_of_random_values)
{
	uint64_t seed = random_seed(), x = seed;

	for (int i = 0; i < 200000; i++) {
		uint64_t v = latency_value(&x);
		unsigned int b = latency_bucket(v);

		ck_assert_msg(v >= latency_bucket_low(b) && v <= latency_bucket_high(b),
			      "seed %llu: %llu not in bucket %u", (unsigned long long)seed,
			      (unsigned long long)v, b);
	}
}
END_TEST

START_TEST(square_root)
{
	ck_assert(latency_sqrt(0) == 0);
	ck_assert(latency_sqrt(-1) == 0);
	ck_assert(latency_sqrt(NAN) == 0);
	ck_assert(latency_sqrt(144) == 12);
	ck_assert(latency_sqrt(2) == 1.4142135623730951);
	ck_assert(latency_sqrt(1e20) == 1e10);
}
END_TEST

/* The value of rank ceil(p / 100 * n) in a sorted array: what a percentile is. */
static uint64_t true_percentile(const uint64_t *sorted, uint64_t n, uint64_t per_million)
{
	uint64_t rank = (n * per_million + 999999) / 1000000;

	return sorted[rank ? rank - 1 : 0];
}

/* Every percentile against a sorted array: not below the true one, not 0.1 % above it. */
static void check_against_sorted(uint64_t seed, uint64_t n)
{
	struct rtkvm_latency *l;
	uint64_t x = seed, *values = calloc(n, sizeof(*values)), step = n > 10000 ? 997 : 10007;
	struct rtkvm_latency_summary s = { .size = sizeof(s) };
	double sum = 0, squares = 0;

	ck_assert_ptr_nonnull(values);
	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, &l), 0);
	for (uint64_t i = 0; i < n; i++) {
		values[i] = latency_value(&x);
		rtkvm_latency_record(l, values[i]);
		values[i] = values[i] ? values[i] : 1;
		sum += (double)values[i];
	}
	qsort(values, n, sizeof(*values), compare);
	for (uint64_t p = 0; p < 1000000; p += step) {
		uint64_t right = true_percentile(values, n, p);
		uint64_t got = rtkvm_latency_percentile(l, (double)p / 10000);

		ck_assert_msg(got >= right && (got - right) * 1000 <= right,
			      "seed %llu, %llu values, p%g: %llu, true %llu",
			      (unsigned long long)seed, (unsigned long long)n, (double)p / 10000,
			      (unsigned long long)got, (unsigned long long)right);
	}
	ck_assert_int_eq(rtkvm_latency_get_summary(l, &s), 0);
	ck_assert_uint_eq(s.count, n);
	ck_assert_uint_eq(s.min_ns, values[0]);
	ck_assert_uint_eq(s.max_ns, values[n - 1]);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 0), values[0]);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 100), values[n - 1]);
	ck_assert(fabs(s.avg_ns - sum / (double)n) <= 1e-9 * s.avg_ns);
	for (uint64_t i = 0; i < n; i++)
		squares += pow((double)values[i] - s.avg_ns, 2);
	/* each value is off by half a bucket at most, and a bucket is 1/1024 of its values */
	ck_assert_msg(fabs(s.stddev_ns - sqrt(squares / (double)n)) <= 0.001 * (double)s.max_ns + 1,
		      "seed %llu, %llu values: %g, true %g", (unsigned long long)seed,
		      (unsigned long long)n, s.stddev_ns, sqrt(squares / (double)n));
	free(values);
	rtkvm_latency_free(l);
}

START_TEST(percentiles_against_sorted)
{
	uint64_t seed = random_seed();

	for (uint64_t n = 1; n <= 20; n++)
		check_against_sorted(seed + n, n);
	check_against_sorted(seed, 1000);
	check_against_sorted(seed, 200000);
}
END_TEST

/* Binary fractions must not shift a rank: 99.9 % of 1000 values are 999. */
START_TEST(percentile_ranks)
{
	struct rtkvm_latency *l;

	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, &l), 0);
	for (uint64_t i = 1; i <= 1000; i++)
		rtkvm_latency_record(l, i);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 99.9), 999);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 99.90001), 1000);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 99), 990);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 50), 500);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 0.1), 1);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 0.1001), 2);
	for (int i = 1; i < 1000; i++)
		ck_assert_uint_eq(rtkvm_latency_percentile(l, i / 10.0), (unsigned int)i);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 1e300), 1000);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, INFINITY), 1000);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, -INFINITY), 1);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, -1), 1);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, NAN), 0);
	ck_assert_uint_eq(rtkvm_latency_percentile(NULL, 50), 0);
	rtkvm_latency_free(l);
}
END_TEST

START_TEST(empty_and_one)
{
	struct rtkvm_latency_summary s = { .size = sizeof(s) };
	struct rtkvm_latency *l;

	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, &l), 0);
	for (int i = 0; i <= 100; i += 50)
		ck_assert_uint_eq(rtkvm_latency_percentile(l, i), 0);
	ck_assert_int_eq(rtkvm_latency_get_summary(l, &s), 0);
	ck_assert(!s.count && !s.min_ns && !s.max_ns && !s.p999_ns);
	ck_assert(s.avg_ns == 0 && s.stddev_ns == 0);

	rtkvm_latency_record(l, 123456789);
	ck_assert_int_eq(rtkvm_latency_get_summary(l, &s), 0);
	ck_assert_uint_eq(s.count, 1);
	ck_assert_uint_eq(s.min_ns, 123456789);
	ck_assert_uint_eq(s.p50_ns, 123456789);
	ck_assert_uint_eq(s.p999_ns, 123456789);
	ck_assert(s.avg_ns == 123456789 && s.stddev_ns == 0);

	rtkvm_latency_reset(l);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 50), 0);
	rtkvm_latency_record(l, 0);
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 100), 1);
	rtkvm_latency_free(l);
}
END_TEST

START_TEST(overflows)
{
	struct rtkvm_latency_summary s = { .size = sizeof(s) };
	struct rtkvm_latency *l;

	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, &l), 0);
	rtkvm_latency_record(l, RTKVM_LATENCY_MAX_NS);
	ck_assert_int_eq(rtkvm_latency_get_summary(l, &s), 0);
	ck_assert_uint_eq(s.overflows, 0);
	rtkvm_latency_record(l, RTKVM_LATENCY_MAX_NS + 1);
	rtkvm_latency_record(l, UINT64_MAX);
	ck_assert_int_eq(rtkvm_latency_get_summary(l, &s), 0);
	ck_assert_uint_eq(s.count, 3);
	ck_assert_uint_eq(s.overflows, 2);
	ck_assert_uint_eq(s.max_ns, UINT64_MAX);
	ck_assert(s.avg_ns == (double)RTKVM_LATENCY_MAX_NS);
	/* one of three is known to be 10 s, the others are somewhere up to the maximum */
	ck_assert_uint_eq(rtkvm_latency_percentile(l, 33), RTKVM_LATENCY_MAX_NS);
	ck_assert_uint_eq(s.p50_ns, UINT64_MAX);
	rtkvm_latency_free(l);
}
END_TEST

START_TEST(arguments_refused)
{
	struct rtkvm_latency_summary s = { .size = 8 };
	struct rtkvm_latency *l;

	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, &l), 0);
	ck_assert_int_eq(rtkvm_latency_get_summary(l, &s), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_get_summary(l, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_get_summary(NULL, &s), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_merge(l, l), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_merge(l, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_merge(NULL, l), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_export(l, 4, 1), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_export(l, -1, 1), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_export(NULL, 0, 1), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_import(l, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_latency_import(NULL, ""), -EINVAL);
	rtkvm_latency_record(NULL, 1);
	rtkvm_latency_reset(NULL);
	rtkvm_latency_free(l);
	rtkvm_latency_free(NULL);
}
END_TEST

/* Merging is the same as having recorded all into one. */
START_TEST(merge)
{
	struct rtkvm_latency *a, *b, *all;
	uint64_t seed = random_seed(), x = seed;

	ck_assert_int_eq(rtkvm_latency_new(NULL, "n", &a), 0);
	ck_assert_int_eq(rtkvm_latency_new(NULL, "n", &b), 0);
	ck_assert_int_eq(rtkvm_latency_new(NULL, "n", &all), 0);
	ck_assert_int_eq(rtkvm_latency_merge(a, b), 0);
	ck_assert_uint_eq(a->figures.count, 0);
	ck_assert_uint_eq(a->figures.min, UINT64_MAX);
	for (int i = 0; i < 50000; i++) {
		uint64_t v = i % 10000 ? latency_value(&x) : 2 * RTKVM_LATENCY_MAX_NS;

		rtkvm_latency_record(i % 3 ? a : b, v);
		rtkvm_latency_record(all, v);
	}
	ck_assert_int_eq(rtkvm_latency_merge(a, b), 0);
	ck_assert_mem_eq(&a->figures, &all->figures, sizeof(a->figures));
	ck_assert_mem_eq(a->buckets, all->buckets, sizeof(a->buckets));
	ck_assert_uint_eq(a->begun, a->figures.count);
	rtkvm_latency_free(a);
	rtkvm_latency_free(b);
	rtkvm_latency_free(all);
}
END_TEST

START_TEST(merge_too_many)
{
	struct rtkvm_latency *a, *b, *before;

	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, &a), 0);
	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, &b), 0);
	latency_add(a, 1, UINT64_MAX - 5);
	latency_add(b, 1, 6);
	before = latency_snapshot(a);
	ck_assert_ptr_nonnull(before);
	ck_assert_int_eq(rtkvm_latency_merge(a, b), -EOVERFLOW);
	ck_assert_mem_eq(&a->figures, &before->figures, sizeof(a->figures));
	ck_assert_mem_eq(a->buckets, before->buckets, sizeof(a->buckets));
	rtkvm_latency_reset(b);
	latency_add(b, 1, 5);
	ck_assert_int_eq(rtkvm_latency_merge(a, b), 0);
	ck_assert_uint_eq(a->figures.count, UINT64_MAX);
	rtkvm_latency_free(a);
	rtkvm_latency_free(b);
	rtkvm_latency_free(before);
}
END_TEST

START_TEST(names)
{
	static const struct {
		const char *given, *kept;
	} labels[] = {
		{ NULL, "latency" },
		{ "", "" },
		{ "vCPU \xc3\xbc \xe2\x82\xac \xf0\x9f\x90\xa7", "vCPU \xc3\xbc \xe2\x82\xac \xf0\x9f\x90\xa7" },
		{ "a\nb\tc\x1b[m\x7f", "a?b?c?[m?" },
		{ "cut \xc3", "cut ?" },
		{ "latin \xfc.", "latin ?." },
		{ "over \xc0\xaf \xe0\x80\xaf", "over ?? ???" },
		{ "surrogate \xed\xa0\x80", "surrogate ???" },
		{ "too far \xf4\x90\x80\x80", "too far ????" },
		{ "c1 \xc2\x85.", "c1 ?." },
	};
	char text[300];
	struct rtkvm_latency *l;

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		ck_assert_int_eq(rtkvm_latency_new(NULL, labels[i].given, &l), 0);
		ck_assert_str_eq(l->name, labels[i].kept);
		rtkvm_latency_free(l);
	}
	/* a cut never splits a character: 126 bytes, then one of two */
	memset(text, 'x', 126);
	strcpy(text + 126, "\xc3\xbc\xc3\xbc");
	ck_assert_int_eq(rtkvm_latency_new(NULL, text, &l), 0);
	ck_assert_uint_eq(strlen(l->name), 126);
	rtkvm_latency_free(l);
}
END_TEST

/* All pages are there before the first value is recorded. */
START_TEST(memory_is_touched)
{
	unsigned char resident[(sizeof(struct rtkvm_latency) >> 12) + 2];
	size_t pages = (sizeof(struct rtkvm_latency) + 4095) / 4096;
	struct rtkvm_latency *l;
	void *fresh;

	if (sysconf(_SC_PAGESIZE) != 4096)
		SKIP_TEST("pages are not of 4096 bytes");
	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, &l), 0);
	ck_assert_uint_eq((uintptr_t)l % 4096, 0);
	ck_assert_int_eq(mincore(l, pages * 4096, resident), 0);
	for (size_t i = 0; i < pages; i++)
		ck_assert_msg(resident[i] & 1, "page %zu is not there", i);
	rtkvm_latency_free(l);
	/* the same question about memory nobody wrote: the test can see the difference */
	fresh = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(fresh, MAP_FAILED);
	madvise(fresh, pages * 4096, MADV_NOHUGEPAGE);
	ck_assert_int_eq(mincore(fresh, pages * 4096, resident), 0);
	ck_assert(!(resident[pages - 1] & 1));
	munmap(fresh, pages * 4096);
}
END_TEST

/*
 * One thread records while another reads. Every value is 1000 or 3000 in turn,
 * so that what a reader may see is known: figures that belong together have a
 * mean between 1000 and 2000.
 */
struct live {
	struct rtkvm_latency *latency;
	bool stop;
};

static void *record_until_stopped(void *arg)
{
	struct live *live = arg;

	for (uint64_t i = 0; !__atomic_load_n(&live->stop, __ATOMIC_RELAXED); i++)
		rtkvm_latency_record(live->latency, i & 1 ? 3000 : 1000);
	return NULL;
}

static void read_once(struct rtkvm_latency *l, uint64_t *last)
{
	struct rtkvm_latency_summary s = { .size = sizeof(s) };
	uint64_t count = __atomic_load_n(&l->figures.count, __ATOMIC_ACQUIRE), sum = 0;
	struct rtkvm_latency *copy;

	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++)
		sum += latency_load(&l->buckets[i]);
	ck_assert_uint_le(count, sum);
	ck_assert_uint_ge(count, *last);
	*last = count;
	ck_assert_int_eq(rtkvm_latency_get_summary(l, &s), 0);
	ck_assert_uint_ge(s.count, count);
	if (s.count) {
		uint64_t high = latency_bucket_high(latency_bucket(3000));

		ck_assert_uint_eq(s.min_ns, 1000);
		ck_assert_uint_le(s.p50_ns, s.p99_ns);
		ck_assert_uint_le(s.p99_ns, high);
		ck_assert_uint_le(s.p999_ns, s.max_ns);
		ck_assert(s.avg_ns >= 1000 && s.avg_ns <= 3000);
		ck_assert(s.stddev_ns <= 1100);
	}
	copy = latency_snapshot(l);
	ck_assert_ptr_nonnull(copy);
	sum = 0;
	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++)
		sum += copy->buckets[i];
	ck_assert_uint_eq(copy->figures.count, sum);
	ck_assert_uint_ge(sum, s.count);
	rtkvm_latency_free(copy);
}

START_TEST(reader_beside_the_writer)
{
	struct live live = { .stop = false };
	struct latency_figures f;
	pthread_t writer;
	uint64_t last = 0;
	time_t end = time(NULL) + 2;
	int rounds = 0;

	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, &live.latency), 0);
	ck_assert_int_eq(pthread_create(&writer, NULL, record_until_stopped, &live), 0);
	while (rounds < 2000 && time(NULL) <= end) {
		read_once(live.latency, &last);
		rounds++;
	}
	__atomic_store_n(&live.stop, true, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	/* it was a test only if both were at work */
	ck_assert_uint_gt(last, 0);
	latency_read_figures(live.latency, &f);
	ck_assert_uint_eq(f.sum, f.count / 2 * 4000 + f.count % 2 * 1000);
	rtkvm_latency_free(live.latency);
}
END_TEST

/* A writer stopped in the middle of a value: the reader neither waits nor makes things up. */
START_TEST(writer_stopped_within_a_value)
{
	struct rtkvm_latency_summary s = { .size = sizeof(s) };
	struct rtkvm_latency *l, *copy;

	ck_assert_int_eq(rtkvm_latency_new(NULL, NULL, &l), 0);
	rtkvm_latency_record(l, 500);
	/* 700 was begun: all is stored but the count */
	l->begun = 2;
	l->buckets[latency_bucket(700)]++;
	l->figures.sum += 700;
	l->figures.max = 700;
	ck_assert_int_eq(rtkvm_latency_get_summary(l, &s), 0);
	ck_assert_uint_eq(s.count, 1);
	ck_assert_uint_eq(s.p50_ns, 500);
	ck_assert(s.avg_ns >= 500 && s.avg_ns <= 700);
	copy = latency_snapshot(l);
	ck_assert_uint_eq(copy->figures.count, 2);
	rtkvm_latency_free(copy);
	rtkvm_latency_free(l);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("latency");
	TCase *tc = tcase_create("histogram");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, buckets_tile_the_range);
	tcase_add_test(tc, bucket_of_random_values);
	tcase_add_test(tc, square_root);
	suite_add_tcase(suite, tc);
	tc = tcase_create("recorder");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, percentiles_against_sorted);
	tcase_add_test(tc, percentile_ranks);
	tcase_add_test(tc, empty_and_one);
	tcase_add_test(tc, overflows);
	tcase_add_test(tc, arguments_refused);
	tcase_add_test(tc, merge);
	tcase_add_test(tc, merge_too_many);
	tcase_add_test(tc, names);
	tcase_add_test(tc, memory_is_touched);
	tcase_add_test(tc, reader_beside_the_writer);
	tcase_add_test(tc, writer_stopped_within_a_value);
	suite_add_tcase(suite, tc);
	return suite;
}
