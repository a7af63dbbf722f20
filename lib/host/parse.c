/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Texts of the kernel taken apart; see parse.h.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "parse.h"

/* End of the word at p, which may have blanks between double quotes. */
static const char *word_end(const char *p)
{
	bool quoted = false;

	for (; *p && (quoted || !isspace((unsigned char)*p)); p++)
		if (*p == '"')
			quoted = !quoted;
	return p;
}

/* Copy without quotes. */
static bool copy_unquoted(const char *from, const char *end, char *to, size_t size)
{
	size_t n = 0;

	for (; from < end; from++) {
		if (*from == '"')
			continue;
		if (n + 1 >= size)
			return false;
		to[n++] = *from;
	}
	to[n] = '\0';
	return true;
}

/* '-' and '_' are the same in names of parameters. */
static bool same_key(const char *word, const char *key, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char a = word[i] == '-' ? '_' : word[i], b = key[i] == '-' ? '_' : key[i];

		if (a != b)
			return false;
	}
	return true;
}

int host_cmdline_get(const char *cmdline, const char *key, char *value, size_t size)
{
	size_t len = strlen(key);
	int found = 0;

	value[0] = '\0';
	for (const char *p = cmdline; *p;) {
		const char *end, *word;

		while (isspace((unsigned char)*p))
			p++;
		if (!*p)
			break;
		end = word_end(p);
		word = *p == '"' ? p + 1 : p;
		p = end;
		if (end - word == 2 && !memcmp(word, "--", 2))
			break;
		if ((size_t)(end - word) < len || !same_key(word, key, len))
			continue;
		if (word + len == end || (word[len] == '"' && word + len + 1 == end)) {
			value[0] = '\0';
			found = 1;
		} else if (word[len] == '=') {
			found = 1;
			if (!copy_unquoted(word + len + 1, end, value, size)) {
				value[0] = '\0';
				return -EILSEQ;
			}
		}
	}
	return found;
}

int host_isolcpus_parse(const char *text, unsigned int *flags, struct rtkvm_cpus *cpus)
{
	static const struct {
		const char *name;
		unsigned int flag;
	} known[] = { { "nohz,", HOST_ISOL_NOHZ },
		      { "domain,", HOST_ISOL_DOMAIN },
		      { "managed_irq,", HOST_ISOL_MANAGED_IRQ } };
	size_t i;

	*flags = 0;
	do {
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			size_t len = strlen(known[i].name);

			if (!strncmp(text, known[i].name, len)) {
				*flags |= known[i].flag;
				text += len;
				break;
			}
		}
	} while (i < sizeof(known) / sizeof(known[0]));
	if (!*flags)
		*flags = HOST_ISOL_DOMAIN; /* the kernel's default */
	if (!*text)
		return -EINVAL;
	return rtkvm_cpus_parse_list(text, cpus, NULL);
}

bool host_bracketed(const char *text, char *word, size_t size)
{
	const char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;
	size_t len;

	if (!close)
		return false;
	len = (size_t)(close - open - 1);
	if (!len || len >= size)
		return false;
	memcpy(word, open + 1, len);
	word[len] = '\0';
	return true;
}

/* Whole or up to a blank; digits only. */
static bool unsigned_at(const char *p, uint64_t *value, const char **end)
{
	char *e;

	if (*p < '0' || *p > '9')
		return false;
	errno = 0;
	*value = strtoull(p, &e, 10);
	*end = e;
	return !errno;
}

