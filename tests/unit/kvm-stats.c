/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of the parser of KVM's binary statistics, on made-up files.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/kvm-stats.h"
#include "support/test.h"

#define NAME 32

struct desc {
	uint32_t flags;
	int16_t exponent;
	uint16_t size;
	uint32_t offset;
	uint32_t bucket;
	char name[NAME];
};

struct file {
	struct kvm_stats_header header;
	char id[24];
	struct desc desc[3];
	uint64_t data[6];
};

static void make(struct file *f)
{
	memset(f, 0, sizeof(*f));
	f->header.name_size = NAME;
	f->header.num_desc = 3;
	f->header.id_offset = offsetof(struct file, id);
	f->header.desc_offset = offsetof(struct file, desc);
	f->header.data_offset = offsetof(struct file, data);
	f->desc[0] = (struct desc){ .size = 1, .offset = 0, .name = "exits" };
	f->desc[1] = (struct desc){ .size = 4, .offset = 8, .flags = 4, .name = "some_hist" };
	f->desc[2] = (struct desc){ .size = 1, .offset = 40, .exponent = -9, .name = "wait_ns" };
	f->data[0] = 17;
	f->data[5] = 42;
}

static int parse(const struct file *f, size_t len, struct rtkvm_stat stat[3])
{
	return rtkvm_stats_parse((const uint8_t *)f, len, stat, 3);
}

#define SPAN offsetof(struct file, data)

START_TEST(good)
{
	struct rtkvm_stat stat[3];
	struct file f;

	make(&f);
	ck_assert_int_eq(rtkvm_stats_span((const uint8_t *)&f), SPAN);
	ck_assert_int_eq(parse(&f, SPAN, stat), 3);
	ck_assert_str_eq(stat[0].name, "exits");
	ck_assert_uint_eq(stat[0].pos, offsetof(struct file, data));
	ck_assert_uint_eq(stat[1].size, 4);
	ck_assert_str_eq(stat[2].name, "wait_ns");
	ck_assert_int_eq(stat[2].exponent, -9);
	ck_assert_uint_eq(stat[2].pos, offsetof(struct file, data) + 40);
}
END_TEST

/* A table that is larger than the room for it is counted, not overrun. */
START_TEST(little_room)
{
	struct rtkvm_stat stat[2] = { { .name = NULL }, { .name = "mine" } };
	struct file f;

	make(&f);
	ck_assert_int_eq(rtkvm_stats_parse((const uint8_t *)&f, sizeof(f), stat, 1), 3);
	ck_assert_str_eq(stat[1].name, "mine");
	ck_assert_int_eq(rtkvm_stats_parse((const uint8_t *)&f, sizeof(f), NULL, 0), 3);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	struct rtkvm_stat stat[3];
	struct file f;

	make(&f);
	for (size_t len = 0; len < SPAN; len++) {
		/* exactly as long, so that valgrind and ASan see a byte too much */
		uint8_t *cut = malloc(len ? len : 1);

		memcpy(cut, &f, len);
		ck_assert_int_eq(rtkvm_stats_parse(cut, len, stat, 3), -EILSEQ);
		free(cut);
	}
	ck_assert_int_eq(parse(&f, SPAN, stat), 3);
}
END_TEST

static void huge_count(struct file *f)
{
	f->header.num_desc = UINT32_MAX;
}
static void too_many(struct file *f)
{
	f->header.num_desc = RTKVM_STATS_MAX + 1;
}
static void huge_name(struct file *f)
{
	f->header.name_size = UINT32_MAX;
}
static void no_name(struct file *f)
{
	f->header.name_size = 0;
}
static void product_overflows(struct file *f)
{
	f->header.num_desc = 0x10000000;
	f->header.name_size = 16;
}
static void desc_far(struct file *f)
{
	f->header.desc_offset = UINT32_MAX;
}
static void desc_in_header(struct file *f)
{
	f->header.desc_offset = 8;
}
static void data_in_desc(struct file *f)
{
	f->header.data_offset = f->header.desc_offset + 4;
}
static void endless_name(struct file *f)
{
	memset(f->desc[1].name, 'x', NAME);
}
static void empty_name(struct file *f)
{
	f->desc[1].name[0] = '\0';
}
static void control_in_name(struct file *f)
{
	f->desc[1].name[2] = '\n';
}
static void no_values(struct file *f)
{
	f->desc[1].size = 0;
}

static void (*const spoil[])(struct file *f) = {
	huge_count,   too_many,	    huge_name,	no_name,	 product_overflows, desc_far,
	desc_in_header, data_in_desc, endless_name, empty_name, control_in_name, no_values,
};

START_TEST(hostile)
{
	struct rtkvm_stat stat[3];
	struct file f;

	make(&f);
	ck_assert_int_eq(parse(&f, sizeof(f), stat), 3);
	spoil[_i](&f);
	ck_assert_int_eq(parse(&f, sizeof(f), stat), -EILSEQ);
}
END_TEST

/* The largest offsets do not wrap: reading there is EIO, not another counter. */
START_TEST(offsets_do_not_wrap)
{
	struct rtkvm_stat stat[3];
	struct file f;

	make(&f);
	f.header.data_offset = UINT32_MAX;
	f.desc[0].offset = UINT32_MAX;
	ck_assert_int_eq(parse(&f, sizeof(f), stat), 3);
	ck_assert_uint_eq(stat[0].pos, 2ULL * UINT32_MAX);
}
END_TEST

