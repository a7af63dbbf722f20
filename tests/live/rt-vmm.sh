#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# examples/rt-vmm on the real /dev/kvm: what it measures adds up, what it sets
# is read back, it ends whatever the guest does, and the host is left as it was,
# also after Ctrl-C and after SIGKILL. Nothing here depends on how fast anything
# is; the figures are judged by tests/claims/demo-p99.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

vmm=$top_builddir/examples/rt-vmm/rt-vmm
self=$(readlink -f "$top_builddir")
export HOME=$tmp

# Whatever happens, no demo stays behind.
demo=
stop_demo() {
	local status=$?
	if [ -n "$demo" ] && kill -INT "$demo" 2>/dev/null; then
		wait "$demo"
	fi
	(exit $status)
	tap_end
}
trap stop_demo EXIT

# ---- the host, by plain tools ------------------------------------------------

# "task start-time name: policy rt-priority nice CPUs" of every thread; two
# processes in all, so that it takes no time on a busy machine.
threads() {
	grep -s '' /proc/[0-9]*/task/[0-9]*/stat /proc/[0-9]*/task/[0-9]*/status | awk '
	/\/stat:/ {
		path = $0
		sub(/\/stat:.*/, "", path)
		name = $0
		sub(/^[^(]*\(/, "", name)
		sub(/\) [A-Za-z] .*/, "", name)
		sub(/^.*\) /, "") # from field 3 on
		what[path] = path " " $20 " " name ":"
		sched[path] = $39 " " $38 " " $17
	}
	/\/status:Cpus_allowed_list:/ {
		path = $0
		sub(/\/status:.*/, "", path)
		if (path in what)
			print what[path], sched[path], $NF
	}'
}

knobs() {
	grep -s . /proc/irq/*/smp_affinity /proc/irq/default_smp_affinity \
		/sys/devices/virtual/workqueue/cpumask /proc/sys/kernel/sched_rt_* \
		/sys/module/kvm/parameters/halt_poll_ns /proc/sys/vm/nr_hugepages
	if [ -r /dev/cpu_dma_latency ]; then
		echo "cpu_dma_latency $(od -An -td4 -N4 /dev/cpu_dma_latency)"
	fi
}

leftovers() {
	find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -printf 'still runs: %p -> %l\n' 2>/dev/null |
		grep -e " $self/examples/rt-vmm/" -e " $tmp/"
}

before() {
	knobs >"$tmp/knobs"
	threads | sort >"$tmp/threads"
}

# What differs now. Threads are compared that were there before and still are.
differs() {
	knobs | diff "$tmp/knobs" - | sed -n 's/^[<>]/&/p'
	threads | sort >"$tmp/threads.now"
	join -j 1 -t '~' <(sed 's/: /~/' "$tmp/threads" | sort) \
		<(sed 's/: /~/' "$tmp/threads.now" | sort) | awk -F'~' '$2 != $3'
	leftovers
}

# Others may change their own threads meanwhile: a difference counts if it stays.
host_as_before() {
	local what=$1 found=
	for _ in 1 2 3 4 5 6 7 8; do
		found=$(differs)
		[ -n "$found" ] || break
		sleep 1
	done
	equal "$what" "$found" ""
}

# Settings that were not read back as asked for. AddressSanitizer turns
# mlockall() into nothing: there, and only there, memory may be among them.
not_as_asked() {
	if [ -n "${SANITIZED:-}" ]; then
		grep -e "NOT AS ASKED" -e '"same": false' | grep -v -e '^  memory ' -e '"what": "memory"'
	else
		grep -e "NOT AS ASKED" -e '"same": false'
	fi
}

# ---- running -----------------------------------------------------------------

# vmm STATUS WHAT ARG...: run it; ok when it exits with that status.
run() {
	local wanted=$1 what=$2 status=0
	shift 2
	out=$(timeout -k 5 120 "$vmm" "$@" 2>"$tmp/err" </dev/null) || status=$?
	err=$(<"$tmp/err")
	if [ $status = "$wanted" ]; then
		ok "$what"
	else
		not_ok "$what" "rt-vmm $*: exit status $status, expected $wanted
$out
$err"
	fi
}

# Wake-ups and lost ticks, of a run's first line.
adds_up() {
	local what=$1 wanted=$2 text=$3 wakeups ticks lost
	read -r wakeups ticks lost < <(sed -n \
		's/.*: \([0-9]*\) wake-ups of \([0-9]*\) ticks, \([0-9]*\) lost.*/\1 \2 \3/p' <<<"$text")
	if [ "${ticks:-0}" = "$wanted" ] && [ "${wakeups:-0}" -gt 0 ] &&
		[ $((wakeups + lost)) = "$wanted" ]; then
		ok "$what"
	else
		not_ok "$what" "$text"
	fi
}

