#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# rtkvm latency: conversion, adding up, plots, and what it refuses.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

rtkvm=$top_builddir/tools/rtkvm
cd "$tmp" || exit 99

histogram() { # first microsecond, values at it and at the next
	printf '# Histogram\n%06d %06d\n%06d %06d\n# Total: %09d\n' \
		"$1" "$2" $(($1 + 1)) "$3" $(($2 + $3))
	printf '# Min Latencies: %05d\n# Max Latencies: %05d\n' "$1" $(($1 + 1))
}
histogram 5 10 20 >a
histogram 7 3 4 >b

contains "the text has the figures" "$("$rtkvm" latency a)" "a: 30 values"
contains "files are added up" "$("$rtkvm" latency a b)" "all: 37 values"
contains "standard input is read" "$("$rtkvm" latency - <a)" "standard input: 30 values"
contains "hgrm" "$("$rtkvm" latency --format hgrm a)" "#[Buckets =           24, SubBuckets"
contains "json" "$("$rtkvm" latency --format json a b)" '"5": 10,
        "6": 20,
        "7": 3,
        "8": 4
'
equal "the global --json means that format" "$("$rtkvm" --json latency a)" \
	"$("$rtkvm" latency -f json a)"
equal "what comes out goes in and comes out the same" \
	"$("$rtkvm" latency -f cyclictest a b | "$rtkvm" latency -f cyclictest -)" \
	"$("$rtkvm" latency -f cyclictest a b)"
contains "all of cyclictest's summary" "$("$rtkvm" latency -f cyclictest a b)" \
	'# Total: 000000037
# Min Latencies: 00005
# Avg Latencies: 00006
# Max Latencies: 00008
# Histogram Overflows: 00000
# Histogram Overflow at cycle number:
# Thread 0:'

refuse "no file" "$rtkvm" latency
refuse "a file that is not there" "$rtkvm" latency none
refuse "a folder" "$rtkvm" latency .
refuse "an unknown format" "$rtkvm" latency -f xml a
refuse "an unknown option" "$rtkvm" latency --nothing a
refuse "standard input twice" "$rtkvm" latency - - </dev/null
refuse "an unknown kind of picture" "$rtkvm" latency --plot p.pdf a
refuse "an endless file" "$rtkvm" latency /dev/zero
printf '# Histogram\n000001 1\n000002 x\n' >bad
contains "a bad line is named, with its file" "$("$rtkvm" latency a bad 2>&1)" "bad: line 3: "
equal "nothing is written when one of the files is bad" "$("$rtkvm" latency a bad 2>/dev/null)" ""
printf '# Histogram\n000001 1\n\0' >nul
refuse "a NUL byte" "$rtkvm" latency nul
if [ -w /dev/full ]; then
	status=0
	"$rtkvm" latency a >/dev/full 2>/dev/null || status=$?
	equal "a full disk is noticed" $status 2
fi

if have gnuplot; then
	equal "a plot alone prints nothing" "$("$rtkvm" latency --plot p.png a b 2>&1)" ""
	equal "it is a PNG" "$(head -c 4 p.png | tail -c 3)" PNG
	check "an SVG, and the text as well" "$rtkvm" latency --plot p.svg -f text a b
	contains "its series are named after the files" "$(cat p.svg)" "a: 30 values"
else
	skip "plots" "gnuplot is not installed"
fi
finish
