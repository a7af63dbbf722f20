/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every Check program of tests/ uses: its main() comes from main.c and
 * speaks TAP; skips carry their reason and are counted.
 */
#ifndef RTKVM_TEST_H
#define RTKVM_TEST_H

#include <check.h>
#include <stdbool.h>

/*
 * With CK_FORK=no (memcheck) Check ends a test by a jump to the main thread's
 * stack, wherever the assertion failed. Another thread that does this crashes, and a
 * child goes on with the tests of its parent: these end here instead, with the place.
 */
void test_fails(const char *file, int line);
#define _ck_assert_failed(file, line, ...) \
	(test_fails(file, line), _ck_assert_failed(file, line, __VA_ARGS__))

/* Built with sanitizers, or below valgrind: each instruction takes many times as long. */
bool test_is_slow(void);

/* Each program defines its suite. */
Suite *rtkvm_suite(void);

/*
 * Skip the running test, with a reason: SKIP_TEST("no /dev/kvm"). Only at the
 * top level of a START_TEST. The reason must be on tests/allowed-skips.
 */
#define SKIP_TEST(...)                                  \
	do {                                            \
		test_note_skip(__func__, __VA_ARGS__);  \
		return;                                 \
	} while (0)

void test_note_skip(const char *func, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A fresh directory below TMPDIR, removed when the test program ends. */
const char *test_tmpdir(void);

/* The same, in memory where there is such a place: for tests that sync a lot. */
const char *test_fast_tmpdir(void);

/* Write a file below dir, making its folders; mode 0644. */
void test_write(const char *dir, const char *path, const char *text);

/* Read a file below dir; aborts the test when it cannot. Static buffer. */
const char *test_read(const char *dir, const char *path);

#endif