without_kvm() {
	run 1 "without KVM: a missing device is said" run --kvm /no/such/kvm
	contains "with the remedy" "$err" "modprobe"
	equal "and nothing is made up" "$out" ""
	run 1 "without KVM: demo says so as well" demo --kvm /no/such/kvm --output "$tmp/none"
	refuse "and makes no files" test -e "$tmp/none"
	run 1 "without KVM: another device is refused" run --kvm /dev/null
	contains "and named" "$err" "not a KVM device"
	run 1 "without KVM: a descriptor that is not open" run --kvm fd:99
	: >"$tmp/kvm"
	chmod 0 "$tmp/kvm"
	if [ "$(id -u)" != 0 ]; then
		run 1 "without KVM: no permission" run --kvm "$tmp/kvm"
		contains "with the remedy, the group" "$err" "usermod"
	fi
}

usage() {
	run 64 "usage: unknown command" nonsense
	run 64 "usage: vCPUs out of range" run --vcpus 9
	run 64 "usage: not a number" run --interval 10x
	run 64 "usage: CPU list" run --cpus 1-0
	run 64 "usage: CPUs that are not there" run --cpus 1023
	run 64 "usage: work longer than the interval" run --work 1000 --interval 1000
	run 0 "usage: --help" --help
}

usage
without_kvm

if ! { : <>/dev/kvm; } 2>/dev/null; then
	skip "a guest runs" "no /dev/kvm that can be opened"
	finish
fi

# ---- a guest -----------------------------------------------------------------

run 0 "a plain run" run --duration 1
adds_up "its wake-ups and lost ticks are all ticks" 1000 "$out"
run 0 "two vCPUs, every 500 us" run --vcpus 2 --interval 500 --duration 1
adds_up "the ticks of both" 4000 "$out"
run 0 "a slow guest" run --interval 100000 --duration 1
adds_up "ten ticks" 10 "$out"

files=("$tmp/h.hgrm" "$tmp/h.hist" "$tmp/h.json" "$tmp/h.txt")
run 0 "histogram files" run --duration 1 --histogram "${files[0]}" --histogram "${files[1]}" \
	--histogram "${files[2]}" --histogram "${files[3]}"
wakeups=$(sed -n 's/^plain: \([0-9]*\) wake-ups.*/\1/p' <<<"$out")
equal "the cyclictest histogram has every wake-up" \
	"$(awk '/^[0-9]/ { n += $2 } END { print n }' "${files[1]}")" "$wakeups"
contains "so has the HdrHistogram file" "$(tail -n 2 "${files[0]}")" "$wakeups"

run 1 "a guest that hangs is stopped by the watchdog" run --break-guest hang
contains "and said" "$err" "watchdog"
run 1 "an exception in the guest ends the run" run --break-guest trap
contains "its vector is named" "$err" "exception 6"
run 1 "a triple fault ends the run" run --break-guest shutdown
contains "and is named" "$err" "triple fault"
run 1 "demo: a broken guest is no result" demo --duration 1 --rounds 1 --break-guest trap \
	--output "$tmp/broken"
equal "no result file" "$(ls "$tmp/broken" 2>/dev/null)" ""

# ---- by the library ----------------------------------------------------------

run 1 "a plan that is none" run --rt "maxprio=1"
contains "the library's words" "$err" "maxprio"
run 0 "a plan without real-time policy" run --duration 1 --rt "maxprio=0,policy=ts"
adds_up "runs all the same" 1000 "$out"
contains "and its threads are ordinary" "$out" "SCHED_OTHER / SCHED_OTHER"

