#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2154
#
# CPU leases in a host with CPUs and cgroups to take apart: modes, owners, and
# what still reaches a leased CPU under load, without and with boot parameters.
# The controls: the host must differ during a lease, and the load must disturb
# a CPU that is not leased.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"
need_host svm
program=$top_builddir/tests/emulated/lease-host
rtkvm=$top_builddir/tools/.libs/rtkvm
[ -x "$rtkvm" ] || rtkvm=$top_builddir/tools/rtkvm # built without a shared library
export LD_LIBRARY_PATH=$top_builddir/.libs

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

# A minute in check-all.
seconds=10
[ -z "${RTKVM_LONG_TESTS:-}" ] || seconds=60

host --host svm --boot-limit 600 --limit 900 --with igb \
	--file "$rtkvm" --file "$top_builddir/tools/rtkvm-restore.service" \
	--file "$top_builddir/tests/emulated/attach-vmm" \
	"$program $seconds quiet" "$program $seconds quiet-offline" \
	"$program v2 owner meddled passed namespace delegated memory devices" \
	"$top_srcdir/tests/emulated/lease-commands" "$program none v1"
results "stock boot"

# PREEMPT_RT with PROVE_RCU reports itself at any boot with nohz_full or rcu_nocbs: rcuc asks
# whether callbacks are offloaded, and is preemptible (Linux 6.12, rcu/tree_plugin.h:27).
host --host svm --boot-limit 600 --limit 900 --allow 'suspicious RCU usage' \
	--append "isolcpus=managed_irq,domain,2,3 nohz_full=2,3 rcu_nocbs=2,3 irqaffinity=0,1" \
	"$program $seconds quiet-boot"
results "isolating boot"
finish
