#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Leases killed at every step, on a made-up tree and, as root, on this host;
# and the same with a library that is broken on purpose, which must be found.
: "${top_srcdir:?}" "${top_builddir:?}"
killpoints=$top_builddir/tests/fault/killpoints
broken_undo=$top_builddir/tests/fault/rtkvm-broken-undo
broken_order=$top_builddir/tests/fault/changes-broken-order
n=0

# expect WANTED NAME ARGUMENT...
expect() {
	wanted=$1 name=$2
	shift 2
	n=$((n + 1))
	text=$("$killpoints" "$@")
	status=$?
	echo "$text" | sed 's/^\([^#]\)/# \1/'
	if [ $status -eq 77 ]; then
		echo "ok $n - $name # SKIP $(echo "$text" | tail -n 1)"
	elif [ $status -eq "$wanted" ]; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name (status $status)"
	fi
}

echo 1..8
expect 0 'owner killed at every step, made-up tree' tree
expect 0 'restore killed at every step, made-up tree' tree-restore
expect 0 'owner killed at every step, this host' host
expect 0 'restore killed at every step, this host' host-restore
expect 0 'CPU lease killed at every step, made-up tree' cpus
expect 0 'restore of a CPU lease killed at every step, made-up tree' cpus-restore
expect 1 'a handler that does not undo is found' -b "$broken_undo" -s 9 tree
expect 1 'a change before its record is found' -c "$broken_order" tree
