/* SPDX-License-Identifier: MIT */
/* Noting things in a result; all bounded, what does not fit is cut off. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "result.h"

#define ROOM(array) (sizeof(array) / sizeof((array)[0]))

/* snprintf() where cutting off is what is wanted. */
static void copy(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

void result_setting(struct result *result, const char *what, const char *asked, const char *got,
		    bool same)
{
	struct setting *s = NULL;

	for (uint32_t i = 0; i < result->settings; i++)
		if (!strcmp(result->setting[i].what, what))
			s = &result->setting[i];
	if (!s) {
		if (result->settings == ROOM(result->setting))
			return;
		s = &result->setting[result->settings++];
		copy(s->what, sizeof(s->what), what);
		copy(s->asked, sizeof(s->asked), asked);
		s->same = true;
	}
	copy(s->got, sizeof(s->got), got);
	s->same = s->same && same;
}

void result_feature(struct result *result, const char *name, const char *state, const char *reason)
{
	struct feature *f;

	if (result->features == ROOM(result->feature))
		return;
	f = &result->feature[result->features++];
	copy(f->name, sizeof(f->name), name);
	copy(f->state, sizeof(f->state), state);
	copy(f->reason, sizeof(f->reason), reason);
}

void result_note(struct result *result, const char *fmt, ...)
{
	va_list ap;

	if (result->notes == ROOM(result->note))
		return;
	va_start(ap, fmt);
	vsnprintf(result->note[result->notes++], sizeof(result->note[0]), fmt, ap);
	va_end(ap);
}

void result_left_out(struct result *result, const char *fmt, ...)
{
	char text[sizeof(result->omission[0])];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (uint32_t i = 0; i < result->left_out; i++)
		if (!strcmp(result->omission[i], text))
			return;
	if (result->left_out < ROOM(result->omission))
		copy(result->omission[result->left_out++], sizeof(text), text);
}
