#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The rtkvm command on made-up trees, and the example of a lease: outputs,
# JSON, exit statuses.
: "${top_srcdir:?}" "${top_builddir:?}"
rtkvm=$top_builddir/tools/rtkvm
example=$top_builddir/tests/tools/lease
changes=$top_builddir/tests/fault/changes
export ASAN_OPTIONS=detect_leaks=0

work=$(mktemp -d "${TMPDIR:-/tmp}/rtkvm-command-XXXXXX") || exit 99
owner=
clean_up() {
	[ -z "$owner" ] || kill "$owner" 2>/dev/null
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP
root=$work/root
state=$work/state
mkdir -p "$root/proc/sys/vm" "$root/proc/sys/kernel/random"
interval=$root/proc/sys/vm/stat_interval
echo 1 >"$interval"
echo 6a1c6cf2-6b0e-4c51-9f3a-0e1a3f4f7a55 >"$root/proc/sys/kernel/random/boot_id"

. "$top_srcdir/tests/support/expect.sh"

tree() {
	"$rtkvm" --root "$root" --state-dir "$state" "$@"
}

is() {
	if [ "$(cat "$interval")" = "$1" ]; then
		result yes "$2"
	else
		result no "$2"
	fi
}

echo 1..46
expect 0 '^usage:' 'help' "$rtkvm" --help
expect 0 '^rtkvm [0-9.]* (library' 'version' "$rtkvm" version
expect 0 '^rtkvm [0-9.]* (library' '--version' "$rtkvm" --version
expect 2 '^usage:' 'no command' "$rtkvm"
expect 2 'no command "frobnicate"' 'unknown command' "$rtkvm" frobnicate
expect 2 'unrecognized' 'unknown option' "$rtkvm" --frobnicate
expect 2 'does not know "now"' 'argument too many' "$rtkvm" restore now
expect 2 '/no/such/tree' 'root that is not there' "$rtkvm" --root /no/such/tree status
expect 2 'absolute' 'state directory that is not absolute' "$rtkvm" --state-dir x status
for command in doctor plan dedicate run attach detach release status restore latency version; do
	expect 0 "^usage: rtkvm $command" "$command --help" "$rtkvm" "$command" --help
done
expect 0 '^usage: rtkvm plan' 'help after other arguments' "$rtkvm" plan maxprio=80 -h
expect 2 'does not know "--halp"' 'what is not --help' "$rtkvm" status --halp
# 0, or 1 when a guard has something to say of this host
status=0
"$rtkvm" plan maxprio=80,policy=ff >"$work/plan" 2>&1 || status=$?
expect 0 'vcpu *SCHED_FIFO  *79' 'plan' cat "$work/plan"
expect 0 '^[01]$' 'plan: exit status' echo "$status"
expect 2 'position' 'wrong plan' "$rtkvm" plan maxprio=80,policy=xx
expect 2 'takes a plan' 'plan of nothing' "$rtkvm" plan
# a tree whose kernel throttles, which is warned of, and one with too few CPUs, which is refused
planned=$work/planned
mkdir -p "$planned/proc/sys/kernel" "$planned/proc/self" "$planned/sys/devices/system/cpu"
echo 0-3 >"$planned/sys/devices/system/cpu/online"
echo 'Linux version 6.1.0 (a@b) #1 SMP PREEMPT_DYNAMIC' >"$planned/proc/version"
echo 6.1.0 >"$planned/proc/sys/kernel/osrelease"
printf 'Cpus_allowed_list:\t0-3\n' >"$planned/proc/self/status"
echo 950000 >"$planned/proc/sys/kernel/sched_rt_runtime_us"
echo 1000000 >"$planned/proc/sys/kernel/sched_rt_period_us"
plan() { "$rtkvm" --root "$planned" --state-dir "$state" plan policy=ff,maxprio=2 "$@"; }
expect 0 '^! guard-throttle' 'a guard that warns' plan --vcpus 2 --cpus 0-3
expect 0 '"status": *0' 'a guard that warns, as JSON' plan --vcpus 2 --cpus 0-3 --json
expect 1 '^! guard-overcommit' 'a guard that refuses' plan --vcpus 8 --cpus 0-3
expect 1 '"status": *1' 'a guard that refuses, as JSON' plan --vcpus 8 --cpus 0-3 --json

expect 0 '^nothing is leased' 'status of nothing' tree status
expect 0 '^nothing to restore' 'restore of nothing' tree restore

"$changes" -r "$root" -s "$state" -n demo knob:6:0:120 die 2>/dev/null
is 120 'a dead owner left a change'
expect 1 '^! demo .*rtkvm restore' 'status of a dead owner' tree status
is 120 'status changes nothing'
expect 1 '"problems": *1' 'status as JSON' tree status --json
expect 0 'demo/stat-interval.*as before: 1' 'restore' tree -v restore
is 1 'restore gave it back'
expect 0 '"items": *\[' 'restore as JSON' tree --json restore

mkfifo "$work/end"
"$changes" -r "$root" -s "$state" -n alive knob:6:0:60 wait <"$work/end" >/dev/null &
owner=$!
exec 3>"$work/end"
while [ "$(cat "$interval")" = 1 ]; do sleep 0.1; done
expect 0 'alive/stat-interval.*verified.*60; 1 before' 'status of a living owner' tree status
expect 0 'alive .*owner lives' 'restore leaves it alone' tree restore
exec 3>&-
wait "$owner"
owner=

mkdir -p "$state/leases"
: >"$state/leases/notes"
expect 1 'journal notes.*refused' 'a file that is no journal' tree restore
rm "$state/leases/notes"

# without a state directory of its own: below the root, for root and for others
export HOME="$work/home"
unset XDG_STATE_HOME
expect 0 '^released vm.stat_interval = 1$' 'example' "$example" --root "$root"
"$example" --root "$root" --crash >"$work/out" 2>"$work/err"
is 120 'example that crashes'
expect 0 'example/stat-interval' 'its restore' "$rtkvm" --root "$root" restore
is 1 'which gave it back'
