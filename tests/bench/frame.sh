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

# Verdicts, on figures that are made up.
cat >"$tmp/figures" <<'END'
#!/bin/sh
line() {
	printf '{"name":"%s","unit":"ns","ours":%s,"peer":10,"peer_name":"P","ratio":%s}\n' "$@"
}
line "good enough" 7 0.70
line "too much" 9 0.90
line "not below the floor" 11 1.10
line "above the floor" 13 1.30
line "below its floor" 8 0.80
line "few" 3 0.30
line "many" 4 0.40
line "floor: high" 10 1.05
line "floor: low" 5 0.50
line "no target" 5 0.50
END
cat >"$tmp/targets" <<'END'
# name | peer | what | most | floor
good enough | P | ratio | 0.7 |
too much | P | ratio | 0.8 |
not below the floor | P | ratio | 0.8 | floor: high
above the floor | P | ratio | 0.8 | floor: high
below its floor | P | ratio | 0.7 | floor: low
few | P | ours | 3 |
many | P | ours | 3 |
no target | Q | ratio | 1.0 |
END
chmod +x "$tmp/figures"
out=$("$top_srcdir/tests/support/bench" --targets "$tmp/targets" "$tmp/figures")
verdict() { equal "verdict: $1" "$(sed -nE "s/^$1 .*(holds|floor|does not hold|not measured) \(.*/\1/p" <<<"$out")" "$2"; }
verdict "good enough" holds
verdict "too much" "does not hold"
verdict "not below the floor" floor
verdict "above the floor" "does not hold"
verdict "below its floor" "does not hold"
verdict few holds
verdict many "does not hold"
verdict "no target" "not measured"
contains "and how many of each" "$out" \
	"2 hold, 1 are at their floor, 4 do not hold, 1 were not measured"
refuse "targets that are not there are missed" \
	"$top_srcdir/tests/support/bench" --targets "$tmp/none" "$tmp/figures"
printf '#!/bin/sh\necho nonsense\n' >"$tmp/nonsense"
chmod +x "$tmp/nonsense"
refuse "nonsense is not" "$top_srcdir/tests/support/bench" "$tmp/nonsense"
finish
