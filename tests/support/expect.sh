# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh disable=SC2154
# TAP of scripts that run a command again and again: its exit status and what it
# says. Sourced; $work is the script's folder.
n=0
status=0

# result OK NAME: what the last command showed goes to the log
result() {
	n=$((n + 1))
	if [ "$1" = yes ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2 (status $status)"
		sed 's/^/#   /' "$work/out" "$work/err"
	fi
}

# expect STATUS PATTERN NAME COMMAND...: in what it says, on either output
expect() {
	wanted=$1 pattern=$2 name=$3
	shift 3
	status=0
	"$@" > "$work/out" 2> "$work/err" || status=$?
	if [ "$status" -eq "$wanted" ] && cat "$work/out" "$work/err" | grep -q -e "$pattern"; then
		result yes "$name"
	else
		result no "$name"
	fi
}
