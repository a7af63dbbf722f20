#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The model of the mutex and the condition variable, searched through by spin;
# and mutants of it, each of which spin must refute. The model's labels are
# those of the code.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

model=$top_srcdir/tests/sync/model/mutex-cond.pml
code="$top_srcdir/lib/sync/mutex-slow.c $top_srcdir/lib/sync/cond.c"

# Steps that the model names, and labels in comments of the code.
# shellcheck disable=SC2086 # two files
equal "the steps of the model are labels of the code" \
	"$(sed -n 's/^mtype = { START, \(.*\), DONE };/\1/p' "$model" | tr -d , | tr ' ' '\n' | sort)" \
	"$(grep -ohE '(/\*|\*) [MWS][1-6](:.*)?( \*/|$)' $code | grep -oE '[MWS][1-6]' | sort -u)"

# Build and run a verifier for a variant: prints its verdict.
search() {
	local dir=$tmp/$RANDOM
	mkdir "$dir" && cd "$dir" || return
	# shellcheck disable=SC2086 # words
	spin $1 -a "$model" >spin.log 2>&1 || { cat spin.log; return; }
	"${cc[@]}" -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c || return
	timeout 1800 ./pan -m1000000 >pan.log 2>&1
	if grep -q 'errors: 0' pan.log && ! grep -q 'Search not completed' pan.log; then
		echo "holds"
	elif grep -q 'errors: 1' pan.log; then
		grep -oE 'invalid end state|assertion violated' pan.log | head -n 1
	else
		tail -n 20 pan.log
	fi
}

if ! have spin; then
	skip "the model" "no spin"
	finish
fi
two_producers="-DCONSUMERS=1 -DPRODUCERS=2"
equal "two that wait, one that signals" "$(search "")" holds
equal "one that waits, two that signal" "$(search "$two_producers")" holds
equal "waits that run out of time, owners that die" \
	"$(search "-DTIMED -DDIES $two_producers")" holds
if [ -n "${RTKVM_LONG_TESTS:-}" ]; then
	equal "two that wait, with time" "$(search -DTIMED)" holds
	equal "two that wait, with time, the other dies" "$(search "-DTIMED -DDIES")" holds
fi
equal "mutant: no look at seq after a sleep" "$(search -DNO_SEQ_CHECK)" "invalid end state"
equal "the same with time" "$(search "-DNO_SEQ_CHECK -DTIMED")" "assertion violated"
equal "mutant: seq noted anew in each round" \
	"$(search "-DRESAMPLE $two_producers")" "invalid end state"
equal "mutant: a dead owner is overlooked" \
	"$(search "-DNO_OWNER_DIED -DTIMED -DDIES")" "assertion violated"
equal "mutant: the mutex is taken for one's own after every sleep" \
	"$(search -DNO_OWNER_CHECK)" "assertion violated"
finish
