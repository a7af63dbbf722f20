/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The model of ports that request-random.c goes by: who has which turn and which
 * request, what calls return, who lends to whom. It knows nothing of the library.
 *
 * One thing is the kernel's and not right: when a waiter goes, the lowering of
 * those whom it had raised stops at a thread that has waiters of two locks, and
 * threads behind that one stay raised (rt_mutex_adjust_prio_chain() ends where the
 * lock's first waiter is not the first of the thread). The model takes that for
 * allowed, only there, and only if nobody is raised further by it.
 */
#include <errno.h>

#include "sync/request-model.h"

struct model_worker mw[WORKERS];
struct model_port mp[PORTS];
struct model_seen model_seen;

/* The highest priorities since the last step, and those that are not lowered as they should be. */
static int last[WORKERS], stale[WORKERS];

int model_base(int w)
{
	return 10 + 3 * w;
}

int model_settled(void)
{
	int raised = 0;

	for (int w = 0; w < WORKERS; w++) {
		last[w] = model_effective(w);
		raised += last[w] > model_base(w);
	}
	return raised;
}

void model_raised(void)
{
	for (int w = 0; w < WORKERS; w++)
		if (model_effective(w) > last[w])
			last[w] = model_effective(w);
}

void model_new_thread(int w)
{
	stale[w] = 0;
}

/* The priority that those who wait for the turn of a port lend to who has it. */
static int lent_to_turn(int port)
{
	int most = 0, e;

	for (int w = 0; w < WORKERS; w++) {
		if (mw[w].calls != port || mp[port].turn == w)
			continue;
		e = model_effective(w);
		most = e > most ? e : most;
	}
	return most;
}

int model_effective(int w)
{
	int most = stale[w] > model_base(w) ? stale[w] : model_base(w), e, p = mw[w].calls;

	if (p != NONE && mp[p].turn == w) {
		e = lent_to_turn(p);
		most = e > most ? e : most;
	}
	p = mw[w].serves;
	if (p != NONE && mp[p].turn != NONE) {
		e = model_effective(mp[p].turn);
		most = e > most ? e : most;
	}
	return most;
}

/* Whom it waits for. */
static int waits_for(int w)
{
	int p = mw[w].calls;

	if (p == NONE)
		return NONE;
	return mp[p].turn == w ? mp[p].server : mp[p].turn;
}

/* Behind a thread that has waiters of two locks: of a turn, and of the request that it serves. */
static bool may_be_stale(int w)
{
	for (int y = 0; y < WORKERS; y++) {
		int p = mw[y].calls, behind = waits_for(y);

		if (p == NONE || mp[p].turn != y || !lent_to_turn(p) || mw[y].serves == NONE ||
		    mp[mw[y].serves].turn == NONE)
			continue;
		for (int n = 0; behind != NONE && n < WORKERS; n++, behind = waits_for(behind))
			if (behind == w)
				return true;
	}
	return false;
}

bool model_priority_is_right(int w, int prio, bool patient)
{
	int was = stale[w];

	stale[w] = 0;
	if (prio == model_effective(w))
		return true;
	stale[w] = was;
	if (prio < model_effective(w) || prio > last[w] || !(was || (patient && may_be_stale(w))))
		return false;
	stale[w] = prio;
	model_seen.stale++;
	return true;
}

void model_result(int w, int result)
{
	mw[w].calls = NONE;
	mw[w].result = result;
	mw[w].finished++;
	model_seen.results[-result & 255]++;
}

/* The turn is free: the highest of those who wait gets it; and posts, if it can. */
static void model_pass_turn(int port)
{
	struct model_port *p = &mp[port];
	int best = NONE;

	for (int w = 0; w < WORKERS; w++)
		if (mw[w].calls == port && (best == NONE || model_effective(w) > model_effective(best)))
			best = w;
	p->turn = best;
	p->posted = best != NONE && !p->holding;
	if (best != NONE)
		model_seen.handed++;
	if (p->posted)
		p->holding = mw[best].id;
}

/* The request in progress is no more: replied to, or died with the server. */
void model_done(int port, int result)
{
	struct model_port *p = &mp[port];

	p->holding = 0;
	if (p->turn != NONE && p->posted) {
		model_result(p->turn, result);
		p->turn = NONE;
		p->posted = false;
		model_pass_turn(port);
	} else if (p->turn != NONE) {
		p->posted = true;
		p->holding = mw[p->turn].id;
	}
}

void model_no_server(int port)
{
	mw[mp[port].server].serves = NONE;
	mp[port] = (struct model_port){ .server = NONE, .turn = NONE };
	for (int w = 0; w < WORKERS; w++)
		if (mw[w].calls == port)
			model_result(w, -ENOTCONN);
}

/* A client does not wait any longer, and has no result yet. */
void model_leaves(int w)
{
	int port = mw[w].calls;

	mw[w].calls = NONE;
	if (mp[port].turn != w)
		return;
	mp[port].turn = NONE;
	mp[port].posted = false;
	model_pass_turn(port);
}

static bool model_is_ring(int w, int port)
{
	for (int n = 0; n <= PORTS && port != NONE; n++) {
		int server = mp[port].server;

		if (server == w)
			return true;
		port = server == NONE ? NONE : mw[server].calls;
	}
	return false;
}

/* Whether the call waits. */
bool model_call(int w, int port, uint64_t id)
{
	struct model_port *p = &mp[port];

	mw[w].id = id;
	if (p->server == NONE || model_is_ring(w, port)) {
		model_result(w, p->server == NONE ? -ENOTCONN : -EDEADLK);
		return false;
	}
	mw[w].calls = port;
	if (mw[w].serves != NONE)
		model_seen.chains++;
	if (p->turn == NONE) {
		p->turn = w;
		p->posted = !p->holding;
		if (p->posted)
			p->holding = mw[w].id;
	}
	return true;
}
