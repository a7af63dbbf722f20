# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Searching through a Promela model with spin; sourced by the tests of models,
# after tests/support/tap.sh.

# Build and run a verifier for a variant (flags, as words) of the model
# tests/sync/model/NAME.pml: prints its verdict. At most 1800 s.
search() {
	local dir
	dir=$(mktemp -d "$tmp/spin.XXXXXX") && cd "$dir" || return
	# shellcheck disable=SC2086 # words
	spin $2 -a "$top_srcdir/tests/sync/model/$1.pml" >spin.log 2>&1 || { cat spin.log; return; }
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
