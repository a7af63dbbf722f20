/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Labels of recorders: made harmless once, so that no export needs to think
 * about bytes that its format cannot hold.
 */
#include <string.h>

#include "recorder.h"

/* Length of the UTF-8 sequence at s, 0 when it is none that Unicode knows. */
static size_t sequence(const unsigned char *s)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 :
		     s[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* overlong forms, surrogates, beyond U+10FFFF */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

void latency_set_name(char name[LATENCY_NAME_MAX], const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t used = 0;

	while (*s) {
		size_t len = sequence(s);
		/* C0, DEL, and C1 as U+0080..U+009F: no format wants them */
		bool plain = len && *s >= ' ' && *s != 0x7f && !(s[0] == 0xc2 && s[1] < 0xa0);

		if (used + (plain ? len : 1) >= LATENCY_NAME_MAX)
			break;
		if (plain)
			memcpy(name + used, s, len);
		else
			name[used] = '?';
		used += plain ? len : 1;
		s += len ? len : 1;
	}
	name[used] = '\0';
}
