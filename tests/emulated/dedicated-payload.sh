#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The payloads of the emulated hosts as guests on dedicated CPUs: every event that they
# take as ordinary guests, with the same two meters, which must agree; and rounds
# of offline, dedicate, work, release, online, in which nothing is lost.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"
. "$top_srcdir/tests/emulated/payloads.sh"
. "$top_srcdir/tests/emulated/payload-host.inc"

# WHAT | STATUS | PAYLOAD | ARGUMENTS OF THE VMM
dedicated_runs() {
	cat <<'END'
interrupts in x2APIC mode         | 0 | basic | --dedicate 3 --expect guest.x2apic==1
interrupts in xAPIC mode          | 0 | basic | --dedicate 3 --no-x2apic --expect guest.x2apic==0
both CPUs there, by INIT and SIPI | 0 | basic | --dedicate 2,3 --cpus 2 --expect guest.cpus==2
the second one there              | 0 | basic | --dedicate -,3 --cpus 2 --expect guest.cpus==2
split interrupt controllers       | 0 | basic | --dedicate 3 --split
one-shot timer, hlt               | 0 | timer | --dedicate 3 --args 'n=100' --expect guest.taken==100
one-shot timer, spin              | 0 | timer | --dedicate 3 --args 'n=100 wait=spin' --expect guest.taken==100
one-shot timer in xAPIC mode      | 0 | timer | --dedicate 3 --no-x2apic --args 'n=100' --expect guest.taken==100
TSC-deadline timer, hlt           | 0 | timer | --dedicate 3 --args 'n=100 timer=deadline' --expect guest.taken==100
TSC-deadline timer, spin          | 0 | timer | --dedicate 3 --args 'n=100 timer=deadline wait=spin' --expect guest.taken==100
periodic timer, hlt               | 0 | timer | --dedicate 3 --args 'n=50 timer=periodic period=2000000'
an irqfd                          | 0 | msi | --dedicate 3 --event irqfd --args 'n=100' --expect guest.taken==100
KVM_SIGNAL_MSI                    | 0 | msi | --dedicate 3 --event msi --args 'n=100' --expect guest.taken==100
an irqfd from another thread      | 0 | msi | --dedicate 3 --event irqfd --fire-us 2000 --args 'n=50 by=outside'
IPIs one way, both there          | 0 | ipi | --dedicate 2,3 --cpus 2 --args 'n=100'
IPIs and back, both there         | 0 | ipi | --dedicate 2,3 --cpus 2 --args 'n=100 mode=pingpong'
IPIs and back, one there          | 0 | ipi | --dedicate -,3 --cpus 2 --args 'n=100 mode=pingpong'
IPIs and back, the other there    | 0 | ipi | --dedicate 3,- --cpus 2 --args 'n=100 mode=pingpong'
IPIs to itself                    | 0 | ipi | --dedicate 3 --args 'n=100 mode=self'
an idle guest                     | 0 | idle | --dedicate 3 --args 'period=20000000' --expect vcpu0.exits<=20
hypercalls                        | 0 | hypercall | --dedicate 3 --args 'n=100' --expect vcpu0.stats.hypercalls==100
polled                            | 0 | timer | --dedicate 3 --poll-ns 500000 --args 'n=100 wait=spin' --expect guest.taken==100
control: not there                | 1 | timer | --args 'n=20' --expect vcpu0.stats.ded_entries>=20
END
}

payloads_there() { # HOST
	local commands=() wants=() whats=() names=() what want name arguments n=0 files=() image kept
	while IFS='|' read -r what want name arguments; do
		whats+=("$1: $(trim "$what")") wants+=("$(trim "$want")") names+=("$(trim "$name")")
		arguments=$(sed -E "s/--expect ([^ ]+)/--expect '\1'/g" <<< "$arguments")
		commands+=("$vmm --meters both --limit 60 $arguments $(trim "$name").bin")
	done < <(dedicated_runs)
	for image in "$payloads"/*.bin; do files+=(--file "$image"); done
	host --host "$1" --cpus 4 --flavour "$flavour" --boot-limit 300 --limit 90 --out "$tmp/kept-$1" "${files[@]}" \
		"for c in 2 3; do echo 0 > /sys/devices/system/cpu/cpu\$c/online; done" "${commands[@]}" \
		"for c in 2 3; do echo 1 > /sys/devices/system/cpu/cpu\$c/online || exit; done"
	# the control is among the commands, so the run as a whole fails
	equal "$1: one boot of ${#commands[@]} payloads" "$status" 1
	[ "$status" = 1 ] || said 40
	for ((n = 0; n < ${#commands[@]}; n++)); do
		kept=$(printf '%s/kept-%s/%03d' "$tmp" "$1" $((n + 2)))
		one_result "$kept" "${wants[n]}" "${whats[n]}" "${names[n]}"
		[ "${wants[n]}" != 0 ] ||
			check "${whats[n]}: entered there" test "$(entered "$kept")" -gt 0
	done
	kept=$(printf '%s/kept-%s/%03d' "$tmp" "$1" $((n + 2)))
	equal "$1: the CPUs are back" "$(cut -d' ' -f1 "$kept/status" 2>&1)" 0
}
# Entries on dedicated CPUs, of all vCPUs, between the marks of the payload.
entered() { # FOLDER
	awk '/^vcpu[0-9]*\.stats\.ded_entries / { n += $2 } END { print n + 0 }' "$1/output" 2>&1
}

rounds() { # HOST COUNT INTERRUPTS ACCESSES LIMIT
	host --host "$1" --cpus 4 --flavour "$flavour" --boot-limit 300 --limit "$5" \
		--file "$emulated/dedcpu/rounds" --file "$emulated/dedcpu/common" --file "$vmm" \
		--file "$payloads/timer.bin" "sh ./rounds $2 $3 $4"
	equal "$1: $2 rounds of $3 interrupts and $4 accesses" "$status" 0
	printf '%s\n' "$out" | sed 's/^/# /'
	[ "$status" = 0 ] || said 40
}

need_host svm
payloads_there svm
if [ "$flavour" = ci ]; then
	rounds svm 10 1000 100 600
else
	rounds svm 200 1000 100 3000
fi
only_long "on VMX, and the long round"
# The long one without what makes a kernel slow.
[ "$flavour" != rt ] || rounds svm 1 1000000 100000 7200
need_host vmx
payloads_there vmx
rounds vmx 10 1000 100 3000
finish
