#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# examples/rust-vmm in the svm host, where KVM uses SVM: all phases, with a leased
# CPU, with a CPU that has left Linux, and refused by a guard. Afterwards the host
# is as it was. EMULATED_HOST=vmx: the same with VMX, which takes minutes.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"

vmm=$top_builddir/examples/rust-vmm/rust-vmm
rtkvm=$top_builddir/tools/.libs/rtkvm
if ! have "${RUSTC:-rustc}"; then
	skip "the VMM in Rust in an emulated host" "no rustc"
	finish
fi
host_name=${EMULATED_HOST:-svm}
need_host "$host_name"
cpus=4 last=3 others=0-2
[ "$host_name" = svm ] || cpus=2 last=1 others=0
for file in "$vmm" "$rtkvm"; do
	[ -x "$file" ] || { not_ok "the programs are there" "$file is not there"; finish; }
done
LD_LIBRARY_PATH=$(readlink -f "$top_builddir")/.libs
export LD_LIBRARY_PATH

cat >"$tmp/commands" <<'END'
ticks="--ticks 200 --interval-us 5000 --limit 100"
state() {
	cat /sys/devices/system/cpu/online /proc/irq/default_smp_affinity
	./rtkvm status
}
vmm() { # NAME ARGUMENT...
	name=$1
	shift
	./rust-vmm $ticks "$@" >$OUT/$name.out 2>&1
	echo $? >$OUT/$name.status
	state >$OUT/$name.after 2>&1
}
state >$OUT/before 2>&1
vmm refused --strict --cpus
# PREEMPT_RT: its own threads on the vCPUs' CPUs go above them, or the plan is refused
for comm in /proc/[0-9]*/comm; do
	case $(cat $comm 2>/dev/null) in
	rcuc/* | ktimers/* | ksoftirqd/*) pid=${comm#/proc/}; ./chrt -f -p 30 ${pid%/comm} ;;
	esac
done
vmm plain
vmm lease --cpus
vmm dedicated --dedicate
vmm control --no-realtime
END
host --host "$host_name" --cpus $cpus --flavour "$flavour" --boot-limit 200 --limit 300 --out "$tmp/kept" \
	--file "$vmm" --file "$rtkvm" --file "$tmp/commands" --file "$(type -P chrt)" "sh ./commands"
equal "the host has no problem" "$status" 0
said
[ "$status" != 4 ] || finish

left() { { tr -d '\r\0' <"$tmp/kept/001/out/$1"; } 2>&1; }
said_of() { left "$1.out" | awk -v what="$2 " 'index($0, what) == 1 { print substr($0, length(what) + 1) }'; }
feature() { left "$1.out" | awk -v name="$2" '/^  / && index($0, "  " name " ") == 1 { sub("^  " name " +", ""); print $1 }'; }
ran() { # NAME WHAT
	equal "$2: status 0" "$(left "$1.status")" 0
	[ "$(left "$1.status")" = 0 ] || left "$1.out" | sed 's/^/# /'
	equal "$2: each tick is recorded" "$(said_of "$1" late: | cut -d' ' -f1)" 200
	equal "$2: each doorbell was answered" "$(said_of "$1" "round trip:" | cut -d' ' -f1)" 200
	equal "$2: afterwards the host is as before" "$(left "$1.after")" "$(left before)"
	said_of "$1" late: | sed "s/^/# $2: late: /"
	said_of "$1" "exits a tick:" | sed "s/^/# $2: exits a tick: /"
}
thread() { # NAME WHO
	said_of "$1" "$2 thread:"
}

ran plain "an ordinary vCPU"
equal "main thread" "$(thread plain main | cut -d, -f1)" "SCHED_FIFO 20"
equal "I/O thread" "$(thread plain I/O | cut -d, -f1)" "SCHED_FIFO 20"
equal "vCPU thread" "$(thread plain vCPU | cut -d, -f1)" "SCHED_FIFO 19"
equal "given back" "$(said_of plain "main thread afterwards:" | cut -d, -f1)" "SCHED_OTHER 0"
equal "the library saw it too" "$(feature plain vcpu-threads)" verified

ran lease "with a leased CPU"
leased=$(said_of lease "leased CPUs:" | tr -d '[]')
equal "its vCPU is there, at its priority" "$(thread lease vCPU)" "SCHED_FIFO 19, CPUs $leased"
case $(thread lease I/O) in
*[-,]"$leased" | *" $leased" | *" $leased"[-,]*)
	not_ok "and the I/O thread is not" "$(thread lease I/O)" ;;
*) ok "and the I/O thread is not" ;;
esac

ran dedicated "with a dedicated CPU"
equal "the guest was there" "$(feature dedicated "dedicated-cpu 0")" verified
contains "which Linux had left" "$(left dedicated.out)" "leased CPUs: [$last]"
equal "so its thread is not" "$(thread dedicated vCPU)" "SCHED_FIFO 19, CPUs $others"

ran control "control: not real-time"
equal "control: its vCPU is not raised" "$(thread control vCPU | cut -d, -f1)" "SCHED_OTHER 0"

if [ "$flavour" = ci ] || [ "$flavour" = rt ]; then
	equal "a plan above the kernel's threads, strictly: status 1" "$(left refused.status)" 1
	contains "is refused by name" "$(left refused.out)" "guard-kthreads"
	equal "and its CPU given back" "$(left refused.after)" "$(left before)"
else
	skip "a guard refuses" "only the flavour rt has PREEMPT_RT"
fi
finish
