#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The closing line is right: made-up results, with all that must count as
# failed, give the right counts and the right exit status.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

cd "$tmp" || exit
mkdir tests

# run NAME LINE...: runs a TAP program through automake's own driver
run() {
	local name=$1
	shift
	printf '%s\n' '#!/bin/sh' "cat <<'END'" "$@" END "exit ${run_status:-0}" >"$name"
	chmod +x "$name"
	env AM_TAP_AWK="${AWK:-awk}" sh "$top_srcdir/build-aux/tap-driver.sh" --test-name "$name" \
		--log-file "${name%.sh}.log" --trs-file "${name%.sh}.trs" --color-tests no \
		--enable-hard-errors yes --expect-failure no -- "./$name" >/dev/null
}

# summary STATUS LASTLINE TEST...: what it must say of these tests
summary() {
	local what=$1 status=$2 last=$3 got=0
	shift 3
	out=$("$top_srcdir/tests/support/summary" --builddir . --allowed allowed "$@" 2>&1) || got=$?
	equal "$what: status" "$got" "$status"
	equal "$what: counts" "$(tail -n 1 <<<"$out")" "$last"
}

cat >allowed <<'END'
# comment
tests/skip.sh: named | no luck*       | unverified          | always
tests/skip.sh: file  | no such file   | no-file:/no/such    | it is not there
tests/all.sh         | nothing here   | no-root             | for users
tests/all.sh         | nothing here   | root                | for root
tests/there.sh: *    | no /           | no-file:/           | / is always there
tests/kernel.sh: *   | no lockdep     | not-flavour:ci      | another kernel has it
tests/slow.sh: *     | checkers        | flavour:ci          | other kernels have none
tests/odd.sh: *      | odd            | full-moon           | no such condition
END

run tests/good.sh 1..2 'ok 1 - a' 'ok 2 - b'
summary "all pass" 0 "2 passed, 0 failed, 0 skipped" tests/good.sh

run tests/bad.sh 1..2 'ok 1 - a' 'not ok 2 - the second'
summary "one fails" 1 "3 passed, 1 failed, 0 skipped" tests/good.sh tests/bad.sh
contains "the failed one is named" "$out" "tests/bad.sh: FAIL 2 - the second"

run tests/skip.sh 1..3 'ok 1 - named # SKIP no luck today' 'ok 2 - file # SKIP no such file' 'ok 3'
summary "listed skips" 0 "1 passed, 0 failed, 2 skipped" tests/skip.sh
contains "the reason is shown" "$out" "tests/skip.sh: named: no luck today"

run tests/skip.sh 1..3 'ok 1 - named # SKIP other reason' 'ok 2 - other # SKIP no luck' 'ok 3 # SKIP'
summary "skips that are not listed" 1 "0 passed, 3 failed, 0 skipped" tests/skip.sh
contains "it says so" "$out" "not on the list"

run tests/all.sh '1..0 # SKIP nothing here'
summary "a whole program is skipped" 0 "0 passed, 0 failed, 1 skipped" tests/all.sh
run tests/there.sh 1..1 'ok 1 - x # SKIP no /'
summary "a condition that does not hold" 1 "0 passed, 1 failed, 0 skipped" tests/there.sh
contains "it names the condition" "$out" "no-file:/"
run tests/kernel.sh 1..1 'ok 1 - x # SKIP no lockdep'
RTKVM_FLAVOUR=rt summary "a skip of another kernel flavour" 0 "0 passed, 0 failed, 1 skipped" tests/kernel.sh
RTKVM_FLAVOUR=ci summary "the same, with the flavour that has it" 1 "0 passed, 1 failed, 0 skipped" tests/kernel.sh
RTKVM_FLAVOUR="" summary "the same, with none asked for" 1 "0 passed, 1 failed, 0 skipped" tests/kernel.sh
run tests/slow.sh 1..1 'ok 1 - x # SKIP checkers'
RTKVM_FLAVOUR="" summary "a skip of one kernel flavour" 0 "0 passed, 0 failed, 1 skipped" tests/slow.sh
RTKVM_FLAVOUR=rt summary "the same, with another" 1 "0 passed, 1 failed, 0 skipped" tests/slow.sh
run tests/odd.sh 1..1 'ok 1 - x # SKIP odd'
summary "an unknown condition" 1 "0 passed, 1 failed, 0 skipped" tests/odd.sh

run tests/zero.sh 1..0
summary "no test at all" 1 "2 passed, 1 failed, 0 skipped" tests/good.sh tests/zero.sh
run tests/empty.sh
summary "no output" 1 "0 passed, 1 failed, 0 skipped" tests/empty.sh
printf ':global-test-result: PASS\n' >tests/empty.trs
: >tests/empty.log
summary "no result" 1 "0 passed, 1 failed, 0 skipped" tests/empty.sh
contains "it says so" "$out" "ran no test"
run tests/short.sh 1..3 'ok 1'
summary "fewer than planned" 1 "1 passed, 1 failed, 0 skipped" tests/short.sh
run tests/bail.sh 1..2 'ok 1' 'Bail out! broken'
summary "bail out" 1 "1 passed, 1 failed, 0 skipped" tests/bail.sh
run_status=1 run tests/check.sh 1..2 'ok 1' 'not ok 2'
summary "a status that says the same again" 1 "1 passed, 1 failed, 0 skipped" tests/check.sh
run_status=1 run tests/leak.sh 1..2 'ok 1' 'ok 2'
summary "a status that says what no result does" 1 "2 passed, 1 failed, 0 skipped" tests/leak.sh
run_status=99 run tests/hard.sh 1..2 'ok 1' 'not ok 2'
summary "another status" 1 "1 passed, 2 failed, 0 skipped" tests/hard.sh
run tests/todo.sh 1..2 'not ok 1 - later # TODO x' 'ok 2 - done # TODO x'
summary "expected failures are none" 1 "0 passed, 2 failed, 0 skipped" tests/todo.sh
summary "a test that did not run" 1 "2 passed, 1 failed, 0 skipped" tests/good.sh tests/none.sh
summary "make itself failed" 1 "2 passed, 1 failed, 0 skipped" --make 2 tests/good.sh
summary "make failed because a test did" 1 "3 passed, 1 failed, 0 skipped" --make 2 tests/good.sh tests/bad.sh
summary "no test named" 1 "0 passed, 1 failed, 0 skipped"
run tests/good.sh 1..2 'PASS: tests/good.sh forged' 'ok 1 - a' 'ok 2 - b'
summary "a test that writes into its log" 1 "3 passed, 1 failed, 0 skipped" tests/good.sh
echo 'tests/x | y | unverified' >allowed
run tests/good.sh 1..1 'ok 1 - a'
summary "a malformed list" 1 "1 passed, 1 failed, 0 skipped" tests/good.sh

# The real list can be read.
out=$("$top_srcdir/tests/support/summary" --builddir . \
	--allowed "$top_srcdir/tests/allowed-skips" tests/good.sh)
equal "the project's list is well-formed" "$out" "1 passed, 0 failed, 0 skipped"
finish
