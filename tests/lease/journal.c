/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of a journal: what is written is read again, what was not written
 * by the library is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

START_TEST(crc)
{
	/* the check value of CRC-32/ISO-HDLC */
	ck_assert_uint_eq(rtkvm_crc32("123456789", 9), 0xcbf43926);
	ck_assert_uint_eq(rtkvm_crc32("", 0), 0);
}
END_TEST

static int parse(const char *text, size_t len, struct rtkvm_journal *j)
{
	char why[RTKVM_WHY_MAX];

	return rtkvm_journal_parse(text, len, j, why);
}

/* Header and then these records, checksums added. */
static int parse_records(const char *const *records, size_t count, struct rtkvm_journal *j)
{
	const char *lines[16];
	char *text;
	int ret;

	lines[0] = header_line(BOOT_ID, 0, "real", "x");
	memcpy(lines + 1, records, count * sizeof(*records));
	text = sealed(lines, count + 1);
	ret = parse(text, strlen(text), j);
	free(text);
	return ret;
}

static const char *const good[] = {
	"1 10 knob 1 24 0-3 0",	      "2 11 knob 3 0 0000000f 1",  "3 11 sched 77:5 0:0:0 1:50:1",
	"4 12 cpus 77:5 0-1 1",	      "5 13 hold 100",		   "6 14 undone 4",
	"7 15 knob 6 0 2147483647 1", "8 16 sched 77:5 7:0:1 0:0:1", "9 17 knob 9 1023 0 4294967296",
};

/* Of CPU leases. */
static const char *const cpu_records[] = {
	"1 10 claim 18446744073709551615 2-3",
	"2 10 target 77:5",
	"3 11 take-knob 1 24 0-3 0-1",
	"4 11 take-cpus 77:5 0-3 0-1",
	"5 12 knob 11 2 0 n/a",
	"6 12 take-knob 15 28673 ff 0",
	"7 13 partition 5 isolated:2-3:0-1",
};

START_TEST(reads_cpu_records)
{
	char line[RTKVM_LINE_MAX];
	struct rtkvm_journal j;

	ck_assert_int_eq(parse_records(cpu_records, 7, &j), 0);
	ck_assert_uint_eq(j.count, 7);
	for (size_t i = 0; i < 7; i++) {
		ck_assert_uint_gt(rtkvm_journal_format_change(&j.changes[i], line), 0);
		ck_assert_int_eq(strncmp(line, cpu_records[i], strlen(cpu_records[i])), 0);
	}
	rtkvm_journal_clear(&j);
}
END_TEST

/* What is put back into a set, by what became of it meanwhile. */
static const struct {
	const char *now, *leased, *back; /* NULL: left alone */
} put_backs[] = {
	{ "0-1", "", "0-3" },	 /* as the lease left it */
	{ "0", "1", "0,2-3" },	 /* a later lease took CPU 1 */
	{ "0", "", NULL },	 /* somebody else did */
	{ "0-3", "", "" },	 /* is back already */
	{ "0-2", "", NULL },	 /* half of it */
	{ "0-1,4", "", "0-4" },	 /* one more, of an earlier lease that ended */
	{ "5", "", NULL },
};

START_TEST(puts_back)
{
	char before[] = "0-3", after[] = "0-1", out[RTKVM_VALUE_MAX] = "";
	struct rtkvm_change c = { .kind = RTKVM_CHANGE_CPUS, .tid = 5, .take = true,
				  .before = before, .after = after };
	struct rtkvm_cpus leased;
	int ret;

	rtkvm_cpus_parse_list(put_backs[_i].leased, &leased, NULL);
	ret = rtkvm_change_put_back(&c, put_backs[_i].now, &leased, out);
	ck_assert_int_eq(ret, !put_backs[_i].back ? -1 : *put_backs[_i].back ? 1 : 0);
	if (ret == 1)
		ck_assert_str_eq(out, put_backs[_i].back);
}
END_TEST

