#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every payload under the test VMM on this machine's /dev/kvm; and the faults
# that payloads and VMM must notice.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/payloads.sh"

# ---- asked wrongly: needs no KVM -------------------------------------------------

usage() { # WHAT ARGUMENT...
	local what=$1
	shift
	"$vmm" "$@" > "$tmp/out" 2>&1 < /dev/null
	equal "usage: $what" "$?" 2
}
usage "no payload"
usage "two payloads" a b
usage "no such option" --nothing a
usage "no number of CPUs" --cpus many a
usage "too many CPUs" --cpus 9 a
usage "no such event source" --event thunder a
usage "no such fault" --break everything a
usage "an expectation that is none" --expect "exits<3" a
usage "an expectation without a number" --expect "exits<=few" a
check "--help lists the event sources" sh -c '"$1" --help | grep -q "^  irqfd "' - "$vmm"

if ! { : < /dev/kvm; } 2>/dev/null || ! { : > /dev/kvm; } 2>/dev/null; then
	skip "payloads" "no /dev/kvm that can be opened"
	finish
fi
printf 'something else, longer than an image has for its header\n%0600d' 0 > "$tmp/other"
status=0
"$vmm" "$tmp/other" > "$tmp/out" 2>&1 || status=$?
equal "a file that is no payload is refused" "$status" 4

# ---- payloads ----------------------------------------------------------------------

# It ends well and took at least the events it asked for.
takes() { # WHAT EVENTS NAME ARGUMENT...
	local what=$1 events=$2 taken
	shift 2
	payload "$@"
	taken=$(figure guest.taken <<< "$out")
	if [ "$status" = 0 ] && [ "$taken" != none ] && [ "$taken" -ge "$events" ] &&
		[ "$(figure guest.events <<< "$out")" = "$events" ]; then
		ok "$what"
	else
		not_ok "$what" "status $status, $taken events taken of $events"
		payload_said
	fi
}

takes "interrupts in x2APIC mode" 2 basic
equal "it was x2APIC mode" "$(figure guest.x2apic <<< "$out")" 1
takes "interrupts in xAPIC mode" 2 basic --args apic=xapic
equal "it was xAPIC mode" "$(figure guest.x2apic <<< "$out")" 0
takes "a guest that sees no x2APIC" 2 basic --no-x2apic
equal "does without" "$(figure guest.x2apic <<< "$out")" 0
takes "a second CPU by INIT and SIPI" 2 basic --cpus 2
equal "there were two" "$(figure guest.cpus <<< "$out")" 2
takes "in xAPIC mode" 2 basic --cpus 2 --args apic=xapic
takes "a second CPU by KVM_SET_SREGS" 2 basic --cpus 2 --start-direct
takes "interrupt controllers half in user space" 2 basic --split

for wait in hlt spin; do
	takes "one-shot timer, $wait" 50 timer --args "n=50 timer=oneshot wait=$wait"
	takes "TSC-deadline timer, $wait" 50 timer --args "n=50 timer=deadline wait=$wait"
	# so long that a guest whose ring 0 is emulated gets on between two, also on a busy machine
	takes "periodic timer, $wait" 20 timer --args "n=20 warmup=2 timer=periodic period=10000000 wait=$wait"
	takes "an irqfd, $wait" 50 msi --event irqfd --args "n=50 wait=$wait"
	takes "KVM_SIGNAL_MSI, $wait" 50 msi --event msi --args "n=50 wait=$wait"
done
takes "the one-shot timer in xAPIC mode" 50 timer --args "n=50 apic=xapic"
takes "interrupts that come by themselves" 50 msi --event irqfd --fire-us 300 --args "n=50 by=outside"
takes "interrupts between CPUs" 50 ipi --cpus 2 --args "n=50 mode=oneway"
takes "and back" 50 ipi --cpus 2 --args "n=50 mode=pingpong"
equal "each was answered" "$(figure guest.answers <<< "$out")" 66
takes "interrupts to itself" 50 ipi --args "n=50 mode=self"
takes "made real-time by the library, whose counts are those read raw" 50 ipi --cpus 2 \
	--args "n=50" --plan "maxprio=10,policy=ts"
equal "the library's report is told" "$(figure library.stats <<< "$out")" verified
takes "an idle guest" 1 idle --args "period=5000000"
if grep -qwE 'vmx|svm' /proc/cpuinfo; then
	takes "hypercalls" 50 hypercall --args "n=50"
	equal "KVM counts as many" "$(figure vcpu0.stats.hypercalls <<< "$out")" 50
else
	skip "hypercalls" "this KVM works without VMX and SVM, and knows no hypercall of ring 0"
fi

# ---- faults are noticed ---------------------------------------------------------------

# It must end with that status and say why.
fails() { # WHAT STATUS WHY NAME ARGUMENT...
	local what=$1 want=$2 why=$3
	shift 3
	payload "$@"
	if [ "$status" = "$want" ] && [[ $out$err == *$why* ]]; then
		ok "$what"
	else
		not_ok "$what" "status $status (wanted $want), and '$why' must be said"
		payload_said
	fi
}

fails "an exception in the guest" 1 "guest.trap 6" basic --args trap=1
fails "an interrupt without a handler" 1 "has no handler" basic --args stray=1
fails "a timer interrupt that is lost" 1 "a timer interrupt was lost" timer --args "n=20 lose=5"
fails "the same by deadline" 1 "a timer interrupt was lost" timer --args "n=20 lose=5 timer=deadline"
fails "an event that was not sent" 4 "did not end within 3 s" msi --event irqfd --args n=20 \
	--break lose-event --limit 3
fails "counts that the library misreads" 3 "the library reads" ipi --cpus 2 --args "n=50" \
	--plan "maxprio=10,policy=ts" --break misread
fails "an event that there is no source for" 4 "no source" msi --args n=20
fails "a payload that needs two CPUs" 1 "needs cpus=2" ipi --args n=20
fails "an argument that is no number" 1 "is no number" timer --args n=ten
fails "an expectation that does not hold" 1 "expected guest.taken>=51" timer --args n=50 \
	--expect "guest.taken>=51"
fails "a figure that there is not" 1 "there is no such figure" timer --args n=50 --expect "guest.none==0"
takes "control: an expectation that holds" 50 timer --args n=50 --expect "guest.events==50"
# few exits are no result when nothing happened
fails "few exits without an event" 1 "no event was taken" timer --args "n=0 warmup=0" \
	--expect "vcpu0.exits<=1000000"
takes "control: the same with events" 50 timer --args "n=50" --expect "vcpu0.exits<=1000000"

if [ -d /sys/kernel/tracing/events/kvm/kvm_exit ] || [ -d /sys/kernel/debug/tracing/events/kvm/kvm_exit ]; then
	ok "tracepoints are there: the emulated hosts' tests look at them"
else
	fails "tracepoints that are asked for and are not there" 4 "no tracepoints" basic --meters both
fi
finish
