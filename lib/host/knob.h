/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The most common check: one file with one value, and the value it should
 * have. A knob is the argument of such a check.
 */
#ifndef RTKVM_HOST_KNOB_H
#define RTKVM_HOST_KNOB_H

#include "host.h"

enum host_knob_kind {
	HOST_KNOB_EQUAL,    /* number == want */
	HOST_KNOB_AT_LEAST, /* number >= want */
	HOST_KNOB_AT_MOST,  /* number <= want */
	HOST_KNOB_YES,	    /* Y, 1: a boolean of a module */
	HOST_KNOB_NO,	    /* N, 0 */
	HOST_KNOB_WORD,	    /* text is wants_text */
	HOST_KNOB_CHOICE,   /* the word in brackets is one of the words of want_text */
};

struct host_knob {
	const char *path;
	const char *folder; /* shows that the file could be there; see read.h */
	const char *absent; /* what its absence means */
	enum host_knob_kind kind;
	int bad; /* verdict when it is otherwise */
	int64_t want;
	int64_t low, high; /* what the kernel can show; both 0: 0 to 2^31 - 1 */
	const char *want_text;
	const char *known; /* all words of a choice */
	const char *write; /* what to write; NULL: want */
	const char *means; /* what the bad value does, after "VALUE: " */
	const char *module, *parameter; /* of a module: the remedy when it is read-only */
	const char *flag; /* of the CPU, without which KVM clears the parameter; NULL: none */
};

void host_check_knob(struct host_facts *facts, const struct host_check *check,
		     struct host_finding *f);

/* The remedy of a module parameter: written at run time, or at the next load. */
void host_module_remedy(struct host_facts *facts, struct host_finding *f, const char *module,
			const char *parameter, const char *value);

/* The remedy of a sysctl or a file of sysfs. */
void host_write_remedy(struct host_finding *f, const char *path, const char *value);

#endif
