#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# rtkvm dedicate, and what status, release and restore say of it, on a made-up
# machine of four CPUs; and the unit file for systemd.
: "${top_srcdir:?}" "${top_builddir:?}"
rtkvm=$top_builddir/tools/rtkvm
export ASAN_OPTIONS=detect_leaks=0

work=$(mktemp -d "${TMPDIR:-/tmp}/rtkvm-dedicate-XXXXXX") || exit 99
holder=
clean_up() {
	[ -z "$holder" ] || kill "$holder" 2>/dev/null
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP
root=$work/root
state=$work/state
put() { # FILE TEXT
	mkdir -p "$root/${1%/*}"
	echo "$2" > "$root/$1"
}
put proc/sys/kernel/random/boot_id 6a1c6cf2-6b0e-4c51-9f3a-0e1a3f4f7a55
put proc/sys/kernel/timer_migration 1
put proc/sys/vm/stat_interval 1
put proc/self/mountinfo '25 30 0:22 / /sys rw - sysfs sysfs rw'
put proc/irq/5/smp_affinity_list 0-3
put proc/irq/default_smp_affinity f
put sys/devices/virtual/workqueue/cpumask f
put sys/devices/system/cpu/online 0-3
for cpu in 0 1 2 3; do
	put sys/devices/system/cpu/cpu$cpu/online 1
	put sys/devices/system/cpu/cpu$cpu/topology/thread_siblings_list $cpu
	put sys/devices/system/cpu/cpu$cpu/power/pm_qos_resume_latency_us 0
done
mkdir -p "$root/run"
everything() {
	find "$root" -type f | LC_ALL=C sort | xargs grep -H ''
}
everything > "$work/before"
irq=$root/proc/irq/5/smp_affinity_list

. "$top_srcdir/tests/support/expect.sh"

tree() {
	"$rtkvm" --root "$root" --state-dir "$state" "$@"
}

as_before() { # NAME
	everything > "$work/now"
	if cmp -s "$work/before" "$work/now"; then
		result yes "$1"
	else
		diff "$work/before" "$work/now" > "$work/out"
		result no "$1"
	fi
}

echo 1..34
expect 2 'either --target PID or -- COMMAND' 'neither a target nor a command' tree dedicate
expect 2 'either --target PID or -- COMMAND' 'both' tree dedicate --target 1 -- true
expect 2 'either --target PID or -- COMMAND' 'no command after --' tree dedicate --
expect 2 'does not know "--frobnicate"' 'unknown option' tree dedicate --frobnicate -- true
expect 2 'does not know "--mode"' 'unknown mode' tree dedicate --mode fast -- true
expect 2 'does not know "--count"' 'a count that is none' tree dedicate --count x -- true
expect 2 'mode offline' 'claimed CPUs that are online' tree dedicate --claim -- true
expect 2 'mode offline' 'claimed CPUs for a target' tree dedicate --mode offline --claim --target 1
expect 2 'made-up tree has no CPUs' 'claimed CPUs of a made-up tree' tree dedicate --mode offline --claim -- true
expect 2 'not online' 'a CPU that is not there' tree dedicate --cpus 4 -- true
expect 2 'CPU 0' 'CPU 0 without asking for it' tree dedicate --cpus 0 -- true
expect 2 'no cpuset controller' 'a partition without cpusets' tree dedicate --mode partition -- true
expect 2 'malformed schemata' 'malformed schemata' tree dedicate --schemata 'L3 0' -- true
expect 2 'made-up tree has no processes' 'a target in a made-up tree' tree dedicate --target 1
as_before 'what was refused changed nothing'

expect 0 '^0-2$' 'the command finds the interrupt moved' tree dedicate --cpus 3 --quiet -- cat "$irq"
as_before 'given back when it ended'
expect 7 '^ended$' 'its exit status' tree dedicate --cpus 3 --quiet -- sh -c 'echo ended; exit 7'
# shellcheck disable=SC2016 # for that shell
expect 143 '^ended$' 'its signal' tree dedicate --cpus 3 --quiet -- sh -c 'echo ended; kill -TERM $$'
expect 127 'no/such/command' 'no such command' tree dedicate --cpus 3 --quiet -- /no/such/command
# shellcheck disable=SC2016
expect 0 'is open' 'the descriptor of the lease is inherited' tree dedicate --quiet -- \
	sh -c '[ -e "/proc/self/fd/$RTKVM_LEASE_FD" ] && echo is open'
expect 0 '^ *mode .*affinity' 'its report' tree dedicate --cpus 3 -- true
expect 0 '"command": *"dedicate"' 'its report as JSON' tree dedicate --json --cpus 3 -- true
expect 0 'tick .*nohz_full' 'what stays, and the boot parameter' tree dedicate --cpus 3 -- true
expect 0 'vm/cpus .*3' 'status while it runs' tree dedicate --name vm --cpus 3 --quiet -- \
	"$rtkvm" --root "$root" --state-dir "$state" status
expect 2 'leased already: CPU 3' 'the same CPU twice' tree dedicate --cpus 3 --quiet -- \
	"$rtkvm" --root "$root" --state-dir "$state" dedicate --cpus 3 -- true
as_before 'given back after all of these'

# The launcher is killed: the command owns the lease as long as it lives.
mkfifo "$work/end"
tree dedicate --cpus 3 --quiet -- sh -c "echo \$\$ > '$work/pid'; read x < '$work/end'" &
launcher=$!
until [ -s "$work/pid" ]; do sleep 0.1; done
holder=$(cat "$work/pid")
kill -KILL "$(ps -o ppid= -p "$holder" | tr -d ' ')"
wait "$launcher" 2>/dev/null
expect 2 'leased already' 'launcher killed: its command has the CPU' tree dedicate --cpus 3 -- true
kill -KILL "$holder"
while kill -0 "$holder" 2>/dev/null; do sleep 0.1; done
holder=
status=0
[ "$(cat "$irq")" = 0-2 ] && found=yes || found=no
result "$found" 'command killed: the interrupt is still moved'
expect 1 'rtkvm restore' 'status says so' tree status
expect 0 'cpus/irq-affinity 5.*as before' 'restore gives it back' tree restore
as_before 'after restore'
expect 1 'no lease "vm"' 'release of a lease that is not there' tree release vm

# The unit that restores at boot: as systemd reads it.
if ! command -v systemd-analyze > /dev/null; then
	n=$((n + 1))
	echo "ok $n - the unit is well-formed # SKIP no systemd-analyze"
else
	mkdir "$work/bin"
	printf '#!/bin/sh\n' > "$work/bin/rtkvm"
	chmod 755 "$work/bin/rtkvm"
	sed "s|[@]bindir[@]|$work/bin|" "$top_srcdir/tools/rtkvm-restore.service.in" > "$work/rtkvm-restore.service"
	status=0
	systemd-analyze verify --man=no "$work/rtkvm-restore.service" > "$work/out" 2> "$work/err" || status=$?
	found=no
	[ $status != 0 ] || [ -s "$work/err" ] || found=yes
	# the control: systemd has something to say of a unit that is wrong
	sed -i 's|^ExecStart=.*|ExecStart=rtkvm-not-there restore|' "$work/rtkvm-restore.service"
	systemd-analyze verify --man=no "$work/rtkvm-restore.service" > /dev/null 2>&1 && found=no
	result "$found" 'the unit is well-formed'
fi
