#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How many system calls things take, counted by strace.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

program=$top_builddir/tests/sync/syscalls
times=100
# its leak checker does not work under ptrace
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

# Calls of all threads between the marks, a name a line; "0" if strace cannot.
calls() {
	local status=0
	strace -f -qq -e signal=none -o "$tmp/trace" "$program" "$1" $times >/dev/null || status=$?
	[ $status = 0 ] || return $status
	sed -E 's/^[0-9]+ +//' "$tmp/trace" | grep -v resumed | sed -E 's/\(.*//' |
		awk '/^getpgid$/ { on = !on; next } on'
}

# case, calls per time, of which change parameters
counted() {
	local what=$1 list status=0 all changes
	list=$(calls "$what") || status=$?
	if [ $status = 77 ]; then
		skip "$what" "SCHED_FIFO is refused"
		return
	fi
	[ $status = 0 ] || { not_ok "$what" "exit status $status"; return; }
	all=$(grep -c . <<<"$list")
	changes=$(grep -cE '^sched_set' <<<"$list")
	equal "$2" "$((all * 100 / times)) $((changes * 100 / times))" "$(($3 * 100)) $(($4 * 100))"
}

# Calls of futex in a pair of one wait and one signal, the waiter being asleep.
pair() {
	local list status=0 all
	list=$(calls "$1") || status=$?
	[ $status = 0 ] || { not_ok "$1" "exit status $status"; return; }
	all=$(grep -c '^futex' <<<"$list")
	# that the thread begins and ends is in it
	check "$2 ($all in $times)" test "$all" -ge $(($3 * times)) -a "$all" -le $(($3 * times + 5))
}

if ! have strace; then
	skip "system calls" "no strace"
	finish
fi
if ! strace -qq -o /dev/null true 2>/dev/null; then
	skip "system calls" "strace is not allowed here"
	finish
fi
counted plain "plain mutex: none" 0 0
counted static-at "ceiling STATIC, at it: none" 0 0
counted static-above "ceiling STATIC, above it: none" 0 0
counted checked "ceiling CHECKED: none" 0 0
counted eager "ceiling EAGER, below it: two looks and two changes" 4 2
counted static-below "ceiling STATIC, below it: the same" 4 2
counted nested "a lower ceiling within a higher one: none" 0 0
counted signal "a signal without a waiter: none" 0 0
pair pairs "a wait and a signal after unlocking: two, with all locks and unlocks" 2
pair pairs-locked "a wait and a signal before unlocking: three, with the hand-over" 3
finish
