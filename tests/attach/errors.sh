#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# rtkvm attach where it cannot: errors.py.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

if ! have python3; then
	skip "attach where it cannot" "no python3"
	finish
fi
# it speaks TAP itself
trap - EXIT
rm -rf "$tmp"
exec python3 "$top_srcdir/tests/attach/errors.py"
