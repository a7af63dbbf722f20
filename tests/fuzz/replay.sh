#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every fuzzer accepts its corpus: inputs that once were a finding are in it.
# The fuzzers were built with the compiler of the build and replay.c.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

for fuzzer in $FUZZERS; do
	mapfile -t corpus < <(find "$top_srcdir/tests/fuzz/corpus/$fuzzer" -type f | sort)
	if [ ${#corpus[@]} = 0 ]; then
		not_ok "$fuzzer" "no corpus in tests/fuzz/corpus/$fuzzer"
	else
		check "$fuzzer: ${#corpus[@]} inputs" \
			timeout -k 5 300 "$top_builddir/tests/fuzz/replay-$fuzzer" "${corpus[@]}"
	fi
done

# A finding and a missing file are noticed.
cat >"$tmp/target.c" <<'END'
#include <stdint.h>
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 3 && data[0] == 'b' && data[1] == 'a' && data[2] == 'd')
		exit(3);
	return 0;
}
END
check "a target of its own" "${cc[@]}" -o "$tmp/target" "$tmp/target.c" "$top_srcdir/tests/fuzz/replay.c"
printf good >"$tmp/good"
printf bad >"$tmp/bad"
check "an input without finding" "$tmp/target" "$tmp/good"
refuse "an input with one" "$tmp/target" "$tmp/good" "$tmp/bad"
refuse "an input that is not there" "$tmp/target" "$tmp/none"
finish
