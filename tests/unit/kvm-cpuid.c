/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of editing CPUID tables, on made-up tables, and of the hold on
 * C-states, on a made-up tree. No KVM, no root.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/cpuid.h"
#include "kvm/cstate.h"
#include "support/test.h"

#define ROOM 16

struct table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[ROOM];
};

static struct kvm_cpuid2 *new_table(void)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(struct table));

	ck_assert_ptr_nonnull(t);
	return t;
}

static void put(struct kvm_cpuid2 *t, uint32_t function, uint32_t eax, uint32_t ebx, uint32_t ecx,
		uint32_t edx)
{
	t->entries[t->nent++] = (struct kvm_cpuid_entry2){
		.function = function, .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx
	};
}

static void put_signature(struct kvm_cpuid2 *t, uint32_t base)
{
	put(t, base, base + 1, 0x4b4d564b, 0x564b4d56, 0x4d);
}

static struct kvm_cpuid2 *plain(void)
{
	struct kvm_cpuid2 *t = new_table();

	put(t, 0, 0xd, 1, 2, 3);
	put(t, 1, 0x306a9, 0x800, 0x80000000, 0x78bfbff);
	put(t, 0x80000007, 0, 0, 0, 0);
	return t;
}

static const struct rtkvm_cpuid_rules all = {
	.add_pv = true,
	.pv = true,
	.set_leaf1_ecx = RTKVM_CPUID_TSC_DEADLINE | RTKVM_CPUID_X2APIC,
	.set_power_edx = RTKVM_CPUID_INVARIANT_TSC,
	.set_pv_eax = RTKVM_PV_STEAL_TIME | RTKVM_PV_UNHALT | RTKVM_PV_SEND_IPI,
	.set_pv_edx = RTKVM_PV_HINT_REALTIME,
};

START_TEST(adds_the_kvm_leaves)
{
	struct kvm_cpuid2 *t = plain();
	struct rtkvm_cpuid_bits bits;

	rtkvm_cpuid_read(t, &bits);
	ck_assert(!bits.has_pv);
	ck_assert_int_eq(rtkvm_cpuid_edit(t, ROOM, &all), 0);
	ck_assert_uint_eq(t->nent, 5);
	ck_assert_uint_eq(t->entries[3].function, 0x40000000);
	ck_assert_uint_eq(t->entries[3].eax, 0x40000001);
	ck_assert_int_eq(memcmp(&t->entries[3].ebx, "KVMKVMKVM\0\0\0", 12), 0);
	rtkvm_cpuid_read(t, &bits);
	ck_assert(bits.has_pv);
	ck_assert_uint_eq(bits.pv_eax, all.set_pv_eax);
	ck_assert_uint_eq(bits.pv_edx, RTKVM_PV_HINT_REALTIME);
	ck_assert_uint_eq(bits.leaf1_ecx, 0x80000000 | all.set_leaf1_ecx);
	ck_assert_uint_eq(bits.power_edx, RTKVM_CPUID_INVARIANT_TSC);
	/* nothing else moved */
	ck_assert_uint_eq(t->entries[1].eax, 0x306a9);
	ck_assert_uint_eq(t->entries[1].edx, 0x78bfbff);
	free(t);
}
END_TEST

START_TEST(idempotent)
{
	struct kvm_cpuid2 *t = plain();
	struct table once;

	ck_assert_int_eq(rtkvm_cpuid_edit(t, ROOM, &all), 0);
	memcpy(&once, t, sizeof(once));
	ck_assert_int_eq(rtkvm_cpuid_edit(t, ROOM, &all), 0);
	ck_assert_int_eq(memcmp(&once, t, sizeof(once)), 0);
	free(t);
}
END_TEST

