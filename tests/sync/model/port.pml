/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A port: a client that makes three requests and may lose patience, a server
 * that may die at any step, what the kernel does then, and a new thread that
 * gets its id (lib/sync/port-client.c, port-server.c; in the kernel
 * handle_futex_death(), exit_pi_state_list(), futex_lock_pi()). The turn is not
 * modelled: there is one client. A client that hangs is an invalid end state.
 *
 * Mutants: NO_RECHECK, the client does not look whether the server lives after
 * writing its id; REPLY_FIRST, the kernel comes to the reply word before it
 * comes to "alive"; BY_STATE, the client takes a reply by the state instead of
 * by the word; NO_PREPARE, it posts although the word is the server's;
 * PREPARE_BY_STATE, it believes the state when that says that the slot is free.
 * Looking for a while, and yielding, are no steps: they change nothing, and any
 * thread may be slow anywhere.
 */
mtype = { FREE, POSTED, TAKEN, DONE, ABANDONED };
#define NOBODY 0
#define SERVER 1
#define CLIENT 2
#define REQUESTS 3

mtype state = FREE;
byte alive = SERVER, reply = NOBODY;
byte slot;       /* number of the request, and of the one replied to */
bit waiting;     /* the client, in FUTEX_LOCK_PI for the server's word */
bit dying, gone; /* the server */
bit reused;      /* its id is another's */
bit finished;    /* the client */

inline change(from, to, ok)
{
	atomic {
		if
		:: state == from -> state = to; ok = 1
		:: else -> ok = 0
		fi
	}
}

#define MAY_DIE if :: skip :: goto dead fi

active proctype server()
{
	byte r;
	bit ok;

	do
	:: finished -> goto done
	:: goto dead
	:: state == POSTED ->
		change(POSTED, TAKEN, ok);
		if
		:: ok ->
			MAY_DIE;
			r = slot;
			MAY_DIE;
			slot = r;
			MAY_DIE;
			change(TAKEN, DONE, ok);
			MAY_DIE;
			if
			:: !ok -> state = FREE; MAY_DIE
			:: else
			fi;
			atomic { /* the word's compare-and-swap, or FUTEX_UNLOCK_PI */
				if
				:: reply == SERVER && waiting -> reply = CLIENT; waiting = 0
				:: reply == SERVER && !waiting -> reply = NOBODY
				:: else
				fi
			}
		:: else
		fi
	od;
dead:
	dying = 1;
#ifndef REPLY_FIRST
	alive = NOBODY;
#endif
	atomic {
		if
		:: reply == SERVER -> reply = NOBODY
		:: else
		fi
	};
#ifdef REPLY_FIRST
	alive = NOBODY;
#endif
	atomic {
		if
		:: waiting -> waiting = 0; reply = CLIENT
		:: else
		fi
	};
	gone = 1;
	reused = 1;
done:
	skip
}

/* FUTEX_LOCK_PI(reply), once. timed: it may run out of time, and did. */
inline lock_pi(timed)
{
	atomic {
		if
		:: reply != SERVER -> reply = CLIENT
		:: reply == SERVER && !dying -> waiting = 1
		:: reply == SERVER && dying && !gone -> skip
		:: reply == SERVER && gone && !reused -> skip
		:: else -> assert(false) /* waits for a stranger, and raises it */
		fi
	};
	if
	:: !waiting && (reply != SERVER || gone) -> skip
	:: dying && !waiting && gone -> skip
	:: timed == 0 && may_time_out -> atomic {
		if
		:: waiting -> waiting = 0; timed = 1
		:: else
		fi
	}
	fi
}

active proctype client()
{
	byte n;
	bit ok, timed, may_time_out, clean;
	mtype was;

	do
	:: n == REQUESTS -> break
	:: else ->
		n++;
		if
		:: alive != SERVER -> break
		:: else
		fi;
		may_time_out = 0;
		timed = 0;
#ifdef PREPARE_BY_STATE
		clean = state == FREE;
#else
		clean = reply == NOBODY;
		if
		:: clean -> clean = state == FREE
		:: else
		fi;
#endif
#ifndef NO_PREPARE
		do
		:: clean -> break
		:: !clean && reply == SERVER && !gone -> lock_pi(timed)
		:: !clean && (reply != SERVER || gone) -> break
		od;
#endif
		if
		:: clean
		:: else -> reply = NOBODY; state = FREE
		fi;
		slot = n;
		reply = SERVER;
		state = POSTED;
#ifndef NO_RECHECK
		if
		:: alive != SERVER ->
			change(POSTED, FREE, ok);
			break
		:: else
		fi;
#endif
		may_time_out = 1;
		do
#ifdef BY_STATE
		:: state == DONE -> break
#endif
		:: reply == SERVER -> lock_pi(timed);
			if
			:: timed -> break
			:: else
			fi
		:: reply != SERVER -> break
		od;
		if
		:: timed ->
			change(POSTED, FREE, ok);
			if
			:: ok -> reply = NOBODY; goto next
			:: else
			fi;
			change(TAKEN, ABANDONED, ok);
			if
			:: ok -> goto next
			:: else
			fi;
			may_time_out = 0;
			do
			:: reply == SERVER && alive == SERVER -> lock_pi(timed)
			:: else -> break
			od
		:: else
		fi;
		was = state;
		if
		:: was == DONE -> assert(slot == n)
		:: else -> assert(alive != SERVER)
		fi;
		reply = NOBODY;
		state = FREE;
next:
		skip
	od;
	finished = 1
}
