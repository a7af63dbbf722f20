#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The doctor on a QEMU that really runs: its threads, CPUs, memory, disks,
# migration and exits. Remedies that are commands are executed as they are
# printed, and must turn the verdict.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
export ASAN_OPTIONS=detect_leaks=0
rtkvm=$top_builddir/tools/rtkvm

qemu=$(command -v qemu-system-x86_64 || true)
# the one of the emulated hosts, in its cache
[ -n "$qemu" ] || [ "${RTKVM_EMULATED:-}" = no ] || qemu=$("$top_srcdir/tests/emulated/get-qemu" 2> /dev/null) || qemu=''
if [ -z "$qemu" ]; then
	skip "a QEMU that runs" "no QEMU (package qemu-system-x86)"
	finish
fi
if ! have python3; then
	skip "a QEMU that runs" "no python3"
	finish
fi
accel=tcg cpu=max
[ ! -r /dev/kvm ] || [ ! -w /dev/kvm ] || accel=kvm cpu=host
echo "# $("$qemu" --version | head -n 1), accelerator $accel"

cat > "$tmp/qmp.py" <<'END'
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1])
f = s.makefile("rw"); f.readline()
for request in ['{"execute": "qmp_capabilities"}'] + sys.argv[2:]:
    f.write(request + "\n"); f.flush()
    answer = {"event": 1}
    while "event" in answer:
        answer = json.loads(f.readline())
    if "error" in answer:
        sys.exit(str(answer))
END

# a copy-on-write disk of one megabyte without data, by hand: qemu-img may not be installed
python3 - "$tmp/disk.qcow2" <<'END'
import struct, sys
cluster = 65536
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, 1 << 20, 0, 1, 3 * cluster, cluster, 1, 0, 0))
    f.seek(cluster); f.write(struct.pack(">Q", 2 * cluster))
    f.seek(2 * cluster); f.write(struct.pack(">4H", 1, 1, 1, 1))
    f.seek(4 * cluster - 1); f.write(b"\0")
END
truncate -s 1M "$tmp/disk.raw"

pids=()
end_all() {
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2> /dev/null
	wait
	tap_end
}
trap end_all EXIT

start() { # NAME ARGUMENT...: its process in $pid
	local name=$1
	shift
	"$qemu" -accel $accel -cpu $cpu -nodefaults -qmp "unix:$tmp/$name.doctor,server,nowait" \
		-qmp "unix:$tmp/$name.qmp,server,nowait" "$@" > "$tmp/$name.log" 2>&1 &
	pid=$!
	pids+=("$pid")
	for _ in $(seq 200); do
		[ -S "$tmp/$name.qmp" ] && python3 "$tmp/qmp.py" "$tmp/$name.qmp" 2> /dev/null && return 0
		kill -0 $pid 2> /dev/null || break
		sleep 0.1
	done
	not_ok "$name starts" "$(cat "$tmp/$name.log")"
	finish
}

# the doctor's line of one check, and its remedy
ask() { # CHECK ARGUMENT...
	line=$("$rtkvm" doctor --all --check "$@" 2>&1)
	cure=$(sed -n 's/^        # //p' <<< "$line")
	verdict=${line%% *}
}
says() { # WHAT VERDICT PART CHECK ARGUMENT...
	local what=$1 want=$2 part=$3
	shift 3
	ask "$@"
	case $line in
	"$want "*"$part"*) ok "$what" ;;
	*) not_ok "$what" "$want with '$part' was expected: $line" ;;
	esac
}
turned=0
# as it is: not well. The remedy as it is printed: well.
turns() { # WHAT VERDICT PART CHECK ARGUMENT...
	local before
	says "$@"
	before=$line
	shift 3
	if [ -z "$cure" ]; then
		not_ok "$1: a command as remedy" "$before"
		return
	fi
	sh -c "$cure" > "$tmp/said" 2>&1
	ask "$@"
	if [ "$verdict" = ok ]; then
		ok "$1: the remedy as it is printed turns it"
		turned=$((turned + 1))
	else
		not_ok "$1: the remedy as it is printed turns it" "$cure
$(cat "$tmp/said")
$line"
	fi
}

