#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The reference documentation of the public headers builds without a warning,
# and the man pages have no error. A header without documentation shows that
# a warning would be noticed.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

if have doxygen; then
	check "make docs" make -s -C "$top_builddir" docs DOC_OUTPUT="$tmp/docs"
	check "there is a main page" grep -q 'Errors' "$tmp/docs/html/index.html"

	mkdir "$tmp/include"
	printf '/** @file */\n/** Known. @param x a number */\nint known(int x, int y);\n' \
		>"$tmp/include/bad.h"
	sed "s|^INPUT .*|INPUT = $tmp/include|;s|^OUTPUT_DIRECTORY.*|OUTPUT_DIRECTORY = $tmp/bad|;s|^USE_MDFILE.*||" \
		"$top_builddir/doc/Doxyfile" >"$tmp/Doxyfile"
	refuse "a parameter without documentation" doxygen "$tmp/Doxyfile"
else
	skip "make docs" "no doxygen"
fi

# Man pages: each has the sections that a reader looks for.
pages=$(make -s -C "$top_builddir" list-man)
for page in $pages; do
	text=$(cat "$top_srcdir/$page")
	lacking=
	for section in NAME SYNOPSIS DESCRIPTION "SEE ALSO"; do
		grep -qE "^\.S[Hh] \"?$section" <<<"$text" || lacking="$lacking $section"
	done
	equal "$page has its sections" "$lacking" ""
	if have man && have groff; then
		equal "$page has no error" \
			"$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$top_srcdir/$page" 2>&1 >/dev/null)" ""
	fi
done
contains "librtkvm(3) is among them" "$pages" "doc/man/librtkvm.3"
finish
