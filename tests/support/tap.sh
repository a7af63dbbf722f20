# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What every test script sources: TAP output, a temporary directory that is
# removed at the end, and the environment that the build exports. No test of
# anything in particular belongs here.
#
#   . "$top_srcdir/tests/support/tap.sh"
#   check "what must hold" command arg...      ok when the command exits 0
#   refuse "what must be refused" command...   ok when it exits 1 to 123
#   skip "what was not looked at" "reason"     reason must be on tests/allowed-skips
#   finish

set -u
: "${top_srcdir:?run this by make check}" "${top_builddir:?}"
CC=${CC:-cc}
CXX=${CXX:-c++}
read -r -a cc <<<"$CC" # it may be several words
read -r -a cxx <<<"$CXX"
export CC CXX
# A make started by a test is none of the outer make's jobs.
unset MAKEFLAGS MFLAGS MAKELEVEL GNUMAKEFLAGS DESTDIR V

tap_count=0
tap_finished=0
tmp=$(mktemp -d "${TMPDIR:-/tmp}/rtkvm-test-XXXXXX") || { echo "Bail out! no temporary directory"; exit 99; }

tap_end() {
	local status=$?

	chmod -R u+w "$tmp" 2>/dev/null
	rm -rf "$tmp"
	if [ $tap_finished = 0 ]; then
		echo "Bail out! the script ended early with status $status"
		exit 99
	fi
}
trap tap_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ok() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}

not_ok() {
	tap_count=$((tap_count + 1))
	echo "not ok $tap_count - $1"
	# Why, as comments; long outputs are cut.
	if [ $# -gt 1 ]; then
		printf '%s\n' "$2" | tail -n 60 | sed 's/^/# /'
	fi
}

skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

check() {
	local what=$1 out status=0
	shift
	out=$("$@" 2>&1) || status=$?
	if [ $status = 0 ]; then
		ok "$what"
	else
		not_ok "$what" "$* : exit status $status
$out"
	fi
}

# A refusal is an answer: 124 and more (timeout, signal, not found) is none.
refuse() {
	local what=$1 out status=0
	shift
	out=$("$@" 2>&1) || status=$?
	if [ $status -ge 1 ] && [ $status -lt 124 ]; then
		ok "$what"
	else
		not_ok "$what" "$* : exit status $status, a refusal was expected
$out"
	fi
}

# equal "what" "got" "wanted"
equal() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "got:
$2
wanted:
$3"
	fi
}

# contains "what" "text" "part"
contains() {
	case $2 in
	*"$3"*) ok "$1" ;;
	*) not_ok "$1" "'$3' is not in:
$2" ;;
	esac
}

have() {
	command -v "$1" >/dev/null 2>&1
}

finish() {
	tap_finished=1
	echo "1..$tap_count"
	# What failed has been said; a status as well would count it twice.
	exit 0
}