START_TEST(reads_what_it_writes)
{
	char line[RTKVM_LINE_MAX];
	struct rtkvm_journal j;
	size_t change = 0;

	ck_assert_int_eq(parse_records(good, 9, &j), 0);
	ck_assert(!j.torn && !j.headless && !j.unterminated);
	ck_assert_uint_eq(j.count, 8);
	ck_assert_uint_eq(rtkvm_journal_open_changes(&j), 7);
	ck_assert_uint_eq(j.next_seq, 10);
	ck_assert_str_eq(j.owner.boot_id, BOOT_ID);
	ck_assert_str_eq(j.owner.name, "x");
	for (size_t i = 0; i < 9; i++) {
		size_t len;

		if (i == 5)
			len = rtkvm_journal_format_undone(6, 14, 4, line);
		else
			len = rtkvm_journal_format_change(&j.changes[change++], line);
		ck_assert_uint_eq(len, strlen(good[i]) + 11);
		ck_assert_int_eq(strncmp(line, good[i], strlen(good[i])), 0);
	}
	ck_assert_uint_gt(rtkvm_journal_format_header(&j.owner, line), 0);
	ck_assert_int_eq(strncmp(line, header_line(BOOT_ID, 0, "real", "x"), 60), 0);
	rtkvm_journal_clear(&j);
}
END_TEST

static const char *const bad[] = {
	"1 10 knob 0 0 1 0", /* unknown kinds and ids */
	"1 10 knob 20 0 1 0",
	"1 10 knob 10 8192 1 0", "1 10 knob 12 2 powersave turbo", "1 10 knob 11 2 0 n/b",
	"1 10 knob 18 0 0 2", "1 10 knob 32 4194304 0 1", "1 10 knob 32 1 0 2", "1 10 knob 33 1 0-3 2",
	"1 10 take-knob 1 24 0-3 4", "1 10 take-knob 4 0 1 0",
	"1 10 take-sched 77:5 0:0:0 1:1:1", "1 10 take-cpus 77:5 0-1 0-2", "1 10 claim 5 x",
	"1 10 claim 5 2 3", "1 10 claim -1 2", "1 10 partition 5 isolated:2", "1 10 partition 5 ..:2:0",
	"1 10 partition 5 isolated:2:/", "1 10 target 0:1", "1 10 target 5",
	"1 10 knob 99999999999 0 1 0",
	"1 10 file 1 0 1 0",
	"1 10 knob 1 1048576 0 1", /* index out of range */
	"1 10 knob 4 1 1 0",
	"1 10 knob 8 1024 0 1",
	"1 10 knob 1 -1 0 1",
	"1 10 knob 1 24 0-3 ../../etc/passwd", /* paths and other nonsense as values */
	"1 10 knob 1 24 /etc/passwd 0",
	"1 10 knob 1 24 0-3 3-0",
	"1 10 knob 1 24 0-3 8192",
	"1 10 knob 4 0 1 2",
	"1 10 knob 6 0 1 0",
	"1 10 knob 6 0 -1 1",
	"1 10 knob 6 0 99999999999999999999 1",
	"1 10 knob 6 0 0x1 1",
	"1 10 sched 77:5 0:0:0 1:0:1", /* priorities that do not go with the policy */
	"1 10 sched 77:5 0:0:0 1:100:1",
	"1 10 sched 77:5 0:0:0 0:1:1",
	"1 10 sched 77:5 6:0:0 1:1:1",
	"1 10 sched 77:5 0:0:0 3:0:1",
	"1 10 sched 77:5 0:0:0 1:1:2",
	"1 10 sched 77:5 0:0:0 1:01:1",
	"1 10 sched 77 0:0:0 1:1:1",
	"1 10 sched 0:5 0:0:0 1:1:1",
	"1 10 sched -1:5 0:0:0 1:1:1",
	"1 10 sched 2147483648:5 0:0:0 1:1:1",
	"1 10 cpus 77:5 0-1 x",
	"1 10 hold -1",
	"1 10 hold 2147483648",
	"1 10 hold 1 2",
	"1 10 undone 1", /* nothing to undo */
	"1 10 undone 0",
	"2 10 hold 1", /* number */
	"0 10 hold 1",
	"01 10 hold 1",
	"1 010 hold 1",
	"1 10  hold 1", /* spelling */
	" 1 10 hold 1",
	"1 10 hold 1 ",
	"1 10 HOLD 1",
	"1 10 hold",
	"1 10",
	"1 18446744073709551616 hold 1",
	"1 10 knob 1 24 0-3 0 a b c d e f g h i j k l m n",
	"0 rtkvm-journal 1 boot " BOOT_ID " uid 0 pidns 1 owner 1:0 root real lease x",
};

