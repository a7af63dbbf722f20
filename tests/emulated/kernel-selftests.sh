#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The kernel's own selftests of KVM, in the svm host: under a kernel with the series
# each gives what it gives without it, and that of the series passes. Some fail or take
# too long on this emulator, with either kernel: that has to be the same as well.
# flavours: rt
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"

need_host svm
only_long "KVM's selftests under two kernels"
[ "$flavour" = rt ] || { skip "KVM's selftests under two kernels" "only the flavour rt has them"; finish; }
folder=$("$top_srcdir/kernel/rtkvm-kernel" selftests 2> "$tmp/build.err") || {
	not_ok "the selftests are built" "$(tail -n 20 "$tmp/build.err")"
	finish
}
ok "the selftests are built"
programs=()
for program in "$folder"/*; do programs+=("$program"); done

# Lines "NAME STATUS"; 4 is a skip of the selftest's own, 137 one that took too long.
selftests() { # NAME OPTION...
	local name=$1 i
	shift
	host --host svm --cpus 4 --memory 2048 --flavour "$flavour" --limit 30 --boot-limit 300 --allow . \
		--out "$tmp/$name" "$@" "${programs[@]}"
	for ((i = 0; i < ${#programs[@]}; i++)); do
		echo "$(basename "${programs[i]}") $(cut -d' ' -f1 "$(printf '%s/%s/%03d/status' "$tmp" "$name" $((i + 1)))" 2>&1)"
	done > "$tmp/$name.list"
	echo "# $name: $(grep -c ' 0$' "$tmp/$name.list") passed, $(grep -c ' 4$' "$tmp/$name.list") skipped," \
		"$(grep -c ' 137$' "$tmp/$name.list") too long, $(grep -vc ' \(0\|4\|137\)$' "$tmp/$name.list") failed"
}
selftests series
selftests stock --stock
check "most were run" test "$(grep -c ' 0$' "$tmp/series.list")" -ge 30
contains "that of the series passes" "$(cat "$tmp/series.list")" "dedicated_cpu_test 0"
contains "control: without the series it does not run" "$(cat "$tmp/stock.list")" "dedicated_cpu_test 4"
equal "all others: the same" "$(grep -v dedicated_cpu "$tmp/series.list")" \
	"$(grep -v dedicated_cpu "$tmp/stock.list")"
finish
