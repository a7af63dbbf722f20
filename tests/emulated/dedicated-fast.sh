#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Exits that a dedicated CPU handles itself, in the vmx host (the emulator of the svm host
# does not tell the address of the next instruction, so that there all are the thread's:
# dedicated.sh). As many as the guest did, by KVM and by the meter outside, without its
# thread; what is the thread's stays so; who wants the vCPU gets it, though the guest
# does nothing else; and what such an exit costs beside one of an ordinary vCPU.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"
. "$top_srcdir/tests/emulated/payloads.sh"
. "$top_srcdir/tests/emulated/metered.sh"

need_host vmx --meter
exits=2000
guests=$top_builddir/tests/emulated/dedcpu/guests
file=/sys/kernel/debug/dedicated_cpu
cpu=/sys/devices/system/cpu/cpu1/online
whats=() commands=()
add() { # WHAT COMMAND
	whats+=("$1") commands+=("$2")
}
there() { # WHAT COMMAND: with CPU 1 offline, which has to be there again afterwards
	add "$1" "echo 0 > $cpu; $2; r=\$?; echo 1 > $cpu || r=99; exit \$r"
}
there "handled on the CPU" "sh ./calls still 1 ./guests cpuid 1 $exits cpu"
there "control: not handled there, the thread's dispatches move" \
	"echo mutant HANDLE 1 > $file; ./guests cpuid 1 $exits thread; r=\$?; echo mutant HANDLE 0 > $file; (exit \$r)"
there "control: and that would be noticed" \
	"echo mutant HANDLE 1 > $file; ./guests cpuid 1 $exits cpu > said; r=\$?; echo mutant HANDLE 0 > $file; [ \$r = 1 ] && grep FAILED said"
there "requests reach a guest that does nothing else" "./guests asked 1 100"
there "changes of memory do" "./guests busymap 1 50"
# The signal comes while such an exit is handled, and nothing is sent again.
there "a kick while one is handled" \
	"echo mutant RESEND 1 > $file; ./guests busy 1 HANDLED 500000; r=\$?; echo mutant RESEND 0 > $file; (exit \$r)"
for how in kill stop freeze ptrace close core; do
	there "$how of a guest that does nothing else" "./guests ends 1 busy-$how"
done
host --host vmx --cpus 2 --flavour "$flavour" --limit 120 --boot-limit 300 --out "$tmp/vmx" --meter \
	--file "$emulated/dedcpu/calls" --file "$emulated/dedcpu/common" --file "$guests" "${commands[@]}"
for ((i = 0; i < ${#commands[@]}; i++)); do
	kept=$tmp/vmx/$(printf %03d $((i + 1)))
	out=$(cat "$kept/output" 2>&1)
	equal "${whats[i]}" "$(cut -d' ' -f1 "$kept/status" 2>&1)" 0
	printf '%s\n' "$out" | paste -sd' ' | sed 's/^/# /'
done
equal "and the kernel had nothing to say" "$status" 0
[ "$status" = 0 ] || said 40
out=$(cat "$tmp/vmx/001/output")
label=$(figure meter.label <<< "$out")
entries=$(figure own.ded_entries <<< "$out")
equal "the meter outside: entries on the dedicated CPU" "$(metered "$tmp/vmx/meter" "$label" entries 1)" "$entries"
equal "and on all together" "$(metered "$tmp/vmx/meter" "$label" entries)" "$entries"
check "and exits by CPUID there, as many as the guest did" \
	test "$(metered "$tmp/vmx/meter" "$label" exit-10 1)" = "$exits"

# ---- what it costs ------------------------------------------------------------------

host --host vmx --cpus 2 --flavour "$flavour" --deterministic --limit 120 --boot-limit 300 --out "$tmp/cost" --meter \
	--file "$guests" "exec ./guests cpuid -1 $exits thread" "echo 0 > $cpu; ./guests cpuid 1 $exits cpu"
equal "exits, counted" "$status" 0
[ "$status" = 0 ] || said 40
per_exit() { # COMMAND
	local label instructions
	label=$(figure meter.label < "$tmp/cost/00$1/output")
	instructions=$(metered "$tmp/cost/meter" "$label" instructions)
	echo $(((instructions - $(metered "$tmp/cost/meter" "$label" guest)) / exits))
}
stock=$(per_exit 1) here=$(per_exit 2)
echo "# instructions of the host for a CPUID: ordinary $stock, handled on the dedicated CPU $here"
check "an ordinary exit is counted" test "${stock:-0}" -gt 500
check "at most 1.2 times as many" test "${here:-0}" -gt 100 -a $((here * 10)) -le $((stock * 12))
finish
