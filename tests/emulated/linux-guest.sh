#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A Linux guest in an emulated host: examples/rt-vmm boots the host's own kernel
# as its guest, to a marker, with one and with two CPUs, runs cyclictest in it, and
# brings back its status; what does not come up is told as that.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"

vmm=$top_builddir/examples/rt-vmm/.libs/rt-vmm
marker='the guest is up'
samples=300
host_name=${EMULATED_HOST:-svm}

guest() { # NAME ARGUMENT...
	local name=$1
	shift
	check "initramfs: $name" "$emulated/linux-guest" --out "$tmp/$name.cpio" "$@"
}

# ---- asked wrongly: no guest ----------------------------------------------------------

rt_vmm() { # WHAT TEXT ARGUMENT...
	local what=$1 text=$2 said status=0
	shift 2
	said=$("$top_builddir/examples/rt-vmm/rt-vmm" linux "$@" 2>&1) || status=$?
	equal "$what: status 125" "$status" 125
	contains "$what: said" "$said" "$text"
}
if [ -c /dev/kvm ] && (: <>/dev/kvm) 2>/dev/null; then
	head -c 100000 /dev/zero >"$tmp/zeros"
	rt_vmm "no kernel" "--kernel"
	rt_vmm "a kernel that is not there" "No such file" --kernel "$tmp/none"
	rt_vmm "a folder" "not a file" --kernel "$tmp"
	rt_vmm "zeros" "neither a bzImage" --kernel "$tmp/zeros"
	rt_vmm "real-time without a marker" "--marker" --kernel "$tmp/zeros" --rt maxprio=10,policy=ff
	rt_vmm "too much memory" "32 to 3072" --kernel "$tmp/zeros" --memory 4096
else
	skip "rt-vmm linux asked wrongly" "no /dev/kvm"
fi

need_host "$host_name"
kernel=$("$top_srcdir/kernel/rtkvm-kernel" build "$flavour" 2>/dev/null)

if [ -c /dev/kvm ] && (: <>/dev/kvm) 2>/dev/null && ! grep -qwE 'vmx|svm' /proc/cpuinfo; then
	rt_vmm "a software KVM" "has neither VMX nor SVM" --kernel "$kernel/bzImage"
fi

# ---- the guests -------------------------------------------------------------------------

have cyclictest || skip "cyclictest in the guest" "cyclictest is not installed"
cyclic=(true)
# one after the other: with two threads it ends when the first one has its samples
have cyclictest && cyclic=(--file "$(type -P cyclictest)" "for cpu in 0 1; do echo CPU \$cpu; ./cyclictest -q -m -p 80 -t 1 -a \$cpu -i 2000 -l $samples -h 400; done > \$DATA")
guest one --marker "$marker" "cat /proc/cpuinfo" "exit 7" "exit 8"
guest two --marker "$marker" "${cyclic[@]}" "cat /proc/cpuinfo"
guest none --no-marker "echo no marker here"

# Without its symbols, and no executable of this machine.
check "a vmlinux" objcopy -S "$kernel/vmlinux" "$tmp/vmlinux"
chmod -x "$tmp/vmlinux"
# All at once; each leaves its status, console and messages. Memory in large
# pages: with small ones, half of the time goes into page faults of the host's.
# The limits are bounds for a machine that does much else beside this.
cat >"$tmp/guests" <<'END'
echo 252 >/proc/sys/vm/nr_hugepages
# The threads of PREEMPT_RT on the vCPUs' CPUs go above them, or the library
# refuses the plan (a guest that spins would livelock).
for cpu in 2 3; do
	for thread in rcuc ktimers ksoftirqd; do
		for comm in /proc/[0-9]*/comm; do
			[ "$(cat $comm 2>/dev/null)" != $thread/$cpu ] || {
				pid=${comm#/proc/}
				./chrt -f -p 80 ${pid%/comm}
			}
		done
	done
done
linux() { # NAME KERNEL ARGUMENT...
	local name=$1 kernel=$2
	shift 2
	{
		./rt-vmm linux --kernel $kernel --initrd $name.cpio --append quiet --memory 160 --huge-pages \
			--boot-limit 500 --limit 300 --data $OUT/$name.data "$@" >$OUT/$name.console 2>$OUT/$name.err
		echo $? >$OUT/$name.status
	} &
}
linux two vmlinux --marker "the guest is up" --vcpus 2 --rt maxprio=80,policy=ff --cpus 2-3 --report
linux one bzImage --marker "the guest is up"
linux none vmlinux --marker "the guest is up"
wait
END
chmod -x "$tmp/guests"
LD_LIBRARY_PATH=$(readlink -f "$top_builddir")/.libs host --host "$host_name" --memory 1024 --boot-limit 200 --append no_timer_check \
	--limit 550 --out "$tmp/kept" \
	--file "$vmm" --file "$kernel/bzImage" --file "$tmp/vmlinux" --file "$tmp/one.cpio" --file "$tmp/two.cpio" \
	--file "$tmp/none.cpio" --file "$tmp/guests" --file "$(type -P chrt)" "sh ./guests"
equal "the host has no problem while they run" "$status" 0
said
if [ "$status" = 4 ]; then
	finish # no host, so nothing more can be said
fi

left=$tmp/kept/001/out
left() { { tr -d '\r\0' <"$left/$1"; } 2>&1; }

one=$(left one.console)
contains "one CPU: Linux comes up to the marker" "$one" "$marker"
equal "one CPU: it sees one" "$(grep -c 'processor[[:space:]]*:' <<<"$one")" 1
contains "one CPU: its CPU is under KVM" "$one" hypervisor
contains "the first command that fails is told" "$one" "command 2 exited 7"
equal "its status is that of the VMM" "$(left one.status)" 7
[ "$(left one.status)" = 7 ] || left one.err | sed 's/^/# /'

two=$(left two.console)
contains "two CPUs: Linux comes up to the marker" "$two" "$marker"
equal "two CPUs: both are there" "$(grep -c 'processor[[:space:]]*:' <<<"$two")" 2
equal "two CPUs: status 0" "$(left two.status)" 0
[ "$(left two.status)" = 0 ] || left two.err | sed 's/^/# /'
threads=$(grep -c 'vCPU [01]: scheduling *SCHED_FIFO 79 / SCHED_FIFO 79$' <<<"$two")
equal "two CPUs, made real-time: both vCPUs have their priority" "$threads" 2
[ "$threads" = 2 ] || sed -n '/^librtkvm/,$s/^/# /p' <<<"$two"
equal "and what was asked for was given" "$(grep 'NOT AS ASKED' <<<"$two")" ""

if have cyclictest; then
	histogram=$(left two.data)
	for cpu in 0 1; do
		equal "cyclictest, CPU $cpu: $samples samples in the histogram" \
			"$(awk -v cpu=$cpu '/^CPU / { here = $2 == cpu }
				here && /^[0-9]/ { sum += $2 }
				here && /^# Histogram Overflows:/ { sum += $4 }
				END { print sum + 0 }' <<<"$histogram")" $samples
	done
	grep -E '^(CPU|# (Min|Avg|Max|Histogram Overflows))' <<<"$histogram" | sed 's/^/# us: /'
fi

# ---- controls -----------------------------------------------------------------------------

contains "control: without a marker it boots all the same" "$(left none.console)" "no marker here"
equal "control: but that is told as a failure" "$(left none.status)" 125
contains "control: by its name" "$(left none.err)" "never printed a line with \"$marker\""

finish
