/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the cheapest request between two threads of one CPU costs whoever makes
 * it: a word that says "posted", a word for the reply, and only the calls without
 * which nobody would run; nothing is checked, and nobody's end is noticed.
 */
#ifndef RTKVM_TEST_REQUEST_FLOOR_H
#define RTKVM_TEST_REQUEST_FLOOR_H

#include <stdbool.h>
#include <stdint.h>

struct floor {
	uint32_t posted __attribute__((aligned(64)));
	uint32_t server_sleeps;
	uint32_t reply __attribute__((aligned(64))); /* lends: the server's id until it replies */
	uint32_t client_sleeps;
	bool lends; /* the client waits by FUTEX_LOCK_PI, else by FUTEX_WAIT */
	bool stop;
	uint32_t server; /* its id, once floor_serve() runs */
};

/* The server: until floor_stop(). */
void floor_serve(struct floor *f);

void floor_call(struct floor *f, uint64_t times);
void floor_stop(struct floor *f);

#endif
