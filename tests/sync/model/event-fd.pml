/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An event with a descriptor: two that set, one in poll(2)
 * (lib/sync/event-fd.c). An event that is not heard of is an invalid end state.
 *
 * Mutant: FLAG_FIRST, the flag goes down before the descriptor is read.
 */
byte produced;
bit flag, readable;

active [2] proctype setter()
{
	byte n;
	bit was;

	do
	:: n == 2 -> break
	:: else ->
		produced++;
		atomic { was = flag; flag = 1 };
		if
		:: !was -> readable = 1
		:: else
		fi;
		n++
	od
}

active proctype taker()
{
	byte seen;

	do
	:: seen == 4 -> break
	:: else ->
		readable; /* poll */
#ifdef FLAG_FIRST
		flag = 0;
		readable = 0;
#else
		readable = 0;
		flag = 0;
#endif
		seen = produced
	od
}
