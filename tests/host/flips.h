/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of flips: for each check one fact of a tree in which it is fine,
 * and what it says when that fact is otherwise.
 */
#ifndef RTKVM_FLIPS_H
#define RTKVM_FLIPS_H

struct flip {
	const char *id;
	const char *tree; /* of sim_named() */
	const char *path; /* the file that differs; it has more forms below */
	const char *text; /* what it has then; NULL: it is not there */
	int verdict;	  /* what the check then says */
	/*
	 * Where the text may be anything (names, command lines), garbage is no
	 * malformed input.
	 */
	enum { STRICT, FREE } garbage;
	long offset;	     /* of a binary number; 0 with size 0: text */
	unsigned int size;
	unsigned long long number;
	const char *facts; /* of the VM, in place of a file: path is NULL */
	const char *good_facts;
	const char *plan; /* that the VM is held against, or NULL */
};

/* Ended by one without id. */
extern const struct flip flips[];

#endif
