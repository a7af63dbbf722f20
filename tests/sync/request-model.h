/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A model of ports: threads that call and serve them, by number. Each step of
 * request-random.c is made here as well.
 */
#ifndef RTKVM_TEST_REQUEST_MODEL_H
#define RTKVM_TEST_REQUEST_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define WORKERS 10
#define PORTS 3
#define NONE (-1)

struct model_worker {
	int serves;        /* port or NONE */
	int calls;         /* port or NONE */
	uint64_t id;       /* of the call */
	uint32_t finished; /* calls and opens */
	int result;
};

struct model_port {
	int server;       /* worker or NONE */
	uint64_t holding; /* the request in progress, 0: none */
	int turn;         /* the client that has the turn, NONE: nobody has */
	bool posted;      /* and the request in progress is the turn's */
};

extern struct model_worker mw[WORKERS];
extern struct model_port mp[PORTS];

/* What has happened, and how often; results by errno. */
struct model_seen {
	uint64_t results[256], chains, handed, stale;
};
extern struct model_seen model_seen;

/* Priority of a thread without what is lent, and with. */
int model_base(int w);
int model_effective(int w);

/* Whether prio is allowed; patient: what is not right yet will not become so by itself. */
bool model_priority_is_right(int w, int prio, bool patient);

/* All is at rest; how many threads are raised. */
int model_settled(void);

/* In the middle of a step, which will lower them again. */
void model_raised(void);

/* The thread has ended, and is made anew. */
void model_new_thread(int w);

/* Whether the call waits. */
bool model_call(int w, int port, uint64_t id);

/* A call, or an open, of w has ended. */
void model_result(int w, int result);

/* The request in progress is no more: replied to, or died with the server. */
void model_done(int port, int result);

void model_no_server(int port);

/* A client does not wait any longer, and has no result yet. */
void model_leaves(int w);

#endif
