#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The independent meter of the svm host: its count of entries into a guest is KVM's
# count of exits, to the last one, while the guest is known to have had its events;
# its count of instructions is that of the guest's program, and of the clock where
# the clock counts instructions; and the same bit for bit whenever it is run.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"
. "$top_srcdir/tests/emulated/metered.sh"

need_host svm --meter
entries=$top_builddir/tests/emulated/svm/entries
common=(--host svm --flavour "$flavour" --cpus 2 --boot-limit 900 --limit 120 --meter --file "$entries")

# ---- as fast as it can, a thread for each CPU ---------------------------------------

host "${common[@]}" --out "$tmp/fast" "$entries 10 1000" "taskset 1 ./entries 20 1000" \
	"taskset 2 ./entries 30 1000" "taskset 2 ./entries 40 1"
equal "two CPUs and the meter" "$status" 0
[ "$status" = 0 ] || said
meter=$tmp/fast/meter
check "1000 events: entries are exits" agree "$meter" "$out" 10 1000
agree "$meter" "$out" 10 1000 | sed 's/^/# /'
check "1000 events on CPU 0: entries are exits" agree "$meter" "$out" 20 1000
equal "all of them on CPU 0" "$(metered "$meter" 20 entries 1)" 0
check "1000 events on CPU 1: entries are exits" agree "$meter" "$out" 30 1000
equal "all of them on CPU 1" "$(metered "$meter" 30 entries 0)" 0
# mov, 1000 times out, dec and jnz, hlt
equal "the guest's instructions are those of its program" "$(metered "$meter" 10 guest)" 3002
equal "on the CPU where it ran" "$(metered "$meter" 30 guest 0) $(metered "$meter" 30 guest 1)" "0 3002"
check "a single event: entries are exits" agree "$meter" "$out" 40 1
check "the meter wrote its file to the end" grep -qx end "$meter"

host "${common[@]}" --cpus 1 --miscount 100 --out "$tmp/wrong" "$entries 10 1000"
equal "a meter that leaves out every 100th entry: the run itself is well" "$status" 0
[ "$status" = 0 ] || said
equal "its events came" "$(printed "$out" 10 events)" 1000
refuse "control: but meter and KVM do not agree" agree "$tmp/wrong/meter" "$out" 10 1000

# ---- deterministic --------------------------------------------------------------------

only_long "the meter in three deterministic runs"
# Three times the same, the third beside a busy loop.
for run in 1 2 3; do
	if [ $run = 3 ]; then
		(while :; do :; done) &
		load=$!
	fi
	host "${common[@]}" --deterministic --out "$tmp/run$run" "$entries 10 1000" "$entries 20 100" \
		"taskset 1 ./entries 30 100" "taskset 2 ./entries 40 100"
	if [ $run = 3 ]; then
		kill "$load"
		wait "$load" 2> /dev/null
	fi
	equal "deterministic, run $run" "$status" 0
	[ "$status" = 0 ] || said
	printf '%s\n' "$out" > "$tmp/run$run/printed"
	# without what is counted when QEMU has been told to end and its thread still runs
	grep -v ' label=0 ' "$tmp/run$run/meter" > "$tmp/run$run/marks"
done
meter=$tmp/run1/marks
out=$(cat "$tmp/run1/printed")
head -n 2 "$meter" | sed 's/^/# /'
for label in 10 20 30 40; do
	events=100
	[ $label != 10 ] || events=1000
	check "deterministic, label $label: entries are exits" agree "$meter" "$out" $label $events
done
equal "one thread runs both CPUs, and the meter tells them apart" \
	"$(for label in 30 40; do metered "$meter" $label guest 0; metered "$meter" $label guest 1; done | xargs)" \
	"302 0 0 302"
# The clock advances by one for each instruction, on whichever CPU.
beside() { echo $(($(printed "$out" "$1" tsc) - $(metered "$meter" "$1" instructions))); }
check "a loop has its million times two instructions" test "$(metered "$meter" 12 instructions)" -ge 2000000
for label in 12 22 32 42; do
	few=$(beside $label)
	check "instructions of a loop are those of the clock, but for $few beside the marks" \
		test "$few" -ge 0 -a "$few" -le 20
done
for run in 2 3; do
	check "every count of run $run is that of run 1" cmp "$meter" "$tmp/run$run/marks"
	check "so is what the programs saw" cmp "$tmp/run1/printed" "$tmp/run$run/printed"
done
# that equal files are no matter of course: two machines that are not deterministic
refuse "control: not deterministic, counts of equal runs differ" test \
	"$(metered "$tmp/fast/meter" 20 instructions)" = "$(metered "$tmp/fast/meter" 30 instructions)"
finish
