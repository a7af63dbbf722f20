/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of the thread plan's option string: what is read, what is
 * refused and where, the role table, and that printing is the inverse.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rtkvm/plan.h>

#include "support/test.h"

static struct rtkvm *rt;

static void setup(void)
{
	ck_assert_int_eq(rtkvm_new(NULL, &rt), 0);
}

static void teardown(void)
{
	rtkvm_free(rt);
}

#define FF RTKVM_POLICY_FF
#define RR RTKVM_POLICY_RR
#define TS RTKVM_POLICY_TS

static const struct {
	const char *in, *out; /* out NULL: as in */
	int policy, prio, aio_policy, aio_prio, pvsched;
} good[] = {
	{ "maxprio=80", NULL, FF, 80, FF, 80, 0 },
	{ "maxprio=2", NULL, FF, 2, FF, 2, 0 },
	{ "maxprio=99", NULL, FF, 99, FF, 99, 0 },
	{ "maxprio=80,policy=rr", NULL, RR, 80, RR, 80, 0 },
	{ "maxprio=80,policy=ff,aioprio=1,aiopolicy=rr,pvsched=on", NULL, FF, 80, RR, 1, 1 },
	{ "maxprio=80,policy=ff,aioprio=1,pvsched=on", NULL, FF, 80, FF, 1, 1 },
	{ "maxprio=80,aioprio=80", NULL, FF, 80, FF, 80, 0 },
	{ "maxprio=80,aiopolicy=ts", NULL, FF, 80, TS, 0, 0 },
	{ "maxprio=80,aioprio=0,aiopolicy=ts", NULL, FF, 80, TS, 0, 0 },
	{ "maxprio=80,pvsched=off", NULL, FF, 80, FF, 80, 0 },
	{ "maxprio=0,policy=ts", NULL, TS, 0, TS, 0, 0 },
	{ "maxprio=1,policy=ts", NULL, TS, 0, TS, 0, 0 },
	{ "maxprio=99,policy=ts,pvsched=on", NULL, TS, 0, TS, 0, 1 },
	{ "maxprio=50,policy=ts,aioprio=50,aiopolicy=ff", NULL, TS, 0, FF, 50, 0 },
	/* any order, aliases */
	{ "policy=rr,maxprio=80", "maxprio=80,policy=rr", RR, 80, RR, 80, 0 },
	{ "pvsched=on,aiopolicy=other,policy=fifo,maxprio=7",
	  "maxprio=7,policy=ff,aiopolicy=ts,pvsched=on", FF, 7, TS, 0, 1 },
	{ "maxprio=80,paioprio=3", "maxprio=80,aioprio=3", FF, 80, FF, 3, 0 },
	{ "maxprio=0,policy=other", "maxprio=0,policy=ts", TS, 0, TS, 0, 0 },
};

static void check_role(const struct rtkvm_plan *plan, int role, int policy, int prio)
{
	struct rtkvm_role_sched sched = { .size = sizeof(sched) };

	ck_assert_int_eq(rtkvm_plan_get_role(plan, role, &sched), 0);
	ck_assert_int_eq(sched.policy, policy);
	ck_assert_int_eq(sched.priority, prio);
}

START_TEST(reads)
{
	const char *want = good[_i].out ? good[_i].out : good[_i].in;
	int prio = good[_i].prio;
	struct rtkvm_plan *plan;
	char text[128];

	ck_assert_msg(rtkvm_plan_parse(rt, good[_i].in, &plan) == 0, "%s", rtkvm_last_error());
	check_role(plan, RTKVM_ROLE_MAIN, good[_i].policy, prio);
	check_role(plan, RTKVM_ROLE_IO, good[_i].policy, prio);
	check_role(plan, RTKVM_ROLE_VCPU, good[_i].policy, prio ? prio - 1 : 0);
	check_role(plan, RTKVM_ROLE_AIO, good[_i].aio_policy, good[_i].aio_prio);
	check_role(plan, RTKVM_ROLE_HELPER, TS, 0);
	ck_assert_int_eq(rtkvm_plan_get_pvsched(plan), good[_i].pvsched);
	ck_assert_int_eq(rtkvm_plan_print(plan, text, sizeof(text)), (int)strlen(want));
	ck_assert_str_eq(text, want);
	rtkvm_plan_free(plan);
}
END_TEST

