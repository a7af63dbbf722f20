#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The library's dedicated vCPUs in the emulated hosts, by examples/rt-vmm: the
# built-in guest and Linux, one vCPU and two, all dedicated or one of them. Seen
# from outside: the CPU is not online, the guest is entered there, its thread
# hardly runs. Killed: everything comes back. Refused: an ordinary vCPU, or an error.
# The control: the same without --dedicate shows none of it.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"

vmm=$top_builddir/examples/rt-vmm/.libs/rt-vmm
rtkvm=$top_builddir/tools/.libs/rtkvm
for file in "$vmm" "$rtkvm"; do
	[ -x "$file" ] || { not_ok "the programs are there" "$file: not built with a shared library"; finish; }
done
LD_LIBRARY_PATH=$(readlink -f "$top_builddir")/.libs
export LD_LIBRARY_PATH
fifo="--rt maxprio=10,policy=ff" ordinary="--rt maxprio=10,policy=ts"

whats=() commands=() outs=()
add() { # NAME WHAT COMMAND
	outs+=("$1") whats+=("$2") commands+=("sh ./dedicate $3")
}
left() { # NAME.KIND
	cat "$kept/out/$1" 2>&1
}
# Microseconds of a vCPU: of its thread, of all, and in the guest on a dedicated CPU.
times() { # NAME VCPU
	left "$1.out" | awk -v v="vCPU $2:" '
		index($0, v " thread ran") { ran = $5; all = $7 }
		index($0, v " entered") { entered = $4; guest = $10 }
		END { print ran + 0, all + 0, entered + 0, guest + 0 }' | head -n 1
}
# Is the guest entered there, by the report and by KVM's statistics?
there() { # NAME VCPU
	local ran all entered guest
	read -r ran all entered guest <<< "$(times "$1" "$2")"
	grep -q "^  dedicated-cpu $2  *verified" <<< "$(left "$1.out")" && [ "$entered" -gt 0 ]
}
# And by the scheduler's: of the thread of a guest that computes. Not of Linux, whose
# ticks exit: its thread handles thousands of exits, which takes what the machine lets it.
dedicated() { # NAME VCPU
	local ran all entered guest
	read -r ran all entered guest <<< "$(times "$1" "$2")"
	there "$1" "$2" && [ "$guest" -gt $((all / 10)) ] && [ $((ran * 2)) -lt "$guest" ]
}
tell() { # NAME: what was measured
	left "$1.out" | sed -n "s/^  \(vCPU .: \(thread\|entered\)\)/# $on_host, $1: \1/p"
}
shown() { # NAME: when a check failed
	left "$1.err" | tail -n 15 | sed 's/^/# /'
	left "$1.out" | tail -n 45 | sed 's/^/# /'
}

# What the kernel showed while the guest ran.
is_dedicated() { # NAME CPUS ONLINE
	contains "$on_host: ${whats[i]}: dedicated are $2" "$(left "$1.out")" "CPUs dedicated: $2"
	contains "$on_host: ${whats[i]}: online are the others" "$(left "$1.out")" "CPUs online: ${3/#0-0/0}"
}

runs() { # HOST CPUS-OF-THE-HOST
	whats=() commands=() outs=()
	local a=$(($2 - 2)) b=$(($2 - 1))
	add one "the built-in guest, one vCPU" "run one --duration 2 --no-fallback $fifo --dedicate $b"
	add plain "the control without --dedicate" "run plain --duration 2 $ordinary"
	add two "two vCPUs, both dedicated" "run two --vcpus 2 --duration 2 $fifo --dedicate $a-$b"
	add mixed "two vCPUs, one of them dedicated" \
		"run mixed --vcpus 2 --duration 2 $ordinary --dedicate $b --cpus $a"
	add passed "of another user, by descriptors" "passed passed $b --duration 2 --no-fallback $ordinary"
	add kill "killed, then rtkvm restore" "kill $b"
	add fallback "without the privilege: an ordinary vCPU" "denied fallback --duration 1 $ordinary --dedicate $b"
	add strict "the same, strictly: an error" "denied strict --duration 1 --no-fallback $ordinary --dedicate $b"
}

