#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every payload as a guest of KVM in the vmx host, in one boot; exits counted by
# two meters which must agree, and the faults that must be noticed. And some on the
# bare machine.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"
. "$top_srcdir/tests/emulated/payloads.sh"

need_host vmx
. "$top_srcdir/tests/emulated/payload-host.inc"
payload_bare vmx
only_long "payloads as guests in the vmx host"
payload_host vmx
finish