static const struct {
	const char *in;
	int position;
	const char *says;
} bad[] = {
	{ "", 1, "the text ends, where an option" },
	{ "policy=ff", 10, "the text ends, where maxprio=P" },
	{ "maxprio", 8, "the text ends, where \"=\"" },
	{ "maxprio,policy=ff", 8, "\",\", where \"=\"" },
	{ "maxprio=", 9, "the text ends, where a priority" },
	{ "maxprio=,policy=ff", 9, "\",\", where a priority" },
	{ "maxprio=100", 9, "\"100\"" },
	{ "maxprio=-1", 9, "\"-1\"" },
	{ "maxprio=+5", 9, "\"+5\"" },
	{ "maxprio=05", 9, "\"05\"" },
	{ "maxprio=00,policy=ts", 9, "\"00\"" },
	{ "maxprio=5x", 9, "\"5x\"" },
	{ "maxprio=0x5", 9, "\"0x5\"" },
	{ "maxprio= 5", 9, "\" 5\"" },
	{ "maxprio=5 ", 9, "\"5 \"" },
	{ " maxprio=5", 1, "\" maxprio\"" },
	{ "maxprio =5", 1, "\"maxprio \"" },
	{ "MAXPRIO=5", 1, "\"MAXPRIO\"" },
	{ "maxprio=5,", 11, "the text ends, where an option" },
	{ ",maxprio=5", 1, "\",\", where an option" },
	{ "maxprio=5,,policy=ff", 11, "\",\", where an option" },
	{ "maxprio=5,maxprio=5", 11, "not given before" },
	{ "maxprio=5,aioprio=1,paioprio=1", 21, "not given before" },
	{ "maxprio=5,policy=dl", 18, "where a policy (ff, rr or ts)" },
	{ "maxprio=5,policy=", 18, "the text ends, where a policy" },
	{ "maxprio=5,policy=FF", 18, "\"FF\"" },
	{ "maxprio=5,pvsched=yes", 19, "where on or off" },
	{ "maxprio=5,pvsched=on=on", 19, "\"on=on\"" },
	{ "maxprio=5,nonsense=1", 11, "\"nonsense\"" },
	{ "maxprio=5,=1", 11, "\"=\"" },
	{ "maxprio=1", 9, "2 to 99" },
	{ "maxprio=0,policy=rr", 9, "2 to 99" },
	{ "policy=ff,maxprio=1", 19, "2 to 99" },
	{ "maxprio=5,aioprio=6", 19, "1 to maxprio (5)" },
	{ "maxprio=5,aioprio=0", 19, "1 to maxprio (5)" },
	{ "maxprio=5,aioprio=1,aiopolicy=ts", 19, "the AIO policy is ts" },
	{ "maxprio=5,policy=ts,aioprio=1", 29, "the AIO policy is ts" },
	{ "maxprio=5,policy=ts,aiopolicy=ff", 31, "aioprio=P as well" },
	{ "maxprio=5,policy=ts,aioprio=6,aiopolicy=rr", 29, "1 to maxprio (5)" },
	{ "maxprio=5,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1", 11,
	  "\"aaaaaaaaaaaaaaaaaaaaaaaa\"...," },
	{ "maxprio=18446744073709551621", 9, "a priority from 0 to 99" },
};

START_TEST(refuses)
{
	struct rtkvm_plan *plan = (void *)1;
	char position[32];

	ck_assert_int_eq(rtkvm_plan_parse(rt, bad[_i].in, &plan), -EINVAL);
	ck_assert_ptr_null(plan);
	snprintf(position, sizeof(position), "position %d:", bad[_i].position);
	ck_assert_msg(strstr(rtkvm_last_error_what(), position) != NULL, "%s: %s, wanted %s",
		      bad[_i].in, rtkvm_last_error(), position);
	ck_assert_msg(strstr(rtkvm_last_error_what(), bad[_i].says) != NULL, "%s: %s",
		      bad[_i].in, rtkvm_last_error());
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error_remedy(), "maxprio=P"));
}
END_TEST

