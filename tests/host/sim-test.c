/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree simulator itself: its files are what they are meant to be, and
 * spelled as the running kernel spells its own, where it has them.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "host/sim.h"
#include "support/test.h"

static const char *dir;

static void setup(void)
{
	dir = test_fast_tmpdir();
	ck_assert_int_eq(sim_make(dir, sim_named("intel")), 0);
}

START_TEST(values)
{
	ck_assert_str_eq(test_read(dir, "sys/devices/system/cpu/online"), "0-7\n");
	ck_assert_str_eq(test_read(dir, "sys/devices/system/node/node1/cpulist"), "4-7\n");
	ck_assert_str_eq(test_read(dir, "proc/irq/default_smp_affinity"), "f\n");
	ck_assert_ptr_nonnull(strstr(test_read(dir, "proc/cmdline"), "nohz_full=4-7"));
	ck_assert_ptr_nonnull(strstr(test_read(dir, "proc/22/task/22/stat"), "22 (ksoftirqd/4) S 2"));
}
END_TEST

static int count(const char *path, void *arg)
{
	ck_assert(path[0] != '/');
	++*(unsigned int *)arg;
	return 0;
}

START_TEST(shapes)
{
	unsigned int n = 0;
	char path[512];

	for (size_t i = 0; sim_names[i]; i++)
		ck_assert_ptr_nonnull(sim_named(sim_names[i]));
	ck_assert_ptr_null(sim_named("mainframe"));
	ck_assert_int_eq(sim_files(dir, count, &n), 0);
	ck_assert_uint_gt(n, 200);
	dir = test_fast_tmpdir();
	ck_assert_int_eq(sim_make(dir, sim_named("big")), 0);
	ck_assert_str_eq(test_read(dir, "proc/irq/default_smp_affinity"), "ffffffff\n");
	ck_assert_str_eq(test_read(dir, "proc/irq/4023/smp_affinity_list"), "0-31\n");
	/* below a file nothing can be made */
	snprintf(path, sizeof(path), "%s/proc/version", dir);
	ck_assert_int_ne(sim_make(path, sim_named("amd")), 0);
}
END_TEST

/* Digits to 9, letters to a: what is left is the form. */
static void form_of(const char *text, char *form, size_t size)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++) {
		char c = isdigit((unsigned char)*text) ? '9' : isalpha((unsigned char)*text) ? 'a' : *text;

		/* runs count once */
		if (n && form[n - 1] == c && (c == '9' || c == 'a' || c == ' '))
			continue;
		form[n++] = c;
	}
	form[n] = '\0';
}

START_TEST(spelled_as_the_kernel_does)
{
	static const char *const files[] = {
		"sys/devices/system/cpu/online",
		"proc/sys/kernel/timer_migration",
		"proc/sys/vm/swappiness",
		"proc/irq/default_smp_affinity",
		"sys/devices/virtual/workqueue/cpumask",
		"sys/devices/system/cpu/cpu0/topology/thread_siblings_list",
		"sys/kernel/mm/ksm/run",
		"sys/module/kvm/parameters/kvmclock_periodic_sync",
		"sys/devices/system/clocksource/clocksource0/current_clocksource",
	};
	unsigned int compared = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[256], line[256] = "", ours[256], theirs[256];
		FILE *f;

		snprintf(path, sizeof(path), "/%s", files[i]);
		f = fopen(path, "re");
		if (!f)
			continue;
		ck_assert(fgets(line, sizeof(line), f) != NULL);
		fclose(f);
		form_of(test_read(dir, files[i]), ours, sizeof(ours));
		form_of(line, theirs, sizeof(theirs));
		/* one CPU or many, a mask's letter or digit: the end is the same */
		ck_assert_int_eq(ours[strlen(ours) - 1], theirs[strlen(theirs) - 1]);
		ck_assert_msg(strpbrk(theirs, " :") == NULL && strpbrk(ours, " :") == NULL, "%s: %s, %s",
			      files[i], ours, theirs);
		compared++;
	}
	printf("# figure: %u files compared with the running kernel's\n", compared);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("host-sim");
	TCase *tcase = tcase_create("sim");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, values);
	tcase_add_test(tcase, shapes);
	tcase_add_test(tcase, spelled_as_the_kernel_does);
	suite_add_tcase(suite, tcase);
	return suite;
}