static const char *line_of(const char *text, const char *name)
{
	size_t len = strlen(name);

	while (*text) {
		if (!strncmp(text, name, len))
			return text + len;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return NULL;
}

int host_limit_get(const char *limits, const char *name, uint64_t *value)
{
	const char *p = line_of(limits, name), *end;

	if (!p)
		return -ENOENT;
	if (*p != ' ')
		return -EILSEQ;
	p += strspn(p, " ");
	if (!strncmp(p, "unlimited", 9) && (p[9] == ' ' || !p[9] || p[9] == '\n')) {
		*value = UINT64_MAX;
		return 0;
	}
	return unsigned_at(p, value, &end) && (*end == ' ' || !*end || *end == '\n') ? 0 : -EILSEQ;
}

bool host_key_get(const char *text, const char *key, char *value, size_t size)
{
	size_t len = strlen(key);

	for (const char *p = text; (p = line_of(p, key));) {
		size_t n;

		/* the line may only begin like it; cpuinfo pads keys by tabs */
		p -= len;
		n = len + strspn(p + len, " \t");
		if (p[n] != ':') {
			p += strcspn(p, "\n");
			continue;
		}
		p += n + 1;
		p += strspn(p, " \t");
		n = strcspn(p, "\n");
		while (n && isspace((unsigned char)p[n - 1]))
			n--;
		if (n >= size)
			return false;
		memcpy(value, p, n);
		value[n] = '\0';
		return true;
	}
	return false;
}

int host_key_number(const char *text, const char *key, uint64_t *value)
{
	char word[64];
	const char *end;

	if (!host_key_get(text, key, word, sizeof(word)))
		return -ENOENT;
	if (!unsigned_at(word, value, &end))
		return -EILSEQ;
	return !*end || !strcmp(end, " kB") ? 0 : -EILSEQ;
}

bool host_release_parse(const char *text, unsigned int *major, unsigned int *minor)
{
	uint64_t a, b;
	const char *p;

	if (!unsigned_at(text, &a, &p) || *p != '.' || !unsigned_at(p + 1, &b, &p) ||
	    a > 1000 || b > 100000)
		return false;
	*major = (unsigned int)a;
	*minor = (unsigned int)b;
	return true;
}

int host_vectors_parse(const char *text,
		       void (*fn)(unsigned int cpu, unsigned int available, void *arg), void *arg)
{
	const char *p = strstr(text, "| CPU | avl");
	int rows = 0;

	if (!p)
		return -EILSEQ;
	for (p += strcspn(p, "\n"); *p == '\n'; p += strcspn(p, "\n")) {
		uint64_t cpu, available;
		const char *q = p + 1 + strspn(p + 1, " ");

		if (!unsigned_at(q, &cpu, &q) || cpu >= RTKVM_MAX_CPUS)
			break;
		q += strspn(q, " ");
		if (!unsigned_at(q, &available, &q) || available > 256)
			return -EILSEQ;
		fn((unsigned int)cpu, (unsigned int)available, arg);
		rows++;
		p++;
	}
	return rows ? rows : -EILSEQ;
}

bool host_is_word(const char *text)
{
	const char *p = text;

	while (isalnum((unsigned char)*p) || (*p && strchr("_-+.", *p)))
		p++;
	return p > text && !*p;
}

bool host_has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	while (*text) {
		size_t n = strcspn(text, " \t\n,");

		if (n == len && !memcmp(text, word, len))
			return true;
		text += n;
		text += *text != '\0';
	}
	return false;
}

int host_swaps_parse(const char *text, unsigned int *areas)
{
	*areas = 0;
	if (strncmp(text, "Filename", 8))
		return -EILSEQ;
	for (text = strchr(text, '\n'); text && text[1]; text = strchr(text + 1, '\n'))
		if (text[1] != '\n')
			++*areas;
	return 0;
}

int host_shell_get(const char *text, const char *name, char *value, size_t size)
{
	size_t len = strlen(name);
	int found = 0;

	value[0] = '\0';
	while (*text) {
		const char *end = text + strcspn(text, "\n"), *p = text;

		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		if (end - p > 7 && !strncmp(p, "export ", 7))
			p += 7;
		if ((size_t)(end - p) > len && !strncmp(p, name, len) && p[len] == '=') {
			const char *from = p + len + 1, *to;
			char quote = *from == '"' || *from == '\'' ? *from : '\0';

			from += quote != '\0';
			for (to = from; to < end && (quote ? *to != quote : !isspace((unsigned char)*to));)
				to++;
			if ((size_t)(to - from) >= size)
				return -EILSEQ;
			memcpy(value, from, (size_t)(to - from));
			value[to - from] = '\0';
			found = 1;
		}
		text = end + (*end == '\n');
	}
	return found;
}

bool host_banned_parse(const char *answer, struct rtkvm_cpus *cpus)
{
	const char *p = NULL;
	char mask[RTKVM_CPULIST_TEXT];
	size_t len;

	/* names of devices stand before it, one of them may be this word */
	for (const char *next = answer; (next = strstr(next, "BANNED ")); next++)
		p = next;
	if (!p)
		return false;
	p += strlen("BANNED ");
	len = strcspn(p, " \n");
	if (!len || len >= sizeof(mask) || p[len + strspn(p + len, " \n")])
		return false;
	memcpy(mask, p, len);
	mask[len] = '\0';
	return rtkvm_cpus_parse_mask(mask, cpus, NULL) == 0;
}

bool host_hex_parse(const char *text, uint64_t *value)
{
	char *end;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	if (!isxdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*value = strtoull(text, &end, 16);
	return !errno && !*end;
}
