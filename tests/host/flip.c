/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For every check two trees that differ in one fact get opposite verdicts; a
 * check without such a pair fails here. The same facts malformed, or not
 * files at all, make it unknown. Remedies are held against their form.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rtkvm/host.h>
#include <rtkvm/plan.h>

#include "flips.h"
#include "host/host.h"
#include "host/sim.h"
#include "support/test.h"

static struct rtkvm *open_tree(const char *dir)
{
	struct rtkvm_options opt;
	struct rtkvm *rt;

	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = dir;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	return rt;
}

static char value[512], remedy[1024];
static int remedy_kind;

static int ask_with(struct rtkvm *rt, const struct flip *flip, const char *facts)
{
	const char *id = flip->id;
	const struct rtkvm_check *check;
	struct rtkvm_host_options opt;
	struct rtkvm_plan *plan = NULL;
	struct rtkvm_host *host;
	int verdict;

	rtkvm_host_options_init(&opt, sizeof(opt));
	opt.only = id;
	opt.pid = strncmp(id, "vm-", 3) ? 0 : SIM_VM;
	opt.vm_facts = facts;
	if (flip->plan)
		ck_assert_int_eq(rtkvm_plan_parse(rt, flip->plan, &plan), 0);
	opt.plan = plan;
	ck_assert_msg(rtkvm_host_probe(rt, &opt, &host) == 0, "%s: %s", id, rtkvm_last_error());
	ck_assert_uint_eq(rtkvm_host_count(host), 1);
	check = rtkvm_host_find(host, id);
	ck_assert_ptr_nonnull(check);
	verdict = rtkvm_check_verdict(check);
	snprintf(value, sizeof(value), "%s", rtkvm_check_value(check));
	snprintf(remedy, sizeof(remedy), "%s", rtkvm_check_remedy(check));
	remedy_kind = rtkvm_check_remedy_kind(check);
	rtkvm_host_free(host);
	rtkvm_plan_free(plan);
	return verdict;
}

/* The other fact; the tree's own is moved to "aside". */
static void turn(const char *dir, const struct flip *flip)
{
	char full[1024], aside[1024];

	if (!flip->path)
		return;
	snprintf(full, sizeof(full), "%s/%s", dir, flip->path);
	snprintf(aside, sizeof(aside), "%s/aside", dir);
	ck_assert(rename(full, aside) == 0 || errno == ENOENT);
	if (flip->text && strchr(flip->text, '\1')) {
		size_t len = strlen(flip->text);
		char *text = strdup(flip->text);

		for (size_t i = 0; i < len; i++)
			text[i] = text[i] == '\1' ? '\0' : text[i];
		ck_assert_int_eq(sim_write_bytes(dir, flip->path, 0, text, len), 0);
		free(text);
	} else if (flip->size) {
		char command[2200];

		snprintf(command, sizeof(command), "cp --sparse=always %s %s", aside, full);
		ck_assert_int_eq(system(command), 0);
		ck_assert_int_eq(sim_write_bytes(dir, flip->path, flip->offset, &flip->number,
						 flip->size), 0);
	} else if (flip->text) {
		ck_assert_int_eq(sim_write(dir, flip->path, flip->text), 0);
	}
}

static void turn_back(const char *dir, const struct flip *flip)
{
	char full[1024], aside[1024];

	if (!flip->path)
		return;
	snprintf(full, sizeof(full), "%s/%s", dir, flip->path);
	snprintf(aside, sizeof(aside), "%s/aside", dir);
	if (unlink(full) < 0 && errno == EISDIR)
		ck_assert_int_eq(rmdir(full), 0);
	ck_assert(rename(aside, full) == 0 || errno == ENOENT);
}

static void check_remedy(const char *dir, const struct flip *flip)
{
	ck_assert_msg(remedy_kind != RTKVM_REMEDY_NONE, "%s: no remedy for: %s", flip->id, value);
	ck_assert_msg(remedy[0], "%s: empty remedy", flip->id);
	if (remedy_kind == RTKVM_REMEDY_COMMAND) {
		char script[1200];

		/* a shell understands it as it stands */
		snprintf(script, sizeof(script), "%s/remedy.sh", dir);
		ck_assert_int_eq(sim_write(dir, "remedy.sh", remedy), 0);
		snprintf(remedy, sizeof(remedy), "sh -n %.1000s", script);
		ck_assert_msg(system(remedy) == 0, "%s: no shell command", flip->id);
	}
}

static void each_tree(const char *name)
{
	const char *dir = test_fast_tmpdir();
	struct rtkvm *rt;

	ck_assert_int_eq(sim_make(dir, sim_named(name)), 0);
	rt = open_tree(dir);
	for (const struct flip *flip = flips; flip->id; flip++) {
		int verdict;

		if (strcmp(flip->tree, name))
			continue;
		verdict = ask_with(rt, flip, flip->good_facts);
		ck_assert_msg(verdict == RTKVM_VERDICT_OK, "%s: %s before: %s", flip->id,
			      rtkvm_verdict_name(verdict), value);
		turn(dir, flip);
		verdict = ask_with(rt, flip, flip->facts);
		ck_assert_msg(verdict == flip->verdict, "%s: %s, %s was expected, with another %s: %s",
			      flip->id, rtkvm_verdict_name(verdict), rtkvm_verdict_name(flip->verdict),
			      flip->path ? flip->path : flip->facts, value);
		check_remedy(dir, flip);
		turn_back(dir, flip);
		verdict = ask_with(rt, flip, flip->good_facts);
		ck_assert_msg(verdict == RTKVM_VERDICT_OK, "%s: %s after: %s", flip->id,
			      rtkvm_verdict_name(verdict), value);
	}
	rtkvm_free(rt);
}

