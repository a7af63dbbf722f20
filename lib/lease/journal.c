/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of a journal, written and read without touching any file; see
 * doc/design/journal.md. One line per record:
 *
 *   SEQ rtkvm-journal 1 boot UUID uid N pidns N owner PID:START root R lease NAME *CRC
 *   SEQ TIME knob KNOB INDEX OLD NEW *CRC
 *   SEQ TIME sched TID:START OLD NEW *CRC
 *   SEQ TIME cpus TID:START OLD NEW *CRC
 *   SEQ TIME take-knob KNOB INDEX OLD NEW *CRC
 *   SEQ TIME take-cpus TID:START OLD NEW *CRC
 *   SEQ TIME hold US *CRC
 *   SEQ TIME claim ID CPUS *CRC
 *   SEQ TIME partition ID KIND:CPUS:NODES *CRC
 *   SEQ TIME irqbalance ID CPUS *CRC
 *   SEQ TIME resctrl ID CPUS:SCHEMATA *CRC
 *   SEQ TIME target PID:START *CRC
 *   SEQ TIME watch PID:START *CRC
 *   SEQ TIME undone SEQ *CRC
 *   .
 *
 * The reader is strict: what this library would not have written, byte by
 * byte, is refused, for root acts on it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease_priv.h"

#define MAGIC "rtkvm-journal"
#define FORMAT 1
#define CRC_LEN 8
#define WORDS_MAX 16

/* CRC-32 of IEEE 802.3, as in gzip and zlib; four bits at a time. */
uint32_t rtkvm_crc32(const char *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = 0xffffffff;

	while (len--) {
		crc ^= (uint8_t)*data++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

/* Put the checksum after a line of len bytes. */
static size_t seal(char *out, int len)
{
	uint32_t crc;

	if (len < 0 || len >= RTKVM_LINE_MAX - CRC_LEN - 4)
		return 0;
	crc = rtkvm_crc32(out, (size_t)len);
	return (size_t)len +
	       (size_t)snprintf(out + len, RTKVM_LINE_MAX - (size_t)len, " *%08x\n", crc);
}

size_t rtkvm_journal_format_header(const struct rtkvm_journal_owner *owner,
				   char out[RTKVM_LINE_MAX])
{
	return seal(out, snprintf(out, RTKVM_LINE_MAX,
				  "0 " MAGIC " %d boot %s uid %u pidns %llu owner %d:%llu root %s "
				  "lease %s",
				  FORMAT, owner->boot_id, (unsigned int)owner->uid,
				  (unsigned long long)owner->pidns, (int)owner->pid,
				  (unsigned long long)owner->start,
				  owner->made_up ? "made-up" : "real", owner->name));
}

/* Changes of what has the lease's number in its name, or is of the lease as a whole. */
static const char *const own_words[] = {
	[RTKVM_CHANGE_CLAIM] = "claim",
	[RTKVM_CHANGE_PARTITION] = "partition",
	[RTKVM_CHANGE_IRQBALANCE] = "irqbalance",
	[RTKVM_CHANGE_RESCTRL] = "resctrl",
};

/* Those that name a process. */
static const char *const process_words[] = {
	[RTKVM_CHANGE_TARGET] = "target",
	[RTKVM_CHANGE_WATCH] = "watch",
};

static int process_kind(const char *word)
{
	return !strcmp(word, "target") ? RTKVM_CHANGE_TARGET :
	       !strcmp(word, "watch")  ? RTKVM_CHANGE_WATCH :
					 0;
}

/* 0: not one of them. */
static int own_kind(const char *word)
{
	for (size_t i = 0; i < sizeof(own_words) / sizeof(own_words[0]); i++)
		if (own_words[i] && !strcmp(word, own_words[i]))
			return (int)i;
	return 0;
}

size_t rtkvm_journal_format_change(const struct rtkvm_change *c, char out[RTKVM_LINE_MAX])
{
	unsigned long long time = c->time, start = c->start;
	int len = -1;

	switch (c->kind) {
	case RTKVM_CHANGE_KNOB:
		len = snprintf(out, RTKVM_LINE_MAX, "%u %llu %sknob %d %u %s %s", c->seq, time,
			       c->take ? "take-" : "", c->knob, c->index, c->before, c->after);
		break;
	case RTKVM_CHANGE_SCHED:
	case RTKVM_CHANGE_CPUS:
		len = snprintf(out, RTKVM_LINE_MAX, "%u %llu %s%s %d:%llu %s %s", c->seq, time,
			       c->take ? "take-" : "",
			       c->kind == RTKVM_CHANGE_CPUS ? "cpus" : "sched", (int)c->tid, start,
			       c->before, c->after);
		break;
	case RTKVM_CHANGE_HOLD:
		len = snprintf(out, RTKVM_LINE_MAX, "%u %llu hold %s", c->seq, time, c->after);
		break;
	case RTKVM_CHANGE_CLAIM:
	case RTKVM_CHANGE_PARTITION:
	case RTKVM_CHANGE_IRQBALANCE:
	case RTKVM_CHANGE_RESCTRL:
		len = snprintf(out, RTKVM_LINE_MAX, "%u %llu %s %llu %s", c->seq, time,
			       own_words[c->kind], start, c->after);
		break;
	case RTKVM_CHANGE_TARGET:
	case RTKVM_CHANGE_WATCH:
		len = snprintf(out, RTKVM_LINE_MAX, "%u %llu %s %d:%llu", c->seq, time,
			       process_words[c->kind], (int)c->tid, start);
		break;
	}
	return seal(out, len);
}

size_t rtkvm_journal_format_undone(unsigned int seq, uint64_t time, unsigned int undone,
				   char out[RTKVM_LINE_MAX])
{
	return seal(out, snprintf(out, RTKVM_LINE_MAX, "%u %llu undone %u", seq,
				  (unsigned long long)time, undone));
}

bool rtkvm_lease_name_ok(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len >= 1 && len <= RTKVM_NAME_MAX && !name[len];
}

bool rtkvm_boot_id_ok(const char *text)
{
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !strchr("0123456789abcdef", text[i]) || !text[i])
			return false;
	}
	return !text[36];
}

