#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a lease can change, as text, without librtkvm: two snapshots are equal
# when the host was given back.
#
#   snapshot.sh tree DIR        all files of a made-up tree, with their contents
#   snapshot.sh host [TID...]   this host; of all threads when none is named
export LC_ALL=C

file() {
	for f; do
		if [ -r "$f" ] && [ -f "$f" ]; then
			IFS= read -r line <"$f" 2>/dev/null || [ -n "$line" ] || line='(unreadable)'
			echo "$f $line"
		fi
	done
}

# one awk for all threads: state, CPUs and cgroups as the kernel shows them
all_threads() {
	for t in /proc/[0-9]*/task/[0-9]*; do
		awk -v t="$t" '
			FILENAME ~ /stat$/ { sub(/.*\) /, ""); print t, "prio", $16, $17, $38, $39 }
			/^Cpus_allowed_list/ { print t, "cpus", $2 }
			FILENAME ~ /cgroup$/ { print t, "cgroup", $0 }
		' "$t/stat" "$t/status" "$t/cgroup" 2>/dev/null
	done
}

thread() {
	chrt -p "$1" | sed 's/.*'"'s current"'//'
	taskset -pc "$1" | sed 's/.*list: /cpus /'
	awk '{ sub(/.*\) /, ""); print "nice", $17 }' "/proc/$1/stat"
	cat "/proc/$1/cgroup"
}

case $1 in
tree)
	cd "$2" || exit 1
	find . -type f -exec grep -a '' /dev/null {} + | sort
	find . -type f -size 0 | sort
	;;
host)
	shift
	if [ $# -eq 0 ]; then
		all_threads
	fi
	for tid; do
		thread "$tid"
	done
	file /proc/irq/*/smp_affinity_list /proc/irq/default_smp_affinity \
		/sys/devices/virtual/workqueue/cpumask /sys/kernel/mm/ksm/run \
		/proc/sys/kernel/timer_migration /proc/sys/kernel/numa_balancing \
		/proc/sys/vm/stat_interval /sys/kernel/mm/hugepages/*/nr_hugepages \
		/sys/devices/system/node/node*/hugepages/*/nr_hugepages
	# last; others hold it as well, so its value is compared with care
	if [ -r /dev/cpu_dma_latency ]; then
		printf '%s %-12d\n' cpu_dma_latency "$(od -An -td4 /dev/cpu_dma_latency)"
	fi
	;;
*)
	echo "usage: snapshot.sh tree DIR | host [TID...]" >&2
	exit 2
	;;
esac
