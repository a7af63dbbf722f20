#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# rtkvm attach on an unmodified QEMU that runs: qemu.py.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

if ! have qemu-system-x86_64 && [ -z "${RTKVM_TEST_QEMU:-}" ]; then
	skip "a QEMU that is attached" "no QEMU (package qemu-system-x86)"
	finish
fi
if ! chrt -f 9 true 2> /dev/null; then
	skip "a QEMU that is attached" "SCHED_FIFO is refused"
	finish
fi
if ! have python3; then
	skip "a QEMU that is attached" "no python3"
	finish
fi
# it speaks TAP itself
trap - EXIT
rm -rf "$tmp"
exec python3 "$top_srcdir/tests/attach/qemu.py"
