/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether the test runs below valgrind, which makes system calls of its own
 * and executes programs its own way.
 */
#ifndef RTKVM_TEST_VALGRIND_H
#define RTKVM_TEST_VALGRIND_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool below_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

#endif
