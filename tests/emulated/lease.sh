#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2154
#
# CPU leases in a host with CPUs and cgroups to take apart: modes, owners, and
# with RTKVM_LONG_TESTS what still reaches a leased CPU under load, without and with boot parameters.
# The controls: the host must differ during a lease, and the load must disturb
# a CPU that is not leased.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"
need_host svm
program=$top_builddir/tests/emulated/lease-host

# Each line of the program that is a result becomes one of this script.
results() { # WHAT
	local line
	while IFS= read -r line; do
		case $line in
		"ok "*) ok "$1: ${line#ok }" ;;
		"not ok "*) not_ok "$1: ${line#not ok }" ;;
		*) echo "$line" ;;
		esac
	done <<< "$out"
	equal "$1: the program and the kernel are content" "$status" 0
	[ "$status" = 0 ] || said 20
}

host --host svm --boot-limit 240 --limit 300 "$program v2 owner none v1"
results "stock boot"

# Minutes, and a machine that is not loaded itself: the emulator's clock must keep pace.
if [ -n "${RTKVM_LONG_TESTS:-}" ]; then
	host --host svm --boot-limit 240 --limit 300 "$program 60 quiet"
	results "under load"
	host --host svm --boot-limit 240 --limit 300 \
		--append "isolcpus=managed_irq,domain,2,3 nohz_full=2,3 rcu_nocbs=2,3 irqaffinity=0,1" \
		"$program 60 quiet-boot"
	results "under load, isolating boot"
fi
finish
