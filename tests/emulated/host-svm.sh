# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154,SC2034 # the variables are the runner's
#
# The svm host: QEMU emulating an AMD CPU with SVM and nested paging, VT-d with
# interrupt remapping, and PCI devices. Sourced by the runner.

host_defaults() {
	cpus=4 max_cpus=8 memory=512
	# seconds here that one second of the host may take; with an instruction
	# a nanosecond, its clock is as slow as the emulator
	patience=2
	[ -z "$deterministic" ] || patience=60
}

# Gets what the host needs; refuses what it cannot do.
host_check() {
	qemu=$("$here/get-qemu")
}

# The command line of the machine, in the array 'machine'. Its console goes to
# the serial port given, results to $work/link.
host_machine() { # CONSOLE
	local topology=$cpus half
	local numa=() accel=(-accel "tcg,thread=multi") debug=()

	if [ $((cpus % 2)) = 0 ]; then
		# two nodes must be two sockets, or Linux warns of siblings on both
		topology=$cpus,sockets=2,cores=$((cpus / 2)),threads=1
		half=$((memory / 2))
		numa=(-object "memory-backend-ram,id=m0,size=${half}M"
			-object "memory-backend-ram,id=m1,size=${half}M"
			-numa "node,memdev=m0,cpus=0-$((cpus / 2 - 1))"
			-numa "node,memdev=m1,cpus=$((cpus / 2))-$((cpus - 1))")
	fi
	[ -z "$deterministic" ] || accel=(-accel "tcg,thread=single"
		-icount "shift=$shift_n,sleep=off" -seed 1 -rtc "base=2026-01-01,clock=vm")
	[ -z "$gdb" ] || debug=(-chardev "socket,path=$work/gdb,server=on,wait=off,id=gdb"
		-gdb chardev:gdb -S)
	machine=("$qemu" -nodefaults -no-user-config -display none -monitor none
		-machine "q35,kernel-irqchip=off" "${accel[@]}"
		-cpu "EPYC,+svm,+npt,+x2apic,-fxsr-opt,-misalignsse,-osvw,-topoext,-nrip-save,-xsavec"
		-smp "$topology" -m "$memory" ${numa[@]+"${numa[@]}"}
		-device "intel-iommu,intremap=on,eim=on"
		-serial "$1" -serial "file:$work/link" -no-reboot
		${devices[@]+"${devices[@]}"} ${debug[@]+"${debug[@]}"}
		-kernel "$kernel/bzImage" -initrd "$work/initrd.gz"
		-append "console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off nokaslr tsc=reliable$append")
}

# Starts the machine in the background; leaves its process in 'pid'.
host_start() {
	gzip -n -1 < "$work/initrd" > "$work/initrd.gz"
	host_machine "file:$work/console"
	[ -z "$gdb" ] ||
		printf 'run: gdb %s/vmlinux -ex "target remote %s"\n' "$kernel" "$work/gdb" >&2
	"${machine[@]}" < /dev/null > "$work/emulator" 2>&1 &
	pid=$!
}

# Runs the machine with its console on the terminal.
host_shell() {
	gzip -n -1 < "$work/initrd" > "$work/initrd.gz"
	host_machine mon:stdio
	"${machine[@]}"
}

# The emulator is gone: what else it left is put into $work/files.
host_finish() { :; }