# As an ordinary user, who got /dev/kvm from a launcher.
unprivileged() {
	local bin=$tmp/bin status=0 real=$top_builddir/examples/rt-vmm/.libs/rt-vmm
	chmod 711 "$tmp"
	mkdir -m 755 "$bin"
	mkdir -m 777 "$tmp/nobody"
	if [ -x "$real" ]; then
		cp -L "$top_builddir"/.libs/librtkvm.so.0 "$bin/"
	else
		real=$vmm
	fi
	cp "$real" "$bin/rt-vmm"
	chmod 755 "$bin/rt-vmm" "$bin"/*
	as_nobody=(env HOME="$tmp/nobody" LD_LIBRARY_PATH="$bin" setpriv --reuid=65534 --regid=65534
		--clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$bin/rt-vmm")
	out=$("${as_nobody[@]}" run --kvm "$tmp/kvm" 2>&1) || status=$?
	equal "without KVM: no permission" "$status" 1
	contains "with the remedy, the group" "$out" "usermod"
	status=0
	out=$("${as_nobody[@]}" run --duration 1 --rt maxprio=80 --kvm fd:9 9<>/dev/kvm 2>&1) ||
		status=$?
	equal "without privilege: measured" "$status" 0
	adds_up "without privilege: wake-ups add up" 1000 "$out"
	contains "without privilege: says what is missing" "$out" "RLIMIT_RTPRIO"
	contains "without privilege: what could be done is done" "$out" "vCPU 0: CPUs"
	status=0
	out=$("${as_nobody[@]}" run --duration 1 --by-hand --kvm fd:9 9<>/dev/kvm 2>&1) || status=$?
	equal "without privilege, by hand: measured" "$status" 0
	contains "without privilege, by hand: what was not given is seen" "$out" \
		"SCHED_FIFO 80 / SCHED_OTHER   NOT AS ASKED"
	status=0
	out=$("${as_nobody[@]}" demo --duration 1 --rounds 1 --output "$tmp/nobody/demo" --kvm fd:9 \
		9<>/dev/kvm 2>&1) || status=$?
	case $status in
	0 | 2) ok "without privilege: the demo runs" ;;
	*) not_ok "without privilege: the demo runs" "$out" ;;
	esac
	equal "without privilege: both verdicts are not asked" \
		"$(grep -c "not asked: real-time scheduling was left out" <<<"$out")" 2
}

if [ "$(id -u)" = 0 ]; then
	unprivileged
else
	skip "without privilege" "not root"
fi

if [ "$(id -u)" != 0 ]; then
	skip "settings of a real-time run are read back" "needs root"
	skip "the host after Ctrl-C and SIGKILL" "needs root"
	finish
fi
if ! chrt -f 1 true 2>/dev/null; then
	skip "settings of a real-time run are read back" "SCHED_FIFO is refused"
	skip "the host after Ctrl-C and SIGKILL" "SCHED_FIFO is refused"
	finish
fi

before
run 0 "a run by the library" run --duration 1 --rt "maxprio=70,policy=rr"
adds_up "its wake-ups add up" 1000 "$out"
contains "the main thread" "$out" "main thread: scheduling    SCHED_RR 70 / SCHED_RR 70"
contains "the vCPU one below" "$out" "vCPU 0: scheduling         SCHED_RR 69 / SCHED_RR 69"
contains "memory is locked" "$out" "memory                     locked / "
equal "all settings are read back as asked for" "$(not_as_asked <<<"$out")" ""
run 0 "a run tuned by hand" run --duration 1 --by-hand
contains "its priority is read back" "$out" "SCHED_FIFO 80 / SCHED_FIFO 80"
equal "nothing differs from what was asked for" "$(not_as_asked <<<"$out")" ""
host_as_before "the host is as before"

# A thread of the demo's run has the priority of the library's vCPU.
raised() {
	local pid
	for pid in $(pgrep -P "$demo"); do
		grep -hs '' /proc/"$pid"/task/*/stat
	done | awk '{ sub(/^.*\) /, "") } $38 == 79 && $39 == 1 { found = 1 } END { exit !found }'
}

