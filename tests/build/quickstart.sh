#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# No failure gets lost on the way from a compiler or a test to quickstart's
# exit status and closing line: shown on a copy of the tree, broken on purpose
# in a different way each time. Nothing is installed.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

copy="$tmp/a copy"
mkdir "$copy"
(cd "$top_srcdir" && tar -cf - --exclude=.git --exclude='./build' --exclude='./build-?*' \
	--exclude=autom4te.cache --exclude='./librtkvm-*' --exclude='./_build' \
	--exclude='*.o' --exclude='*.lo' --exclude=.libs --exclude=config.status --exclude=./Makefile .) 2>/dev/null |
	tar -xf - -C "$copy"
# build-aux was left out with the build folders of all names
mkdir -p "$copy/build-aux" && cp "$top_srcdir"/build-aux/* "$copy/build-aux/"
chmod -R u+w "$copy"

# Whoever calls, the outer build is not to be seen.
unset BUILDDIR
export QUICKSTART_INSTALL=no JOBS=2
# The copy is built to fail: as quickly as it can.
export CONFIGURE_FLAGS='CFLAGS=-O0 CXXFLAGS=-O0'

# quickstart STATUS LASTLINE ARG...: run it in the copy, from another folder
quickstart() {
	local what=$1 status=$2 last=$3 got=0
	shift 3
	out=$(cd / && env -u top_srcdir -u top_builddir "$copy/quickstart" "$@" 2>&1 </dev/null) || got=$?
	equal "$what: status" "$got" "$status"
	[ -z "$last" ] || equal "$what: last line" "$(tail -n 1 <<<"$out")" "$last"
}

break_line() {
	cp "$copy/$1" "$tmp/whole"
	sed -i "$2" "$copy/$1"
	cmp -s "$copy/$1" "$tmp/whole" && not_ok "$1 was broken"
}

mend() {
	cp "$tmp/whole" "$copy/$1"
	touch "$copy/$1"
}

# The copy passes as it is, in a path with a blank, from elsewhere.
quickstart "one test of the copy" 0 "" check tests/build/headers.sh
contains "it ends with the counts" "$(tail -n 1 <<<"$out")" " passed, 0 failed, "

break_line tests/build/headers.sh 's/^finish/not_ok "on purpose"\nfinish/'
quickstart "a test that fails" 1 "" check tests/build/headers.sh
contains "it is counted" "$(tail -n 1 <<<"$out")" " passed, 1 failed, "
contains "it is named" "$out" "on purpose"
mend tests/build/headers.sh

break_line tests/support/main.c 's/^int main(void)$/& not C/'
quickstart "a test program that does not compile" 1 "0 passed, 1 failed, 0 skipped" \
	check tests/build/headers.sh
contains "the compiler is heard" "$out" "main.c"
mend tests/support/main.c

break_line lib/core/error.c 's/^#include "core.h"/#error on purpose/'
quickstart "a source that does not compile" 1 "0 passed, 1 failed, 0 skipped" \
	check tests/build/headers.sh
contains "the compiler is heard" "$out" "on purpose"
quickstart "demo does not run then" 1 "" demo
mend lib/core/error.c

break_line lib/librtkvm.map '/^\trtkvm_new;/d'
quickstart "a symbol that is not in the map" 1 "0 passed, 1 failed, 0 skipped" \
	check tests/build/headers.sh
contains "it is named" "$out" "rtkvm_new"
mend lib/librtkvm.map

# ---- check-all: what its stages gave, and when, is kept -------------------------------------

# Stands for what lint calls, which has no result of its own here.
mkdir "$tmp/bin"
for tool in cppcheck clang-tidy shellcheck; do
	printf '%s\n' '#!/bin/sh' "exit \$(cat '$tmp/lint-status')" >"$tmp/bin/$tool"
done
chmod +x "$tmp/bin/"*
PATH=$tmp/bin:$PATH
day='[0-9]{4}-[0-9]{2}-[0-9]{2}'
results=$copy/build/long-run.txt
lines() { grep -E "$1" "$results" 2>&1; }

rm -f "$copy/tests/long-run.txt"
quickstart "a test without results of check-all" 0 "" check tests/build/headers.sh
refuse "check tells no date" grep -q "last long runs" <<<"$out"
echo 0 >"$tmp/lint-status"
quickstart "check-all of one stage" 0 "1 passed, 0 failed, 0 skipped" check-all lint
check "its result is kept, with time and commit" lines "^lint: $day [0-9:]{8}, commit [0-9a-z-]+, ok(, without emulated hosts)?$"
first=$(lines ^lint:)
equal "all else did not run" "$(grep -vc -e '^#' -e ': not run$' "$results")" 1
contains "a kernel flavour has a stage for each test of emulated hosts" "$(lines ': not run$')" "rt/runner: not run"
contains "also a test of one flavour only" "$(lines ': not run$')" "rt/kernel-selftests: not run"
refuse "which is no stage of the others" grep -q "preempt/kernel-selftests" "$results"
cp "$results" "$copy/tests/long-run.txt"
quickstart "a test with results of check-all" 0 "" check tests/build/headers.sh
today=$(cut -d' ' -f2 <<<"$first")
contains "check tells their dates" "$out" "   $today: lint"
contains "and what did not run" "$(grep '^   not run:' <<<"$out")" " distcheck"

# as if it had been on another day, in another build folder
sed -i "s/^distcheck: .*/distcheck: 2026-01-02 03:04:05, commit 0123456789ab, ok/" "$copy/tests/long-run.txt"
echo 3 >"$tmp/lint-status"
quickstart "check-all of a stage that fails" 1 "0 passed, 1 failed, 0 skipped" check-all lint
check "it is kept as failed" lines "^lint: $day [0-9:]{8}, commit [0-9a-z-]+, FAILED \(status 2\)(, without emulated hosts)?$"
contains "beside what the committed file has of another day" "$(lines ^distcheck:)" \
	"distcheck: 2026-01-02 03:04:05, commit 0123456789ab, ok"
cp "$results" "$copy/tests/long-run.txt"
quickstart "a test with a stage that failed" 0 "" check tests/build/headers.sh
contains "check tells each date" "$out" "   2026-01-02: distcheck"
contains "and the failure" "$out" "   failed: lint"
quickstart "a stage that there is not" 1 "0 passed, 1 failed, 0 skipped" check-all dance
# Emulated hosts that are not asked for: every test of the stage is skipped. That is
# a failure where CI runs; and CI runs this test.
export RTKVM_EMULATED=no
in_ci=${CI:-}
unset CI
quickstart "a stage all of whose tests are skipped" 0 "0 passed, 0 failed, 1 skipped" check-all rt/vfio
contains "is not taken for one that ran" "$(lines ^rt/vfio:)" "not run"
CI=true quickstart "where CI runs it must not be" 1 "0 passed, 1 failed, 0 skipped" check-all rt/vfio
[ -z "$in_ci" ] || export CI=$in_ci
unset RTKVM_EMULATED

quickstart "an unknown test" 1 "0 passed, 1 failed, 0 skipped" check tests/none
quickstart "an unknown command" 2 "" dance
quickstart "no command" 2 ""
find "/tmp/librtkvm-$(id -u)" -maxdepth 1 -lname "$copy" -delete 2>/dev/null
rmdir "/tmp/librtkvm-$(id -u)" 2>/dev/null
finish
