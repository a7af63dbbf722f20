# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154,SC2034 # the variables are the runner's
#
# The svm host: QEMU emulating an AMD CPU with SVM and nested paging, VT-d with
# interrupt remapping, and PCI devices. Sourced by the runner.

host_defaults() {
	cpus=4 max_cpus=8 memory=512 boot_limit=180
	# seconds here that one second of the host may take; with an instruction
	# a nanosecond, its clock is as slow as the emulator
	patience=2
	[ -z "$deterministic" ] || patience=60
}

# Gets what the host needs; refuses what it cannot do.
host_check() {
	[ -z "$deterministic" ] || [ -z "$gdb" ] ||
		die 2 "--gdb and --deterministic exclude each other: it uses the gdb stub itself"
	qemu=$("$here/get-qemu") || return 1
	[ -z "$meter" ] || meter=$("$here/svm/build-meter") || return 1
	local name
	for name in ${with//,/ }; do
		case $name in
		edu) devices+=(-device edu,addr=0x10) ;;
		ivshmem) devices+=(-chardev "socket,path=$work/ivshmem,id=ivshmem"
			-device ivshmem-doorbell,chardev=ivshmem,vectors=2,addr=0x11) ;;
		# its virtual functions want a bus of its own
		igb) devices+=(-device pcie-root-port,id=igb,chassis=1,slot=1,addr=0x12 -device igb,bus=igb,romfile=) ;;
		e1000e) devices+=(-device e1000e,addr=0x13,romfile=) ;;
		*) die 2 "no device '$name' for --with; there are: edu ivshmem igb e1000e" ;;
		esac
	done
}

# What stands outside of the machine: the other end of ivshmem, which ends with it.
host_outside() {
	case ,$with, in *,ivshmem,*) ;; *) return 0 ;; esac
	gcc -O2 -D_GNU_SOURCE -o "$work/ivshmem-server" "$here/svm/ivshmem-server.c" ||
		die 4 "cannot build the server of ivshmem"
	"$work/ivshmem-server" "$work/ivshmem" &
	server=$!
	until [ -S "$work/ivshmem" ]; do
		kill -0 "$server" 2>/dev/null || die 4 "the server of ivshmem ended"
		sleep 0.05
	done
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
	[ -z "$deterministic" ] || debug=(-chardev "pipe,path=$work/stub,id=stub" -gdb chardev:stub -S)
	machine=("$qemu" -nodefaults -no-user-config -display none -monitor none
		-machine "q35,kernel-irqchip=off" "${accel[@]}"
		-cpu "EPYC,+svm,+npt,+x2apic,-fxsr-opt,-misalignsse,-osvw,-topoext,-nrip-save,-xsavec"
		-smp "$topology" -m "$memory" ${numa[@]+"${numa[@]}"}
		-device "intel-iommu,intremap=on,eim=on"
		-serial "$1" -serial "file:$work/link" -no-reboot
		${meter:+-plugin "$meter,out=$work/meter,miscount=$miscount${deterministic:+,single=on}"}
		${devices[@]+"${devices[@]}"} ${debug[@]+"${debug[@]}"}
		-kernel "$kernel/bzImage" -initrd "$work/initrd.gz"
		-append "console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off nokaslr tsc=reliable no_timer_check$append")
}

# One packet to QEMU's gdb stub; the answer must be OK, or anything without WANT.
stub_packet() { # PACKET [WANT]
	local i sum=0 answer
	for ((i = 0; i < ${#1}; i++)); do
		sum=$(((sum + $(printf %d "'${1:i:1}")) % 256))
	done
	printf '$%s#%02x' "$1" "$sum" >&8
	[ "$1" != c ] || return 0
	IFS= read -r -t 20 -d '#' answer <&9 && read -r -t 20 -N 2 _ <&9 || return 1
	printf + >&8
	[ -z "${2:-}" ] || [ "${answer##*\$}" = "$2" ]
}

# With the instruction counter QEMU ends with "Bad icount read" when the current
# count of the LAPIC's timer is read by RDMSR in the middle of a translated block. On
# a page with a breakpoint each instruction is a block of its own: set one that is
# never hit (inside the function's first instruction) where Linux reads the LAPIC.
stub_breakpoints() {
	local address
	exec 8<> "$work/stub.in" 9<> "$work/stub.out"
	stub_packet "qSupported:multiprocess+" || return 1
	while read -r address; do
		stub_packet "Z1,$(printf %x $((0x$address + 1))),1" OK || return 1
	done < <(sed -n 's/ t native_apic_msr_read$//p' "$kernel/System.map")
	stub_packet c
}

# Starts the machine in the background; leaves its process in 'pid'.
host_start() {
	gzip -n -1 < "$work/initrd" > "$work/initrd.gz"
	host_machine "file:$work/console"
	[ -z "$gdb" ] ||
		printf 'run: gdb %s/vmlinux -ex "target remote %s"\n' "$kernel" "$work/gdb" >&2
	host_outside
	[ -z "$deterministic" ] || mkfifo "$work/stub.in" "$work/stub.out"
	"${machine[@]}" < /dev/null > "$work/emulator" 2>&1 &
	pid=$!
	[ -z "$deterministic" ] || stub_breakpoints || die 4 "cannot set a breakpoint in QEMU"
}

# Runs the machine with its console on the terminal.
host_shell() {
	gzip -n -1 < "$work/initrd" > "$work/initrd.gz"
	[ -z "$deterministic" ] || die 2 "--shell and --deterministic exclude each other"
	host_outside
	host_machine mon:stdio
	"${machine[@]}"
}

# Runs a payload, $work/kernel, on the machine without a host; what it writes to
# its ports goes to $work/text, and then "status N". Returns 124 when it does not end in time.
host_bare() {
	local accel=(-accel "tcg,thread=multi") status=0

	[ -z "$meter" ] || die 2 "--meter is not for the bare machine of the svm host"
	[ -z "$deterministic" ] || accel=(-accel "tcg,thread=single"
		-icount "shift=$shift_n,sleep=off" -seed 1 -rtc "base=2026-01-01,clock=vm")
	timeout -k 5 "$limit" "$qemu" -nodefaults -no-user-config -display none -monitor none \
		-machine "q35,kernel-irqchip=off" "${accel[@]}" \
		-cpu "EPYC,+svm,+npt,+x2apic,-fxsr-opt,-misalignsse,-osvw,-topoext,-nrip-save,-xsavec" \
		-smp "$cpus" -m "$memory" -no-reboot -kernel "$work/kernel" \
		-device isa-debug-exit,iobase=0xf4,iosize=4 \
		-chardev "file,id=text,path=$work/text" -device isa-debugcon,iobase=0xe9,chardev=text \
		< /dev/null > "$work/emulator" 2>&1 || status=$?
	case $status in
	124 | 137) return 124 ;;
	esac
	# the device makes 2 * N + 1 of what was written to it
	[ $((status % 2)) = 0 ] || printf 'status %d\n' $((status / 2)) >> "$work/text"
}

# The emulator is gone: what else it left is put into $work/files.
host_finish() {
	[ -z "$meter" ] || cp "$work/meter" "$work/files/meter"
}
