#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The independent meter of the vmx host: its count of VM entries is KVM's count of
# exits, to the last one, reason by reason, while the guest is known to have had its
# events; its count of instructions is that of the guest's program; and the same bit
# for bit whenever a deterministic machine is run.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"
. "$top_srcdir/tests/emulated/metered.sh"

need_host vmx
entries=$top_builddir/tests/emulated/svm/entries
common=(--host vmx --flavour "$flavour" --cpus 2 --limit 60 --meter --file "$entries")

host "${common[@]}" --out "$tmp/fast" "$entries 10 1000" "taskset 1 ./entries 20 1000" \
	"taskset 2 ./entries 30 1000" "taskset 2 ./entries 40 1"
equal "a guest in a host with two CPUs and the meter" "$status" 0
[ "$status" = 0 ] || said
meter=$tmp/fast/meter
for label in 10 20 30; do
	check "label $label, 1000 events: entries are exits" agree "$meter" "$out" $label 1000
	agree "$meter" "$out" $label 1000 | sed 's/^/# /'
	equal "label $label: exits by the meter are entries" "$(metered "$meter" $label exits)" \
		"$(metered "$meter" $label entries)"
	equal "label $label: 1000 exits for I/O, one for HLT" \
		"$(metered "$meter" $label exit-30) $(metered "$meter" $label exit-12)" "1000 1"
	equal "label $label: no entry failed, and no interrupt was delivered past KVM" \
		"$(metered "$meter" $label failed) $(metered "$meter" $label 'direct-[0-9]+')" "0 0"
done
equal "label 20 is on CPU 0, 30 on CPU 1" \
	"$(metered "$meter" 20 entries 1) $(metered "$meter" 30 entries 0)" "0 0"
check "a guest with a single event: entries are exits" test "$(metered "$meter" 40 entries)" = \
	"$(printed "$out" 40 exits)"
# mov, 1000 times out, dec and jnz, hlt; what EPT does not let happen is begun again
equal "the guest's instructions are those of its program" "$(metered "$meter" 30 guest)" \
	$((3002 + $(metered "$meter" 30 exit-48)))
check "the meter wrote its file to the end" grep -qx end "$meter"

host "${common[@]}" --miscount 100 --out "$tmp/wrong" "$entries 10 1000"
equal "a meter that leaves out every 100th entry: the run itself is well" "$status" 0
[ "$status" = 0 ] || said
equal "its events came" "$(printed "$out" 10 events)" 1000
refuse "control: but meter and KVM do not agree" agree "$tmp/wrong/meter" "$out" 10 1000

only_long "the meter in three deterministic runs"
# ---- deterministic: three times the same, the third beside a busy loop -------------------

for run in 1 2 3; do
	if [ $run = 3 ]; then
		timeout 300 sh -c 'while :; do :; done' &
		load=$!
	fi
	host "${common[@]}" --deterministic --out "$tmp/run$run" "$entries 10 1000" "taskset 2 ./entries 30 100"
	if [ $run = 3 ]; then
		kill "$load"
		wait "$load" 2> /dev/null
	fi
	equal "deterministic, run $run" "$status" 0
	[ "$status" = 0 ] || said
	printf '%s\n' "$out" > "$tmp/run$run/printed"
done
check "deterministic: entries are exits" agree "$tmp/run1/meter" "$out" 10 1000
for run in 2 3; do
	check "every count of run $run is that of run 1" cmp "$tmp/run1/meter" "$tmp/run$run/meter"
	check "so is what the programs saw" cmp "$tmp/run1/printed" "$tmp/run$run/printed"
done
refuse "control: not deterministic, the counts are not those" cmp "$tmp/run1/meter" "$tmp/fast/meter"
finish