START_TEST(null_arguments)
{
	struct rtkvm_role_sched sched = { .size = 4 };
	struct rtkvm_plan *plan;

	ck_assert_int_eq(rtkvm_plan_parse(rt, NULL, &plan), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_parse(NULL, "maxprio=2", &plan), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_parse(rt, "maxprio=2", NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_print(NULL, NULL, 0), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_get_maxprio(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_get_pvsched(NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_is_realtime(NULL), 0);
	ck_assert_int_eq(rtkvm_plan_get_role(NULL, 0, &sched), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_undo(NULL, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_go_realtime(NULL, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_check(NULL, 0, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_add_rule(NULL, "x", 0), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_allow(NULL, 0), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(NULL, 0, "0"), -EINVAL);
	ck_assert_int_eq(rtkvm_thread_enter(NULL, 0), -EINVAL);
	ck_assert_int_eq(rtkvm_thread_leave(NULL), -EINVAL);
	rtkvm_plan_free(NULL);
	ck_assert_int_eq(rtkvm_plan_parse(rt, "maxprio=2", &plan), 0);
	ck_assert_int_eq(rtkvm_plan_get_maxprio(plan), 2);
	ck_assert_int_eq(rtkvm_plan_get_role(plan, 0, &sched), -EINVAL);
	sched.size = sizeof(sched);
	ck_assert_int_eq(rtkvm_plan_get_role(plan, 5, &sched), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_get_role(plan, -1, &sched), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, "x", 9), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, "", 0), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_add_rule(plan, NULL, 0), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_allow(plan, 32), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, 0, "x"), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, 0, ""), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, 0, "8000"), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, 7, "0"), -EINVAL);
	ck_assert_int_eq(rtkvm_plan_set_role_cpus(plan, 0, NULL), 0);
	rtkvm_plan_free(plan);
}
END_TEST

START_TEST(prints_like_snprintf)
{
	struct rtkvm_plan *plan;
	char text[16];

	ck_assert_int_eq(rtkvm_plan_parse(rt, "maxprio=80,policy=rr", &plan), 0);
	ck_assert_int_eq(rtkvm_plan_print(plan, NULL, 0), 20);
	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(rtkvm_plan_print(plan, text, 0), 20);
	ck_assert_int_eq(text[0], 'x');
	ck_assert_int_eq(rtkvm_plan_print(plan, text, 1), 20);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(rtkvm_plan_print(plan, text, 12), 20);
	ck_assert_str_eq(text, "maxprio=80,");
	ck_assert_int_eq(text[12], 'x');
	rtkvm_plan_free(plan);
}
END_TEST

static unsigned int seed;

static int upto(int n)
{
	return (int)(rand_r(&seed) % (unsigned int)n);
}

/* A random valid plan in reference order. */
static void random_plan(char *text, size_t size)
{
	static const char *const names[] = { "ts", "ff", "rr" };
	int policy = upto(4) - 1, aiopolicy = upto(4) - 1, max, len;
	bool rt_main = policy != TS, aio_rt = aiopolicy < 0 ? rt_main : aiopolicy != TS;
	bool lone = aio_rt && !rt_main;

	max = rt_main ? 2 + upto(98) : lone ? 1 + upto(99) : upto(100);
	len = snprintf(text, size, "maxprio=%d", max);
	if (policy >= 0)
		len += snprintf(text + len, size - (size_t)len, ",policy=%s", names[policy]);
	if (lone || upto(2))
		len += snprintf(text + len, size - (size_t)len, ",aioprio=%d",
				aio_rt ? 1 + upto(max) : 0);
	if (aiopolicy >= 0)
		len += snprintf(text + len, size - (size_t)len, ",aiopolicy=%s",
				names[aiopolicy]);
	if (upto(2))
		snprintf(text + len, size - (size_t)len, ",pvsched=%s", upto(2) ? "on" : "off");
}

START_TEST(random_round_trip)
{
	const char *given = getenv("RTKVM_SEED");
	unsigned int start = given ? (unsigned int)strtoul(given, NULL, 10) :
				     (unsigned int)time(NULL);
	struct rtkvm_plan *plan;
	char in[128], out[128];

	seed = start;
	printf("# seed %u\n", start);
	fflush(stdout);
	for (int i = 0; i < 20000; i++) {
		random_plan(in, sizeof(in));
		ck_assert_msg(rtkvm_plan_parse(rt, in, &plan) == 0, "seed %u: %s: %s", start, in,
			      rtkvm_last_error());
		rtkvm_plan_print(plan, out, sizeof(out));
		ck_assert_msg(!strcmp(in, out), "seed %u: %s became %s", start, in, out);
		rtkvm_plan_free(plan);
	}
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("plan-spec");
	TCase *tc = tcase_create("spec");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, reads, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(tc, refuses, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, null_arguments);
	tcase_add_test(tc, prints_like_snprintf);
	tcase_add_test(tc, random_round_trip);
	suite_add_tcase(suite, tc);
	return suite;
}
