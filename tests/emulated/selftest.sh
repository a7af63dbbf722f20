#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The runner of the emulated hosts, tested: each kind of trouble fails the run,
# each as itself. TAP. Builds the ci kernel and gets QEMU when they are not in
# the cache, which takes minutes: part of check-all (RTKVM_LONG_TESTS=1).
set -uo pipefail

top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
run=$top/tests/emulated/run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0

if [ -z "${RTKVM_LONG_TESTS:-}" ]; then
	echo "1..0 # SKIP long test: set RTKVM_LONG_TESTS=1"
	exit 0
fi

ok() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

# Run and compare exit status and what was said.
expect() { # NAME STATUS PATTERN ARGS...
	local name=$1 want=$2 pattern=$3 got=0
	shift 3
	"$run" --host svm --cpus 2 "$@" > "$work/log" 2>&1 || got=$?
	if [ "$got" = "$want" ] && grep -qE "$pattern" "$work/log"; then
		ok 0 "$name"
	else
		ok 1 "$name"
		echo "# status $got, expected $want and /$pattern/"
		tail -n 15 "$work/log" | sed 's/^/#   /'
	fi
}

lkdtm=/sys/kernel/debug/provoke-crash/DIRECT

expect "commands that exit 0" 0 '^one$' 'echo one' 'echo two'
expect "a command that exits 7" 1 'exited 7' 'sh -c "exit 7"' 'true'
expect "a command that does not end" 1 'did not end within 3 s' --limit 3 'sleep 100'
expect "a kernel warning" 3 'WARNING: CPU' "echo WARNING > $lkdtm"
expect "the same warning, allowed" 0 'commands' --allow 'WARNING: CPU' "echo WARNING > $lkdtm"
expect "a lockdep report" 3 'possible circular' \
	'echo "<4>WARNING: possible circular locking dependency detected" > /dev/kmsg'
expect "a panic" 4 'Kernel panic' "echo PANIC > $lkdtm"
expect "a hung boot" 4 'the boot hung' --boot-limit 15 --append 'rdinit=/bin/sleep' true
mkdir "$work/kernel"
cp "$("$top/kernel/rtkvm-kernel" build ci)"/* "$work/kernel/"
sed -i 's/^hash=.*/hash=0123456789abcdef/' "$work/kernel/info"
expect "a kernel of another tree" 5 'this tree' --kernel "$work/kernel" true
# one that lies about its hash is found out by what it says when it is up
sed -i "s/^hash=.*/hash=$("$top/kernel/rtkvm-kernel" hash ci)/" "$work/kernel/info"
expect "its control: the same folder with the right hash" 0 commands --kernel "$work/kernel" true
expect "an unknown option" 2 'unknown option' --no-such-option true

mkdir "$work/out"
expect "files come back" 0 commands --out "$work/out" 'sh -c "echo kept > $OUT/file"'
[ "$(cat "$work/out/001/out/file" 2>/dev/null)" = kept ]
ok $? "and hold what was written"

many=()
for _ in $(seq 20); do many+=(true); done
expect "20 commands in one boot" 0 '20 commands' "${many[@]}"
sed -n 's/^run: svm.*boot/# boot/p' "$work/log"

# Deterministic: the same instruction counts, and so the same clock, three times.
sum=''
for i in 1 2 3; do
	"$run" --host svm --cpus 1 --deterministic --out "$work/d$i" \
		'sh -c "cat /proc/uptime; dd if=/dev/zero bs=4096 count=500 2>/dev/null | md5sum; cat /proc/uptime"' \
		> "$work/d$i.log" 2>&1 || tail -n 5 "$work/d$i.log" | sed 's/^/# /'
	sum="$sum $(cat "$work/d$i/001/output" "$work/d$i/dmesg" 2>/dev/null | sha256sum | cut -c1-16)"
done
# shellcheck disable=SC2086
[ -s "$work/d1/001/output" ] && [ "$(printf '%s\n' $sum | sort -u | wc -l)" = 1 ]
ok $? "deterministic: three runs alike, to the microsecond of the kernel log"
echo "# $sum"

echo "1..$n"
