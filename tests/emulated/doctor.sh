#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# rtkvm doctor on a real kernel of an emulated host. Settings that are real
# there are broken and remedied by the text of the remedy; boot parameters
# that it names are given to the next boot as they stand. What the host has
# not is shown on made-up trees alone (tests/host/flip); the coverage is
# printed.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"

rtkvm=$top_builddir/tools/.libs/rtkvm
[ -x "$rtkvm" ] || rtkvm=$top_builddir/tools/rtkvm # built without a shared library
export LD_LIBRARY_PATH=$top_builddir/.libs

need_host svm

asked='cpu-isolated cpu-nohz-full cpu-skew-tick cpu-rcu-nocbs kvm-clock-sync kvm-pause-filter kvm-tdp-mmu
kvm-eager-split kvm-vmware-backdoor kvm-timer-advance kvm-npt kvm-vgif virt-irq-remap'
# what can be set by the command line alone, set wrongly; the remedies are appended, and the last counts
wrong='kvm.tdp_mmu=0 kvm.eager_page_split=0 kvm.enable_vmware_backdoor=1 kvm.lapic_timer_advance=0 kvm_amd.npt=0 kvm_amd.vgif=0'

# ---- as it boots without anything: the parameters that it names ------------------

host --host svm --boot-limit 300 --limit 120 --append "$wrong" --file "$rtkvm" \
	"for id in $(tr '\n' ' ' <<< "$asked"); do ./rtkvm doctor --cpus 2-3 --check \$id; echo end \$id; done; true"
equal "first boot" "$status" 0
[ "$status" = 0 ] || said
boot_checks=''
parameters=''
real=''
for id in $asked; do
	part=$(printf '%s\n' "$out" | sed -n "/^\(warn\|fail\) *$id /,/^end $id/p" |
		sed -n 's/^ *kernel command line: //p')
	[ -n "$part" ] || continue
	boot_checks="$boot_checks $id"
	parameters="$parameters $part"
done
echo "# parameters:$parameters"
contains "it asks for isolation" "$boot_checks" cpu-isolated
contains "it asks for no tick" "$boot_checks" cpu-nohz-full

# ---- with what it named -----------------------------------------------------------

# with nohz_full, PROVE_RCU on PREEMPT_RT complains of a read of the offloaded state at boot
# (kernel/rcu/tree_plugin.h, rcu_rdp_is_offloaded()); nothing of ours
host --host svm --boot-limit 300 --limit 900 --allow 'WARNING: suspicious RCU usage' --append "$wrong$parameters" --file "$rtkvm" --file "$(command -v chrt)" --file "$(command -v timeout)" \
	"for id in$boot_checks; do ./rtkvm doctor --check \$id; done; true" \
	"$top_srcdir/tests/emulated/doctor-flips.sh" \
	'true; ./rtkvm doctor; echo "status $?"' \
	'true; ./rtkvm doctor --measure 3; true' \
	"$top_srcdir/tests/emulated/doctor-interrupted.sh"
equal "second boot" "$status" 0
[ "$status" = 0 ] || said
for id in $boot_checks; do
	contains "boot: $id is fine with the parameters it named" "$out" "ok      $id"
	real="$real $id"
done
while read -r _ id result rest; do
	if [ "$result" = ok ]; then
		ok "real: $id turns, and its remedy turns it back"
	else
		not_ok "real: $id" "$result $rest"
	fi
	real="$real $id"
done < <(grep '^flip ' <<< "$out")
grep '^absent ' <<< "$out" | sed 's/^/# /'
covered=$(wc -w <<< "$real")
[ "$covered" -ge 20 ] && ok "at least 20 checks on the real kernel" ||
	not_ok "at least 20 checks on the real kernel" "$covered: $out"
contains "the summary" "$out" " not applicable (the last two: --all)"
contains "timerlat measures" "$out" "by the kernel's timerlat tracer"
contains "and names who interfered" "$out" "irq local_timer"
ways=$(grep -E '^(during|left|status|killed|by-hand|cleaned) ' <<< "$out")
for way in end INT TERM HUP QUIT KILL; do
	contains "measuring changes tracefs ($way)" "$ways" "during $way differs"
	contains "and leaves it as it was ($way)" "$ways" "left $way equal"
done
contains "the control: what was killed left its changes until the restore" "$ways" "killed DIFFERS"
contains "the control: without a journal a restore does not help" "$ways" "by-hand DIFFERS"
contains "which the test undid" "$ways" "cleaned equal"

# ---- exits by reason, of VMs that run: one whose VMM keeps KVM's counters open, and one without ----
vmm=$top_builddir/examples/rt-vmm/.libs/rt-vmm
[ -x "$vmm" ] || vmm=$top_builddir/examples/rt-vmm/rt-vmm
vm() { # ARGUMENT...: of rt-vmm
	echo "true; ./rt-vmm run --interval 20000 --duration 12 $* > said 2>&1 & sleep 6; ./rtkvm doctor --pid \$! --all" \
		"--check vm-exits; wait; tail -n 3 said; true"
}
closed="./vmm --meters none --args 'n=1000 timer=periodic wait=hlt period=20000000' timer.bin > /dev/null & sleep 4"
closed="true; $closed; ./rtkvm doctor --pid \$! --all --check vm-exits; kill \$!; true"
host --host svm --boot-limit 300 --limit 120 --file "$rtkvm" --file "$vmm" \
	--file "$top_builddir/tests/emulated/vmm/vmm" --file "$top_builddir/tests/emulated/payload/timer.bin" \
	"$(vm --rt maxprio=80,policy=ff --no-lease)" "$closed"
equal "VMs in the host" "$status" 0
[ "$status" = 0 ] || said
grep vm-exits <<< "$out" | sed 's/^/# /'
contains "exits by reason, from the descriptors of the VMM" "$out" "exits a second now (KVM's counters): "
contains "exits by reason, from debugfs" "$out" "exits a second now (debugfs): "
equal "the reasons are told" "$(grep -cE 'vm-exits .*: [a-z_]*(exits|calls|taken|emulation) [1-9]' <<< "$out")" 2

# ---- coverage -----------------------------------------------------------------------------------
ids=$("$top_builddir/tools/rtkvm" doctor --list --pid $$ | cut -d' ' -f1)
made_up=$(for id in $ids; do case " $real " in *" $id "*) ;; *) echo "$id" ;; esac; done)
echo "# figure: $covered of $(wc -w <<< "$ids") checks turned and remedied on a real kernel:$real"
echo "# figure: $(wc -w <<< "$made_up") on made-up trees only (those of a VM also by tests/host/qemu.sh): $(tr '\n' ' ' <<< "$made_up")"
finish
