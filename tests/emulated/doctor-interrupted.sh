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
	grep -hsE '^(timerlat|osnoise)/' /proc/[0-9]*/comm
}

compare() { # FILE: is it as before
	cmp -s before "$1" && echo equal || echo DIFFERS
}

# a job of this shell would ignore SIGINT; what timeout starts does not
start() { # SECONDS
	./timeout 900 ./rtkvm doctor --cpus 2-3 --check cpu-online --measure "$1" > said 2>&1 &
	for _ in $(seq 120); do
		[ -z "$(ls "$T/instances")" ] || break
		sleep 1
	done
	# its tracer comes after the instance
	sleep 2
}
measuring() { # the process
	for p in /proc/[0-9]*; do
		[ "$(cat "$p/comm" 2> /dev/null)" != rtkvm ] || echo "${p##*/}"
	done
}

snapshot > before
for way in end INT TERM HUP QUIT KILL; do
	[ $way = end ] && start 8 || start 600
	snapshot > during
	[ $way = end ] || kill -$way "$(measuring)"
	wait $!
	echo "status $way $?"
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
