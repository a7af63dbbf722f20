#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The hook for libvirt, called as libvirt calls it: made-up domains on standard
# input, around a QEMU that is started by hand, with its pid file where libvirt
# would have it.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
export ASAN_OPTIONS=detect_leaks=0
hook=$top_srcdir/tools/libvirt-hook

for need in qemu-system-x86_64:qemu-system-x86 xmllint:libxml2-utils chrt:util-linux; do
	if ! have "${need%:*}"; then
		skip "the hook for libvirt" "no ${need%:*} (package ${need#*:})"
		finish
	fi
done
if ! chrt -f 9 true 2> /dev/null; then
	skip "the hook for libvirt" "SCHED_FIFO is refused"
	finish
fi

mkdir "$tmp/run" "$tmp/log"
cat > "$tmp/rtkvm" <<-EOF
	#!/bin/sh
	exec "$top_builddir/tools/rtkvm" --state-dir "$tmp/state" "\$@"
EOF
chmod +x "$tmp/rtkvm"
export RTKVM=$tmp/rtkvm RTKVM_LIBVIRT_RUN=$tmp/run RTKVM_LIBVIRT_LOG=$tmp/log

qemu=
end_all() {
	[ -z "$qemu" ] || kill -KILL "$qemu" 2> /dev/null
	wait
	tap_end
}
trap end_all EXIT
accel=tcg
[ ! -r /dev/kvm ] || [ ! -w /dev/kvm ] || accel=kvm
start() {
	qemu-system-x86_64 -accel $accel -nodefaults -display none -m 32 -smp 1 \
		-name vm,debug-threads=on -object iothread,id=io1 > "$tmp/qemu.log" 2>&1 &
	qemu=$!
	for _ in $(seq 200); do
		grep -qs '^CPU 0/' "/proc/$qemu/task/"*/comm && break
		sleep 0.1
	done
	echo $qemu > "$tmp/run/vm.pid"
}
domain() { # ATTRIBUTES
	cat <<-EOF
		<domain type='kvm' id='1'>
		  <name>vm</name>
		  <metadata>
		    <other:thing xmlns:other='urn:other'/>
		    <rtkvm:vm xmlns:rtkvm='urn:librtkvm:domain:1' $1/>
		  </metadata>
		  <vcpu placement='static'>${2:-1}</vcpu>
		</domain>
	EOF
}
call() { # OPERATION ATTRIBUTES [VCPUS]
	domain "$2" "${3:-1}" | timeout 60 "$hook" vm "$1" begin - > "$tmp/out" 2> "$tmp/err"
	status=$?
}
vcpu() { # its policy and priority
	local tid
	tid=$(grep -l '^CPU 0/' "/proc/$qemu/task/"*/comm | cut -d/ -f5)
	chrt -p "$tid" | sed -n 's/.*policy: SCHED_\([A-Z]*\).*/\1/p; s/.*priority: //p' | tr '\n' ' '
}
refused() { # WHAT PART OPERATION ATTRIBUTES [VCPUS]
	call "$3" "$4" "${5:-1}"
	if [ $status != 0 ] && grep -q -e "$2" "$tmp/err"; then ok "$1"; else
		not_ok "$1" "$status: $(cat "$tmp/err")"
	fi
}

start
echo '<domain><name>vm</name></domain>' | RTKVM=/no/such "$hook" vm started begin - > "$tmp/out" 2>&1
equal "a domain that does not ask: nothing is done or said" "$? $(cat "$tmp/out")" "0 "
domain "plan='maxprio=5,policy=rr'" | RTKVM=/no/such "$hook" vm migrate begin - > "$tmp/out" 2>&1
equal "nor at another operation" "$? $(cat "$tmp/out")" "0 "
call prepare "plan='maxprio=5,policy=rr'"
equal "prepare: a plan that this host can have" "$status $(cat "$tmp/out" "$tmp/err")" "0 "
refused "prepare: a plan that is none" position prepare "plan='maxprio=500'"
refused "prepare: more vCPUs than CPUs" guard-overcommit prepare "plan='maxprio=5'" 4000
refused "a value that is none" 'watch="perhaps"' prepare "watch='perhaps'"
call prepare "plan='maxprio=500' required='no'"
equal "which is not required: said, and started" "$status $(grep -c position "$tmp/err")" "0 1"
# what is in an attribute is data
call prepare "plan='\$(touch $tmp/owned);\`touch $tmp/owned\`'"
[ ! -e "$tmp/owned" ]
equal "an attribute is no command" "$? $status" "0 1"
equal "control: the vCPU is as it was" "$(vcpu)" "OTHER 0 "

call started "plan='maxprio=5,policy=rr'"
equal "started: real-time" "$status $(vcpu)" "0 RR 4 "
contains "and watched" "$("$RTKVM" status 2> /dev/null)" "attach-$qemu/watch"
contains "by a process that outlives the hook" "$("$RTKVM" status 2> /dev/null)" "by process"
call reconnect "plan='maxprio=5,policy=rr'"
equal "reconnect: nothing to do" "$status $(vcpu)" "0 RR 4 "
kill -KILL $qemu
wait $qemu 2> /dev/null
call stopped "plan='maxprio=5,policy=rr'"
for _ in $(seq 100); do
	"$RTKVM" status 2> /dev/null | grep -q 'nothing is leased' && break
	sleep 0.1
done
equal "stopped: nothing is left" "$status $("$RTKVM" status 2> /dev/null)" "0 nothing is leased"

start
call started "watch='no'"
equal "without a watch, and the plan that is the default" "$status $(vcpu)" "0 FIFO 1 "
"$RTKVM" detach --pid $qemu > /dev/null
call reconnect "watch='no'"
equal "reconnect: what was lost is done again" "$status $(vcpu)" "0 FIFO 1 "
kill -KILL $qemu
wait $qemu 2> /dev/null
call stopped "watch='no'"
equal "stopped: given back" "$status $("$RTKVM" status 2> /dev/null)" "0 nothing is leased"
refused "started: a process that is gone" "no process $qemu" started "watch='no'"
qemu=
rm "$tmp/run/vm.pid"
refused "started: no pid file" 'vm.pid' started "watch='no'"
finish
