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
	[ -z "$deterministic" ] || debug=(-chardev "pipe,path=$work/stub,id=stub" -gdb chardev:stub -S)
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

# With the instruction counter as its clock, QEMU dies ("Bad icount read") when an
# instruction in the middle of a translated block reads the clock, as a RDMSR of
# the APIC's timer count does. On a page that has a breakpoint each block is one
# instruction: so QEMU's debugger interface is asked for breakpoints, which
# nothing hits, on the pages of the kernel's function that reads such MSRs.
one_instruction_blocks() {
	local to from page
	exec {to}<>"$work/stub.in" {from}<>"$work/stub.out"
	stub "qSupported:multiprocess+" > /dev/null
	for page in $(sed -n 's/^\([0-9a-f]*\)[0-9a-f]\{3\} t native_apic_msr_read$/\1/p' "$kernel/System.map" | sort -u); do
		[ "$(stub "Z1,${page}001,1")" = OK ] || printf 'run: no breakpoint on page %s\n' "$page" >&2
	done
	stub_send c
}

# One packet of gdb's remote protocol, and its answer.
stub_send() { # TEXT
	local i sum=0
	for ((i = 0; i < ${#1}; i++)); do
		sum=$(((sum + $(printf %d "'${1:i:1}")) & 255))
	done
	printf '$%s#%02x' "$1" "$sum" >&"$to"
}

stub() { # TEXT
	local answer
	stub_send "$1"
	IFS= read -r -t 20 -d '#' -u "$from" answer || return 1
	read -r -t 5 -N 2 -u "$from" _ || return 1
	printf + >&"$to"
	printf '%s\n' "${answer#*\$}"
}

# Starts the machine in the background; leaves its process in 'pid'.
host_start() {
	gzip -n -1 < "$work/initrd" > "$work/initrd.gz"
	host_machine "file:$work/console"
	[ -z "$gdb" ] ||
		printf 'run: gdb %s/vmlinux -ex "target remote %s"\n' "$kernel" "$work/gdb" >&2
	if [ -n "$deterministic" ] && [ -z "$gdb" ]; then
		mkfifo "$work/stub.in" "$work/stub.out"
	fi
	"${machine[@]}" < /dev/null > "$work/emulator" 2>&1 &
	pid=$!
	[ -z "$deterministic$gdb" ] || [ -n "$gdb" ] || one_instruction_blocks
}

# Runs the machine with its console on the terminal.
host_shell() {
	gzip -n -1 < "$work/initrd" > "$work/initrd.gz"
	host_machine mon:stdio
	"${machine[@]}"
}

# The emulator is gone: what else it left is put into $work/files.
host_finish() { :; }
