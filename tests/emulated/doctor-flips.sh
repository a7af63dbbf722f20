#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs inside an emulated host: for each setting that is real there, breaks it,
# sees the check's verdict turn, runs the remedy as it is printed, and sees it
# turn back. One line per check: "flip ID ok|FAILED ...", or "absent ID ..." for
# what this kernel or machine has not.
# chrt comes with the job: busybox may have none
export PATH="$PWD:$PATH"

verdict() { # ID
	./rtkvm doctor --check "$1" --all | sed -n 's/^\(ok\|warn\|fail\|n\/a\|unknown\) .*/\1/p'
}

remedy() { # ID
	./rtkvm doctor --check "$1" | sed -n 's/^        # //p'
}

flip() { # ID COMMAND: the first makes it fine, then it is broken
	id=$1 broken=$2
	sh -c "$(remedy "$id")" > /dev/null 2>&1
	before=$(verdict "$id")
	case $before in
	n/a | unknown) echo "absent $id: $(./rtkvm doctor --check "$id" --all)"; return ;;
	esac
	sh -c "$broken" > /dev/null 2>&1
	worse=$(verdict "$id")
	cure=$(remedy "$id")
	sh -c "$cure" > said 2>&1
	after=$(verdict "$id")
	case $before,$worse,$after in
	ok,warn,ok | ok,fail,ok) echo "flip $id ok" ;;
	*) echo "flip $id FAILED: $before, broken $worse, remedied $after: $cure: $(tail -n 1 said)" ;;
	esac
}

pid_of() { # NAME
	for p in /proc/[0-9]*; do
		[ "$(cat "$p/comm" 2>/dev/null)" != "$1" ] || { echo "${p##*/}"; return; }
	done
}

S=/proc/sys V=/sys/devices/virtual/workqueue
flip sched-timer-migration "echo 1 > $S/kernel/timer_migration"
flip sched-hung-task "echo 120 > $S/kernel/hung_task_timeout_secs"
flip sched-soft-watchdog "echo 1 > $S/kernel/soft_watchdog; echo 0-3 > $S/kernel/watchdog_cpumask"
flip sched-workqueues "echo f > $V/cpumask"
flip sched-tracer "echo osnoise > /sys/kernel/tracing/current_tracer"
flip sched-ksoftirqd "chrt -o -p 0 $(pid_of ksoftirqd/2)"
# the kernel of some versions has no such thread
[ -z "$(pid_of ktimers/3)" ] || flip sched-ktimers "chrt -f -p 1 $(pid_of ktimers/3)"
flip sched-rcuc "chrt -f -p 1 $(pid_of rcuc/2)"
irq=$(for p in /proc/[0-9]*; do case $(cat "$p/comm" 2>/dev/null) in irq/*) echo "${p##*/}" ;; esac; done | head -n 1)
flip irq-threads "chrt -o -p 0 $irq"
flip mem-ksm "echo 1 > /sys/kernel/mm/ksm/run"
flip mem-swappiness "echo 60 > $S/vm/swappiness"
flip mem-compaction "echo 20 > $S/vm/compaction_proactiveness"
flip mem-compact-locked "echo 1 > $S/vm/compact_unevictable_allowed"
flip mem-zone-reclaim "echo 1 > $S/vm/zone_reclaim_mode"
flip mem-stat-interval "echo 1 > $S/vm/stat_interval"
flip mem-hugepages "echo 0 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
echo 0 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
flip irq-default-affinity "echo f > /proc/irq/default_smp_affinity"
busy=$(for i in /proc/irq/[0-9]*; do ls -d "$i"/*/ > /dev/null 2>&1 && echo 2 2>/dev/null > "$i/smp_affinity_list" &&
	[ "$(cat "$i/effective_affinity_list")" = 2 ] && { echo "$i"; break; }; done)
flip irq-affinity "echo 2 > $busy/smp_affinity_list"
flip mem-numa-balancing "echo 1 > $S/kernel/numa_balancing"
flip mem-thp "echo always > /sys/kernel/mm/transparent_hugepage/enabled"
flip mem-thp-defrag "echo always > /sys/kernel/mm/transparent_hugepage/defrag"
flip cpu-ignore-ce "for f in /sys/devices/system/machinecheck/machinecheck*/ignore_ce; do echo 0 > \$f; done"
grep -q hpet /sys/devices/system/clocksource/clocksource0/available_clocksource &&
	flip cpu-clocksource "echo hpet > /sys/devices/system/clocksource/clocksource0/current_clocksource"
flip cpu-governor "for f in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do echo powersave > \$f; done"
flip cpu-cstates "for f in /sys/devices/system/cpu/cpu*/cpuidle/state*/disable; do echo 0 > \$f; done"
flip cpu-online "echo 0 > /sys/devices/system/cpu/cpu3/online"
P=/sys/module/kvm/parameters
for p in nx_huge_pages:Y:kvm-nx-huge-pages nx_huge_pages_recovery_ratio:60:kvm-nx-recovery \
	halt_poll_ns:200000:kvm-halt-poll min_timer_period_us:1000:kvm-min-timer; do
	IFS=: read -r name bad id <<END
$p
END
	# only what may be written at run time; the others are boot parameters
	case $(ls -l "$P/$name") in
	-?w*) flip "$id" "echo $bad > $P/$name" ;;
	esac
done
