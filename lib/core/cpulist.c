/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sets of CPUs, spelled as the kernel does (Documentation/admin-guide/
 * kernel-parameters.rst, "cpu lists"; bitmap_parse() for masks).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpulist.h"

#define BITS 64

void rtkvm_cpus_clear(struct rtkvm_cpus *cpus)
{
	memset(cpus, 0, sizeof(*cpus));
}

void rtkvm_cpus_add(struct rtkvm_cpus *cpus, unsigned int cpu)
{
	if (cpu < RTKVM_MAX_CPUS)
		cpus->bits[cpu / BITS] |= 1UL << (cpu % BITS);
}

bool rtkvm_cpus_has(const struct rtkvm_cpus *cpus, unsigned int cpu)
{
	return cpu < RTKVM_MAX_CPUS && (cpus->bits[cpu / BITS] >> (cpu % BITS) & 1);
}

bool rtkvm_cpus_equal(const struct rtkvm_cpus *a, const struct rtkvm_cpus *b)
{
	return !memcmp(a, b, sizeof(*a));
}

bool rtkvm_cpus_subset(const struct rtkvm_cpus *part, const struct rtkvm_cpus *whole)
{
	for (unsigned int i = 0; i < RTKVM_CPULIST_WORDS; i++)
		if (part->bits[i] & ~whole->bits[i])
			return false;
	return true;
}

void rtkvm_cpus_and(struct rtkvm_cpus *cpus, const struct rtkvm_cpus *other)
{
	for (unsigned int i = 0; i < RTKVM_CPULIST_WORDS; i++)
		cpus->bits[i] &= other->bits[i];
}

unsigned int rtkvm_cpus_count(const struct rtkvm_cpus *cpus)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < RTKVM_CPULIST_WORDS; i++)
		n += (unsigned int)__builtin_popcountl(cpus->bits[i]);
	return n;
}

int rtkvm_cpus_next(const struct rtkvm_cpus *cpus, unsigned int from)
{
	for (unsigned int i = from / BITS; i < RTKVM_CPULIST_WORDS; i++) {
		unsigned long word = cpus->bits[i];

		if (i == from / BITS)
			word &= ~0UL << (from % BITS);
		if (word)
			return (int)(i * BITS) + __builtin_ctzl(word);
	}
	return -1;
}

/* A decimal number below limit; NULL when there is none. */
static const char *number(const char *p, unsigned int limit, unsigned int *value)
{
	unsigned int v = 0;

	if (*p < '0' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (unsigned int)(*p - '0');
		if (v >= limit)
			return NULL;
	}
	*value = v;
	return p;
}

/* One element N, N-M or N-M:used/group; NULL with *bad where it is wrong. */
static const char *element(const char *p, struct rtkvm_cpus *cpus, const char **bad)
{
	unsigned int first, last, used = 1, group = 1;
	const char *q;

	*bad = p;
	q = number(p, RTKVM_MAX_CPUS, &first);
	if (!q)
		return NULL;
	last = first;
	if (*q == '-') {
		*bad = p = q + 1;
		q = number(p, RTKVM_MAX_CPUS, &last);
		if (!q || last < first)
			return NULL;
		if (*q == ':') {
			*bad = p = q + 1;
			q = number(p, RTKVM_MAX_CPUS, &used);
			if (!q || *q != '/')
				return NULL;
			*bad = p = q + 1;
			q = number(p, RTKVM_MAX_CPUS, &group);
			if (!q || !used || used > group)
				return NULL;
		}
	}
	for (unsigned int cpu = first; cpu <= last; cpu++)
		if ((cpu - first) % group < used)
			rtkvm_cpus_add(cpus, cpu);
	return q;
}

int rtkvm_cpus_parse_list(const char *text, struct rtkvm_cpus *cpus, size_t *position)
{
	const char *p = text, *bad = text;

	rtkvm_cpus_clear(cpus);
	if (!*p)
		return 0;
	while ((p = element(p, cpus, &bad))) {
		if (!*p)
			return 0;
		bad = p;
		if (*p++ != ',')
			break;
	}
	if (position)
		*position = (size_t)(bad - text);
	return -EINVAL;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Groups of up to eight digits, the least significant last. */
int rtkvm_cpus_parse_mask(const char *text, struct rtkvm_cpus *cpus, size_t *position)
{
	size_t end = strlen(text);
	unsigned int base = 0, digits = 0;

	rtkvm_cpus_clear(cpus);
	if (!end)
		return 0;
	while (end--) {
		unsigned int bit = base + digits * 4;
		int value = hex(text[end]);

		if (text[end] == ',' && digits && end) {
			base += 32;
			digits = 0;
			continue;
		}
		if (value < 0 || digits == 8 || (value && bit >= RTKVM_MAX_CPUS)) {
			if (position)
				*position = end;
			return -EINVAL;
		}
		for (unsigned int i = 0; i < 4; i++)
			if (value >> i & 1)
				rtkvm_cpus_add(cpus, bit + i);
		digits++;
	}
	if (!digits) {
		if (position)
			*position = 0;
		return -EINVAL;
	}
	return 0;
}

static int append(char *buf, size_t size, size_t *len, int n)
{
	if (n < 0 || *len + (size_t)n >= size) {
		if (size)
			buf[0] = '\0';
		return -ENOSPC;
	}
	*len += (size_t)n;
	return 0;
}

int rtkvm_cpus_print_list(const struct rtkvm_cpus *cpus, char *buf, size_t size)
{
	size_t len = 0;
	int first = -1;

	if (!size)
		return -ENOSPC;
	buf[0] = '\0';
	while ((first = rtkvm_cpus_next(cpus, (unsigned int)(first + 1))) >= 0) {
		const char *comma = len ? "," : "";
		int last = first, n;

		while (rtkvm_cpus_has(cpus, (unsigned int)last + 1))
			last++;
		if (last > first)
			n = snprintf(buf + len, size - len, "%s%d-%d", comma, first, last);
		else
			n = snprintf(buf + len, size - len, "%s%d", comma, first);
		if (append(buf, size, &len, n) < 0)
			return -ENOSPC;
		first = last;
	}
	return (int)len;
}

int rtkvm_cpus_print_mask(const struct rtkvm_cpus *cpus, char *buf, size_t size)
{
	bool started = false;
	size_t len = 0;

	if (!size)
		return -ENOSPC;
	for (int group = RTKVM_MAX_CPUS / 32 - 1; group >= 0; group--) {
		unsigned int v = (unsigned int)(cpus->bits[group / 2] >> (group % 2 * 32));
		int n;

		if (!started && !v && group)
			continue;
		n = started ? snprintf(buf + len, size - len, ",%08x", v) :
			      snprintf(buf + len, size - len, "%x", v);
		if (append(buf, size, &len, n) < 0)
			return -ENOSPC;
		started = true;
	}
	return (int)len;
}