START_TEST(refuses)
{
	struct rtkvm_journal j;

	ck_assert_int_eq(parse_records(&bad[_i], 1, &j), -EBADMSG);
	ck_assert_uint_eq(j.count, 0);
	rtkvm_journal_clear(&j);
}
END_TEST

START_TEST(refuses_undone_twice)
{
	const char *const lines[] = { "1 1 hold 5", "2 2 undone 1", "3 3 undone 1" };
	struct rtkvm_journal j;

	ck_assert_int_eq(parse_records(lines, 2, &j), 0);
	rtkvm_journal_clear(&j);
	ck_assert_int_eq(parse_records(lines, 3, &j), -EBADMSG);
	rtkvm_journal_clear(&j);
}
END_TEST

static const char *const bad_headers[] = {
	"0 rtkvm-journal 2 boot " BOOT_ID " uid 0 pidns 1 owner 1:0 root real lease x",
	"0 other-journal 1 boot " BOOT_ID " uid 0 pidns 1 owner 1:0 root real lease x",
	"0 rtkvm-journal 1 boot 1 uid 0 pidns 1 owner 1:0 root real lease x",
	"0 rtkvm-journal 1 boot " BOOT_ID "0 uid 0 pidns 1 owner 1:0 root real lease x",
	"0 rtkvm-journal 1 boot " BOOT_ID " uid -1 pidns 1 owner 1:0 root real lease x",
	"0 rtkvm-journal 1 boot " BOOT_ID " uid 0 pidns 1 owner 1 root real lease x",
	"0 rtkvm-journal 1 boot " BOOT_ID " uid 0 pidns 1 owner 1:0 root / lease x",
	"0 rtkvm-journal 1 boot " BOOT_ID " uid 0 pidns 1 owner 1:0 root real lease X",
	"0 rtkvm-journal 1 boot " BOOT_ID " uid 0 pidns 1 owner 1:0 root real lease "
	"abcdefghijklmnopqrstuvwxyz-012345",
	"1 1 hold 5",
	"# a comment",
};

START_TEST(refuses_headers)
{
	char *text = sealed(&bad_headers[_i], 1);
	struct rtkvm_journal j;

	ck_assert_int_eq(parse(text, strlen(text), &j), -EBADMSG);
	rtkvm_journal_clear(&j);
	free(text);
}
END_TEST

START_TEST(ends_within_a_record)
{
	const char *lines[] = { header_line(BOOT_ID, 0, "real", "x"), "1 10 knob 4 0 1 0",
				"2 11 hold 5" };
	char *text = sealed(lines, 3);
	size_t len = strlen(text), records = len - 2, head = strlen(lines[0]) + 11,
	       second = head + strlen(lines[1]) + 11;

	for (size_t n = 0; n <= len; n++) {
		size_t whole = n >= records - 1 ? 2 : n >= second - 1 ? 1 : 0;
		struct rtkvm_journal j;

		ck_assert_msg(parse(text, n, &j) == 0, "of %zu bytes", n);
		ck_assert_int_eq(j.headless, n < head - 1);
		ck_assert_uint_eq(j.count, n < head - 1 ? 0 : whole);
		ck_assert_int_eq(j.unterminated,
				 n == head - 1 || n == second - 1 || n == records - 1);
		/* the line feed of the end mark may be missing, nothing else */
		ck_assert_int_eq(j.torn, n < len - 1);
		ck_assert_int_eq(j.tail[0] != '\0', n && n != head && n != second && n < records &&
							    !j.unterminated);
		rtkvm_journal_clear(&j);
	}
	free(text);
}
END_TEST

