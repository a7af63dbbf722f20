/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bell of a queue: two producers, one consumer (lib/sync/queue.c, ring()
 * and push(); queue-pop.c, rtkvm_queue_pop_wait()). A lost ring is a consumer
 * that sleeps for ever: an invalid end state.
 *
 * Mutants: LOOK_FIRST, the consumer looks before it arms; RING_FIRST, the
 * producer looks at armed before it publishes; NO_EXCHANGE, producers take
 * armed down by a store.
 */
#define EACH 2
#define ALL 4

byte filled, taken, rings, waits;
bit armed, asleep;

inline wake()
{
	atomic { asleep = 0 }
}

inline ring()
{
#ifdef NO_EXCHANGE
	if
	:: armed -> armed = 0; rings++; wake()
	:: else
	fi
#else
	if
	:: armed ->
		atomic { was = armed; armed = 0 };
		if
		:: was -> rings++; wake()
		:: else
		fi
	:: else
	fi
#endif
}

active [2] proctype producer()
{
	byte n;
	bit was;

	do
	:: n == EACH -> break
	:: else ->
#ifdef RING_FIRST
		was = armed;
		filled++;
		if
		:: was -> armed = 0; rings++; wake()
		:: else
		fi;
#else
		filled++;
		ring();
#endif
		n++
	od
}

active proctype consumer()
{
	bit nothing;

	do
	:: taken == ALL -> break
	:: filled > taken -> taken++
	:: else ->
#ifdef LOOK_FIRST
		nothing = (filled == taken);
#endif
		waits++;
		armed = 1;
#ifndef LOOK_FIRST
		nothing = (filled == taken);
#endif
		if
		:: nothing ->
			/* FUTEX_WAIT: the kernel compares and sleeps in one */
			atomic {
				if
				:: armed -> asleep = 1
				:: else
				fi
			};
			!asleep
		:: else
		fi;
		armed = 0
	od;
	assert(rings <= waits)
}
