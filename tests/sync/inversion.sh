#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# No priority inversion through the condition variable, where glibc's has it.
# It is the order of events that counts: whether the thread of high priority is
# served while one of middle priority is still computing.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

run() {
	local status=0
	timeout -k 1 60 "$top_builddir/tests/sync/inversion" "$1" "$2" >"$tmp/out" || status=$?
	grep '^#' "$tmp/out"
	return $status
}
run ours 1 >/dev/null
if [ $? = 77 ]; then
	skip "inversion" "SCHED_FIFO is refused"
	finish
fi
for limit in 100 1000; do
	check "high waits for low alone, middle would compute for $limit ms" run ours $limit
	refuse "control: with glibc's it waits for middle, $limit ms" run glibc $limit
done
finish
