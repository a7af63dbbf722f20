#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Devices of the svm host through VFIO, in one boot: each is bound, read, given memory,
# and its interrupts arrive; those of edu and ivshmem then go to a guest. What each
# costs the guest is counted by KVM's statistics, tracepoints and the meter outside.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"
. "$top_srcdir/tests/emulated/payloads.sh"
. "$top_srcdir/tests/emulated/metered.sh"

need_host svm --meter
probe=$top_builddir/tests/emulated/vfio/probe
host --host svm --with tape true
equal "a device that there is not: status 2" "$status" 2

# COMMAND: what the test is about, the status that it must have, the command
whats=() wants=() commands=()
add() { # WHAT STATUS COMMAND
	whats+=("$1") wants+=("$2") commands+=("$3")
}
n=200
guest() { # ARGUMENTS OF THE PAYLOAD AND THE VMM...
	local payload=$1
	shift
	echo "$vmm --meters both --pin 1 --limit 60 $* --args 'n=$n $payload' device.bin"
}
for device in edu ivshmem igb e1000e; do
	add "probe $device" 0 "$probe $device 50"
done
add "control: interrupts not turned on" 3 "$probe edu 3 off"
for device in edu ivshmem; do
	for wait in spin hlt; do
		for cpu in 0 1; do
			add "$device to a guest that waits by $wait, interrupt on CPU $cpu" 0 \
				"$(guest "device=$device wait=$wait" --event $device:$cpu --expect guest.taken==$n)"
		done
	done
done
add "a VMM that raises edu" 0 "$vmm --meters both --pin 1 --event edu --args n=$n msi.bin"
add "control: the guest does not ask" 4 "$(guest raise=no --event edu:0 --limit 3)"
add "after it, the device still works" 0 "$probe edu 50"
# bound by the probes: each device has a character device of its own, beside its group
add "cdev" 0 "test -c /dev/iommu && for d in /sys/bus/pci/drivers/vfio-pci/0*/vfio-dev/*; do test -c /dev/vfio/devices/\${d##*/} && echo cdev; done"
add "groups" 0 "for g in /sys/kernel/iommu_groups/*; do echo \$(ls \$g/devices); done"

host --host svm --flavour "$flavour" --cpus 2 --boot-limit 300 --limit 120 --meter \
	--with edu,ivshmem,igb,e1000e --out "$tmp/kept" --file "$payloads/device.bin" \
	--file "$payloads/msi.bin" "${commands[@]}"
equal "one boot; the controls among its commands fail it" "$status" 1
[ "$status" = 1 ] || said 40

for ((i = 0; i < ${#commands[@]}; i++)); do
	kept=$(printf '%s/kept/%03d' "$tmp" $((i + 1)))
	out=$(cat "$kept/output" 2>&1)
	got=$(cut -d' ' -f1 "$kept/status" 2>&1)
	equal "${whats[i]}: status ${wants[i]}" "$got" "${wants[i]}"
	[ "$got" = "${wants[i]}" ] || payload_said
	[ "$got,${wants[i]}" = 0,0 ] || continue
	case ${whats[i]} in
	probe*)
		echo "# $(paste -sd' ' <<< "$out")"
		equal "${whats[i]}: interrupts raised arrive" "$(figure taken <<< "$out")" 50
		;;
	*guest* | *VMM*)
		exits=$(figure vcpu0.exits <<< "$out")
		eoi=$(figure vcpu0.trace.msr_write.80b <<< "$out")
		echo "# ${whats[i]}: $exits exits for $n interrupts, $eoi by EOI," \
			"latency $(figure guest.delivery.median <<< "$out") ticks"
		equal "${whats[i]}: each interrupt is ended by an exit" "$eoi" "$(figure guest.taken <<< "$out")"
		check "${whats[i]}: and comes by another" test "$exits" -ge $((2 * n))
		# the VMM leaves out the exit by which the guest tells the end
		equal "${whats[i]}: the meter outside counts the same" \
			"$(metered "$tmp/kept/meter" "$(figure meter.label <<< "$out")" entries)" "$((exits + 1))"
		;;
	cdev) equal "all four have a character device of VFIO" "$(grep -c '^cdev$' <<< "$out")" 4 ;;
	groups)
		for address in 0000:00:10.0 0000:00:11.0 0000:00:13.0 0000:01:00.0; do
			check "$address is alone in its IOMMU group" grep -qx "$address" <<< "$out"
		done
		;;
	esac
done
finish