START_TEST(flips_on_intel)
{
	each_tree("intel");
}
END_TEST

START_TEST(flips_on_amd)
{
	each_tree("amd");
}
END_TEST

static bool has_flip(const char *id, const struct flip *table)
{
	for (; table->id; table++)
		if (!strcmp(table->id, id))
			return true;
	return false;
}

START_TEST(every_check_has_a_flip)
{
	const struct flip none[] = { { .id = "another", .path = "" }, { .id = NULL } };
	size_t n = 0;

	for (; host_check_at(n); n++)
		ck_assert_msg(has_flip(host_check_at(n)->id, flips), "%s has no flip",
			      host_check_at(n)->id);
	/* and no flip without its check; the gate itself notices one that is missing */
	for (const struct flip *flip = flips; flip->id; flip++) {
		bool found = false;

		for (size_t i = 0; i < n; i++)
			found |= !strcmp(host_check_at(i)->id, flip->id);
		ck_assert_msg(found, "%s is no check", flip->id);
	}
	ck_assert(!has_flip(host_check_at(0)->id, none));
	printf("# figure: %zu checks, each with a flip\n", n);
}
END_TEST

START_TEST(checks_are_described)
{
	for (size_t i = 0; host_check_at(i); i++) {
		const struct host_check *c = host_check_at(i);

		ck_assert_msg(c->title && c->why && c->source && c->run, "%s", c->id);
		ck_assert_msg(c->why[strlen(c->why) - 1] == '.', "%s: %s", c->id, c->why);
		ck_assert_msg(strlen(c->id) < 24 && strspn(c->id, "abcdefghijklmnopqrstuvwxyz0123456789-")
			      == strlen(c->id), "%s", c->id);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(host_check_at(k)->id, c->id);
	}
}
END_TEST

enum form { GARBAGE, FOLDER, FIFO, LOOP, HUGE, BINARY, FORMS };

static void spoil(const char *dir, const struct flip *flip, enum form form)
{
	char full[1024], aside[1024], *huge;

	snprintf(full, sizeof(full), "%s/%s", dir, flip->path);
	snprintf(aside, sizeof(aside), "%s/aside", dir);
	ck_assert(rename(full, aside) == 0 || errno == ENOENT);
	switch (form) {
	case GARBAGE:
		ck_assert_int_eq(sim_write(dir, flip->path, "\x7f%s-[(\"\t12345678901234567890,x"), 0);
		break;
	case FOLDER:
		ck_assert_int_eq(mkdir(full, 0755), 0);
		break;
	case FIFO:
		ck_assert_int_eq(mkfifo(full, 0644), 0);
		break;
	case LOOP:
		ck_assert_int_eq(symlink(strrchr(full, '/') + 1, full), 0);
		break;
	case HUGE:
		huge = malloc(3 << 20);
		memset(huge, '7', 3 << 20);
		huge[(3 << 20) - 1] = '\0';
		ck_assert_int_eq(sim_write(dir, flip->path, huge), 0);
		free(huge);
		break;
	default:
		ck_assert_int_eq(sim_write_bytes(dir, flip->path, 0, "1\0002\n", 4), 0);
		break;
	}
}

/* Garbage never is as it should be; what is no text is unknown. */
START_TEST(malformed_is_unknown)
{
	const char *dir = test_fast_tmpdir();
	unsigned int unknown = 0;
	struct rtkvm *rt;

	ck_assert_int_eq(sim_make(dir, sim_named("intel")), 0);
	rt = open_tree(dir);
	for (const struct flip *flip = flips; flip->id; flip++) {
		if (strcmp(flip->tree, "intel") || !flip->path || !strcmp(flip->id, "virt-iommu") ||
		    !strcmp(flip->id, "sched-debug-kernel"))
			continue;
		for (int form = 0; form < FORMS; form++) {
			int verdict;

			spoil(dir, flip, form);
			verdict = ask_with(rt, flip, NULL);
			turn_back(dir, flip);
			/* a number is a number: binary ones cannot be malformed, names neither */
			if (flip->garbage == FREE)
				ck_assert_msg(flip->size || verdict != RTKVM_VERDICT_OK || form != GARBAGE ||
					      !strcmp(flip->id, "irq-irqbalance") ||
					      !strcmp(flip->id, "cpu-rcu-nocbs") ||
					      /* nohz_full says which CPUs, too */
					      !strcmp(flip->id, "cpu-numa") ||
					      !strcmp(flip->path, "proc/cmdline"),
					      "%s: ok with %s of form %d: %s", flip->id, flip->path, form,
					      value);
			else
				ck_assert_msg(verdict == RTKVM_VERDICT_UNKNOWN ||
					      (form == HUGE && verdict != RTKVM_VERDICT_OK),
					      "%s: %s with %s of form %d: %s", flip->id,
					      rtkvm_verdict_name(verdict), flip->path, form, value);
			unknown += verdict == RTKVM_VERDICT_UNKNOWN;
		}
	}
	ck_assert_uint_gt(unknown, 300);
	rtkvm_free(rt);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("host-flip");
	TCase *tcase = tcase_create("flip");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, flips_on_intel);
	tcase_add_test(tcase, flips_on_amd);
	tcase_add_test(tcase, every_check_has_a_flip);
	tcase_add_test(tcase, checks_are_described);
	tcase_add_test(tcase, malformed_is_unknown);
	suite_add_tcase(suite, tcase);
	return suite;
}
