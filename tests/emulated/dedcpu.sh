#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Dedicated CPUs without KVM: an offline CPU is claimed, runs functions, is
# released. Errors, that nothing of the host reaches it, changes of kernel
# mappings and text, whoever waits is killed, its CPU goes offline, the machine
# goes down. By the kernel's own file for tests.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"

need_host svm

# In both hosts: idle is HLT and NMI in one, MWAIT in the other.
parts=(
	"errors"
	"churn 3 5 300"
	"quiet 3 2000"
	"idle"
	"kill"
	"suspend"
	"homes 3 40"
)
run_parts() { # HOST CPUS SCALE
	local commands=() i part
	for part in "${parts[@]}"; do commands+=("sh ./calls $part"); done
	host --host "$1" --cpus 4 --flavour "$flavour" --limit 120 --boot-limit 300 --out "$tmp/$1" \
		--file "$emulated/dedcpu/calls" --file "$emulated/dedcpu/common" "${commands[@]}"
	for ((i = 0; i < ${#parts[@]}; i++)); do
		equal "$1: ${parts[i]}" "$(cut -d' ' -f1 "$tmp/$1/$(printf %03d $((i + 1)))/status" 2>&1)" 0
	done
	equal "$1: and the kernel had nothing to say" "$status" 0
	[ "$status" = 0 ] || { said 40; printf '%s\n' "$out" | sed 's/^/# /'; }
}
run_parts svm

# Races by force: nothing is lost.
races() { # HOST
	host --host "$1" --cpus 4 --flavour "$flavour" --limit 300 --boot-limit 300 \
		--file "$emulated/dedcpu/races" --file "$emulated/dedcpu/common" \
		--file "$top_builddir/tests/emulated/dedcpu/guests" "sh ./races windows 3"
	equal "$1: races by force, with all steps" "$status" 0
	printf '%s\n' "$out" | sed 's/^/# /'
	[ "$status" = 0 ] || said 40
}
# And what is left out is noticed; the kernel may complain then.
mutants() { # HOST
	host --host "$1" --cpus 4 --flavour "$flavour" --limit 300 --boot-limit 300 --allow . \
		--file "$emulated/dedcpu/races" --file "$emulated/dedcpu/common" \
		--file "$top_builddir/tests/emulated/dedcpu/guests" "sh ./races mutants 3"
	printf '%s\n' "$out" | sed 's/^/# /'
	echo "# $1: mutants caught $(grep -c ^caught <<< "$out") of $(grep -cE '^(caught|missed)' <<< "$out")"
	equal "$1: mutants that are missed" "$(grep ^missed <<< "$out")" ""
	check "$1: mutants that are caught" test "$(grep -c ^caught <<< "$out")" -ge 11
}
races svm

# A CPU that never came up.
host --host svm --cpus 2 --flavour "$flavour" --append maxcpus=1 --file "$emulated/dedcpu/calls" \
	--file "$emulated/dedcpu/common" "sh ./calls never 1"
equal "a CPU that was never online is refused" "$status" 0
[ "$status" = 0 ] || { said; printf '%s\n' "$out" | sed 's/^/# /'; }

# It goes down, and at once: with the CPU in a guest it would have to be waited for.
for how in reboot panic "reboot ./guests" "panic ./guests"; do
	host --host svm --cpus 4 --flavour "$flavour" --limit 60 --allow 'Kernel panic' --out "$tmp/$how" \
		--file "$emulated/dedcpu/calls" --file "$emulated/dedcpu/common" \
		--file "$top_builddir/tests/emulated/dedcpu/guests" "sh ./calls down 3 $how"
	equal "$how with a guest that runs: the host ends" "$status" 4
	contains "$how: by itself" "$err" "the host ended in"
	[ "$status" = 4 ] || said 40
done
# And with KVM's, on a CPU that does not react to INIT then: the next kernel has it all the same.
into_kexec() { # HOST
	local kernel
	kernel=$("$top_srcdir/kernel/rtkvm-kernel" build "$flavour" 2>/dev/null)
	cp "$kernel/bzImage" "$tmp/bzImage"
	check "an initramfs for the next kernel" "$emulated/linux-guest" --out "$tmp/second.cpio" \
		--marker "the second kernel is up" "echo CPUs \$(nproc) of \$(cat /sys/devices/system/cpu/present)"
	host --host "$1" --cpus 4 --flavour "$flavour" --memory 1024 --limit 120 --boot-limit 300 --out "$tmp/$1-kexec" \
		--file "$emulated/dedcpu/calls" --file "$emulated/dedcpu/common" --file "$tmp/bzImage" \
		--file "$tmp/second.cpio" --file "$top_builddir/tests/emulated/dedcpu/guests" \
		--file "$top_builddir/tests/emulated/dedcpu/kexec" "sh ./calls down 3 kexec ./guests"
	console=$(tr -d '\0\r' < "$tmp/$1-kexec/console")
	equal "$1: kexec with a guest that runs: the host ends" "$status" 4
	contains "$1: kexec: the second kernel runs" "$console" "the second kernel is up"
	contains "$1: kexec: on all CPUs" "$console" "CPUs 4 of 0-3"
	contains "$1: kexec: it ends by itself" "$err" "the host ended in"
	grep -q "CPUs 4 of" <<< "$console" || { said 40; tail -n 30 <<< "$console" | sed 's/^/# /'; }
}
into_kexec svm
only_long "steps left out, and all of it with MWAIT"
mutants svm
need_host vmx
run_parts vmx
races vmx
mutants vmx
into_kexec vmx
finish
