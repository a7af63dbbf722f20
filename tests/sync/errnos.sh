#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/sync/errnos against the headers, which document the errors, and the tests,
# which provoke them: every pair is in the list, each test there exists and names the
# errno, and its file calls the function. With controls.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

list=$top_srcdir/tests/sync/errnos
headers=("$top_srcdir"/include/rtkvm/sync_*.h)

# "function errno" for each error in the comment of each function.
documented() {
	awk '/^\/\*\*/ { text = "" }
		{ text = text " " $0 }
		/^RTKVM_API/ {
			name = $0
			sub(/\(.*/, "", name)
			sub(/.*[ *]/, "", name)
			n = split(text, words, /[^-A-Z0-9a-z_]+/)
			for (i = 1; i <= n; i++)
				if (words[i] ~ /^-E[A-Z0-9]+$/ && !seen[name, words[i]]++)
					print name, substr(words[i], 2)
			text = ""
		}' "$@"
}
listed() { # FILE
	grep -v -e '^#' -e '^$' "$1" | cut -d ' ' -f 1,2
}
compared() { # LIST HEADER...
	local which=$1
	shift
	diff <(documented "$@" | sort) <(listed "$which" | sort)
}
# What is wrong with the tests that the list names.
provoked() { # LIST
	local function errno where rest file bad=0
	while read -r function errno where rest; do
		case $where in
		[-=]) [ -n "$rest" ] && continue ;;
		*:*)
			file=$top_srcdir/tests/sync/${where%%:*}.c
			if grep -qF "$function(" "$file" && awk -v name="${where#*:}" -v errno="$errno" '
				$0 ~ "^(START_TEST\\(" name "\\)|static .*[ *]" name "\\()" && !/;$/ { inside = 1 }
				inside && $0 ~ "(^|[^A-Z])" errno "([^A-Z0-9]|$)" { found = 1 }
				/^}/ { inside = 0 }
				END { exit !found }' "$file"; then
				continue
			fi ;;
		esac
		echo "# $function $errno: not at $where"
		bad=1
	done < <(grep -v -e '^#' -e '^$' "$1")
	return $bad
}
count=$(documented "${headers[@]}" | wc -l)
check "the headers document errors ($count)" test "$count" -gt 90
check "each is in the list, and no other" compared "$list" "${headers[@]}"
check "each is provoked where the list says" provoked "$list"

grep -v 'rtkvm_port_call ENOTCONN' "$list" > "$tmp/one-less"
refuse "control: one that is not in the list" compared "$tmp/one-less" "${headers[@]}"
sed 's/errors:too_often/errors:too_seldom/' "$list" > "$tmp/no-test"
refuse "control: a test that does not exist" provoked "$tmp/no-test"
sed 's/errors:too_often/errors:no_descriptor/' "$list" > "$tmp/other-test"
refuse "control: a test of something else" provoked "$tmp/other-test"
finish