START_TEST(beside_hyperv)
{
	struct kvm_cpuid2 *t = plain();
	struct rtkvm_cpuid_bits bits;

	put(t, 0x40000000, 0x40000005, 0x7263694d, 0x666f736f, 0x76482074);
	put(t, 0x40000001, 0x31237648, 0, 0, 0);
	ck_assert_int_eq(rtkvm_cpuid_edit(t, ROOM, &all), 0);
	ck_assert_uint_eq(t->nent, 7);
	ck_assert_uint_eq(t->entries[5].function, 0x40000100);
	ck_assert_uint_eq(t->entries[6].function, 0x40000101);
	/* Hyper-V's own leaf is not KVM's */
	ck_assert_uint_eq(t->entries[4].eax, 0x31237648);
	rtkvm_cpuid_read(t, &bits);
	ck_assert_uint_eq(bits.pv_eax, all.set_pv_eax);
	free(t);
}
END_TEST

START_TEST(existing_leaves)
{
	static const struct rtkvm_cpuid_rules rules = {
		.pv = true,
		.set_pv_eax = RTKVM_PV_STEAL_TIME,
		.clear_pv_eax = RTKVM_PV_UNHALT,
		.clear_pv_edx = RTKVM_PV_HINT_REALTIME,
	};
	struct kvm_cpuid2 *t = plain();

	put_signature(t, 0x40000000);
	put(t, 0x40000001, RTKVM_PV_UNHALT | 1, 0, 0, RTKVM_PV_HINT_REALTIME | 8);
	ck_assert_int_eq(rtkvm_cpuid_edit(t, t->nent, &rules), 0);
	ck_assert_uint_eq(t->nent, 5);
	ck_assert_uint_eq(t->entries[4].eax, RTKVM_PV_STEAL_TIME | 1);
	ck_assert_uint_eq(t->entries[4].edx, 8);
	free(t);
}
END_TEST

/* A signature without its features leaf, and a highest leaf that hides it. */
START_TEST(half_of_the_leaves)
{
	struct kvm_cpuid2 *t = plain();

	put(t, 0x40000000, 0x40000000, 0x4b4d564b, 0x564b4d56, 0x4d);
	ck_assert_int_eq(rtkvm_cpuid_edit(t, 4, &all), -E2BIG);
	ck_assert_uint_eq(t->nent, 4);
	ck_assert_int_eq(rtkvm_cpuid_edit(t, 5, &all), 0);
	ck_assert_uint_eq(t->nent, 5);
	ck_assert_uint_eq(t->entries[3].eax, 0x40000001);
	free(t);
	/* an old KVM says 0 for it: leave that */
	t = plain();
	put(t, 0x40000000, 0, 0x4b4d564b, 0x564b4d56, 0x4d);
	put(t, 0x40000001, 0, 0, 0, 0);
	ck_assert_int_eq(rtkvm_cpuid_edit(t, ROOM, &all), 0);
	ck_assert_uint_eq(t->entries[3].eax, 0);
	free(t);
}
END_TEST

START_TEST(no_room)
{
	struct kvm_cpuid2 *t = plain();
	struct table was;

	memcpy(&was, t, sizeof(was));
	ck_assert_int_eq(rtkvm_cpuid_edit(t, 3, &all), -E2BIG);
	ck_assert_int_eq(rtkvm_cpuid_edit(t, 4, &all), -E2BIG);
	ck_assert_int_eq(memcmp(&was, t, sizeof(was)), 0);
	ck_assert_int_eq(rtkvm_cpuid_edit(t, 5, &all), 0);
	free(t);
}
END_TEST

START_TEST(malformed)
{
	struct kvm_cpuid2 *t = plain();
	struct table was;

	memcpy(&was, t, sizeof(was));
	ck_assert_int_eq(rtkvm_cpuid_edit(NULL, ROOM, &all), -EINVAL);
	ck_assert_int_eq(rtkvm_cpuid_edit(t, 2, &all), -EINVAL);
	ck_assert_int_eq(rtkvm_cpuid_edit(t, 0, &all), -EINVAL);
	t->nent = UINT32_MAX;
	ck_assert_int_eq(rtkvm_cpuid_edit(t, ROOM, &all), -EINVAL);
	t->nent = 3;
	ck_assert_int_eq(memcmp(&was, t, sizeof(was)), 0);
	free(t);
}
END_TEST