/* A number as this file writes it: no sign, no leading zero. */
static bool number(const char *p, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (*p == '0' && p[1])
		return false;
	if (!*p)
		return false;
	for (; *p; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (*p < '0' || *p > '9' || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return v <= max;
}

/* PID:START; cuts the word. */
static bool pair(char *word, pid_t *pid, uint64_t *start)
{
	char *colon = strchr(word, ':');
	uint64_t v;

	if (!colon)
		return false;
	*colon = '\0';
	if (!number(word, INT32_MAX, &v))
		return false;
	*pid = (pid_t)v;
	return number(colon + 1, UINT64_MAX, start);
}

static bool parse_header(struct rtkvm_journal_owner *o, char **w, int n)
{
	static const char *const labels[] = { "0", MAGIC, "1", "boot", NULL,    "uid",
					      NULL, "pidns", NULL, "owner", NULL, "root",
					      NULL, "lease", NULL };
	uint64_t uid;

	if (n != (int)(sizeof(labels) / sizeof(labels[0])))
		return false;
	for (int i = 0; i < n; i++)
		if (labels[i] && strcmp(w[i], labels[i]))
			return false;
	if (!rtkvm_boot_id_ok(w[4]) || !rtkvm_lease_name_ok(w[14]))
		return false;
	if (!number(w[6], UINT32_MAX, &uid) || !number(w[8], UINT64_MAX, &o->pidns) ||
	    !pair(w[10], &o->pid, &o->start))
		return false;
	if (strcmp(w[12], "real") && strcmp(w[12], "made-up"))
		return false;
	o->uid = (uid_t)uid;
	o->made_up = !strcmp(w[12], "made-up");
	memcpy(o->boot_id, w[4], sizeof(o->boot_id));
	snprintf(o->name, sizeof(o->name), "%s", w[14]);
	return true;
}

/* The change of that number; they are in order. */
static struct rtkvm_change *find_change(struct rtkvm_journal *j, uint64_t seq)
{
	size_t low = 0, high = j->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (j->changes[mid].seq == seq)
			return &j->changes[mid];
		if (j->changes[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static bool parse_undone(struct rtkvm_journal *j, char **w, int n)
{
	struct rtkvm_change *c;
	uint64_t which;

	if (n != 4 || !number(w[3], UINT32_MAX, &which))
		return false;
	c = find_change(j, which);
	if (!c || c->undone)
		return false;
	c->undone = true;
	return true;
}

/* What a lease is of, and whose. Before it there was nothing: "-". */
static bool parse_own(struct rtkvm_change *c, char **w, int n)
{
	static char none[] = "-";

	c->before = c->after = none;
	c->kind = process_kind(w[2]);
	if (n == 4 && c->kind)
		return pair(w[3], &c->tid, &c->start);
	if (n != 5 || !number(w[3], UINT64_MAX, &c->start))
		return false;
	c->kind = own_kind(w[2]);
	c->after = w[4];
	return true;
}

/* Words of a change after SEQ and TIME. The texts still belong to the line. */
static bool parse_words(struct rtkvm_change *c, char **w, int n)
{
	uint64_t a, b;

	if (own_kind(w[2]) || process_kind(w[2]))
		return parse_own(c, w, n) && rtkvm_change_valid(c);
	if (!strncmp(w[2], "take-", 5) && strcmp(w[2], "take-sched") != 0) {
		c->take = true;
		w[2] += 5;
	}
	if (!strcmp(w[2], "knob") && n == 7 && number(w[3], INT32_MAX, &a) &&
	    number(w[4], UINT32_MAX, &b)) {
		c->kind = RTKVM_CHANGE_KNOB;
		c->knob = (int)a;
		c->index = (unsigned int)b;
		c->before = w[5];
		c->after = w[6];
	} else if ((!strcmp(w[2], "sched") || !strcmp(w[2], "cpus")) && n == 6) {
		c->kind = w[2][0] == 's' ? RTKVM_CHANGE_SCHED : RTKVM_CHANGE_CPUS;
		c->before = w[4];
		c->after = w[5];
		if (!pair(w[3], &c->tid, &c->start))
			return false;
	} else if (!strcmp(w[2], "hold") && n == 4) {
		c->kind = RTKVM_CHANGE_HOLD;
		c->after = w[3];
	} else {
		return false;
	}
	return rtkvm_change_valid(c);
}

int rtkvm_journal_add(struct rtkvm_journal *j, struct rtkvm_change *c)
{
	/* room for 16, 32, 64 and so on */
	if (!j->count || (j->count >= 16 && !(j->count & (j->count - 1)))) {
		size_t room = j->count ? 2 * j->count : 16;
		struct rtkvm_change *more = realloc(j->changes, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		j->changes = more;
	}
	j->changes[j->count++] = *c;
	memset(c, 0, sizeof(*c));
	return 0;
}

static int parse_change(struct rtkvm_journal *j, char **w, int n, uint64_t time)
{
	struct rtkvm_change c = { .seq = j->next_seq, .time = time };
	const char *before, *after;

	if (!parse_words(&c, w, n))
		return -EBADMSG;
	before = c.before;
	after = c.after;
	c.before = before ? strdup(before) : NULL;
	c.after = strdup(after);
	if (!c.after || (before && !c.before) || rtkvm_journal_add(j, &c) < 0) {
		rtkvm_change_clear(&c);
		return -ENOMEM;
	}
	return 0;
}

/* Split at single spaces; 0: not so, or too many words. */
static int split(char *line, char **w)
{
	int n = 0;

	for (;;) {
		char *space = strchr(line, ' ');

		if (n == WORDS_MAX || !*line || space == line)
			return 0;
		w[n++] = line;
		if (!space)
			return n;
		*space = '\0';
		line = space + 1;
	}
}

/* One record without its checksum. */
static int parse_record(struct rtkvm_journal *j, char *line)
{
	char *w[WORDS_MAX];
	uint64_t seq, time;
	int n = split(line, w), ret;

	if (n < 3 || !number(w[0], UINT32_MAX, &seq) || seq != j->next_seq)
		return -EBADMSG;
	if (seq == 0) {
		if (!parse_header(&j->owner, w, n))
			return -EBADMSG;
	} else {
		if (!number(w[1], UINT64_MAX, &time))
			return -EBADMSG;
		if (!strcmp(w[2], "undone"))
			ret = parse_undone(j, w, n) ? 0 : -EBADMSG;
		else
			ret = parse_change(j, w, n, time);
		if (ret < 0)
			return ret;
	}
	j->next_seq++;
	return 0;
}

/* One line of len bytes, without its line feed. */
static int parse_line(struct rtkvm_journal *j, const char *text, size_t len)
{
	char line[RTKVM_LINE_MAX], crc[CRC_LEN + 4];
	size_t body = len - CRC_LEN - 2;

	if (len < CRC_LEN + 3 || len >= sizeof(line))
		return -EBADMSG;
	snprintf(crc, sizeof(crc), " *%08x", rtkvm_crc32(text, body));
	if (memcmp(text + body, crc, CRC_LEN + 2))
		return -EBADMSG;
	memcpy(line, text, body);
	line[body] = '\0';
	return parse_record(j, line);
}

/* Is it what a record number next_seq begins with, as far as it goes? */
static bool begins_record(const struct rtkvm_journal *j, const char *text, size_t len)
{
	const char *star = memchr(text, '*', len);
	char start[48];
	size_t n;

	if (j->next_seq)
		n = (size_t)snprintf(start, sizeof(start), "%u ", j->next_seq);
	else
		n = (size_t)snprintf(start, sizeof(start), "0 " MAGIC " %d boot ", FORMAT);
	if (memcmp(text, start, len < n ? len : n) || len >= RTKVM_LINE_MAX)
		return false;
	return !star || (size_t)(text + len - star) <= CRC_LEN;
}

/*
 * The end without a line feed. A record is written in one go with the end
 * mark after it, so only something else than a kill leaves part of one.
 * Anything but the beginning of a record is damage.
 */
static int parse_tail(struct rtkvm_journal *j, const char *text, size_t len)
{
	int ret = parse_line(j, text, len);

	if (ret == 0) {
		j->unterminated = true;
		j->valid += len;
	} else if (ret == -EBADMSG && begins_record(j, text, len)) {
		snprintf(j->tail, sizeof(j->tail), "%.*s", (int)(len < 47 ? len : 47), text);
		ret = 0;
	}
	return ret;
}

static int refuse(char why[RTKVM_WHY_MAX], int ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(char why[RTKVM_WHY_MAX], int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, RTKVM_WHY_MAX, fmt, ap);
	va_end(ap);
	return ret;
}

/* Take the end mark off; its own line feed may be missing. */
static bool cut_end(const char *text, size_t *len)
{
	static const char end[] = "\n" RTKVM_JOURNAL_END;
	size_t n = sizeof(end) - 1;

	for (; n > 1; n--)
		if (*len >= n && !memcmp(text + *len - n, end, n))
			break;
	/* only the line feed of the last record, or not even that */
	if (n < sizeof(end) - 2)
		return false;
	*len -= n - 1;
	return true;
}

int rtkvm_journal_parse(const char *text, size_t len, struct rtkvm_journal *j,
			char why[RTKVM_WHY_MAX])
{
	size_t at = 0;
	int ret = 0;

	memset(j, 0, sizeof(*j));
	why[0] = '\0';
	for (size_t i = 0; i < len; i++)
		if (text[i] != '\n' && (text[i] < ' ' || text[i] > '~'))
			return refuse(why, -EBADMSG, "byte %zu is not text", i);
	j->torn = !cut_end(text, &len);
	while (at < len && ret == 0) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end ? (size_t)(end - text) - at : len - at;

		ret = end ? parse_line(j, text + at, n) : parse_tail(j, text + at, n);
		at += n + 1;
		if (ret == 0 && end)
			j->valid = at;
	}
	j->headless = j->next_seq == 0;
	if (ret == -EBADMSG)
		return refuse(why, ret, "line %u is not a valid record", j->next_seq + 1);
	return ret ? refuse(why, ret, "no memory to read it") : 0;
}

size_t rtkvm_journal_open_changes(const struct rtkvm_journal *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->count; i++)
		n += !j->changes[i].undone;
	return n;
}

void rtkvm_journal_clear(struct rtkvm_journal *j)
{
	for (size_t i = 0; i < j->count; i++)
		rtkvm_change_clear(&j->changes[i]);
	free(j->changes);
	memset(j, 0, sizeof(*j));
}
