/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reader of the option string. Strict: what the reference QEMU would not have
 * printed, or its documented aliases, is refused, with the position. Numbers
 * are plain decimals without sign, blanks or leading zeros, so that a text in
 * reference order comes back from the printer as it was.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spec.h"

#define SYNTAX "maxprio=P[,policy=ff|rr|ts][,aioprio=P][,aiopolicy=ff|rr|ts][,pvsched=on|off]"

/* Longest piece of the text that an error repeats. */
#define SHOWN 24

struct parser {
	struct rtkvm *rt;
	const char *text;
	struct plan_spec *spec;
	size_t at[PLAN_KEYS];  /* where the value of each option stands */
	size_t len[PLAN_KEYS]; /* and how long it is */
};

struct word {
	const char *word;
	int value;
};

static const struct word keys[] = {
	{ "maxprio", PLAN_MAXPRIO },   { "policy", PLAN_POLICY },
	{ "aioprio", PLAN_AIOPRIO },   { "aiopolicy", PLAN_AIOPOLICY },
	{ "pvsched", PLAN_PVSCHED },   { "paioprio", PLAN_AIOPRIO },
	{ NULL, 0 },
};

static const struct word policies[] = {
	{ "ff", RTKVM_POLICY_FF },   { "rr", RTKVM_POLICY_RR },    { "ts", RTKVM_POLICY_TS },
	{ "fifo", RTKVM_POLICY_FF }, { "other", RTKVM_POLICY_TS }, { NULL, 0 },
};

static const struct word switches[] = { { "on", 1 }, { "off", 0 }, { NULL, 0 } };

static const struct word *find(const struct word *words, const char *text, size_t len)
{
	for (; words->word; words++)
		if (strlen(words->word) == len && !memcmp(words->word, text, len))
			return words;
	return NULL;
}

/* What stands at an offset is not what was expected there. */
static int refuse(struct parser *p, size_t at, size_t len, const char *expected)
{
	char found[SHOWN + 8];

	if (!p->text[at])
		snprintf(found, sizeof(found), "the text ends");
	else
		snprintf(found, sizeof(found), "\"%.*s\"%s", len > SHOWN ? SHOWN : len ? (int)len : 1,
			 p->text + at, len > SHOWN ? "..." : "");
	return rtkvm_fail(p->rt, EINVAL, "thread plan", "write " SYNTAX,
			  "position %zu: %s, where %s was expected", at + 1, found, expected);
}

static int refuse_value(struct parser *p, int key, const char *expected)
{
	return refuse(p, p->at[key], p->len[key], expected);
}

/* 0 to 99, as the printer writes it. */
static bool number(const char *text, size_t len, int *value)
{
	if (len < 1 || len > 2 || (len == 2 && text[0] == '0'))
		return false;
	*value = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*value = *value * 10 + (text[i] - '0');
	}
	return true;
}

static int take_value(struct parser *p, int key)
{
	const char *text = p->text + p->at[key];
	const struct word *word;

	switch (key) {
	case PLAN_MAXPRIO:
	case PLAN_AIOPRIO:
		if (!number(text, p->len[key], &p->spec->value[key]))
			return refuse_value(p, key, "a priority from 0 to 99");
		return 0;
	case PLAN_PVSCHED:
		word = find(switches, text, p->len[key]);
		if (!word)
			return refuse_value(p, key, "on or off");
		break;
	default:
		word = find(policies, text, p->len[key]);
		if (!word)
			return refuse_value(p, key, "a policy (ff, rr or ts)");
		break;
	}
	p->spec->value[key] = word->value;
	return 0;
}

/* One element KEY=VALUE from offset at; *end receives the offset after it. */
static int take_element(struct parser *p, size_t at, size_t *end)
{
	size_t len = strcspn(p->text + at, ",");
	const char *eq = memchr(p->text + at, '=', len);
	size_t key_len = eq ? (size_t)(eq - (p->text + at)) : len;
	const struct word *key = find(keys, p->text + at, key_len);

	if (!key)
		return refuse(p, at, key_len,
			      "an option (maxprio, policy, aioprio, aiopolicy or pvsched)");
	if (p->spec->value[key->value] != PLAN_UNSAID)
		return refuse(p, at, key_len, "an option that was not given before");
	if (!eq)
		return refuse(p, at + key_len, 0, "\"=\" and a value");
	p->at[key->value] = at + key_len + 1;
	p->len[key->value] = len - key_len - 1;
	*end = at + len;
	return take_value(p, key->value);
}

/* What the values mean together. */
static int check(struct parser *p)
{
	const int *v = p->spec->value;
	bool rt = v[PLAN_POLICY] != RTKVM_POLICY_TS;
	bool aio_said = v[PLAN_AIOPOLICY] != PLAN_UNSAID;
	bool aio_rt = aio_said ? v[PLAN_AIOPOLICY] != RTKVM_POLICY_TS : rt;
	char expected[64];

	if (v[PLAN_MAXPRIO] == PLAN_UNSAID)
		return refuse(p, strlen(p->text), 0, "maxprio=P");
	if (rt && v[PLAN_MAXPRIO] < 2)
		return refuse_value(p, PLAN_MAXPRIO,
				    "2 to 99 (a vCPU runs one level below, and 0 is not real-time)");
	if (aio_rt && !rt && v[PLAN_AIOPRIO] == PLAN_UNSAID)
		return refuse_value(p, PLAN_AIOPOLICY,
				    "ts, or aioprio=P as well (main has no priority to follow)");
	if (v[PLAN_AIOPRIO] == PLAN_UNSAID)
		return 0;
	if (!aio_rt && v[PLAN_AIOPRIO] > 0)
		return refuse_value(p, PLAN_AIOPRIO,
				    "0, or nothing (the AIO policy is ts, which has no priority)");
	snprintf(expected, sizeof(expected), "1 to maxprio (%d)", v[PLAN_MAXPRIO]);
	if (aio_rt && (v[PLAN_AIOPRIO] < 1 || v[PLAN_AIOPRIO] > v[PLAN_MAXPRIO]))
		return refuse_value(p, PLAN_AIOPRIO, expected);
	return 0;
}

int plan_spec_parse(struct rtkvm *rt, const char *text, struct plan_spec *spec)
{
	struct parser p = { .rt = rt, .text = text, .spec = spec };
	size_t at = 0;
	int ret;

	for (int i = 0; i < PLAN_KEYS; i++)
		spec->value[i] = PLAN_UNSAID;
	for (;;) {
		ret = take_element(&p, at, &at);
		if (ret < 0)
			return ret;
		if (!text[at])
			return check(&p);
		at++;
	}
}
