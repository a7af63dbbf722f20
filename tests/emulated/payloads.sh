# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# For test scripts that run payloads, after tests/support/tap.sh: where they are,
# and reading their figures ("NAME VALUE" lines, see tests/emulated/vmm/vmm.h).

payloads=$top_builddir/tests/emulated/payload
vmm=$top_builddir/tests/emulated/vmm/vmm

# The value of a figure in the text on stdin; "none" when there is no such figure.
figure() { # NAME
	awk -v name="$1" '$1 == name { $1 = ""; print substr($0, 2); found = 1; exit } END { if (!found) print "none" }'
}

# A payload on this machine's KVM: $status, $out, $err.
payload() { # NAME ARGUMENT-OF-THE-VMM...
	local name=$1
	shift
	status=0
	out=$(timeout 120 "$vmm" --limit 60 "$@" "$payloads/$name.bin" 2> "$tmp/vmm.err" < /dev/null) || status=$?
	err=$(cat "$tmp/vmm.err")
}

# What was printed, as comments of the result before it.
payload_said() {
	printf '%s\n' "$out" "$err" | tail -n 30 | sed 's/^/# /'
}
