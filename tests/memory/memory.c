/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that was made ready takes no page fault when it is used; memory that
 * was not does, and the count shows it.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "support/test.h"

#define SIZE ((size_t)160 << 20) /* three pieces */
#define SMALL ((size_t)1 << 20)

static struct rtkvm *rt;

static void setup(void)
{
	ck_assert_int_eq(rtkvm_new(NULL, &rt), 0);
}

static void teardown(void)
{
	rtkvm_free(rt);
}

static char *map(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	madvise(p, size, MADV_NOHUGEPAGE); /* so that each page is a fault */
	return p;
}

/* Page faults of writing to every page. */
static uint64_t touch(volatile char *p, size_t size)
{
	struct rtkvm_faults before = { .size = sizeof(before) }, after = { .size = sizeof(after) };

	ck_assert_int_eq(rtkvm_faults_get(&before), 0);
	ck_assert_int_eq(rtkvm_faults_get(&after), 0);
	ck_assert_int_eq(rtkvm_faults_get(&before), 0);
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	ck_assert_int_eq(rtkvm_faults_get(&after), 0);
	return after.minor - before.minor + after.major - before.major;
}

static int count(size_t done, size_t total, void *arg)
{
	size_t *calls = arg;

	++*calls;
	ck_assert_uint_le(done, total);
	return calls[1] && *calls == calls[1];
}

START_TEST(no_faults_after)
{
	char *plain = map(SIZE), *ready = map(SIZE);
	struct rtkvm_memory_request q;
	struct rtkvm_report *report;
	size_t calls[2] = { 0, 0 };

	rtkvm_memory_request_init(&q, sizeof(q));
	q.features &= ~(uint32_t)RTKVM_MEMORY_LOCK;
	q.progress = count;
	q.progress_arg = calls;
	ck_assert_msg(rtkvm_memory_prepare(rt, ready, SIZE, &q, &report) == 0, "%s",
		      rtkvm_last_error());
	ck_assert_int_eq(rtkvm_report_item_state(rtkvm_report_find(report, "prefault")),
			 RTKVM_STATE_VERIFIED);
	ck_assert_ptr_null(rtkvm_report_find(report, "lock"));
	rtkvm_report_free(report);
	ck_assert_uint_eq(calls[0], 3);
	ck_assert_uint_eq(touch(ready, SIZE), 0);
	/* the control */
	ck_assert_uint_ge(touch(plain, SIZE), SIZE / 4096);
	munmap(plain, SIZE);
	munmap(ready, SIZE);
}
END_TEST

START_TEST(locked_and_placed)
{
	char *p = map(SMALL);
	struct rtkvm_memory_request q;
	struct rtkvm_report *report;
	int ret;

	rtkvm_memory_request_init(&q, sizeof(q));
	q.features |= RTKVM_MEMORY_BIND;
	q.node = 0;
	ret = rtkvm_memory_prepare(rt, p, SMALL, &q, &report);
	if (ret == -ENOMEM || ret == -EPERM || ret == -ENOSYS) {
		munmap(p, SMALL);
		rtkvm_report_free(report);
		SKIP_TEST("may not lock or place memory: %s", strerror(-ret));
	}
	ck_assert_msg(ret == 0, "%s", rtkvm_last_error());
	ck_assert_int_eq(rtkvm_report_item_state(rtkvm_report_find(report, "bind")),
			 RTKVM_STATE_VERIFIED);
	ck_assert_uint_eq(rtkvm_report_count(report), 4);
	rtkvm_report_free(report);
	/* locked memory cannot be thrown away */
	ck_assert_int_eq(madvise(p, SMALL, MADV_DONTNEED), -1);
	q.node = 1023;
	ck_assert_int_ne(rtkvm_memory_prepare(rt, p, SMALL, &q, &report), 0);
	ck_assert_int_eq(rtkvm_report_item_problem(rtkvm_report_find(report, "bind")), 1);
	ck_assert_int_eq(rtkvm_report_item_problem(rtkvm_report_find(report, "lock")), 0);
	rtkvm_report_free(report);
	munmap(p, SMALL);
}
END_TEST