# what is in its memory is no zeros, so that a migration takes its time
head -c 32M /dev/urandom > "$tmp/ram"
start one -name one,debug-threads=on -S -smp 2 -m 32 -machine memory-backend=m \
	-object "memory-backend-file,id=m,size=32M,mem-path=$tmp/ram,share=off" -display none -object iothread,id=io1 \
	-drive "file=$tmp/disk.qcow2,format=qcow2,if=none,id=d" -device virtio-blk-pci,drive=d,iothread=io1 \
	-chardev "file,id=serial0,path=$tmp/serial" -device isa-serial,chardev=serial0
one=$pid
q=(--qmp "$tmp/one.doctor")
threads=("/proc/$one/task"/*)

# ---- threads ------------------------------------------------------------------------
cpus=$(nproc --all)
if ! chrt -f 1 true 2> /dev/null; then
	skip "priorities of a QEMU" "SCHED_FIFO is refused"
else
	turns "vCPUs are not real-time" fail "2 of 2 vCPU threads are not real-time" vm-vcpu-sched "${q[@]}"
	turns "nor as planned" fail "as planned" vm-vcpu-sched "${q[@]}" --plan maxprio=4,policy=rr
	turns "the other threads are not as planned" warn "planned is real-time 4" vm-plan "${q[@]}" --plan maxprio=4,policy=rr
	says "without a plan there is nothing to hold them against" n/a "no plan" vm-plan "${q[@]}"
	for t in "${threads[@]}"; do chrt -o -p 0 "${t##*/}" 2> /dev/null; done
fi
if [ "$cpus" -lt 2 ]; then
	skip "CPUs of a QEMU" "needs two CPUs"
else
	turns "vCPUs may run anywhere" fail "may run on CPUs" vm-vcpu-pinned "${q[@]}" --cpus 0-1
	vcpus=$(grep -lE '^CPU [0-9]+/' "/proc/$one/task/"*/comm | cut -d/ -f5)
	for t in $vcpus; do taskset -pc 1 "$t" > /dev/null; done
	says "two vCPUs on one CPU" fail "shares CPU 1 with another vCPU" vm-vcpu-pinned "${q[@]}" --cpus 1
	contains "overcommitted: said so" "$line" "overcommitted: 2 vCPUs, 1 real-time CPUs"
	says "all on a real-time CPU" ok "" vm-vcpu-isolated "${q[@]}" --cpus 1
	says "on one that is not" fail "not isolated" vm-vcpu-isolated "${q[@]}" --cpus 0
	turns "other threads are beside the vCPUs" fail "may run on the vCPUs' CPUs" vm-other-threads "${q[@]}" --cpus 1
	io=$(grep -l '^IO io1$' "/proc/$one/task/"*/comm | cut -d/ -f5)
	taskset -pc 1 "$io" > /dev/null
	turns "an I/O thread alone is" fail "I/O thread IO io1 (tid $io) and 0 more" vm-other-threads "${q[@]}" --cpus 1
	pit=$(grep -lE "^kvm-pit/$one\$" /proc/[0-9]*/comm | cut -d/ -f3)
	if [ -z "$pit" ]; then
		skip "a kernel thread of a QEMU" "no kvm-pit thread here"
	elif ! taskset -pc 0-1 "$pit" > /dev/null 2>&1; then
		skip "a kernel thread of a QEMU" "needs root to place threads of the kernel"
	else
		turns "its PIT's thread is beside the vCPUs" warn "kvm-pit/$one" vm-kernel-threads "${q[@]}" --cpus 1
	fi
fi

