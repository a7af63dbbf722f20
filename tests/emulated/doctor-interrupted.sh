#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs inside an emulated host: what is left of tracefs when rtkvm doctor
# --measure ends in each way. One line each: "left WAY equal|DIFFERS", and
# "during WAY differs|EQUAL" for the time that it ran.
T=/sys/kernel/tracing

# everything that timerlat has beside its instance, and all instances
snapshot() {
	for f in "$T"/osnoise/* "$T/current_tracer" "$T/tracing_on" "$T/set_event" \
		"$T/events/osnoise/enable" "$T/options/trace_printk"; do
		[ -d "$f" ] || echo "$f $(cat "$f")"
	done
	echo "instances $(ls "$T/instances")"
	# the tracer's own threads
	grep -hE '^(timerlat|osnoise)/' /proc/[0-9]*/comm
}

compare() { # FILE: is it as before
	cmp -s before "$1" && echo equal || echo DIFFERS
}

snapshot > before
for way in end INT TERM HUP QUIT KILL; do
	case $way in
	end) ./rtkvm doctor --cpus 2-3 --measure 5 > said 2>&1 & ;;
	*) ./timeout -s $way 8 ./rtkvm doctor --cpus 2-3 --measure 100 > said 2>&1 & ;;
	esac
	for _ in 1 2 3 4 5 6 7 8; do
		[ -z "$(ls "$T/instances")" ] || break
		sleep 1
	done
	sleep 1
	snapshot > during
	wait $!
	echo "status $way $?"
	# a signal's answer comes before the end of what it was sent to
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		grep -q '^rtkvm$' /proc/[0-9]*/comm 2> /dev/null || break
		sleep 1
	done
	snapshot > after
	[ "$(compare during)" = DIFFERS ] && echo "during $way differs" || echo "during $way EQUAL"
	if [ $way = KILL ]; then
		# the control: nobody was there to give back
		echo "killed $(compare after)"
		./rtkvm restore
		snapshot > after
	fi
	echo "left $way $(compare after)"
done

# the same changes without a journal: a restore cannot know of them
sh -c "mkdir $T/instances/by-hand; echo 2-3 > $T/osnoise/cpus; echo timerlat > $T/instances/by-hand/current_tracer; kill -9 \$\$"
./rtkvm restore
snapshot > after
echo "by-hand $(compare after)"
rmdir "$T/instances/by-hand"
sed -n "s,^$T/osnoise/cpus ,,p" before > "$T/osnoise/cpus"
snapshot > after
echo "cleaned $(compare after)"
