/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writer of the option string, in reference spelling and order, and the names
 * of policies and roles. No stdio: printing is RT-safe.
 */
#include <errno.h>
#include <string.h>

#include "spec.h"

struct out {
	char *buf;
	size_t size;
	size_t len; /* of the whole text, also where it did not fit */
};

static void put(struct out *out, const char *text)
{
	for (; *text; text++, out->len++)
		if (out->len + 1 < out->size)
			out->buf[out->len] = *text;
}

static void put_number(struct out *out, int value)
{
	char text[3] = { (char)('0' + value / 10), (char)('0' + value % 10), '\0' };

	put(out, value < 10 ? text + 1 : text);
}

const char *plan_policy_name(int policy)
{
	switch (policy) {
	case RTKVM_POLICY_FF:
		return "ff";
	case RTKVM_POLICY_RR:
		return "rr";
	default:
		return "ts";
	}
}

const char *plan_role_name(int role)
{
	static const char *const names[RTKVM_ROLE_COUNT] = { "main", "io", "vcpu", "aio",
							     "helper" };

	return role >= 0 && role < RTKVM_ROLE_COUNT ? names[role] : "unknown";
}

int plan_spec_print(const struct plan_spec *spec, char *buf, size_t len)
{
	static const char *const names[PLAN_KEYS] = { "maxprio=", ",policy=", ",aioprio=",
						      ",aiopolicy=", ",pvsched=" };
	struct out out = { .buf = buf, .size = buf ? len : 0 };

	for (int key = 0; key < PLAN_KEYS; key++) {
		int value = spec->value[key];

		if (value == PLAN_UNSAID)
			continue;
		put(&out, names[key]);
		if (key == PLAN_POLICY || key == PLAN_AIOPOLICY)
			put(&out, plan_policy_name(value));
		else if (key == PLAN_PVSCHED)
			put(&out, value ? "on" : "off");
		else
			put_number(&out, value);
	}
	if (out.size)
		out.buf[out.len < out.size ? out.len : out.size - 1] = '\0';
	return (int)out.len;
}
