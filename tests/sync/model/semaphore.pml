/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A semaphore with hand-off (lib/sync/semaphore.c): two post EACH tokens,
 * two wait for EACH, a stray wake-up in between. A lost token leaves a
 * waiter asleep: an invalid end state.
 *
 * Mutants: NO_SECOND_WAKE, a post whose hand-off found nobody asleep does not
 * look for waiters again; NO_THIRD_WAKE, nor one whose grant was taken by a
 * waiter that it did not wake; NO_GRANT, a wake-up alone is a token.
 */
#ifndef EACH
#define EACH 1
#endif

byte free, waiters, granted, seen;
byte asleep, woken; /* in the kernel: sleeping, and on their way out */
byte got;
bit strays = 1;

inline wake(n)
{
	atomic {
		seen = (seen + 1) % 32;
		if
		:: asleep > 0 -> asleep--; woken++; n = 1
		:: else -> n = 0
		fi
	}
}

inline decrement(counter, ok)
{
	atomic {
		if
		:: counter > 0 -> counter--; ok = 1
		:: else -> ok = 0
		fi
	}
}

active [2] proctype poster()
{
	byte i, n;
	bit ok;

	do
	:: i == EACH -> break
	:: else ->
		ok = 0;
		if
		:: waiters > 0 ->
			granted++;
			wake(n);
			if
			:: n -> ok = 1
			:: else ->
				decrement(granted, ok);
				ok = 1 - ok;
#ifndef NO_THIRD_WAKE
				if
				:: ok && waiters > 0 -> wake(n)
				:: else
				fi
#endif
			fi
		:: else
		fi;
		if
		:: ok
		:: else ->
			free++;
#ifndef NO_SECOND_WAKE
			if
			:: waiters > 0 -> wake(n)
			:: else
			fi
#endif
		fi;
		i++
	od
}

active proctype stray()
{
	byte n;

	atomic {
		if
		:: asleep > 0 -> asleep--; woken++
		:: true
		fi
	};
	n = 0
}

active [2] proctype waiter()
{
	byte i, s;
	bit ok, slept;

	do
	:: i == EACH -> break
	:: else ->
		ok = 0;
		if
		:: waiters == 0 -> decrement(free, ok)
		:: else
		fi;
		if
		:: ok
		:: else ->
			waiters++;
			do
			:: ok -> break
			:: else ->
				s = seen;
				decrement(free, ok);
				if
				:: ok -> break
				:: else
				fi;
				atomic {
					if
					:: s == seen -> asleep++; slept = 1
					:: else -> slept = 0
					fi
				};
				if
				:: slept ->
					atomic { woken > 0 -> woken-- };
#ifdef NO_GRANT
					ok = 1; granted = granted - (granted > 0 -> 1 : 0)
#else
					decrement(granted, ok)
#endif
				:: else
				fi
			od;
			waiters--
		fi;
		got++;
		i++
	od;
	assert(got + free + granted <= 2 * EACH)
}