START_TEST(one_byte_wrong)
{
	const char *lines[] = { header_line(BOOT_ID, 0, "real", "x"), "1 10 knob 4 0 1 0",
				"2 11 undone 1" };
	char *text = sealed(lines, 3);
	size_t len = strlen(text);

	for (size_t n = 0; n < len; n++) {
		for (int bit = 0; bit < 8; bit++) {
			struct rtkvm_journal j;

			text[n] = (char)(text[n] ^ 1 << bit);
			ck_assert_msg(parse(text, len, &j) == -EBADMSG, "byte %zu bit %d", n, bit);
			rtkvm_journal_clear(&j);
			text[n] = (char)(text[n] ^ 1 << bit);
		}
	}
	free(text);
}
END_TEST

static const struct {
	int knob;
	const char *value, *spelled;
} values[] = {
	{ 1, "0,2,1", "0-2" },	{ 1, "", NULL },       { 1, "x", NULL },     { 1, "8191", "8191" },
	{ 2, "0-3,32", "1,0000000f" }, { 3, "0", "1" }, { 3, "0x1", NULL },  { 4, "1", "1" },
	{ 4, "2", NULL },	{ 5, "2", "2" },       { 5, "3", NULL },     { 6, "3600", "3600" },
	{ 6, "3601", NULL },	{ 6, "0", NULL },      { 7, "3", "3" },	     { 7, "-1", NULL },
	{ 8, "0", "0" },	{ 8, "1 ", NULL },     { 9, "4294967297", NULL }, { 0, "1", NULL },
	{ 20, "1", NULL },	{ -1, "1", NULL },       { 10, "0", "0" },    { 10, "2", NULL },
	{ 11, "n/a", "n/a" },	{ 11, "20", "20" },    { 11, "x", NULL },   { 12, "performance", "performance" },
	{ 12, "turbo", NULL },	{ 13, "power", "power" }, { 14, "0", "0" }, { 15, "", "0" }, { 15, "1", "2" },
	{ 18, "1", "1" },	{ 18, "cpuset", NULL }, { 32, "1", "1" },   { 32, "2", NULL },
	{ 33, "0,2,1", "0-2" }, { 33, "", NULL },       { 31, "1", NULL },  { 34, "1", NULL },
};

START_TEST(spelling)
{
	char out[RTKVM_VALUE_MAX];
	bool ok = rtkvm_knob_spell(values[_i].knob, values[_i].value, out);

	ck_assert_int_eq(ok, values[_i].spelled != NULL);
	if (!ok)
		return;
	ck_assert_str_eq(out, values[_i].spelled);
	ck_assert(rtkvm_knob_value_ok(values[_i].knob, out, true));
}
END_TEST

START_TEST(comparison)
{
	ck_assert(rtkvm_knob_equal(1, "0,1,2", "0-2"));
	ck_assert(!rtkvm_knob_equal(1, "0-1", "0-2"));
	ck_assert(rtkvm_knob_equal(3, "0000000f", "f"));
	ck_assert(rtkvm_knob_equal(3, "00000000,00000003", "3"));
	ck_assert(!rtkvm_knob_equal(3, "f", "e"));
	ck_assert(rtkvm_knob_equal(6, "01", "1"));
	ck_assert(!rtkvm_knob_equal(6, "", "1"));
	ck_assert(!rtkvm_knob_equal(99, "1", "1"));
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("journal");
	TCase *tc = tcase_create("text");

	tcase_add_test(tc, crc);
	tcase_add_test(tc, reads_what_it_writes);
	tcase_add_test(tc, reads_cpu_records);
	tcase_add_loop_test(tc, puts_back, 0, sizeof(put_backs) / sizeof(put_backs[0]));
	tcase_add_loop_test(tc, refuses, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, refuses_undone_twice);
	tcase_add_loop_test(tc, refuses_headers, 0, sizeof(bad_headers) / sizeof(bad_headers[0]));
	tcase_add_test(tc, ends_within_a_record);
	tcase_add_test(tc, one_byte_wrong);
	suite_add_tcase(suite, tc);
	tc = tcase_create("knob");
	tcase_add_loop_test(tc, spelling, 0, sizeof(values) / sizeof(values[0]));
	tcase_add_test(tc, comparison);
	suite_add_tcase(suite, tc);
	return suite;
}
