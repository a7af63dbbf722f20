#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The model of the mutex and the condition variable, searched through by spin;
# and mutants of it, each of which spin must refute. The model's labels are
# those of the code.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/sync/spin.sh"

model=$top_srcdir/tests/sync/model/mutex-cond.pml
code="$top_srcdir/lib/sync/mutex-slow.c $top_srcdir/lib/sync/cond.c"

# Steps that the model names, and labels in comments of the code.
# shellcheck disable=SC2086 # two files
equal "the steps of the model are labels of the code" \
	"$(sed -n 's/^mtype = { START, \(.*\), DONE };/\1/p' "$model" | tr -d , | tr ' ' '\n' | sort)" \
	"$(grep -ohE '(/\*|\*) [MWS][1-8](:.*)?( \*/|$)' $code | grep -oE '[MWS][1-8]' | sort -u)"

search_this() { search mutex-cond "$1"; }
if ! have spin; then
	skip "the model" "no spin"
	finish
fi
two_producers="-DCONSUMERS=1 -DPRODUCERS=2"
equal "two that wait, one that signals" "$(search_this "")" holds
equal "one that waits, two that signal" "$(search_this "$two_producers")" holds
equal "waits that run out of time, owners that die" \
	"$(search_this "-DTIMED -DDIES $two_producers")" holds
if [ -n "${RTKVM_LONG_TESTS:-}" ]; then
	equal "two that wait, with time" "$(search_this -DTIMED)" holds
	equal "two that wait, with time, the other dies" "$(search_this "-DTIMED -DDIES")" holds
fi
equal "mutant: no look at seq after a sleep" "$(search_this -DNO_SEQ_CHECK)" "invalid end state"
equal "the same with time" "$(search_this "-DNO_SEQ_CHECK -DTIMED")" "assertion violated"
equal "mutant: seq noted anew in each round" \
	"$(search_this "-DRESAMPLE $two_producers")" "invalid end state"
equal "mutant: the bit of waiters goes, and nobody looks after it" \
	"$(search_this "-DNO_LOOK_AFTER $two_producers")" "invalid end state"
equal "mutant: a dead owner is overlooked" \
	"$(search_this "-DNO_OWNER_DIED -DTIMED -DDIES")" "assertion violated"
equal "mutant: the mutex is taken for one's own after every sleep" \
	"$(search_this -DNO_OWNER_CHECK)" "assertion violated"
finish