# ---- configuration --------------------------------------------------------------------
says "a copy-on-write disk" warn qcow2 vm-disk-format "${q[@]}"
says "by threads, which is the default" warn disk.qcow2 vm-disk-aio "${q[@]}"
says "a serial port into a file" warn serial0 vm-serial "${q[@]}"
says "no local display" ok "no local display" vm-display "${q[@]}"
says "memory that is not locked" fail "kB are locked" vm-locked "${q[@]}"
says "started without locking" warn mem-lock vm-mem-lock "${q[@]}"
says "memory that is not in hugepages" warn "of a guest of 32768 kB" vm-hugepages "${q[@]}"
ask vm-faults "${q[@]}"
contains "page faults since its start" "$line" "minor)"

# ---- dirty logging ----------------------------------------------------------------------
says "no dirty logging" ok off vm-dirty-log "${q[@]}"
check "a migration that takes long" python3 "$tmp/qmp.py" "$tmp/one.qmp" \
	'{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 100}}' \
	'{"execute": "migrate", "arguments": {"uri": "exec:cat > /dev/null"}}'
for _ in $(seq 50); do
	ask vm-dirty-log "${q[@]}"
	[ "$verdict" = ok ] || break
	sleep 0.1
done
says "dirty logging" warn "migration is" vm-dirty-log "${q[@]}"
request=$(grep -o '{.*}' <<< "$line" | tail -n 1)
check "the request of the remedy as it is printed" python3 "$tmp/qmp.py" "$tmp/one.qmp" "$request"
for _ in $(seq 50); do
	ask vm-dirty-log "${q[@]}"
	[ "$verdict" = warn ] || break
	sleep 0.1
done
equal "turns it" "$verdict" ok
kill "$one" && wait "$one" 2> /dev/null

# ---- one that is well, and runs -----------------------------------------------------------
lock=()
[ "$(ulimit -l)" != unlimited ] && [ "$(id -u)" != 0 ] || lock=(-overcommit mem-lock=on)
start two -name two -smp 1 -m 64 -display none "${lock[@]}" -object memory-backend-ram,id=m,size=64M,prealloc=on \
	-machine memory-backend=m -drive "file=$tmp/disk.raw,format=raw,if=virtio,cache.direct=on,aio=native"
q=(--qmp "$tmp/two.doctor")
says "its threads have no names of vCPUs" unknown "QEMU tells by --qmp" vm-vcpu-sched --pid "$pid"
ask vm-vcpu-sched "${q[@]}"
equal "QMP tells them" "$verdict" fail
says "a raw disk" ok "disks are raw" vm-disk-format "${q[@]}"
says "by aio=native" ok "" vm-disk-aio "${q[@]}"
says "no serial port" ok "" vm-serial "${q[@]}"
if [ ${#lock[@]} = 0 ]; then
	skip "locked memory" "may not lock memory"
else
	says "locked memory" ok "none is swapped out" vm-locked "${q[@]}"
	says "locked from its start" ok mem-lock=on vm-mem-lock "${q[@]}"
fi
if grep -q '\[never\]' /sys/kernel/mm/transparent_hugepage/enabled 2> /dev/null ||
	[ ! -e /sys/kernel/mm/transparent_hugepage/enabled ]; then
	skip "hugepages really used" "no transparent hugepages here"
else
	says "hugepages really used" ok "kB in hugepages" vm-hugepages "${q[@]}"
fi

# ---- exits ----------------------------------------------------------------------------------
if [ $accel = tcg ]; then
	skip "exits of a QEMU" "no /dev/kvm"
elif [ ! -d /sys/kernel/debug/kvm ] && ! readlink "/proc/$pid"/fd/* | grep -q kvm-vcpu-stats; then
	ask vm-exits "${q[@]}"
	equal "exits that nobody tells are not known" "$verdict" unknown
	skip "exits of a QEMU" "no counters: this QEMU keeps no descriptors of them, and there is no debugfs"
else
	ask vm-exits "${q[@]}"
	echo "# $line"
	contains "exits, now, by reason" "$line" "exits a second now (KVM's counters): "
	check "one that stands still" python3 "$tmp/qmp.py" "$tmp/two.qmp" '{"execute": "stop"}'
	says "has none" ok "0 exits a second now" vm-exits "${q[@]}"
fi
echo "# figure: $turned remedies executed on a QEMU that runs"
finish
