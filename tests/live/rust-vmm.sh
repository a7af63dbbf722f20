#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# examples/rust-vmm: builds outside the tree by pkg-config alone; runs its guest on
# this machine's /dev/kvm through all phases; its threads are as the plan says, and
# are not where it must not be so; what it cannot have fails as told.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

rustc=${RUSTC:-rustc}
if ! have "$rustc"; then
	skip "the VMM in Rust" "no rustc"
	finish
fi

# ---- outside the tree ------------------------------------------------------------------

root=$tmp/root
check "make install DESTDIR=" make -s -C "$top_builddir" install DESTDIR="$root"
pc=$(find "$root" -name rtkvm.pc)
export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=${pc%/*}
export PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
cp -r "$top_srcdir/examples/rust-vmm" "$tmp/rust-vmm"
chmod -R u+w "$tmp/rust-vmm"
standalone() { make -s -C "$tmp/rust-vmm" RUSTC="$rustc" "$@"; }
check "it builds outside the tree" standalone RUSTFLAGS="-O -D warnings"
LD_LIBRARY_PATH=$root$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --variable=libdir rtkvm)
export LD_LIBRARY_PATH
vmm=$tmp/rust-vmm/rust-vmm
check "and runs" "$vmm" --help
PKG_CONFIG_LIBDIR=$tmp refuse "not without the installed library" standalone -B
check "its declarations are made again from what is installed" standalone bindings
check "and are the same" cmp "$tmp/rust-vmm/rtkvm.rs" "$top_srcdir/examples/rust-vmm/rtkvm.rs"
check "it builds again" standalone

# Its status in $status, output in $out.
run() { # ARGUMENT...
	status=0
	out=$(timeout -k 5 120 "$vmm" "$@" 2>&1 </dev/null) || status=$?
}
usage() { # WHAT ARGUMENT...
	local what=$1
	shift
	run "$@"
	equal "usage: $what" "$status" 2
}
usage "no such option" --nothing
usage "no value" --ticks
usage "not a number" --ticks many
usage "too many ticks" --ticks 32769

if ! { : <>/dev/kvm; } 2>/dev/null; then
	skip "its guest" "no /dev/kvm that can be opened"
	finish
fi

# ---- all phases ------------------------------------------------------------------------

said() { awk -v what="$1 " 'index($0, what) == 1 { print substr($0, length(what) + 1) }' <<<"$out"; }
feature() { awk -v name="$1" '/^  / && $1 == name { print $2 }' <<<"$out"; }
ran() { # WHAT: status 0 and all ticks
	equal "$1: status 0" "$status" 0
	[ "$status" = 0 ] || printf '%s\n' "$out" | sed 's/^/# /'
	equal "$1: each tick is recorded" "$(said late: | cut -d' ' -f1)" 200
	equal "$1: each doorbell was answered" "$(said "round trip:" | cut -d' ' -f1)" 200
	check "$1: and rung at least so often" test "$(said "doorbell rung:")" -ge 200
}
scheduled() { # WHAT WHO WANTED
	equal "$1: $2 thread is $3" "$(said "$2 thread:" | cut -d, -f1)" "$3"
}

run --ticks 200
ran "with the library"
equal "halt polling is off" "$(said "halts polled:")" 0
equal "CPUID is the library's" "$(feature tsc)" verified
equal "a kick was sent and came" "$(feature immediate-exit)" verified
if grep -q "threads are left as they are" <<<"$out"; then
	skip "threads as planned" "SCHED_FIFO is refused"
	refused=1
else
	scheduled "the default plan" main "SCHED_FIFO 20"
	scheduled "the default plan" "I/O" "SCHED_FIFO 20"
	scheduled "the default plan" vCPU "SCHED_FIFO 19"
	equal "the library saw it too" "$(feature vcpu-threads)" verified
	refused=0
fi
equal "given back in the end" "$(said "main thread afterwards:" | cut -d, -f1)" "SCHED_OTHER 0"

if [ $refused = 0 ]; then
	run --ticks 200 --plan maxprio=7,policy=rr
	ran "another plan"
	scheduled "another plan" "I/O" "SCHED_RR 7"
	scheduled "another plan" vCPU "SCHED_RR 6"

	# ---- controls ----------------------------------------------------------------------
	run --ticks 200 --no-realtime
	ran "control: not real-time"
	scheduled "control: not real-time" vCPU "SCHED_OTHER 0"
	scheduled "control: not real-time" main "SCHED_OTHER 0"
fi
run --ticks 200 --plan maxprio=0,policy=ts
ran "control: a plan that raises nothing"
scheduled "control: a plan that raises nothing" vCPU "SCHED_OTHER 0"

run --mute --limit 1
equal "control: a device that does not answer is noticed" "$status" 1
contains "and told" "$out" "did not come up within 1 s"

# ---- errors are the library's, word for word -------------------------------------------

run --plan maxprio=80,policy=best
equal "a wrong plan" "$status" 1
contains "is told with its place" "$out" "position 19"
run --lease-fd 0 # /dev/null
equal "a descriptor that is no lease" "$status" 1
contains "is told" "$out" "is not that of a CPU lease"
run --ticks 200 --noexit-hlt
if [ "$(feature noexit-hlt)" = off ] && [ $refused = 0 ]; then
	run --ticks 200 --noexit-hlt --strict
	equal "strict: a feature that is off" "$status" 1
	contains "strict: is named" "$out" "noexit-hlt"
else
	ran "a HLT that does not exit"
fi
finish
