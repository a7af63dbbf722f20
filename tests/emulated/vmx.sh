#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The vmx host: it boots in time, is the machine that it says, and fails as the
# runner promises; the same samples bit for bit when deterministic; what it cannot
# do is refused.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"

# ---- asked wrongly: no boot -----------------------------------------------------

usage() { # WHAT PART-OF-THE-REASON ARGUMENT...
	local what=$1 part=$2
	shift 2
	host --host vmx "$@"
	equal "usage: $what" "$status" 2
	contains "and is told" "$err" "$part"
}
usage "a PCI device" "--device is for the svm host" --device edu true
usage "devices for VFIO" "--with is for the svm host" --with edu true
usage "another clock" "--shift is for the svm host" --deterministic --shift 3 true
usage "too many CPUs" "--cpus is 1 to 4" --cpus 5 true
usage "too little memory" "--memory is 128 to 2048" --memory 64 true
usage "a debugger" "--gdb is for the svm host" --gdb true

need_host vmx

# ---- all well ---------------------------------------------------------------------

commands=("grep -qw vmx /proc/cpuinfo" "grep -q 'i7-3770K' /proc/cpuinfo" "grep -qw ept /proc/cpuinfo"
	"test -c /dev/kvm" "dmesg | grep 'x2apic enabled'" "cat /sys/module/kvm_intel/parameters/ept")
for i in $(seq $((20 - ${#commands[@]}))); do
	commands+=("echo command $i of \$(nproc)")
done
host --host vmx --flavour "$flavour" "${commands[@]}"
equal "20 commands in an Intel machine with VMX, EPT, KVM and x2APIC: status 0" "$status" 0
[ "$status" = 0 ] || said 40
equal "each ran once, in order, on both CPUs" "$(grep ^command <<< "$out")" \
	"$(for i in $(seq $((20 - 6))); do echo "command $i of 2"; done)"
printf '%s\n' "$err" | sed 's/^/# /'

# ---- what fails, fails as itself -----------------------------------------------------

head -c 100000 /dev/urandom > "$tmp/random"
host --host vmx --flavour "$flavour" --cpus 1 --limit 5 --out "$tmp/kept" --file "$tmp/random" \
	"exit 7" "sleep 1000" 'cat random > $OUT/random' "$(type -P chrt) -p 1" \
	"echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT" "echo last"
equal "a kernel warning: status 3" "$status" 3
contains "the warning is shown" "$err" "WARNING: CPU:"
contains "exit 7 is told as 7" "$err" "[exit 7] exited 7"
contains "a command that hangs is told as that" "$err" "[sleep 1000] did not end within 5 s"
check "a file comes back as it was" cmp "$tmp/random" "$tmp/kept/003/out/random"
contains "what follows has run" "$out" last

only_long "a hang, four CPUs, determinism, a shell"
host --host vmx --flavour "$flavour" --cpus 1 --limit 1 "true" "echo HARDLOCKUP > /sys/kernel/debug/provoke-crash/DIRECT"
equal "a host that hangs: status 4" "$status" 4
contains "the command it hangs in is named" "$err" "the host hung in [echo HARDLOCKUP"

# ---- four CPUs ------------------------------------------------------------------------

host --host vmx --flavour "$flavour" --cpus 4 "nproc"
equal "four CPUs: status 0" "$status" 0
[ "$status" = 0 ] || said 40
equal "all of them are there" "$out" 4
printf '%s\n' "$err" | sed 's/^/# /'

# ---- deterministic --------------------------------------------------------------------

deterministic --host vmx --cpus 2

# ---- for developers --------------------------------------------------------------------

session=$(shell_session 'echo shell-$((6 * 7))' --host vmx --flavour "$flavour" --cpus 1)
contains "a shell on the console" "$session" shell-42

finish
