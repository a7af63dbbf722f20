#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a dedicated CPU costs, in instructions, which the meter outside counts in
# deterministic runs: an exit through the thread of the vCPU, all CPUs together, against
# one of an ordinary vCPU of the same kernel. And what the series costs who does not use
# it: boot, and a CPU that goes offline and comes back, against a kernel without it.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"
. "$top_srcdir/tests/emulated/metered.sh"
. "$top_srcdir/tests/emulated/payloads.sh"

need_host svm --meter
exits=3000
cpu3=/sys/devices/system/cpu/cpu3/online
common=(--host svm --cpus 4 --flavour "$flavour" --deterministic --meter --boot-limit 600 --limit 300)

# Of the host, per exit; the idle loop is in it.
per_exit() { # COMMAND
	local kept label instructions guest
	kept=$(printf '%s/exits/%03d' "$tmp" "$1")
	label=$(figure meter.label < "$kept/output")
	instructions=$(metered "$tmp/exits/meter" "$label" instructions)
	guest=$(metered "$tmp/exits/meter" "$label" guest)
	[ "$(figure exits < "$kept/output")" -gt $((3 * exits)) ] || return
	echo $(((instructions - guest) / exits))
}
host "${common[@]}" --out "$tmp/exits" --file "$top_builddir/tests/emulated/dedcpu/guests" \
	"exec ./guests exits -1 $exits 0" "echo 0 > $cpu3; ./guests exits 3 $exits 0" \
	"true; ./guests exits 3 $exits 500000; r=\$?; echo 1 > $cpu3; exit \$r"
equal "exits, counted" "$status" 0
[ "$status" = 0 ] || said 40
stock=$(per_exit 1) sleeps=$(per_exit 2) polls=$(per_exit 3)
echo "# instructions of the host for an exit: ordinary $stock, dedicated, polled $polls, sleeping $sleeps"
check "an ordinary exit is counted" test "${stock:-0}" -gt 1000
check "polled: at most twice as many" test "${polls:-0}" -gt 1000 -a "$polls" -le $((2 * stock))
check "sleeping: at most four times" test "$sleeps" -le $((4 * stock))
check "control: sleeping is more than polled" test "$sleeps" -gt $((polls * 5 / 4))

only_long "beside a kernel without the series"
[ "$flavour" != ci ] || { skip "beside a kernel without the series" "checkers are most of what a ci kernel executes"; finish; }
# Instructions until the first program runs, and of 20 times offline and online.
boot_and_hotplug() { # NAME OPTION...
	local name=$1
	shift
	host "${common[@]}" "$@" --out "$tmp/$name" --file "$top_builddir/tests/emulated/dedcpu/mark" "exec ./mark 100" \
		"for i in \$(seq 20); do echo 0 > $cpu3; echo 1 > $cpu3; done" "exec ./mark 101"
	equal "$name: 20 times offline and online" "$status" 0
	[ "$status" = 0 ] || said 40
	total "$tmp/$name/meter" 100
	total "$tmp/$name/meter" 101
}
total() { # METER LABEL: all instructions until then, of all CPUs
	totals+=("$(awk -v label="label=$2" '$2 == label {
		for (i = 1; i <= NF; i++)
			if ($i ~ /^cpu[0-9]+\.instructions=/) { split($i, f, "="); s += f[2] }
		print s }' "$1")")
}
# shellcheck disable=SC2317 # called by check
near() { # A B: within 2 %
	[ "$1" -gt 0 ] && [ $(($1 > $2 ? ($1 - $2) * 50 : ($2 - $1) * 50)) -le "$2" ]
}
totals=()
boot_and_hotplug "with the series"
boot_and_hotplug "without it" --stock
echo "# boot: ${totals[0]} instructions, without the series ${totals[2]};" \
	"offline and online: $(((totals[1] - totals[0]) / 20)), without $(((totals[3] - totals[2]) / 20))"
check "boot within 2 %" near "${totals[0]}" "${totals[2]}"
check "offline and online within 2 %" near $((totals[1] - totals[0])) $((totals[3] - totals[2]))
refuse "control: a tenth more would be noticed" near $((totals[0] * 11 / 10)) "${totals[2]}"
finish
