#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The bare machine: a payload boots as its only program, its text and status come
# back, and the meter counts its instructions to the last one.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"

bare() { # ARGUMENT...
	status=0
	"$emulated/run-bare" "$@" > "$tmp/bare.out" 2> "$tmp/bare.err" < /dev/null || status=$?
	out=$(cat "$tmp/bare.out")
	err=$(cat "$tmp/bare.err")
}
bare --host mainframe "$0"
equal "usage: unknown machine" "$status" 2
bare --host vmx
equal "usage: no payload" "$status" 2
bare --host vmx --cpus 5 "$0"
equal "usage: too many CPUs" "$status" 2
bare --host vmx "$0" "$(printf %0256d 0)"
equal "usage: arguments that do not fit" "$status" 2

need_host vmx

"${cc[@]}" -c -o "$tmp/bare.o" "$emulated/vmx/bare.S"
ld -m elf_x86_64 --oformat binary -Ttext 0x1000000 -o "$tmp/payload" "$tmp/bare.o"

# A figure of CPU 0 in the line with that label.
figure() { # FILE LABEL NAME
	tr ' ' '\n' <<< "$(grep " label=$2 " "$1")" | sed -n "s/^cpu0\.$3=//p"
}
for cpus in 1 2; do
	bare --host vmx --cpus $cpus --limit 60 --meter --out "$tmp/$cpus" "$tmp/payload" "7 and more"
	equal "$cpus CPUs: the payload's status is the exit status" "$status" 7
	[ "$status" = 7 ] || said
	equal "its text is the output" "$out" "7 and more"
	meter=$tmp/$cpus/meter
	# after the first marker: itself, 1000 times two, a move
	equal "the meter counts its instructions" \
		$(($(figure "$meter" 2 instructions) - $(figure "$meter" 1 instructions))) 2002
	equal "none of them is a guest's" "$(figure "$meter" 2 guest) $(figure "$meter" 2 entries)" "0 0"
done
bare --host vmx --cpus 1 "$tmp/payload" quit
equal "a payload that ends without a status: 125" "$status" 125
bare --host vmx --cpus 1 --limit 20 "$tmp/payload" stay
equal "a payload that does not end: 124" "$status" 124
equal "its text until then is there" "$out" stay

finish
