/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Negative controls of killpoints, linked in place of the real functions by
 * -Wl,--wrap. BROKEN_UNDO: one handler claims that its knob is as before and
 * writes nothing. BROKEN_ORDER: the change is made before it is journaled.
 * With either killpoints must fail, or it shows nothing.
 */
#include <stdio.h>

#include "lease/lease_priv.h"

#ifdef BROKEN_UNDO
int __real_rtkvm_change_read(struct rtkvm *rt, const struct rtkvm_change *c, char *out);
int __wrap_rtkvm_change_read(struct rtkvm *rt, const struct rtkvm_change *c, char *out);
int __real_rtkvm_change_write(struct rtkvm *rt, const struct rtkvm_change *c, const char *text);
int __wrap_rtkvm_change_write(struct rtkvm *rt, const struct rtkvm_change *c, const char *text);

static bool is_broken(const struct rtkvm_change *c)
{
	return c->kind == RTKVM_CHANGE_KNOB && c->knob == RTKVM_KNOB_STAT_INTERVAL;
}

int __wrap_rtkvm_change_read(struct rtkvm *rt, const struct rtkvm_change *c, char *out)
{
	if (!is_broken(c))
		return __real_rtkvm_change_read(rt, c, out);
	snprintf(out, RTKVM_VALUE_MAX, "%s", c->before);
	return 0;
}

int __wrap_rtkvm_change_write(struct rtkvm *rt, const struct rtkvm_change *c, const char *text)
{
	return is_broken(c) ? 0 : __real_rtkvm_change_write(rt, c, text);
}
#endif

#ifdef BROKEN_ORDER
int __real_rtkvm_store_add(struct rtkvm *rt, struct rtkvm_store *s, struct rtkvm_change *c);
int __wrap_rtkvm_store_add(struct rtkvm *rt, struct rtkvm_store *s, struct rtkvm_change *c);

int __wrap_rtkvm_store_add(struct rtkvm *rt, struct rtkvm_store *s, struct rtkvm_change *c)
{
	int ret = rtkvm_change_write(rt, c, c->after);

	return ret < 0 ? ret : __real_rtkvm_store_add(rt, s, c);
}
#endif