START_TEST(vcpu_id)
{
	static const struct {
		const char *id;
		int value;
	} ids[] = { { "kvm-12/vcpu-3", 3 },   { "kvm-12/vcpu-0", 0 },	 { "kvm-12", -1 },
		    { "kvm-12/vcpu-", -1 },   { "kvm-12/vcpu--1", -1 },	 { "", -1 },
		    { "kvm-12/vcpu-3x", -1 }, { "kvm-12/vcpu-2147483648", -1 } };
	struct file f;

	make(&f);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		memset(f.id, 0, sizeof(f.id));
		memcpy(f.id, ids[i].id, strlen(ids[i].id));
		ck_assert_int_eq(rtkvm_stats_vcpu_id((uint8_t *)&f, SPAN), ids[i].value);
	}
	memset(f.id, '1', sizeof(f.id)); /* no end */
	memcpy(f.id, "/vcpu-", 6);
	ck_assert_int_eq(rtkvm_stats_vcpu_id((uint8_t *)&f, SPAN), -1);
	f.header.id_offset = SPAN - 4;
	ck_assert_int_eq(rtkvm_stats_vcpu_id((uint8_t *)&f, SPAN), -1);
	f.header.id_offset = UINT32_MAX;
	ck_assert_int_eq(rtkvm_stats_vcpu_id((uint8_t *)&f, SPAN), -1);
}
END_TEST

START_TEST(values)
{
	struct rtkvm_stat stat[3];
	struct rtkvm_stats stats = { .fd = -1, .count = 3, .stat = stat };
	char path[] = "/tmp/rtkvm-stats-XXXXXX";
	uint64_t v = 5;
	struct file f;

	make(&f);
	ck_assert_int_eq(parse(&f, sizeof(f), stat), 3);
	ck_assert_int_eq(rtkvm_stats_get(&stats, "exits", &v), -EOPNOTSUPP);
	stats.fd = mkstemp(path);
	ck_assert_int_ge(stats.fd, 0);
	unlink(path);
	ck_assert_int_eq(write(stats.fd, &f, sizeof(f)), sizeof(f));
	ck_assert_int_eq(rtkvm_stats_get(&stats, "exits", &v), 0);
	ck_assert_uint_eq(v, 17);
	ck_assert_int_eq(rtkvm_stats_get(&stats, "wait_ns", &v), 0);
	ck_assert_uint_eq(v, 42);
	ck_assert_int_eq(rtkvm_stats_get(&stats, "some_hist", &v), -ENOENT);
	ck_assert_int_eq(rtkvm_stats_get(&stats, "exit", &v), -ENOENT);
	ck_assert_int_eq(rtkvm_stats_get(&stats, "", &v), -ENOENT);
	ck_assert_uint_eq(v, 42);
	ck_assert_int_eq(ftruncate(stats.fd, sizeof(f) - 4), 0);
	ck_assert_int_eq(rtkvm_stats_get(&stats, "wait_ns", &v), -EIO);
	/* only what can be read as one number has a name to ask for */
	ck_assert_str_eq(rtkvm_stats_name(&stats, 0), "exits");
	ck_assert_str_eq(rtkvm_stats_name(&stats, 1), "wait_ns");
	ck_assert_ptr_null(rtkvm_stats_name(&stats, 2));
	close(stats.fd);
}
END_TEST

/* Random bytes over a good file: never a crash, never a name out of bounds. */
START_TEST(random_damage)
{
	unsigned int seed = (unsigned int)time(NULL) ^ (unsigned int)getpid();
	struct rtkvm_stat stat[3];
	int accepted = 0;
	struct file f;

	for (int i = 0; i < 20000; i++) {
		unsigned int n = 1 + (unsigned int)rand_r(&seed) % 4;
		unsigned int was = seed;
		int ret;

		make(&f);
		while (n--)
			((uint8_t *)&f)[(unsigned int)rand_r(&seed) % SPAN] = (uint8_t)rand_r(&seed);
		ret = parse(&f, sizeof(f), stat);
		for (int k = 0; k < ret && k < 3; k++) {
			const char *end = (const char *)&f + sizeof(f);

			ck_assert_msg(stat[k].name > (const char *)&f && stat[k].name < end &&
					      memchr(stat[k].name, '\0',
						     (size_t)(end - stat[k].name)),
				      "seed %u", was);
		}
		accepted += ret >= 0;
	}
	ck_assert_int_gt(accepted, 0);
	ck_assert_int_lt(accepted, 20000);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("kvm-stats");
	TCase *tc = tcase_create("parser");

	tcase_add_test(tc, good);
	tcase_add_test(tc, little_room);
	tcase_add_test(tc, every_truncation_is_refused);
	tcase_add_loop_test(tc, hostile, 0, sizeof(spoil) / sizeof(spoil[0]));
	tcase_add_test(tc, offsets_do_not_wrap);
	tcase_add_test(tc, vcpu_id);
	tcase_add_test(tc, random_damage);
	suite_add_tcase(suite, tc);
	tc = tcase_create("values");
	tcase_add_test(tc, values);
	suite_add_tcase(suite, tc);
	return suite;
}
