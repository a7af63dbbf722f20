# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154,SC2034 # the variables are the runner's
#
# The vmx host: Bochs emulating an Intel CPU of 2012 with VMX and EPT, a PC and
# no device worth passing through. Sourced by the runner.

host_defaults() {
	cpus=2 max_cpus=4 memory=512 boot_limit=180
	# its clock counts instructions; a busy host is slower than this machine
	patience=20
}

# Gets what the host needs; refuses what it cannot do.
host_check() {
	[ -z "${with:-}" ] || die 2 "--with is for the svm host: Bochs has no IOMMU and no device with MSI"
	[ ${#devices[@]} = 0 ] || die 2 "--device is for the svm host: Bochs has no IOMMU and no device with MSI"
	[ "$shift_n" = 0 ] || die 2 "--shift is for the svm host: one instruction is always 10 ns on the vmx host"
	if [ "$memory" -lt 128 ] || [ "$memory" -gt 2048 ]; then
		die 2 "--memory is 128 to 2048 on the vmx host"
	fi
	[ -z "$gdb" ] || die 2 "--gdb is for the svm host: Bochs' stub knows one CPU and needs another, slower Bochs"
	bochs=$("$here/get-bochs")
}

# Configures the machine: bochsrc, and the array 'machine' that starts it. Its
# serial ports are given, and more of the loader's environment.
host_machine() { # CONSOLE LINK [VARIABLE=VALUE]...
	local count=$cpus clock=utc environment=()

	[ "$cpus" = 1 ] || count="$cpus, quantum=32"
	[ -z "$meter" ] || environment+=(RTKVM_METER="$work/meter" RTKVM_MISCOUNT="$miscount")
	if [ -n "$deterministic" ]; then
		clock=1767225600 # 2026-01-01
		environment+=(RTKVM_SEED=1)
	fi
	cat > "$work/bochsrc" <<END
display_library: nogui
memory: guest=$memory, host=$memory
romimage: file=$bochs/BIOS-bochs-latest
vgaromimage: file=$bochs/boot
cpu: model=corei7_ivy_bridge_3770k, count=$count, ips=100000000, reset_on_triple_fault=0
clock: sync=none, time0=$clock
ata0: enabled=0
ata1: enabled=0
com1: enabled=1, $1
com2: enabled=1, $2
speaker: enabled=0
vga: extension=none, update_freq=1, realtime=0
log: $work/emulator
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
END
	shift 2
	machine=(env RTKVM_KERNEL="$work/kernel" ${environment[@]+"${environment[@]}"} "$@"
		"$bochs/bochs" -q -f "$work/bochsrc")
}

# The machine with Linux in it.
host_linux() { # CONSOLE
	objcopy -O binary -S "$kernel/vmlinux" "$work/kernel"
	host_machine "$1" "mode=file, dev=$work/link" RTKVM_INITRD="$work/initrd" \
		RTKVM_APPEND="console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off nokaslr tsc=reliable lpj=200000 no_timer_check clearcpuid=aperfmperf x2apic_without_ir$append"
}

# A TCP port of this machine that nobody listens on.
free_port() {
	local port
	for _ in $(seq 50); do
		port=$((20000 + RANDOM % 12000))
		(exec 3<> "/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	printf '%s\n' "$port"
}

# Starts the machine in the background; leaves its process in 'pid'.
host_start() {
	host_linux "mode=file, dev=$work/console"
	"${machine[@]}" < /dev/null > "$work/messages" 2>&1 &
	pid=$!
}

# Runs the machine with its console on the terminal. Bochs has it as a socket.
host_shell() {
	local port console saved=''

	port=$(free_port)
	host_linux "mode=socket-server, dev=localhost:$port"
	"${machine[@]}" < /dev/null > "$work/messages" 2>&1 &
	pid=$!
	until exec {console}<> "/dev/tcp/127.0.0.1/$port"; do
		kill -0 "$pid" 2>/dev/null || { cat "$work/messages" >&2; die 4 "the emulator did not start"; }
		sleep 0.1
	done 2>/dev/null
	[ ! -t 0 ] || { saved=$(stty -g); stty raw -echo; }
	cat <&0 >&"$console" &
	cat <&"$console" || true
	[ -z "$saved" ] || stty "$saved"
	wait "$pid" || true
	pid=''
}

# Runs a payload, $work/kernel, on the machine without a host; what it writes to
# its ports goes to $work/text. Status 124 when it does not end in time.
host_bare() {
	local status=0

	host_machine "mode=null" "mode=null" RTKVM_TEXT="$work/text"
	timeout -k 5 "$limit" "${machine[@]}" < /dev/null > "$work/messages" 2>&1 || status=$?
	[ $status != 137 ] || status=124
	[ $status = 124 ] || status=0 # Bochs ends with 1 however it ends
	return $status
}

# The emulator is gone: what else it left is put into $work/files.
host_finish() {
	[ -z "$meter" ] || cp "$work/meter" "$work/files/meter"
}
