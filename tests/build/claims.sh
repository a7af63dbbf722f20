#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# README's feature table and tests/claims/ agree, and what does not depend on
# the machine's timing holds. Made-up tables show that a disagreement would be
# noticed.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

tool=$top_srcdir/tests/support/claims
export top_srcdir top_builddir

check "the feature table and the commands agree" "$tool" check-table
while read -r result id figure; do
	id=${id%:}
	case $result in
	pass) ok "claim $id: $figure" ;;
	skip) skip "claim $id" "$figure" ;;
	*) not_ok "claim $id" "$result $id $figure" ;;
	esac
done < <("$tool" tap)
covering=$(sed -n 's/^# covered: *//p' "$top_srcdir"/tests/claims/* | sort -u)
tests=$(make -s -C "$top_builddir" list-tests)
for test in $covering; do
	# the gates of the library as shipped are not among the sanitized tests
	[ -n "$SANITIZED" ] || contains "$test, which covers a claim, is in check" "
$tests
" "
$test
"
done

# ---- made-up tables ----
export CLAIMS_README=$tmp/README.md CLAIMS_DIR=$tmp/claims
mkdir "$CLAIMS_DIR"

claim() {
	printf '#!/bin/sh\n# x\n# area: %s\n# timing: %s\n%s\n' "$2" "$3" "$4" >"$CLAIMS_DIR/$1"
	chmod +x "$CLAIMS_DIR/$1"
}

readme() {
	printf '# x\n\n| id | area | what | status | command |\n|---|---|---|---|---|\n' >"$CLAIMS_README"
	printf '%s\n' "$@" '' 'text' >>"$CLAIMS_README"
}

# run STATUS LASTLINE ARG...
run() {
	local what=$1 status=$2 last=$3 got=0
	shift 3
	out=$("$tool" run "$@" 2>&1) || got=$?
	equal "$what: status" "$got" "$status"
	equal "$what: counts" "$(tail -n 1 <<<"$out")" "$last"
}

good='| good | sync | it works | works | `tests/claims/good` |'
later='| later | irq | it will | planned | |'
claim good sync no 'echo 42 us'
readme "$good" "$later"
check "a table that agrees" "$tool" check-table
run "it runs" 0 "1 passed, 0 failed, 0 skipped"
contains "the figure is shown" "$out" "good: 42 us"
run "by area" 0 "1 passed, 0 failed, 0 skipped" sync
run "by id" 0 "1 passed, 0 failed, 0 skipped" good
run "an unknown id" 1 "0 passed, 1 failed, 0 skipped" nothing
run "an area with nothing to show" 1 "0 passed, 1 failed, 0 skipped" irq
equal "as lines for TAP" "$("$tool" tap)" "pass good: 42 us"

readme "$good" '| other | sync | x | works | `tests/claims/other` |'
refuse "a row without its command" "$tool" check-table
readme "$later"
refuse "a command without a row" "$tool" check-table
readme "$good" "$good"
refuse "a row twice" "$tool" check-table
readme '| good | sync | it works | planned | |'
refuse "planned, yet with a command" "$tool" check-table
readme '| good | irq | it works | works | `tests/claims/good` |'
refuse "another area in the command" "$tool" check-table
readme '| good | moon | it works | works | `tests/claims/good` |'
refuse "an area that is none" "$tool" check-table
readme '| good | sync | it works | perfect | `tests/claims/good` |'
refuse "a status that is none" "$tool" check-table
readme '| good | sync | it works | works | |'
refuse "a row that works without saying by which command" "$tool" check-table
echo none >"$CLAIMS_README"
refuse "no table" "$tool" check-table
readme "$good"
chmod -x "$CLAIMS_DIR/good"
refuse "a command that cannot be executed" "$tool" check-table
claim good sync perhaps 'echo 1'
refuse "a command that does not say whether it depends on timing" "$tool" check-table

readme "$good" '| slow | io | x | stock kernel only | `tests/claims/slow` |'
claim good sync no 'echo why; exit 1'
claim slow io yes 'echo 3 ms'
run "one falls short" 1 "1 passed, 1 failed, 0 skipped"
contains "it is named" "$out" "FAILED  good: why"
equal "timing is left out of check" "$("$tool" tap)" "fail good: why"
claim good sync no 'echo no luck; exit 77'
run "one cannot run here" 0 "1 passed, 0 failed, 1 skipped"
contains "its reason is shown" "$out" "skipped good: no luck"
claim good sync no 'exit 77'
run "one cannot run and does not say why" 1 "1 passed, 1 failed, 0 skipped"
claim good sync no 'exit 0'
run "one without a figure" 1 "1 passed, 1 failed, 0 skipped"
claim good sync no '# needs: no-such-command
echo 1'
run "one needs what is not here" 0 "1 passed, 0 failed, 1 skipped"
contains "that is named" "$out" "no no-such-command"
finish
