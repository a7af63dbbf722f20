#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The frame of the benchmarks: it measures both sides by turns on one CPU,
# leaves the affinity as it was, sees a difference where there is one, and its
# lines are what tests/support/bench reads. Nothing here depends on how fast
# the machine is.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

cd "$top_builddir" || exit 99
export BENCH_MILLISECONDS=50
out=$(tests/bench/frame 2>"$tmp/err")
said=$(cat "$tmp/err")
equal "one line for each figure" "$(wc -l <<<"$out")" 2
contains "both sides have their turns" "$said" "turns: yes"
contains "on one CPU" "$said" "one CPU: yes"
contains "the affinity is restored" "$said" "affinity restored: yes"
contains "the spread is printed" "$said" "half of the ratios are within"
ratio=$(sed -n 's/.*"name":"hundredfold".*"ratio":\([0-9]*\)\..*/\1/p' <<<"$out")
check "what takes a hundred times as long is seen to" test "${ratio:-0}" -ge 10

check "the lines are read" "$top_srcdir/tests/support/bench" --json "$tmp/json" tests/bench/frame
equal "and kept" "$(grep -c '^{"name":' "$tmp/json")" 2
printf '#!/bin/sh\necho nonsense\n' >"$tmp/nonsense"
chmod +x "$tmp/nonsense"
refuse "nonsense is not" "$top_srcdir/tests/support/bench" "../..$tmp/nonsense"
finish