START_TEST(refused)
{
	char *p = map(SIZE);
	struct rtkvm_memory_request q;
	size_t calls[2] = { 0, 2 };

	rtkvm_memory_request_init(&q, sizeof(q));
	ck_assert_int_eq(rtkvm_memory_prepare(NULL, p, SMALL, &q, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_memory_prepare(rt, p + 1, SMALL, &q, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_memory_prepare(rt, p, 0, &q, NULL), -EINVAL);
	q.features = 1U << 30;
	ck_assert_int_eq(rtkvm_memory_prepare(rt, p, SMALL, &q, NULL), -EINVAL);
	q.features = RTKVM_MEMORY_BIND;
	ck_assert_int_eq(rtkvm_memory_prepare(rt, p, SMALL, &q, NULL), -EINVAL);
	q.features = RTKVM_MEMORY_PREFAULT;
	q.progress = count;
	q.progress_arg = calls;
	ck_assert_int_eq(rtkvm_memory_prepare(rt, p, SIZE, &q, NULL), -ECANCELED);
	munmap(p, SIZE);
	ck_assert_int_eq(rtkvm_memory_prepare(rt, p, SMALL, &q, NULL), -ENOMEM);
	ck_assert_int_eq(rtkvm_faults_get(NULL), -EINVAL);
}
END_TEST

/* VmFlags of the mapping that the address is in, read without the library. */
static const char *flags_of(const void *address)
{
	static char line[512];
	unsigned long at = (unsigned long)address, start, end;
	FILE *f = fopen("/proc/self/smaps", "r");
	bool inside = false;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = at >= start && at < end;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			break;
	}
	fclose(f);
	return line;
}

/* The policy of this memory alone: another mapping of the process keeps its own. */
START_TEST(policy)
{
	char *p = mmap(NULL, 4 * SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rtkvm_memory_request q;
	struct rtkvm_report *report;
	bool ksm = madvise(p, 3 * SMALL, MADV_MERGEABLE) == 0;
	bool thp = madvise(p, 3 * SMALL, MADV_HUGEPAGE) == 0;

	ck_assert_int_eq(strstr(flags_of(p), " mg") != NULL, ksm);
	rtkvm_memory_request_init(&q, sizeof(q));
	q.features = RTKVM_MEMORY_NO_KSM | RTKVM_MEMORY_NO_THP;
	ck_assert_msg(rtkvm_memory_prepare(rt, p + SMALL, SMALL, &q, &report) == 0, "%s",
		      rtkvm_last_error());
	ck_assert_int_eq(rtkvm_report_item_state(rtkvm_report_find(report, "no-ksm")),
			 RTKVM_STATE_VERIFIED);
	ck_assert_int_eq(rtkvm_report_item_state(rtkvm_report_find(report, "no-thp")),
			 RTKVM_STATE_VERIFIED);
	rtkvm_report_free(report);
	ck_assert_ptr_null(strstr(flags_of(p + SMALL), " mg"));
	ck_assert_int_eq(strstr(flags_of(p + SMALL), " nh") != NULL, thp);
	ck_assert_int_eq(strstr(flags_of(p), " mg") != NULL, ksm);
	ck_assert_int_eq(strstr(flags_of(p + 2 * SMALL), " hg") != NULL, thp);
	q.features = RTKVM_MEMORY_THP;
	ck_assert_int_eq(rtkvm_memory_prepare(rt, p, 4 * SMALL, &q, &report),
			 thp ? 0 : -EOPNOTSUPP);
	ck_assert_int_eq(rtkvm_report_item_problem(rtkvm_report_find(report, "thp")), !thp);
	ck_assert_int_eq(strstr(flags_of(p + SMALL), " hg") != NULL, thp);
	rtkvm_report_free(report);
	q.features = RTKVM_MEMORY_THP | RTKVM_MEMORY_NO_THP;
	ck_assert_int_eq(rtkvm_memory_prepare(rt, p, SMALL, &q, NULL), -EINVAL);
	munmap(p, 4 * SMALL);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("memory");
	TCase *tc = tcase_create("memory");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, no_faults_after);
	tcase_add_test(tc, locked_and_placed);
	tcase_add_test(tc, policy);
	tcase_add_test(tc, refused);
	suite_add_tcase(suite, tc);
	return suite;
}