one_host() { # HOST CPUS
	local all=0-$(($2 - 1)) got i name
	host_cpus=$2
	on_host=$1
	runs "$1" "$2"
	host --host "$1" --cpus "$2" --boot-limit 400 --limit 300 --out "$tmp/$1" --file "$vmm" \
		--file "$rtkvm" --file "$emulated/dedicate" --file "$(type -P setpriv)" "${commands[@]}"
	equal "$1: the commands, and the kernel has nothing to say" "$status" 0
	[ "$status" = 0 ] || said 40
	for ((i = 0; i < ${#commands[@]}; i++)); do
		kept=$(printf '%s/%s/%03d' "$tmp" "$1" $((i + 1)))
		name=${outs[i]}
		case $name in
		kill)
			got=$(cut -d' ' -f1 "$kept/status" 2>&1)
			equal "$1: ${whats[i]}" "$got" 0
			[ "$got" = 0 ] || sed 's/^/# /' "$kept/output"
			continue
			;;
		strict)
			equal "$1: ${whats[i]}" "$(left strict.status)" 1
			contains "$1: which names the cause" "$(left strict.err)" "CAP_SYS_ADMIN"
			;;
		*)
			equal "$1: ${whats[i]}: measured" "$(left "$name.status")" 0
			[ "$(left "$name.status")" = 0 ] || shown "$name"
			;;
		esac
		tell "$name"
		contains "$1: ${whats[i]}: all CPUs are back" "$(left "$name.after")" "online $all"
		contains "$1: ${whats[i]}: no lease is left" "$(left "$name.after")" "nothing is leased"
		case $name in
		one | mixed | passed)
			check "$1: ${whats[i]}: the guest is there, its thread hardly runs" dedicated "$name" 0 || shown "$name"
			is_dedicated "$name" "$((host_cpus - 1))" "0-$((host_cpus - 2))"
			;;
		two)
			check "$1: ${whats[i]}: the first" dedicated two 0 || shown two
			check "$1: ${whats[i]}: the second" dedicated two 1
			is_dedicated two "$((host_cpus - 2))-$((host_cpus - 1))" "0-$((host_cpus - 3))"
			;;
		plain)
			if dedicated plain 0; then
				not_ok "$1: control: an ordinary vCPU passes none of that"
			else
				ok "$1: control: an ordinary vCPU passes none of that"
			fi
			;;
		fallback)
			contains "$1: ${whats[i]}: on its CPU, which is online again" "$(left fallback.out)" \
				"an ordinary vCPU on leased CPU $((host_cpus - 1))"
			contains "$1: ${whats[i]}: and why" "$(left fallback.out)" "CAP_SYS_ADMIN"
			;;
		esac
		case $name in
		mixed)
			if dedicated mixed 1; then
				not_ok "$1: control: the other vCPU is an ordinary one"
			else
				ok "$1: control: the other vCPU is an ordinary one"
			fi
			;;
		esac
	done
}

need_host svm
have setpriv || { not_ok "setpriv is there" "package util-linux"; finish; }
one_host svm 4

# A Linux guest: of the host's own kernel and flavour. Its second CPU is dedicated as well, or not.
linux_guest() { # HOST CPUS
	local kernel i name a=$(($2 - 2)) b=$(($2 - 1))
	kernel=$("$top_srcdir/kernel/rtkvm-kernel" build "$flavour" 2>/dev/null)
	check "a vmlinux without its symbols" objcopy -S "$kernel/vmlinux" "$tmp/vmlinux"
	chmod -x "$tmp/vmlinux" # no program of this machine
	check "its initramfs" "$emulated/linux-guest" --out "$tmp/guest.cpio" --marker "the guest is up" \
		"for i in 1 2; do (n=0; while [ \$n -lt 30000 ]; do n=\$((n + 1)); done) & done; wait" \
		"grep -c 'processor[[:space:]]*:' /proc/cpuinfo" "exit 7"
	whats=("$1: Linux, both vCPUs dedicated" "$1: Linux, one of two dedicated") outs=(two mixed)
	host --host "$1" --cpus "$2" --memory 1024 --boot-limit 400 --append no_timer_check --limit 1200 \
		--out "$tmp/$1-linux" --file "$vmm" --file "$rtkvm" --file "$emulated/dedicate" \
		--file "$tmp/vmlinux" --file "$tmp/guest.cpio" \
		"sh ./dedicate linux two --vcpus 2 $ordinary --dedicate $a-$b" \
		"sh ./dedicate linux mixed --vcpus 2 $ordinary --dedicate $b --cpus $a"
	equal "$1: Linux: the commands, and the kernel has nothing to say" "$status" 0
	[ "$status" = 0 ] || said 40
	on_host=$1
	for ((i = 0; i < 2; i++)); do
		kept=$(printf '%s/%s-linux/%03d' "$tmp" "$1" $((i + 1)))
		name=${outs[i]}
		equal "${whats[i]}: it ends with its own status" "$(left "$name.status")" 7
		[ "$(left "$name.status")" = 7 ] || shown "$name"
		tell "$name"
		check "${whats[i]}: the first vCPU is there" there "$name" 0 || shown "$name"
		if [ "$name" = two ]; then
			is_dedicated two "$a-$b" "0-$((a - 1))"
			check "${whats[i]}: so is the second" there two 1
		elif there mixed 1; then
			not_ok "${whats[i]}: control: the second is an ordinary one"
		else
			ok "${whats[i]}: control: the second is an ordinary one"
		fi
		contains "${whats[i]}: all CPUs are back" "$(left "$name.after")" "online 0-$b"
		contains "${whats[i]}: no lease is left" "$(left "$name.after")" "nothing is leased"
	done
}
linux_guest svm 4

only_long "on VMX"
need_host vmx
one_host vmx 3
linux_guest vmx 3
finish