/* Not asked to add: leaves that are missing stay missing, whatever is to be set. */
START_TEST(does_not_invent)
{
	struct rtkvm_cpuid_rules rules = all;
	struct kvm_cpuid2 *t = new_table();

	rules.add_pv = false;
	put(t, 0, 1, 0, 0, 0);
	ck_assert_int_eq(rtkvm_cpuid_edit(t, ROOM, &rules), 0);
	ck_assert_uint_eq(t->nent, 1);
	free(t);
}
END_TEST

static struct rtkvm *tree(const char *root)
{
	struct rtkvm_options opt;
	struct rtkvm *rt;

	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = root;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	return rt;
}

/* What a guest on a dedicated CPU cannot have is cleared, in that case only, and nothing else. */
START_TEST(without_what_cannot_be_had)
{
	static const struct kvm_cpuid_entry2 before[] = {
		{ .function = 1, .ecx = 0xffffffff, .edx = 0xffffffff },
		{ .function = 7, .ebx = 0xffffffff, .edx = 0xffffffff },
		{ .function = 7, .index = 1, .edx = 0xffffffff },
		{ .function = 0xa, .eax = 0x07300404, .ebx = 1, .edx = 0x603 },
		{ .function = 0xd, .eax = 0xffffffff },
		{ .function = 0xd, .index = 1, .eax = 0x1f },
		{ .function = 0x80000001, .ecx = 0xffffffff, .edx = 0xffffffff },
		{ .function = 0x80000022, .eax = 7 },
	};
	static const struct kvm_cpuid_entry2 after[] = {
		{ .function = 1, .ecx = 0xffff7fdf, .edx = 0xffffffff },
		{ .function = 7, .ebx = 0xffffffff, .edx = 0xfcbfffff },
		{ .function = 7, .index = 1, .edx = 0xffffffff },
		{ .function = 0xa },
		{ .function = 0xd, .eax = 0xffffffff },
		{ .function = 0xd, .index = 1, .eax = 0xf },
		{ .function = 0x80000001, .ecx = 0xff7ffffb, .edx = 0xffffffff },
		{ .function = 0x80000022, .eax = 6 },
	};
	struct rtkvm_cpuid_rules rules = { .plain = false };
	struct kvm_cpuid2 *t = new_table();

	t->nent = sizeof(before) / sizeof(before[0]);
	memcpy(t->entries, before, sizeof(before));
	ck_assert_int_eq(rtkvm_cpuid_edit(t, ROOM, &rules), 0);
	ck_assert_int_eq(memcmp(t->entries, before, sizeof(before)), 0);
	rules.plain = true;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(rtkvm_cpuid_edit(t, ROOM, &rules), 0);
		ck_assert_int_eq(memcmp(t->entries, after, sizeof(after)), 0);
	}
	free(t);
}
END_TEST

START_TEST(cstate)
{
	const char *dir = test_tmpdir();
	struct rtkvm *rt = tree(dir);
	int32_t us = -1;
	int fd;

	ck_assert_int_eq(rtkvm_cstate_hold(rt, 0), -ENOENT);
	test_write(dir, "dev/cpu_dma_latency", "xxxx");
	fd = rtkvm_cstate_hold(rt, 25);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rtkvm_cstate_read(fd, &us), 0);
	ck_assert_int_eq(us, 25);
	/* somebody else's request is what comes back */
	test_write(dir, "dev/cpu_dma_latency", "\1");
	ck_assert_int_eq(rtkvm_cstate_read(fd, &us), -EIO);
	close(fd);
	rtkvm_free(rt);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("kvm-cpuid");
	TCase *tc = tcase_create("cpuid");

	tcase_add_test(tc, adds_the_kvm_leaves);
	tcase_add_test(tc, idempotent);
	tcase_add_test(tc, beside_hyperv);
	tcase_add_test(tc, existing_leaves);
	tcase_add_test(tc, half_of_the_leaves);
	tcase_add_test(tc, no_room);
	tcase_add_test(tc, malformed);
	tcase_add_test(tc, does_not_invent);
	tcase_add_test(tc, without_what_cannot_be_had);
	suite_add_tcase(suite, tc);
	tc = tcase_create("cstate");
	tcase_add_test(tc, cstate);
	suite_add_tcase(suite, tc);
	return suite;
}
