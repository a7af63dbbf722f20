/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of a plan's devices: addresses, and which of the kernel's threads
 * are theirs by the files of a made-up tree.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "plan/devices.h"
#include "support/test.h"

#define DEVICE "/sys/bus/pci/devices/0000:05:00.0"

static struct rtkvm *rt;
static struct plan_devices devices;
static const char *root;

static void setup(void)
{
	struct rtkvm_options opt;

	root = test_tmpdir();
	test_write(root, DEVICE "/irq", "24\n");
	test_write(root, DEVICE "/msi_irqs/24", "msix\n");
	test_write(root, DEVICE "/msi_irqs/130", "msix\n");
	test_write(root, DEVICE "/net/enp5s0-a/mtu", "1500\n");
	test_write(root, "/sys/bus/pci/devices/0000:06:00.1/irq", "0\n");
	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = root;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	memset(&devices, 0, sizeof(devices));
}

static void teardown(void)
{
	plan_devices_free(&devices);
	rtkvm_free(rt);
}

START_TEST(addresses)
{
	static const char *const bad[] = {
		"", "5", "05:00.0", "0000:05:00", "0000:05:00.8", "0000:05:00.0 ", "0000:05:00.00",
		"000:05:00.0", "0000:5:00.0", "0000:05:0.0", "0000:05:00.0/../0000:06:00.1",
		"../../../../../proc", "0000:05:00.A", "000000000:05:00.0", "eth0",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(plan_devices_add(rt, &devices, bad[i]) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(plan_devices_add(rt, &devices, "0000:07:00.0"), -ENODEV);
	ck_assert_int_eq(plan_devices_add(rt, &devices, "00000000:05:00.0"), -ENODEV);
	ck_assert_uint_eq(devices.count, 0);
	ck_assert_int_eq(plan_devices_add(rt, &devices, "0000:05:00.0"), 0);
	ck_assert_int_eq(plan_devices_add(rt, &devices, "0000:05:00.0"), 0);
	ck_assert_uint_eq(devices.count, 1);
	ck_assert_int_eq(plan_devices_add(rt, &devices, "0000:06:00.1"), 0);
	ck_assert_uint_eq(devices.count, 2);
}
END_TEST

START_TEST(threads)
{
	static const char *const theirs[] = {
		"irq/24-eth0", "irq/130-vfio-msix[1](0000:05:00.0)", "irq/24-s-x", "napi/enp5s0-a-0",
		"napi/enp5s0-a-8193",
	};
	static const char *const others[] = {
		"irq/2-eth0", "irq/240-eth0", "irq/13", "irq/130", "irq/-24", "irq/024-x", "irq/",
		"irq/0-timer", "napi/enp5s0-1", "napi/enp5s0-a", "napi/enp5s0-a-b-3", "napi/",
		"napi/enp5s0-a-", "ksoftirqd/0", "xirq/24-eth0",
	};

	ck_assert_int_eq(plan_devices_read(rt, &devices), 0);
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		ck_assert_msg(!plan_devices_thread(&devices, theirs[i]), "%s", theirs[i]);
	ck_assert_int_eq(plan_devices_add(rt, &devices, "0000:05:00.0"), 0);
	ck_assert_int_eq(plan_devices_add(rt, &devices, "0000:06:00.1"), 0);
	ck_assert_int_eq(plan_devices_read(rt, &devices), 0);
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		ck_assert_msg(plan_devices_thread(&devices, theirs[i]), "%s", theirs[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_msg(!plan_devices_thread(&devices, others[i]), "%s", others[i]);
}
END_TEST

/* A guest's driver makes interrupts when it starts, and an interface can be renamed. */
START_TEST(read_anew)
{
	char from[512], to[512];

	ck_assert_int_eq(plan_devices_add(rt, &devices, "0000:06:00.1"), 0);
	ck_assert_int_eq(plan_devices_read(rt, &devices), 0);
	ck_assert(!plan_devices_thread(&devices, "irq/77-vfio-msi[0]"));
	for (int irq = 77; irq < 177; irq++) {
		char path[128];

		snprintf(path, sizeof(path), "/sys/bus/pci/devices/0000:06:00.1/msi_irqs/%d", irq);
		test_write(root, path, "msi\n");
	}
	ck_assert_int_eq(plan_devices_read(rt, &devices), 0);
	ck_assert(plan_devices_thread(&devices, "irq/77-vfio-msi[0]"));
	ck_assert(plan_devices_thread(&devices, "irq/176-vfio-msi[99]"));
	ck_assert(!plan_devices_thread(&devices, "irq/177-vfio-msi[0]"));
	snprintf(from, sizeof(from), "%s/sys/bus/pci/devices/0000:06:00.1", root);
	snprintf(to, sizeof(to), "%s/sys/bus/pci/devices/0000:06:00.2", root);
	ck_assert_int_eq(rename(from, to), 0);
	ck_assert_int_eq(plan_devices_read(rt, &devices), 0);
	ck_assert(!plan_devices_thread(&devices, "irq/77-vfio-msi[0]"));
	ck_assert_int_eq(rename(to, from), 0);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("plan-devices");
	TCase *tc = tcase_create("devices");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, addresses);
	tcase_add_test(tc, threads);
	tcase_add_test(tc, read_anew);
	suite_add_tcase(s, tc);
	return s;
}
