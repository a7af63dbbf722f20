#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A vCPU on a dedicated CPU, in the emulated hosts: what is refused; the guest runs
# there and nowhere else; registers go on from there to an ordinary vCPU and back;
# who is killed or stopped reacts, though the guest has interrupts off; changes of
# memory are seen; the host goes on beside it.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"
. "$top_srcdir/tests/emulated/payloads.sh"
. "$top_srcdir/tests/emulated/metered.sh"

need_host svm --meter
guests=./guests # brought as a file: it is not a command's first word
whats=() commands=()
add() { # WHAT COMMAND
	whats+=("$1") commands+=("$2")
}
# A guest on CPU 3, which has to be there again afterwards.
there() { # ARGUMENT OF guests...
	add "${what:-$*}" "echo 0 > $cpu3; ${before:-} $guests $*; r=\$?; echo 1 > $cpu3 || r=99; exit \$r"
}
cpu3=/sys/devices/system/cpu/cpu3/online
# Times six phases: exits of a guest whose AVX registers are looked at.
registers=500
[ -z "${RTKVM_LONG_TESTS:-}" ] || registers=17000
parts() { # SCALE BY: of what takes long; who handles CPUID there
	local by=$2
	whats=() commands=()
	before="sh ./calls still 3" there exits 3 $((200 * $1)) 0
	before="sh ./calls still 3" there time 3 6000
	there errors 3 1
	there user 3
	add "passed to another user" "chmod 666 /dev/kvm; ./passed 3"
	there exits 3 $((200 * $1)) 500000
	there cpuid 3 $((200 * $1)) "$by"
	add "stock, the same guest" "taskset 4 $guests exits -1 $((200 * $1)) 0"
	there map 3 $((40 * $1))
	there merged 3 $((4 * $1))
	there beside 3 1 100000
	there registers 3 "$registers"
	what=hostile there hostile 3 $((40 * $1)) "$RANDOM" # the seeds are in its output
	for how in kill stop freeze ptrace close exec core oom; do there ends 3 $how; done
	add "stop and kill in cli; jmp ." "sh ./calls end 3 spin $guests"
	add "stop and kill in cli; hlt" "sh ./calls end 3 halt $guests"
	add "host work beside" "sh ./calls beside 3 $((5 * $1)) $guests"
	add rounds "for i in \$(seq $((2 * $1))); do echo 0 > $cpu3; $guests exits 3 50 0 > said || { cat said; exit 1; }; echo 1 > $cpu3 || exit 1; done"
}
run_parts() { # HOST OPTION...
	local name=$1 i kept got
	shift
	host --host "$name" --cpus 4 --flavour "$flavour" --limit 600 --boot-limit 300 --out "$tmp/$name" \
		--allow oom-killer --file "$emulated/dedcpu/calls" --file "$emulated/dedcpu/common" \
		--file "$top_builddir/tests/emulated/dedcpu/guests" \
		--file "$top_builddir/tests/emulated/dedcpu/passed" "$@" "${commands[@]}"
	for ((i = 0; i < ${#commands[@]}; i++)); do
		kept=$(printf '%s/%s/%03d' "$tmp" "$name" $((i + 1)))
		got=$(cut -d' ' -f1 "$kept/status" 2>&1)
		out=$(cat "$kept/output" 2>&1)
		equal "$name: ${whats[i]}" "$got" 0
		[ "$got" = 0 ] && [ -n "$out" ] &&
			echo "# ${whats[i]}: $(grep -v '^seed ' <<< "$out" | paste -sd' ')"
		[ "$got" = 0 ] || payload_said
		[ "$got" = 0 ] || continue
		case ${whats[i]} in
		time*)
			wall=$(figure wall_ns <<< "$out") thread=$(figure thread_ns <<< "$out")
			guest=$(figure guest_ns <<< "$out") reported=$(figure thread_guest_ns <<< "$out")
			check "$name: the thread is on a run queue less than 1 % of the time" \
				test $((thread * 100)) -lt "$wall"
			check "$name: the guest has the CPU for 98 % of it" test $((guest * 100)) -ge $((wall * 98))
			# in ticks of 10 ms
			check "$name: the thread's guest time is that" \
				test $((guest > reported ? guest - reported : reported - guest)) -le 30000000
			;;
		esac
	done
	equal "$name: and the kernel had nothing to say" "$status" 0
	[ "$status" = 0 ] || said 40
}
# By the meter outside: entries on that CPU and on no other.
metered_there() { # HOST
	local out label entries
	out=$(cat "$tmp/$1/001/output" 2>&1)
	label=$(figure meter.label <<< "$out")
	entries=$(figure phase0.ded_entries <<< "$out")
	equal "$1: the meter outside: entries on the dedicated CPU" \
		"$(metered "$tmp/$1/meter" "$label" entries 3)" "$entries"
	equal "$1: and on all together" "$(metered "$tmp/$1/meter" "$label" entries)" "$entries"
}
parts 5 thread # without NRIPS
run_parts svm --meter
metered_there svm
only_long "on VMX"
need_host vmx --meter
parts 5 cpu
run_parts vmx --meter
metered_there vmx
finish
