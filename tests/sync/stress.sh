#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The stress passes; and it fails, within a minute, with each mutant of the
# library. With RTKVM_LONG_TESTS it runs for ten minutes and until 1e8
# contended operations (STRESS_SECONDS, STRESS_OPERATIONS).
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

seconds=5 operations=1000
if [ -n "${RTKVM_LONG_TESTS:-}" ]; then
	seconds=600 operations=100000000
fi
seconds=${STRESS_SECONDS:-$seconds} operations=${STRESS_OPERATIONS:-$operations}
check "the library, for $seconds s" "$top_builddir/tests/sync/stress" "$seconds" "$operations"

# The same sources with one thing left out.
mutant() {
	"${cc[@]}" -std=gnu11 -O2 -w -D_GNU_SOURCE "-DRTKVM_MUTANT_$1" -DRTKVM_STATEDIR='"/nowhere"' \
		-I"$top_srcdir/include" -I"$top_srcdir/lib" -I"$top_srcdir/tests" -pthread \
		-o "$tmp/$1" "$top_srcdir"/lib/sync/*.c "$top_srcdir"/lib/core/*.c \
		"$top_srcdir/tests/sync/stress.c" "$top_srcdir/tests/sync/support.c"
}
fails() {
	local status=0
	timeout -k 1 60 "$tmp/$1" 50 || status=$?
	[ $status = 1 ] || [ $status = 3 ]
}
check "compiled here without a mutation" mutant NONE
check "it passes then" timeout -k 1 60 "$tmp/NONE" 3
for name in NO_SEQ_CHECK NO_OWNER_DIED NO_OWNER_CHECK; do
	check "mutant $name compiles" mutant $name
	check "mutant $name is found out" fails $name
done
finish