# demo in the background, up to its library case.
start_demo() {
	"$vmm" demo --duration 4 --rounds 4 --output "$tmp/demo" >"$tmp/out" 2>"$tmp/err" </dev/null &
	demo=$!
	for _ in $(seq 600); do
		if raised; then
			ok "demo comes to the library's case"
			return
		fi
		kill -0 "$demo" 2>/dev/null || break
		sleep 0.1
	done
	not_ok "demo comes to the library's case" "$(<"$tmp/err")"
	finish
}

moves=1
[ "$(nproc)" -gt 1 ] && [ -w /proc/irq/default_smp_affinity ] || moves=0

# In a subshell's background a shell ignores SIGINT for its children; rt-vmm
# sets its own handler.
start_demo
if [ $moves = 1 ]; then
	found=$(differs)
	contains "meanwhile the host differs" "$found" "default_smp_affinity"
	contains "and the demo's processes are seen" "$found" "still runs"
fi
kill -INT "$demo" 2>/dev/null
status=0
wait "$demo" || status=$?
demo=
equal "Ctrl-C ends the demo with status 130" "$status" 130
equal "without a result" "$(ls "$tmp/demo" 2>/dev/null)" ""
host_as_before "the host is as before after Ctrl-C"

start_demo
{
	kill -KILL "$demo"
	wait "$demo"
} 2>/dev/null
demo=
for _ in $(seq 50); do
	[ -n "$(leftovers)" ] || break
	sleep 0.2
done
equal "no process survives SIGKILL of the demo" "$(leftovers)" ""
if [ $moves = 1 ]; then
	contains "what it moved is still moved" "$(knobs | diff "$tmp/knobs" -)" \
		"default_smp_affinity"
fi
restore=("$vmm" restore)
[ ! -x "$top_builddir/tools/rtkvm" ] || restore=("$top_builddir/tools/rtkvm" restore)
check "${restore[*]##*/}" "${restore[@]}"
host_as_before "the host is as before after SIGKILL and restore"

# ---- a whole demo ------------------------------------------------------------

status=0
out=$(timeout -k 5 120 "$vmm" demo --duration 1 --rounds 3 --json --output "$tmp/whole" \
	2>"$tmp/err" </dev/null) || status=$?
case $status in
0) ok "demo runs to its end" ;;
2)
	if grep -q "too noisy" "$tmp/err"; then
		ok "demo runs to its end"
	else
		not_ok "demo says too noisy" "$(<"$tmp/err")"
	fi
	;;
*) not_ok "demo runs to its end" "$(<"$tmp/err")" ;;
esac
equal "each round is reported, its cases in ABBA order" \
	"$(sed -n 's/^round \(.\) of 3, p99 in us: /\1 /p' "$tmp/err" | sed 's/ [0-9.]*[0-9]\(,\|$\)/\1/g')" \
	"1 plain, plain again, by hand, librtkvm
2 librtkvm, by hand, plain again, plain
3 plain, plain again, by hand, librtkvm"
equal "its JSON has four cases" "$(grep -c '"name":' <<<"$out")" 4
equal "and both verdicts" "$(grep -cE '^  "librtkvm_to_(plain|hand)_p99": .*"verdict": "(holds|does not hold)"' <<<"$out")" 2
equal "every setting was read back as asked" "$(not_as_asked <<<"$out")" ""
contains "settings of both tuned cases" "$out" '"read_back": "SCHED_FIFO 79"'
equal "the file has the same" "$(cat "$tmp/whole/result.json")" "$out"
equal "histograms of all cases" "$(cd "$tmp/whole" && ls ./*.hgrm ./*.hist | wc -l)" 8
if have gnuplot; then
	equal "the plot is a picture" "$(head -c 4 "$tmp/whole/latency.png" | tail -c 3)" "PNG"
else
	contains "why there is no plot" "$out" '"no_plot"'
fi
host_as_before "the host is as before after the demo"
finish
